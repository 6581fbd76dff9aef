/*
 * A new configuration within a sequence. The new chain is built next to the old one: it borrows the
 * states of stages that are the same, and makes the others anew from the history. Everything that
 * can fail is done before the sampler changes, and what a failure leaves behind (room in the
 * history or for edits) is not visible.
 *
 * Rewinding past the call needs no more: a state that was borrowed can undo its own accepts, and
 * one made anew has accepted the same tokens.
 */
#include "sampler/sampler_impl.h"

#include "base/error.h"

/* A stage may look back further than the tokens that are left reach. */
static pluck_status check_window(const plk_history *history, size_t window, pluck_error *err)
{
    size_t n_kept = plk_history_length(history);
    if (history->oldest == 0 || n_kept >= window)
        return PLUCK_OK;
    unsigned long long n_tokens = history->position;
    if (window == SIZE_MAX)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "the new configuration needs all tokens, %zu of %llu were kept; create the "
                        "sampler with keep_history",
                        n_kept, n_tokens);
    return plk_fail(
        err, PLUCK_ERR_INVALID,
        "the new configuration needs the last %zu tokens, %zu of %llu were kept; create "
        "the sampler with keep_history",
        window, n_kept, n_tokens);
}

/* next takes the place of the sampler's chain if all goes well. */
static pluck_status prepare(pluck_sampler *sampler, plk_chain *next, const pluck_config *config,
                            pluck_error *err)
{
    const plk_history *history = &sampler->history;
    plk_stage_setup setup = plk_sampler_setup(sampler);
    pluck_status status =
        plk_chain_create(next, config, sampler->n_vocab, &sampler->allocator, err);
    if (status != PLUCK_OK)
        return status;
    size_t window = plk_chain_window(next);
    status = check_window(history, window, err);
    if (status != PLUCK_OK)
        return status;
    plk_chain_borrow_states(next, &sampler->chain);
    status = plk_chain_create_states(next, &setup, err);
    if (status == PLUCK_OK)
        status = plk_chain_replay(next, history, err);
    if (status != PLUCK_OK)
        return status;
    size_t max_edits = plk_chain_max_edits(next, history->position, sampler->n_vocab);
    status = plk_sampler_reserve_edits(sampler, max_edits, err);
    if (status != PLUCK_OK)
        return status;
    return plk_sampler_widen_history(sampler, window, err);
}

pluck_status pluck_sampler_reconfigure(pluck_sampler *sampler, const pluck_config *config,
                                       pluck_error *err)
{
    if (!sampler || !config)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_sampler_reconfigure: sampler and config must not be NULL");
    pluck_config_info info = PLUCK_INIT(pluck_config_info);
    pluck_status status = pluck_config_get_info(config, &info, err);
    if (status != PLUCK_OK)
        return status;
    plk_chain next, *chain = &sampler->chain;
    status = prepare(sampler, &next, config, err);
    if (status != PLUCK_OK) {
        plk_chain_destroy(&next);
        return status;
    }
    /* What a draw noted about its token means nothing to a different one. */
    if (!plk_chain_same_draw(chain, &next) &&
        (plk_chain_observes(chain) || plk_chain_observes(&next)))
        sampler->drawn = (plk_drawn){.any = false};
    plk_chain_keep_states(&next, chain);
    plk_chain_destroy(chain);
    *chain = next;
    sampler->on_nan = info.on_nan;
    plk_sampler_note_chain(sampler);
    sampler->mask = NULL;
    return PLUCK_OK;
}
