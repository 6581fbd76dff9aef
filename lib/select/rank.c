/*
 * Ranks of given tokens in one pass. The tokens asked for are sorted, best first; then each piece
 * of the row, some blocks long, tells how many of its values come before which of them. A piece
 * whose maximum is below all that is asked for is not read, so that the rank of a probable token
 * costs little more than the block maxima.
 *   few are asked for    the values that reach each of them are counted, a kernel a time. Equal
 *                        values count where their token is lower.
 *   many                 each value that reaches the last of them is placed among them, and the
 *                        counts are added up in the end. A table of evenly spaced limits says where
 *                        to look, so that placing takes a step or two.
 * Both give integers, so that which one is taken changes nothing.
 */
#include "select/keep.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    FEW = 64,        /* to be counted one by one in a piece */
    BINS_A_KEY = 16, /* few values then share a bin with a key */
    N_PIECE = PLK_RUN_BLOCKS * PLK_BLOCK
};

typedef struct ranking {
    const plk_view *view;
    /* [n + 1] asked for, best first, each once, those at -inf as one; the last is 0. */
    const plk_key *keys;
    uint32_t n;
    uint32_t *n_better; /* [n] counted */
    uint32_t *n_placed; /* [n + 1] better than this key and those behind it */
    uint32_t n_finite;  /* keys above -inf */
    uint32_t n_bins;    /* 0: not made yet */
    float top, bins_a_unit;
    uint32_t *first; /* [n_bins + 1] the first key of each bin; in the memory of picks */
} ranking;

static plk_key key_of(const plk_view *view, uint32_t token)
{
    float stored = plk_view_stored(view, token);
    return plk_key_of(stored, stored > -INFINITY ? token : 0);
}

/* Nothing is lost where a difference overflows: larger values never have a later bin. */
static uint32_t bin_of(const ranking *r, float value)
{
    float bin = (r->top - value) * r->bins_a_unit;
    uint32_t last = r->n_bins - 1;
    if (!(bin < (float)last))
        return last;
    return bin > 0.0f ? (uint32_t)(int32_t)bin : 0;
}

static void make_bins(ranking *r)
{
    uint32_t most = 2 * PLK_PICKS_ARRAYS * r->view->scratch->n_blocks - 1;
    r->first = (uint32_t *)(void *)r->view->scratch->picks;
    r->n_bins = r->n < most / BINS_A_KEY ? r->n * BINS_A_KEY : most;
    r->top = plk_key_logit(r->keys[0]);
    float range = r->n_finite > 0 ? r->top - plk_key_logit(r->keys[r->n_finite - 1]) : 0.0f;
    r->bins_a_unit = range > 0.0f ? (float)r->n_bins / range : 0.0f;
    if (!(r->bins_a_unit <= FLT_MAX))
        r->bins_a_unit = 0.0f;
    uint32_t bin = 0;
    for (uint32_t i = 0; i < r->n_finite; i++)
        for (uint32_t end = bin_of(r, plk_key_logit(r->keys[i])); bin <= end; bin++)
            r->first[bin] = i;
    for (; bin <= r->n_bins; bin++)
        r->first[bin] = r->n_finite;
}

