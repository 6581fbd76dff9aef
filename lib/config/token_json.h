/*
 * Parameters made of token ids as JSON: bias maps, sets and sequences. One row each of the table in
 * param_json.c, whose functions these are.
 */
#ifndef PLK_TOKEN_JSON_H
#define PLK_TOKEN_JSON_H

#include "config/param_json.h"

pluck_status plk_read_bias_map(const plk_param_reader *reader, const plk_json_node *node,
                               const pluck_param *param, plk_param_value *value);
pluck_status plk_read_tokens(const plk_param_reader *reader, const plk_json_node *node,
                             const pluck_param *param, plk_param_value *value);
pluck_status plk_read_sequences(const plk_param_reader *reader, const plk_json_node *node,
                                const pluck_param *param, plk_param_value *value);

void plk_write_bias_map(plk_writer *writer, const void *value);
void plk_write_tokens(plk_writer *writer, const void *value);
void plk_write_sequences(plk_writer *writer, const void *value);

void plk_schema_bias_map(plk_writer *writer, const pluck_param *param);
void plk_schema_tokens(plk_writer *writer, const pluck_param *param);
void plk_schema_sequences(plk_writer *writer, const pluck_param *param);

#endif
