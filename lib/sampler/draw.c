/*
 * Sampling: open a view, run the chain, pick. The random numbers are a copy of the position's
 * generator, so that sampling again gives the same token. The reports (log-probability, survivors,
 * distribution) are computed from the same final view. A log-probability is (l - max) - ln Z: one
 * exponential pass for Z, and a look at the token. The best tokens are selected among block maxima
 * first (keep.c); only they are sorted.
 */
#include "sampler/sampler_impl.h"

#include "base/error.h"
#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"
#include "select/pick.h"
#include "simd/philox.h"

pluck_status plk_sampler_check(const pluck_sampler *sampler, pluck_logits logits, pluck_error *err)
{
    if (!sampler || !logits.data)
        return plk_fail(err, PLUCK_ERR_INVALID, "the sampler and logits.data must not be NULL");
    if (logits.n_vocab != sampler->n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%u logits were given to a sampler for a vocabulary of %u tokens; expected "
                        "one logit per token",
                        logits.n_vocab, sampler->n_vocab);
    if (!plk_is_logit_dtype(logits.dtype))
        return plk_fail(err, PLUCK_ERR_INVALID, "dtype %d is not a pluck_dtype", (int)logits.dtype);
    return PLUCK_OK;
}

static void lend_edits(const pluck_sampler *sampler, plk_view *view)
{
    view->edits = sampler->edits;
    view->max_edits = sampler->max_edits;
}

pluck_status plk_sampler_open_raw(const pluck_sampler *sampler, pluck_logits logits, plk_view *view,
                                  pluck_error *err)
{
    pluck_status status = plk_view_open(view, sampler->scratch, sampler->kernels, logits,
                                        sampler->on_nan == PLUCK_ON_NAN_BAN, err);
    lend_edits(sampler, view);
    return status;
}

plk_stage_context plk_sampler_context(const pluck_sampler *sampler, pluck_pcg64 *rng)
{
    return (plk_stage_context){.history = &sampler->history,
                               .n_vocab = sampler->n_vocab,
                               .rng = rng,
                               .texts = sampler->texts,
                               .seed = sampler->seed,
                               .stream = sampler->stream,
                               .position = sampler->position};
}

/* Bans what the caller's mask bans, unless a stage does. */
static pluck_status mask_view(const pluck_sampler *sampler, plk_view *view, pluck_error *err)
{
    if (!sampler->mask)
        return PLUCK_OK;
    view->mask = sampler->mask;
    return sampler->masks_in_chain ? PLUCK_OK : plk_view_apply_mask(view, err);
}

/* Opens a view whose mask acts first: false if that has to be done in two steps. */
static bool open_masked(const pluck_sampler *sampler, pluck_logits logits, plk_view *view)
{
    bool open =
        plk_view_open_masked(view, sampler->scratch, sampler->kernels, logits, sampler->mask);
    lend_edits(sampler, view);
    return open;
}

pluck_status plk_sampler_open_view(const pluck_sampler *sampler, pluck_logits logits,
                                   plk_view *view, pluck_error *err)
{
    if (sampler->mask && !sampler->masks_in_chain && open_masked(sampler, logits, view))
        return PLUCK_OK;
    pluck_status status = plk_sampler_open_raw(sampler, logits, view, err);
    return status == PLUCK_OK ? mask_view(sampler, view, err) : status;
}

bool plk_sampler_open_slice(const pluck_sampler *sampler, pluck_logits slice, uint32_t first_token,
                            plk_share *share, plk_view *view)
{
    bool is_good =
        plk_view_open_slice(view, sampler->scratch, sampler->kernels, slice, first_token, share);
    lend_edits(sampler, view);
    (void)mask_view(sampler, view, NULL); /* cannot fail: other slices may have tokens */
    return is_good;
}

/* The links from first on. */
static pluck_status run_chain(const pluck_sampler *sampler, size_t first, pluck_pcg64 *rng,
                              plk_view *view, pluck_error *err)
{
    plk_stage_context context = plk_sampler_context(sampler, rng);
    pluck_status status = PLUCK_OK;
    for (size_t i = first; i < sampler->chain.n && status == PLUCK_OK; i++)
        status = plk_chain_apply(&sampler->chain, i, view, &context, err);
    return status;
}

pluck_status plk_sampler_finish_view(const pluck_sampler *sampler, pluck_pcg64 *rng, plk_view *view,
                                     pluck_error *err)
{
    pluck_status status = mask_view(sampler, view, err);
    return status == PLUCK_OK ? run_chain(sampler, 0, rng, view, err) : status;
}

