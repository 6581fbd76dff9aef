/*
 * The text is read twice: the first pass only checks and counts, so that hostile text is refused
 * before anything is allocated; the second one makes the nodes. cJSON's own parser is not used: it
 * recurses, keeps no positions and reads numbers with the program's locale and rounding mode. In
 * every node valueint is the byte where its value stands; keys and strings are references into one
 * block, where their positions and sizes precede them.
 *
 * A node is found again for a message by its position, which grows in document order: the child
 * that holds it is the last one that does not stand after it. Duplicate keys are found by sorting,
 * so an object of n members costs n log n whatever its keys are; the first eight bytes of a key are
 * kept next to its pointer, because following the pointer is what takes the time.
 *
 * A program may hold a second cJSON, of another version or changed by its owner, and then the
 * linker decides whose functions this library calls. Reading a member of the struct at the offset
 * of the wrong header is a crash, or worse, a wrong value without one. So cJSON's own functions
 * first build a few nodes, and what is found at our offsets must be what these functions returned
 * or were given. Those are comparisons of bytes: nothing that was read at our offsets is followed.
 * The nodes are freed by cJSON itself, which knows its own layout. A private cJSON, compiled into
 * the library under other names (-Djson=private), needs none of this.
 */
#include "json/json.h"

#include "base/alloc.h"
#include "base/text.h"

#include <cjson/cJSON.h>
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
    const cJSON *node;
} key_entry;

#ifdef PLK_CJSON_IS_PRIVATE
static pluck_status check_library(pluck_error *err)
{
    (void)err;
    return PLUCK_OK;
}
#else
typedef struct probe {
    cJSON *object, *array, *number, *string;
} probe;

static const char text_given[] = "text", key_given[] = "key";
static const double number_given = 1234567.75;

static pluck_status fail_other(pluck_error *err, const char *what)
{
    return plk_fail(err, PLUCK_ERR_INVALID,
                    "cJSON: the program was linked with a cJSON of %s; link the one that pluck was "
                    "built with (%d.%d)",
                    what, CJSON_VERSION_MAJOR, CJSON_VERSION_MINOR);
}

/* {"key": [number, string]}; false, and nothing held, if memory is short. What the functions that
 * add return is not looked at: up to 1.7.12 they return nothing. */
static bool build_probe(probe *p)
{
    p->object = cJSON_CreateObject();
    p->array = cJSON_CreateArray();
    p->number = cJSON_CreateNumber(number_given);
    p->string = cJSON_CreateStringReference(text_given);
    if (!p->object || !p->array || !p->number || !p->string) {
        cJSON_Delete(p->object);
        cJSON_Delete(p->array);
        cJSON_Delete(p->number);
        cJSON_Delete(p->string);
        return false;
    }
    (void)cJSON_AddItemToArray(p->array, p->number);
    (void)cJSON_AddItemToArray(p->array, p->string);
    (void)cJSON_AddItemToObjectCS(p->object, key_given, p->array);
    return true;
}

static bool is_type(const cJSON *node, int type)
{
    return (node->type & 0xFF) == type;
}

/* Members in the order of their offsets, so that a struct that is too short is read as little
 * beyond its end as possible. */
static bool is_same_layout(const probe *p)
{
    if (p->object->next || p->array->next || p->number->next != p->string || p->string->next)
        return false;
    if (p->string->prev != p->number || p->object->child != p->array ||
        p->array->child != p->number || p->number->child || p->string->child)
        return false;
    if (!is_type(p->object, cJSON_Object) || !is_type(p->array, cJSON_Array) ||
        !is_type(p->number, cJSON_Number) || !is_type(p->string, cJSON_String))
        return false;
    if (p->string->valuestring != text_given || p->number->valuestring || p->array->valuestring)
        return false;
    return p->number->valueint == (int)number_given &&
           memcmp(&p->number->valuedouble, &number_given, sizeof number_given) == 0 &&
           p->array->string == key_given && !p->object->string && !p->number->string;
}

static pluck_status check_library(pluck_error *err)
{
    const char *version = cJSON_Version();
    char expected[32]; /* "1.7.15" begins with "1.7." */
    (void)snprintf(expected, sizeof expected, "%d.%d.", CJSON_VERSION_MAJOR, CJSON_VERSION_MINOR);
    if (!version || strncmp(version, expected, strlen(expected)) != 0) {
        char what[48];
        (void)snprintf(what, sizeof what, "version %.16s", version ? version : "unknown");
        return fail_other(err, what);
    }
    probe p;
    if (!build_probe(&p))
        return plk_fail_nomem(err, 4 * sizeof(cJSON));
    pluck_status status = is_same_layout(&p) ? PLUCK_OK : fail_other(err, "another layout");
    cJSON_Delete(p.object);
    return status;
}
#endif

