/*
 * pluck sample: rows of dumps in, tokens out.
 *
 * Row r of a dump is stream r, and draw d of it position (number of prompt tokens + d), so that a
 * token depends on nothing but its row and draw. With --sequence all rows of a dump are one stream,
 * and each token drawn is accepted before the next row. Memory does not grow with rows or draws.
 */
#include "commands.h"
#include "output.h"
#include "progress.h"
#include "rows.h"
#include "setup.h"
#include "vocab.h"

#include <pluck/sampler.h>

#include <stdlib.h>
#include <string.h>

#define DRAWS_AT_ONCE    1024
#define RELEASE_INTERVAL 64 /* rows after which pages of the dump are given back */

typedef struct run {
    const arguments *args;
    pluck_config *config;
    pluck_isa isa;
    token_list prompt;
    vocab v;
    row_range range;
    output out;
    progress bar;
    uint64_t n_drawn;
    bool has_bad_rows;
} run;

/* One dump while its rows are sampled. */
typedef struct job {
    run *all;
    const char *path; /* as typed */
    const char *name; /* in messages */
    source src;
    pluck_sampler *sampler;
    uint64_t row;
    screen_text screen;
    pluck_error err;
    pluck_draw draws[DRAWS_AT_ONCE];
} job;

static bool prints_running_text(const run *all)
{
    return all->args->sequence && all->args->vocab != NULL && all->args->format == FORMAT_TEXT;
}

static void print_json(job *j, uint64_t draw, const pluck_draw *d)
{
    output *const out = &j->all->out;
    output_char(out, '{');
    if (j->all->args->n_words > 1) {
        output_text(out, "\"dump\":");
        output_json_string(out, j->path, strlen(j->path));
        output_char(out, ',');
    }
    output_printf(out, "\"row\":%llu,\"draw\":%llu,\"token\":%d,\"logprob\":",
                  (unsigned long long)j->row, (unsigned long long)draw, (int)d->token);
    output_float(out, (double)d->logprob);
    output_printf(out, ",\"survivors\":%u", (unsigned)d->n_survivors);
    if (j->all->args->vocab != NULL) {
        size_t n = 0;
        const char *const text = vocab_text(&j->all->v, d->token, &n);
        output_text(out, ",\"text\":");
        output_json_string(out, text, n);
    }
    output_text(out, "}\n");
}

static void print_csv(job *j, uint64_t draw, const pluck_draw *d)
{
    output *const out = &j->all->out;
    if (j->all->args->n_words > 1) {
        output_csv_string(out, j->path, strlen(j->path));
        output_char(out, ',');
    }
    output_printf(out, "%llu,%llu,%d,", (unsigned long long)j->row, (unsigned long long)draw,
                  (int)d->token);
    output_float(out, (double)d->logprob);
    output_printf(out, ",%u", (unsigned)d->n_survivors);
    if (j->all->args->vocab != NULL) {
        size_t n = 0;
        const char *const text = vocab_text(&j->all->v, d->token, &n);
        output_char(out, ',');
        output_csv_string(out, text, n);
    }
    output_char(out, '\n');
}

static void print_text(job *j, uint64_t draw, const pluck_draw *d)
{
    output *const out = &j->all->out;
    size_t n = 0;
    const char *const text = vocab_text(&j->all->v, d->token, &n);
    if (prints_running_text(j->all)) {
        if (out->is_terminal)
            output_screen(out, &j->screen, text, n);
        else
            output_write(out, text, n);
        return;
    }
    output_printf(out, "%8llu %8llu %8d %12.6f %10u", (unsigned long long)j->row,
                  (unsigned long long)draw, (int)d->token,
                  d->logprob == 0.0f ? 0.0 : (double)d->logprob, (unsigned)d->n_survivors);
    if (j->all->args->vocab != NULL) {
        output_text(out, "  ");
        output_quoted(out, text, n);
    }
    output_char(out, '\n');
}

static void print_draw(job *j, uint64_t draw, const pluck_draw *d)
{
    switch (j->all->args->format) {
    case FORMAT_JSON:
        print_json(j, draw, d);
        break;
    case FORMAT_CSV:
        print_csv(j, draw, d);
        break;
    default:
        print_text(j, draw, d);
    }
    progress_update(&j->all->bar, ++j->all->n_drawn);
}

