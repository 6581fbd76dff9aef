/*
 * A greedy token and the report are two subjects of one measurement, so that their ratio is formed
 * within each repetition. The tokens that are scored are spread over the vocabulary: their ranks
 * are of all sizes.
 */
#include "reports.h"

#include <stdio.h>
#include <stdlib.h>

static const bench_report reports[] = {
    {.name = "everything", .chain = "default", .draws = true, .n_top = 20},
    {.name = "both log-probabilities", .chain = "default", .draws = true},
    {.name = "tokens kept", .chain = "default", .draws = true, .keeps = true},
    {.name = "all tokens kept", .chain = "temperature 0.8", .draws = true, .keeps = true},
    {.name = "everything of top_p", .chain = "top_p", .draws = true, .n_top = 20},
    {.name = "1 token scored", .chain = "greedy", .n_given = 1},
    {.name = "20 tokens scored", .chain = "greedy", .n_given = 20},
    {.name = "2000 tokens scored", .chain = "greedy", .n_given = 2000},
};

size_t bench_report_count(void)
{
    return sizeof reports / sizeof *reports;
}

const bench_report *bench_report_at(size_t index)
{
    return &reports[index];
}

/* A stepper with memory for the outputs of one row. */
typedef struct reporter {
    bench_stepper stepper;
    pluck_outputs outputs;
    pluck_token token;
    float logprob, raw_logprob, log_mass;
    pluck_logprob *top;
    size_t offsets[2];
    pluck_token *kept, *given;
    float *kept_logprobs, *given_logprobs;
    uint32_t *given_ranks;
} reporter;

static void run(void *context, size_t n)
{
    reporter *r = context;
    bench_stepper *s = &r->stepper;
    for (size_t i = 0; i < n && s->err.status == PLUCK_OK; i++)
        pluck_sampler_run(s->sampler, bench_place_row(s->place, i), &r->outputs, &s->err);
}

static void want(reporter *r, const bench_report *report, uint32_t n_vocab)
{
    pluck_outputs *out = &r->outputs;
    *out = PLUCK_INIT(pluck_outputs);
    if (report->draws) {
        out->accept = true;
        out->tokens = &r->token;
        out->logprobs = &r->logprob;
        out->raw_logprobs = &r->raw_logprob;
    }
    out->n_top = report->n_top;
    out->top = report->n_top > 0 ? r->top : NULL;
    if (report->keeps) {
        out->kept_offsets = r->offsets;
        out->kept = r->kept;
        out->kept_logprobs = r->kept_logprobs;
        out->kept_capacity = n_vocab;
        out->kept_log_mass = &r->log_mass;
    }
    out->n_given = report->n_given;
    for (uint32_t i = 0; i < report->n_given; i++)
        r->given[i] = (pluck_token)((uint64_t)i * 7919 % n_vocab);
    if (report->n_given > 0) {
        out->given = r->given;
        out->given_logprobs = r->given_logprobs;
        out->given_ranks = r->given_ranks;
    }
}

static bool open_reporter(const sampler_bench *bench, const bench_report *report, reporter *r)
{
    uint32_t n_vocab = bench->rows->n_vocab;
    pluck_sampler_options options = {.struct_size = sizeof options, .isa = bench->kernels->isa};
    *r = (reporter){.stepper = {.place = &bench->place}};
    r->top = calloc(report->n_top + 1, sizeof *r->top);
    r->kept = calloc(n_vocab, sizeof *r->kept);
    r->kept_logprobs = calloc(n_vocab, sizeof *r->kept_logprobs);
    r->given = calloc(report->n_given + 1, sizeof *r->given);
    r->given_logprobs = calloc(report->n_given + 1, sizeof *r->given_logprobs);
    r->given_ranks = calloc(report->n_given + 1, sizeof *r->given_ranks);
    if (!r->top || !r->kept || !r->kept_logprobs || !r->given || !r->given_logprobs ||
        !r->given_ranks) {
        fprintf(stderr, "bench: no memory\n");
        return false;
    }
    want(r, report, n_vocab);
    r->stepper.sampler = bench_chain_create(bench_chain_find(report->chain), n_vocab, &options);
    return r->stepper.sampler != NULL;
}

static void close_reporter(reporter *r)
{
    pluck_sampler_destroy(&r->stepper.sampler);
    free(r->top);
    free(r->kept);
    free(r->kept_logprobs);
    free(r->given);
    free(r->given_logprobs);
    free(r->given_ranks);
}

static void write_record(const sampler_bench *bench, const bench_report *report,
                         const bench_timing timings[2])
{
    bench_records *records = bench->records;
    bench_record_begin(records);
    bench_record_text(records, "report", report->name);
    bench_record_text(records, "of", report->chain);
    bench_record_text(records, "isa", bench->kernels->name);
    bench_record_text(records, "logits", bench->rows->name);
    bench_record_integer(records, "n_vocab", bench->rows->n_vocab);
    bench_record_text(records, "dtype", pluck_dtype_name(bench->rows->dtype));
    bench_record_measure(records, "greedy_ns", timings[0].ns);
    bench_record_measure(records, "report_ns", timings[1].ns);
    bench_record_measure(records, "report_ratio", timings[1].ratio);
    bench_record_end(records);
}

bool bench_report_measure(sampler_bench *bench, const bench_report *report, bench_timing timings[2])
{
    static const bench_report token_only = {.name = "token", .chain = "greedy"};
    reporter greedy, reported;
    bool done = open_reporter(bench, &token_only, &greedy);
    done = open_reporter(bench, report, &reported) && done;
    if (done) {
        const bench_subject subjects[] = {{bench_stepper_sample, &greedy.stepper},
                                          {run, &reported}};
        bench_interleave(subjects, 2, &bench->plan, timings);
        const pluck_error *errs[] = {&greedy.stepper.err, &reported.stepper.err};
        for (size_t i = 0; i < 2; i++)
            if (errs[i]->status != PLUCK_OK) {
                fprintf(stderr, "bench: report %s: %s\n", report->name, errs[i]->message);
                done = false;
            }
    }
    if (done)
        write_record(bench, report, timings);
    close_reporter(&greedy);
    close_reporter(&reported);
    return done;
}
