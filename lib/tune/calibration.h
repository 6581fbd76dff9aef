/*
 * Rows in bins by confidence, and the calibration error that follows.
 */
#ifndef PL_CALIBRATION_H
#define PL_CALIBRATION_H

#include <pluck/tune.h>

/* The bins of one temperature while rows come in. */
typedef struct pl_calibration {
    pluck_allocator allocator;
    uint32_t n_bins;
    bool closed_left;
    pluck_tune_bin *bins; /* sums of confidence and accuracy until finished */
    double *confidences;  /* equal mass: one a row, negative where wrong; else NULL */
    uint64_t n_rows;
} pl_calibration;

/* How many bins a binning means; 0 if it is not valid. */
uint32_t pl_binning_count(const pluck_tune_binning *binning);

/* rows: how many will come. Returns false when memory is short; pl_calibration_close() is due in
 * any case, and allowed for an object that is all zero. */
bool pl_calibration_open(pl_calibration *c, const pluck_tune_binning *binning, uint64_t rows,
                         const pluck_allocator *allocator);
void pl_calibration_close(pl_calibration *c);

void pl_calibration_add(pl_calibration *c, double confidence, bool is_correct);

/* Turns sums into means and returns the ECE; 0 for no rows. Once. */
double pl_calibration_finish(pl_calibration *c);

#endif
