/*
 * gumbel: the token whose logit plus Gumbel noise is largest, as an exponential race (race.c). The
 * noise depends on seed, stream, position and token alone: a change of the logits changes the token
 * about as rarely as any draw from the two distributions could.
 */
#include "select/pick.h"
#include "simd/philox.h"
#include "stages/stage_impl.h"

static bool only_scales(const void *params)
{
    (void)params;
    return true;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)params;
    (void)state;
    (void)err;
    view->is_race = true;
    view->noise = plk_noise_make(context->seed, context->stream, context->position);
    return PLUCK_OK;
}

static void explain(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out)
{
    (void)params;
    (void)state;
    plk_view race = *view;
    race.noise = plk_noise_make(context->seed, context->stream, context->position);
    plk_arrival winner = plk_view_race(&race, NULL, 0);
    plk_arrival second = plk_view_race(&race, &winner.token, 1);
    plk_explain_value(out, "score", winner.h + winner.l);
    if (!second.is_there)
        return;
    plk_explain_value(out, "runner_up", second.token);
    plk_explain_value(out, "runner_up_behind", (winner.h + winner.l) - (second.h + second.l));
}

const plk_stage plk_stage_gumbel = {
    .info = {.name = "gumbel",
             .kind = PLUCK_STAGE_DRAW,
             .summary = "draws each token with its probability, with noise that belongs to the "
                        "token",
             .formula = "the largest l - ln E, E of the token and the position ~ Exp(1); ties to "
                        "the lower token",
             .source = "Maddison, Tarlow, Minka: A* Sampling (2014); Kool, van Hoof, Welling "
                       "(2019)",
             .cost = "noise of every block of 64 tokens, and of the tokens of a few blocks"},
    .only_scales = only_scales,
    .on_slice = PLK_SLICE_RACE,
    .apply = apply,
    .explain = explain,
};
