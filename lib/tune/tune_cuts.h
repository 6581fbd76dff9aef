/*
 * pluck_tune_cuts() in the default floating-point environment.
 */
#ifndef PLK_TUNE_CUTS_H
#define PLK_TUNE_CUTS_H

#include <pluck/tune.h>

pluck_status plk_tune_cuts(const pluck_tune_data *data, double temperature, pluck_tune_cut *cuts,
                           size_t n, double keep, double *needed, pluck_error *err);

#endif
