/*
 * typical: keeps the tokens whose surprise -ln p is nearest to the entropy H, up to a total
 * probability. With x = stored logit - max and Z the normaliser, -ln p = ln Z - scale x and H = ln
 * Z - scale E[x], so that abs(-ln p - H) = scale abs(x - E[x]): the kept tokens are a band of
 * logits around the mean, and plk_view_keep_nearest() finds its ends.
 */
#include "select/keep.h"
#include "select/mass.h"
#include "stages/stage_impl.h"

typedef struct typical_params {
    double p;
    int64_t min_keep;
} typical_params;

static bool is_neutral(const void *params)
{
    return ((const typical_params *)params)->p == 1.0;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    const typical_params *typical = params;
    plk_exact_sum moment = {.n_pending = 0};
    plk_mass mass = plk_view_moment(view, &moment);
    plk_view_keep_nearest(view, plk_moment_mean(&moment, mass), mass, typical->p,
                          (uint32_t)typical->min_keep);
    return PLUCK_OK;
}

static const pluck_param params[] = {
    {
        .name = "p",
        .flat_key = "typical_p",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1,
        .default_value = 1,
        .neutral = 1,
        .summary = "total probability to keep; 1 keeps all",
        .offset_bytes = offsetof(typical_params, p),
    },
    PLK_MIN_KEEP_PARAM(typical_params),
};

const plk_stage plk_stage_typical = {
    .info = {.name = "typical",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "keeps the tokens whose surprise is nearest to the expected one",
             .formula = "the shortest prefix with mass > p of the tokens by abs(-ln p - H), ties "
                        "to the larger l",
             .source = "Meister, Pimentel, Wiher, Cotterell: Locally Typical Sampling (2022)",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(typical_params),
             .cost = "one exponential pass"},
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_MASS,
    .apply = apply,
};
