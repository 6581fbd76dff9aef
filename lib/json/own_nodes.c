/*
 * Nodes for a library without JSON: the typed setters of configurations pass their values as trees,
 * which are small.
 */
#ifdef PLK_WITHOUT_JSON
#    include "json/nodes.h"

#    include <stdlib.h>

struct plk_json_node {
    plk_json_kind kind;
    size_t at;
    const char *key, *string;
    double number;
    plk_json_node *child, *last, *sibling;
};

pluck_status plk_json_available(pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_CONFIG,
                    "JSON: this pluck was built without JSON; build it with -Djson=system or "
                    "-Djson=private");
}

pluck_status plk_nodes_check(pluck_error *err)
{
    (void)err;
    return PLUCK_OK;
}

plk_json_node *plk_node_create(plk_json_kind kind, const char *string, double number, size_t at)
{
    plk_json_node *node = malloc(sizeof *node);
    if (node)
        *node = (plk_json_node){.kind = kind, .at = at, .string = string, .number = number};
    return node;
}

void plk_node_add(plk_json_node *parent, const char *key, plk_json_node *node)
{
    if (parent->kind == PLK_JSON_OBJECT)
        node->key = key;
    if (parent->last)
        parent->last->sibling = node;
    else
        parent->child = node;
    parent->last = node;
}

/* The depth of the recursion is at most PLK_JSON_MAX_DEPTH. */
void plk_node_destroy(plk_json_node *root)
{
    plk_json_node *next = root ? root->child : NULL;
    while (next) {
        plk_json_node *child = next;
        next = child->sibling;
        plk_node_destroy(child);
    }
    free(root);
}

size_t plk_node_at(const plk_json_node *node)
{
    return node->at;
}

plk_json_kind plk_json_kind_of(const plk_json_node *node)
{
    return node->kind;
}

const plk_json_node *plk_json_child(const plk_json_node *node)
{
    return node ? node->child : NULL;
}

const plk_json_node *plk_json_sibling(const plk_json_node *node)
{
    return node->sibling;
}

const char *plk_json_key(const plk_json_node *node)
{
    return node->key;
}

const char *plk_json_string(const plk_json_node *node)
{
    return plk_json_is(node, PLK_JSON_STRING) ? node->string : NULL;
}

double plk_json_number(const plk_json_node *node)
{
    return node->number;
}
#endif