static void print_heading(job *j, bool is_first)
{
    const arguments *const args = j->all->args;
    output *const out = &j->all->out;
    if (args->format == FORMAT_CSV && is_first)
        output_printf(out, "%srow,draw,token,logprob,survivors%s\n",
                      args->n_words > 1 ? "dump," : "", args->vocab != NULL ? ",text" : "");
    if (args->format != FORMAT_TEXT)
        return;
    if (args->n_words > 1) {
        output_printf(out, "%sdump ", is_first ? "" : "\n");
        output_quoted(out, j->path, strlen(j->path));
        output_char(out, '\n');
    }
    if (!prints_running_text(j->all))
        output_printf(out, "%8s %8s %8s %12s %10s%s\n", "row", "draw", "token", "logprob",
                      "survivors", args->vocab != NULL ? "  text" : "");
}

/* To the start of a stream: the prompt is what came before. */
static pluck_status start_stream(job *j, uint64_t stream)
{
    pluck_status status = pluck_sampler_set_stream(j->sampler, stream, &j->err);
    for (size_t i = 0; status == PLUCK_OK && i < j->all->prompt.n; i++)
        status = pluck_sampler_accept(j->sampler, j->all->prompt.tokens[i], &j->err);
    return status;
}

static pluck_status sample_independent(job *j, pluck_logits logits)
{
    const uint64_t n_draws = j->all->args->draws;
    pluck_status status = start_stream(j, j->row);
    for (uint64_t first = 0; status == PLUCK_OK && first < n_draws; first += DRAWS_AT_ONCE) {
        const uint64_t left = n_draws - first;
        const size_t n = left < DRAWS_AT_ONCE ? (size_t)left : DRAWS_AT_ONCE;
        if (first > 0)
            status = pluck_sampler_set_position(j->sampler, j->all->prompt.n + first, &j->err);
        if (status == PLUCK_OK)
            status = pluck_sampler_draw_many(j->sampler, logits, n, j->draws, &j->err);
        for (size_t i = 0; status == PLUCK_OK && i < n; i++)
            print_draw(j, first + i, &j->draws[i]);
        if (j->all->out.error != 0)
            break;
    }
    return status;
}

static pluck_status sample_next(job *j, pluck_logits logits)
{
    pluck_draw drawn;
    pluck_status status = pluck_sampler_draw(j->sampler, logits, &drawn, &j->err);
    if (status != PLUCK_OK)
        return status;
    print_draw(j, 0, &drawn);
    return pluck_sampler_accept(j->sampler, drawn.token, &j->err);
}

/* What a failed row means: an exit code, or EXIT_DONE to go on with the next. */
static int row_failed(job *j, pluck_status status)
{
    const bool is_skipped =
        j->all->args->skip_bad && (status == PLUCK_ERR_NAN || status == PLUCK_ERR_EMPTY);
    progress_clear(&j->all->bar);
    if (!is_skipped)
        output_flush(&j->all->out);
    const int code =
        complain(j->all->args->who, exit_code_of(status), "%s: row %llu: %s%s", j->name,
                 (unsigned long long)j->row, j->err.message, is_skipped ? "; skipped" : "");
    j->all->has_bad_rows |= is_skipped;
    return is_skipped ? EXIT_DONE : code;
}

static int sample_rows(job *j, uint64_t first, uint64_t end)
{
    run *const all = j->all;
    for (j->row = first; j->row < end && all->out.error == 0; j->row++) {
        pluck_logits logits;
        pluck_status status =
            pluck_dump_read(j->src.dump, j->row, j->src.scratch, &logits, &j->err);
        if (status != PLUCK_OK)
            return complain(all->args->who, exit_code_of(status), "%s", j->err.message);
        if (logits.data == NULL)
            break;
        status = all->args->sequence ? sample_next(j, logits) : sample_independent(j, logits);
        if (status != PLUCK_OK) {
            const int code = row_failed(j, status);
            if (code != EXIT_DONE)
                return code;
        }
        if (j->src.info.streamed || all->out.is_terminal)
            output_flush(&all->out);
        if (j->row % RELEASE_INTERVAL == 0)
            pluck_dump_release(j->src.dump, j->row);
    }
    if (all->range.is_single && j->row == first && all->out.error == 0)
        return complain(all->args->who, EXIT_DATA, "%s: ended before row %llu", j->name,
                        (unsigned long long)first);
    if (prints_running_text(all)) {
        output_screen(&all->out, &j->screen, NULL, 0);
        output_char(&all->out, '\n');
    }
    return EXIT_DONE;
}

