/*
 * greedy: the best token, without randomness.
 */
#include "select/keep.h"
#include "stages/stage_impl.h"

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)params;
    (void)state;
    (void)context;
    (void)err;
    plk_view_keep_top(view, 1);
    return PLUCK_OK;
}

const plk_stage plk_stage_greedy = {
    .info = {.name = "greedy",
             .kind = PLUCK_STAGE_DRAW,
             .summary = "takes the most probable token",
             .formula = "the largest l; ties to the lower token",
             .source = "definition",
             .cost = "nothing beyond the scan"},
    .on_slice = PLK_SLICE_BEST,
    .apply = apply,
};
