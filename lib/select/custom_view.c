/*
 * The view as stages of applications see it: pluck_view is plk_view under another name, settled
 * before anything is read or changed.
 */
#include <pluck/stage.h>

#include "base/error.h"
#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"

#include <math.h>

static plk_view *inner_of(pluck_view *view)
{
    plk_view *inner = (plk_view *)view;
    plk_view_settle(inner);
    return inner;
}

/* Looking at a view settles it, which changes nothing that can be seen. */
static const plk_view *settled(const pluck_view *view)
{
    return inner_of((pluck_view *)(uintptr_t)view);
}

uint32_t pluck_view_count(const pluck_view *view)
{
    return view ? plk_view_n_candidates(settled(view)) : 0;
}

double pluck_view_logit(const pluck_view *view, pluck_token token)
{
    if (!view)
        return 0.0;
    const plk_view *inner = settled(view);
    return inner->scale * (double)plk_view_stored(inner, (uint32_t)token);
}

double pluck_view_max_logit(const pluck_view *view)
{
    if (!view)
        return 0.0;
    const plk_view *inner = settled(view);
    return inner->scale * (double)inner->max;
}

double pluck_view_log_normaliser(const pluck_view *view)
{
    return view ? plk_log(plk_view_normaliser(settled(view))) : 0.0;
}

double pluck_view_entropy(const pluck_view *view)
{
    if (!view)
        return 0.0;
    double normaliser;
    return plk_view_entropy(settled(view), &normaliser);
}

void pluck_view_scale(pluck_view *view, double factor)
{
    if (view && factor > 0.0)
        plk_view_scale(inner_of(view), factor);
}

typedef struct edit_context {
    pluck_new_logit new_logit;
    void *user;
    const uint32_t *tokens; /* by index */
    bool *is_bad;
} edit_context;

static double edit_one(const void *context, size_t index, double logit)
{
    const edit_context *c = context;
    double changed = c->new_logit(c->user, (pluck_token)c->tokens[index], logit);
    if (changed < (double)INFINITY)
        return changed;
    *c->is_bad = true;
    return logit;
}

static pluck_status edited(pluck_status status, bool is_bad, pluck_error *err)
{
    if (status == PLUCK_OK && is_bad)
        return plk_fail(err, PLUCK_ERR_NAN,
                        "a new logit is NaN or +inf; it must be finite or -inf");
    return status;
}

static pluck_status check_tokens(const plk_view *view, const pluck_token *tokens, size_t n,
                                 pluck_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= view->logits.n_vocab ||
            (i > 0 && tokens[i] <= tokens[i - 1]))
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "token %d to edit is not below %u, or not above the one before it; "
                            "expected ascending tokens of the vocabulary",
                            (int)tokens[i], view->logits.n_vocab);
    return PLUCK_OK;
}

pluck_status pluck_view_edit(pluck_view *view, const pluck_token *tokens, size_t n,
                             pluck_new_logit new_logit, void *user, pluck_error *err)
{
    if (!view || (!tokens && n > 0) || !new_logit)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_view_edit: view, tokens and new_logit must not be NULL");
    plk_view *inner = inner_of(view);
    bool is_bad = false;
    edit_context context = {new_logit, user, (const uint32_t *)tokens, &is_bad};
    pluck_status status = check_tokens(inner, tokens, n, err);
    if (status != PLUCK_OK)
        return status;
    /* More than the stage has announced, for which there is memory: then as candidates. */
    if (!inner->compact && n > inner->edits_left)
        plk_view_make_compact(inner);
    inner->edits_left -= inner->compact ? 0 : n;
    plk_token_list list = {tokens, sizeof *tokens, n};
    status = plk_view_edit(inner, list, edit_one, &context, err);
    return edited(status, is_bad, err);
}

pluck_status pluck_view_edit_all(pluck_view *view, pluck_new_logit new_logit, void *user,
                                 pluck_error *err)
{
    if (!view || !new_logit)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_view_edit_all: view and new_logit must not be NULL");
    plk_view *inner = inner_of(view);
    bool is_bad = false;
    edit_context context = {new_logit, user, inner->scratch->ids, &is_bad};
    pluck_status status = plk_view_edit_all(inner, edit_one, &context, err);
    return edited(status, is_bad, err);
}

void pluck_view_keep_top_k(pluck_view *view, uint32_t k)
{
    if (view)
        plk_view_keep_top(inner_of(view), k > 0 ? k : 1);
}

void pluck_view_keep_above(pluck_view *view, double logit)
{
    if (!view)
        return;
    double offset = logit - pluck_view_max_logit(view);
    if (offset <= 0.0)
        plk_view_keep_near_max(inner_of(view), offset, 1);
    else
        plk_view_keep_top(inner_of(view), 1);
}

void pluck_view_keep_top_p(pluck_view *view, double p)
{
    if (view && p < 1.0)
        plk_view_keep_nucleus(inner_of(view), p > 0.0 ? p : 0.0, 1);
}

pluck_status pluck_view_keep_if(pluck_view *view, pluck_keep keep, void *user, pluck_error *err)
{
    if (!view || !keep)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_view_keep_if: view and keep must not be NULL");
    plk_view *inner = inner_of(view);
    plk_view_make_compact(inner);
    plk_scratch *w = inner->scratch;
    uint32_t n = 0;
    for (uint32_t i = 0; i < inner->n; i++) {
        w->ids[n] = w->ids[i];
        w->values[n] = w->values[i];
        n += keep(user, (pluck_token)w->ids[i], inner->scale * (double)w->values[i]);
    }
    if (n == 0)
        return plk_fail(err, PLUCK_ERR_EMPTY, "no token can be chosen: the stage kept none");
    plk_view_become_compact(inner, n);
    return PLUCK_OK;
}
