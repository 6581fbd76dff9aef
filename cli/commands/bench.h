/*
 * pluck bench: what a chain costs, step by step. A step is a sampler that runs the stages up to one
 * of them; steps are measured in turn, so that their ratios hold on a busy machine.
 */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "input.h"
#include "setup.h"

#include <pluck/sampler.h>

typedef struct bench_flags {
    call call;
    input_flags input;
    config_flags config;
    const char *rows, *isa, *output;
    uint64_t seconds;
    int format;
} bench_flags;

enum { BENCH_MAX_ROUNDS = 99, BENCH_MAX_ROWS = 16 };

typedef struct bench_rows {
    const char *name; /* of the dump, or of the made-up logits */
    pluck_dtype dtype;
    uint32_t n_vocab;
    size_t n; /* at most BENCH_MAX_ROWS */
    size_t row_bytes;
    unsigned char *data;
    uint64_t numbers[BENCH_MAX_ROWS]; /* of the rows in the dump */
} bench_rows;

typedef enum step_kind {
    STEP_READ,    /* greedy: reads the logits and little else; the unit R */
    STEP_STAGE,   /* up to a stage, then a draw */
    STEP_DRAW,    /* all stages and the configuration's draw */
    STEP_LOGPROB, /* the same, with the log-probability */
    STEP_SWAPPED  /* as STEP_DRAW, but top_k comes first */
} step_kind;

typedef struct bench_step {
    step_kind kind;
    const char *name; /* of the stage or draw */
    const pluck_stage *stage;
    pluck_sampler *sampler;
    size_t n_tokens; /* a round */
    double us[BENCH_MAX_ROUNDS];
    double ratios[BENCH_MAX_ROUNDS]; /* to the first step, in the same round */
    double median_us, median_ratio;
} bench_step;

typedef struct bench_plan {
    const bench_flags *flags;
    const pluck_config *config;
    bench_rows rows;
    bench_step *steps;
    size_t n_steps;
    size_t token; /* which step is the whole chain */
    size_t n_rounds;
} bench_plan;

/* The rows of a dump, spread over those that --rows names, or made-up ones if path is NULL. Returns
 * an exit code, after complain() if it is not EXIT_DONE; bench_rows_free() in any case. */
int bench_rows_load(bench_rows *rows, const bench_flags *flags, const char *path);
void bench_rows_free(bench_rows *rows);
pluck_logits bench_row(const bench_rows *rows, size_t index);

/* A configuration that runs n stages of another one, those with these indices, in this order, and
 * its draw or, if not own_draw, "categorical". NULL with *err on failure. */
pluck_config *bench_variant(const pluck_config *config, const size_t *indices, size_t n,
                            bool own_draw, pluck_error *err);

/* Makes the steps of the configuration, and measures them for about that number of seconds. */
int bench_plan_steps(bench_plan *plan, pluck_isa isa);
int bench_measure(bench_plan *plan, double seconds);
void bench_plan_free(bench_plan *plan);

/* The line of advice number index into text; false after the last. */
bool bench_advice(const bench_plan *plan, size_t index, char *text, size_t capacity);

#endif
