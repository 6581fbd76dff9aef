/*
 * top_h: among the 100 best tokens, renormalised, keeps the longest prefix whose share of the
 * entropy, the sum of -p ln p, is at most h of the whole. The best token always stays.
 */
#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"
#include "stages/stage_impl.h"

enum { N_BEST = 100 };

typedef struct top_h_params {
    double h;
} top_h_params;

static bool is_neutral(const void *params)
{
    return ((const top_h_params *)params)->h == 1.0;
}

/* ln(1 + x), x >= 0, to a small relative error however small x is. */
static double log_1_plus(double x)
{
    return x < 1e-5 ? x - x * x * (0.5 - x / 3.0) : plk_log(1.0 + x);
}

/* How many of the n sorted keys of the scratch memory belong to the prefix. */
static uint32_t prefix_length(const plk_view *view, uint32_t n, double h)
{
    double below[N_BEST], terms[N_BEST];
    double rest = 0.0, entropy = 0.0, share = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        below[i] = plk_view_below_max(view, plk_key_logit(view->scratch->keys[i]));
        rest += i > 0 ? plk_exp(below[i]) : 0.0;
    }
    double log_sum = log_1_plus(rest);
    for (uint32_t i = 0; i < n; i++) {
        double p = plk_exp(below[i]) / (1.0 + rest);
        terms[i] = p > 0.0 ? p * (log_sum - below[i]) : 0.0;
        entropy += terms[i];
    }
    uint32_t length = 0;
    for (; length < n; length++) {
        share += terms[length];
        if (!(share <= h * entropy))
            break;
    }
    return length > 0 ? length : 1;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    uint32_t n = plk_view_best(view, N_BEST);
    plk_view_keep_top(view, prefix_length(view, n, ((const top_h_params *)params)->h));
    return PLUCK_OK;
}

static const pluck_param params[] = {
    {
        .name = "h",
        .flat_key = "top_h",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1,
        .default_value = 1,
        .neutral = 1,
        .summary = "share of the entropy of the 100 best tokens to keep; 1 keeps all tokens",
        .offset_bytes = offsetof(top_h_params, h),
    },
};

const plk_stage plk_stage_top_h = {
    .info = {.name = "top_h",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "keeps the best tokens up to a share of the entropy",
             .formula = "of the 100 best, the longest prefix with sum of -p ln p <= h * H",
             .source = "Baghaei Potraghloo et al.: Top-H Decoding (2025)",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(top_h_params),
             .cost = "a gather by block maxima, 100 exponentials"},
    .is_neutral = is_neutral,
    .on_slice = PLK_SLICE_BEST,
    .apply = apply,
};
