/*
 * The keys that say which stages run: "stages", "order", "draw" and the flat keys of the stages.
 * What each function does: config_keys.h.
 */
#ifndef PLK_CONFIG_STAGES_H
#define PLK_CONFIG_STAGES_H

#include "config/config_keys.h"

pluck_status plk_read_order(const plk_config_reader *reader, const plk_json_node *value);
pluck_status plk_read_stages(const plk_config_reader *reader, const plk_json_node *value);
pluck_status plk_read_draw(const plk_config_reader *reader, const plk_json_node *value);
pluck_status plk_read_mirostat(const plk_config_reader *reader, const plk_json_node *value);

/* A flat key of stages in the flat form; PLUCK_OK and *found = false if no stage has it. */
pluck_status plk_read_flat_key(const plk_config_reader *reader, const char *key,
                               const plk_json_node *value, bool *found);

/* pluck_config_set_json on an explicit configuration: as plk_read_flat_key. */
pluck_status plk_set_in_stages(const plk_config_reader *reader, const char *key,
                               const plk_json_node *value, bool *found);

void plk_write_order(const pluck_config *config, plk_writer *writer);
void plk_write_flat_keys(const pluck_config *config, plk_writer *writer);
void plk_write_stages(const pluck_config *config, plk_writer *writer);
void plk_write_draw(const pluck_config *config, plk_writer *writer);
void plk_write_mirostat(const pluck_config *config, plk_writer *writer);

/* Whether parameter i of stage s of the registry is the first there with its flat key. */
bool plk_is_first_of_key(size_t s, size_t i);

#endif
