/*
 * What trees are made of: cjson_nodes.c, or own_nodes.c in a library without JSON, which is built
 * with PLK_WITHOUT_JSON. Both have the functions below, those of json.h that take a node alone, and
 * plk_json_available().
 */
#ifndef PLK_JSON_NODES_H
#define PLK_JSON_NODES_H

#include "json/json.h"

/* PLUCK_ERR_INVALID if nodes cannot be made, because the linker found another cJSON. */
pluck_status plk_nodes_check(pluck_error *err);

/* string is borrowed; string and number are for nodes of that kind. at: the byte where the value
 * stands. NULL: no memory. */
plk_json_node *plk_node_create(plk_json_kind kind, const char *string, double number, size_t at);

/* Makes node the last value of parent, which owns it then. key is borrowed; arrays ignore it. */
void plk_node_add(plk_json_node *parent, const char *key, plk_json_node *node);

/* With all that is inside it; NULL is nothing. */
void plk_node_destroy(plk_json_node *root);

size_t plk_node_at(const plk_json_node *node);

#endif
