/*
 * The draw "gumbel" as an exponential race: token i arrives at E_i / exp(logit_i), with E_i
 * independent and exponentially distributed, and the first one wins. It wins with probability
 * proportional to exp(logit_i); the same as the largest logit_i - ln E_i (Gumbel-max).
 *
 * The noise. For the 64 tokens of a block b of the vocabulary it is made from its minimum:
 *     E_min = -ln u(b) / 64      the minimum of 64 exponential variables
 *     j                          which of the 64 tokens has it, uniform
 *     E_i   = E_min              for i = j
 *     E_i   = E_min - ln u(i)    for the others, because an exponential variable has no memory
 * So one number bounds a whole block (the simplest case of C. Maddison, D. Tarlow, T. Minka, "A*
 * sampling", 2014). Noise belongs to the token, removed or not: given the noise, the winner is a
 * function of the logits of the survivors alone.
 *
 * The winner is the token with the largest h + l as a real number, h = scale * logit rounded to
 * double, l = -ln E rounded to double, then the lower token. That order needs no common origin, so
 * that winners of parts of a vocabulary can be compared.
 *
 * Lazily: the kernels bound every block's earliest arrival from below without a logarithm. The
 * block with the least bound races first, then those whose bound is below the best arrival so far.
 * In a block only tokens race whose own bound is. Exponentials are floats, so bounds keep a margin
 * of 2^-14, which is above twice their error: 2^-24 of an exponent of at most 87, that is 2^-17.
 * A token 46 nats below the best cannot win, since E is in [2^-59, 38]: that exponentials below
 * 2^-125 are 0 has no effect.
 */
#include "select/pick.h"

#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"
#include "simd/philox.h"

#include <float.h>
#include <math.h>

enum { MAX_SORTED = 10 }; /* blocks that race in the order of their bounds, after the first */
enum { BLOCK_HIGH = 0, BLOCK_LOW = 1, TOKEN_HIGH = 3, TOKEN_LOW = 4 };

static const float margin = 1.0f + 0x1p-14f;
static const float NEAR = 3.0f;

typedef struct race {
    const plk_view *view;
    const uint32_t *excluded; /* tokens that do not run */
    uint32_t n_excluded;
    double scale; /* beyond 1e200 only the order of the logits matters, and h stays finite */
    float limit;  /* no later arrival can win */
    bool has_winner;
    uint32_t token;
    double h, l;
} race;

/* The noise of a block: its minimum, and the token that has it. */
typedef struct block_noise {
    uint32_t block; /* UINT32_MAX: none yet */
    double least;
    uint32_t first; /* the token */
} block_noise;

static block_noise noise_of_block(const plk_noise *noise, uint32_t block)
{
    uint32_t high = plk_noise_word(noise, BLOCK_HIGH, block);
    uint32_t low = plk_noise_word(noise, BLOCK_LOW, block);
    return (block_noise){.block = block,
                         .least = plk_noise_exponential(high, low) / PLK_BLOCK,
                         .first = block * PLK_BLOCK + low % PLK_BLOCK};
}

/* Whether h + l comes before the winner: sums without error (D. E. Knuth's TwoSum) are compared
 * first by the rounded sum, then by what rounding left. */
static bool is_ahead(const race *r, double h, double l, uint32_t token)
{
    double own = h + l, own_part = own - h;
    double own_rest = (h - (own - own_part)) + (l - own_part);
    double best = r->h + r->l, best_part = best - r->h;
    double best_rest = (r->h - (best - best_part)) + (r->l - best_part);
    if (own != best)
        return own > best;
    return own_rest != best_rest ? own_rest > best_rest : token < r->token;
}

