/*
 * xtc (exclude top choices): with some probability removes, of the tokens with p >= threshold, all
 * but the least likely. There are at most 1 / threshold of them; where these are few they become
 * edits, so that a dense view stays dense.
 */
#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"
#include "select/rules.h"
#include "stages/stage_impl.h"

#include <float.h>
#include <math.h>

enum { MAX_EDITS = 128 };

typedef struct xtc_params {
    double probability;
    double threshold;
    int64_t min_keep;
    pluck_token_set protect;
} xtc_params;

static bool is_neutral(const void *params)
{
    const xtc_params *xtc = params;
    return xtc->probability == 0.0 || xtc->threshold > 0.5;
}

static bool is_random(const void *params)
{
    (void)params;
    return true;
}

static size_t max_edits(const void *params, const void *state, uint64_t n_tokens, uint32_t n_vocab)
{
    (void)params;
    (void)state;
    (void)n_tokens;
    return n_vocab < MAX_EDITS ? n_vocab : MAX_EDITS;
}

static bool is_protected(const pluck_token_set *protect, uint32_t token)
{
    for (size_t i = 0; i < protect->n; i++)
        if ((uint32_t)protect->items[i] == token)
            return true;
    return false;
}

static double ban_others(const void *context, size_t index, double logit)
{
    return index == *(const size_t *)context ? logit : -(double)INFINITY;
}

/* Removes every token better than highest; of a dense view, the first n candidates but one. */
static pluck_status remove_better(plk_view *view, uint32_t n, plk_key highest, pluck_error *err)
{
    plk_scratch *w = view->scratch;
    if (!view->compact && n <= MAX_EDITS) {
        size_t spared = 0;
        while (w->ids[spared] != plk_key_token(highest))
            spared++;
        plk_token_list list = {w->ids, sizeof *w->ids, n};
        return plk_view_edit(view, list, ban_others, &spared, err);
    }
    uint32_t n_all = view->compact ? view->n : plk_view_gather(view, -FLT_MAX), kept = 0;
    for (uint32_t i = 0; i < n_all; i++) {
        bool keep = plk_key_of(w->values[i], w->ids[i]) <= highest;
        w->ids[kept] = w->ids[i];
        w->values[kept] = w->values[i];
        kept += keep;
    }
    plk_view_become_compact(view, kept);
    return PLUCK_OK;
}

/* How many tokens have p >= threshold, and the worst of them; of a dense view these are the first
 * candidates then. *any_protected: whether one that would go is protected. */
static uint32_t find_top(const plk_view *view, const xtc_params *xtc, plk_key *worst,
                         bool *any_protected)
{
    const plk_scratch *w = view->scratch;
    double offset =
        plk_log(xtc->threshold) + plk_log(plk_view_normaliser(view)) - plk_logit_rounding;
    if (offset > 0.0)
        return 0;
    float least = plk_view_threshold(view, offset);
    uint32_t n = view->compact ? view->n : plk_view_gather(view, least), n_top = 0;
    *worst = UINT64_MAX;
    for (uint32_t i = 0; i < n; i++) {
        plk_key key = plk_key_of(w->values[i], w->ids[i]);
        if (w->values[i] < least)
            continue;
        n_top++;
        *worst = key < *worst ? key : *worst;
    }
    *any_protected = false;
    for (uint32_t i = 0; i < n && !*any_protected; i++)
        *any_protected = w->values[i] >= least && w->ids[i] != plk_key_token(*worst) &&
                         is_protected(&xtc->protect, w->ids[i]);
    return n_top;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    const xtc_params *xtc = params;
    plk_key worst;
    bool any_protected;
    if (!(pluck_pcg64_uniform(context->rng) < xtc->probability))
        return PLUCK_OK;
    uint32_t n = find_top(view, xtc, &worst, &any_protected);
    if (n < 2 || any_protected)
        return PLUCK_OK;
    if (xtc->min_keep > 1 && plk_view_n_candidates(view) - (n - 1) < (uint64_t)xtc->min_keep)
        return PLUCK_OK;
    return remove_better(view, n, worst, err);
}

static void explain(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out)
{
    (void)params;
    (void)state;
    (void)view;
    (void)context;
    out->from_above = true;
}

static const pluck_param params[] = {
    {
        .name = "probability",
        .flat_key = "xtc_probability",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1,
        .default_value = 0,
        .neutral = 0,
        .summary = "chance per token that the stage acts; 0: never",
        .offset_bytes = offsetof(xtc_params, probability),
    },
    {
        .name = "threshold",
        .flat_key = "xtc_threshold",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1,
        .default_value = 0.1,
        .neutral = (double)NAN,
        .summary = "probability from which a token is a top choice; above 0.5 the stage never acts",
        .offset_bytes = offsetof(xtc_params, threshold),
    },
    PLK_MIN_KEEP_PARAM(xtc_params),
    {
        .name = "protect",
        .flat_key = "xtc_protect",
        .type = PLUCK_PARAM_TOKENS,
        .neutral = (double)NAN,
        .summary = "tokens that must stay: if one would be removed, the stage does nothing",
        .offset_bytes = offsetof(xtc_params, protect),
    },
};

const plk_stage plk_stage_xtc = {
    .info = {.name = "xtc",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "at times removes all top choices except the least probable one",
             .formula = "u < probability: of the tokens with p >= threshold, if 2 or more, only "
                        "the least likely stays",
             .source = "p-e-w, text-generation-webui pull request 6335 (2024); llama.cpp, "
                       "llama_sampler_init_xtc",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(xtc_params),
             .cost = "one exponential pass, at the positions where it acts"},
    .is_neutral = is_neutral,
    .is_random = is_random,
    .max_edits = max_edits,
    .on_slice = PLK_SLICE_SUMS,
    .apply = apply,
    .explain = explain,
};
