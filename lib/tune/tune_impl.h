/*
 * What the files of this part share: rows and their moments, calibration, and one pass over the
 * rows of a dump on several threads.
 */
#ifndef PLK_TUNE_IMPL_H
#define PLK_TUNE_IMPL_H

#include "base/alloc.h"
#include "base/exact_sum.h"
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

/* The bins of one temperature while rows come in. */
typedef struct plk_calibration {
    uint32_t n_bins;
    bool closed_left;
    pluck_tune_bin *bins;           /* accuracy: the number of correct rows until finished */
    plk_exact_sum *confidence_sums; /* [n_bins] */
    double *confidences;            /* equal mass: one per row, negative where wrong; else NULL */
    uint64_t n_rows;
} plk_calibration;

/* How many bins a binning means; 0 if it is not valid. */
uint32_t plk_binning_count(const pluck_tune_binning *binning);

/* n of them, with their arrays added to memory; rows: how many will come. NULL if it is short. */
plk_calibration *plk_calibrations_open(plk_arrays *memory, size_t n,
                                       const pluck_tune_binning *binning, uint64_t rows);

void plk_calibration_add(plk_calibration *c, double confidence, bool is_correct);

/* Turns sums into means and returns the ECE; 0 for no rows. Once. */
double plk_calibration_finish(plk_calibration *c);

/*
 * One pass over rows on several threads. Results are taken in row order, and sums over rows are
 * exact, so that nothing depends on the threads.
 */
typedef struct plk_tune_pass {
    const pluck_tune_data *data; /* checked */
    pluck_tune_half half;
    uint64_t stride; /* use every stride-th row of the half; 0 means 1 */

    /* Computes the result of a row, of result_bytes, on any thread. scratch has room for
     * scratch_per_logit values of 4 bytes per logit. target is PLUCK_NO_TOKEN without targets. */
    void (*work)(const void *user, const plk_tune_logits *row, pluck_token target,
                 uint32_t *scratch, void *result);
    size_t result_bytes, scratch_per_logit;

    /* Takes the results, in row order, on the calling thread. If there are targets, rows without
     * one are left out. */
    void (*take)(void *user, uint64_t row, const void *result);
    void *user;

    uint64_t done_before, total; /* rows, for the progress */
} plk_tune_pass;

/* Checks the data. *rows becomes the number of rows in both halves, with or without a target. */
pluck_status plk_tune_check(const pluck_tune_data *data, uint64_t *rows, pluck_error *err);

bool plk_tune_has_targets(const pluck_tune_data *data);

/* On failure some rows may have been taken. */
pluck_status plk_tune_pass_run(const plk_tune_pass *pass, pluck_error *err);

/* The public functions, in the default floating-point environment. */
pluck_status plk_tune_measure(const pluck_tune_data *data, const pluck_tune_request *request,
                              pluck_error *err);
pluck_status plk_tune_fit(const pluck_tune_data *data, const pluck_tune_options *options,
                          pluck_tune_fit *fit, pluck_error *err);
pluck_status plk_tune_cuts(const pluck_tune_data *data, double temperature, pluck_tune_cut *cuts,
                           size_t n, double keep, double *needed, pluck_error *err);

#endif
