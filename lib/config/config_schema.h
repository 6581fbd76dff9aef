/*
 * The schemas of the keys that say which stages run; what each function does: config_keys.h.
 */
#ifndef PL_CONFIG_SCHEMA_H
#define PL_CONFIG_SCHEMA_H

#include "json/json_write.h"

void pl_schema_order(pl_writer *writer);
void pl_schema_flat_keys(pl_writer *writer);
void pl_schema_stages(pl_writer *writer);
void pl_schema_draw(pl_writer *writer);
void pl_schema_mirostat(pl_writer *writer);

#endif
