/*
 * entmax: another normaliser than softmax, which gives improbable tokens the probability 0:
 *     p = [(alpha - 1) l - tau]+ ^ (1 / (alpha - 1)), tau such that the sum is 1
 * As a stage: l' = ln p. With z = (alpha - 1) (l - max) <= 0, tau lies in [-1, 0), and only tokens
 * with z > -1 can have p > 0: they are gathered, the rest falls. tau by bisection, which is short:
 * the sum is monotone, and 60 halvings exhaust a double.
 */
#include "select/keep.h"
#include "select/view_edit.h"
#include "simd/scalar_math.h"
#include "stages/stage_impl.h"

#include <math.h>

typedef struct entmax_params {
    double alpha;
} entmax_params;

static bool is_neutral(const void *params)
{
    return ((const entmax_params *)params)->alpha == 1.0;
}

typedef struct entmax {
    double slope; /* alpha - 1 */
    double max;   /* of the logits */
    double tau;
} entmax;

/* x^(1 / (alpha - 1)) for x > 0. */
static double inverse_power(const entmax *e, double x)
{
    if (e->slope == 1.0)
        return x;
    return e->slope == 0.5 ? x * x : pl_exp(pl_log(x) / e->slope);
}

static double sum_at(const pl_view *view, const entmax *e, double tau)
{
    const float *values = view->workspace->values;
    double sum = 0.0;
    for (uint32_t i = 0; i < view->n; i++) {
        double x = e->slope * (view->scale * (double)values[i] - e->max) - tau;
        if (x > 0.0)
            sum += inverse_power(e, x);
    }
    return sum;
}

static double find_tau(const pl_view *view, const entmax *e)
{
    double low = -1.0, high = 0.0; /* the sum is >= 1 at low, < 1 at high */
    for (;;) {
        double middle = 0.5 * (low + high);
        if (!(low < middle && middle < high) || high - low < 1e-15 * -high)
            return low;
        if (sum_at(view, e, middle) >= 1.0)
            low = middle;
        else
            high = middle;
    }
}

static double log_probability(const void *context, size_t index, double logit)
{
    (void)index;
    const entmax *e = context;
    double x = e->slope * (logit - e->max) - e->tau;
    return x > 0.0 ? pl_log(x) / e->slope : -(double)INFINITY;
}

static pluck_status apply(const void *params, void *state, pl_view *view,
                          const pl_stage_context *context, pluck_error *err)
{
    (void)state, (void)context;
    entmax e = {.slope = ((const entmax_params *)params)->alpha - 1.0,
                .max = view->scale * (double)view->max};
    pl_view_keep_near_max(view, -1.0 / e.slope, 1);
    pl_view_make_compact(view);
    e.tau = find_tau(view, &e);
    return pl_view_edit_all(view, log_probability, &e, err);
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

const pl_stage pl_stage_entmax = {
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
    .apply = apply,
};
