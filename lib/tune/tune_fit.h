/*
 * pluck_tune_temperature() in the default floating-point environment.
 */
#ifndef PLK_TUNE_FIT_H
#define PLK_TUNE_FIT_H

#include <pluck/tune.h>

pluck_status plk_tune_fit(const pluck_tune_data *data, const pluck_tune_options *options,
                          pluck_tune_fit *fit, pluck_error *err);

#endif
