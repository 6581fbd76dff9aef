/*
 * mirostat, version 1: estimates the exponent s of Zipf's law from the m best tokens, derives from
 * it how many tokens k have the surprise mu on average, and draws from the k best. Ratios of
 * probabilities are differences of logits, so that no normaliser is needed:
 *     s = sum t[i] b[i] / sum t[i]^2, t[i] = ln((i + 2) / (i + 1)), b[i] = ln(p[i] / p[i + 1])
 *     k = ((s - 1) 2^mu / (1 - V^(1 - s)))^(1 / s)
 * computed as a logarithm, because 2^mu may overflow.
 */
#include "base/scalar_math.h"
#include "select/keep.h"
#include "stages/stage_impl.h"

#include <math.h>

typedef struct mirostat_params {
    plk_mirostat_params common;
    int64_t m;
} mirostat_params;

/* The exponent, from the n sorted keys of the scratch memory. */
static double zipf_exponent(const plk_view *view, uint32_t n)
{
    const plk_key *keys = view->scratch->keys;
    double tb = 0.0, tt = 0.0;
    for (uint32_t i = 0; i + 1 < n; i++) {
        double t = plk_log((double)(i + 2) / (double)(i + 1));
        double upper = (double)plk_key_logit(keys[i]), lower = (double)plk_key_logit(keys[i + 1]);
        tb += t * view->scale * (upper - lower);
        tt += t * t;
    }
    return tb / tt;
}

/* ln((s - 1) / (1 - V^(1 - s))), which has the limit -ln ln V at s = 1. */
static double log_ratio(double s, double log_v)
{
    double small = 1e-7;
    double x = (s - 1.0) * log_v;
    if (fabs(x) < small)
        return 0.5 * x - plk_log(log_v);
    return plk_log((s - 1.0) / (1.0 - plk_exp(-x)));
}

static uint32_t tokens_for(double s, double mu, uint32_t n_vocab)
{
    double ln_2 = 0x1.62e42fefa39efp-1;
    double log_v = plk_log(n_vocab);
    double k = (log_ratio(s, log_v) + mu * ln_2) / s;
    if (!(k > 0.0))
        return 1;
    return k < log_v ? (uint32_t)plk_exp(k) : n_vocab;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)err;
    const mirostat_params *mirostat = params;
    uint32_t m = (uint32_t)mirostat->m;
    uint32_t n = plk_view_best(view, m < context->n_vocab ? m : context->n_vocab);
    if (n > 1)
        plk_view_keep_top(
            view, tokens_for(zipf_exponent(view, n), plk_mirostat_mu(state), context->n_vocab));
    return PLUCK_OK;
}

static void explain(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out)
{
    uint32_t m = (uint32_t)((const mirostat_params *)params)->m;
    uint32_t n = plk_view_best(view, m < context->n_vocab ? m : context->n_vocab);
    plk_explain_value(out, "mu", plk_mirostat_mu(state));
    if (n < 2)
        return;
    double s = zipf_exponent(view, n);
    plk_explain_value(out, "s", s);
    plk_explain_value(out, "k", tokens_for(s, plk_mirostat_mu(state), context->n_vocab));
}

static const pluck_param params[] = {
    PLK_MIROSTAT_PARAMS(mirostat_params),
    {
        .name = "m",
        .flat_key = "mirostat_m",
        .type = PLUCK_PARAM_INTEGER,
        .min = 2,
        .max = 1e6,
        .default_value = 100,
        .neutral = (double)NAN,
        .summary = "number of most probable tokens from which Zipf's exponent is estimated",
        .offset_bytes = offsetof(mirostat_params, m),
    },
};

const plk_stage plk_stage_mirostat = {
    .info =
        {.name = "mirostat",
         .kind = PLUCK_STAGE_DRAW,
         .summary = "draws so that the surprise of the text stays near a target, version 1",
         .formula = "token ~ softmax(l) over the k best, k = ((s - 1) * 2^mu / (1 - V^(1 - s)))^(1 "
                    "/ s); mu as in mirostat_v2",
         .source =
             "Basu et al.: Mirostat (2021), algorithm 1; llama.cpp, llama_sampler_init_mirostat",
         .params = params,
         .n_params = sizeof params / sizeof *params,
         .params_size_bytes = sizeof(mirostat_params),
         .cost = "a gather by block maxima, O(m)"},
    .create = plk_mirostat_create,
    .destroy = plk_undo_ring_destroy,
    .clone = plk_undo_ring_clone,
    .reset = plk_undo_ring_reset,
    .observe = plk_mirostat_observe,
    .accept = plk_mirostat_accept,
    .rewind = plk_undo_ring_rewind,
    .save = plk_undo_ring_save,
    .load = plk_undo_ring_load,
    .on_slice = PLK_SLICE_BEST,
    .apply = apply,
    .explain = explain,
};
