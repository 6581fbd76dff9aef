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
#include "commands/sample.h"

#include "base/tally.h"
#include "run_ranks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOP = 1024 };

#define RELEASE_INTERVAL 64 /* rows after which pages of the dump are given back */

static bool can_write(const run *all)
{
    return all->outs[RESULTS].error == 0 && all->outs[KEPT].error == 0;
}

/* The set of a row, none of a row that was skipped. */
static int add_kept(run *all, const row_report *report)
{
    size_t n = 0;
    if (!all->plan.has_kept)
        return EXIT_DONE;
    const char *set = report ? kept_writer_make(&all->kept, report->kept, report->kept_offsets[1],
                                                report->kept_log_mass, &n)
                             : kept_writer_make(&all->kept, NULL, 0, NAN, &n);
    if (!set)
        return complain_memory();
    return all->flags->sequence ? kept_writer_add(&all->kept, set, n) : ranks_record(set, n);
}

/* What a failed row means: an exit code, or EXIT_DONE to go on with the next. */
static int row_failed(job *j, const pluck_error *err)
{
    pluck_status status = err->status;
    bool is_skipped =
        j->all->flags->skip_bad && (status == PLUCK_ERR_NAN || status == PLUCK_ERR_EMPTY);
    progress_clear(&j->all->bar);
    if (!is_skipped)
        output_flush(&j->all->outs[RESULTS]);
    int code = complain(exit_code_of(status), "%s: row %llu: %s%s", j->name,
                        (unsigned long long)j->row, err->message, is_skipped ? "; skipped" : "");
    j->n_bad_rows += is_skipped;
    if (is_skipped)
        sample_print_skipped(j);
    if (is_skipped && add_kept(j->all, NULL) != EXIT_DONE)
        return EXIT_SYSTEM;
    return is_skipped ? EXIT_DONE : code;
}

