/*
 * Sums over the tokens of a view: masses, the entropy, the spread of the logits, how many tokens
 * are possible.
 *
 * Mass is an integer. The sum of a block's exponentials, 64 at most, becomes the nearest multiple
 * of 2^-39, and masses of blocks are added as 64-bit integers: exactly, for up to 2^24 tokens. So a
 * mass does not depend on the order of the blocks or on how they were divided into parts.
 *
 * Parts. A view of a slice, which begins at a multiple of PLK_BLOCK tokens (of 1024 where a moment
 * is wanted), says what its own blocks have, relative to view->max, which must be the largest logit
 * of the whole row. The whole row has the sum. What follows from sums, plk_moment_mean() and the
 * like, takes them as numbers.
 */
#ifndef PLK_MASS_H
#define PLK_MASS_H

#include "base/exact_sum.h"
#include "select/view.h"

/* The nearest multiple of 2^-39 to a sum of 0 to 64: in [2^13, 2^14) a double has that unit. */
static inline plk_mass plk_mass_make(double sum)
{
    double shifted = sum + 0x1.8p13, magic = 0x1.8p13;
    uint64_t bits, zero;
    memcpy(&bits, &shifted, sizeof bits);
    memcpy(&zero, &magic, sizeof zero);
    return bits - zero;
}

static inline double plk_mass_value(plk_mass mass)
{
    return (double)mass * 0x1p-39;
}

/* e[i] = exp(logit - max logit) of the stored logits x, 64 * n_blocks of them; e may be x. */
void plk_view_exp_values(const plk_view *view, const float *x, uint32_t n_blocks, float *e);

/* Both of one block whose first n stored logits are x and whose others are -inf: e as above, and
 * their sum as plk_view_exp_sums() gives it. */
double plk_view_exp_block(const plk_view *view, const float *x, uint32_t n, float *e);

/* sums[b] = the sum of the exponentials of block b, as they are taken above. */
void plk_view_exp_sums(const plk_view *view, const float *x, uint32_t n_blocks, double *sums);

/* Both over a whole compact view: e has room for its blocks. Returns the mass. */
plk_mass plk_view_exp_all(const plk_view *view, float *e);

/* The mass of all tokens: the sum of exp(logit - max logit), from 1 to n of them. */
plk_mass plk_view_mass(const plk_view *view);

/* The same as a double. */
double plk_view_normaliser(const plk_view *view);

/* Whether all that tells the view from the logits as they came are edits and the scale: then both
 * have most of their block sums in common. */
bool plk_view_is_only_edited(const plk_view *view);

/* The mass of all tokens, and the sum of every block in the scratch memory's block_sums. */
plk_mass plk_view_block_sums(const plk_view *view);

/* The mass of 64 * n_blocks stored logits x, whole blocks of the view, of which those below the
 * threshold do not count; -FLT_MAX: all count. */
plk_mass plk_view_mass_of(const plk_view *view, const float *x, uint32_t n_blocks, float threshold);

/* The mass of the tokens with low <= stored logit < high: block by block as everywhere, so that it
 * is that of all from -FLT_MAX to INFINITY. Never falls when the range grows. For a dense view it
 * costs the blocks that reach low, whose list replaces the scratch memory's block_ids. */
plk_mass plk_view_mass_between(const plk_view *view, float low, float high);

/* The mass of a single token with this stored logit. */
plk_mass plk_view_mass_of_one(const plk_view *view, float stored);

/* How many tokens below this one have the stored logit. As plk_view_mass_between(). */
size_t plk_view_n_equal_before(const plk_view *view, float stored, uint32_t token);

/* The sum of the exponentials of 64 * n_blocks stored logits x >= threshold, in any order, which
 * differs from the mass of their tokens by what plk_mass_is_clear() allows for. */
double plk_view_sum_from(const plk_view *view, const float *x, uint32_t n_blocks, float threshold);
double plk_view_sum_of(const plk_view *view, const float *x, uint32_t n_blocks);

/*
 * The mass that a prefix of the tokens, best first, has to reach: at least p of the total for
 * top-p, more than p of it for typical. What misses p by no more than the rounding of logits
 * reaches p, and does not exceed it.
 */
plk_mass plk_mass_at_least(double p, plk_mass total);
plk_mass plk_mass_above(double p, plk_mass total);

/* Of n_equal tokens with the mass each, behind a prefix with the mass before: how many more belong
 * to it, at least 1. Each of them does while the mass before it is below the one needed. */
uint32_t plk_mass_n_equal(plk_mass before, plk_mass each, plk_mass needed, uint32_t n_equal);

