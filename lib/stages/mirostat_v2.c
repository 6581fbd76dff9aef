/*
 * mirostat_v2: draws from the tokens whose surprise is at most mu, and moves mu so that the
 * surprise of the tokens drawn stays near tau. -log2 p <= mu is l >= max + ln Z - mu ln 2; where
 * that is above the maximum the best token alone stays.
 */
#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"
#include "stages/stage_impl.h"

#include <math.h>

typedef struct mirostat_v2_params {
    plk_mirostat_params common;
} mirostat_v2_params;

/* The threshold, from the best logit. */
static double offset_of(const void *state, const plk_view *view)
{
    double ln_2 = 0x1.62e42fefa39efp-1;
    return plk_log(plk_view_normaliser(view)) - plk_mirostat_mu(state) * ln_2;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)params;
    (void)context;
    (void)err;
    plk_view_keep_probable(view, offset_of(state, view), 1);
    return PLUCK_OK;
}

static void explain(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out)
{
    (void)params;
    (void)context;
    plk_explain_threshold(out, offset_of(state, view));
    plk_explain_value(out, "mu", plk_mirostat_mu(state));
}

static const pluck_param params[] = {PLK_MIROSTAT_PARAMS(mirostat_v2_params)};

const plk_stage plk_stage_mirostat_v2 = {
    .info =
        {.name = "mirostat_v2",
         .kind = PLUCK_STAGE_DRAW,
         .summary = "draws so that the surprise of the text stays near a target",
         .formula = "token ~ softmax(l) over -log2 p <= mu; then mu -= eta * (-log2 p - tau), at "
                    "first mu = 2 tau",
         .source =
             "Basu et al.: Mirostat (2021), algorithm 2; llama.cpp, llama_sampler_init_mirostat_v2",
         .params = params,
         .n_params = sizeof params / sizeof *params,
         .params_size_bytes = sizeof(mirostat_v2_params),
         .cost = "one exponential pass"},
    .create = plk_mirostat_create,
    .destroy = plk_undo_ring_destroy,
    .clone = plk_undo_ring_clone,
    .reset = plk_undo_ring_reset,
    .observe = plk_mirostat_observe,
    .accept = plk_mirostat_accept,
    .rewind = plk_undo_ring_rewind,
    .save = plk_undo_ring_save,
    .load = plk_undo_ring_load,
    .on_slice = PLK_SLICE_MASS,
    .apply = apply,
    .explain = explain,
};
