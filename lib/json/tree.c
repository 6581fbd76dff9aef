/*
 * The text is read twice: the first pass only checks and counts, so that hostile text is refused
 * before anything is allocated; the second one makes the nodes. cJSON's own parser is not used: it
 * recurses, keeps no positions and reads numbers with the program's locale and rounding mode. Every
 * node knows the byte where its value stands; keys and strings are references into one
 * block, where their positions and sizes precede them.
 *
 * A node is found again for a message by its position, which grows in document order: the child
 * that holds it is the last one that does not stand after it. Duplicate keys are found by sorting,
 * so an object of n members costs n log n whatever its keys are; the first eight bytes of a key are
 * kept next to its pointer, because following the pointer is what takes the time.
 */
#include "json/nodes.h"

#include "base/alloc.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 112, FEW_KEYS = 8 };

/* What stands in front of a key or string in the block. */
typedef struct string_head {
    uint32_t at; /* its opening quote in the text */
    uint32_t size_bytes;
} string_head;

typedef struct key_check {
    const plk_json *json;
    pluck_error *err;
} key_check;

typedef struct key_entry {
    uint64_t prefix; /* the first eight bytes, most significant first, padded with 0 */
    const plk_json_node *node;
} key_entry;

static string_head head_of(const char *string)
{
    string_head head;
    memcpy(&head, string - sizeof head, sizeof head);
    return head;
}

/* Of a node without a key: where its value stands. */
static size_t key_offset(const plk_json_node *node)
{
    return plk_json_key(node) ? head_of(plk_json_key(node)).at : plk_node_at(node);
}

const char *plk_quote(char quoted[PLK_QUOTE_BYTES], const char *text, size_t length)
{
    static const char ellipsis[] = "\xE2\x80\xA6";
    size_t n = length < PLK_QUOTE_BYTES ? length : PLK_QUOTE_BYTES - sizeof ellipsis;
    while (n > 0 && n < length && ((unsigned char)text[n] & 0xC0u) == 0x80u)
        n--;
    memcpy(quoted, text, n);
    memcpy(quoted + n, n < length ? ellipsis : "", n < length ? sizeof ellipsis : 1);
    return quoted;
}

const char *plk_json_quote(char quoted[PLK_QUOTE_BYTES], const plk_json *json,
                           const plk_json_node *node)
{
    size_t length = 0;
    const char *text = plk_json_source(json, node, &length);
    return plk_quote(quoted, text, length);
}

/* ".key", or "["any key"]" where a dot would be unclear. */
static void append_key(char *part, size_t size_bytes, const char *key)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$";
    char quoted[PLK_QUOTE_BYTES];
    plk_quote(quoted, key, strlen(key));
    bool simple = quoted[0] != '\0' && strspn(quoted, plain) == strlen(quoted) &&
                  !(quoted[0] >= '0' && quoted[0] <= '9');
    snprintf(part, size_bytes, simple ? ".%s" : "[\"%s\"]", quoted);
}

/* The JSON path of a node; cut with an ellipsis where it gets too long. */
static void write_path(const plk_json *json, const plk_json_node *node, char path[PATH_BYTES])
{
    char label[PLK_QUOTE_BYTES];
    plk_quote(label, json->label ? json->label : "$", json->label ? strlen(json->label) : 1);
    size_t n = (size_t)snprintf(path, PATH_BYTES, "%s", label);
    for (const plk_json_node *at = json->root; at != node;) {
        size_t index = 0;
        const plk_json_node *child = plk_json_child(at);
        while (plk_json_sibling(child) &&
               plk_node_at(plk_json_sibling(child)) <= plk_node_at(node)) {
            child = plk_json_sibling(child);
            index++;
        }
        char part[PLK_QUOTE_BYTES + 8];
        if (plk_json_key(child))
            append_key(part, sizeof part, plk_json_key(child));
        else
            snprintf(part, sizeof part, "[%zu]", index);
        if (n + strlen(part) + 4 > PATH_BYTES) {
            snprintf(path + n, PATH_BYTES - n, "\xE2\x80\xA6");
            return;
        }
        n += (size_t)snprintf(path + n, PATH_BYTES - n, "%s", part);
        at = child;
    }
}

