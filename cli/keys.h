/*
 * Configuration keys as flags, and the parameters of stages for people.
 */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include "flags.h"
#include "output.h"

/* Whether the stage runs only if this flat key is there, and the default of the parameter would
 * have an effect: then the key has no default, it is off. */
bool is_switch_of_stage(const pluck_stage *stage, const pluck_param *param);

/* The range of a parameter for people: "(0, 1]", "[0, inf)". */
void describe_range(const pluck_param *param, char *text, size_t capacity);

/* Whether a parameter's value is a number, with a range and a default. */
bool is_number(const pluck_param *param);

/* "k = 40, min_keep = 1"; params is laid out as the stage's table says. */
void print_params(output *out, const pluck_stage *stage, const void *params);

/* {"k":40,"min_keep":1} */
void print_params_json(output *out, const pluck_stage *stage, const void *params);

#endif
