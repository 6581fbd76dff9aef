/*
 * How fast each kernel is on each instruction set, and that all of them give the same bits.
 *
 *     bench_kernels [--isa LIST] [--vocab-size LIST] [--logits KIND] [--json FILE] [--quick]
 *
 * The scalar table is measured in every repetition, so that the ratio to it is of one moment. Each
 * result is compared with the scalar one; exit status 1 if any differs.
 */
#include "kernel_cases.h"
#include "support/bench_options.h"
#include "support/bench_rows.h"
#include "support/clock.h"
#include "support/records.h"

#include <stdio.h>
#include <string.h>

typedef struct subject {
    const kernel_case *kernel;
    const plk_kernels *table;
    const kernel_input *in;
    kernel_output out;
} subject;

static void run_subject(void *context, size_t n)
{
    subject *s = context;
    for (size_t i = 0; i < n; i++)
        s->kernel->run(s->table, s->in, &s->out);
}

typedef struct bench {
    const bench_options *options;
    bench_records *records;
    bench_plan plan;
    const kernel_input *in;
    subject subjects[BENCH_MAX_LIST]; /* the scalar table, then those asked for */
    size_t n_subjects;
    size_t n_different;
} bench;

static void report(bench *b, const subject *s, const bench_timing *timing, bool same)
{
    double n = (double)s->in->n;
    double gigabytes = s->kernel->bytes_a_value * n / timing->ns.median;
    char cycles[32] = "-";
    if (b->plan.cycle_counter >= 0)
        snprintf(cycles, sizeof cycles, "%.3f", timing->cycles.median / n);
    printf("%-14s %-7s %10.0f %10.0f %10.0f %8.1f %9s %10.2f  %s\n", s->kernel->name,
           s->table->name, timing->ns.median, timing->ns.p10, timing->ns.p90, gigabytes, cycles,
           1 / timing->ratio.median, same ? "same bits" : "DIFFERENT BITS");
    bench_record_begin(b->records);
    bench_record_text(b->records, "kernel", s->kernel->name);
    bench_record_text(b->records, "isa", s->table->name);
    bench_record_integer(b->records, "n", (int64_t)s->in->n);
    bench_record_measure(b->records, "ns", timing->ns);
    bench_record_measure(b->records, "scalar_ratio", timing->ratio);
    bench_record_number(b->records, "gb_per_s", gigabytes);
    if (b->plan.cycle_counter >= 0)
        bench_record_number(b->records, "cycles_per_value", timing->cycles.median / n);
    bench_record_text(b->records, "bits", same ? "same" : "different");
    bench_record_end(b->records);
}

static void run_case(bench *b, const kernel_case *kernel)
{
    bench_subject subjects[BENCH_MAX_LIST];
    bench_timing timings[BENCH_MAX_LIST];
    for (size_t i = 0; i < b->n_subjects; i++) {
        subject *s = &b->subjects[i];
        s->kernel = kernel;
        s->out.result = s->out.n_values = s->out.n_ids = s->out.n_sums = s->out.n_dots = 0;
        subjects[i] = (bench_subject){run_subject, s};
    }
    bench_interleave(subjects, b->n_subjects, &b->plan, timings);
    for (size_t i = 0; i < b->n_subjects; i++) {
        bool same = kernel_output_same(&b->subjects[i].out, &b->subjects[0].out);
        b->n_different += !same;
        report(b, &b->subjects[i], &timings[i], same);
    }
}

static bool run_size(bench *b, size_t n, const char *kind)
{
    kernel_input in;
    if (!kernel_input_create(&in, kind, n)) {
        fprintf(stderr, "bench_kernels: no memory, or %s is not a kind of logits\n", kind);
        return false;
    }
    bool ready = true;
    for (size_t i = 0; i < b->n_subjects; i++) {
        b->subjects[i].in = &in;
        ready = kernel_output_create(&b->subjects[i].out, n) && ready;
    }
    if (ready) {
        printf("\n%zu values, %s; ns: median, 10th and 90th percentile; speed-up over scalar\n", n,
               kind);
        printf("%-14s %-7s %10s %10s %10s %8s %9s %10s\n", "kernel", "isa", "ns", "p10", "p90",
               "GB/s", "cycles/v", "speed-up");
    }
    for (size_t i = 0; ready && i < kernel_case_count(); i++) {
        const kernel_case *kernel = kernel_case_at(i);
        if (!b->options->only || strstr(kernel->name, b->options->only))
            run_case(b, kernel);
    }
    for (size_t i = 0; i < b->n_subjects; i++)
        kernel_output_destroy(&b->subjects[i].out);
    kernel_input_destroy(&in);
    return ready;
}

int main(int argc, char **argv)
{
    bench_options options;
    int status = bench_options_read(&options, argc, argv, true, "");
    if (status >= 0)
        return status;
    bench b = {.options = &options, .plan = bench_plan_default(options.quick)};
    b.plan.cycle_counter = bench_cycles_open();
    if (!bench_records_open(&b.records, options.json, "bench_kernels", b.plan.cycle_counter >= 0))
        return 2;
    b.subjects[b.n_subjects++].table = plk_kernels_get(PLUCK_ISA_SCALAR);
    for (size_t i = 0; i < options.n_isas && b.n_subjects < BENCH_MAX_LIST; i++) {
        const plk_kernels *table = plk_kernels_get(options.isas[i]);
        if (table && table != b.subjects[0].table)
            b.subjects[b.n_subjects++].table = table;
    }
    printf("processor %d; cycle counter: %s\n", bench_pin(),
           b.plan.cycle_counter >= 0 ? "yes" : "not available");
    bench_warm_up(0.3);
    bool done = true;
    for (size_t i = 0; done && i < options.n_sizes; i++)
        done = run_size(&b, options.n_vocab[i] / PLK_BLOCK * PLK_BLOCK, options.logits[0]);
    done = bench_records_close(&b.records) && done;
    bench_cycles_close(b.plan.cycle_counter);
    if (b.n_different > 0)
        fprintf(stderr, "bench_kernels: %zu results differ from the scalar ones\n", b.n_different);
    return done && b.n_different == 0 ? 0 : 1;
}