/* e is the token's exponential, above 0. */
static void enter(race *r, uint32_t token, float stored, double noise, float e)
{
    for (uint32_t i = 0; i < r->n_excluded; i++)
        if (r->excluded[i] == token)
            return;
    double h = r->scale * (double)stored, l = -plk_log(noise);
    if (r->has_winner && !is_ahead(r, h, l, token))
        return;
    r->has_winner = true;
    r->token = token;
    r->h = h;
    r->l = l;
    float arrival = (float)noise / e * margin;
    r->limit = arrival < r->limit ? arrival : r->limit;
}

/* Enters the token unless its noise is too large. Most are told by the high word alone: with u <
 * 1 - v, -ln u is above v + v^2 / 2. */
static void try_token(race *r, uint32_t token, float stored, float e, const block_noise *block)
{
    const plk_noise *noise = &r->view->noise;
    double limit = (double)r->limit * (double)e;
    if (block->least > limit)
        return;
    if (token == block->first) {
        enter(r, token, stored, block->least, e);
        return;
    }
    uint32_t high = plk_noise_word(noise, TOKEN_HIGH, token);
    double v = (double)(UINT32_MAX - high) * 0x1p-32;
    if (block->least + v * (1.0 + 0.5 * v) > limit)
        return;
    uint32_t low = plk_noise_word(noise, TOKEN_LOW, token);
    enter(r, token, stored, block->least + plk_noise_exponential(high, low), e);
}

/* Few tokens of a block can win even with the least noise of the block; they are found by their
 * exponentials. If they are many, bounds of their own noise find those that can. */
static void race_block(race *r, uint32_t block)
{
    enum { FEW = 3 };
    const plk_view *view = r->view;
    const plk_noise *noise = &view->noise;
    float buffer[PLK_BLOCK], e[PLK_BLOCK], bounds[PLK_BLOCK], found[PLK_BLOCK + PLK_SLACK];
    uint32_t ids[PLK_BLOCK + PLK_SLACK];
    const float *x = plk_view_block(view, block, buffer);
    block_noise of_block = noise_of_block(noise, block);
    float least = (float)of_block.least * (1.0f - 0x1p-20f);
    plk_view_exp_values(view, x, 1, e);
    float smallest = least / r->limit;
    smallest = smallest > FLT_MIN ? smallest : FLT_MIN;
    size_t n = view->kernels->gather(e, PLK_BLOCK, smallest, INFINITY, 0, ids, found);
    if (n > FEW) {
        uint32_t first = of_block.first % PLK_BLOCK;
        view->kernels->race_bounds(noise, TOKEN_HIGH, block, 1, least, 1.0f, e, bounds);
        bounds[first] = -least / (e[first] > FLT_MIN ? e[first] : FLT_MIN);
        float limit = r->limit < FLT_MAX ? r->limit : FLT_MAX;
        n = view->kernels->gather(bounds, PLK_BLOCK, -limit, INFINITY, 0, ids, found);
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t token = block * PLK_BLOCK + ids[i];
        float of_token = e[ids[i]];
        if (of_token > 0.0f)
            try_token(r, token, plk_float_at(x, ids[i]), of_token, &of_block);
    }
}

/* Drops the blocks whose bound is behind the limit, and puts the best one last. Returns how many
 * are left. */
static uint32_t bring_last(const race *r, uint32_t *blocks, float *bounds, uint32_t n)
{
    uint32_t n_left = 0, best = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (bounds[i] < -r->limit)
            continue;
        bounds[n_left] = bounds[i];
        blocks[n_left] = blocks[i];
        best = bounds[n_left] > bounds[best] ? n_left : best;
        n_left++;
    }
    if (n_left == 0)
        return 0;
    uint32_t block = blocks[best];
    float bound = bounds[best];
    blocks[best] = blocks[n_left - 1];
    bounds[best] = bounds[n_left - 1];
    blocks[n_left - 1] = block;
    bounds[n_left - 1] = bound;
    return n_left;
}

