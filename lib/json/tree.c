/*
 * The walk that pairs tree and text relies on the text having been checked: it only skips. A node
 * is found again for a message by its offset, which grows in document order: the child that holds
 * it is the last one whose own offset is not larger. Duplicate keys are found by sorting, so an
 * object of n members costs n log n whatever its keys are; the first eight bytes of a key are kept
 * beside its pointer, because following the pointer is what takes the time.
 */
#include "json/tree.h"

#include "base/sort.h"
#include "json/json_library.h"
#include "json/json_number.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 112, FEW_KEYS = 8 };

typedef struct key_check {
    const plk_json *json;
    const pluck_allocator *allocator;
    pluck_error *err;
} key_check;

typedef struct key_entry {
    uint64_t prefix; /* the first eight bytes, most significant first, padded with 0 */
    const cJSON *node;
} key_entry;

static size_t skip_space(const char *text, size_t at)
{
    while (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r')
        at++;
    return at;
}

static size_t skip_string(const char *text, size_t at)
{
    for (at++; text[at] != '"'; at++) {
        if (text[at] == '\\')
            at++;
    }
    return at + 1;
}

static bool is_number_character(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static size_t skip_number(const char *text, size_t size_bytes, size_t at)
{
    while (at < size_bytes && is_number_character(text[at]))
        at++;
    return at;
}

static size_t key_offset(const cJSON *node)
{
    return (size_t)node->valueint;
}

static size_t value_offset(const plk_json *json, const cJSON *node)
{
    size_t at = key_offset(node);
    if (!node->string)
        return at;
    at = skip_space(json->text, skip_string(json->text, at));
    return skip_space(json->text, at + 1);
}

void plk_quote(char quoted[PLK_QUOTE_BYTES], const char *text, size_t length)
{
    static const char ellipsis[] = "\xE2\x80\xA6";
    if (length < PLK_QUOTE_BYTES) {
        memcpy(quoted, text, length);
        quoted[length] = '\0';
        return;
    }
    size_t n = PLK_QUOTE_BYTES - sizeof ellipsis;
    while (n > 0 && ((unsigned char)text[n] & 0xC0u) == 0x80u)
        n--;
    memcpy(quoted, text, n);
    memcpy(quoted + n, ellipsis, sizeof ellipsis);
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
    for (const cJSON *at = json->root; at != node;) {
        size_t index = 0;
        const cJSON *child = at->child;
        while (child->next && key_offset(child->next) <= key_offset(node)) {
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

static pluck_status fail_at(const plk_json *json, const cJSON *node, size_t offset,
                            pluck_error *err, const char *what)
{
    char path[PATH_BYTES];
    size_t line = 0, column = 0;
    if (!err)
        return PLUCK_ERR_CONFIG;
    write_path(json, node, path);
    if (json->label)
        return plk_fail(err, PLUCK_ERR_CONFIG, "%s: %s", path, what);
    find_line(json, offset, &line, &column);
    return plk_fail(err, PLUCK_ERR_CONFIG, "line %zu, column %zu: %s: %s", line, column, path,
                    what);
}

pluck_status plk_json_fail(const plk_json *json, const cJSON *node, pluck_error *err,
                           const char *format, ...)
{
    char what[sizeof err->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return fail_at(json, node, value_offset(json, node), err, what);
}

pluck_status plk_json_fail_key(const plk_json *json, const cJSON *node, pluck_error *err,
                               const char *format, ...)
{
    char what[sizeof err->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return fail_at(json, node, key_offset(node), err, what);
}

static pluck_status fail_syntax(const plk_json *json, plk_json_problem problem, pluck_error *err)
{
    char label[PLK_QUOTE_BYTES];
    size_t line = 0, column = 0;
    find_line(json, problem.at, &line, &column);
    if (!json->label)
        return plk_fail(err, PLUCK_ERR_CONFIG, "line %zu, column %zu: %s", line, column,
                        problem.what);
    plk_quote(label, json->label, strlen(json->label));
    return plk_fail(err, PLUCK_ERR_CONFIG, "%s: character %zu of the value: %s", label, column,
                    problem.what);
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
    return plk_json_fail_key(w->json, second, w->err,
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
    key_entry *entries = plk_alloc(w->allocator, n, 2 * sizeof *entries);
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
    plk_free(w->allocator, entries);
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

static size_t annotate(const plk_json *json, cJSON *node, size_t at);

/* at is the opening bracket; returns what follows the closing one. */
static size_t annotate_children(const plk_json *json, cJSON *node, size_t at)
{
    const char *text = json->text;
    at = skip_space(text, at + 1);
    for (cJSON *child = node->child; child; child = child->next) {
        size_t start = at;
        if (child->string)
            at = skip_space(text, skip_space(text, skip_string(text, start)) + 1);
        at = skip_space(text, annotate(json, child, at));
        child->valueint = (int)start;
        if (child->next)
            at = skip_space(text, at + 1);
    }
    return at + 1;
}

/* at is the first byte of the node's value; returns what follows it. The depth of the recursion is
 * at most PLK_JSON_MAX_DEPTH. */
static size_t annotate(const plk_json *json, cJSON *node, size_t at)
{
    node->valueint = (int)at;
    if (cJSON_IsArray(node) || cJSON_IsObject(node))
        return annotate_children(json, node, at);
    if (cJSON_IsString(node))
        return skip_string(json->text, at);
    if (cJSON_IsNumber(node)) {
        size_t end = skip_number(json->text, json->size_bytes, at);
        node->valuedouble = plk_number_read(json->text + at, end - at);
        return end;
    }
    return at + (cJSON_IsFalse(node) ? 5 : 4);
}

/* The text with each number replaced by "0" and spaces. */
static void blank_numbers(char *copy, const char *text, size_t size_bytes)
{
    memcpy(copy, text, size_bytes);
    for (size_t at = 0; at < size_bytes;) {
        if (text[at] == '"') {
            at = skip_string(text, at);
        } else if (text[at] == '-' || (text[at] >= '0' && text[at] <= '9')) {
            size_t end = skip_number(text, size_bytes, at);
            memset(copy + at, ' ', end - at);
            copy[at] = '0';
            at = end;
        } else {
            at++;
        }
    }
}

pluck_status plk_json_parse(plk_json *json, const char *text, size_t size_bytes, unsigned flags,
                            const pluck_allocator *allocator, plk_json_problem *problem,
                            pluck_error *err)
{
    if (size_bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        size_bytes -= 3;
    }
    *json = (plk_json){text, size_bytes, NULL, NULL};
    if (!plk_json_check(text, size_bytes, flags, problem))
        return PLUCK_ERR_FORMAT;
    pluck_status status = plk_json_check_library(err);
    if (status != PLUCK_OK)
        return status;
    pluck_allocator memory = plk_allocator_or_default(allocator);
    char *copy = plk_alloc(&memory, 1, size_bytes);
    if (!copy)
        return plk_fail_nomem(err, size_bytes);
    blank_numbers(copy, text, size_bytes);
    json->root = cJSON_ParseWithLength(copy, size_bytes);
    plk_free(&memory, copy);
    /* The text is valid and within cJSON's limits: only memory can have been missing. */
    if (!json->root)
        return plk_fail_nomem(err, size_bytes);
    annotate(json, json->root, skip_space(text, 0));
    return PLUCK_OK;
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
    pluck_allocator memory = plk_allocator_or_default(allocator);
    status = check_keys(&(key_check){json, &memory, err}, json->root);
    if (status != PLUCK_OK)
        plk_json_close(json);
    return status;
}

void plk_json_close(plk_json *json)
{
    cJSON_Delete(json->root);
    json->root = NULL;
}

const cJSON *plk_json_member(const cJSON *object, const char *key)
{
    if (!cJSON_IsObject(object))
        return NULL;
    for (const cJSON *child = object->child; child; child = child->next) {
        if (strcmp(child->string, key) == 0)
            return child;
    }
    return NULL;
}

const char *plk_json_kind(const cJSON *node)
{
    switch (node->type & 0xFF) {
    case cJSON_Number:
        return "a number";
    case cJSON_String:
        return "a string";
    case cJSON_Array:
        return "an array";
    case cJSON_Object:
        return "an object";
    case cJSON_NULL:
        return "null";
    default:
        return cJSON_IsTrue(node) ? "true" : "false";
    }
}

/* The end of the value that starts at a byte. */
static size_t skip_value(const plk_json *json, size_t at)
{
    size_t depth = 0;
    do {
        char c = json->text[at];
        if (c == '"') {
            at = skip_string(json->text, at);
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        else if (depth == 0 && is_number_character(c) && c != 'e')
            return skip_number(json->text, json->size_bytes, at);
        else if (depth == 0) /* true, false, null */
            return at + (c == 'f' ? 5 : 4);
        at++;
    } while (depth > 0);
    return at;
}

const char *plk_json_value_text(const plk_json *json, const cJSON *node, size_t *length)
{
    size_t at = value_offset(json, node);
    *length = skip_value(json, at) - at;
    return json->text + at;
}

const char *plk_json_number_text(const plk_json *json, const cJSON *node, size_t *length)
{
    size_t at = value_offset(json, node);
    *length = skip_number(json->text, json->size_bytes, at) - at;
    return json->text + at;
}

double plk_json_number(const plk_json *json, const cJSON *node)
{
    (void)json;
    return node->valuedouble;
}

/* The four hexadecimal digits of a checked text. */
static uint32_t hex4(const char *digits)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        char c = digits[i];
        value = value * 16 + (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

static size_t put_utf8(char *out, uint32_t c)
{
    unsigned n_more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[n_more] | c >> 6 * n_more);
    for (unsigned i = 1; i <= n_more; i++)
        out[i] = (char)(0x80 | (c >> 6 * (n_more - i) & 0x3F));
    return n_more + 1;
}

/* at is behind the backslash and "u"; returns what follows. */
static size_t read_unicode(const char *text, size_t at, char *out, size_t *n)
{
    uint32_t c = hex4(text + at);
    at += 4;
    if (c >= 0xD800 && c <= 0xDBFF) {
        c = 0x10000 + ((c - 0xD800) << 10) + (hex4(text + at + 2) - 0xDC00);
        at += 6;
    }
    *n += put_utf8(out + *n, c);
    return at;
}

/* at is the opening quote of a checked string. */
static size_t read_string(const char *text, size_t at, char *out)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    size_t n = 0;
    for (at++; text[at] != '"';) {
        if (text[at] != '\\') {
            out[n++] = text[at++];
            continue;
        }
        char c = text[at + 1];
        const char *letter = strchr(letters, c);
        at += 2;
        if (c == 'u')
            at = read_unicode(text, at, out, &n);
        else
            out[n++] = letter ? meanings[letter - letters] : c;
    }
    return n;
}

size_t plk_json_string(const plk_json *json, const cJSON *node, char *out)
{
    return read_string(json->text, value_offset(json, node), out);
}

size_t plk_json_key(const plk_json *json, const cJSON *node, char *out)
{
    return read_string(json->text, key_offset(node), out);
}
