/*
 * One pass over the rows of a dump on several threads, with results put together in row order, so
 * that they do not depend on the threads.
 */
#ifndef PLK_TUNE_PASS_H
#define PLK_TUNE_PASS_H

#include "tune/tune_row.h"

#include <pluck/tune.h>

typedef struct plk_tune_pass {
    const pluck_tune_data *data; /* checked */
    pluck_tune_half half;
    uint64_t stride; /* of so many rows of the half only the first; 0 is 1 */

    /* What a thread makes of a row: result is result_bytes long, scratch has room for as many
     * values of 4 bytes a logit as scratch_per_logit says. target is -1 without targets. */
    void (*work)(const void *user, const plk_tune_logits *row, pluck_token target,
                 uint32_t *scratch, void *result);
    size_t result_bytes, scratch_per_logit;

    /* Takes the results, in row order, on the calling thread; rows that should have a target and
     * have none are left out. */
    void (*take)(void *user, uint64_t row, const void *result);
    void *user;

    uint64_t done_before, total; /* rows, for the progress */
} plk_tune_pass;

/* Checks the data; *rows becomes how many rows there are, in both halves, rows without a target
 * among them. */
pluck_status plk_tune_check(const pluck_tune_data *data, uint64_t *rows, pluck_error *err);

bool plk_tune_has_targets(const pluck_tune_data *data);

/* On failure some rows may have been taken. */
pluck_status plk_tune_pass_run(const plk_tune_pass *pass, pluck_error *err);

#endif