/* The blocks whose bound is in [low, high), the best first. */
static void race_between(race *r, const float *bounds, float low, float high)
{
    plk_scratch *w = r->view->scratch;
    uint32_t n = (uint32_t)r->view->kernels->gather(bounds, w->n_blocks, low, high, 0, w->block_ids,
                                                    w->block_spare);
    for (uint32_t i = 0; n > 0; i++) {
        if (i < MAX_SORTED)
            n = bring_last(r, w->block_ids, w->block_spare, n);
        if (n > 0 && w->block_spare[--n] >= -r->limit)
            race_block(r, w->block_ids[n]);
    }
}

static void race_dense(race *r)
{
    const plk_view *view = r->view;
    plk_scratch *w = view->scratch;
    uint32_t n_groups = (w->n_blocks + PLK_BLOCK - 1) / PLK_BLOCK;
    float *bounds = w->weights;
    plk_view_exp_values(view, w->block_max, n_groups, bounds);
    view->kernels->race_bounds(&view->noise, BLOCK_HIGH, 0, n_groups, 0.0f, 1.0f / PLK_BLOCK,
                               bounds, bounds);
    /* The best bounds first: when their blocks have raced, the limit leaves few of the others. */
    float best = view->kernels->max(bounds, n_groups);
    float near = best * NEAR;
    race_between(r, bounds, near, INFINITY);
    race_between(r, bounds, r->limit < FLT_MAX ? -r->limit : -FLT_MAX, near);
}

/* The candidates of one block of a compact view that may win. */
static void race_candidates(race *r, uint32_t first, block_noise *of_block)
{
    const plk_view *view = r->view;
    float buffer[PLK_BLOCK], e[PLK_BLOCK];
    const float *x = plk_view_block(view, first / PLK_BLOCK, buffer);
    plk_view_exp_values(view, x, 1, e);
    for (uint32_t i = 0; i < PLK_BLOCK && first + i < view->n; i++) {
        uint32_t token = view->scratch->ids[first + i];
        if (e[i] <= 0.0f)
            continue;
        if (token / PLK_BLOCK != of_block->block)
            *of_block = noise_of_block(&view->noise, token / PLK_BLOCK);
        try_token(r, token, plk_float_at(x, i), e[i], of_block);
    }
}

/* The block with the best candidate goes first, so that most others need no noise of their own. */
static void race_compact(race *r)
{
    const plk_view *view = r->view;
    block_noise of_block = {.block = UINT32_MAX};
    uint32_t best = 0;
    while (view->scratch->values[best] < view->max)
        best++;
    best -= best % PLK_BLOCK;
    race_candidates(r, best, &of_block);
    for (uint32_t first = 0; first < view->n; first += PLK_BLOCK)
        if (first != best)
            race_candidates(r, first, &of_block);
}

plk_arrival plk_view_race(const plk_view *view, const uint32_t *excluded, uint32_t n_excluded)
{
    race r = {.view = view,
              .excluded = excluded,
              .n_excluded = n_excluded,
              .scale = view->scale < 1e200 ? view->scale : 1e200,
              .limit = INFINITY};
    if (view->compact)
        race_compact(&r);
    else
        race_dense(&r);
    return (plk_arrival){.is_there = r.has_winner, .token = r.token, .score = r.h + r.l};
}

/* Tokens arrive one after the other until one is in the nucleus. */
uint32_t plk_view_race_nucleus(const plk_view *dense, plk_view *view)
{
    uint32_t outside[PLK_PICK_MAX_REJECTED];
    plk_nucleus_bounds bounds = {0};
    if (view->deferred.p > 0.0)
        plk_nucleus_bounds_init(dense, &bounds);
    for (uint32_t i = 0; i < PLK_PICK_MAX_REJECTED; i++) {
        outside[i] = plk_view_race(dense, outside, i).token;
        if (plk_in_nucleus(dense, view, &bounds, outside[i]))
            return outside[i];
    }
    plk_view_settle(view);
    return plk_view_race(view, NULL, 0).token;
}
