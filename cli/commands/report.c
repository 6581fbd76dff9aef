/*
 * Rows for the explorer of a report. A row is sorted as the library orders tokens; its largest
 * logits are written as base64 of little-endian binary32, up to the room of the page, and the
 * others as bins [centre, n, s1, s2, s3, s4]: of differences d to the largest logit, with s_k = sum
 * of (d - centre)^k. cli/report/report.js says what it makes of them.
 *
 * pluck report: a page about dumps. What it shows is computed here and by tuning.c; how it shows it
 * is in report_page.c.
 */
#include "commands/report.h"
#include "base/error.h"
#include "base/tally.h"
#include "run_ranks.h"
#include "thread/thread.h"

#include <pluck/sampler.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TEXTS_A_ROW = 200, PAGE_TEXT_COLUMNS = 80, REST_BINS = 64, POWERS = 4, ROWS_A_WORKER = 64 };

typedef struct ranked {
    float logit;
    uint32_t token;
} ranked;

static int best_first(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    if (a->logit != b->logit)
        return a->logit > b->logit ? -1 : 1;
    return a->token < b->token ? -1 : 1;
}

static void write_base64(output *out, const ranked *row, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < 4 * n; at += 3) {
        uint32_t group = 0;
        for (size_t k = 0; k < 3; k++) {
            uint32_t bits = 0;
            if (at + k < 4 * n)
                memcpy(&bits, &row[(at + k) / 4].logit, sizeof bits);
            group = group << 8 | (bits >> 8 * ((at + k) % 4) & 255);
        }
        for (size_t k = 0; k < 4; k++)
            output_char(out, at + k > 4 * n ? '=' : digits[group >> (18 - 6 * k) & 63]);
    }
}

/* The text of a token, or null without a vocabulary. */
static void write_name(const report *r, output *out, uint32_t token)
{
    size_t length = 0;
    const char *text = texts_get(&r->texts, (pluck_token)token, &length);
    if (r->texts.name)
        output_script_string(out, text, length, PAGE_TEXT_COLUMNS);
    else
        output_text(out, "null");
}

/* Bins of equal width over row[0 .. n - 1], with their power sums around their means. */
static void write_rest(output *out, const ranked *row, size_t n, double max)
{
    double high = n > 0 ? (double)row[0].logit : 0, low = n > 0 ? (double)row[n - 1].logit : 0;
    double width = (high - low) / REST_BINS;
    bool is_first = true;
    for (size_t at = 0; at < n;) {
        double end = (double)row[at].logit - width;
        double sum = 0, powers[POWERS] = {0};
        size_t next = at;
        for (; next < n && ((double)row[next].logit >= end || next == at); next++)
            sum += (double)row[next].logit - max;
        double centre = sum / (double)(next - at);
        /* What is far out weighs nothing, and its powers would overflow. */
        for (size_t i = at; i < next && centre > -2000; i++) {
            double d = (double)row[i].logit - max - centre;
            double power = 1;
            for (size_t k = 0; k < POWERS; k++)
                powers[k] += power *= d;
        }
        output_printf(out, "%s[", is_first ? "" : ",");
        output_double(out, centre);
        output_printf(out, ",%zu", next - at);
        for (size_t k = 0; k < POWERS; k++) {
            output_char(out, ',');
            output_double(out, powers[k]);
        }
        output_char(out, ']');
        is_first = false;
        at = next;
    }
}

/* Where the token that followed is among all tokens that are possible, and how far below the best
 * one: the page may hold neither its logit nor, in its list, its name. */
static void write_target(const report *r, output *out, const ranked *row, size_t n,
                         pluck_token target)
{
    size_t place = 0;
    if (target < 0) {
        output_text(out, "null");
        return;
    }
    while (place < n && row[place].token != (uint32_t)target)
        place++;
    output_printf(out, "%d,\"target_place\":%zu,\"target_d\":", (int)target, place);
    if (place < n)
        output_double(out, (double)row[place].logit - (double)row[0].logit);
    else
        output_text(out, "null");
    output_text(out, ",\"target_text\":");
    write_name(r, out, (uint32_t)target);
}

