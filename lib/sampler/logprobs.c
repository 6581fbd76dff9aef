/*
 * A log-probability is (l - max) - ln Z: one exponential pass for Z, and a look at the token. The
 * best tokens are selected among block maxima first (keep.c); only they are sorted.
 */
#include "sampler/logprobs.h"

#include "base/error.h"
#include "select/keep.h"
#include "select/mass.h"
#include "select/pick.h"
#include "simd/scalar_math.h"

pluck_status plk_sampler_view_of(const pluck_sampler *sampler, pluck_logits logits,
                                 pluck_logprob_kind kind, plk_view *view, pluck_error *err)
{
    if (kind == PLUCK_LOGPROB_RAW)
        return plk_view_open(view, sampler->scratch, sampler->kernels, logits,
                             sampler->on_nan == PLUCK_ON_NAN_BAN, err);
    pluck_pcg64 rng = sampler->rng;
    pluck_status status = plk_sampler_final_view(sampler, logits, &rng, view, err);
    if (status == PLUCK_OK)
        plk_view_settle(view);
    return status;
}

static pluck_status check_kind(const pluck_sampler *sampler, pluck_logits logits,
                               pluck_logprob_kind kind, pluck_error *err)
{
    pluck_status status = plk_sampler_check(sampler, logits, err);
    if (status == PLUCK_OK && kind != PLUCK_LOGPROB_RAW && kind != PLUCK_LOGPROB_FINAL)
        return plk_fail(err, PLUCK_ERR_INVALID, "kind %d is not a pluck_logprob_kind", (int)kind);
    return status;
}

pluck_status pluck_sampler_top_logprobs(pluck_sampler *sampler, pluck_logits logits,
                                        pluck_logprob_kind kind, uint32_t n,
                                        pluck_logprob *logprobs, uint32_t *n_written,
                                        pluck_error *err)
{
    pluck_status status = check_kind(sampler, logits, kind, err);
    if (status != PLUCK_OK)
        return status;
    if (!logprobs || !n_written || n == 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "logprobs or n_written is NULL, or n is 0");
    plk_fp_state fp = plk_fp_enter();
    plk_view view;
    status = plk_sampler_view_of(sampler, logits, kind, &view, err);
    if (status == PLUCK_OK) {
        double log_normaliser = plk_log(plk_view_normaliser(&view));
        uint32_t n_best = plk_view_best(&view, n);
        for (uint32_t i = 0; i < n_best; i++) {
            plk_key key = view.scratch->keys[i];
            double below = plk_view_below_max(&view, plk_key_logit(key));
            logprobs[i].token = (pluck_token)plk_key_token(key);
            logprobs[i].logprob = (float)(below - log_normaliser);
        }
        *n_written = n_best;
    }
    plk_fp_leave(fp);
    return status;
}

pluck_status pluck_sampler_logprob(pluck_sampler *sampler, pluck_logits logits, pluck_token token,
                                   pluck_logprob_kind kind, float *logprob, pluck_error *err)
{
    pluck_status status = check_kind(sampler, logits, kind, err);
    if (status != PLUCK_OK)
        return status;
    if (!logprob || token < 0 || (uint32_t)token >= logits.n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID, "logprob is NULL, or token %d is outside [0, %u]",
                        token, logits.n_vocab - 1);
    plk_fp_state fp = plk_fp_enter();
    plk_view view;
    status = plk_sampler_view_of(sampler, logits, kind, &view, err);
    if (status == PLUCK_OK)
        *logprob = (float)plk_view_logprob(&view, (uint32_t)token);
    plk_fp_leave(fp);
    return status;
}

/* Draws and reports; the tokens lie in the scratch memory until they are reported. */
static pluck_status draw_distinct(pluck_sampler *sampler, pluck_logits logits, size_t n,
                                  pluck_draw *draws, size_t *n_drawn, pluck_error *err)
{
    plk_view view;
    pluck_pcg64 rng = sampler->rng;
    pluck_status status = plk_sampler_final_view(sampler, logits, &rng, &view, err);
    if (status != PLUCK_OK)
        return status;
    uint32_t token = plk_view_pick(&view, &rng);
    plk_sampler_remember(sampler, &view, (pluck_token)token);
    plk_view_settle(&view);
    uint32_t *tokens = view.scratch->places;
    tokens[0] = token;
    *n_drawn =
        plk_view_pick_distinct(&view, &rng, n < sampler->n_vocab ? n : sampler->n_vocab, tokens);
    for (size_t i = 0; i < *n_drawn; i++)
        draws[i].token = (pluck_token)tokens[i];
    plk_sampler_report(&view, *n_drawn, draws);
    return PLUCK_OK;
}

pluck_status pluck_sampler_draw_distinct(pluck_sampler *sampler, pluck_logits logits, size_t n,
                                         pluck_draw *draws, size_t *n_drawn, pluck_error *err)
{
    pluck_status status = plk_sampler_check(sampler, logits, err);
    if (status != PLUCK_OK)
        return status;
    if (!draws || !n_drawn || n == 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "draws or n_drawn is NULL, or n is 0");
    plk_fp_state fp = plk_fp_enter();
    status = draw_distinct(sampler, logits, n, draws, n_drawn, err);
    plk_fp_leave(fp);
    return status;
}
