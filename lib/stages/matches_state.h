/*
 * The state of stages that look for earlier parts of the history like its end: plk_suffix_matches,
 * and the functions of the descriptor that keep it.
 */
#ifndef PLK_MATCHES_STATE_H
#define PLK_MATCHES_STATE_H

#include "history/suffix_matches.h"
#include "stages/stage_impl.h"

/* For create. */
pluck_status plk_matches_create(void **state, size_t window, const pluck_allocator *allocator,
                                pluck_error *err);

void plk_matches_destroy(void *state);
pluck_status plk_matches_clone(void **out, const void *state, pluck_error *err);
void plk_matches_reset(void *state);
pluck_status plk_matches_reserve(void *state, pluck_error *err);
void plk_matches_accept(const void *params, void *state, const plk_history *history,
                        const plk_accepted *accepted);
void plk_matches_rewind(const void *params, void *state, const plk_history *history);
pluck_status plk_matches_load(const void *params, void *state, const plk_history *history,
                              plk_byte_reader *in, pluck_error *err);

/* PLUCK_ERR_CONFIG for a token outside the vocabulary, after the stage's name. */
pluck_status plk_check_token_set(const char *stage, const pluck_token_set *set, uint32_t n_vocab,
                                 pluck_error *err);
pluck_status plk_check_sequences(const char *stage, const pluck_sequences *sequences,
                                 uint32_t n_vocab, pluck_error *err);

#endif
