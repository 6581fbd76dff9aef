/*
 * JSON text as a cJSON tree that knows where each value stands, and errors that say so. This is the
 * one way in which the library and the command give a text to cJSON.
 *
 * cJSON recurses, keeps no positions and reads numbers with the locale's decimal point and the
 * program's rounding mode. So the text is checked first (reader.h), also for its depth, cJSON
 * gets a copy whose numbers are blanked out, and one walk over tree and text together then sets in
 * every node valueint to the byte offset of its key, or of its value where there is no key, and in
 * every number valuedouble.
 */
#ifndef PLK_JSON_TREE_H
#define PLK_JSON_TREE_H

#include "base/alloc.h"
#include "base/error.h"
#include "json/reader.h"

#include <cjson/cJSON.h>

typedef struct plk_json {
    const char *text; /* borrowed; starts after a byte order mark */
    size_t size_bytes;
    const char *label; /* what messages call the text, e.g. "top_p"; NULL: by line and column */
    cJSON *root;
} plk_json;

/* The tree of a text; a byte order mark in front is skipped. PLUCK_ERR_FORMAT, and *problem instead
 * of *err, if it does not pass plk_json_check() with these flags; PLUCK_ERR_INVALID if the
 * program's cJSON is another one (json_library.h). allocator serves working memory only; cJSON's
 * own goes through malloc. On failure json->root is NULL. */
pluck_status plk_json_parse(plk_json *json, const char *text, size_t size_bytes, unsigned flags,
                            const pluck_allocator *allocator, plk_json_problem *problem,
                            pluck_error *err);

/* The same for a configuration: PLUCK_ERR_CONFIG, and a message with the position, if it is not
 * JSON or repeats a key in an object. */
pluck_status plk_json_open(plk_json *json, const char *text, size_t size_bytes, const char *label,
                           const pluck_allocator *allocator, pluck_error *err);
void plk_json_close(plk_json *json);

/* PLUCK_ERR_CONFIG, "line 1, column 11: $.top_p: " and the formatted message; the position is that
 * of the node's value. */
pluck_status plk_json_fail(const plk_json *json, const cJSON *node, pluck_error *err,
                           const char *format, ...) PLK_PRINTF(4, 5);

/* The same at the node's key. */
pluck_status plk_json_fail_key(const plk_json *json, const cJSON *node, pluck_error *err,
                               const char *format, ...) PLK_PRINTF(4, 5);

/* The first member of an object with this key; NULL if there is none, or if object is NULL or
 * something else. */
const cJSON *plk_json_member(const cJSON *object, const char *key);

/* "a number", "an object" … */
const char *plk_json_kind(const cJSON *node);

/* The source text of a number node; *length is its size. */
const char *plk_json_number_text(const plk_json *json, const cJSON *node, size_t *length);

/* The bytes of a string node, or of the key of any node, which may hold NUL; out has room for
 * json->size_bytes. Returns their number. */
size_t plk_json_string(const plk_json *json, const cJSON *node, char *out);
size_t plk_json_key(const plk_json *json, const cJSON *node, char *out);

/* The source text of a value of any kind; *length is its size. */
const char *plk_json_value_text(const plk_json *json, const cJSON *node, size_t *length);

/* The nearest double; infinite if the number is too large for one. */
double plk_json_number(const plk_json *json, const cJSON *node);

enum { PLK_QUOTE_BYTES = 48 };

/* text, cut to what a message can bear. */
void plk_quote(char quoted[PLK_QUOTE_BYTES], const char *text, size_t length);

#endif
