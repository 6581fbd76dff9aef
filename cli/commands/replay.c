/*
 * A line of a sequence tells the tokens that were accepted, but a draw that learns (mirostat) also
 * depends on what it drew: so the rows of its history are drawn again, and compared with it. Lines
 * in order cost one draw each, because the history of one is the beginning of the next.
 */
#include "replay.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int complain_replay(const replay *r, pluck_status status, const char *where,
                           const char *message)
{
    return complain(r->call->who, exit_code_of(status), "%s: line %llu: %s%s", r->lines->name,
                    (unsigned long long)r->lines->number, where, message);
}

/* format gives the line's text and the replayed one, with a tab between. */
CLI_PRINTF(3, 4)
static void differ(replay *r, const char *what, const char *format, ...)
{
    char both[96];
    va_list values;
    if (r->n_differences == MAX_DIFFERENCES)
        return;
    va_start(values, format);
    vsnprintf(both, sizeof both, format, values);
    va_end(values);
    difference *d = &r->differences[r->n_differences++];
    int n = (int)strcspn(both, "\t");
    snprintf(d->what, sizeof d->what, "%s", what);
    snprintf(d->line, sizeof d->line, "%.*s", n, both);
    snprintf(d->replayed, sizeof d->replayed, "%s", both + n + (both[n] == '\t'));
}

static void compare_counts(replay *r, const char *what, uint64_t line, uint64_t replayed)
{
    if (line != replayed)
        differ(r, what, "%llu\t%llu", (unsigned long long)line, (unsigned long long)replayed);
}

static void compare_doubles(replay *r, const char *what, double line, double replayed)
{
    if (!(line == replayed))
        differ(r, what, "%.17g\t%.17g", line, replayed);
}

/* Whether the line's logits can be those of the dump at all. */
static bool fits(replay *r, const replay_line *line, const source *src)
{
    compare_counts(r, "n_vocab", line->origin.n_vocab, src->info.n_vocab);
    if (line->origin.dtype != src->info.dtype)
        differ(r, "dtype", "%s\t%s", pluck_dtype_name(line->origin.dtype),
               pluck_dtype_name(src->info.dtype));
    return r->n_differences == 0;
}

static int take_sampler(replay *r, const draw_origin *o)
{
    pluck_config *config = NULL;
    pluck_error err;
    if (r->sampler && r->config_size_bytes == o->config_size_bytes &&
        setup_sampler_info(r->sampler).n_vocab == o->n_vocab &&
        memcmp(r->config, o->config, o->config_size_bytes) == 0)
        return EXIT_DONE;
    pluck_trace_destroy(&r->trace);
    pluck_sampler_destroy(&r->sampler);
    r->has_state = false;
    free(r->config);
    r->config = malloc(o->config_size_bytes + 1);
    if (!r->config)
        return complain_memory(r->call->who);
    memcpy(r->config, o->config, o->config_size_bytes);
    r->config_size_bytes = o->config_size_bytes;
    pluck_sampler_options options = {.struct_size = sizeof options, .isa = r->isa};
    pluck_status status =
        pluck_config_from_json(&config, o->config, o->config_size_bytes, NULL, &err);
    if (status == PLUCK_OK)
        status = pluck_sampler_create(&r->sampler, config, o->n_vocab, &options, &err);
    if (status == PLUCK_OK)
        status = pluck_trace_create(&r->trace, r->sampler, NULL, &err);
    pluck_config_destroy(&config);
    return status == PLUCK_OK ? EXIT_DONE : complain_replay(r, status, "config: ", err.message);
}

/* Reads a row, unless it is the last one read. */
static int take_row(replay *r, const source *src, uint64_t row)
{
    pluck_error err;
    if (r->src == src && r->row == row)
        return EXIT_DONE;
    r->src = NULL;
    pluck_status status = read_logits(src->dump, row, src->scratch, &r->logits, &err);
    if (status != PLUCK_OK)
        return complain_replay(r, status == PLUCK_ERR_INVALID ? PLUCK_ERR_FORMAT : status, "",
                               err.message);
    if (!r->logits.data)
        return complain_replay(r, PLUCK_ERR_FORMAT, "", "the dump ended before its row");
    r->src = src;
    r->row = row;
    return EXIT_DONE;
}

static bool same_tokens(const token_list *a, const token_list *b, size_t n)
{
    return n == 0 || memcmp(a->tokens, b->tokens, n * sizeof *a->tokens) == 0;
}

static bool copy_tokens(token_list *to, const token_list *from)
{
    pluck_token *tokens = realloc(to->tokens, (from->n + 1) * sizeof *tokens);
    if (!tokens)
        return false;
    memcpy(tokens, from->tokens, from->n * sizeof *tokens);
    *to = (token_list){tokens, from->n};
    return true;
}

/* Puts the sampler at the start of the line's stream, unless what it has accepted is how the line
 * began. */