static void find_line(const plk_json *json, size_t offset, size_t *line, size_t *column)
{
    size_t start = 0;
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (json->text[i] == '\n') {
            ++*line;
            start = i + 1;
        }
    }
    for (size_t i = start; i < offset; i++)
        *column += ((unsigned char)json->text[i] & 0xC0u) != 0x80u;
}

static pluck_status fail_at(const plk_json *json, const plk_json_node *node, size_t offset,
                            pluck_error *err, const char *format, va_list arguments)
{
    char path[PATH_BYTES], what[sizeof err->message];
    size_t line = 0, column = 0;
    if (!err)
        return PLUCK_ERR_CONFIG;
    vsnprintf(what, sizeof what, format, arguments);
    write_path(json, node, path);
    if (json->label)
        return plk_fail(err, PLUCK_ERR_CONFIG, "%s: %s", path, what);
    find_line(json, offset, &line, &column);
    return plk_fail(err, PLUCK_ERR_CONFIG, "line %zu, column %zu: %s: %s", line, column, path,
                    what);
}

pluck_status plk_json_fail(const plk_json *json, const plk_json_node *node, pluck_error *err,
                           const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    pluck_status status = fail_at(json, node, plk_node_at(node), err, format, arguments);
    va_end(arguments);
    return status;
}

pluck_status plk_json_fail_kind(const plk_json *json, const plk_json_node *node, pluck_error *err,
                                const char *expected)
{
    return plk_json_fail(json, node, err, "expected %s, not %s", expected,
                         plk_json_kind_name(node));
}

pluck_status plk_json_fail_key(const plk_json *json, const plk_json_node *node, pluck_error *err,
                               const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    pluck_status status = fail_at(json, node, key_offset(node), err, format, arguments);
    va_end(arguments);
    return status;
}

static pluck_status fail_syntax(const plk_json *json, plk_json_problem problem, pluck_error *err)
{
    char label[PLK_QUOTE_BYTES], value[PLK_QUOTE_BYTES];
    size_t line = 0, column = 0;
    find_line(json, problem.at, &line, &column);
    if (!json->label)
        return plk_fail(err, PLUCK_ERR_CONFIG, "line %zu, column %zu: %s", line, column,
                        problem.what);
    plk_quote(label, json->label, strlen(json->label));
    plk_quote(value, json->text, json->size_bytes);
    return plk_fail(err, PLUCK_ERR_CONFIG, "%s: '%s' is not a JSON value: character %zu: %s", label,
                    value, column, problem.what);
}

static uint64_t key_prefix(const char *key)
{
    uint64_t prefix = 0;
    for (size_t i = 0; i < 8; i++) {
        prefix = prefix << 8 | (unsigned char)*key;
        key += *key != '\0';
    }
    return prefix;
}

static bool key_before(const void *a, const void *b)
{
    const key_entry *left = a, *right = b;
    if (left->prefix != right->prefix)
        return left->prefix < right->prefix;
    return (left->prefix & 0xFFu) != 0 &&
           strcmp(plk_json_key(left->node), plk_json_key(right->node)) < 0;
}

static pluck_status fail_duplicate(const key_check *w, const plk_json_node *first,
                                   const plk_json_node *second)
{
    char key[PLK_QUOTE_BYTES];
    size_t line = 0, column = 0;
    plk_quote(key, plk_json_key(second), strlen(plk_json_key(second)));
    find_line(w->json, key_offset(first), &line, &column);
    return plk_json_fail_key(w->json, second, w->err,
                             "duplicate key '%s'; it is already at line %zu, column %zu", key, line,
                             column);
}

static pluck_status check_few_keys(const key_check *w, const plk_json_node *object)
{
    for (const plk_json_node *second = plk_json_child(object); second;
         second = plk_json_sibling(second)) {
        for (const plk_json_node *first = plk_json_child(object); first != second;
             first = plk_json_sibling(first)) {
            if (strcmp(plk_json_key(first), plk_json_key(second)) == 0)
                return fail_duplicate(w, first, second);
        }
    }
    return PLUCK_OK;
}

