/*
 * Queries of heads that compute a score of every token: the scores of a query are n_vocab floats,
 * filled up to whole blocks with -inf. A score is a logit, or a log-probability, up to a constant.
 */
#ifndef PLK_FLAT_H
#define PLK_FLAT_H

#include "heads/heads.h"

#include <math.h>

/* Allocates what the functions below need. */
pluck_status plk_flat_open(pluck_head_query *query, pluck_error *err);

/* Neither NaN nor +inf; and PLUCK_ERR_NAN, naming the token, for one that is. */
static inline bool plk_flat_is_score(float score)
{
    return score < INFINITY;
}
pluck_status plk_flat_fail(uint32_t token, pluck_error *err);

/* ln of the sum of the exponentials of all scores; PLUCK_ERR_EMPTY if all are -inf. */
pluck_status plk_flat_log_sum(pluck_head_query *query, double *log_sum, pluck_error *err);

/* Sets the scores of banned tokens to -inf. */
void plk_flat_apply_mask(pluck_head_query *query);

/* The index at which the running sum of the weights passes at, given the sums of all blocks; the
 * last one of any weight if rounding leaves it beyond the end. */
size_t plk_flat_index_at(const plk_kernels *kernels, const float *scores, const double *sums,
                         size_t n_blocks, plk_exponent exponent, double at);

/* Draws from the present scores at inverse temperature beta; log_sum is what turns a score into a
 * log-probability. Scores of tokens that may not be drawn again become -inf. */
pluck_status plk_flat_draw(pluck_head_query *query, plk_sampling *sampling, double log_sum,
                           pluck_pcg64 *rng, pluck_error *err);

/* Answers from the present scores; log_sum as above. */
pluck_status plk_flat_pick(pluck_head_query *query, plk_selection *selection, double log_sum,
                           pluck_error *err);

#endif
