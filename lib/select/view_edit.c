/*
 * Dense: the new edits are merged with the old ones, both ascending, in one array: the old ones
 * first move to its end, where the merged ones reach them only when they have been read. A block's
 * maximum is raised on the spot; it is computed again only if the token that held it sank. Compact:
 * candidates are changed in place, and banned ones squeezed out. In a slice only its own tokens are
 * changed; whether a token of the row is left, no rank knows alone.
 */
#include "select/view.h"

#include "base/error.h"
#include "select/keep.h"
#include "select/share.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

static uint32_t token_at(plk_token_list list, size_t index)
{
    uint32_t token;
    memcpy(&token, (const unsigned char *)list.tokens + index * list.stride_bytes, sizeof token);
    return token;
}

/* The float nearest to the stored logit whose value in the formula's units is logit. */
static float stored_from(const plk_view *view, double logit)
{
    double stored = logit / view->scale;
    if (stored > (double)FLT_MAX)
        return FLT_MAX;
    if (stored < -(double)FLT_MAX && logit != -(double)INFINITY)
        return -FLT_MAX;
    return (float)stored;
}

/* Marks with NaN the maximum of a block that has to be computed again. */
static void update_block_max(float *block_max, float before, float after)
{
    if (after > *block_max)
        *block_max = after;
    else if (before == *block_max && after < before)
        *block_max = NAN;
}

static void mend_block_maxima(plk_view *view, plk_token_list list)
{
    plk_scratch *w = view->scratch;
    float buffer[PLK_BLOCK];
    for (size_t i = 0; i < list.n; i++) {
        uint32_t block = token_at(list, i) / PLK_BLOCK;
        if (isnan(w->block_max[block]))
            w->block_max[block] = view->kernels->max(plk_view_block(view, block, buffer), 1);
    }
    uint32_t n_groups = (w->n_blocks + PLK_BLOCK - 1) / PLK_BLOCK;
    view->max = view->kernels->max(w->block_max, n_groups);
}

static void edit_dense(plk_view *view, plk_token_list list, plk_edit_function function,
                       const void *context)
{
    plk_scratch *w = view->scratch;
    uint32_t n_old = view->n_edits, o = 0, n = 0;
    assert(n_old + list.n <= view->max_edits);
    plk_edit *merged = view->edits, *old = merged + (view->max_edits - n_old);
    if (n_old > 0)
        memmove(old, merged, n_old * sizeof *old);
    for (size_t i = 0; i < list.n; i++) {
        uint32_t token = token_at(list, i);
        if (!plk_view_has(view, token))
            continue;
        while (o < n_old && old[o].token < token)
            merged[n++] = old[o++];
        bool again = o < n_old && old[o].token == token;
        float before = again ? old[o++].logit : plk_view_raw(view, token);
        float after = before;
        if (before != -INFINITY)
            after = stored_from(view, function(context, i, view->scale * (double)before));
        merged[n++] = (plk_edit){token, after};
        update_block_max(w->block_max + token / PLK_BLOCK, before, after);
    }
    while (o < n_old)
        merged[n++] = old[o++];
    view->n_edits = n;
    mend_block_maxima(view, list);
}

/* Drops banned candidates. */
static void squeeze(plk_view *view)
{
    plk_scratch *w = view->scratch;
    uint32_t n = 0;
    for (uint32_t i = 0; i < view->n; i++) {
        w->ids[n] = w->ids[i];
        w->values[n] = w->values[i];
        n += w->values[i] != -INFINITY;
    }
    view->max = -INFINITY;
    if (n > 0)
        plk_view_become_compact(view, n);
}

static void edit_compact(plk_view *view, plk_token_list list, plk_edit_function function,
                         const void *context)
{
    plk_scratch *w = view->scratch;
    uint32_t c = 0;
    for (size_t i = 0; i < list.n; i++) {
        uint32_t token = token_at(list, i);
        while (c < view->n && w->ids[c] < token)
            c++;
        if (c < view->n && w->ids[c] == token)
            w->values[c] =
                stored_from(view, function(context, i, view->scale * (double)w->values[c]));
    }
    squeeze(view);
}

static pluck_status check_any(const plk_view *view, pluck_error *err)
{
    if (view->max == -INFINITY && !view->share)
        return plk_fail(err, PLUCK_ERR_EMPTY,
                        "no token can be chosen: every token above -inf was banned");
    return PLUCK_OK;
}

pluck_status plk_view_edit(plk_view *view, plk_token_list list, plk_edit_function function,
                           const void *context, pluck_error *err)
{
    if (list.n == 0 || plk_share_waits(view))
        return PLUCK_OK;
    plk_share_forget(view);
    if (view->compact)
        edit_compact(view, list, function, context);
    else
        edit_dense(view, list, function, context);
    return check_any(view, err);
}

void plk_view_make_compact(plk_view *view)
{
    if (!view->compact)
        plk_view_become_compact(view, plk_view_gather(view, -FLT_MAX));
}

static double ban(const void *context, size_t index, double logit)
{
    (void)context;
    (void)index;
    (void)logit;
    return -(double)INFINITY;
}

pluck_status plk_view_ban(plk_view *view, plk_token_list list, pluck_error *err)
{
    return plk_view_edit(view, list, ban, NULL, err);
}

pluck_status plk_view_edit_all(plk_view *view, plk_edit_function function, const void *context,
                               pluck_error *err)
{
    plk_view_make_compact(view);
    float *values = view->scratch->values;
    double scale = view->scale;
    view->scale = 1.0;
    for (uint32_t i = 0; i < view->n; i++)
        values[i] = stored_from(view, function(context, i, scale * (double)values[i]));
    squeeze(view);
    return check_any(view, err);
}
