/*
 * Measuring chains on given rows with one instruction set.
 */
#ifndef BENCH_SAMPLER_BENCH_H
#define BENCH_SAMPLER_BENCH_H

#include "support/records.h"
#include "support/sampler_subjects.h"

typedef struct sampler_bench {
    bench_plan plan;        /* the caller's; prepare is set by sampler_bench_start */
    bench_records *records; /* the caller's, or NULL */
    const bench_rows *rows; /* NULL between stop and start */
    const plk_kernels *kernels;
    float *block_max;
    bench_place place;
} sampler_bench;

typedef struct sampler_cost {
    bench_timing scan, sample, draw; /* ratios are to scan */
    uint32_t n_survivors;            /* of the last draw */
    size_t sampler_bytes;            /* what the sampler touched of its memory, in pages */
    size_t reserved_bytes;           /* what it asked for */
    size_t n_late_allocations;       /* allocations while sampling */
} sampler_cost;

/* rows must outlive the measurements. On failure false, with a message on standard error. */
bool sampler_bench_start(sampler_bench *bench, const bench_rows *rows, pluck_isa isa);
void sampler_bench_stop(sampler_bench *bench);

/* Measures the chain and writes a record. On failure false, with a message on standard error. */
bool sampler_bench_measure(sampler_bench *bench, const bench_chain *chain, sampler_cost *cost);

/* Measures b and a in one go, and gives *ratio = (b - a) / R of their "sample". */
bool sampler_bench_difference(sampler_bench *bench, const bench_chain *a, const bench_chain *b,
                              bench_spread *ratio);

#endif
