/*
 * adaptive_p: prefers tokens of a certain probability. What was drawn before moves that
 * probability, so that the weighted average of the tokens drawn stays near the target:
 *     a = clamp(2 target - ws / tw, 0, 1)
 * The exponentials before the transformation, parallel to the candidates, and behind them the
 * normaliser are left in the memory of the spare keys, which no pick from candidates uses: accept
 * wants the probability of the token drawn.
 */
#include "base/error.h"
#include "history/history.h"
#include "select/mass.h"
#include "stages/stage_impl.h"

#include <math.h>
#include <string.h>

typedef struct adaptive_p_params {
    double target;
    double decay;
} adaptive_p_params;

/* The state is an undo ring: the weighted sum of the probabilities drawn, and the total weight. */
static pluck_status create(void **state, const void *params, const plk_stage_setup *setup,
                           pluck_error *err)
{
    const adaptive_p_params *p = params;
    const double start[PLK_UNDO_VALUES] = {p->target / (1.0 - p->decay), 1.0 / (1.0 - p->decay)};
    return plk_undo_ring_create(state, start, setup->max_rewind, setup->allocator, err);
}

/* The average of the tokens drawn, and the probability that is preferred now. */
static double average_of(const void *state)
{
    const plk_undo_ring *ring = state;
    return ring->values[0] / ring->values[1];
}

static double aim_of(const void *params, const void *state)
{
    double aim = 2.0 * ((const adaptive_p_params *)params)->target - average_of(state);
    return aim < 0.0 ? 0.0 : aim > 1.0 ? 1.0 : aim;
}

static float *weights_of(const plk_view *view)
{
    return (float *)(void *)view->scratch->spare;
}

/* Where the normaliser lies, behind room for all candidates' weights. */
static unsigned char *normaliser_at(const plk_view *view)
{
    size_t n_weights = (size_t)view->scratch->n_blocks * PLK_BLOCK;
    return (unsigned char *)(weights_of(view) + n_weights);
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)context;
    (void)err;
    plk_view_make_compact(view);
    float *weights = weights_of(view);
    double normaliser = plk_mass_value(plk_view_exp_all(view, weights));
    memcpy(normaliser_at(view), &normaliser, sizeof normaliser);
    plk_preference preference = {.total = normaliser, .aim = aim_of(params, state)};
    plk_view_prefer(view, weights, preference);
    return PLUCK_OK;
}

static double observe(const void *params, const void *state, const plk_view *view, uint32_t token)
{
    (void)params;
    (void)state;
    const uint32_t *ids = view->scratch->ids;
    uint32_t low = 0, high = view->n;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (ids[middle] <= token)
            low = middle;
        else
            high = middle;
    }
    double normaliser;
    memcpy(&normaliser, normaliser_at(view), sizeof normaliser);
    return (double)(float)((double)weights_of(view)[low] / normaliser);
}

static void accept(const void *params, void *state, const plk_history *history,
                   const plk_accepted *accepted)
{
    double decay = ((const adaptive_p_params *)params)->decay;
    plk_undo_ring *ring = state;
    plk_undo_ring_accept(ring, history);
    if (!accepted->was_drawn)
        return;
    ring->values[0] = accepted->observed + decay * ring->values[0];
    ring->values[1] = 1.0 + decay * ring->values[1];
}

/* Weights start at 1 / (1 - decay) and become 1 + decay * weight: never less than 1. */
static pluck_status load(const void *params, void *state, const plk_history *history,
                         plk_byte_reader *in, pluck_error *err)
{
    plk_undo_ring *ring = state;
    pluck_status status = plk_undo_ring_load(params, state, history, in, err);
    bool valid = ring->values[1] >= 1.0;
    uint64_t n = history->position < ring->max_rewind ? history->position : ring->max_rewind;
    for (uint64_t i = 0; i < n && status == PLUCK_OK; i++)
        valid &= ring->before[(history->position - 1 - i) % ring->max_rewind][1] >= 1.0;
    if (status == PLUCK_OK && !valid)
        return plk_fail(err, PLUCK_ERR_FORMAT, "a saved weight is below 1");
    return status;
}

static void explain(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out)
{
    (void)view;
    (void)context;
    plk_explain_value(out, "average", average_of(state));
    plk_explain_value(out, "a", aim_of(params, state));
}

static const pluck_param params[] = {
    {
        .name = "target",
        .flat_key = "adaptive_target",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1,
        .default_value = 0.5,
        .neutral = (double)NAN,
        .summary = "average probability that drawn tokens should have",
        .offset_bytes = offsetof(adaptive_p_params, target),
    },
    {
        .name = "decay",
        .flat_key = "adaptive_decay",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 0.99,
        .default_value = 0.9,
        .neutral = (double)NAN,
        .summary = "weight of the earlier tokens in the running average; 0: only the last token "
                   "counts",
        .offset_bytes = offsetof(adaptive_p_params, decay),
    },
};

const plk_stage plk_stage_adaptive_p = {
    .info = {.name = "adaptive_p",
             .kind = PLUCK_STAGE_DRAW,
             .summary = "prefers tokens whose probability is near a target that follows earlier "
                        "draws",
             .formula = "d = abs(p - a) / 0.3: token ~ softmax(5 - 10 d^2 / (1 + d)), a = clamp(2 "
                        "target - average, 0, 1)",
             .source = "llama.cpp, llama_sampler_init_adaptive_p",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(adaptive_p_params),
             .cost = "one exponential pass, and a map of all logits"},
    .create = create,
    .destroy = plk_undo_ring_destroy,
    .clone = plk_undo_ring_clone,
    .reset = plk_undo_ring_reset,
    .observe = observe,
    .accept = accept,
    .rewind = plk_undo_ring_rewind,
    .save = plk_undo_ring_save,
    .load = load,
    .apply = apply,
    .explain = explain,
};