/* The sort is stable: of two equal keys the second is the later one in the text. */
static pluck_status check_many_keys(const key_check *w, const plk_json_node *object, size_t n)
{
    key_entry *entries = plk_alloc(&w->json->allocator, n, 2 * sizeof *entries);
    if (!entries)
        return plk_fail_nomem(w->err, n * 2 * sizeof *entries);
    size_t i = 0;
    for (const plk_json_node *child = plk_json_child(object); child;
         child = plk_json_sibling(child))
        entries[i++] = (key_entry){key_prefix(plk_json_key(child)), child};
    plk_sort(entries, entries + n, n, sizeof *entries, key_before);
    pluck_status status = PLUCK_OK;
    for (i = 1; i < n && status == PLUCK_OK; i++) {
        if (!key_before(&entries[i - 1], &entries[i]))
            status = fail_duplicate(w, entries[i - 1].node, entries[i].node);
    }
    plk_free(&w->json->allocator, entries);
    return status;
}

/* The depth of the recursion is at most PLK_JSON_MAX_DEPTH. */
static pluck_status check_keys(const key_check *w, const plk_json_node *node)
{
    pluck_status status = PLUCK_OK;
    size_t n = 0;
    for (const plk_json_node *child = plk_json_child(node); child && status == PLUCK_OK;
         child = plk_json_sibling(child), n++) {
        if (plk_json_child(child))
            status = check_keys(w, child);
    }
    if (status != PLUCK_OK || !plk_json_is(node, PLK_JSON_OBJECT) || n < 2)
        return status;
    return n <= FEW_KEYS ? check_few_keys(w, node) : check_many_keys(w, node, n);
}

/* What the strings of a text take. */
static bool count_strings(const plk_json *json, unsigned flags, size_t *size_bytes,
                          plk_json_problem *problem)
{
    plk_json_reader reader = plk_json_reader_init(json->text, json->size_bytes, flags);
    plk_json_event event = {.kind = PLK_JSON_NULL};
    *size_bytes = 0;
    while (event.kind != PLK_JSON_END) {
        if (!plk_json_next(&reader, &event)) {
            *problem = reader.problem;
            return false;
        }
        if (event.kind == PLK_JSON_STRING || event.kind == PLK_JSON_KEY)
            *size_bytes += sizeof(string_head) + event.length; /* two quotes, for one NUL */
    }
    return true;
}

/* Writes a string of the text at *end, which moves on. */
static const char *keep_string(const char *text, const plk_json_event *event, char **end)
{
    char *string = *end + sizeof(string_head);
    size_t n = plk_json_unescape(text + event->at + 1, event->length - 2, string);
    string_head head = {(uint32_t)event->at, (uint32_t)n};
    memcpy(*end, &head, sizeof head);
    string[n] = '\0';
    *end = string + n + 1;
    return string;
}

/* NULL: no memory. */
static plk_json_node *create_node(const char *text, const plk_json_event *event, char **strings)
{
    const char *string = NULL;
    double number = 0;
    if (event->kind == PLK_JSON_STRING)
        string = keep_string(text, event, strings);
    if (event->kind == PLK_JSON_NUMBER)
        number = plk_number_read(text + event->at, event->length);
    return plk_node_create(event->kind, string, number, event->at);
}

/* Makes the nodes of a text that has been checked; false, and nothing held, if memory is short. */
static bool build(plk_json *json, unsigned flags)
{
    plk_json_reader reader = plk_json_reader_init(json->text, json->size_bytes, flags);
    plk_json_event event = {.kind = PLK_JSON_NULL};
    plk_json_node *open[PLK_JSON_MAX_DEPTH], *root = NULL;
    size_t depth = 0;
    const char *key = NULL;
    char *strings = json->strings;
    while (plk_json_next(&reader, &event) && event.kind != PLK_JSON_END) {
        if (event.kind == PLK_JSON_KEY) {
            key = keep_string(json->text, &event, &strings);
            continue;
        }
        if (event.kind == PLK_JSON_CLOSE) {
            depth--;
            continue;
        }
        plk_json_node *node = create_node(json->text, &event, &strings);
        if (!node) {
            plk_node_destroy(root);
            return false;
        }
        if (!root)
            root = node;
        else
            plk_node_add(open[depth - 1], key, node);
        if (event.kind == PLK_JSON_OBJECT || event.kind == PLK_JSON_ARRAY)
            open[depth++] = node;
    }
    json->root = root;
    return true;
}

