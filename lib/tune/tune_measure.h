/*
 * pluck_tune_measure() in the default floating-point environment.
 */
#ifndef PLK_TUNE_MEASURE_H
#define PLK_TUNE_MEASURE_H

#include <pluck/tune.h>

pluck_status plk_tune_measure(const pluck_tune_data *data, const pluck_tune_request *request,
                              pluck_error *err);

#endif
