/*
 * Texts for tokens, of which many begin like others and some are empty. A token has the same text
 * in every vocabulary.
 */
#ifndef TOKEN_TEXTS_H
#define TOKEN_TEXTS_H

#include <pluck/base.h>

#include <stddef.h>

/* For pluck_sampler_options.token_text; user is ignored. Any number of threads may call it. */
const char *test_token_text(void *user, pluck_token token, size_t *size_bytes);

#endif
