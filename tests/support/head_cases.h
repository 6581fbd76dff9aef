/*
 * Heads with random weights, and what they give by brute force in long double: every kind answers
 * the same tests.
 */
#ifndef HEAD_CASES_H
#define HEAD_CASES_H

#include <pluck/head.h>

#include "support/random.h"

/* Selections, as pluck_head_query_select() takes them. */
#define TOP_K(k_) (&(pluck_selection){.struct_size = sizeof(pluck_selection), .top_k = (k_)})
#define TOP_P(p_) (&(pluck_selection){.struct_size = sizeof(pluck_selection), .top_p = (p_)})
#define MIN_P(p_) (&(pluck_selection){.struct_size = sizeof(pluck_selection), .min_p = (p_)})

typedef struct head_case {
    pluck_head *head;
    pluck_head_kind kind;
    uint64_t seed;
    uint32_t n_vocab, dim;
    pluck_dtype dtype;
    pluck_tree *tree; /* hierarchical */
    pluck_tree_sign sign;
    void *weights;                           /* all matrices, one after the other */
    uint32_t n_parts;                        /* tails or bands */
    uint32_t sizes[4], widths[4], firsts[4]; /* of parts: tokens, columns; bands: first dimension */
    float *bias;                             /* or NULL */
} head_case;

/* Fails the test if the head cannot be made. n_vocab >= 1, dim >= 1. */
head_case head_case_make(pluck_head_kind kind, uint64_t seed, uint32_t n_vocab, uint32_t dim);
void head_case_free(head_case *c);

/* dim floats. */
void head_case_hidden(test_random *random, const head_case *c, float *hidden);

/* ln p of all tokens. */
void head_case_logprobs(const head_case *c, const float *hidden, long double *logprobs);

/* "kind, seed, n_vocab, dim, dtype" for messages; the text of the last call. */
const char *head_case_text(const head_case *c);

/* One draw. */
static inline pluck_status head_draw(pluck_head_query *query, const float *hidden,
                                     double temperature, pluck_pcg64 *rng, pluck_logprob *drawn,
                                     pluck_error *err)
{
    uint32_t n = 0;
    return pluck_head_query_sample(query, hidden, temperature, rng, 1, drawn, &n, err);
}

/* The most probable token. */
static inline pluck_status head_greedy(pluck_head_query *query, const float *hidden,
                                       pluck_logprob *token, pluck_error *err)
{
    uint32_t n = 0;
    return pluck_head_query_select(query, hidden, TOP_K(1), token, 1, &n, err);
}

static inline pluck_head_info head_info(const pluck_head *head)
{
    pluck_head_info info = PLUCK_INIT(pluck_head_info);
    (void)pluck_head_get_info(head, &info, NULL);
    return info;
}

static inline pluck_head_stats head_cost(const pluck_head_query *query)
{
    pluck_head_stats stats = PLUCK_INIT(pluck_head_stats);
    (void)pluck_head_query_get_stats(query, &stats, NULL);
    return stats;
}

/* How many kinds head_case_make() knows: 0 .. n - 1. */
enum { HEAD_CASE_KINDS = 4 };

#endif
