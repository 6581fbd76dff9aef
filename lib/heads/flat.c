/*
 * Draws and selections from a score of every token, with the exponentials of the kernel table.
 *
 * A draw is an inverse transform in two steps: the sums of all blocks, then the block that the
 * uniform falls into once more. Drawing without replacement takes the drawn score out and sums its
 * block again; when what is left has become small against the largest score, whose weight is 1, the
 * sums are taken anew around the largest one that is left, since weights below 2^-125 count as 0.
 *
 * A selection gathers candidates above a bound that all wanted tokens reach (the k-th largest block
 * maximum, or the threshold of min-p), makes a heap of them and takes from its top.
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"
#include "select/rules.h"

#include <float.h>
#include <stdint.h>

static size_t n_blocks_of(const pluck_head_query *query)
{
    return plk_blocks_of(query->head->n_vocab);
}

void plk_flat_open(pluck_head_query *query)
{
    plk_arrays *memory = &query->memory;
    size_t n = query->head->n_vocab, n_blocks = n_blocks_of(query);
    query->scores = plk_arrays_add(memory, n_blocks * PLK_BLOCK, sizeof *query->scores);
    query->sums = plk_arrays_add(memory, n_blocks, sizeof *query->sums);
    query->candidates = plk_arrays_add(memory, n + PLK_SLACK, sizeof *query->candidates);
    query->ids = plk_arrays_add(memory, n + PLK_SLACK, sizeof *query->ids);
    query->gathered = plk_arrays_add(memory, n + PLK_SLACK, sizeof *query->gathered);
    query->last_hidden = plk_arrays_add(memory, query->head->dim, sizeof *query->last_hidden);
    for (size_t i = n; query->scores && i < n_blocks * PLK_BLOCK; i++)
        query->scores[i] = -INFINITY;
}

pluck_status plk_flat_fail(uint32_t token, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_NAN, "head: the logit of token %u is NaN or +infinity",
                    (unsigned)token);
}

static float max_score(const pluck_head_query *query)
{
    return query->head->kernels->max(query->scores, n_blocks_of(query));
}

plk_flat_sum plk_flat_sum_of(pluck_head_query *query, const float *scores, size_t n, double beta)
{
    const plk_kernels *kernels = query->head->kernels;
    size_t n_blocks = plk_blocks_of(n);
    float max = kernels->max(scores, n_blocks);
    plk_flat_sum sum = {.log = -HUGE_VAL};
    if (max == -INFINITY)
        return sum;
    sum.exponent = plk_exponent_make(max, beta);
    kernels->exp_sums(scores, n_blocks, sum.exponent, query->sums);
    for (size_t b = 0; b < n_blocks; b++)
        sum.total += query->sums[b];
    sum.log = beta * (double)max + plk_log(sum.total);
    return sum;
}

pluck_status plk_flat_log_sum(pluck_head_query *query, double *log_sum, pluck_error *err)
{
    *log_sum = plk_flat_sum_of(query, query->scores, query->head->n_vocab, 1).log;
    return *log_sum > -HUGE_VAL ? PLUCK_OK : plk_head_fail_empty(err);
}

void plk_flat_apply_mask(pluck_head_query *query, uint32_t first, uint32_t n)
{
    for (uint32_t t = first; query->is_masked && t < first + n; t++)
        if (!plk_query_allows(query, t))
            query->scores[t] = -INFINITY;
}

uint32_t plk_flat_draw_index(const pluck_head_query *query, const float *scores, size_t n,
                             const plk_flat_sum *sum, pluck_pcg64 *rng)
{
    double at = pluck_pcg64_uniform(rng) * sum->total;
    uint32_t chosen = 0, last = 0;
    for (uint32_t b = 0; b < plk_blocks_of(n); b++) {
        if (query->sums[b] <= 0)
            continue;
        chosen = b;
        if (at < query->sums[b])
            break;
        at -= query->sums[b];
    }
    float weights[PLK_BLOCK];
    query->head->kernels->exp_values(scores + (size_t)chosen * PLK_BLOCK, 1, sum->exponent,
                                     weights);
    for (uint32_t i = 0; i < PLK_BLOCK; i++) {
        if (weights[i] <= 0)
            continue;
        last = i;
        if (at < (double)weights[i])
            break;
        at -= (double)weights[i];
    }
    return chosen * PLK_BLOCK + last;
}

pluck_status plk_flat_draw(pluck_head_query *query, plk_sampling *sampling, double log_sum,
                           pluck_pcg64 *rng, pluck_error *err)
{
    static const double SMALL = 0x1p-30;
    size_t n_vocab = query->head->n_vocab;
    plk_flat_sum sum = {.total = 0};
    uint32_t n = 0;
    while (n < sampling->k) {
        if (sum.total < SMALL)
            sum = plk_flat_sum_of(query, query->scores, n_vocab, sampling->beta);
        if (sum.log == -HUGE_VAL)
            break;
        uint32_t token = plk_flat_draw_index(query, query->scores, n_vocab, &sum, rng);
        plk_list_put(&sampling->list, n++, token, (double)query->scores[token] - log_sum);
        query->stats.n_trials++;
        if (n == sampling->k)
            break;
        query->scores[token] = -INFINITY;
        size_t block = token / PLK_BLOCK;
        query->head->kernels->exp_sums(query->scores + block * PLK_BLOCK, 1, sum.exponent,
                                       &query->sums[block]);
        sum.total = 0;
        for (size_t b = 0; b < n_blocks_of(query); b++)
            sum.total += query->sums[b];
    }
    if (n == 0)
        return plk_head_fail_empty(err);
    sampling->n = n;
    return PLUCK_OK;
}

static bool before(plk_candidate a, plk_candidate b)
{
    return plk_is_better((double)a.score, a.token, (double)b.score, b.token);
}

static void sift_down(plk_candidate *heap, size_t n, size_t i)
{
    plk_candidate moved = heap[i];
    for (size_t child = 2 * i + 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n && before(heap[child + 1], heap[child]))
            child++;
        if (!before(heap[child], moved))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moved;
}

static void make_heap(plk_candidate *heap, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        sift_down(heap, n, i);
}

static plk_candidate pop(plk_candidate *heap, size_t *n)
{
    plk_candidate top = heap[0];
    heap[0] = heap[--*n];
    if (*n > 0)
        sift_down(heap, *n, 0);
    return top;
}

/* The k-th largest block maximum: at least k scores reach it. */
static float top_k_bound(pluck_head_query *query, uint32_t k)
{
    size_t n = n_blocks_of(query);
    if (k > n)
        return -FLT_MAX;
    (void)query->head->kernels->scan_f32(query->scores, n, query->gathered);
    for (size_t b = 0; b < n; b++)
        query->candidates[b] = (plk_candidate){query->gathered[b], (uint32_t)b};
    make_heap(query->candidates, n);
    float bound = -FLT_MAX;
    for (uint32_t i = 0; i < k; i++)
        bound = pop(query->candidates, &n).score;
    return bound > -FLT_MAX ? bound : -FLT_MAX;
}

