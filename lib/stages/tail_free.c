/*
 * tail_free: sorts the probabilities and cuts where their curve has become straight: the absolute
 * second differences, normalised to 1 and added up from the best token on, exceed z. The last token
 * falls in any case, as in the original. The curve has no shortcut: all tokens are sorted (by
 * radix) and their exponentials taken in double, since second differences cancel.
 */
#include "select/keep.h"
#include "select/mass.h"
#include "simd/scalar_math.h"
#include "stages/stage_impl.h"

#include <math.h>

typedef struct tail_free_params {
    double z;
} tail_free_params;

static bool is_neutral(const void *params)
{
    return ((const tail_free_params *)params)->z == 1.0;
}

/* Adds up absolute second differences of the first n sorted probabilities (up to a common factor)
 * until the sum exceeds limit; *n_added = how many were added without exceeding it. */
static double add_differences(const plk_view *view, uint32_t n, double limit, uint32_t *n_added)
{
    const plk_key *keys = view->scratch->keys;
    double first = plk_exp(plk_view_below_max(view, plk_key_logit(keys[0])));
    double second = plk_exp(plk_view_below_max(view, plk_key_logit(keys[1])));
    double sum = 0.0;
    uint32_t i = 0;
    for (; i + 2 < n; i++) {
        double third = plk_exp(plk_view_below_max(view, plk_key_logit(keys[i + 2])));
        sum += fabs((third - second) - (second - first));
        if (sum > limit)
            break;
        first = second;
        second = third;
    }
    *n_added = i;
    return sum;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    double z = ((const tail_free_params *)params)->z;
    uint32_t n = plk_view_best(view, view->scratch->n_vocab);
    uint32_t n_added = 0;
    if (n > 2) {
        double total = add_differences(view, n, (double)INFINITY, &n_added);
        add_differences(view, n, z * total, &n_added);
    }
    plk_view_keep_top(view, n_added + 1);
    return PLUCK_OK;
}

static const pluck_param params[] = {
    {
        .name = "z",
        .flat_key = "tfs_z",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1,
        .default_value = 1,
        .neutral = 1,
        .summary = "share of the total curvature to keep; 1 keeps all tokens",
        .offset_bytes = offsetof(tail_free_params, z),
    },
};

const plk_stage plk_stage_tail_free = {
    .info =
        {.name = "tail_free",
         .kind = PLUCK_STAGE_TRUNCATE,
         .summary = "cuts the tail where the curve of sorted probabilities becomes straight",
         .formula = "token i + 1 stays while the sum of abs(p[j] - 2 p[j+1] + p[j+2]), j <= i, is "
                    "<= z of the whole",
         .source =
             "Phénix, Egan: Tail Free Sampling (2019); text-generation-webui, TailFreeLogitsWarper",
         .params = params,
         .n_params = sizeof params / sizeof *params,
         .params_size_bytes = sizeof(tail_free_params),
         .cost = "sorts all tokens, exponentials in double"},
    .is_neutral = is_neutral,
    .apply = apply,
};
