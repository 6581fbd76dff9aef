/*
 * Repetitions of batches. How many runs make a batch is found once, by doubling, for each subject;
 * the subject that goes first changes from repetition to repetition, so that none always follows
 * the same other.
 */
#include "support/interleave.h"

#include "support/clock.h"

#include <stdint.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Linear between the two nearest ranks. */
static double quantile(const double *sorted, size_t n, double q)
{
    double rank = q * (double)(n - 1);
    size_t below = (size_t)rank;
    if (below + 1 >= n)
        return sorted[n - 1];
    return sorted[below] + (rank - (double)below) * (sorted[below + 1] - sorted[below]);
}

bench_spread bench_spread_of(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return (bench_spread){
        .median = quantile(values, n, 0.5),
        .p10 = quantile(values, n, 0.1),
        .p90 = quantile(values, n, 0.9),
    };
}

bench_plan bench_plan_default(bool quick)
{
    return (bench_plan){
        .batch_ns = quick ? 1e5 : 2e5,
        .budget_ns = quick ? 3e7 : 2.5e8,
        .min_repetitions = quick ? 3 : 9,
        .max_repetitions = quick ? 15 : BENCH_MAX_REPETITIONS - 1,
        .cycle_counter = -1,
    };
}

static size_t runs_in_batch(const bench_subject *subject, double batch_ns)
{
    for (size_t n = 1;; n *= 2) {
        double start = bench_cpu_ns();
        subject->run(subject->context, n);
        double ns = bench_cpu_ns() - start;
        if (ns >= batch_ns || n >= (size_t)1 << 24)
            return n;
    }
}

typedef struct samples {
    double ns[BENCH_MAX_SUBJECTS][BENCH_MAX_REPETITIONS];
    double ratio[BENCH_MAX_SUBJECTS][BENCH_MAX_REPETITIONS];
    double cycles[BENCH_MAX_SUBJECTS][BENCH_MAX_REPETITIONS];
} samples;

static void repeat(const bench_subject *subjects, size_t n, const size_t *batch,
                   const bench_plan *plan, size_t repetition, samples *taken)
{
    if (plan->prepare)
        plan->prepare(plan->prepare_context, repetition);
    for (size_t j = 0; j < n; j++) {
        size_t i = (j + repetition) % n;
        subjects[i].run(subjects[i].context, 1);
        uint64_t first_cycle = bench_cycles_read(plan->cycle_counter);
        double start = bench_cpu_ns();
        subjects[i].run(subjects[i].context, batch[i]);
        double end = bench_cpu_ns();
        uint64_t last_cycle = bench_cycles_read(plan->cycle_counter);
        taken->ns[i][repetition] = (end - start) / (double)batch[i];
        taken->cycles[i][repetition] = (double)(last_cycle - first_cycle) / (double)batch[i];
    }
    for (size_t i = 0; i < n; i++)
        taken->ratio[i][repetition] = taken->ns[i][repetition] / taken->ns[0][repetition];
}

void bench_interleave(const bench_subject *subjects, size_t n, const bench_plan *plan,
                      bench_timing *timings)
{
    size_t batch[BENCH_MAX_SUBJECTS];
    samples taken;
    if (plan->prepare)
        plan->prepare(plan->prepare_context, 0);
    for (size_t i = 0; i < n; i++)
        batch[i] = runs_in_batch(&subjects[i], plan->batch_ns);
    double start = bench_now_ns();
    size_t done = 0;
    while (done < plan->max_repetitions &&
           (done < plan->min_repetitions || bench_now_ns() - start < plan->budget_ns))
        repeat(subjects, n, batch, plan, done++, &taken);
    for (size_t i = 0; i < n; i++) {
        timings[i].ns = bench_spread_of(taken.ns[i], done);
        timings[i].ratio = bench_spread_of(taken.ratio[i], done);
        timings[i].cycles = bench_spread_of(taken.cycles[i], done);
    }
}
