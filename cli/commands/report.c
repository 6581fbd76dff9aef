/*
 * pluck report: a page about dumps. What it shows is computed here and by tuning.c; how it shows it
 * is in report_page.c.
 */
#include "commands/report.h"
#include "commands/commands.h"

#include <pluck/sampler.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Point of a chart that a row belongs to. */
static size_t point_of(const report_dump *d, uint64_t row, size_t n_points)
{
    uint64_t n = d->t.data.end - d->t.data.first;
    return (size_t)((double)(row - d->t.data.first) * (double)n_points / (double)n);
}

static void add_row(void *user, uint64_t row, const pluck_tune_row *measured)
{
    report_dump *d = user;
    report_series *s = &d->series;
    size_t i = point_of(d, row, s->n);
    s->rows[i]++;
    s->x[i] += (double)row;
    for (int k = 0; k < 2; k++) {
        s->entropy[k][i] += measured[k].entropy;
        s->effective[k][i] += exp(measured[k].entropy);
    }
}

static pluck_status measure_rows(report_dump *d, pluck_error *err)
{
    report_series *s = &d->series;
    uint64_t n = d->t.data.end - d->t.data.first;
    const double temperatures[2] = {1, d->t.has_targets ? d->t.fit.temperature : 1};
    pluck_tune_request request = {.struct_size = sizeof request,
                                  .temperatures = temperatures,
                                  .n = 2,
                                  .stats = d->t.stats,
                                  .row = add_row,
                                  .user = d};
    /* With targets the statistics are there, with the bins that were asked for. */
    pluck_tune_stats known[2];
    memcpy(known, d->t.stats, sizeof known);
    s->n = n < REPORT_POINTS ? (size_t)n : REPORT_POINTS;
    progress_start(&d->t.bar, n, d->t.flags->call.is_quiet, NULL);
    pluck_status status = pluck_tune_measure(&d->t.data, &request, err);
    progress_clear(&d->t.bar);
    if (d->t.has_targets)
        memcpy(d->t.stats, known, sizeof known);
    for (size_t i = 0; i < s->n; i++) {
        s->x[i] /= s->rows[i];
        for (int k = 0; k < 2; k++) {
            s->entropy[k][i] /= s->rows[i];
            s->effective[k][i] /= s->rows[i];
        }
    }
    return status;
}

/* How many tokens survive one truncation. */
static pluck_status count_survivors(report_dump *d, const char *json, double *counts,
                                    pluck_error *err)
{
    const report_series *s = &d->series;
    pluck_sampler *sampler = NULL;
    progress_start(&d->t.bar, d->t.data.end - d->t.data.first, d->t.flags->call.is_quiet, NULL);
    d->t.bar.unit = "rows";
    pluck_status status =
        pluck_sampler_from_json(&sampler, json, strlen(json), d->t.src.info.n_vocab, err);
    for (uint64_t row = d->t.data.first; row < d->t.data.end && status == PLUCK_OK; row++) {
        pluck_logits logits;
        pluck_draw drawn = {0};
        status = read_logits(d->t.src.dump, row, d->t.src.scratch, &logits, err);
        if (status == PLUCK_OK)
            status = pluck_sampler_draw(sampler, logits, &drawn, err);
        counts[point_of(d, row, s->n)] += (double)drawn.n_survivors;
        progress_update(&d->t.bar, row - d->t.data.first + 1);
        pluck_dump_release(d->t.src.dump, row);
    }
    for (size_t i = 0; i < s->n; i++)
        counts[i] /= s->rows[i];
    progress_clear(&d->t.bar);
    pluck_sampler_destroy(&sampler);
    return status;
}