/* The first of the keys low .. high - 1 that is below this one; high if none is. */
static uint32_t find_key(const plk_key *keys, uint32_t low, uint32_t high, plk_key key)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (keys[middle] >= key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Of the values from an index on, how many belong to tokens below this one. */
static uint32_t count_before(const plk_view *view, uint32_t index, uint32_t n, uint32_t token)
{
    if (!view->compact)
        return token <= index ? 0 : token - index < n ? token - index : n;
    uint32_t low = 0, high = index + n < view->n ? n : view->n - index;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (view->scratch->ids[index + middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Of the blocks, how many values are larger, or equal and among the first n_before. */
static size_t count_better(const plk_view *view, const float *x, uint32_t n_blocks,
                           uint32_t n_before, float value)
{
    float equal = value > -FLT_MAX ? value : -FLT_MAX, above = nextafterf(value, INFINITY);
    uint32_t block = n_before / PLK_BLOCK, rest = n_before % PLK_BLOCK;
    size_t n = view->kernels->count(x, block, equal);
    if (rest > 0) {
        for (uint32_t i = 0; i < PLK_BLOCK; i++)
            n += plk_float_at(x, (size_t)block * PLK_BLOCK + i) >= (i < rest ? equal : above);
        block++;
    }
    return n + view->kernels->count(x + (size_t)block * PLK_BLOCK, n_blocks - block, above);
}

static void count_piece(ranking *r, const float *x, uint32_t index, uint32_t n_blocks,
                        uint32_t first_key)
{
    for (uint32_t i = first_key; i < r->n; i++) {
        uint32_t n_before =
            count_before(r->view, index, n_blocks * PLK_BLOCK, plk_key_token(r->keys[i]));
        r->n_better[i] +=
            (uint32_t)count_better(r->view, x, n_blocks, n_before, plk_key_logit(r->keys[i]));
    }
}

static void place_piece(ranking *r, const float *x, uint32_t index, uint32_t n_blocks)
{
    uint32_t indexes[N_PIECE + PLK_SLACK];
    float values[N_PIECE + PLK_SLACK];
    if (r->n_bins == 0)
        make_bins(r);
    const uint32_t *ids = r->view->compact ? r->view->scratch->ids : NULL;
    float low = r->n_finite == r->n ? plk_key_logit(r->keys[r->n - 1]) : -FLT_MAX;
    size_t n = r->view->kernels->gather(x, (size_t)n_blocks * PLK_BLOCK, low, INFINITY, index,
                                        indexes, values);
    for (size_t i = 0; i < n; i++) {
        plk_key key = plk_key_of(values[i], ids ? ids[indexes[i]] : indexes[i]);
        uint32_t bin = bin_of(r, values[i]);
        uint32_t place = r->first[bin], n_here = r->first[bin + 1] - place;
        /* No branch for bins of one key or none: which ones values meet cannot be predicted. */
        if (n_here > 1)
            place = find_key(r->keys, place, place + n_here, key);
        else
            place += n_here & (uint32_t)(r->keys[place] >= key);
        r->n_placed[place]++;
    }
}

/* The largest value of the blocks, or more. */
static float bound_of(const plk_view *view, uint32_t block, uint32_t n_blocks)
{
    float max = view->compact ? view->max : -INFINITY;
    for (uint32_t b = block; b < block + n_blocks && !view->compact; b++)
        max = view->scratch->block_max[b] > max ? view->scratch->block_max[b] : max;
    return max;
}

static void read_row(ranking *r)
{
    const plk_view *view = r->view;
    float buffer[N_PIECE];
    uint32_t n_blocks = plk_view_n_blocks(view);
    for (uint32_t block = 0, n; block < n_blocks; block += n) {
        n = n_blocks - block < PLK_RUN_BLOCKS ? n_blocks - block : PLK_RUN_BLOCKS;
        float bound = bound_of(view, block, n);
        uint32_t first_key = find_key(r->keys, 0, r->n, plk_key_of(bound, 0));
        if (first_key == r->n || bound == -INFINITY)
            continue;
        const float *x = plk_view_blocks(view, block, &n, buffer);
        if (r->n - first_key <= FEW)
            count_piece(r, x, block * PLK_BLOCK, n, first_key);
        else
            place_piece(r, x, block * PLK_BLOCK, n);
    }
}

/* Drops repeated keys; returns how many are left. */
static uint32_t drop_repeated(plk_key *keys, uint32_t n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (kept == 0 || keys[i] != keys[kept - 1])
            keys[kept++] = keys[i];
    return kept;
}

/* Of at most n_vocab tokens. */
static void rank(const plk_view *view, const int32_t *tokens, uint32_t n, uint32_t *ranks)
{
    plk_scratch *w = view->scratch;
    for (uint32_t i = 0; i < n; i++)
        w->keys[i] = key_of(view, (uint32_t)tokens[i]);
    plk_key_sort_any(w->keys, n, w->spare);
    ranking r = {.view = view, .keys = w->keys, .n = drop_repeated(w->keys, n)};
    r.n_finite = r.n - (plk_key_logit(r.keys[r.n - 1]) == -INFINITY);
    w->keys[r.n] = 0;
    r.n_better = (uint32_t *)(void *)w->spare;
    r.n_placed = r.n_better + r.n;
    memset(r.n_better, 0, (2 * (size_t)r.n + 1) * sizeof *r.n_better);
    read_row(&r);
    uint32_t n_placed = 0;
    for (uint32_t i = 0; i < r.n; i++) {
        n_placed += r.n_placed[i];
        r.n_better[i] += n_placed;
    }
    for (uint32_t i = 0; i < n; i++)
        ranks[i] = r.n_better[find_key(r.keys, 0, r.n, key_of(view, (uint32_t)tokens[i])) - 1];
}

void plk_view_ranks(const plk_view *view, const int32_t *tokens, size_t n, uint32_t *ranks)
{
    uint32_t most = view->scratch->n_vocab;
    for (size_t done = 0; done < n; done += most) {
        size_t left = n - done;
        rank(view, tokens + done, (uint32_t)(left < most ? left : most), ranks + done);
    }
}