/* A bound that rounding leaves at or below the exact threshold. */
static float min_p_bound(float max, double min_p)
{
    float bound = nextafterf((float)((double)max + plk_min_p_offset(min_p)), -FLT_MAX);
    return bound > -FLT_MAX ? bound : -FLT_MAX;
}

static size_t gather(pluck_head_query *query, float bound)
{
    size_t n = query->head->kernels->gather(query->scores, query->head->n_vocab, bound, INFINITY, 0,
                                            query->ids, query->gathered);
    for (size_t i = 0; i < n; i++)
        query->candidates[i] = (plk_candidate){query->gathered[i], query->ids[i]};
    make_heap(query->candidates, n);
    return n;
}

pluck_status plk_flat_pick(pluck_head_query *query, plk_selection *selection, double log_sum,
                           pluck_error *err)
{
    float max = max_score(query);
    if (max == -INFINITY)
        return plk_head_fail_empty(err);
    bool by_mass = selection->rule == PLK_SELECT_TOP_P && selection->p < 1;
    bool by_ratio = selection->rule == PLK_SELECT_MIN_P && selection->p > 0;
    double total = HUGE_VAL;
    if (by_mass && selection->log_mass)
        total = plk_exp(*selection->log_mass - (double)max);
    else if (by_mass)
        total = plk_flat_sum_of(query, query->scores, query->head->n_vocab, 1).total;
    float bound = selection->rule == PLK_SELECT_TOP_K ? top_k_bound(query, selection->k)
                  : by_ratio                          ? min_p_bound(max, selection->p)
                                                      : -FLT_MAX;
    size_t left = gather(query, bound);
    uint32_t n = 0;
    double mass = 0;
    while (left > 0 && !(by_mass && plk_top_p_reached(mass, selection->p, total, 0.0))) {
        plk_candidate top = pop(query->candidates, &left);
        if (by_ratio && !plk_min_p_keeps((double)top.score, (double)max, selection->p))
            break;
        if (n < selection->capacity)
            plk_list_put(&selection->list, n, top.token, (double)top.score - log_sum);
        n++;
        if (by_mass)
            mass += plk_exp((double)top.score - (double)max);
        if (selection->rule == PLK_SELECT_TOP_K && n == selection->k)
            break;
    }
    selection->n = n;
    return PLUCK_OK;
}