static int study_dump(report *r, report_dump *d, const char *path)
{
    pluck_error err;
    int code = tuning_open(&d->t, &r->flags->tuning, path);
    if (code == EXIT_DONE)
        code = texts_check(&r->texts, &r->flags->tuning.call, d->t.name, d->t.src.dump,
                           d->t.src.info.n_vocab);
    if (code == EXIT_DONE && r->n_dumps == 1)
        code = texts_take(&r->texts, &r->flags->tuning.call, d->t.name, d->t.src.dump,
                          d->t.src.info.n_vocab);
    if (code == EXIT_DONE && d->t.has_targets)
        code = tuning_run(&d->t);
    if (code != EXIT_DONE)
        return code;
    uint64_t n = d->t.data.end - d->t.data.first;
    uint64_t wanted = r->flags->explore / r->n_dumps;
    d->n_explored = (size_t)(n < wanted ? n : wanted > 0 ? wanted : 1);
    pluck_status status = measure_rows(d, &err);
    if (status == PLUCK_OK)
        status = count_survivors(d, "{\"top_p\": 0.95}", d->series.nucleus[0], &err);
    if (status == PLUCK_OK)
        status = count_survivors(d, "{\"min_p\": 0.05}", d->series.nucleus[1], &err);
    if (status == PLUCK_OK)
        return EXIT_DONE;
    return complain(r->flags->tuning.call.who, exit_code_of(status), "%s: %s", d->t.name,
                    err.message);
}

static int study(report *r)
{
    int code = EXIT_DONE;
    if (r->flags->tuning.targets && r->n_dumps > 1)
        return complain(r->flags->tuning.call.who, EXIT_USAGE,
                        "--targets belong to one dump; %llu are given",
                        (unsigned long long)r->n_dumps);
    for (size_t i = 0; i < r->n_dumps && code == EXIT_DONE; i++) {
        code = study_dump(r, &r->dumps[i], r->flags->tuning.call.words[i]);
        r->n_explored += r->dumps[i].n_explored;
    }
    return code;
}

static int run(const void *given)
{
    const report_flags *flags = given;
    report r = {.flags = flags, .n_dumps = flags->tuning.call.n_words};
    output out;
    int code = output_open(&out, flags->tuning.call.who, flags->output);
    if (code != EXIT_DONE)
        return code;
    r.dumps = calloc(r.n_dumps, sizeof *r.dumps);
    code = !r.dumps ? complain_memory(flags->tuning.call.who)
                    : texts_open(&r.texts, &flags->tuning.call, &flags->vocab);
    if (code == EXIT_DONE)
        code = study(&r);
    if (code == EXIT_DONE)
        code = report_write(&r, &out);
    for (size_t i = 0; r.dumps && i < r.n_dumps; i++)
        tuning_close(&r.dumps[i].t);
    int close_code = output_close(&out, code == EXIT_DONE);
    texts_close(&r.texts);
    free(r.dumps);
    return code == EXIT_DONE ? close_code : code;
}

static const flag flags[] = {
    FLAG_TITLE("Report"),
    FLAG_GROUP(targets_flag, report_flags, tuning.targets),
    FLAG_GROUP(rows_flag, report_flags, tuning.rows),
    {.name = "explore",
     .kind = FLAG_COUNT,
     .value = "N",
     .at = offsetof(report_flags, explore),
     .min = 1,
     .max = 200,
     .help = "how many rows, evenly spread, can be explored live; default 12"},
    FLAG_GROUP(threads_flag, report_flags, tuning.threads),
    FLAG_GROUP(quiet_flag, report_flags, tuning.call),
    FLAG_GROUP(vocab_group, report_flags, vocab),
    FLAG_GROUP(input_group, report_flags, tuning.input),
    FLAG_GROUP(output_flag, report_flags, output),
    FLAG_END,
};

static const char *const examples[] = {
    "pluck report logits.npy --targets targets.npy --vocab vocab.json -o report.html",
    "pluck report a.npy b.npy --vocab vocab.json -o report.html", NULL};

const command report_command = {
    .name = "report",
    .synopsis = "DUMP... [options]",
    .summary = "make a page that shows dumps, with live controls",
    .about = "Writes one HTML page that needs nothing else: the distribution of some rows, with "
             "sliders for temperature, top-k, typical, top-p and min-p that act as the library "
             "does and can be saved as a configuration; entropy, perplexity and nucleus size "
             "over the rows; and with targets the likelihood against temperature and the "
             "reliability diagram, before and after.",
    .usual = "output targets vocab rows explore threads",
    .flags = flags,
    .flags_bytes = sizeof(report_flags),
    .defaults =
        &(const report_flags){
            .tuning = {.threads = 1, .bootstrap = 1000, .keep = 0.99, .no_curves = true},
            .explore = 12},
    .examples = examples,
    .min_words = 1,
    .max_words = 100,
    .word_name = "DUMP",
    .words_are_inputs = true,
    .run = run,
};
