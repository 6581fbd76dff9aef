/*
 * Thin: every function calls its counterpart of pl_suffix_matches.
 */
#include "stages/matches_state.h"

#include "base/error.h"

pluck_status pl_matches_create(void **state, size_t window, const pluck_allocator *allocator,
                               pluck_error *err)
{
    pl_suffix_matches *matches = pl_alloc(allocator, 1, sizeof *matches);
    if (!matches)
        return pl_fail_nomem(err, sizeof *matches);
    pluck_status status = pl_suffix_matches_create(matches, window, allocator, err);
    if (status != PLUCK_OK)
        pl_free(allocator, matches);
    else
        *state = matches;
    return status;
}

void pl_matches_destroy(void *state)
{
    pl_suffix_matches *matches = state;
    pluck_allocator allocator = matches->allocator;
    pl_suffix_matches_destroy(matches);
    pl_free(&allocator, matches);
}

pluck_status pl_matches_clone(void **out, const void *state, pluck_error *err)
{
    const pl_suffix_matches *from = state;
    pl_suffix_matches *matches = pl_alloc(&from->allocator, 1, sizeof *matches);
    if (!matches)
        return pl_fail_nomem(err, sizeof *matches);
    pluck_status status = pl_suffix_matches_clone(matches, from, err);
    if (status != PLUCK_OK)
        pl_free(&from->allocator, matches);
    else
        *out = matches;
    return status;
}

void pl_matches_reset(void *state)
{
    pl_suffix_matches_clear(state);
}

pluck_status pl_matches_reserve(void *state, pluck_error *err)
{
    return pl_suffix_matches_reserve(state, err);
}

void pl_matches_accept(const void *params, void *state, const pl_history *history,
                       const pl_accepted *accepted)
{
    (void)params, (void)history, (void)accepted;
    pl_suffix_matches_accept(state);
}

void pl_matches_rewind(const void *params, void *state, const pl_history *history)
{
    (void)params, (void)history;
    pl_suffix_matches_rewind(state);
}

pluck_status pl_matches_load(const void *params, void *state, const pl_history *history,
                             pl_byte_reader *in, pluck_error *err)
{
    (void)params, (void)in;
    return pl_suffix_matches_restore(state, history, err);
}

static pluck_status fail_token(const char *stage, uint32_t token, uint32_t n_vocab,
                               pluck_error *err)
{
    return pl_fail(err, PLUCK_ERR_CONFIG, "%s: token %u is outside the vocabulary of %u tokens",
                   stage, token, n_vocab);
}

pluck_status pl_check_token_set(const char *stage, const pluck_token_set *set, uint32_t n_vocab,
                                pluck_error *err)
{
    if (set->n > 0 && set->items[set->n - 1] >= n_vocab)
        return fail_token(stage, set->items[set->n - 1], n_vocab, err);
    return PLUCK_OK;
}

pluck_status pl_check_sequences(const char *stage, const pluck_sequences *sequences,
                                uint32_t n_vocab, pluck_error *err)
{
    size_t n = sequences->n ? sequences->ends[sequences->n - 1] : 0;
    for (size_t i = 0; i < n; i++)
        if (sequences->tokens[i] >= n_vocab)
            return fail_token(stage, sequences->tokens[i], n_vocab, err);
    return PLUCK_OK;
}
