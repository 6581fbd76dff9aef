/*
 * pluck sample: rows of dumps in, tokens out.
 *
 * Row r of a dump is stream r, and draw d of it position (number of prompt tokens + d), so that a
 * token depends on nothing but its row and draw. With --sequence all rows of a text are one stream,
 * and each token drawn is accepted before the next row; a dump is one text, or with --axes one for
 * each index of its batch axis. Several threads work on portions of rows
 * and draws; results are printed in order, one set of portions after the other, so that memory does
 * not grow with rows or draws.
 */
#include "commands.h"
#include "doubts.h"
#include "output.h"
#include "progress.h"
#include "rows.h"
#include "setup.h"
#include "workers.h"

#include <pluck/sampler.h>

#include <stdlib.h>
#include <string.h>

#define RELEASE_INTERVAL 64 /* rows after which pages of the dump are given back */

typedef struct run {
    const arguments *args;
    pluck_config *config;
    char *config_text; /* --trace: as a line */
    size_t config_size_bytes;
    pluck_isa isa;
    token_list prompt;
    token_texts texts;
    row_range range;
    output out;
    progress bar;
    uint64_t n_drawn;
    bool has_bad_rows;
} run;

/* How the rows of a dump are texts: text t has n_steps rows, step_rows apart, from t * text_rows
 * on; n_steps is 0 if all rows are one text. */
typedef struct text_axes {
    uint64_t n_texts, n_steps, text_rows, step_rows;
} text_axes;

/* One dump while its rows are sampled. */
typedef struct job {
    run *all;
    const char *path; /* as typed */
    const char *name; /* in messages */
    source src;
    worker_team team;
    uint64_t row;
    screen_text screen;
    uint64_t first_row; /* --sequence, of the text */
    uint64_t row_step;  /* from each row of the text to the next */
    uint64_t stream;    /* of the text */
    token_list history; /* --sequence with --trace: tokens accepted after the prompt */
    size_t history_capacity;
    text_axes axes; /* --sequence */
} job;

/* How a draw went, for --trace. */
typedef struct evidence {
    const draw_record *record;
    uint64_t hash; /* of the row */
} evidence;

static bool prints_running_text(const run *all)
{
    return all->args->sequence && all->texts.name && all->args->format == FORMAT_TEXT;
}

/* The state in which the draw was made. */
static void print_trace(job *j, uint64_t draw, const evidence *e)
{
    const run *all = j->all;
    bool is_sequence = all->args->sequence;
    uint64_t n_before = is_sequence ? j->history.n : draw;
    draw_origin origin = {.config = all->config_text,
                          .config_size_bytes = all->config_size_bytes,
                          .seed = setup_sampler_info(j->team.workers[0].sampler).seed,
                          .stream = is_sequence ? j->stream : j->row,
                          .position = all->prompt.n + n_before,
                          .prompt = all->prompt,
                          .is_sequence = is_sequence,
                          .first_row = j->first_row,
                          .row_step = j->row_step,
                          .history = j->history,
                          .n_vocab = j->src.info.n_vocab,
                          .dtype = j->src.info.dtype,
                          .hash = e->hash};
    print_origin(&j->all->out, &origin, e->record);
}

static void print_json(job *j, uint64_t draw, const pluck_draw *d, const evidence *e)
{
    output *out = &j->all->out;
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
    if (j->all->texts.name) {
        size_t n = 0;
        const char *text = texts_get(&j->all->texts, d->token, &n);
        output_text(out, ",\"text\":");
        output_json_string(out, text, n);
    }
    if (j->all->args->trace)
        print_trace(j, draw, e);
    output_text(out, "}\n");
}

static void print_csv(job *j, uint64_t draw, const pluck_draw *d)
{
    output *out = &j->all->out;
    if (j->all->args->n_words > 1) {
        output_csv_string(out, j->path, strlen(j->path));
        output_char(out, ',');
    }
    output_printf(out, "%llu,%llu,%d,", (unsigned long long)j->row, (unsigned long long)draw,
                  (int)d->token);
    output_csv_float(out, (double)d->logprob);
    output_printf(out, ",%u", (unsigned)d->n_survivors);
    if (j->all->texts.name) {
        size_t n = 0;
        const char *text = texts_get(&j->all->texts, d->token, &n);
        output_char(out, ',');
        output_csv_string(out, text, n);
    }
    output_char(out, '\n');
}

