/*
 * What a row of logits says at one temperature, before targets of several rows are put together.
 */
#ifndef PLK_TUNE_ROW_H
#define PLK_TUNE_ROW_H

#include "simd/kernels.h"

/* A row widened to float and padded with -inf to whole blocks, in the memory of one thread. */
typedef struct plk_tune_logits {
    const plk_kernels *kernels;
    float *x;         /* room for whole blocks, each with PLK_SLACK more */
    float *block_max; /* a float a block */
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

/* -ln p of the target; the entropy; the Brier score. */
double plk_tune_nll(const plk_tune_moments *moments);
double plk_tune_entropy(const plk_tune_moments *moments);
double plk_tune_brier(const plk_tune_moments *moments);

#endif
