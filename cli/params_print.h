/*
 * The parameters of a stage, with their values.
 */
#ifndef CLI_PARAMS_PRINT_H
#define CLI_PARAMS_PRINT_H

#include "output.h"

#include <pluck/stage.h>

/* "k = 40, min_keep = 1"; params is laid out as the stage's table says. */
void print_params(output *out, const pluck_stage *stage, const void *params);

/* {"k":40,"min_keep":1} */
void print_params_json(output *out, const pluck_stage *stage, const void *params);

#endif
