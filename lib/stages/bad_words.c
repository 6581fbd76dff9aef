/*
 * bad_words: bans the last token of a sequence whenever the tokens before it are the end of the
 * history; of a sequence of one token, always.
 */
#include "stages/stage_impl.h"

#include <math.h>

typedef struct bad_words_params {
    pluck_sequences sequences;
} bad_words_params;

static const pluck_sequences *sequences_of(const void *params)
{
    return &((const bad_words_params *)params)->sequences;
}

static bool is_neutral(const void *params)
{
    return sequences_of(params)->n == 0;
}

static size_t window(const void *params)
{
    const pluck_sequences *sequences = sequences_of(params);
    size_t longest = 1;
    for (size_t i = 0, start = 0; i < sequences->n; start = sequences->ends[i++])
        longest = sequences->ends[i] - start > longest ? sequences->ends[i] - start : longest;
    return longest - 1;
}

static size_t max_edits(const void *params, const void *state, uint64_t n_tokens, uint32_t n_vocab)
{
    (void)state;
    (void)n_tokens;
    size_t n = sequences_of(params)->n;
    return n < n_vocab ? n : n_vocab;
}

static pluck_status check(const void *params, uint32_t n_vocab, pluck_error *err)
{
    return plk_check_sequences("bad_words", sequences_of(params), n_vocab, err);
}

/* Whether the history ends with the n tokens. */
static bool ends_with(const plk_history *history, const pluck_token *tokens, size_t n)
{
    if (plk_history_length(history) < n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (plk_history_at(history, i) != tokens[n - 1 - i])
            return false;
    return true;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    const pluck_sequences *sequences = sequences_of(params);
    plk_token_marks marks = plk_token_marks_init(view);
    for (size_t i = 0, start = 0; i < sequences->n; start = sequences->ends[i++]) {
        size_t last = sequences->ends[i] - 1;
        if (ends_with(context->history, sequences->tokens + start, last - start))
            plk_token_mark(&marks, (uint32_t)sequences->tokens[last], 0);
    }
    return plk_view_ban(view, plk_token_marks_list(&marks), err);
}

static const pluck_param params[] = {
    {
        .name = "sequences",
        .flat_key = "bad_words_ids",
        .type = PLUCK_PARAM_SEQUENCES,
        .neutral = (double)NAN,
        .summary = "sequences of tokens that are never completed",
        .offset_bytes = offsetof(bad_words_params, sequences),
    },
};

const plk_stage plk_stage_bad_words = {
    .info = {.name = "bad_words",
             .kind = PLUCK_STAGE_TRUNCATE,
             .summary = "bans sequences of tokens",
             .formula =
                 "the last token of a sequence falls where the tokens before it end the history",
             .source = "Hugging Face Transformers, NoBadWordsLogitsProcessor",
             .params = params,
             .n_params = sizeof params / sizeof *params,
             .params_size_bytes = sizeof(bad_words_params),
             .cost = "O(sequences) edits"},
    .is_neutral = is_neutral,
    .window = window,
    .max_edits = max_edits,
    .check = check,
    .on_slice = PLK_SLICE_OWN,
    .apply = apply,
};
