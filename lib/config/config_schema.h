/*
 * The schemas of the keys that say which stages run; what each function does: config_keys.h.
 */
#ifndef PLK_CONFIG_SCHEMA_H
#define PLK_CONFIG_SCHEMA_H

#include "json/write.h"

void plk_schema_order(plk_writer *writer);
void plk_schema_flat_keys(plk_writer *writer);
void plk_schema_stages(plk_writer *writer);
void plk_schema_draw(plk_writer *writer);
void plk_schema_mirostat(plk_writer *writer);

#endif
