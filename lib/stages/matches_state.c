/*
 * Thin: every function calls its counterpart of plk_suffix_matches.
 */
#include "stages/matches_state.h"

#include "base/error.h"

pluck_status plk_matches_create(void **state, size_t window, const pluck_allocator *allocator,
                                pluck_error *err)
{
    plk_suffix_matches *matches = plk_alloc(allocator, 1, sizeof *matches);
    if (!matches)
        return plk_fail_nomem(err, sizeof *matches);
    pluck_status status = plk_suffix_matches_create(matches, window, allocator, err);
    if (status != PLUCK_OK)
        plk_free(allocator, matches);
    else
        *state = matches;
    return status;
}

void plk_matches_destroy(void *state)
{
    plk_suffix_matches *matches = state;
    pluck_allocator allocator = matches->allocator;
    plk_suffix_matches_destroy(matches);
    plk_free(&allocator, matches);
}

pluck_status plk_matches_clone(void **out, const void *state, pluck_error *err)
{
    const plk_suffix_matches *from = state;
    plk_suffix_matches *matches = plk_alloc(&from->allocator, 1, sizeof *matches);
    if (!matches)
        return plk_fail_nomem(err, sizeof *matches);
    pluck_status status = plk_suffix_matches_clone(matches, from, err);
    if (status != PLUCK_OK)
        plk_free(&from->allocator, matches);
    else
        *out = matches;
    return status;
}

void plk_matches_reset(void *state)
{
    plk_suffix_matches_clear(state);
}

pluck_status plk_matches_reserve(void *state, pluck_error *err)
{
    return plk_suffix_matches_reserve(state, err);
}

void plk_matches_accept(const void *params, void *state, const plk_history *history,
                        const plk_accepted *accepted)
{
    (void)params, (void)history, (void)accepted;
    plk_suffix_matches_accept(state);
}

void plk_matches_rewind(const void *params, void *state, const plk_history *history)
{
    (void)params, (void)history;
    plk_suffix_matches_rewind(state);
}

pluck_status plk_matches_load(const void *params, void *state, const plk_history *history,
                              plk_byte_reader *in, pluck_error *err)
{
    (void)params, (void)in;
    return plk_suffix_matches_restore(state, history, err);
}

static pluck_status fail_token(const char *stage, uint32_t token, uint32_t n_vocab,
                               pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_CONFIG, "%s: token %u is outside the vocabulary of %u tokens",
                    stage, token, n_vocab);
}

pluck_status plk_check_token_set(const char *stage, const pluck_token_set *set, uint32_t n_vocab,
                                 pluck_error *err)
{
    if (set->n > 0 && set->items[set->n - 1] >= n_vocab)
        return fail_token(stage, set->items[set->n - 1], n_vocab, err);
    return PLUCK_OK;
}

pluck_status plk_check_sequences(const char *stage, const pluck_sequences *sequences,
                                 uint32_t n_vocab, pluck_error *err)
{
    size_t n = sequences->n != 0 ? sequences->ends[sequences->n - 1] : 0;
    for (size_t i = 0; i < n; i++)
        if (sequences->tokens[i] >= n_vocab)
            return fail_token(stage, sequences->tokens[i], n_vocab, err);
    return PLUCK_OK;
}
