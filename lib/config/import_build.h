/*
 * What the readers of an import gather, and the configuration that is made of it.
 */
#ifndef PLK_IMPORT_BUILD_H
#define PLK_IMPORT_BUILD_H

#include "config/import_impl.h"

/* value: -infinity bans. */
pluck_status plk_import_add_bias(plk_import *import, uint32_t token, double value);

/* "[2, 7]": the ids of an array or of one number, each once, without negative ones; freed with
 * plk_free(). *text is NULL if there are none. */
pluck_status plk_import_token_list(plk_import *import, const plk_json_node *node, char **text);

/* Starts the chain anew, from names of stages by spaces. */
void plk_import_start_chain(plk_import *import, const char *stages);
void plk_import_append(plk_import *import, const char *stage, unsigned part);
bool plk_import_runs(const plk_import *import, const char *stage);

/* Whether the current part configures a stage. */
bool plk_import_configures(const plk_import *import, const char *stage);

/* Penalties of the current part, if it has any: of the last n tokens (as JSON; "-1": all), of the
 * output alone or of the prompt too. */
pluck_status plk_import_set_window(plk_import *import, const char *last_n, bool ignore_prompt);

/* Sets biases, and the chain as "order" or in the explicit form; parts[0] is the result. */
pluck_status plk_import_build(plk_import *import);

#endif
