/*
 * Rows in bins by confidence, and the calibration error that follows.
 */
#ifndef PLK_CALIBRATION_H
#define PLK_CALIBRATION_H

#include <pluck/tune.h>

/* The bins of one temperature while rows come in. */
typedef struct plk_calibration {
    pluck_allocator allocator;
    uint32_t n_bins;
    bool closed_left;
    pluck_tune_bin *bins; /* sums of confidence and accuracy until finished */
    double *confidences;  /* equal mass: one a row, negative where wrong; else NULL */
    uint64_t n_rows;
} plk_calibration;

/* How many bins a binning means; 0 if it is not valid. */
uint32_t plk_binning_count(const pluck_tune_binning *binning);

/* rows: how many will come. Returns false when memory is short; plk_calibration_close() is due in
 * any case, and allowed for an object that is all zero. */
bool plk_calibration_open(plk_calibration *c, const pluck_tune_binning *binning, uint64_t rows,
                          const pluck_allocator *allocator);
void plk_calibration_close(plk_calibration *c);

void plk_calibration_add(plk_calibration *c, double confidence, bool is_correct);

/* Turns sums into means and returns the ECE; 0 for no rows. Once. */
double plk_calibration_finish(plk_calibration *c);

#endif
