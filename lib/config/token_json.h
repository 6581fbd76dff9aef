/*
 * Parameters made of token ids as JSON: bias maps, sets and sequences. One row each of the table in
 * param_json.c, whose functions these are.
 */
#ifndef PL_TOKEN_JSON_H
#define PL_TOKEN_JSON_H

#include "config/param_json.h"

pluck_status pl_read_bias_map(const pl_param_reader *reader, const cJSON *node,
                              const pluck_param *param, pl_param_value *value);
pluck_status pl_read_tokens(const pl_param_reader *reader, const cJSON *node,
                            const pluck_param *param, pl_param_value *value);
pluck_status pl_read_sequences(const pl_param_reader *reader, const cJSON *node,
                               const pluck_param *param, pl_param_value *value);

void pl_write_bias_map(pl_writer *writer, const void *value);
void pl_write_tokens(pl_writer *writer, const void *value);
void pl_write_sequences(pl_writer *writer, const void *value);

void pl_schema_bias_map(pl_writer *writer, const pluck_param *param);
void pl_schema_tokens(pl_writer *writer, const pluck_param *param);
void pl_schema_sequences(pl_writer *writer, const pluck_param *param);

#endif
