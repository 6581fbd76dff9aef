/*
 * A line of a sequence tells the tokens that were accepted, but a draw that learns (mirostat) also
 * depends on what it drew: so the rows of its history are drawn again, and compared with it. Lines
 * in order cost one draw each, because the history of one is the beginning of the next.
 *
 * pluck replay: lines of sample --trace in, whether each draw comes out again.
 */
#include "input.h"
#include "trace_line.h"

#include "base/platform_file.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a line says and what came out, as texts. */
typedef struct difference {
    char what[32];
    char line[40], replayed[40];
} difference;

#define MAX_DIFFERENCES 12

/* What is kept from line to line. All zero but flags and isa to begin with. */
typedef struct replay {
    pluck_isa isa;
    const line_source *lines; /* for messages */

    char *config; /* of the sampler, as the line wrote it */
    size_t config_size_bytes;
    pluck_sampler *sampler;
    pluck_trace *trace;

    const source *src; /* the dump of the row that was read */
    uint64_t row;
    pluck_logits logits;

    /* The history of the sampler: its stream and prompt, and of a sequence the tokens accepted
     * since first_row. */
    bool has_state, is_sequence;
    uint64_t stream, first_row, row_step;
    token_list prompt, history;
    size_t history_capacity;
    const source *state_src;
    bool has_drawn; /* the next row of the sequence: accepting its token learns from the draw */

    difference differences[MAX_DIFFERENCES]; /* of the last line */
    size_t n_differences;
} replay;

static int complain_replay(const replay *r, pluck_status status, const char *where,
                           const char *message)
{
    return complain(exit_code_of(status), "%s: line %llu: %s%s", r->lines->name,
                    (unsigned long long)r->lines->number, where, message);
}

/* format gives the line's text and the replayed one, with a tab between. */
PLK_PRINTF(3, 4)
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
        return complain_memory();
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
        return complain_replay(r, PLUCK_ERR_FORMAT, "",
                               "the dump ended before the row of this line");
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
        return complain_memory();
    r->is_sequence = o->is_sequence;
    r->stream = o->stream;
    r->first_row = o->first_row;
    r->row_step = o->row_step;
    r->state_src = src;
    r->history.n = 0;
    r->has_state = true;
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
        if (!grow(&r->history.tokens, &r->history_capacity, r->history.n + 1, sizeof told))
            return complain_memory();
        r->history.tokens[r->history.n++] = told;
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

