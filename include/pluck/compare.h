/*
 * How far apart two distributions over the same tokens are: of two models, of a model and its
 * quantised form, or of one model under two configurations.
 */
#ifndef PLUCK_COMPARE_H
#define PLUCK_COMPARE_H

#include <pluck/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of how many tokens pluck_comparison.rank_correlation looks at the ranks. */
#define PLUCK_COMPARE_RANKS 100

/* p = softmax(a), q = softmax(b); natural logarithms. */
typedef struct pluck_comparison {
    /* Kullback-Leibler divergences KL(p || q) = sum p ln(p / q) and KL(q || p): INFINITY if a token
     * that one allows is banned (-inf) in the other. Tokens with p = 0 count 0. */
    double kl_ab, kl_ba;
    double total_variation; /* sum |p - q| / 2, in [0, 1] */
    double entropy_a, entropy_b;

    /* Spearman's correlation of the ranks of the PLUCK_COMPARE_RANKS tokens that are most probable
     * in a (ties: the lower ids; all allowed ones if there are fewer): their ranks among
     * themselves in a and in b, tied ones sharing their mean rank. NAN for fewer than two tokens,
     * and where all of them are tied in a or in b. */
    double rank_correlation;

    pluck_token top_a, top_b; /* the most probable tokens; ties: the lowest id */
    double top_prob_a, top_prob_b;
    uint32_t n_only_a, n_only_b; /* tokens that only a, only b allows */

    /* -ln p and -ln q of the target; NAN without one, INFINITY where it is banned. */
    double nll_a, nll_b;

    /* The probability in a of the tokens that b allows, and in b of those that a allows: exactly 1
     * where it allows all. What a truncation leaves, which its infinite divergence does not say. */
    double kept_a, kept_b;
} pluck_comparison;

/*
 * Compares two rows of the same n_vocab, of any types; target is the token that really followed, or
 * negative for none. All sums are of doubles, in blocks: for rows whose divergence is finite the
 * result is within 1e-12 of the exact one for the stored values, plus as much relative to it.
 * PLUCK_ERR_NAN for NaN and +inf, PLUCK_ERR_EMPTY for a row that allows no token. Allocates
 * nothing; many threads may call it at once.
 */
PLUCK_API pluck_status pluck_compare_rows(pluck_logits a, pluck_logits b, pluck_token target,
                                          pluck_comparison *result, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
