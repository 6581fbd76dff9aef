/*
 * From a JSON tree to a configuration.
 */
#ifndef PLK_CONFIG_READ_H
#define PLK_CONFIG_READ_H

#include "config/config_keys.h"

/* The tree is a whole text in either form; reader->config is as just created. On failure it is half
 * changed. */
pluck_status plk_config_read(const plk_config_reader *reader);

/* The tree is the value of one flat key: pluck_config_set_json. On failure reader->config is half
 * changed. */
pluck_status plk_config_read_key(const plk_config_reader *reader, const char *key);

#endif
