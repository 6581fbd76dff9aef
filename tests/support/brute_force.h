/*
 * What a configuration does to a row of logits, by definition (docs/stages.md): every candidate in
 * an array, sorted by the C library, in long double. Slow, obvious, and free of the library's code.
 *
 * Two things that exact arithmetic does not decide are carried along. The promise on decisions by
 * mass has a margin of 1e-6 (relative), and a logit changed by a bias or a penalty is the nearest
 * float of the changed value: where the value lies so near the middle between two floats that
 * double arithmetic may find the other one, the logit has slack. A decision closer than that is a
 * doubt, and the row is then no judge of what follows.
 */
#ifndef BRUTE_FORCE_H
#define BRUTE_FORCE_H

#include <pluck/sampler.h>

typedef struct brute_candidate {
    uint32_t token;
    long double logit;
    long double slack; /* the logit is known up to this */
    long double p;     /* filled in by brute_force_run */
} brute_candidate;

typedef struct brute_force {
    uint32_t n_vocab;
    brute_candidate *items; /* best first, ties by lower token; none at -inf */
    uint32_t n;
    bool doubt;
    const float *logits;    /* as they came */
    const int32_t *mask;    /* bit i % 32 of word i / 32 is token i, 1 = allowed; or NULL */
    long double scale;      /* product of all 1/t so far */
    long double scale_off;  /* how far off it may be, relative to it */
    long double mean_slack; /* sum of p * slack: what the sum of exponentials may be off by */
} brute_force;

/* Whether there is a reference for this stage. */
bool brute_force_knows(const pluck_stage *stage);

/* Runs the stages and the draw's truncation of config over the logits, after history. PLUCK_OK, or
 * PLUCK_ERR_EMPTY when no token is left. */
pluck_status brute_force_run(brute_force *row, const pluck_config *config, const float *logits,
                             uint32_t n_vocab, const pluck_token *history, size_t n_history);

/* The same under a mask, which acts first unless a stage of config places it. */
pluck_status brute_force_run_masked(brute_force *row, const pluck_config *config,
                                    const float *logits, uint32_t n_vocab,
                                    const pluck_token *history, size_t n_history,
                                    const int32_t *mask);
void brute_force_free(brute_force *row);

/*
 * Whether probs is the distribution of row, within the promises of docs/numerics.md: the tokens, in
 * order, each p within (4 + 2 |ln p|) float ulps, the sum within 1e-6 of 1. False with the reason
 * in test_case_failed().
 */
bool brute_force_agrees(const brute_force *row, const pluck_prob *probs, uint32_t n);

/* ln p of a token; -inf if it is not a candidate. */
long double brute_force_logprob(const brute_force *row, uint32_t token);

#endif