pluck_status plk_sampler_final_view(const pluck_sampler *sampler, pluck_logits logits,
                                    pluck_pcg64 *rng, plk_view *view, pluck_error *err)
{
    if (sampler->mask && sampler->masks_first && open_masked(sampler, logits, view))
        return run_chain(sampler, 1, rng, view, err);
    pluck_status status = plk_sampler_open_view(sampler, logits, view, err);
    return status == PLUCK_OK ? run_chain(sampler, 0, rng, view, err) : status;
}

void plk_sampler_remember(pluck_sampler *sampler, plk_view *view, pluck_token token)
{
    sampler->drawn = (plk_drawn){.any = true, .token = token};
    if (!plk_chain_observes(&sampler->chain))
        return;
    plk_view_settle(view);
    sampler->drawn.observed = plk_chain_observe(&sampler->chain, view, (uint32_t)token);
}

pluck_status pluck_sampler_sample(pluck_sampler *sampler, pluck_logits logits, pluck_token *token,
                                  pluck_error *err)
{
    pluck_status status = plk_sampler_check(sampler, logits, err);
    if (status != PLUCK_OK)
        return status;
    if (!token)
        return plk_fail(err, PLUCK_ERR_INVALID, "token is NULL");
    plk_fp_state fp = plk_fp_enter();
    plk_view view;
    pluck_pcg64 rng = sampler->rng;
    status = plk_sampler_final_view(sampler, logits, &rng, &view, err);
    if (status == PLUCK_OK) {
        *token = (pluck_token)plk_view_pick(&view, &rng);
        plk_sampler_remember(sampler, &view, *token);
    }
    plk_fp_leave(fp);
    return status;
}

/* The tokens of n positions from on, n > 1. Each starts from the same view. */
static void pick_many(const pluck_sampler *sampler, const plk_view *view, size_t n,
                      pluck_draw *draws)
{
    pluck_pcg64 position = sampler->rng;
    plk_picks picks;
    for (size_t i = 0; i < n && view->is_race; i++) {
        plk_view race = *view;
        race.noise = plk_noise_make(sampler->seed, sampler->stream, sampler->position + i);
        draws[i].token = (pluck_token)plk_view_pick(&race, &position);
    }
    if (view->is_race)
        return;
    plk_picks_init(&picks, view);
    for (size_t i = 0; i < n; i++) {
        pluck_pcg64 rng = position;
        draws[i].token = (pluck_token)plk_picks_next(&picks, &rng);
        pluck_pcg64_skip_positions(&position, 1);
    }
}

/* One token. The report on it will need the nucleus, which then tells who is in it. */
static void pick_settled(plk_view *view, pluck_pcg64 rng, pluck_draw *draw)
{
    plk_view dense = *view;
    plk_view_settle(view);
    draw->token = (pluck_token)(dense.deferred.p > 0.0 ? plk_view_pick_nucleus(&dense, view, &rng)
                                                       : plk_view_pick(view, &rng));
}

/* Fills in log-probability and survivors of n draws from the settled final view. */
static void report(const plk_view *view, size_t n, pluck_draw *draws)
{
    double log_normaliser = plk_log(plk_view_normaliser(view));
    uint32_t n_survivors = plk_view_count(view);
    for (size_t i = 0; i < n; i++) {
        float stored = plk_view_stored(view, (uint32_t)draws[i].token);
        draws[i].logprob = (float)(plk_view_below_max(view, stored) - log_normaliser);
        draws[i].n_survivors = n_survivors;
    }
}

void plk_sampler_report(pluck_sampler *sampler, plk_view *view, pluck_draw *draw)
{
    plk_sampler_remember(sampler, view, draw->token);
    report(view, 1, draw);
}

/* The stages run once: the distribution is the same at every position. */
static pluck_status draw_from_one_view(pluck_sampler *sampler, pluck_logits logits, size_t n,
                                       pluck_draw *draws, pluck_error *err)
{
    plk_view view;
    pluck_pcg64 rng = sampler->rng;
    pluck_status status = plk_sampler_final_view(sampler, logits, &rng, &view, err);
    if (status != PLUCK_OK)
        return status;
    if (n == 1) {
        pick_settled(&view, rng, draws);
        plk_sampler_report(sampler, &view, draws);
        return PLUCK_OK;
    }
    pick_many(sampler, &view, n, draws);
    plk_sampler_remember(sampler, &view, draws[0].token);
    plk_view_settle(&view);
    report(&view, n, draws);
    return PLUCK_OK;
}

