/*
 * What the examples in public headers take from the reader's program, for test_header_examples.py.
 */
#ifndef EXAMPLE_NAMES_H
#define EXAMPLE_NAMES_H

#include <pluck/dump.h>
#include <pluck/fasttext.h>
#include <pluck/head.h>
#include <pluck/pluck.h>
#include <pluck/sampled_softmax.h>
#include <pluck/shard.h>
#include <pluck/speculative.h>
#include <pluck/trace.h>
#include <pluck/tune.h>
#include <pluck/weighted.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The model, and what happens to its text. */
pluck_logits model_logits(void);
void emit(pluck_token token);
void fail(const char *message);

/* Objects and numbers that the text before an example names. */
extern pluck_error err;
extern pluck_token token, end_of_text, *tokens;
extern const char *json;
extern const pluck_token *prompt;
extern size_t n_prompt, n_tokens;
extern uint32_t n_vocab;
extern uint64_t seed, stream, position;
extern const float *logits, *hidden;
extern pluck_config *config;
extern pluck_sampler *sampler;
extern pluck_workspace *workspace;
extern pluck_matrix rows;
extern const pluck_token *next;
extern float *logprobs;
extern uint32_t *ranks;

#endif
