/*
 * entmax: another normaliser than softmax, which gives improbable tokens the probability 0:
 *     p = [(alpha - 1) l - tau]+ ^ (1 / (alpha - 1)), tau such that the sum is 1
 * As a stage: l' = ln p. Only tokens with (alpha - 1) (l - max) > -1 can have p > 0: they are
 * gathered, the rest falls. How tau is found is in softmax/entmax_solve.c.
 */
#include "select/keep.h"
#include "softmax/softmax_on.h"
#include "stages/stage_impl.h"

typedef struct entmax_params {
    double alpha;
} entmax_params;

static bool is_neutral(const void *params)
{
    return ((const entmax_params *)params)->alpha == 1.0;
}

static double log_probability(const void *context, size_t index, double logit)
{
    (void)index;
    return plk_entmax_log_probability(context, logit);
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    double alpha = ((const entmax_params *)params)->alpha;
    plk_view_keep_near_max(view, -1.0 / (alpha - 1.0), 1);
    plk_view_make_compact(view);
    plk_entmax entmax = plk_entmax_solve(view->scratch->values, view->n, view->scale, alpha);
    return plk_view_edit_all(view, log_probability, &entmax, err);
}

static const pluck_param params[] = {
    {
        .name = "alpha",
        .flat_key = "entmax_alpha",
        .type = PLUCK_PARAM_NUMBER,
        .min = 1,
        .max = 100,
        .default_value = 2,
        .neutral = 1,
        .summary = "1: softmax, 1.5: 1.5-entmax, 2: sparsemax",
        .offset_bytes = offsetof(entmax_params, alpha),
    },
};

const plk_stage plk_stage_entmax = {
    .info =
        {.name = "entmax",
         .kind = PLUCK_STAGE_REWEIGHT,
         .summary = "replaces softmax by a normaliser with sparse support",
         .formula = "l' = ln p, p = [(alpha - 1) l - tau]+ ^ (1 / (alpha - 1)), tau such that the "
                    "sum of p is 1",
         .source =
             "Martins, Astudillo (2016), sparsemax; Peters, Niculae, Martins (2019), alpha-entmax",
         .params = params,
         .n_params = sizeof params / sizeof *params,
         .params_size_bytes = sizeof(entmax_params),
         .cost = "a gather by block maxima, about 50 passes over the survivors"},
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_BEST,
    .apply = apply,
};
