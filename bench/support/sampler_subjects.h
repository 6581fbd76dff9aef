/*
 * A sampler and the scan as subjects of a measurement (interleave.h).
 */
#ifndef BENCH_SAMPLER_SUBJECTS_H
#define BENCH_SAMPLER_SUBJECTS_H

#include "support/bench_rows.h"
#include "support/chains.h"

#include "simd/kernels.h"

/* Which rows a repetition goes through: rows->rotation of them, from first_row on. */
typedef struct bench_place {
    const bench_rows *rows;
    size_t first_row;
} bench_place;

/* The prepare function of a bench_plan; its context is a bench_place. */
void bench_place_prepare(void *place, size_t repetition);

/* The row of step i of a repetition. */
pluck_logits bench_place_row(const bench_place *place, size_t i);

/* R: the scan kernel over the rows. */
typedef struct bench_scan {
    const bench_place *place;
    const plk_kernels *kernels;
    float *block_max; /* one a block */
    bool saw_nan;
} bench_scan;

void bench_scan_run(void *scan, size_t n);

/*
 * A step of the loop that an engine runs: choose a token, then accept it, which moves to the next
 * position's random numbers and feeds the stages that look back.
 */
typedef struct bench_stepper {
    const bench_place *place;
    pluck_sampler *sampler;
    int32_t *mask;   /* set for every step; NULL: none */
    pluck_error err; /* of the first step that failed */
    pluck_draw last; /* of bench_stepper_draw */
} bench_stepper;

void bench_stepper_sample(void *stepper, size_t n);
void bench_stepper_draw(void *stepper, size_t n);

#endif
