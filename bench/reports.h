/*
 * What is reported about a token in one call, and what that costs next to a greedy token.
 */
#ifndef BENCH_REPORTS_H
#define BENCH_REPORTS_H

#include "sampler_bench.h"

typedef struct bench_report {
    const char *name;
    const char *chain; /* of bench_chain_find() */
    bool draws;        /* a token, with both log-probabilities */
    uint32_t n_top;    /* most probable tokens before all stages */
    uint32_t n_given;  /* tokens scored, with ranks, before all stages */
    bool keeps;        /* the tokens kept, with log-probabilities and their share */
} bench_report;

size_t bench_report_count(void);
const bench_report *bench_report_at(size_t index);

/* Measures it and writes a record; timings[0] is of a greedy token, timings[1] of the report. On
 * failure false, with a message on standard error. */
bool bench_report_measure(sampler_bench *bench, const bench_report *report,
                          bench_timing timings[2]);

#endif