/* A row is done: what was printed of it may have to be seen now, and its pages may go. */
static void row_done(job *j)
{
    if (j->src.info.streamed || j->all->outs[RESULTS].is_terminal)
        output_flush(&j->all->outs[RESULTS]);
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
    size_t n = 0, most = team->plan->draws_at_once;
    for (; n < team->n_portions && at->row < at->end; n++) {
        uint64_t left = at->n_draws - at->draw;
        portion *p = &team->portions[n];
        p->row = at->row;
        p->first_draw = at->draw;
        p->n_draws = left < most ? (size_t)left : most;
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
        for (size_t i = 0; i < p->n_drawn; i++) {
            drawn_token drawn = {.number = p->first_draw + i,
                                 .draw = &p->draws[i],
                                 .record = p->records ? &p->records[i] : NULL,
                                 .hash = p->hash,
                                 .report = &p->report,
                                 .raw_logprob = j->all->plan.has_raw ? p->report.raw[i] : 0.0f};
            sample_print_draw(j, &drawn);
        }
    if (p->state == PORTION_DONE && add_kept(j->all, &p->report) != EXIT_DONE)
        return EXIT_SYSTEM;
    if (p->state == PORTION_ENDED)
        at->end = p->row;
    else if (p->state == PORTION_FAILED || p->first_draw + p->n_draws == at->n_draws)
        row_done(j);
    return EXIT_DONE;
}

/* Different ones are drawn all at once. */
static uint64_t draws_per_row(const sample_flags *flags)
{
    return flags->distinct > 0 ? flags->distinct : flags->draws;
}

static int sample_independent(void *user, uint64_t first, uint64_t end)
{
    job *j = user;
    cursor at = {.row = first, .end = end, .n_draws = draws_per_row(j->all->flags)};
    int code = EXIT_DONE;
    while (code == EXIT_DONE && can_write(j->all) && at.row < at.end) {
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
    j->end = at.end;
    return code;
}

static int take_record(void *user, const char *bytes, size_t n)
{
    job *j = user;
    return kept_writer_add(&j->all->kept, bytes, n);
}

/* The rows of a dump, all or this process's. */
static int share_rows(job *j, uint64_t first)
{
    run *all = j->all;
    pluck_tally tally;
    plk_tally_open(&tally, "sample", NULL);
    plk_tally_section_add(&tally, PLK_TALLY_COUNTS, &j->n_bad_rows, 1);
    all->n_rows_after -= all->n_rows_after > 0 ? j->end - first : 0;
    row_pass pass = {.first = first,
                     .end = j->end,
                     .n_before = all->n_rows_before,
                     .n_after = all->n_rows_after,
                     .bytes_per_row =
                         j->src.info.n_vocab * pluck_dtype_size_bytes(j->src.info.dtype),
                     .tally = &tally,
                     .outs = all->outs,
                     .n_outs = KEPT,
                     .rows = sample_independent,
                     .record = take_record,
                     .user = j};
    all->n_rows_before += j->end - first;
    int code = ranks_pass(&pass);
    plk_tally_close(&tally);
    all->n_bad_rows += j->n_bad_rows;
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
    row_report *report = &j->team.portions[0].report;
    draw_record record;
    pluck_draw draw;
    drawn_token drawn = {.draw = &draw, .record = &record, .report = report};
    pluck_status status = workers_mask(&j->team, w, j->row, err);
    if (status == PLUCK_OK && w->trace) {
        drawn.hash = row_hash(logits);
        status = record_draw(w->sampler, logits, w->trace, &record, err);
    }
    if (status == PLUCK_OK)
        status = pluck_sampler_draw(w->sampler, logits, &draw, err);
    if (status == PLUCK_OK)
        status = workers_report(&j->team, w, logits, 1, &draw, report, err);
    if (status != PLUCK_OK)
        return status;
    drawn.raw_logprob = j->all->plan.has_raw ? report->raw[0] : 0.0f;
    sample_print_draw(j, &drawn);
    if (add_kept(j->all, report) != EXIT_DONE) {
        *err = (pluck_error){PLUCK_ERR_NOMEM, "out of memory"};
        return PLUCK_ERR_NOMEM;
    }
    if (w->trace)
        status = remember(j, draw.token, err);
    return status == PLUCK_OK ? pluck_sampler_accept(w->sampler, draw.token, err) : status;
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
    sample_print_begin(j);
    for (j->row = first; j->row < *end && can_write(all); j->row += step) {
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
    sample_print_end(j);
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
    j->end = end;
    int code = all->flags->sequence ? sample_texts(j, first, &j->end) : share_rows(j, first);
    end = j->end;
    if (code == EXIT_DONE && all->range.is_single && end == first && can_write(all))
        return complain(EXIT_DATA, "%s: ended before row %llu", j->name, (unsigned long long)first);
    if (code == EXIT_DONE && all->plan.mask && j->src.info.n_rows == PLUCK_DUMP_ROWS_UNKNOWN &&
        can_write(all))
        return kept_sets_check_end(all->plan.mask, end, j->name);
    return code;
}

/* No more workers than portions. The rows of a stream come one after the other, and each is
 * answered before the next: that takes one. */
static size_t useful_workers(const job *j, uint64_t n_rows)
{
    const sample_flags *flags = j->all->flags;
    size_t n = plk_thread_count((uint32_t)flags->threads);
    uint64_t at_once = j->all->plan.draws_at_once;
    uint64_t portions_a_row = (draws_per_row(flags) + at_once - 1) / at_once;
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
    if (code == EXIT_DONE && all->plan.mask)
        code = kept_sets_check(all->plan.mask, j.src.info.n_vocab, first, end, j.src.info.n_rows,
                               j.name);
    size_t n_workers = useful_workers(&j, end - first);
    if (code == EXIT_DONE)
        code = workers_create(&j.team, &all->plan, all->config, &all->texts, all->isa, &all->prompt,
                              &j.src, j.name, n_workers);
    if (code == EXIT_DONE) {
        bool is_known = all->flags->call.n_words == 1 && end != PLUCK_DUMP_ROWS_UNKNOWN;
        if (index == 0)
            progress_start(&all->bar,
                           is_known ? ranks_count(end - first) * draws_per_row(all->flags) : 0,
                           &all->outs[RESULTS]);
        sample_print_heading(&j, index == 0);
        code = sample_rows(&j, first, end);
    }
    workers_destroy(&j.team);
    source_close(&j.src);
    free(j.history.tokens);
    return code;
}

/* What processes that share the rows of several dumps must know of all. The paths are printed. */
static int prepare_shared(run *all)
{
    const call *c = &all->flags->call;
    int code = EXIT_DONE;
    for (size_t i = 0; code == EXIT_DONE && i < c->n_words; i++) {
        uint64_t n = 0;
        code = ranks_identify("name of a dump", c->words[i], strlen(c->words[i]));
        if (code == EXIT_DONE)
            code = source_count_rows(&all->flags->input, c->words[i], &all->range, &n);
        all->n_rows_after += n;
    }
    return code;
}

static int complain_pair(const char *given, const char *other, const char *why)
{
    return complain(EXIT_USAGE, "%s cannot be combined with %s: %s", given, other, why);
}

/* given is --kept or --mask, whose sets are in the order of the rows of one dump. */
static int check_sets(const sample_flags *flags, const char *given)
{
    if (flags->call.n_words > 1)
        return complain(EXIT_USAGE,
                        "%s takes one dump; '%s' is too much, so run the command once per dump",
                        given, flags->call.words[1]);
    if (flags->axes == AXES_STEP_BATCH)
        return complain_pair(given, "--axes step,batch", "the sets are in the order of the rows");
    return EXIT_DONE;
}

static int check_files(const sample_flags *flags)
{
    int code = EXIT_DONE;
    if (flags->kept && flags->draws != 1)
        return complain_pair("--kept", "--draws",
                             "--kept writes one set per row, whatever the number of draws");
    if (flags->mask && flags->trace)
        return complain_pair("--mask", "--trace", "pluck replay cannot apply a mask");
    if (flags->kept)
        code = check_sets(flags, "--kept");
    if (code == EXIT_DONE && flags->mask)
        code = check_sets(flags, "--mask");
    return code;
}

static int check_arguments(const sample_flags *flags)
{
    if (flags->trace && flags->format != FORMAT_JSON)
        return complain(EXIT_USAGE,
                        "--trace needs --format json; other formats have no place for it");
    if (flags->sequence && flags->draws != 1)
        return complain(EXIT_USAGE,
                        "--sequence draws one token per row and cannot be combined with "
                        "--draws %llu",
                        (unsigned long long)flags->draws);
    if (flags->distinct > 0 && flags->draws != 1)
        return complain_pair("--distinct", "--draws",
                             "--distinct makes one draw per row, of several tokens");
    if (flags->distinct > 0 && flags->sequence)
        return complain_pair("--distinct", "--sequence",
                             "a sequence goes on with exactly one token per row");
    if (flags->distinct > 0 && flags->trace)
        return complain_pair("--distinct", "--trace",
                             "pluck replay repeats independent draws only");
    if (flags->sequence && flags->skip_bad)
        return complain(EXIT_USAGE, "--skip-bad cannot be combined with --sequence, whose tokens "
                                    "depend on every row before");
    if (flags->sequence && !ranks_are_alone())
        return complain_pair("--sequence", ranks_name(), "rows depend on each other");
    if (flags->sequence && flags->threads != 1)
        return complain(EXIT_USAGE, "--threads cannot be combined with --sequence: each row needs "
                                    "the token of the row before; leave out --threads");
    if (!flags->sequence && flags->axes != AXES_NONE)
        return complain(EXIT_USAGE,
                        "--axes needs --sequence; without it each row is drawn on its own");
    if (!flags->sequence && flags->stream != 0)
        return complain(EXIT_USAGE, "--stream needs --sequence; without it row r uses stream r");
    return check_files(flags);
}

/* What is to be found out about each row, and how many draws of it at once: xtc, which is random,
 * makes another final distribution for every draw. */
static worker_plan make_plan(run *all)
{
    const sample_flags *flags = all->flags;
    worker_plan plan = {.has_trace = flags->trace,
                        .has_kept = flags->kept != NULL,
                        .is_distinct = flags->distinct > 0,
                        .draws_at_once = DRAWS_AT_ONCE,
                        .n_top = (uint32_t)flags->n_top,
                        .top_kind = (pluck_logprob_kind)flags->top_kind};
    plan.has_raw =
        plan.top_kind == PLUCK_LOGPROB_RAW && (plan.n_top > 0 || flags->format == FORMAT_OPENAI);
    plan.mask = flags->mask ? &all->mask : NULL;
    for (size_t i = 0; i < setup_config_info(all->config).n_stages; i++) {
        pluck_config_stage part = setup_config_stage(all->config, i);
        if (!part.is_neutral && strcmp(part.stage->name, "xtc") == 0 && plan.n_top > 0 &&
            plan.top_kind == PLUCK_LOGPROB_FINAL && !plan.is_distinct)
            plan.draws_at_once = 1;
    }
    return plan;
}

/* The sets of --mask, and the configuration that goes with them in the place of all->config. */
static int open_mask(run *all)
{
    pluck_config *masked = NULL;
    int code = kept_sets_open(&all->mask, all->flags->mask);
    if (code == EXIT_DONE)
        code = kept_config(&masked, all->config, all->mask.path);
    if (code == EXIT_DONE) {
        pluck_config_destroy(&all->config);
        all->config = masked;
    }
    return code;
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
    if (code == EXIT_DONE && flags->mask)
        code = open_mask(all);
    if (code == EXIT_DONE)
        all->plan = make_plan(all);
    if (code == EXIT_DONE && flags->trace) {
        all->config_text = config_line(all->config, &all->config_size_bytes);
        code = all->config_text ? EXIT_DONE : complain_memory();
    }
    if (code == EXIT_DONE)
        code = texts_open(&all->texts, &flags->vocab);
    if (code == EXIT_DONE && flags->call.n_words > 1 && !ranks_are_alone())
        code = prepare_shared(all);
    return code;
}

static int run_sample(const void *given)
{
    const sample_flags *flags = given;
    run all = {.flags = flags};
    int code = prepare(&all);
    if (code == EXIT_DONE)
        code = output_open(&all.outs[RESULTS], flags->output);
    if (code == EXIT_DONE && flags->kept)
        code = kept_writer_open(&all.kept, &all.outs[KEPT], flags->kept);
    if (code == EXIT_DONE && flags->kept && !flags->output && ranks_writes() &&
        all.outs[KEPT].file.place.kind == PLK_PLACE_DESCRIPTOR &&
        all.outs[KEPT].file.place.descriptor == all.outs[RESULTS].file.place.descriptor)
        code = complain(EXIT_USAGE,
                        "--kept %s: standard output has the tokens drawn; write the tokens to "
                        "another file with -o",
                        flags->kept);
    for (size_t i = 0; code == EXIT_DONE && i < flags->call.n_words; i++)
        code = sample_dump(&all, i);
    progress_clear(&all.bar);
    if (code == EXIT_DONE && flags->kept)
        kept_writer_finish(&all.kept);
    int close_code = outputs_close(all.outs, N_OUTPUTS, code == EXIT_DONE);
    if (code == EXIT_DONE)
        code = close_code;
    if (code == EXIT_DONE && all.n_bad_rows > 0)
        code = EXIT_DATA;
    if (code == EXIT_DONE && flags->kept)
        note("%s: %llu sets of %llu tokens in all", flags->kept,
             (unsigned long long)all.kept.n_sets, (unsigned long long)all.kept.n_tokens);
    kept_writer_free(&all.kept);
    kept_sets_close(&all.mask);
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
    {FLAG(COUNT, "distinct", sample_flags, distinct), .min = 1, .max = DRAWS_AT_ONCE,
     .help = "draw up to N different tokens per row, without replacement: candidates for beams"},
    {FLAG(SWITCH, "sequence", sample_flags, sequence),
     .help = "treat the rows as consecutive positions of one text: each drawn token joins the "
             "history that penalties count, and all rows draw from one stream (see --stream)"},
    {FLAG(CHOICE, "axes", sample_flags, axes), .value = "none|step,batch|batch,step",
     .help = "with --sequence: the order of the two axes of the rows; each text of the batch is a "
             "sequence and has its own stream (default: none, all rows are one text)"},
    {FLAG(COUNT, "stream", sample_flags, stream), .value = "S", .max = UINT64_MAX,
     .help = "with --sequence: stream of the seed that the first text uses (default: 0)"},
    FLAG_GROUP(threads_flag, sample_flags, threads),
    {FLAG(SWITCH, "skip-bad", sample_flags, skip_bad),
     .help = "report a row with NaN, or of which no token is left, and continue with the next; the "
             "status is still 3"},
    {FLAG(CHOICE, "format", sample_flags, format), .letter = 'f', .value = "text|json|csv|openai",
     .help =
         "output format; openai: a line {\"content\":[...]} per draw or per text of --sequence, "
         "as \"logprobs\" in OpenAI's API (default: text)"},
    {FLAG(COUNT, "top-logprobs", sample_flags, n_top), .max = MAX_TOP,
     .help = "print the N most probable tokens of each row and their log-probabilities "
             "(default: 0)"},
    {FLAG(CHOICE, "top-kind", sample_flags, top_kind), .value = "raw|final",
     .help = "distribution of --top-logprobs and --format openai: softmax(logits), or what the "
             "stages leave (default: raw)"},
    {FLAG(SWITCH, "trace", sample_flags, trace),
     .help = "with --format json: add what pluck replay needs to repeat each draw"},
    {FLAG(OUTPUT, "kept", sample_flags, kept),
     .help = "write the tokens that the stages keep of each row to FILE, an .npz file"},
    {FLAG(INPUT, "mask", sample_flags, mask),
     .help = "allow for each row only the tokens that FILE, written by --kept, has for it; the "
             "stages that truncate do not run"},
    FLAG_GROUP(quiet_flag, sample_flags, call),
    FLAG_GROUP(prompt_flag, sample_flags, prompt_tokens),
    FLAG_GROUP(isa_flag, sample_flags, isa),
    FLAG_GROUP(shard_group, sample_flags, call.shard),
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
             "format is the running text.\n"
             "A FILE of --kept is an .npz file of tokens (int32), offsets (int64) and log_mass "
             "(float32: ln of each set's share of softmax(logits)).",
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
         "pluck sample logits.npy --top-logprobs 5 --format openai --vocab vocab.json",
         "pluck sample logits.npy --top-k 40 --kept kept.npz -o tokens.txt -q",
         "pluck sample - --rows :3 < logits.npy",
         "pluck sample logits.raw --vocab-size 512 --dtype f32 --rows 0"},
    COMMAND_WORDS(1, SIZE_MAX, "DUMP"),
    .words_are_inputs = true,
    .run = run_sample,
};