static const cJSON *inner(const plk_json_node *node)
{
    return (const cJSON *)node;
}

static const plk_json_node *outer(const cJSON *node)
{
    return (const plk_json_node *)node;
}

static string_head head_of(const char *string)
{
    string_head head;
    memcpy(&head, string - sizeof head, sizeof head);
    return head;
}

static size_t value_offset(const cJSON *node)
{
    return (size_t)node->valueint;
}

/* Of a node without a key: where its value stands. */
static size_t key_offset(const cJSON *node)
{
    return node->string ? head_of(node->string).at : value_offset(node);
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
static void write_path(const plk_json *json, const cJSON *node, char path[PATH_BYTES])
{
    char label[PLK_QUOTE_BYTES];
    plk_quote(label, json->label ? json->label : "$", json->label ? strlen(json->label) : 1);
    size_t n = (size_t)snprintf(path, PATH_BYTES, "%s", label);
    for (const cJSON *at = inner(json->root); at != node;) {
        size_t index = 0;
        const cJSON *child = at->child;
        while (child->next && value_offset(child->next) <= value_offset(node)) {
            child = child->next;
            index++;
        }
        char part[PLK_QUOTE_BYTES + 8];
        if (child->string)
            append_key(part, sizeof part, child->string);
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
    write_path(json, inner(node), path);
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
    pluck_status status = fail_at(json, node, value_offset(inner(node)), err, format, arguments);
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
    pluck_status status = fail_at(json, node, key_offset(inner(node)), err, format, arguments);
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
    return (left->prefix & 0xFFu) != 0 && strcmp(left->node->string, right->node->string) < 0;
}

static pluck_status fail_duplicate(const key_check *w, const cJSON *first, const cJSON *second)
{
    char key[PLK_QUOTE_BYTES];
    size_t line = 0, column = 0;
    plk_quote(key, second->string, strlen(second->string));
    find_line(w->json, key_offset(first), &line, &column);
    return plk_json_fail_key(w->json, outer(second), w->err,
                             "duplicate key '%s'; it is already at line %zu, column %zu", key, line,
                             column);
}

static pluck_status check_few_keys(const key_check *w, const cJSON *object)
{
    for (const cJSON *second = object->child; second; second = second->next) {
        for (const cJSON *first = object->child; first != second; first = first->next) {
            if (strcmp(first->string, second->string) == 0)
                return fail_duplicate(w, first, second);
        }
    }
    return PLUCK_OK;
}

/* The sort is stable: of two equal keys the second is the later one in the text. */
static pluck_status check_many_keys(const key_check *w, const cJSON *object, size_t n)
{
    key_entry *entries = plk_alloc(&w->json->allocator, n, 2 * sizeof *entries);
    if (!entries)
        return plk_fail_nomem(w->err, n * 2 * sizeof *entries);
    size_t i = 0;
    for (const cJSON *child = object->child; child; child = child->next)
        entries[i++] = (key_entry){key_prefix(child->string), child};
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
static pluck_status check_keys(const key_check *w, const cJSON *node)
{
    pluck_status status = PLUCK_OK;
    size_t n = 0;
    for (const cJSON *child = node->child; child && status == PLUCK_OK; child = child->next, n++) {
        if (child->child)
            status = check_keys(w, child);
    }
    if (status != PLUCK_OK || !cJSON_IsObject(node) || n < 2)
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
static cJSON *create_node(const char *text, const plk_json_event *event, char **strings)
{
    switch (event->kind) {
    case PLK_JSON_OBJECT:
        return cJSON_CreateObject();
    case PLK_JSON_ARRAY:
        return cJSON_CreateArray();
    case PLK_JSON_STRING:
        return cJSON_CreateStringReference(keep_string(text, event, strings));
    case PLK_JSON_NUMBER:
        return cJSON_CreateNumber(plk_number_read(text + event->at, event->length));
    case PLK_JSON_NULL:
        return cJSON_CreateNull();
    default:
        return cJSON_CreateBool(event->kind == PLK_JSON_TRUE);
    }
}

/* Makes the nodes of a text that has been checked; false, and nothing held, if memory is short. */
static bool build(plk_json *json, unsigned flags)
{
    plk_json_reader reader = plk_json_reader_init(json->text, json->size_bytes, flags);
    plk_json_event event = {.kind = PLK_JSON_NULL};
    cJSON *open[PLK_JSON_MAX_DEPTH], *root = NULL;
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
        cJSON *node = create_node(json->text, &event, &strings);
        if (!node) {
            cJSON_Delete(root);
            return false;
        }
        node->valueint = (int)event.at;
        if (!root)
            root = node;
        else if (cJSON_IsObject(open[depth - 1]))
            (void)cJSON_AddItemToObjectCS(open[depth - 1], key, node);
        else
            (void)cJSON_AddItemToArray(open[depth - 1], node);
        if (event.kind == PLK_JSON_OBJECT || event.kind == PLK_JSON_ARRAY)
            open[depth++] = node;
    }
    json->root = outer(root);
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
    if (!count_strings(json, flags, &strings_bytes, problem))
        return PLUCK_ERR_FORMAT;
    pluck_status status = check_library(err);
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

pluck_status plk_json_open(plk_json *json, const char *text, size_t size_bytes, const char *label,
                           const pluck_allocator *allocator, pluck_error *err)
{
    plk_json_problem problem = {0, NULL};
    pluck_status status = plk_json_parse(json, text, size_bytes, 0, allocator, &problem, err);
    json->label = label;
    if (status == PLUCK_ERR_FORMAT)
        return fail_syntax(json, problem, err);
    if (status != PLUCK_OK)
        return status;
    status = check_keys(&(key_check){json, err}, inner(json->root));
    if (status != PLUCK_OK)
        plk_json_close(json);
    return status;
}

void plk_json_close(plk_json *json)
{
    cJSON *root = NULL;
    memcpy(&root, &json->root, sizeof root); /* it was not const when it was made */
    cJSON_Delete(root);
    plk_free(&json->allocator, json->strings);
    json->root = NULL;
    json->strings = NULL;
}

plk_json_kind plk_json_kind_of(const plk_json_node *node)
{
    switch (inner(node)->type & 0xFF) {
    case cJSON_Number:
        return PLK_JSON_NUMBER;
    case cJSON_String:
        return PLK_JSON_STRING;
    case cJSON_Array:
        return PLK_JSON_ARRAY;
    case cJSON_Object:
        return PLK_JSON_OBJECT;
    case cJSON_NULL:
        return PLK_JSON_NULL;
    default:
        return cJSON_IsTrue(inner(node)) ? PLK_JSON_TRUE : PLK_JSON_FALSE;
    }
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

const plk_json_node *plk_json_child(const plk_json_node *node)
{
    return node ? outer(inner(node)->child) : NULL;
}

const plk_json_node *plk_json_sibling(const plk_json_node *node)
{
    return outer(inner(node)->next);
}

const plk_json_node *plk_json_member(const plk_json_node *object, const char *key)
{
    if (!plk_json_is(object, PLK_JSON_OBJECT))
        return NULL;
    for (const cJSON *child = inner(object)->child; child; child = child->next) {
        if (strcmp(child->string, key) == 0)
            return outer(child);
    }
    return NULL;
}

const char *plk_json_key(const plk_json_node *node)
{
    return inner(node)->string;
}

const char *plk_json_string(const plk_json_node *node)
{
    return plk_json_is(node, PLK_JSON_STRING) ? inner(node)->valuestring : NULL;
}

double plk_json_number(const plk_json_node *node)
{
    return inner(node)->valuedouble;
}

size_t plk_json_string_bytes(const plk_json_node *node)
{
    return head_of(inner(node)->valuestring).size_bytes;
}

size_t plk_json_key_bytes(const plk_json_node *node)
{
    return head_of(inner(node)->string).size_bytes;
}

const char *plk_json_source(const plk_json *json, const plk_json_node *node, size_t *length)
{
    const char *text = json->text + value_offset(inner(node));
    size_t left = json->size_bytes - value_offset(inner(node));
    plk_json_reader reader = plk_json_reader_init(text, left, PLK_JSON_NUL);
    plk_json_event event;
    while (plk_json_next(&reader, &event) && reader.depth > 0)
        ;
    *length = reader.at;
    return text;
}