static int replay_draw(replay *r, const replay_line *line, source *src)
{
    r->n_differences = 0;
    compare_counts(r, "n_vocab", line->origin.n_vocab, src->info.n_vocab);
    if (line->origin.dtype != src->info.dtype)
        differ(r, "dtype", "%s\t%s", pluck_dtype_name(line->origin.dtype),
               pluck_dtype_name(src->info.dtype));
    /* The line's logits cannot be those of the dump at all. */
    if (r->n_differences > 0)
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

typedef struct replay_flags {
    call call;
    input_flags input;
    const char *isa, *output;
    int format;
} replay_flags;

typedef struct replay_run {
    const replay_flags *flags;
    line_source lines;
    source *sources; /* one a DUMP */
    size_t n_sources;
    replay state;
    output out;
    uint64_t n_lines, n_different;
} replay_run;

/* The dump that the line is about: of several the one that it names. */
static source *source_of(replay_run *run, const replay_line *line)
{
    for (size_t i = 0; i < run->n_sources && run->n_sources > 1; i++)
        if (line->dump && strcmp(line->dump, run->flags->call.words[i + 1]) == 0)
            return &run->sources[i];
    return run->n_sources == 1 ? run->sources : NULL;
}

static void print_json(replay_run *run, const replay_line *line)
{
    output *out = &run->out;
    const replay *r = &run->state;
    json_open(out, NULL, '{');
    json_count(out, "line", run->lines.number);
    json_count(out, "row", line->row);
    json_count(out, "draw", line->draw);
    json_bool(out, "same", r->n_differences == 0);
    json_open(out, "differences", '[');
    for (const difference *d = r->differences; d < r->differences + r->n_differences; d++) {
        json_open(out, NULL, '{');
        json_string(out, "what", d->what);
        json_string(out, "line", d->line);
        json_string(out, "replayed", d->replayed);
        output_char(out, '}');
    }
    output_text(out, "]}\n");
}

static void print_text(replay_run *run, const replay_line *line)
{
    for (size_t i = 0; i < run->state.n_differences; i++) {
        const difference *d = &run->state.differences[i];
        output_printf(&run->out,
                      "line %llu: row %llu, draw %llu: %s: %s in the line, %s replayed\n",
                      (unsigned long long)run->lines.number, (unsigned long long)line->row,
                      (unsigned long long)line->draw, d->what, d->line, d->replayed);
    }
}

static int replay_one(replay_run *run)
{
    replay_line line;
    int code = replay_line_read(&run->lines, &line);
    if (code != EXIT_DONE)
        return code;
    source *src = source_of(run, &line);
    if (!src)
        code = complain(EXIT_DATA,
                        "%s: line %llu: names none of the dumps given; give the dumps under the "
                        "names that they had for sample",
                        run->lines.name, (unsigned long long)run->lines.number);
    else
        code = replay_draw(&run->state, &line, src);
    if (code == EXIT_DONE) {
        run->n_lines++;
        run->n_different += run->state.n_differences > 0;
        if (run->flags->format == FORMAT_JSON)
            print_json(run, &line);
        else
            print_text(run, &line);
    }
    replay_line_free(&line);
    return code;
}

static void print_summary(replay_run *run)
{
    output_printf(&run->out, "%llu line%s replayed: ", (unsigned long long)run->n_lines,
                  run->n_lines == 1 ? "" : "s");
    if (run->n_different == 0)
        output_text(&run->out, "the same, bit for bit\n");
    else
        output_printf(&run->out, "%llu differ%s\n", (unsigned long long)run->n_different,
                      run->n_different == 1 ? "s" : "");
}

static int replay_all(replay_run *run)
{
    bool is_end = false;
    int code = next_line(&run->lines, &is_end);
    while (code == EXIT_DONE && !is_end && run->out.error == 0) {
        code = replay_one(run);
        if (code == EXIT_DONE)
            code = next_line(&run->lines, &is_end);
    }
    if (code == EXIT_DONE && is_end && run->n_lines == 0)
        return complain(EXIT_DATA, "%s: has no lines", run->lines.name);
    if (code == EXIT_DONE && run->flags->format == FORMAT_TEXT)
        print_summary(run);
    return code;
}

static int open_sources(replay_run *run)
{
    size_t n = run->flags->call.n_words - 1;
    run->sources = calloc(n, sizeof *run->sources);
    if (!run->sources)
        return complain_memory();
    int code = EXIT_DONE;
    while (code == EXIT_DONE && run->n_sources < n) {
        code = source_open(&run->flags->input, run->flags->call.words[run->n_sources + 1],
                           &run->sources[run->n_sources]);
        run->n_sources += code == EXIT_DONE;
    }
    return code;
}

static int run(const void *given)
{
    const replay_flags *flags = given;
    replay_run run = {.flags = flags};
    run.state.lines = &run.lines;
    int code = setup_isa(flags->isa, &run.state.isa);
    const char *path = flags->call.words[0];
    run.lines.name = source_name(path);
    run.lines.file = strcmp(path, "-") == 0 ? stdin : plk_stream_open(path);
    if (code == EXIT_DONE && !run.lines.file)
        code = complain_system(path, NULL, errno);
    if (code == EXIT_DONE)
        code = open_sources(&run);
    if (code == EXIT_DONE)
        code = output_open(&run.out, flags->output);
    if (code == EXIT_DONE && flags->format == FORMAT_TEXT)
        output_wrap(&run.out);
    if (code == EXIT_DONE)
        code = output_finish(&run.out, replay_all(&run));
    if (code == EXIT_DONE && run.n_different > 0)
        code = EXIT_NEGATIVE;
    for (size_t i = 0; i < run.n_sources; i++)
        source_close(&run.sources[i]);
    free(run.sources);
    free(run.lines.text);
    if (run.lines.file && run.lines.file != stdin)
        fclose(run.lines.file);
    pluck_trace_destroy(&run.state.trace);
    pluck_sampler_destroy(&run.state.sampler);
    free(run.state.config);
    free(run.state.prompt.tokens);
    free(run.state.history.tokens);
    return code;
}

static const flag flags[] = {
    FLAG_TITLE("Replaying"),
    FLAG_GROUP(isa_flag, replay_flags, isa),
    FLAG_GROUP(format_flag, replay_flags, format),
    FLAG_GROUP(input_group, replay_flags, input),
    FLAG_GROUP(output_flag, replay_flags, output),
    FLAG_END,
};

const command replay_command = {
    .name = "replay",
    .synopsis = "LINES DUMP... [options]",
    .summary = "check the lines of sample --trace by making the draws again",
    .about = "Reads the lines of pluck sample --format json --trace from the file LINES (- is "
             "standard input), makes each draw again from the row of the dump, and says what "
             "differs: token, logprob, survivors, the interval and point of the draw, the random "
             "numbers, or the logits themselves. Equal means equal bits, on whatever machine the "
             "lines were written. Status 1 if a line differs, 3 if one cannot be understood.\nWith "
             "several dumps each line names its dump, by the name that was given to sample.",
    COMMAND_FLAGS(flags, replay_flags),
    .examples =
        {"pluck sample logits.npy --top-p 0.9 --format json --trace | pluck replay - logits.npy",
         "pluck sample a.npy -f json --trace > lines.jsonl && pluck replay lines.jsonl a.npy"},
    COMMAND_WORDS(2, SIZE_MAX, "file of LINES and a DUMP"),
    .words_are_inputs = true,
    .run = run,
};