static void write_row(const report *r, output *out, size_t dump, uint64_t index, const ranked *row,
                      size_t n, pluck_token target)
{
    size_t room = (size_t)REPORT_LOGIT_BYTES / r->n_explored * 3 / 16;
    size_t n_written = n < room ? n : room;
    output_printf(out, "{\"dump\":%zu,\"row\":%llu,\"logits\":\"", dump, (unsigned long long)index);
    write_base64(out, row, n_written);
    output_text(out, "\",\"rest\":[");
    write_rest(out, row + n_written, n - n_written, (double)row[0].logit);
    output_text(out, "],\"tokens\":[");
    for (size_t i = 0; i < n_written && i < TEXTS_A_ROW; i++) {
        output_printf(out, "%s[%u,", i > 0 ? "," : "", (unsigned)row[i].token);
        write_name(r, out, row[i].token);
        output_char(out, ']');
    }
    output_text(out, "],\"target\":");
    write_target(r, out, row, n, target);
    output_char(out, '}');
}

static int explore_row(const report *r, output *out, size_t dump, uint64_t index, ranked *row)
{
    const report_dump *d = &r->dumps[dump];
    pluck_dump_row read = PLUCK_INIT(pluck_dump_row);
    pluck_error err;
    pluck_token target = PLUCK_NO_TOKEN;
    pluck_status status = pluck_dump_read(d->t.src.dump, index, d->t.src.scratch, &read, &err);
    if (status == PLUCK_OK)
        status = targets_get(&d->t.truth, index, &read, &target, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    size_t n = 0;
    widen_row(read.logits, d->t.src.scratch);
    for (uint32_t i = 0; i < read.logits.n_vocab; i++) {
        float logit = d->t.src.scratch[i];
        if (isnan(logit) || logit == INFINITY)
            return complain(EXIT_DATA, "%s: row %llu: the logit of token %u is NaN or +inf",
                            d->t.name, (unsigned long long)index, (unsigned)i);
        if (logit > -INFINITY)
            row[n++] = (ranked){logit, i};
    }
    if (n == 0)
        return complain(EXIT_DATA, "%s: row %llu: every logit is -inf", d->t.name,
                        (unsigned long long)index);
    qsort(row, n, sizeof *row, best_first);
    write_row(r, out, dump, index, row, n, target);
    return EXIT_DONE;
}

uint64_t report_row(const report_dump *d, size_t i)
{
    uint64_t n = d->t.data.end - d->t.data.first;
    return d->t.data.first + (uint64_t)((double)n * (double)i / (double)d->n_explored);
}

int report_write_rows(const report *r, output *out)
{
    int code = EXIT_DONE;
    output_text(out, "{\"rows\":[");
    for (size_t k = 0; k < r->n_dumps && code == EXIT_DONE; k++) {
        const report_dump *d = &r->dumps[k];
        ranked *row = malloc(d->t.src.info.n_vocab * sizeof *row);
        if (!row)
            return complain_memory();
        for (size_t i = 0; i < d->n_explored && code == EXIT_DONE; i++) {
            if (i + k > 0)
                output_text(out, ",\n");
            code = explore_row(r, out, k, report_row(d, i), row);
        }
        free(row);
    }
    output_text(out, "]}");
    return code;
}

/* Point of a chart that a row belongs to: that of tuning_part_first(). */
static size_t point_of(const report_dump *d, uint64_t row)
{
    uint64_t n = d->t.data.end - d->t.data.first;
    return (size_t)(((row - d->t.data.first + 1) * d->series.n - 1) / n);
}

static void find_points(report_dump *d)
{
    report_series *s = &d->series;
    uint64_t n = d->t.data.end - d->t.data.first;
    s->n = n < REPORT_POINTS ? (size_t)n : REPORT_POINTS;
    for (size_t i = 0; i < s->n; i++) {
        uint64_t first = tuning_part_first(&d->t, s->n, i);
        uint64_t end = tuning_part_first(&d->t, s->n, i + 1);
        s->x[i] = 0.5 * ((double)first + (double)(end - 1));
        s->rows[i] = end - first;
    }
}

static pluck_status measure_rows(report_dump *d, pluck_error *err)
{
    pluck_tune_stats parts[REPORT_POINTS][2];
    report_series *s = &d->series;
    const double temperatures[2] = {1, d->t.has_targets ? d->t.fit.temperature : 1};
    /* With targets the statistics are there, with the bins that were asked for. */
    pluck_tune_request request = {.struct_size = sizeof request,
                                  .temperatures = temperatures,
                                  .n = 2,
                                  .stats = d->t.has_targets ? NULL : d->t.stats,
                                  .n_parts = s->n,
                                  .parts = parts[0]};
    progress_start(&d->t.bar, d->t.data.end - d->t.data.first, NULL);
    pluck_status status = pluck_tune_measure(&d->t.data, &request, err);
    progress_clear(&d->t.bar);
    for (size_t i = 0; i < s->n && status == PLUCK_OK; i++)
        for (int k = 0; k < 2; k++) {
            s->entropy[k][i] = parts[i][k].entropy;
            s->effective[k][i] = parts[i][k].effective;
        }
    return status;
}

static const char *const cuts[REPORT_CUTS] = {"{\"min_p\": 0.05}", "{\"top_p\": 0.95}"};

/* Of one worker. */
typedef struct counter {
    pluck_sampler *samplers[REPORT_CUTS];
    float *scratch;
    uint64_t n_survivors[REPORT_CUTS * REPORT_POINTS];
} counter;

typedef struct counting {
    report_dump *d;
    counter *counters;
    uint32_t n_counters;
    uint64_t row; /* the first of a group */
    uint64_t n_done;
    uint64_t n_survivors[REPORT_CUTS * REPORT_POINTS];
} counting;

static pluck_status open_counters(counting *c, pluck_error *err)
{
    uint32_t n_vocab = c->d->t.src.info.n_vocab;
    pluck_status status = plk_parallel_workers(c->d->t.data.parallel, &c->n_counters, err);
    if (status != PLUCK_OK)
        return status;
    c->counters = calloc(c->n_counters, sizeof *c->counters);
    if (!c->counters)
        return plk_fail_nomem(err, c->n_counters * sizeof *c->counters);
    for (counter *w = c->counters; w < c->counters + c->n_counters; w++) {
        w->scratch = malloc(n_vocab * sizeof *w->scratch);
        if (!w->scratch)
            return plk_fail_nomem(err, n_vocab * sizeof *w->scratch);
        for (size_t k = 0; k < REPORT_CUTS && status == PLUCK_OK; k++)
            status =
                pluck_sampler_from_json(&w->samplers[k], cuts[k], strlen(cuts[k]), n_vocab, err);
        if (status != PLUCK_OK)
            return status;
    }
    return PLUCK_OK;
}

static void close_counters(counting *c)
{
    for (uint32_t i = 0; c->counters && i < c->n_counters; i++) {
        for (size_t k = 0; k < REPORT_CUTS; k++)
            pluck_sampler_destroy(&c->counters[i].samplers[k]);
        free(c->counters[i].scratch);
    }
    free(c->counters);
}

static pluck_status count_row(void *context, uint32_t worker, size_t item, pluck_error *err)
{
    counting *c = context;
    counter *w = &c->counters[worker];
    uint64_t row = c->row + item;
    size_t point = point_of(c->d, row);
    pluck_logits logits;
    pluck_draw drawn;
    pluck_status status = read_logits(c->d->t.src.dump, row, w->scratch, &logits, err);
    if (status != PLUCK_OK)
        return status;
    for (size_t k = 0; k < REPORT_CUTS; k++) {
        pluck_error reason;
        status = pluck_sampler_draw(w->samplers[k], logits, &drawn, &reason);
        if (status != PLUCK_OK)
            return plk_fail(err, status, "row %llu: %s", (unsigned long long)row, reason.message);
        w->n_survivors[k * REPORT_POINTS + point] += drawn.n_survivors;
    }
    return PLUCK_OK;
}

static int count_part(void *user, uint64_t first, uint64_t end)
{
    counting *c = user;
    const tuning *t = &c->d->t;
    uint64_t at_once = (uint64_t)ROWS_A_WORKER * c->n_counters;
    pluck_status status = PLUCK_OK;
    pluck_error err;
    for (c->row = first; c->row < end && status == PLUCK_OK;) {
        size_t n = (size_t)(end - c->row < at_once ? end - c->row : at_once);
        status = plk_parallel_run(t->data.parallel, c->n_counters, n, count_row, c, NULL, &err);
        c->row += n;
        c->n_done += n;
        progress_update(&c->d->t.bar, c->n_done);
        pluck_dump_release(t->src.dump, c->row);
    }
    for (counter *w = c->counters; w < c->counters + c->n_counters; w++) {
        for (size_t i = 0; i < REPORT_CUTS * REPORT_POINTS; i++)
            c->n_survivors[i] += w->n_survivors[i];
        memset(w->n_survivors, 0, sizeof w->n_survivors);
    }
    if (status != PLUCK_OK)
        progress_clear(&c->d->t.bar);
    return complain_about(t->name, status, &err);
}

/* How many tokens survive each truncation. The rows before and after are those of the other dumps,
 * which are counted in the same round. */
static int count_survivors(report_dump *d, uint64_t n_before, uint64_t n_after)
{
    report_series *s = &d->series;
    const pluck_tune_data *data = &d->t.data;
    const pluck_dump_info *info = &d->t.src.info;
    counting c = {.d = d};
    pluck_tally tally;
    pluck_error err;
    int code = complain_about(d->t.name, open_counters(&c, &err), &err);
    plk_tally_open(&tally, "report", NULL);
    plk_tally_section_add(&tally, PLK_TALLY_COUNTS, c.n_survivors, REPORT_CUTS * REPORT_POINTS);
    row_pass pass = {.first = data->first,
                     .end = data->end,
                     .n_before = n_before,
                     .n_after = n_after,
                     .bytes_per_row = info->n_vocab * pluck_dtype_size_bytes(info->dtype),
                     .tally = &tally,
                     .rows = count_part,
                     .user = &c};
    progress_start(&d->t.bar, data->end - data->first, NULL);
    d->t.bar.unit = "rows";
    if (code == EXIT_DONE)
        code = ranks_pass(&pass);
    progress_clear(&d->t.bar);
    for (size_t k = 0; k < REPORT_CUTS && code == EXIT_DONE; k++)
        for (size_t i = 0; i < s->n; i++)
            s->nucleus[k][i] = (double)c.n_survivors[k * REPORT_POINTS + i] / (double)s->rows[i];
    plk_tally_close(&tally);
    close_counters(&c);
    return code;
}

static int open_dump(report *r, report_dump *d, const char *path)
{
    int code = tuning_open(&d->t, &r->flags->tuning, path);
    if (code == EXIT_DONE)
        code = texts_check(&r->texts, d->t.name, d->t.src.dump, d->t.src.info.n_vocab);
    if (code == EXIT_DONE && r->n_dumps == 1)
        code = texts_take(&r->texts, d->t.name, d->t.src.dump, d->t.src.info.n_vocab);
    if (code != EXIT_DONE)
        return code;
    find_points(d);
    uint64_t n = d->t.data.end - d->t.data.first;
    uint64_t wanted = r->flags->explore / r->n_dumps;
    d->n_explored = (size_t)(n < wanted ? n : wanted > 0 ? wanted : 1);
    r->n_explored += d->n_explored;
    r->n_rows += n;
    return EXIT_DONE;
}

static int study_dump(report_dump *d)
{
    pluck_error err;
    int code = d->t.has_targets ? tuning_run(&d->t) : EXIT_DONE;
    return code == EXIT_DONE ? complain_about(d->t.name, measure_rows(d, &err), &err) : code;
}

static int study(report *r)
{
    int code = EXIT_DONE;
    uint64_t n_before = 0;
    if (r->flags->tuning.targets && r->n_dumps > 1)
        return complain(EXIT_USAGE,
                        "--targets belongs to one dump, but %llu are given; make one page per dump",
                        (unsigned long long)r->n_dumps);
    for (size_t i = 0; i < r->n_dumps && code == EXIT_DONE; i++)
        code = open_dump(r, &r->dumps[i], r->flags->tuning.call.words[i]);
    for (size_t i = 0; i < r->n_dumps && code == EXIT_DONE; i++) {
        uint64_t n = r->dumps[i].t.data.end - r->dumps[i].t.data.first;
        code = count_survivors(&r->dumps[i], n_before, r->n_rows - n_before - n);
        n_before += n;
    }
    for (size_t i = 0; i < r->n_dumps && code == EXIT_DONE; i++)
        code = study_dump(&r->dumps[i]);
    return code;
}

static int run(const void *given)
{
    const report_flags *flags = given;
    report r = {.flags = flags, .n_dumps = flags->tuning.call.n_words};
    output out;
    int code = output_open(&out, flags->output);
    if (code != EXIT_DONE)
        return code;
    r.dumps = calloc(r.n_dumps, sizeof *r.dumps);
    code = !r.dumps ? complain_memory() : texts_open(&r.texts, &flags->vocab);
    if (code == EXIT_DONE)
        code = study(&r);
    if (code == EXIT_DONE)
        code = report_write(&r, &out);
    for (size_t i = 0; r.dumps && i < r.n_dumps; i++)
        tuning_close(&r.dumps[i].t);
    code = output_finish(&out, code);
    texts_close(&r.texts);
    free(r.dumps);
    return code;
}

static const flag flags[] = {
    FLAG_TITLE("Report"),
    FLAG_GROUP(targets_flag, report_flags, tuning.targets),
    FLAG_GROUP(rows_flag, report_flags, tuning.rows),
    {FLAG(COUNT, "explore", report_flags, explore), .min = 1, .max = 200,
     .help = "number of rows, evenly spread, that can be explored live (default: 12)"},
    FLAG_GROUP(threads_flag, report_flags, tuning.threads),
    FLAG_GROUP(quiet_flag, report_flags, tuning.call),
    FLAG_GROUP(shard_group, report_flags, tuning.call.shard),
    FLAG_GROUP(vocab_group, report_flags, vocab),
    FLAG_GROUP(input_group, report_flags, tuning.input),
    FLAG_GROUP(output_flag, report_flags, output),
    FLAG_END,
};

const command report_command = {
    .name = "report",
    .synopsis = "DUMP... [options]",
    .summary = "make an HTML page that shows dumps, with live controls",
    .about = "Writes one HTML page without external files. It shows the distributions of some "
             "rows, with sliders for temperature, top-k, typical, top-p and min-p that act as the "
             "library does and whose settings can be saved as a configuration, and charts of "
             "entropy, perplexity and nucleus size over the rows. With targets it also shows the "
             "likelihood against temperature, and reliability diagrams before and after fitting "
             "the temperature.",
    .usual = "output targets vocab rows explore threads",
    COMMAND_FLAGS(flags, report_flags),
    .defaults =
        &(const report_flags){
            .tuning = {.threads = 1, .bootstrap = 1000, .keep = 0.99, .no_curves = true},
            .explore = 12},
    .examples = {"pluck report logits.npy --targets targets.npy --vocab vocab.json -o report.html",
                 "pluck report a.npy b.npy --vocab vocab.json -o report.html"},
    COMMAND_WORDS(1, 100, "DUMP"),
    .words_are_inputs = true,
    .run = run,
};
