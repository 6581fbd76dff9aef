/*
 * Measuring things against each other.
 *
 * On a machine that others use, and whose clock rate moves, a time means little and a ratio of two
 * times means something only if both were taken at the same moment. So all subjects of one
 * measurement run in turn within each repetition, and the ratio is formed within the repetition;
 * what is reported are medians over repetitions, with the 10th and 90th percentile as spread. Times
 * are processor time of this thread (bench_cpu_ns), so a subject runs in the calling thread only.
 */
#ifndef BENCH_INTERLEAVE_H
#define BENCH_INTERLEAVE_H

#include <stdbool.h>
#include <stddef.h>

enum { BENCH_MAX_SUBJECTS = 16, BENCH_MAX_REPETITIONS = 64 };

typedef struct bench_spread {
    double median, p10, p90;
} bench_spread;

/* Of n >= 1 values, which are sorted in place. */
bench_spread bench_spread_of(double *values, size_t n);

/* One thing to measure. run does it n times. */
typedef struct bench_subject {
    void (*run)(void *context, size_t n);
    void *context;
} bench_subject;

typedef struct bench_plan {
    double batch_ns;  /* a subject runs about this long in one repetition, at least once */
    double budget_ns; /* repetitions stop after this long, but not before min_repetitions */
    size_t min_repetitions, max_repetitions; /* max_repetitions <= BENCH_MAX_REPETITIONS */
    int cycle_counter;                       /* bench_cycles_open(), or -1 */
    /* Before each repetition: choose its data. NULL: nothing to do. */
    void (*prepare)(void *context, size_t repetition);
    void *prepare_context;
} bench_plan;

bench_plan bench_plan_default(bool quick);

typedef struct bench_timing {
    bench_spread ns;     /* of one run */
    bench_spread ratio;  /* to the first subject, within the repetition */
    bench_spread cycles; /* of one run; 0 without a counter */
} bench_timing;

/* Measures n <= BENCH_MAX_SUBJECTS subjects; timings[i] is of subjects[i]. Each batch begins with
 * one run that is not timed, which brings data and code back into the caches. */
void bench_interleave(const bench_subject *subjects, size_t n, const bench_plan *plan,
                      bench_timing *timings);

#endif
