/*
 * JSON of any content. The first byte chooses whether strings may hold NUL. What passes the check
 * must become a tree, whatever it is; every string and number of the tree must be found in the
 * text again, and plk_json_node's reading of a string must be that of the text up to the first NUL.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "%s\n", what);
    abort();
}

/* kept: what the tree has; source: the string in the text. */
static void check_text(const char *kept, size_t n, const char *source, size_t length, char *bytes)
{
    require(plk_json_unescape(source + 1, length - 2, bytes) == n && memcmp(kept, bytes, n) == 0 &&
                kept[n] == '\0',
            "strings differ");
}

static void check_node(const plk_json *json, const plk_json_node *node, char *bytes, unsigned depth)
{
    size_t length = 0;
    const char *text = plk_json_source(json, node, &length);
    require(depth <= PLK_JSON_MAX_DEPTH, "deeper than what passes the check");
    require(text >= json->text && length > 0 &&
                length <= json->size_bytes - (size_t)(text - json->text),
            "a value outside of the text");
    if (plk_json_key(node))
        require(plk_json_key(node)[plk_json_key_bytes(node)] == '\0', "a key without an end");
    if (plk_json_is(node, PLK_JSON_STRING))
        check_text(plk_json_string(node), plk_json_string_bytes(node), text, length, bytes);
    if (plk_json_is(node, PLK_JSON_NUMBER))
        require(!isnan(plk_json_number(node)) &&
                    plk_json_number(node) == plk_number_read(text, length),
                "numbers differ");
    for (const plk_json_node *child = plk_json_child(node); child; child = plk_json_sibling(child))
        check_node(json, child, bytes, depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = malloc(size);
    char *bytes = malloc(size);
    if (text && bytes) {
        plk_json json;
        plk_json_problem problem = {SIZE_MAX, NULL};
        pluck_error err = {0};
        memcpy(text, data + 1, size - 1);
        pluck_status status = plk_json_parse(&json, text, size - 1, data[0] & 1 ? PLK_JSON_NUL : 0,
                                             NULL, &problem, &err);
        require(status == PLUCK_OK || status == PLUCK_ERR_FORMAT, "unexpected status");
        if (status == PLUCK_OK)
            check_node(&json, json.root, bytes, 0);
        else
            require(problem.what && problem.at <= size, "no problem is told");
        plk_json_close(&json);
        if (plk_json_open(&json, text, size - 1, 0, NULL, NULL, &err) != PLUCK_OK)
            require(err.status == PLUCK_ERR_CONFIG && err.message[0] != '\0', "no message");
        plk_json_close(&json);
    }
    free(text);
    free(bytes);
    return 0;
}
