/*
 * Truncation: by rank, by logit, by mass (top-p) and by the distance from a logit; the best tokens
 * in order, and the ranks of given ones.
 */
#ifndef PLK_KEEP_H
#define PLK_KEEP_H

#include "select/view.h"

/* Where a prefix of the tokens, best first, ends. */
typedef struct plk_boundary {
    float value;      /* the last stored logit of the prefix */
    uint32_t n_above; /* tokens with a larger one: all belong to the prefix */
    uint32_t n_equal; /* tokens with this one that belong to it, lowest tokens first; >= 1 */
    bool whole;       /* no token with this logit is left out */
} plk_boundary;

/* Keeps the tokens up to the boundary, which are among the first n of ids and values. */
void plk_view_keep_gathered(plk_view *view, uint32_t n, plk_boundary boundary);

/* Keeps the k best tokens, k >= 1; all of them if there are fewer. */
void plk_view_keep_top(plk_view *view, uint32_t k);

/* Keeps the tokens whose logit is >= max logit + offset, offset <= 0; the min_keep best if those
 * are more. */
void plk_view_keep_near_max(plk_view *view, double offset, uint32_t min_keep);

/* The same for a threshold on the probability, which may be above the maximum: then the min_keep
 * best stay. */
void plk_view_keep_probable(plk_view *view, double offset, uint32_t min_keep);

/* The best min(k, number of tokens) tokens, best first, in the scratch memory's keys; returns
 * how many. The view stays as it is, but a dense one loses the scratch memory's candidate
 * arrays. */
uint32_t plk_view_best(const plk_view *view, uint32_t k);

/* ranks[i] = how many tokens above -inf come before tokens[i], best first; for a token at -inf all
 * of them. tokens: n of the vocabulary, in any order, also several times. The view stays as it is,
 * but the scratch memory's keys are used up. One pass over the logits for up to n_vocab tokens. */
void plk_view_ranks(const plk_view *view, const int32_t *tokens, size_t n, uint32_t *ranks);

/* The smallest float t such that l >= t exactly when the logit of stored l is >= max logit +
 * offset; at least -FLT_MAX. */
float plk_view_threshold(const plk_view *view, double offset);

/* Copies the tokens of a dense view whose stored logit is >= threshold (> -inf) to ids and values,
 * ascending by token; returns how many. The view stays dense. */
uint32_t plk_view_gather(const plk_view *view, float threshold);

/* Those, and the k best ones, of the blocks that a view of a slice has. */
uint32_t plk_view_gather_own(const plk_view *view, float threshold);
uint32_t plk_view_gather_best_own(const plk_view *view, uint32_t k);

/* Removes, of the first n tokens in ids and values, all but the k best; returns how many are left.
 * Their order by token stays. */
uint32_t plk_view_narrow(const plk_view *view, uint32_t n, uint32_t k);

/* Keeps the shortest prefix of the tokens, best first, whose probability is >= p, and at least
 * min_keep tokens; 0 <= p < 1. On a dense view this may only note what was asked for. */
void plk_view_keep_nucleus(plk_view *view, double p, uint32_t min_keep);

/* Does what plk_view_keep_nucleus noted, if anything. Everything but plk_view_scale() and
 * plk_view_pick() needs a settled view. */
void plk_view_settle(plk_view *view);

/*
 * The prefix of the tokens, best first, down to the largest stored logit at which its mass is the
 * one needed, where each of the equal tokens belongs to it while the mass before it is too small.
 * values: the stored logits of the tokens that reach some threshold, among them those of the
 * prefix, n >= 1 of them in an array with room for whole blocks; it is used up. sum: of their
 * exponentials. O(n) whatever the values.
 */
plk_boundary plk_find_boundary(const plk_view *view, float *values, uint32_t n, double sum,
                               plk_mass needed);

/*
 * Keeps the shortest prefix of the tokens, nearest to the stored logit max + center first, whose
 * probability is > p, and at least min_keep tokens. Between equal distances the larger logit comes
 * first, between equal logits the lower token. mass: of all tokens. center <= 0.
 */
void plk_view_keep_nearest(plk_view *view, double center, plk_mass mass, double p,
                           uint32_t min_keep);

#endif
