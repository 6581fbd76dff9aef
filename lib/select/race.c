/*
 * The draw "gumbel" as an exponential race: token i arrives at E_i / exp(logit_i), with E_i
 * independent and exponentially distributed, and the first one wins. It wins with probability
 * proportional to exp(logit_i); the same as the largest logit_i - ln E_i (Gumbel-max).
 *
 * The noise. For the 64 tokens of a block b of the vocabulary it is made from its two least values:
 *     first  = -ln u(b) / 64             the minimum of 64 exponential variables
 *     second = first - ln v(b) / 64
 *     E_i    = first                     for i = j, uniform among the 64
 *     E_i    = second                    for i = k, uniform among the 64, unless k = j
 *     E_i    = second - ln u(i)          for the others
 * An exponential variable has no memory: the distances of the other 63 from the minimum are 63
 * exponential variables again. They are taken from 64 new ones, of which that of place j is left
 * out, and which are made from their minimum in the same way. So one number bounds a whole block,
 * and a second one nearly always tells that only j can win in it (top-down as in C. Maddison, D.
 * Tarlow, T. Minka, "A* sampling", 2014). Noise belongs to the token, removed or not: given the
 * noise, the winner is a function of the logits of the survivors alone.
 *
 * The winner is the token with the largest h + l as a real number, h = scale * logit rounded to
 * double, l = -ln E rounded to double, then the lower token. That order needs no common origin, so
 * that winners of parts of a vocabulary can be compared.
 *
 * Lazily: the kernels bound every block's best score from above without a logarithm. The block with
 * the largest bound races first, and so on until no bound reaches the best score so far. What a
 * token needs in order to win is then a number that its logit is compared with.
 *
 * Bounds and the limit are logarithms to the base 2 of scores, relative to the largest logit. E is
 * in [2^-59, 38], so that only logits within 65 of the largest can win; there the floats of bounds
 * are within 2^-15, and the limit keeps twice that as a margin. Further down, which matters only
 * where the best tokens are excluded, their error is below 2^-22 of their magnitude.
 */
#include "select/pick.h"

#include "base/scalar_math.h"
#include "select/keep.h"
#include "simd/philox.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { BLOCK_FIRST, BLOCK_REST, TOKEN_HIGH, TOKEN_LOW }; /* purposes of random words */

enum { COLUMNS = 16 }; /* in which the bounds of 64 blocks lie for race_bounds() */

static const double log2_e = 0x1.71547652b82fep+0;

typedef struct race {
    const plk_view *view;
    const uint32_t *excluded; /* tokens that do not run */
    uint32_t n_excluded;
    double scale; /* beyond 1e200 only the order of the logits matters, and h stays finite */
    double rate;  /* scale / ln 2 */
    double limit; /* a lower score cannot win */
    plk_arrival best;
} race;

/* The noise of a block, as far as it is known. */
typedef struct block_noise {
    uint32_t block;
    uint32_t
        first_high; /* the words of u(b) and v(b): the low 6 bits of the low ones are j and k */
    bool has_rest;  /* whether what follows is known */
    uint32_t first_low, second_high, second_low;
    double first, second; /* a little less than they are */
} block_noise;

/* -ln u is at least this, whatever the low word is: with u < 1 - v, it is above v + v^2 / 2. */
static double least_exponential(uint32_t high)
{
    double v = (double)(UINT32_MAX - high) * 0x1p-32;
    return v * (1.0 + 0.5 * v);
}

static block_noise noise_of_block(const race *r, uint32_t block)
{
    uint32_t high = plk_noise_word(&r->view->noise, BLOCK_FIRST, block);
    return (block_noise){
        .block = block, .first_high = high, .first = least_exponential(high) / PLK_BLOCK};
}

static void find_rest(const race *r, block_noise *noise)
{
    uint32_t words[4];
    plk_noise_words(&r->view->noise, BLOCK_REST, noise->block, words);
    noise->has_rest = true;
    noise->first_low = words[0];
    noise->second_high = words[1];
    noise->second_low = words[2];
    noise->second = noise->first + least_exponential(words[1]) / PLK_BLOCK;
}

static double exact_first(const block_noise *noise)
{
    return plk_noise_exponential(noise->first_high, noise->first_low) / PLK_BLOCK;
}

