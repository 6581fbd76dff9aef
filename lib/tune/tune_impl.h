/*
 * What the files of this part share: rows and their moments, calibration, and one pass over the
 * rows of a dump.
 */
#ifndef PLK_TUNE_IMPL_H
#define PLK_TUNE_IMPL_H

#include "base/alloc.h"
#include "base/tally.h"
#include "simd/kernels.h"

#include <pluck/tune.h>

/* A row widened to float and padded with -inf to whole blocks, in the memory of one worker. */
typedef struct plk_tune_logits {
    const plk_kernels *kernels;
    float *x;         /* room for whole blocks, each with PLK_SLACK more */
    float *block_max; /* one per block */
    uint32_t n_vocab, n_blocks;
    float max;
    uint32_t best; /* the lowest token whose logit is max */
} plk_tune_logits;

/* Moments of p = softmax(beta z), with d = z - max z. */
typedef struct plk_tune_moments {
    double beta;
    double log_z;       /* ln of the sum of exp(beta d) */
    double mean;        /* E d */
    double variance;    /* Var d; quick moments: NaN */
    double square;      /* sum of p^2 */
    double square_dot;  /* sum of p^2 d */
    double square_dot2; /* sum of p^2 d^2; quick moments: NaN */
    double target_d;    /* d of the target; NaN without one */
    bool is_correct;    /* the target is the best token */
} plk_tune_moments;

/* Widens and scans a row. PLUCK_ERR_NAN or PLUCK_ERR_EMPTY name the row. */
pluck_status plk_tune_logits_read(plk_tune_logits *row, pluck_logits logits, uint64_t index,
                                  pluck_error *err);

/* All moments but those of the target, the squares if asked for; relative error of each sum below
 * 2e-7, that of the float exponentials. */
void plk_tune_moments_exact(const plk_tune_logits *row, double beta, bool with_squares,
                            plk_tune_moments *moments);

/* For grids, at a fifth of the cost: not what is NaN above, the squares if asked for; the
 * differences d are rounded to float besides. */
void plk_tune_moments_quick(const plk_tune_logits *row, double beta, bool with_squares,
                            plk_tune_moments *moments);

/* Fills in those of the target, -1 for none. */
void plk_tune_moments_target(const plk_tune_logits *row, pluck_token target,
                             plk_tune_moments *moments);

/* -ln p of the target, the entropy, and the Brier score. */
double plk_tune_nll(const plk_tune_moments *moments);
double plk_tune_entropy(const plk_tune_moments *moments);
double plk_tune_brier(const plk_tune_moments *moments);

/*
 * Rows in bins by confidence, and the calibration error that follows.
 */

/* Rows in bins, at each of n temperatures, while rows come in. */
typedef struct plk_calibrations {
    uint32_t n_bins;
    bool closed_left;
    uint64_t *rows, *correct; /* [n, n_bins] */
    plk_exact_sum *sums;      /* [n, n_bins] of the confidences */
    plk_tally_list *lists;    /* [n] equal mass: the confidences, until finished; else NULL */
} plk_calibrations;

/* How many bins a binning means; 0 if it is not valid. */
uint32_t plk_binning_count(const pluck_tune_binning *binning);

/* Adds the arrays to memory, and the sections to the tally, which is closed first. rows: how many
 * will come at most. */
pluck_status plk_calibrations_open(plk_calibrations *c, size_t n, const pluck_tune_binning *binning,
                                   uint64_t rows, plk_arrays *memory, pluck_tally *tally,
                                   pluck_error *err);

/* A row at temperature i. */
void plk_calibrations_add(plk_calibrations *c, pluck_tally *tally, size_t i, double confidence,
                          bool is_correct);

/* The ECE at temperature i, 0 for no rows; its bins if they are not NULL. Once for each i. */
double plk_calibrations_finish(plk_calibrations *c, size_t i, pluck_tune_bin *bins);

/*
 * One pass over rows on the threads and the ranks of the data. What rows add up to is a tally, so
 * that nothing depends on who reads them.
 */
typedef struct plk_tune_pass {
    const pluck_tune_data *data; /* checked */
    pluck_tune_half half;
    uint64_t stride; /* use every stride-th row of the half; 0 means 1 */

    /* Computes the result of a row, of result_bytes, on any thread. scratch has room for
     * scratch_per_logit values of 4 bytes per logit. target is PLUCK_NO_TOKEN without targets. */
    void (*work)(const void *user, uint64_t row, const plk_tune_logits *logits, pluck_token target,
                 uint32_t *scratch, void *result);
    size_t result_bytes, scratch_per_logit;

    /* Adds the results of this process to the tally, in row order, on the calling thread. If there
     * are targets, rows without one are left out. */
    void (*take)(void *user, uint64_t row, const void *result);
    void *user;
    pluck_tally *tally;

    uint64_t *n_done; /* rows that this process has read, in this pass and those before */
    uint64_t total;   /* for the progress */
} plk_tune_pass;

/* Checks the data. *rows becomes the number of rows in both halves, with or without a target. */
pluck_status plk_tune_check(const pluck_tune_data *data, uint64_t *rows, pluck_error *err);

bool plk_tune_has_targets(const pluck_tune_data *data);

/* Afterwards the tally is that of all ranks. On failure some rows may have been taken. */
pluck_status plk_tune_pass_run(const plk_tune_pass *pass, pluck_error *err);

/* The public functions, in the default floating-point environment. */
pluck_status plk_tune_measure(const pluck_tune_data *data, const pluck_tune_request *request,
                              pluck_error *err);
pluck_status plk_tune_fit(const pluck_tune_data *data, const pluck_tune_options *options,
                          pluck_tune_fit *fit, pluck_error *err);
pluck_status plk_tune_cuts(const pluck_tune_data *data, double temperature, pluck_tune_cut *cuts,
                           size_t n, double keep, double *needed, pluck_error *err);

#endif