static int take_stream(replay *r, const replay_line *line, const source *src)
{
    const draw_origin *o = &line->origin;
    pluck_error err;
    if (r->has_state && r->is_sequence == o->is_sequence && r->stream == o->stream &&
        r->prompt.n == o->prompt.n && same_tokens(&r->prompt, &o->prompt, o->prompt.n) &&
        (!o->is_sequence ||
         (r->state_src == src && r->first_row == o->first_row && r->row_step == o->row_step &&
          r->history.n <= o->history.n && same_tokens(&r->history, &o->history, r->history.n))))
        return EXIT_DONE;
    r->has_state = r->has_drawn = false;
    pluck_status status = setup_stream(r->sampler, o->stream, &o->prompt, &err);
    if (status != PLUCK_OK)
        return complain_replay(r, status, "", err.message);
    if (!copy_tokens(&r->prompt, &o->prompt))
        return complain_memory(r->call->who);
    r->is_sequence = o->is_sequence;
    r->stream = o->stream;
    r->first_row = o->first_row;
    r->row_step = o->row_step;
    r->state_src = src;
    r->history.n = 0;
    r->has_state = true;
    return EXIT_DONE;
}

static int remember(replay *r, pluck_token token)
{
    if (r->history.n == r->history_capacity) {
        size_t capacity = r->history_capacity == 0 ? 256 : 2 * r->history_capacity;
        pluck_token *larger = realloc(r->history.tokens, capacity * sizeof *larger);
        if (!larger)
            return complain_memory(r->call->who);
        r->history.tokens = larger;
        r->history_capacity = capacity;
    }
    r->history.tokens[r->history.n++] = token;
    return EXIT_DONE;
}

/* Draws the rows of a sequence that come before the line's, and accepts what the line says. */
static int take_history(replay *r, const draw_origin *o, const source *src)
{
    pluck_error err;
    while (r->history.n < o->history.n) {
        pluck_token told = o->history.tokens[r->history.n];
        pluck_token token = told;
        pluck_status status = PLUCK_OK;
        if (!r->has_drawn) {
            int code = take_row(r, src, o->first_row + r->history.n * o->row_step);
            if (code != EXIT_DONE)
                return code;
            status = pluck_sampler_sample(r->sampler, r->logits, &token, &err);
            if (status == PLUCK_OK && token != told)
                differ(r, "history", "%d\t%d", (int)told, (int)token);
        }
        if (status == PLUCK_OK)
            status = pluck_sampler_accept(r->sampler, told, &err);
        if (status != PLUCK_OK)
            return complain_replay(r, status, "history: ", err.message);
        r->has_drawn = false;
        int code = remember(r, told);
        if (code != EXIT_DONE)
            return code;
    }
    return EXIT_DONE;
}

static void compare_draws(replay *r, const replay_line *line, const pluck_draw *drawn,
                          const draw_record *record)
{
    const draw_record *told = &line->record;
    compare_counts(r, "token", (uint64_t)line->drawn.token, (uint64_t)drawn->token);
    if (!(line->drawn.logprob == drawn->logprob))
        differ(r, "logprob", "%.9g\t%.9g", (double)line->drawn.logprob, (double)drawn->logprob);
    compare_counts(r, "survivors", line->drawn.n_survivors, drawn->n_survivors);
    compare_doubles(r, "low", told->low, record->low);
    compare_doubles(r, "high", told->high, record->high);
    compare_doubles(r, "at", told->at, record->at);
    compare_counts(r, "n_words", told->n_words, record->n_words);
    for (size_t i = 0; i < RECORDED_WORDS && i < told->n_words && i < record->n_words; i++) {
        if (told->words[i] == record->words[i])
            continue;
        differ(r, "words", "0x%016llx\t0x%016llx", (unsigned long long)told->words[i],
               (unsigned long long)record->words[i]);
        break;
    }
}

/* The sampler is where the line's was. */
static int draw_again(replay *r, const replay_line *line)
{
    pluck_error err;
    pluck_draw drawn;
    draw_record record;
    pluck_status status = PLUCK_OK;
    uint64_t hash = row_hash(r->logits);
    if (hash != line->origin.hash) {
        differ(r, "logits", "0x%016llx\t0x%016llx", (unsigned long long)line->origin.hash,
               (unsigned long long)hash);
        return EXIT_DONE;
    }
    if (!line->origin.is_sequence)
        status = pluck_sampler_set_position(r->sampler, line->origin.position, &err);
    if (status == PLUCK_OK)
        status = record_draw(r->sampler, r->logits, r->trace, &record, &err);
    if (status == PLUCK_OK)
        status = pluck_sampler_draw(r->sampler, r->logits, &drawn, &err);
    if (status != PLUCK_OK)
        return complain_replay(r, status, "", err.message);
    r->has_drawn = line->origin.is_sequence;
    compare_draws(r, line, &drawn, &record);
    return EXIT_DONE;
}

int replay_draw(replay *r, const replay_line *line, source *src)
{
    r->n_differences = 0;
    if (!fits(r, line, src))
        return EXIT_DONE;
    int code = take_sampler(r, &line->origin);
    if (code == EXIT_DONE && setup_sampler_info(r->sampler).seed != line->origin.seed)
        return complain_replay(r, PLUCK_ERR_CONFIG, "", "seed is not the one of its config");
    if (code == EXIT_DONE)
        code = take_stream(r, line, src);
    if (code == EXIT_DONE)
        code = take_history(r, &line->origin, src);
    if (code == EXIT_DONE)
        code = take_row(r, src, line->row);
    return code == EXIT_DONE ? draw_again(r, line) : code;
}

void replay_free(replay *r)
{
    pluck_trace_destroy(&r->trace);
    pluck_sampler_destroy(&r->sampler);
    free(r->config);
    free(r->prompt.tokens);
    free(r->history.tokens);
}