static void print_text(job *j, uint64_t draw, const pluck_draw *d)
{
    output *out = &j->all->out;
    size_t n = 0;
    const char *text = texts_get(&j->all->texts, d->token, &n);
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
    if (j->all->texts.name) {
        output_text(out, "  ");
        (void)output_cell(out, text, n, OUTPUT_TEXT_COLUMNS);
    }
    output_char(out, '\n');
}

static void print_draw(job *j, uint64_t draw, const pluck_draw *d, const evidence *e)
{
    switch (j->all->args->format) {
    case FORMAT_JSON:
        print_json(j, draw, d, e);
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
    const arguments *args = j->all->args;
    output *out = &j->all->out;
    if (args->format == FORMAT_CSV && is_first)
        output_printf(out, "%srow,draw,token,logprob,survivors%s\n",
                      args->n_words > 1 ? "dump," : "", j->all->texts.name ? ",text" : "");
    if (args->format != FORMAT_TEXT)
        return;
    if (args->n_words > 1) {
        output_printf(out, "%sdump ", is_first ? "" : "\n");
        output_quoted(out, j->path, strlen(j->path));
        output_char(out, '\n');
    }
    if (!prints_running_text(j->all))
        output_printf(out, "%8s %8s %8s %12s %10s%s\n", "row", "draw", "token", "logprob",
                      "survivors", j->all->texts.name ? "  text" : "");
}

/* What a failed row means: an exit code, or EXIT_DONE to go on with the next. */
static int row_failed(job *j, const pluck_error *err)
{
    pluck_status status = err->status;
    bool is_skipped =
        j->all->args->skip_bad && (status == PLUCK_ERR_NAN || status == PLUCK_ERR_EMPTY);
    progress_clear(&j->all->bar);
    if (!is_skipped)
        output_flush(&j->all->out);
    int code = complain(j->all->args->who, exit_code_of(status), "%s: row %llu: %s%s", j->name,
                        (unsigned long long)j->row, err->message, is_skipped ? "; skipped" : "");
    j->all->has_bad_rows |= is_skipped;
    return is_skipped ? EXIT_DONE : code;
}

/* A row is done: what was printed of it may have to be seen now, and its pages may go. */
static void row_done(job *j)
{
    if (j->src.info.streamed || j->all->out.is_terminal)
        output_flush(&j->all->out);
    if (j->row % RELEASE_INTERVAL == 0)
        pluck_dump_release(j->src.dump, j->row);
}

/* Where the portions have got to. */
typedef struct cursor {
    uint64_t row, end;
    uint64_t draw, n_draws; /* of the row */
} cursor;

/* Fills in as many portions as there are and moves on; returns how many it filled. */
static size_t fill_portions(worker_team *team, cursor *at)
{
    size_t n = 0;
    for (; n < team->n_portions && at->row < at->end; n++) {
        uint64_t left = at->n_draws - at->draw;
        portion *p = &team->portions[n];
        p->row = at->row;
        p->first_draw = at->draw;
        p->n_draws = left < DRAWS_AT_ONCE ? (size_t)left : DRAWS_AT_ONCE;
        at->draw += p->n_draws;
        if (at->draw == at->n_draws) {
            at->draw = 0;
            at->row++;
        }
    }
    return n;
}

/* Prints a portion that was done; returns an exit code, or EXIT_DONE to go on. A row that failed is
 * left behind, and one that does not exist ends them. */
static int print_portion(job *j, const portion *p, cursor *at)
{
    j->row = p->row;
    if (p->state == PORTION_UNREAD)
        return complain(j->all->args->who, exit_code_of(p->err.status), "%s", p->err.message);
    if (p->state == PORTION_FAILED) {
        if (at->row == p->row) {
            at->row++;
            at->draw = 0;
        }
        int code = row_failed(j, &p->err);
        if (code != EXIT_DONE)
            return code;
    }
    if (p->state == PORTION_DONE)
        for (size_t i = 0; i < p->n_draws; i++) {
            evidence e = {p->records ? &p->records[i] : NULL, p->hash};
            print_draw(j, p->first_draw + i, &p->draws[i], &e);
        }
    if (p->state == PORTION_ENDED)
        at->end = p->row;
    else if (p->state == PORTION_FAILED || p->first_draw + p->n_draws == at->n_draws)
        row_done(j);
    return EXIT_DONE;
}

static int sample_independent(job *j, uint64_t first, uint64_t *end)
{
    cursor at = {.row = first, .end = *end, .n_draws = j->all->args->draws};
    int code = EXIT_DONE;
    while (code == EXIT_DONE && j->all->out.error == 0 && at.row < at.end) {
        size_t n = fill_portions(&j->team, &at);
        workers_run(&j->team, n);
        const portion *failed = NULL;
        for (size_t i = 0; code == EXIT_DONE && i < n && at.end > j->team.portions[i].row; i++) {
            const portion *p = &j->team.portions[i];
            if (failed && failed->row == p->row)
                continue;
            code = print_portion(j, p, &at);
            failed = p->state == PORTION_FAILED ? p : NULL;
        }
    }
    *end = at.end;
    return code;
}

/* For the traces of later rows. */
static pluck_status remember(job *j, pluck_token token, pluck_error *err)
{
    if (j->history.n == j->history_capacity) {
        size_t capacity = j->history_capacity == 0 ? 256 : 2 * j->history_capacity;
        pluck_token *larger = realloc(j->history.tokens, capacity * sizeof *larger);
        if (!larger) {
            *err = (pluck_error){PLUCK_ERR_NOMEM, "out of memory"};
            return PLUCK_ERR_NOMEM;
        }
        j->history.tokens = larger;
        j->history_capacity = capacity;
    }
    j->history.tokens[j->history.n++] = token;
    return PLUCK_OK;
}

/* Draws the token of a row of the sequence, prints and accepts it. */
static pluck_status sample_position(job *j, pluck_logits logits, pluck_error *err)
{
    worker *w = &j->team.workers[0];
    draw_record record;
    evidence e = {&record, 0};
    pluck_draw drawn;
    pluck_status status = PLUCK_OK;
    if (w->trace) {
        e.hash = row_hash(logits);
        status = record_draw(w->sampler, logits, w->trace, &record, err);
    }
    if (status == PLUCK_OK)
        status = pluck_sampler_draw(w->sampler, logits, &drawn, err);
    if (status != PLUCK_OK)
        return status;
    print_draw(j, 0, &drawn, &e);
    if (w->trace)
        status = remember(j, drawn.token, err);
    return status == PLUCK_OK ? pluck_sampler_accept(w->sampler, drawn.token, err) : status;
}

/* One text: the rows first, first + step, ... below *end, which is where a stream has ended. */
static int sample_sequence(job *j, uint64_t first, uint64_t step, uint64_t stream, uint64_t *end)
{
    run *all = j->all;
    worker *w = &j->team.workers[0];
    pluck_error err;
    pluck_status status = setup_stream(w->sampler, stream, &all->prompt, &err);
    j->first_row = first;
    j->row_step = step;
    j->stream = stream;
    j->history.n = 0;
    if (status != PLUCK_OK)
        return complain(all->args->who, exit_code_of(status), "%s: %s", j->name, err.message);
    for (j->row = first; j->row < *end && all->out.error == 0; j->row += step) {
        pluck_logits logits;
        status = pluck_dump_read(j->src.dump, j->row, w->scratch, &logits, &err);
        if (status != PLUCK_OK)
            return complain(all->args->who, exit_code_of(status), "%s", err.message);
        if (!logits.data) {
            *end = j->row;
            break;
        }
        status = sample_position(j, logits, &err);
        if (status != PLUCK_OK)
            return row_failed(j, &err);
        if (step == 1)
            row_done(j);
    }
    if (prints_running_text(all)) {
        output_screen(&all->out, &j->screen, NULL, 0);
        output_char(&all->out, '\n');
    }
    return EXIT_DONE;
}

static int find_axes(job *j)
{
    const arguments *args = j->all->args;
    plk_shape rows = source_shape(&j->src.info), squeezed = plk_shape_squeezed(&rows);
    const plk_shape *two = rows.n_axes == 2 ? &rows : &squeezed;
    char text[PLK_SHAPE_TEXT_BYTES];
    j->axes = (text_axes){.n_texts = 1, .step_rows = 1};
    if (args->axes == AXES_NONE && squeezed.n_axes > 1)
        return complain(args->who, EXIT_USAGE,
                        "%s: has rows on the axes %s; --sequence needs --axes step,batch or --axes "
                        "batch,step",
                        j->name, plk_shape_text(&rows, text));
    if (args->axes == AXES_NONE)
        return EXIT_DONE;
    if (two->n_axes != 2)
        return complain(args->who, EXIT_USAGE,
                        squeezed.n_axes < 2
                            ? "%s: has one axis of rows, %s; it is one text: leave out --axes"
                            : "%s: has rows on the axes %s; --axes takes two: reshape the array to "
                              "(step, batch, token) or (batch, step, token)",
                        j->name, plk_shape_text(&rows, text));
    bool steps_first = args->axes == AXES_STEP_BATCH;
    j->axes.n_texts = two->axes[steps_first ? 1 : 0];
    j->axes.n_steps = two->axes[steps_first ? 0 : 1];
    j->axes.text_rows = steps_first ? 1 : j->axes.n_steps;
    j->axes.step_rows = steps_first ? j->axes.n_texts : 1;
    if (steps_first && j->axes.n_texts > 1 && j->src.info.streamed)
        return complain(args->who, EXIT_USAGE,
                        "%s: --axes step,batch needs a file whose rows can be read in any order; "
                        "store it as a file that is not compressed",
                        j->name);
    return EXIT_DONE;
}

/* The texts of a dump, each of its rows in first .. *end - 1. */
static int sample_texts(job *j, uint64_t first, uint64_t *end)
{
    uint64_t stream = j->all->args->stream;
    text_axes axes = j->axes;
    int code = EXIT_DONE;
    if (axes.n_steps == 0)
        return sample_sequence(j, first, 1, stream, end);
    for (uint64_t text = 0; code == EXIT_DONE && text < axes.n_texts; text++) {
        uint64_t at = text * axes.text_rows;
        uint64_t after = at + (axes.n_steps - 1) * axes.step_rows + 1;
        uint64_t text_end = after < *end ? after : *end;
        if (at < first)
            at += (first - at + axes.step_rows - 1) / axes.step_rows * axes.step_rows;
        if (at < text_end)
            code = sample_sequence(j, at, axes.step_rows, stream + text, &text_end);
    }
    return code;
}

static int sample_rows(job *j, uint64_t first, uint64_t end)
{
    const run *all = j->all;
    int code =
        all->args->sequence ? sample_texts(j, first, &end) : sample_independent(j, first, &end);
    if (code == EXIT_DONE && all->range.is_single && end == first && all->out.error == 0)
        return complain(all->args->who, EXIT_DATA, "%s: ended before row %llu", j->name,
                        (unsigned long long)first);
    return code;
}

/* No more workers than portions. The rows of a stream come one after the other, and each is
 * answered before the next: that takes one. */
static size_t useful_workers(const job *j, uint64_t n_rows)
{
    const arguments *args = j->all->args;
    size_t n = plk_thread_count((uint32_t)args->threads);
    uint64_t portions_a_row = (args->draws + DRAWS_AT_ONCE - 1) / DRAWS_AT_ONCE;
    if (j->src.info.streamed || args->sequence || n_rows == 0)
        return 1;
    return n_rows >= n || n_rows * portions_a_row >= n ? n : (size_t)(n_rows * portions_a_row);
}

static int sample_dump(run *all, size_t index)
{
    const char *path = all->args->words[index];
    job j = {.all = all, .path = path, .name = source_name(path)};
    uint64_t first = 0, end = 0;
    int code = source_open(all->args, j.path, &j.src);
    if (code == EXIT_DONE && all->args->n_words == 1)
        code = texts_take(&all->texts, all->args->who, j.name, j.src.dump, j.src.info.n_vocab);
    if (code == EXIT_DONE)
        code = texts_check(&all->texts, all->args->who, j.name, j.src.info.n_vocab);
    if (code == EXIT_DONE)
        code = setup_prompt_check(all->args, &all->prompt, j.src.info.n_vocab);
    if (code == EXIT_DONE)
        code = rows_resolve(&all->range, j.src.info.n_rows, all->args->who, j.name, &first, &end);
    if (code == EXIT_DONE)
        warn_of_rows(all->args, j.name, &j.src, all->config, first, end);
    if (code == EXIT_DONE && all->args->sequence)
        code = find_axes(&j);
    size_t n_workers = useful_workers(&j, end - first);
    if (code == EXIT_DONE)
        code = workers_create(&j.team, all->args, all->config, all->isa, &all->prompt, &j.src,
                              j.name, n_workers);
    if (code == EXIT_DONE) {
        bool is_known = all->args->n_words == 1 && end != PLUCK_DUMP_ROWS_UNKNOWN;
        if (index == 0)
            progress_start(&all->bar, is_known ? (end - first) * all->args->draws : 0,
                           all->args->quiet, &all->out);
        print_heading(&j, index == 0);
        code = sample_rows(&j, first, end);
    }
    workers_destroy(&j.team);
    source_close(&j.src);
    free(j.history.tokens);
    return code;
}

static int check_arguments(const arguments *args)
{
    if (args->trace && args->format != FORMAT_JSON)
        return complain(args->who, EXIT_USAGE, "--trace needs --format json");
    if (args->sequence && args->draws != 1)
        return complain(args->who, EXIT_USAGE, "--sequence takes one draw a row, not --draws %llu",
                        (unsigned long long)args->draws);
    if (args->sequence && args->skip_bad)
        return complain(args->who, EXIT_USAGE, "--skip-bad cannot skip a position of a --sequence");
    if (args->sequence && args->threads != 1)
        return complain(args->who, EXIT_USAGE,
                        "--threads cannot share a --sequence: each row waits for the token before");
    if (!args->sequence && args->axes != AXES_NONE)
        return complain(args->who, EXIT_USAGE, "--axes needs --sequence");
    if (!args->sequence && args->stream != 0)
        return complain(args->who, EXIT_USAGE,
                        "--stream needs --sequence; without it row r uses stream r");
    return EXIT_DONE;
}

static int prepare(run *all)
{
    const arguments *args = all->args;
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
    if (code == EXIT_DONE && args->trace) {
        all->config_text = config_line(all->config, &all->config_size_bytes);
        code = all->config_text ? EXIT_DONE : complain_memory(args->who);
    }
    if (code == EXIT_DONE)
        code = texts_open(&all->texts, args);
    return code;
}

int cmd_sample(const arguments *args)
{
    run all = {.args = args};
    int code = prepare(&all);
    if (code == EXIT_DONE)
        code = output_open(&all.out, args->who, args->output);
    for (size_t i = 0; code == EXIT_DONE && i < args->n_words; i++)
        code = sample_dump(&all, i);
    progress_clear(&all.bar);
    int close_code = output_close(&all.out, code == EXIT_DONE);
    if (code == EXIT_DONE)
        code = close_code;
    if (code == EXIT_DONE && all.has_bad_rows)
        code = EXIT_DATA;
    texts_close(&all.texts);
    free(all.prompt.tokens);
    free(all.config_text);
    pluck_config_destroy(&all.config);
    return code;
}
