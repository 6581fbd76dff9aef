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
#include "workers.h"

#include <pluck/sampler.h>

#include <stdlib.h>
#include <string.h>

enum { AXES_NONE, AXES_STEP_BATCH, AXES_BATCH_STEP };

typedef struct sample_flags {
    call call;
    input_flags input;
    vocab_flags vocab;
    config_flags config;
    const char *rows, *prompt_tokens, *isa, *output;
    uint64_t draws, stream, threads;
    int axes, format;
    bool sequence, skip_bad, trace;
} sample_flags;

#define RELEASE_INTERVAL 64 /* rows after which pages of the dump are given back */

typedef struct run {
    const sample_flags *flags;
    pluck_config *config;
    char *config_text; /* --trace: as a line */
    size_t config_size_bytes;
    pluck_isa isa;
    token_list prompt;
    token_texts texts;
    row_range range;
    output out;
    table table; /* not of JSON and running text */
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
    return all->flags->sequence && all->texts.name && all->flags->format == FORMAT_TEXT;
}

/* The state in which the draw was made. */
static void print_trace(job *j, uint64_t draw, const evidence *e)
{
    const run *all = j->all;
    bool is_sequence = all->flags->sequence;
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
    if (j->all->flags->call.n_words > 1) {
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
    if (j->all->flags->trace)
        print_trace(j, draw, e);
    output_text(out, "}\n");
}

/* dump comes first in CSV, and text last, if they are there. */
static const table_column columns[] = {
    {.title = "dump"},
    {.title = "row", .width = 8},
    {.title = "draw", .width = 8},
    {.title = "token", .width = 8},
    {.title = "logprob", .width = 12, .format = "%.6f"},
    {.title = "survivors", .width = 10},
    {.title = "text", .gap = 1},
};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

static void print_row(job *j, uint64_t draw, const pluck_draw *d)
{
    table *t = &j->all->table;
    if (t->columns == columns)
        table_text(t, j->path, strlen(j->path), 0);
    table_count(t, j->row);
    table_count(t, draw);
    table_token(t, d->token);
    table_number(t, d->logprob == 0.0f ? 0.0 : (double)d->logprob);
    table_count(t, d->n_survivors);
    if (j->all->texts.name) {
        size_t n = 0;
        const char *text = texts_get(&j->all->texts, d->token, &n);
        table_text(t, text, n, OUTPUT_TEXT_COLUMNS);
    }
    table_end_row(t);
}

static void print_running(job *j, const pluck_draw *d)
{
    output *out = &j->all->out;
    size_t n = 0;
    const char *text = texts_get(&j->all->texts, d->token, &n);
    if (out->is_terminal)
        output_screen(out, &j->screen, text, n);
    else
        output_write(out, text, n);
}

static void print_draw(job *j, uint64_t draw, const pluck_draw *d, const evidence *e)
{
    if (j->all->flags->format == FORMAT_JSON)
        print_json(j, draw, d, e);
    else if (prints_running_text(j->all))
        print_running(j, d);
    else
        print_row(j, draw, d);
    progress_update(&j->all->bar, ++j->all->n_drawn);
}

static void print_heading(job *j, bool is_first)
{
    run *all = j->all;
    output *out = &all->out;
    bool has_dump = all->flags->call.n_words > 1, is_csv = all->flags->format == FORMAT_CSV;
    const table_column *first = columns + !(is_csv && has_dump);
    size_t n = (size_t)(columns + N_COLUMNS - first) - !all->texts.name;
    if (is_csv && is_first)
        all->table = table_begin_csv(out, first, n);
    if (all->flags->format != FORMAT_TEXT)
        return;
    if (is_first && !prints_running_text(all))
        output_wrap(out);
    if (has_dump) {
        output_printf(out, "%sdump ", is_first ? "" : "\n");
        output_quoted(out, j->path, strlen(j->path));
        output_char(out, '\n');
    }
    if (!prints_running_text(all))
        all->table = table_begin(out, first, n, "", "");
}

/* What a failed row means: an exit code, or EXIT_DONE to go on with the next. */
static int row_failed(job *j, const pluck_error *err)
{
    pluck_status status = err->status;
    bool is_skipped =
        j->all->flags->skip_bad && (status == PLUCK_ERR_NAN || status == PLUCK_ERR_EMPTY);
    progress_clear(&j->all->bar);
    if (!is_skipped)
        output_flush(&j->all->out);
    int code = complain(exit_code_of(status), "%s: row %llu: %s%s", j->name,
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

/* Fills in the portions and moves on; returns how many it filled. */
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
        return complain(exit_code_of(p->err.status), "%s", p->err.message);
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
    cursor at = {.row = first, .end = *end, .n_draws = j->all->flags->draws};
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
        return complain(exit_code_of(status), "%s: %s", j->name, err.message);
    for (j->row = first; j->row < *end && all->out.error == 0; j->row += step) {
        pluck_logits logits;
        status = read_logits(j->src.dump, j->row, w->scratch, &logits, &err);
        if (status != PLUCK_OK)
            return complain(exit_code_of(status), "%s", err.message);
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
    const sample_flags *flags = j->all->flags;
    plk_shape rows = source_shape(&j->src.info), squeezed = plk_shape_squeezed(&rows);
    const plk_shape *two = rows.n_axes == 2 ? &rows : &squeezed;
    char text[PLK_SHAPE_TEXT_BYTES];
    j->axes = (text_axes){.n_texts = 1, .step_rows = 1};
    if (flags->axes == AXES_NONE && squeezed.n_axes > 1)
        return complain(EXIT_USAGE,
                        "%s: has rows on the axes %s; --sequence needs --axes step,batch or --axes "
                        "batch,step",
                        j->name, plk_shape_text(&rows, text));
    if (flags->axes == AXES_NONE)
        return EXIT_DONE;
    if (two->n_axes != 2)
        return complain(EXIT_USAGE,
                        squeezed.n_axes < 2
                            ? "%s: has one axis of rows, %s; it is one text: leave out --axes"
                            : "%s: has rows on the axes %s; --axes takes two: reshape the array to "
                              "(step, batch, token) or (batch, step, token)",
                        j->name, plk_shape_text(&rows, text));
    bool steps_first = flags->axes == AXES_STEP_BATCH;
    j->axes.n_texts = two->axes[steps_first ? 1 : 0];
    j->axes.n_steps = two->axes[steps_first ? 0 : 1];
    j->axes.text_rows = steps_first ? 1 : j->axes.n_steps;
    j->axes.step_rows = steps_first ? j->axes.n_texts : 1;
    if (steps_first && j->axes.n_texts > 1 && j->src.info.streamed)
        return complain(EXIT_USAGE,
                        "%s: --axes step,batch needs a file whose rows can be read in any order; "
                        "store it as a file that is not compressed",
                        j->name);
    return EXIT_DONE;
}

/* The texts of a dump, each of its rows in first .. *end - 1. */
static int sample_texts(job *j, uint64_t first, uint64_t *end)
{
    uint64_t stream = j->all->flags->stream;
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
        all->flags->sequence ? sample_texts(j, first, &end) : sample_independent(j, first, &end);
    if (code == EXIT_DONE && all->range.is_single && end == first && all->out.error == 0)
        return complain(EXIT_DATA, "%s: ended before row %llu", j->name, (unsigned long long)first);
    return code;
}

/* No more workers than portions. The rows of a stream come one after the other, and each is
 * answered before the next: that takes one. */
static size_t useful_workers(const job *j, uint64_t n_rows)
{
    const sample_flags *flags = j->all->flags;
    size_t n = plk_thread_count((uint32_t)flags->threads);
    uint64_t portions_a_row = (flags->draws + DRAWS_AT_ONCE - 1) / DRAWS_AT_ONCE;
    if (j->src.info.streamed || flags->sequence || n_rows == 0)
        return 1;
    return n_rows >= n || n_rows * portions_a_row >= n ? n : (size_t)(n_rows * portions_a_row);
}

static int sample_dump(run *all, size_t index)
{
    const char *path = all->flags->call.words[index];
    job j = {.all = all, .path = path, .name = source_name(path)};
    uint64_t first = 0, end = 0;
    int code = source_open(&all->flags->input, j.path, &j.src);
    if (code == EXIT_DONE && all->flags->call.n_words == 1)
        code = texts_take(&all->texts, j.name, j.src.dump, j.src.info.n_vocab);
    if (code == EXIT_DONE)
        code = texts_check(&all->texts, j.name, j.src.dump, j.src.info.n_vocab);
    if (code == EXIT_DONE)
        code = setup_tokens_check("prompt-tokens", &all->prompt, j.src.info.n_vocab);
    if (code == EXIT_DONE)
        code = rows_resolve(&all->range, j.src.info.n_rows, j.name, &first, &end);
    if (code == EXIT_DONE)
        warn_of_rows(j.name, &j.src, all->config, first, end);
    if (code == EXIT_DONE && all->flags->sequence)
        code = find_axes(&j);
    size_t n_workers = useful_workers(&j, end - first);
    if (code == EXIT_DONE)
        code = workers_create(&j.team, all->flags->trace, all->config, &all->texts, all->isa,
                              &all->prompt, &j.src, j.name, n_workers);
    if (code == EXIT_DONE) {
        bool is_known = all->flags->call.n_words == 1 && end != PLUCK_DUMP_ROWS_UNKNOWN;
        if (index == 0)
            progress_start(&all->bar, is_known ? (end - first) * all->flags->draws : 0, &all->out);
        print_heading(&j, index == 0);
        code = sample_rows(&j, first, end);
    }
    workers_destroy(&j.team);
    source_close(&j.src);
    free(j.history.tokens);
    return code;
}

static int check_arguments(const sample_flags *flags)
{
    if (flags->trace && flags->format != FORMAT_JSON)
        return complain(EXIT_USAGE, "--trace needs --format json");
    if (flags->sequence && flags->draws != 1)
        return complain(EXIT_USAGE,
                        "--sequence draws one token per row and cannot be combined with "
                        "--draws %llu",
                        (unsigned long long)flags->draws);
    if (flags->sequence && flags->skip_bad)
        return complain(EXIT_USAGE, "--skip-bad cannot skip a position of a --sequence");
    if (flags->sequence && flags->threads != 1)
        return complain(EXIT_USAGE,
                        "--threads cannot share a --sequence: each row waits for the token before");
    if (!flags->sequence && flags->axes != AXES_NONE)
        return complain(EXIT_USAGE, "--axes needs --sequence");
    if (!flags->sequence && flags->stream != 0)
        return complain(EXIT_USAGE, "--stream needs --sequence; without it row r uses stream r");
    return EXIT_DONE;
}

static int prepare(run *all)
{
    const sample_flags *flags = all->flags;
    int code = check_arguments(flags);
    if (code == EXIT_DONE)
        code = rows_read(flags->rows, &all->range);
    if (code == EXIT_DONE)
        code = setup_isa(flags->isa, &all->isa);
    if (code == EXIT_DONE)
        code = setup_tokens("prompt-tokens", flags->prompt_tokens, &all->prompt);
    if (code == EXIT_DONE)
        code = setup_config(&flags->config, &all->config);
    if (code == EXIT_DONE)
        code = setup_seed(all->config);
    if (code == EXIT_DONE && flags->trace) {
        all->config_text = config_line(all->config, &all->config_size_bytes);
        code = all->config_text ? EXIT_DONE : complain_memory();
    }
    if (code == EXIT_DONE)
        code = texts_open(&all->texts, &flags->vocab);
    return code;
}

static int run_sample(const void *given)
{
    const sample_flags *flags = given;
    run all = {.flags = flags};
    int code = prepare(&all);
    if (code == EXIT_DONE)
        code = output_open(&all.out, flags->output);
    for (size_t i = 0; code == EXIT_DONE && i < flags->call.n_words; i++)
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

static const flag flags[] = {
    FLAG_TITLE("Sampling"),
    FLAG_GROUP(rows_flag, sample_flags, rows),
    {FLAG(COUNT, "draws", sample_flags, draws), .letter = 'n', .min = 1, .max = 1000000000,
     .help = "number of independent draws per row (default: 1)"},
    {FLAG(SWITCH, "sequence", sample_flags, sequence),
     .help = "treat the rows as consecutive positions of one text, and accept each token"},
    {FLAG(CHOICE, "axes", sample_flags, axes), .value = "none|step,batch|batch,step",
     .help = "with --sequence: the two axes of the rows; each text of the batch is a sequence "
             "and has its own stream (default: none)"},
    {FLAG(COUNT, "stream", sample_flags, stream), .value = "S", .max = UINT64_MAX,
     .help = "with --sequence: stream of the seed that the first text uses (default: 0)"},
    FLAG_GROUP(threads_flag, sample_flags, threads),
    {FLAG(SWITCH, "skip-bad", sample_flags, skip_bad),
     .help = "continue after a row with NaN or without any token; the status is still 3"},
    FLAG_GROUP(table_format_flag, sample_flags, format),
    {FLAG(SWITCH, "trace", sample_flags, trace),
     .help = "with --format json: print all that pluck replay needs to make the draw again"},
    FLAG_GROUP(quiet_flag, sample_flags, call),
    FLAG_GROUP(prompt_flag, sample_flags, prompt_tokens),
    FLAG_GROUP(isa_flag, sample_flags, isa),
    FLAG_GROUP(vocab_group, sample_flags, vocab),
    FLAG_GROUP(input_group, sample_flags, input),
    FLAG_GROUP(output_flag, sample_flags, output),
    FLAG_GROUP(config_group, sample_flags, config),
    FLAG_END,
};

const command sample_command = {
    .name = "sample",
    .synopsis = "DUMP... [options]",
    .summary = "draw tokens from the rows of logit dumps",
    .about = "Reads rows of logits (.npy, .npz, .safetensors, torch.save, llama.cpp's "
             "KL-divergence base, JSON, CSV, text or raw values, packed by gzip or not; - is "
             "standard input), runs the configured stages on each and draws tokens. Without a "
             "configuration it draws from softmax(logits). Flags override the keys of the "
             "configuration file.\n"
             "Row r uses stream r of the seed and draw d of a row uses position d (after the "
             "prompt tokens), so that any split of the rows gives the same tokens. Rows are "
             "numbered within each dump.\n"
             "A line of JSON is "
             "{\"row\":0,\"draw\":0,\"token\":123,\"logprob\":-1.23,\"survivors\":17}, then "
             "\"text\" if a vocabulary was given; with several dumps \"dump\" comes first. "
             "survivors is how many tokens could have been drawn, logprob the natural logarithm "
             "of the token's probability among them. With --sequence and a vocabulary the text "
             "format is the running text.",
    .usual = "temperature top-k top-p seed draws format",
    COMMAND_FLAGS(flags, sample_flags),
    .defaults = &(const sample_flags){.draws = 1, .threads = 1},
    .examples =
        {"pluck sample logits.npy", "pluck sample logits.npy --temperature 0 --format json",
         "pluck sample logits.npy --temperature 0.8 --top-k 40 --top-p 0.95 --seed 7 --rows 0:10",
         "pluck sample logits.npy --config config.json --rows -1 --draws 5 --vocab vocab.json",
         "pluck sample logits.npy --sequence --temperature 0.5 --vocab vocab.json",
         "pluck sample a.npy b.npy --preset balanced --format csv -o tokens.csv",
         "pluck sample logits.npy --draws 1000 --temperature 1.5 --threads 0 --format csv",
         "pluck sample - --rows :3 < logits.npy",
         "pluck sample logits.raw --vocab-size 512 --dtype f32 --rows 0"},
    COMMAND_WORDS(1, SIZE_MAX, "DUMP"),
    .words_are_inputs = true,
    .run = run_sample,
};
