/*
 * A polynomial over all logits. Where it rises, a dense view stays dense: the order of tokens and
 * the block that a maximum is in do not change, so the new maxima are the old ones mapped, and
 * logits are mapped when they are read. A draw then reads a few blocks.
 *
 * With d = x - max <= 0 the map is square d^2 + cube d^3 + max, and its derivative d (2 square + 3
 * cube d). Where cube >= 0 >= square, both factors are <= 0: it rises. So does what is computed:
 * with such signs every operation rises or falls with its operands, and rounding to nearest,
 * clamping and the conversion to float never reverse the order of two numbers. Different logits may
 * become equal; ties then go to the lower token, as everywhere.
 */
#include "select/view.h"

#include "select/order.h"
#include "select/share.h"

#include <float.h>
#include <math.h>

float plk_bend_value(const plk_bend *b, float x)
{
    double far = -1e60; /* its powers are finite */
    if (x == -INFINITY)
        return x;
    double d = b->scale * (double)x - b->max;
    d = d > far ? d : far;
    double y = b->square * (d * d) + b->cube * (d * d * d) + b->max;
    double most = (double)FLT_MAX;
    return (float)(y > most ? most : y < -most ? -most : y) + 0.0f;
}

static void bend_compact(plk_view *view, const plk_bend *bend)
{
    float *values = view->scratch->values;
    view->kernels->bend(values, plk_view_n_blocks(view), *bend, values);
    plk_view_become_compact(view, view->n);
}

static uint32_t n_groups_of(const plk_view *view)
{
    return (view->scratch->n_blocks + PLK_BLOCK - 1) / PLK_BLOCK;
}

void plk_view_bend_maxima(const plk_view *view)
{
    float *maxima = view->scratch->block_max;
    view->kernels->bend(maxima, n_groups_of(view), view->bend, maxima);
}

static void bend_dense(plk_view *view, const plk_bend *bend)
{
    view->bent = true;
    view->bend = *bend;
    view->bend_from = view->max;
    plk_view_bend_maxima(view);
    for (uint32_t i = 0; i < view->n_edits; i++)
        view->edits[i].logit = plk_bend_value(bend, view->edits[i].logit);
    view->max = view->kernels->max(view->scratch->block_max, n_groups_of(view));
}

void plk_view_bend(plk_view *view, const plk_bend *bend)
{
    bool rises = bend->square <= 0.0 && bend->cube >= 0.0;
    if (plk_share_waits(view))
        return;
    if (!rises || view->bent)
        plk_view_make_compact(view);
    if (view->compact)
        bend_compact(view, bend);
    else
        bend_dense(view, bend);
    plk_share_forget(view);
    view->scale = 1.0;
}

float plk_view_unbend(const plk_view *view, float threshold)
{
    uint32_t below = (uint32_t)(plk_key_of(-INFINITY, 0) >> 32);
    uint32_t reached = (uint32_t)(plk_key_of(view->bend_from, 0) >> 32) + 1;
    while (reached - below > 1) {
        uint32_t middle = below + (reached - below) / 2;
        float x = plk_key_logit((plk_key)middle << 32);
        if (plk_bend_value(&view->bend, x) >= threshold)
            reached = middle;
        else
            below = middle;
    }
    return plk_key_logit((plk_key)reached << 32);
}

/* The values of the last block that belong to no candidate are not part of the maximum. */
void plk_view_prefer(plk_view *view, const float *weights, plk_preference preference)
{
    float *values = view->scratch->values;
    uint32_t n_whole = view->n / PLK_BLOCK, first = n_whole * PLK_BLOCK;
    view->max = view->kernels->prefer(weights, n_whole, preference, values);
    view->scale = 1.0;
    if (first == view->n)
        return;
    view->kernels->prefer(weights + first, 1, preference, values + first);
    for (uint32_t i = view->n; i < first + PLK_BLOCK; i++)
        values[i] = -INFINITY;
    float max = view->kernels->max(values + first, 1);
    view->max = max > view->max ? max : view->max;
}