/*
 * Whether a sum of exponentials in double tells on which side of the one needed the mass is. Both
 * are sums of the same exponentials, each with a relative error of 2 * 2^-24, and the mass is
 * rounded by 2^-40 per block. One 2^-24 more covers the additions in double.
 */
bool plk_mass_is_clear(const plk_view *view, double sum, plk_mass needed);

/* The end of a prefix that consists of the tokens with low <= stored logit < high and of the first
 * n_equal with the stored logit value, which is not in this range. */
typedef struct plk_band {
    float low, high, value;
    uint32_t n_equal;
} plk_band;

/* How many of the n_equal tokens with the value of the band belong to the prefix with the mass
 * needed, at least 1. sum: of the exponentials in the band's range, which usually tell; else their
 * mass is computed. */
uint32_t plk_view_n_equal_kept(const plk_view *view, const plk_band *band, double sum,
                               plk_mass needed, uint32_t n_equal);

/* The places first <= i < end of n >= 1 sorted values that equal the first value that reaches the
 * mass, or the last one. sums[i]: what reaches() is given for a value whose last place is i. It is
 * asked by halving, because an answer may cost a pass over blocks. */
typedef struct plk_equal_values {
    uint32_t first, end;
} plk_equal_values;

plk_equal_values plk_find_reaching(const float *values, const double *sums, uint32_t n,
                                   bool (*reaches)(const void *search, float value, double sum),
                                   const void *search);

/* Over how many blocks the mass of the row is added up. */
static inline uint32_t plk_view_n_summed(const plk_view *view)
{
    return view->compact ? plk_view_n_blocks(view) : view->scratch->n_blocks;
}

/* Of the blocks of a dense view whose maximum lies in [low, high), which are then listed in the
 * scratch memory's block_ids: */
typedef struct plk_blocks_mass {
    plk_mass all;  /* of all their tokens */
    plk_mass from; /* of those with a stored logit >= threshold; 0 if that is +inf */
    double maxima; /* sum of the exponentials of their maxima */
    uint32_t n;    /* how many blocks */
} plk_blocks_mass;

plk_blocks_mass plk_view_blocks_mass(const plk_view *view, float low, float high, float threshold);

/* Adds the sum of (stored logit - max) exp(logit - max logit) to moment; returns the mass of all
 * tokens. */
plk_mass plk_view_moment(const plk_view *view, plk_exact_sum *moment);

/* The mean of stored logit - max, each token weighted by its probability; <= 0. The plain mean of
 * the logits is part of plk_spread. */
double plk_moment_mean(const plk_exact_sum *moment, plk_mass mass);

/* -sum of p ln p in nats, of a view with this scale. */
double plk_moment_entropy(const plk_exact_sum *moment, plk_mass mass, double scale);

/* The same of a view, and the normaliser on the way. */
double plk_view_entropy(const plk_view *view, double *normaliser);

/* ln p of a token; costs a normaliser. */
double plk_view_logprob(const plk_view *view, uint32_t token);

/* How many tokens are above -inf. */
uint32_t plk_view_n_candidates(const plk_view *view);

/* Of a view of a slice: what its blocks alone have. */
plk_mass plk_view_mass_own(const plk_view *view);
plk_mass plk_view_moment_own(const plk_view *view, plk_exact_sum *moment);
uint32_t plk_view_n_candidates_own(const plk_view *view);

/* How many tokens have a positive probability, as pluck_sampler_distribution() defines it. */
uint32_t plk_view_count(const plk_view *view);

/* The smallest stored logit whose token has a positive probability. */
float plk_view_least(const plk_view *view);

/* logit - max logit of a stored logit. */
double plk_view_below_max(const plk_view *view, float stored);

/* The probability of a token with this stored logit, which is at least plk_view_least(), as
 * pluck_sampler_distribution() reports it: never 0. */
float plk_view_prob(const plk_view *view, float stored, double normaliser);

/* The spreads of groups of PLK_MOMENTS_BLOCKS blocks, counted from token 0: where they end, and
 * groups[i] = that of group first + i, n of them. A slice has to begin with a group. */
uint32_t plk_view_n_spreads(const plk_view *view);
void plk_view_spreads(const plk_view *view, uint32_t first, uint32_t n, plk_spread *groups);

/* Adds next to all, which is {0} at first. The result depends on the order: that of the groups. */
void plk_spread_join(plk_spread *all, const plk_spread *next);

/* The population standard deviation; n >= 1. */
double plk_spread_deviation(const plk_spread *all);

/* The same of the stored logits above -inf of a view. */
double plk_view_deviation(const plk_view *view);

/* For a dense view: a threshold below which all tokens together probably have at most the mass, in
 * units of exp(logit - max logit), and not much less. Whoever uses it has to check: the sample can
 * mislead. */
float plk_view_tail_below(const plk_view *view, double mass);

#endif
