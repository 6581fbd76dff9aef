/*
 * Samplers for tests: created from JSON text on a given instruction set, with allocation failures
 * turned into the end of the program, and their whole distribution as an array.
 */
#ifndef SAMPLERS_H
#define SAMPLERS_H

#include <pluck/pluck.h>

#include <stddef.h>

/* The end of the program, with a message, if the text is not a configuration. */
pluck_config *test_config(const char *json);

/* With the texts of token_texts.h. The end of the program, with a message, if it cannot be
 * created. */
pluck_sampler *test_sampler(const char *json, uint32_t n_vocab, pluck_isa isa, uint64_t stream);

/* These end the program if they fail. */
void test_accept(pluck_sampler *sampler, const pluck_token *tokens, size_t n);
pluck_sampler_info test_info_of(const pluck_sampler *sampler);

/* pluck_sampler_start() with the seed that it has. */
void test_start_stream(pluck_sampler *sampler, uint64_t stream);

/* A result of pluck_sampler_distribution() with everything in it. */
typedef struct test_distribution {
    pluck_status status;
    pluck_prob *probs;
    uint32_t n;
} test_distribution;

test_distribution test_distribution_of(pluck_sampler *sampler, pluck_logits logits);
void test_distribution_free(test_distribution *distribution);

/* Same status, same tokens in the same order, same bits. */
bool test_distribution_equal(const test_distribution *a, const test_distribution *b);

/* The n most probable tokens, from pluck_sampler_run(): *n_written of them. */
pluck_status test_top_logprobs(pluck_sampler *sampler, pluck_logits logits, pluck_logprob_kind kind,
                               uint32_t n, pluck_logprob *best, uint32_t *n_written);

/* p of a token; 0 if it is not there. */
float test_distribution_p(const test_distribution *distribution, pluck_token token);

#endif
