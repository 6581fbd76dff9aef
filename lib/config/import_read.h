/*
 * Readers of keys that the tables of all engines share, and what an engine's own readers need.
 */
#ifndef PLK_IMPORT_READ_H
#define PLK_IMPORT_READ_H

#include "config/import_impl.h"

/* Readers that rules name. null never reaches them. */

/* Does not matter here: note says why. */
pluck_status plk_import_ignore(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node);

/* Refused with its note unless the value is one of off. */
pluck_status plk_import_refuse(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node);

/* A number as the value of flat_key, by off and limits. */
pluck_status plk_import_number(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node);

/* The same, which does nothing in a greedy import. */
pluck_status plk_import_random_number(plk_import *import, const plk_import_rule *rule,
                                      const plk_json_node *node);

/* A seed of 64 bits, below 0 its two's complement; -1 is random. */
pluck_status plk_import_seed(plk_import *import, const plk_import_rule *rule,
                             const plk_json_node *node);

/* An object from token ids to numbers; limits are of the numbers. */
pluck_status plk_import_bias_map(plk_import *import, const plk_import_rule *rule,
                                 const plk_json_node *node);

/* An array of token ids that are banned. Negative ones are none. */
pluck_status plk_import_ban_list(plk_import *import, const plk_import_rule *rule,
                                 const plk_json_node *node);

/* "3, 17": ids of tokens that are banned, by commas. */
pluck_status plk_import_ban_text(plk_import *import, const plk_import_rule *rule,
                                 const plk_json_node *node);

/* Refused unless its "type" is one of off. */
pluck_status plk_import_format(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node);

/* The same for the member "format" of an object; without one the key is ignored with its note. */
pluck_status plk_import_text(plk_import *import, const plk_import_rule *rule,
                             const plk_json_node *node);

/* For readers. */

/* What became of the key that is read. format may be NULL. */
pluck_status plk_import_say(plk_import *import, pluck_import_fate fate, const char *format, ...)
    PLK_PRINTF(3, 4);

/* The same of an absent key. */
pluck_status plk_import_say_of(plk_import *import, const char *key, pluck_import_fate fate,
                               const char *format, ...) PLK_PRINTF(4, 5);

/* Whether a value is one of off: words "0", "<=0", ">=1", "true", "null", "[]", "{}", "\"\"", or a
 * string itself. off may be NULL. */
bool plk_import_is_off(const plk_import *import, const char *off, const plk_json_node *node);

/* The number that a node is. Fails at the node for what is not one. */
pluck_status plk_import_number_of(const plk_import *import, const plk_json_node *node,
                                  double *value);

/* A token id; false for what is not one. */
bool plk_import_token_of(const plk_json_node *node, uint32_t *token);

/* Sets a flat key of the current part. What it refuses is said of the key that is read: *done is
 * false then. done may be NULL: such a value is an error. */
pluck_status plk_import_set(plk_import *import, const char *flat_key, const char *json_value,
                            bool *done);
pluck_status plk_import_set_number(plk_import *import, const char *flat_key, double value,
                                   bool *done);

/* Sets flat_key and says it as the meaning of an absent key. */
pluck_status plk_import_default(plk_import *import, const char *key, const char *flat_key,
                                const char *json_value);

/* A member of the text that is not overridden; NULL too if it is null. */
const plk_json_node *plk_import_member_of(const plk_import *import, const char *key);
bool plk_import_is_true(const plk_import *import, const char *key);
/* absent: also of what is not a number. */
double plk_import_number_at(const plk_import *import, const char *key, double absent);

#endif