static double exact_second(const block_noise *noise)
{
    return exact_first(noise) +
           plk_noise_exponential(noise->second_high, noise->second_low) / PLK_BLOCK;
}

/* h + l without error (D. E. Knuth's TwoSum): the rounded sum, and what rounding left. */
static double score_of(const plk_arrival *a, double *rest)
{
    double sum = a->h + a->l, part = sum - a->h;
    *rest = (a->h - (sum - part)) + (a->l - part);
    return sum;
}

bool plk_arrival_is_before(const plk_arrival *a, const plk_arrival *b)
{
    double rest_a, rest_b;
    double a_score = score_of(a, &rest_a), b_score = score_of(b, &rest_b);
    if (!a->is_there || !b->is_there)
        return a->is_there;
    if (a_score != b_score)
        return a_score > b_score;
    return rest_a != rest_b ? rest_a > rest_b : a->token < b->token;
}

static void enter(race *r, uint32_t token, float stored, double noise)
{
    for (uint32_t i = 0; i < r->n_excluded; i++)
        if (r->excluded[i] == token)
            return;
    plk_arrival a = {true, token, r->scale * (double)stored, -plk_log(noise)};
    if (!plk_arrival_is_before(&a, &r->best))
        return;
    double score = r->rate * ((double)stored - (double)r->view->max) + a.l * log2_e;
    r->limit = score - (0x1p-14 + fabs(score) * 0x1p-21);
    r->best = a;
}

/* log2 of x > 0 from its bits, with the exponent before the point: at most 0.087 too low, because
 * log2(1 + m) >= m. */
static double exponent_of(double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (double)bits * 0x1p-52 - 1023.0;
}

/* False if a token loses with this stored logit and noise, and with any larger noise. */
static bool can_win(const race *r, float stored, double noise)
{
    return r->rate * ((double)stored - (double)r->view->max) - exponent_of(noise) > r->limit;
}

/* The least stored logit for which can_win() is true, or a little less. */
static float least_to_win(const race *r, double noise)
{
    double least = (double)r->view->max + (r->limit + exponent_of(noise)) / r->rate;
    least -= fabs(least) * 0x1p-22;
    if (least > (double)FLT_MAX)
        return INFINITY;
    return least > -(double)FLT_MAX ? (float)least : -FLT_MAX;
}

/* A token that has neither the first nor the second noise of its block. */
static void try_other(race *r, uint32_t token, float stored, const block_noise *noise)
{
    const plk_noise *words = &r->view->noise;
    uint32_t high = plk_noise_word(words, TOKEN_HIGH, token);
    if (!can_win(r, stored, noise->second + least_exponential(high)))
        return;
    uint32_t low = plk_noise_word(words, TOKEN_LOW, token);
    enter(r, token, stored, exact_second(noise) + plk_noise_exponential(high, low));
}

static plk_race_terms terms_with(const race *r, double base, double share)
{
    return (plk_race_terms){.noise = r->view->noise,
                            .origin = r->view->max,
                            .rate = (float)(r->rate < (double)FLT_MAX ? r->rate : (double)FLT_MAX),
                            .base = (float)base,
                            .share = (float)share};
}

/* The tokens x of a block that could win with its second noise. If they are many, bounds of their
 * own noise find those that can. It does not matter that the tokens of the first and the second
 * noise are among them: they have entered with less. */
static void race_others(race *r, const float *x, const block_noise *noise)
{
    enum { FEW = 6 };
    const plk_kernels *kernels = r->view->kernels;
    float bounds[PLK_BLOCK], found[PLK_BLOCK + PLK_SLACK];
    uint32_t ids[PLK_BLOCK + PLK_SLACK];
    float least = least_to_win(r, noise->second);
    size_t n = kernels->gather(x, PLK_BLOCK, least, INFINITY, 0, ids, found);
    if (n > FEW && r->limit > -(double)FLT_MAX) {
        plk_race_terms terms = terms_with(r, noise->second, 1.0);
        kernels->race_bounds(&terms, TOKEN_HIGH, noise->block, 1, x, bounds, found);
        n = kernels->gather(bounds, PLK_BLOCK, (float)r->limit, INFINITY, 0, ids, found);
    }
    for (size_t i = 0; i < n; i++)
        try_other(r, noise->block * PLK_BLOCK + ids[i], plk_float_at(x, ids[i]), noise);
}

