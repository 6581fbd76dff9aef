/*
 * mask: where in the order the mask that the application sets for a position bans tokens. Without
 * this stage a mask acts before all stages; with it, here.
 */
#include "stages/stage_impl.h"

typedef struct mask_params {
    bool enabled;
} mask_params;

static bool is_neutral(const void *params)
{
    return !((const mask_params *)params)->enabled;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)params;
    (void)state;
    (void)context;
    return plk_view_apply_mask(view, err);
}

static const pluck_param params[] = {
    {
        .name = "enabled",
        .flat_key = "mask",
        .type = PLUCK_PARAM_BOOLEAN,
        .default_value = 1,
        .neutral = 0,
        .summary = "whether the application's mask acts at this place of the order; otherwise it "
                   "acts before all stages",
        .offset_bytes = offsetof(mask_params, enabled),
    },
};

const plk_stage plk_stage_mask = {
    .info = {.name = "mask",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "keeps the tokens that the application's mask allows",
             .formula = "bit i % 32 of word i / 32 is 1",
             .source = "the bitmask of xgrammar and llguidance",
             .cost =
                 "O(n), part of the scan if it acts first; then the blocks that are looked into",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(mask_params)},
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_OWN,
    .apply = apply,
};