/* Random stages make another distribution at every position. */
static pluck_status draw_from_each_view(pluck_sampler *sampler, pluck_logits logits, size_t n,
                                        pluck_draw *draws, pluck_error *err)
{
    pluck_pcg64 position = sampler->rng;
    for (size_t i = 0; i < n; i++) {
        plk_view view;
        pluck_pcg64 rng = position;
        pluck_status status = plk_sampler_final_view(sampler, logits, &rng, &view, err);
        if (status != PLUCK_OK)
            return status;
        pick_settled(&view, rng, draws + i);
        if (i == 0)
            plk_sampler_remember(sampler, &view, draws[0].token);
        report(&view, 1, draws + i);
        pluck_pcg64_skip_positions(&position, 1);
    }
    return PLUCK_OK;
}

pluck_status pluck_sampler_draw_many(pluck_sampler *sampler, pluck_logits logits, size_t n,
                                     pluck_draw *draws, pluck_error *err)
{
    pluck_status status = plk_sampler_check(sampler, logits, err);
    if (status != PLUCK_OK)
        return status;
    if (!draws || n == 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "draws must not be NULL, and n must be at least 1");
    if (plk_chain_is_random(&sampler->chain))
        PLK_RETURN_IN_FP(draw_from_each_view(sampler, logits, n, draws, err));
    PLK_RETURN_IN_FP(draw_from_one_view(sampler, logits, n, draws, err));
}

pluck_status pluck_sampler_draw(pluck_sampler *sampler, pluck_logits logits, pluck_draw *draw,
                                pluck_error *err)
{
    return pluck_sampler_draw_many(sampler, logits, 1, draw, err);
}

pluck_status pluck_sampler_distribution(pluck_sampler *sampler, pluck_logits logits,
                                        pluck_prob *probs, uint32_t capacity, uint32_t *n_total,
                                        pluck_error *err)
{
    pluck_status status = plk_sampler_check(sampler, logits, err);
    if (status != PLUCK_OK)
        return status;
    if (!n_total || (!probs && capacity > 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "probs and n_total must not be NULL");
    plk_fp_state fp = plk_fp_enter();
    plk_view view;
    pluck_pcg64 rng = sampler->rng;
    status = plk_sampler_final_view(sampler, logits, &rng, &view, err);
    if (status == PLUCK_OK) {
        plk_view_settle(&view);
        uint32_t n = plk_view_count(&view);
        uint32_t n_written = n < capacity ? n : capacity;
        double normaliser = plk_view_normaliser(&view);
        if (n_written > 0)
            plk_view_best(&view, n_written);
        for (uint32_t i = 0; i < n_written; i++) {
            plk_key key = view.scratch->keys[i];
            probs[i].token = (pluck_token)plk_key_token(key);
            probs[i].prob = plk_view_prob(&view, plk_key_logit(key), normaliser);
        }
        *n_total = n;
    }
    plk_fp_leave(fp);
    return status;
}

static pluck_status logprob_of(const pluck_sampler *sampler, pluck_logits logits,
                               pluck_logprob_kind kind, pluck_token token, double *logprob,
                               pluck_error *err)
{
    plk_view view;
    pluck_pcg64 rng = sampler->rng;
    pluck_status status = kind == PLUCK_LOGPROB_RAW
                              ? plk_sampler_open_raw(sampler, logits, &view, err)
                              : plk_sampler_final_view(sampler, logits, &rng, &view, err);
    if (status != PLUCK_OK)
        return status;
    plk_view_settle(&view);
    *logprob = plk_view_logprob(&view, (uint32_t)token);
    return PLUCK_OK;
}

pluck_status pluck_sampler_logprob(pluck_sampler *sampler, pluck_logits logits,
                                   pluck_logprob_kind kind, pluck_token token, double *logprob,
                                   pluck_error *err)
{
    pluck_status status = plk_sampler_check(sampler, logits, err);
    if (status != PLUCK_OK)
        return status;
    if (kind != PLUCK_LOGPROB_RAW && kind != PLUCK_LOGPROB_FINAL)
        return plk_fail(err, PLUCK_ERR_INVALID, "kind %d is not a pluck_logprob_kind", (int)kind);
    if (!logprob || token < 0 || (uint32_t)token >= logits.n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "logprob must not be NULL, and token %d must be in [0, %u]", token,
                        logits.n_vocab - 1);
    PLK_RETURN_IN_FP(logprob_of(sampler, logits, kind, token, logprob, err));
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
    report(&view, *n_drawn, draws);
    return PLUCK_OK;
}

pluck_status pluck_sampler_draw_distinct(pluck_sampler *sampler, pluck_logits logits, size_t n,
                                         pluck_draw *draws, size_t *n_drawn, pluck_error *err)
{
    pluck_status status = plk_sampler_check(sampler, logits, err);
    if (status != PLUCK_OK)
        return status;
    if (!draws || !n_drawn || n == 0)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "draws and n_drawn must not be NULL, and n must be at least 1");
    PLK_RETURN_IN_FP(draw_distinct(sampler, logits, n, draws, n_drawn, err));
}