static int sample_dump(run *all, size_t index)
{
    const char *const path = all->args->words[index];
    job j = {.all = all, .path = path, .name = source_name(path)};
    uint64_t first = 0, end = 0;
    int code = source_open(all->args, j.path, &j.src);
    if (code == EXIT_DONE)
        code = vocab_check(&all->v, all->args, j.name, j.src.info.n_vocab);
    if (code == EXIT_DONE)
        code = setup_prompt_check(all->args, &all->prompt, j.src.info.n_vocab);
    if (code == EXIT_DONE)
        code = rows_resolve(&all->range, j.src.info.n_rows, all->args->who, j.name, &first, &end);
    if (code == EXIT_DONE) {
        const pluck_sampler_options options = {.isa = all->isa, .stream = all->args->stream};
        pluck_status status =
            pluck_sampler_create(&j.sampler, all->config, j.src.info.n_vocab, &options, &j.err);
        if (status == PLUCK_OK)
            status = start_stream(&j, all->args->stream);
        if (status != PLUCK_OK)
            code = complain(all->args->who, exit_code_of(status), "%s: %s", j.name, j.err.message);
    }
    if (code == EXIT_DONE) {
        const bool is_known = all->args->n_words == 1 && end != PLUCK_DUMP_ROWS_UNKNOWN;
        if (index == 0)
            progress_start(&all->bar, is_known ? (end - first) * all->args->draws : 0,
                           all->args->quiet, &all->out);
        print_heading(&j, index == 0);
        code = sample_rows(&j, first, end);
    }
    pluck_sampler_destroy(&j.sampler);
    source_close(&j.src);
    return code;
}

static int check_arguments(const arguments *args)
{
    size_t n_stdin = args->config != NULL && strcmp(args->config, "-") == 0;
    n_stdin += args->vocab != NULL && strcmp(args->vocab, "-") == 0;
    for (size_t i = 0; i < args->n_words; i++)
        n_stdin += strcmp(args->words[i], "-") == 0;
    if (n_stdin > 1)
        return complain(args->who, EXIT_USAGE, "standard input (-) is named more than once");
    if (args->sequence && args->draws != 1)
        return complain(args->who, EXIT_USAGE, "--sequence takes one draw a row, not --draws %llu",
                        (unsigned long long)args->draws);
    if (args->sequence && args->skip_bad)
        return complain(args->who, EXIT_USAGE, "--skip-bad cannot skip a position of a --sequence");
    if (!args->sequence && args->stream != 0)
        return complain(args->who, EXIT_USAGE,
                        "--stream needs --sequence; without it row r uses stream r");
    return EXIT_DONE;
}

static int open_output(run *all)
{
    const arguments *const args = all->args;
    const char **const inputs = malloc((args->n_words + 2) * sizeof *inputs);
    if (inputs == NULL)
        return complain_memory(args->who);
    memcpy(inputs, args->words, args->n_words * sizeof *inputs);
    inputs[args->n_words] = args->config;
    inputs[args->n_words + 1] = args->vocab;
    const int code = output_open(&all->out, args->who, args->output, inputs, args->n_words + 2);
    free(inputs);
    return code;
}

static int prepare(run *all)
{
    const arguments *const args = all->args;
    int code = check_arguments(args);
    if (code == EXIT_DONE && !rows_parse(args->rows, &all->range))
        code = complain(args->who, EXIT_USAGE, "--rows: '%s' is not a range; 3, 3:7, 3: and :7 are",
                        args->rows);
    if (code == EXIT_DONE)
        code = setup_isa(args, &all->isa);
    if (code == EXIT_DONE)
        code = setup_prompt(args, &all->prompt);
    if (code == EXIT_DONE)
        code = setup_config(args, args->config, &all->config);
    if (code == EXIT_DONE)
        code = setup_seed(args, all->config);
    if (code == EXIT_DONE)
        code = vocab_load(&all->v, args);
    return code;
}

int cmd_sample(const arguments *args)
{
    run all = {.args = args};
    int code = prepare(&all);
    if (code == EXIT_DONE)
        code = open_output(&all);
    else
        all.out.fd = -1;
    for (size_t i = 0; code == EXIT_DONE && i < args->n_words; i++)
        code = sample_dump(&all, i);
    progress_clear(&all.bar);
    const int close_code = output_close(&all.out, code == EXIT_DONE);
    if (code == EXIT_DONE)
        code = close_code;
    if (code == EXIT_DONE && all.has_bad_rows)
        code = EXIT_DATA;
    vocab_free(&all.v);
    free(all.prompt.tokens);
    pluck_config_destroy(&all.config);
    return code;
}
