/*
 * What the readers of an import gather, and the configuration that is made of it.
 */
#ifndef PL_IMPORT_BUILD_H
#define PL_IMPORT_BUILD_H

#include "config/import_impl.h"

/* value: -infinity bans. */
pluck_status pl_import_add_bias(pl_import *import, uint32_t token, double value);

/* "[2, 7]": the ids of an array or of one number, each once, without negative ones; freed with
 * pl_free(). *text is NULL if there are none. */
pluck_status pl_import_token_list(pl_import *import, const cJSON *node, char **text);

/* Starts the chain anew, from names of stages by spaces. */
void pl_import_start_chain(pl_import *import, const char *stages);
void pl_import_append(pl_import *import, const char *stage, unsigned part);
bool pl_import_runs(const pl_import *import, const char *stage);

/* Whether the current part configures a stage. */
bool pl_import_configures(const pl_import *import, const char *stage);

/* Penalties of the current part, if it has any: of the last n tokens (as JSON; "-1": all), of the
 * output alone or of the prompt too. */
pluck_status pl_import_set_window(pl_import *import, const char *last_n, bool ignore_prompt);

/* Sets biases, and the chain as "order" or in the explicit form; parts[0] is the result. */
pluck_status pl_import_build(pl_import *import);

#endif