static void race_block(race *r, uint32_t block)
{
    float buffer[PLK_BLOCK];
    const float *x = plk_view_block(r->view, block, buffer);
    block_noise noise = noise_of_block(r, block);
    find_rest(r, &noise);
    uint32_t j = noise.first_low % PLK_BLOCK, k = noise.second_low % PLK_BLOCK;
    float stored = plk_float_at(x, j);
    if (can_win(r, stored, noise.first))
        enter(r, block * PLK_BLOCK + j, stored, exact_first(&noise));
    if (!can_win(r, r->view->scratch->block_max[block], noise.second))
        return;
    stored = plk_float_at(x, k);
    if (can_win(r, stored, noise.second))
        enter(r, block * PLK_BLOCK + k, stored, exact_second(&noise));
    race_others(r, x, &noise);
}

/* Blocks by their bounds, the best first. tops holds the largest bound of every four. */
static void race_dense(race *r)
{
    const plk_view *view = r->view;
    plk_scratch *w = view->scratch;
    uint32_t n_groups = (w->n_blocks + PLK_BLOCK - 1) / PLK_BLOCK, n_tops = n_groups * COLUMNS;
    float *bounds = w->weights, *tops = w->block_spare;
    plk_race_terms terms = terms_with(r, 0.0, 1.0 / PLK_BLOCK);
    view->kernels->race_bounds(&terms, BLOCK_FIRST, 0, n_groups, w->block_max, bounds, tops);
    for (; n_tops % PLK_BLOCK != 0; n_tops++)
        tops[n_tops] = -INFINITY;
    for (;;) {
        uint32_t top;
        float bound = view->kernels->find_max(tops, n_tops / PLK_BLOCK, &top);
        if (bound == -INFINITY || (double)bound < r->limit)
            break;
        uint32_t place = top / COLUMNS * PLK_BLOCK + top % COLUMNS, block = place;
        while (bounds[block] < bound)
            block += COLUMNS;
        bounds[block] = tops[top] = -INFINITY;
        for (uint32_t i = place; i < place + PLK_BLOCK; i += COLUMNS)
            tops[top] = bounds[i] > tops[top] ? bounds[i] : tops[top];
        if (w->block_max[block] > -INFINITY)
            race_block(r, block);
    }
    /* Floats do not tell such scores apart. The best tokens must be excluded. */
    for (uint32_t block = 0; r->limit < -(double)FLT_MAX && block < w->n_blocks; block++)
        if (w->block_max[block] > -INFINITY)
            race_block(r, block);
}

/* Some survivors of a compact view. */
static void race_survivors(race *r, uint32_t begin, uint32_t end)
{
    const plk_scratch *w = r->view->scratch;
    block_noise noise = {.block = UINT32_MAX};
    float least = -FLT_MAX;
    for (uint32_t i = begin; i < end; i++) {
        uint32_t token = w->ids[i], place = token % PLK_BLOCK;
        float stored = w->values[i];
        if (token / PLK_BLOCK != noise.block) {
            noise = noise_of_block(r, token / PLK_BLOCK);
            least = least_to_win(r, noise.first);
        }
        if (stored < least)
            continue;
        if (!noise.has_rest)
            find_rest(r, &noise);
        if (place == noise.first_low % PLK_BLOCK)
            enter(r, token, stored, exact_first(&noise));
        else if (!can_win(r, stored, noise.second))
            continue;
        else if (place == noise.second_low % PLK_BLOCK)
            enter(r, token, stored, exact_second(&noise));
        else
            try_other(r, token, stored, &noise);
    }
}

/* The best survivor goes first, so that most others need no noise of their own. */
static void race_compact(race *r)
{
    const plk_view *view = r->view;
    uint32_t best;
    view->kernels->find_max(view->scratch->values, plk_view_n_blocks(view), &best);
    race_survivors(r, best, best + 1);
    race_survivors(r, 0, view->n);
}

plk_arrival plk_view_race(const plk_view *view, const uint32_t *excluded, uint32_t n_excluded)
{
    double scale = view->scale < 1e200 ? view->scale : 1e200;
    race r = {.view = view,
              .excluded = excluded,
              .n_excluded = n_excluded,
              .scale = scale,
              .rate = scale * log2_e,
              .limit = -(double)INFINITY};
    if (view->compact)
        race_compact(&r);
    else
        race_dense(&r);
    return r.best;
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
