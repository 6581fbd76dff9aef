/*
 * JSON text as a tree that knows where each value stands, and errors that say so.
 *
 * The tree is cJSON's, built from the events of the reader: this is the one place that knows of it.
 */
#ifndef PLK_JSON_TREE_H
#define PLK_JSON_TREE_H

#include "base/alloc.h"
#include "base/error.h"
#include "json/reader.h"

/* A value: of kind NULL to OBJECT. */
typedef struct plk_json_node plk_json_node;

typedef struct plk_json {
    const char *text; /* borrowed; starts after a byte order mark */
    size_t size_bytes;
    const char *label; /* what messages call the text, e.g. "top_p"; NULL: by line and column */
    const plk_json_node *root;
    char *strings; /* of all nodes */
    pluck_allocator allocator;
} plk_json;

/* The tree of a text; a byte order mark in front is skipped. PLUCK_ERR_FORMAT, and *problem instead
 * of *err, if the reader refuses it with these flags. PLUCK_ERR_INVALID if the program was linked
 * with a cJSON of another version or layout. The strings come from the allocator, cJSON's nodes
 * from malloc. On failure there is nothing to close. Messages and functions that take a plk_json
 * read the text again; those that take a node alone do not. */
pluck_status plk_json_parse(plk_json *json, const char *text, size_t size_bytes, unsigned flags,
                            const pluck_allocator *allocator, plk_json_problem *problem,
                            pluck_error *err);

/* The same for a configuration: PLUCK_ERR_CONFIG, and a message with the position, if it is not
 * JSON or repeats a key in an object. */
pluck_status plk_json_open(plk_json *json, const char *text, size_t size_bytes, const char *label,
                           const pluck_allocator *allocator, pluck_error *err);
void plk_json_close(plk_json *json);

plk_json_kind plk_json_kind_of(const plk_json_node *node);

/* Whether there is a node and it is of this kind. */
bool plk_json_is(const plk_json_node *node, plk_json_kind kind);

bool plk_json_is_bool(const plk_json_node *node);

/* "a number", "an object" … */
const char *plk_json_kind_name(const plk_json_node *node);

/* The first value of an array or object; NULL if it is empty, if node is of another kind or NULL.
 * Then the one after it; NULL at the end. */
const plk_json_node *plk_json_child(const plk_json_node *node);
const plk_json_node *plk_json_sibling(const plk_json_node *node);

/* The first member of an object with this key; NULL if there is none, or if object is NULL or
 * something else. */
const plk_json_node *plk_json_member(const plk_json_node *object, const char *key);

/* The key of a member; NULL of other nodes. */
const char *plk_json_key(const plk_json_node *node);

/* The value of a string node; NULL of other nodes, and of NULL. */
const char *plk_json_string(const plk_json_node *node);

/* The nearest double of a number node; infinite if the number is too large for one. */
double plk_json_number(const plk_json_node *node);

/* The size of what plk_json_string() and plk_json_key() give, where NUL may be among the bytes. */
size_t plk_json_string_bytes(const plk_json_node *node);
size_t plk_json_key_bytes(const plk_json_node *node);

/* The source text of a value; *length is its size. */
const char *plk_json_source(const plk_json *json, const plk_json_node *node, size_t *length);

/* PLUCK_ERR_CONFIG, "line 1, column 11: $.top_p: " and the formatted message; the position is that
 * of the node's value. */
pluck_status plk_json_fail(const plk_json *json, const plk_json_node *node, pluck_error *err,
                           const char *format, ...) PLK_PRINTF(4, 5);

/* The same at the node's key. */
pluck_status plk_json_fail_key(const plk_json *json, const plk_json_node *node, pluck_error *err,
                               const char *format, ...) PLK_PRINTF(4, 5);

enum { PLK_QUOTE_BYTES = 48 };

/* text, cut to what a message can bear. */
void plk_quote(char quoted[PLK_QUOTE_BYTES], const char *text, size_t length);

#endif