pluck_status plk_json_parse(plk_json *json, const char *text, size_t size_bytes, unsigned flags,
                            const pluck_allocator *allocator, plk_json_problem *problem,
                            pluck_error *err)
{
    size_t strings_bytes = 0;
    size_t mark_bytes = plk_mark_bytes(text, size_bytes);
    *json = (plk_json){.text = text + mark_bytes,
                       .size_bytes = size_bytes - mark_bytes,
                       .allocator = plk_allocator_or_default(allocator)};
    pluck_status status = flags & PLK_JSON_OWN ? PLUCK_OK : plk_json_available(err);
    if (status == PLUCK_OK && !count_strings(json, flags, &strings_bytes, problem))
        return PLUCK_ERR_FORMAT;
    if (status == PLUCK_OK)
        status = plk_nodes_check(err);
    if (status != PLUCK_OK)
        return status;
    json->strings = plk_alloc(&json->allocator, 1, strings_bytes);
    if (!json->strings)
        return plk_fail_nomem(err, strings_bytes);
    if (build(json, flags))
        return PLUCK_OK;
    plk_json_close(json);
    return plk_fail_nomem(err, size_bytes);
}

pluck_status plk_json_open(plk_json *json, const char *text, size_t size_bytes, unsigned flags,
                           const char *label, const pluck_allocator *allocator, pluck_error *err)
{
    plk_json_problem problem = {0, NULL};
    pluck_status status = plk_json_parse(json, text, size_bytes, flags, allocator, &problem, err);
    json->label = label;
    if (status == PLUCK_ERR_FORMAT)
        return fail_syntax(json, problem, err);
    if (status != PLUCK_OK)
        return status;
    status = check_keys(&(key_check){json, err}, json->root);
    if (status != PLUCK_OK)
        plk_json_close(json);
    return status;
}

void plk_json_close(plk_json *json)
{
    plk_json_node *root = NULL;
    memcpy(&root, &json->root, sizeof root); /* it was not const when it was made */
    plk_node_destroy(root);
    plk_free(&json->allocator, json->strings);
    json->root = NULL;
    json->strings = NULL;
}

bool plk_json_is(const plk_json_node *node, plk_json_kind kind)
{
    return node && plk_json_kind_of(node) == kind;
}

bool plk_json_is_bool(const plk_json_node *node)
{
    return plk_json_is(node, PLK_JSON_TRUE) || plk_json_is(node, PLK_JSON_FALSE);
}

const char *plk_json_kind_name(const plk_json_node *node)
{
    static const char *const names[] = {
        [PLK_JSON_NULL] = "null",       [PLK_JSON_FALSE] = "false",
        [PLK_JSON_TRUE] = "true",       [PLK_JSON_NUMBER] = "a number",
        [PLK_JSON_STRING] = "a string", [PLK_JSON_ARRAY] = "an array",
        [PLK_JSON_OBJECT] = "an object"};
    return names[plk_json_kind_of(node)];
}

const plk_json_node *plk_json_member(const plk_json_node *object, const char *key)
{
    if (!plk_json_is(object, PLK_JSON_OBJECT))
        return NULL;
    for (const plk_json_node *child = plk_json_child(object); child;
         child = plk_json_sibling(child)) {
        if (strcmp(plk_json_key(child), key) == 0)
            return child;
    }
    return NULL;
}

size_t plk_json_string_bytes(const plk_json_node *node)
{
    return head_of(plk_json_string(node)).size_bytes;
}

size_t plk_json_key_bytes(const plk_json_node *node)
{
    return head_of(plk_json_key(node)).size_bytes;
}

const char *plk_json_source(const plk_json *json, const plk_json_node *node, size_t *length)
{
    const char *text = json->text + plk_node_at(node);
    size_t left = json->size_bytes - plk_node_at(node);
    plk_json_reader reader = plk_json_reader_init(text, left, PLK_JSON_NUL);
    plk_json_event event;
    while (plk_json_next(&reader, &event) && reader.depth > 0)
        ;
    *length = reader.at;
    return text;
}
