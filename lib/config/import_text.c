/*
 * Texts that are not JSON, as JSON: Ollama's Modelfile ("PARAMETER top_k 40") and presets in YAML
 * ("top_k: 40"). Both are lists of names and values. The JSON has each pair on the line on which
 * the text has it, so that messages about lines are right.
 *
 * Of YAML this is what a list of settings needs: plain and quoted scalars, over several lines too,
 * block scalars (| and >), and lists of scalars in both styles. What else YAML has is an error.
 */
#include "config/import_impl.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PAIRS = 4096 };

typedef struct text_pair {
    const char *name;
    size_t name_length;
    size_t line;
    size_t value_at, value_length; /* JSON, in text_pairs.values */
    bool is_over;                  /* a later pair has the same name */
} text_pair;

typedef struct text_pairs {
    const pluck_allocator *allocator;
    pluck_error *err;
    const char *text;
    size_t size, at, line;
    text_pair *items;
    size_t n, capacity;
    char *values; /* of all pairs, one after another */
    size_t n_values, values_capacity;
    pluck_status status; /* after a failure the text is at its end */
} text_pairs;

static void put(text_pairs *pairs, const char *bytes, size_t n)
{
    if (pairs->status == PLUCK_OK)
        pairs->status = plk_grow(pairs->allocator, &pairs->values, &pairs->values_capacity,
                                 pairs->n_values + n, 1, pairs->err);
    if (pairs->status != PLUCK_OK)
        return;
    memcpy(pairs->values + pairs->n_values, bytes, n);
    pairs->n_values += n;
}

/* A byte of a string of JSON; what JSON cannot have raw is escaped. */
static void put_byte(text_pairs *pairs, char byte)
{
    char escaped[8];
    if (byte == '"' || byte == '\\')
        put(pairs, (const char[]){'\\', byte}, 2);
    else if ((unsigned char)byte < ' ')
        put(pairs, escaped,
            (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned char)byte));
    else
        put(pairs, &byte, 1);
}

static void put_string(text_pairs *pairs, const char *bytes, size_t n)
{
    put(pairs, "\"", 1);
    for (size_t i = 0; i < n; i++)
        put_byte(pairs, bytes[i]);
    put(pairs, "\"", 1);
}

static size_t skip_sign(const char *text, size_t n, size_t at)
{
    return at + (at < n && (text[at] == '-' || text[at] == '+'));
}

static size_t skip_digits(const char *text, size_t n, size_t at)
{
    while (at < n && text[at] >= '0' && text[at] <= '9')
        at++;
    return at;
}

/* Puts a number in JSON's spelling: no plus, no zeros in front, digits around a point. */
static bool put_number(text_pairs *pairs, const char *text, size_t n)
{
    size_t start = skip_sign(text, n, 0), whole = skip_digits(text, n, start), end = whole;
    if (end < n && text[end] == '.')
        end = skip_digits(text, n, end + 1);
    bool has_fraction = end > whole + 1, has_exponent = end < n && (text[end] | 0x20) == 'e';
    size_t exponent = has_exponent ? skip_sign(text, n, end + 1) : end;
    bool has_digits = (whole > start || has_fraction) && !(has_exponent && exponent == n);
    if (!has_digits || skip_digits(text, n, exponent) != n)
        return false;
    if (text[0] == '-')
        put(pairs, "-", 1);
    while (start + 1 < whole && text[start] == '0')
        start++;
    put(pairs, whole > start ? text + start : "0", whole > start ? whole - start : 1);
    size_t rest = has_fraction ? whole : end;
    if (rest < n)
        put(pairs, text + rest, n - rest);
    return true;
}

/* A plain scalar: a word with a meaning, a number, or a string. */
static void put_scalar(text_pairs *pairs, const char *text, size_t n)
{
    static const struct {
        const char *name, *json;
    } words[] = {{"true", "true"},   {"True", "true"},   {"TRUE", "true"}, {"false", "false"},
                 {"False", "false"}, {"FALSE", "false"}, {"null", "null"}, {"Null", "null"},
                 {"~", "null"},      {"", "null"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].name) == n && memcmp(words[i].name, text, n) == 0) {
            put(pairs, words[i].json, strlen(words[i].json));
            return;
        }
    if (!put_number(pairs, text, n))
        put_string(pairs, text, n);
}

static void fail_at(text_pairs *pairs, const char *what)
{
    if (pairs->status == PLUCK_OK)
        pairs->status = plk_fail(pairs->err, PLUCK_ERR_CONFIG, "line %zu: %s", pairs->line, what);
}

static void open_pair(text_pairs *pairs, const char *name, size_t n)
{
    if (pairs->n == MAX_PAIRS)
        fail_at(pairs, "more than 4096 settings; there can be 4096 settings at most");
    if (pairs->status == PLUCK_OK)
        pairs->status = plk_grow(pairs->allocator, &pairs->items, &pairs->capacity, pairs->n + 1,
                                 sizeof *pairs->items, pairs->err);
    if (pairs->status == PLUCK_OK)
        pairs->items[pairs->n++] = (text_pair){
            .name = name, .name_length = n, .line = pairs->line, .value_at = pairs->n_values};
}

/* The value of the last pair is complete. */
static void close_pair(text_pairs *pairs)
{
    if (pairs->status == PLUCK_OK)
        pairs->items[pairs->n - 1].value_length =
            pairs->n_values - pairs->items[pairs->n - 1].value_at;
}

/* The pairs as an object. Of pairs with the same name the last one counts. */
static pluck_status write_json(text_pairs *pairs, char **json)
{
    size_t size = pairs->line + 5, n = 0, line = 1;
    for (size_t i = 0; i < pairs->n; i++) {
        const text_pair *pair = &pairs->items[i];
        size += pair->name_length + pair->value_length + 8;
        for (size_t j = 0; j < i; j++)
            if (pairs->items[j].name_length == pair->name_length &&
                memcmp(pairs->items[j].name, pair->name, pair->name_length) == 0)
                pairs->items[j].is_over = true;
    }
    char *out = plk_alloc(pairs->allocator, size, 1);
    if (!out)
        return plk_fail_nomem(pairs->err, size);
    bool first = true;
    out[n++] = '{';
    for (size_t i = 0; i < pairs->n; i++) {
        const text_pair *pair = &pairs->items[i];
        if (pair->is_over)
            continue;
        for (; line < pair->line; line++)
            out[n++] = '\n';
        n += (size_t)snprintf(out + n, size - n, "%s\"%.*s\":", first ? "" : ",",
                              (int)pair->name_length, pair->name);
        memcpy(out + n, pairs->values + pair->value_at, pair->value_length);
        n += pair->value_length;
        first = false;
    }
    memcpy(out + n, "}", 2);
    *json = out;
    return PLUCK_OK;
}

static text_pairs open_pairs(const char *text, size_t n, const pluck_allocator *allocator,
                             pluck_error *err)
{
    return (text_pairs){.allocator = allocator,
                        .err = err,
                        .text = text,
                        .size = n,
                        .at = plk_mark_bytes(text, n),
                        .line = 1};
}

static int peek(const text_pairs *pairs)
{
    bool has_more = pairs->at < pairs->size && pairs->status == PLUCK_OK;
    return has_more ? (unsigned char)pairs->text[pairs->at] : -1;
}

static void step(text_pairs *pairs)
{
    pairs->line += pairs->text[pairs->at] == '\n';
    pairs->at++;
}

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_space(text_pairs *pairs, bool lines)
{
    while (is_space(peek(pairs)) || (lines && peek(pairs) == '\n'))
        step(pairs);
}

static bool is_name_byte(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* A name as it stands; its length. */
static size_t read_name(text_pairs *pairs, const char **name)
{
    *name = pairs->text + pairs->at;
    size_t start = pairs->at;
    while (is_name_byte(peek(pairs)))
        step(pairs);
    return pairs->at - start;
}

/* Whether a name is a word, whatever the case of its letters. */
static bool is_word(const char *name, size_t n, const char *word)
{
    for (size_t i = 0; i < n; i++)
        if (word[i] == '\0' || ((unsigned char)name[i] | 0x20) != (unsigned char)word[i])
            return false;
    return word[n] == '\0';
}

/* From here to the end of the line, without spaces at its end. */
static size_t rest_of_line(text_pairs *pairs, const char **start)
{
    *start = pairs->text + pairs->at;
    size_t n = 0;
    for (size_t i = 0; peek(pairs) != -1 && peek(pairs) != '\n'; i++) {
        if (!is_space(peek(pairs)))
            n = i + 1;
        step(pairs);
    }
    return n;
}

/* The value of a command of a Modelfile: in """, in ", or a line. */
static void read_modelfile_value(text_pairs *pairs)
{
    const char *start = NULL;
    skip_space(pairs, false);
    size_t left = pairs->size - pairs->at;
    const char *text = pairs->text + pairs->at;
    size_t mark = left >= 3 && memcmp(text, "\"\"\"", 3) == 0 ? 3 : peek(pairs) == '"', n = mark;
    if (mark == 0) {
        n = rest_of_line(pairs, &start);
        put_scalar(pairs, start, n);
        return;
    }
    while (n + mark <= left && (memcmp(text + n, "\"\"\"", mark) != 0 ||
                                (mark == 1 && n + 1 < left && !strchr("\r\n", text[n + 1]))))
        n++;
    if (n + mark > left) {
        fail_at(pairs, "the quoted value does not end; its closing quote is missing");
        return;
    }
    put_string(pairs, text + mark, n - mark);
    for (size_t i = 0; i < n + mark; i++)
        step(pairs);
    (void)rest_of_line(pairs, &start);
}

/* At a command. */
static void read_command(text_pairs *pairs)
{
    static const char *const commands[] = {"from",      "license", "template", "system",
                                           "adapter",   "draft",   "renderer", "parser",
                                           "parameter", "message", "requires"};
    const char *name = NULL;
    size_t n = read_name(pairs, &name);
    size_t i = 0, n_commands = sizeof commands / sizeof *commands;
    while (i < n_commands && !is_word(name, n, commands[i]))
        i++;
    if (i == n_commands) {
        fail_at(pairs, "expected a command of a Modelfile, such as FROM or PARAMETER");
        return;
    }
    name = i == 0 ? "model" : commands[i];
    n = strlen(name);
    if (strcmp(name, "parameter") == 0) {
        skip_space(pairs, false);
        n = read_name(pairs, &name);
        if (n == 0)
            fail_at(pairs, "PARAMETER needs a name and a value");
    }
    open_pair(pairs, name, n);
    read_modelfile_value(pairs);
}

/* Past lines without a setting: blank ones, comments, and in YAML marks of a document. */
static void skip_lines(text_pairs *pairs, bool yaml)
{
    const char *start = NULL;
    for (skip_space(pairs, true);; skip_space(pairs, true)) {
        const char *text = pairs->text + pairs->at;
        bool is_mark = yaml && pairs->size - pairs->at >= 3 && memcmp(text, "---", 3) == 0;
        if (pairs->status != PLUCK_OK || (peek(pairs) != '#' && !is_mark))
            return;
        (void)rest_of_line(pairs, &start);
    }
}

/* The text from its first setting on, each of which read takes. */
static pluck_status read_settings(text_pairs pairs, bool yaml, void (*read)(text_pairs *),
                                  char **json)
{
    for (skip_lines(&pairs, yaml); peek(&pairs) != -1; skip_lines(&pairs, yaml)) {
        read(&pairs);
        close_pair(&pairs);
    }
    pluck_status status = pairs.status == PLUCK_OK ? write_json(&pairs, json) : pairs.status;
    plk_free(pairs.allocator, pairs.items);
    plk_free(pairs.allocator, pairs.values);
    return status;
}

pluck_status plk_import_modelfile(const char *text, size_t n, const pluck_allocator *allocator,
                                  char **json, pluck_error *err)
{
    text_pairs pairs = open_pairs(text, n, allocator, err);
    const char *name = NULL;
    *json = NULL;
    skip_lines(&pairs, false);
    text_pairs start = pairs;
    size_t length = read_name(&pairs, &name);
    if (!is_space(peek(&pairs)) ||
        (!is_word(name, length, "from") && !is_word(name, length, "parameter") &&
         !is_word(name, length, "system") && !is_word(name, length, "template")))
        return PLUCK_OK; /* another form of text */
    return read_settings(start, false, read_command, json);
}

/* How far the line at this place is indented; SIZE_MAX for a line of spaces alone. */
static size_t indent_of(const text_pairs *pairs, size_t at)
{
    size_t n = 0;
    while (at + n < pairs->size && pairs->text[at + n] == ' ')
        n++;
    int c = at + n < pairs->size ? (unsigned char)pairs->text[at + n] : -1;
    return c == '\n' || c == '\r' ? SIZE_MAX : n;
}

static void end_line(text_pairs *pairs)
{
    const char *start = NULL;
    (void)rest_of_line(pairs, &start);
    if (peek(pairs) == '\n')
        step(pairs);
}

/* After a line break: it alone is a space, n are n - 1 breaks. */
static void fold_lines(text_pairs *pairs)
{
    size_t n_breaks = 0;
    for (; peek(pairs) == '\n' || is_space(peek(pairs)); step(pairs))
        n_breaks += peek(pairs) == '\n';
    for (size_t i = 0; i < n_breaks; i++)
        put(pairs, "\\n", 2);
    if (n_breaks == 0)
        put(pairs, " ", 1);
}

/* A text between quotes, over several lines. '' between single quotes is one of them. */
static void read_quoted(text_pairs *pairs)
{
    int quote = peek(pairs);
    step(pairs);
    put(pairs, "\"", 1);
    size_t n_kept = pairs->n_values; /* bytes that spaces before a line break do not belong to */
    for (int c = peek(pairs); c != -1; c = peek(pairs)) {
        step(pairs);
        if (c == quote && (quote == '"' || peek(pairs) != quote)) {
            put(pairs, "\"", 1);
            return;
        }
        if (c == quote)
            step(pairs);
        if (c == '\n') {
            pairs->n_values = n_kept;
            fold_lines(pairs);
        } else if (c == '\\' && quote == '"') {
            int escaped = peek(pairs);
            if (escaped <= 0 || !strchr("\"\\/bfnrtu", escaped)) {
                fail_at(pairs, "unsupported escape in a quoted value");
                return;
            }
            put(pairs, (const char[]){'\\', (char)escaped}, 2);
            step(pairs);
        } else if (c != '\r') {
            put_byte(pairs, (char)c);
        }
        if (!is_space(c))
            n_kept = pairs->n_values;
    }
    fail_at(pairs, "the quoted value does not end; its closing quote is missing");
}

/* A plain scalar ends at the end of the line, at " #", and in a list at , and ]. */
static void read_plain(text_pairs *pairs, bool in_list)
{
    const char *start = pairs->text + pairs->at;
    size_t n = 0;
    for (size_t i = 0; peek(pairs) != -1 && peek(pairs) != '\n'; i++) {
        int c = peek(pairs);
        if ((in_list && (c == ',' || c == ']')) || (c == '#' && i > 0 && is_space(start[i - 1])))
            break;
        if (!is_space(c))
            n = i + 1;
        step(pairs);
    }
    put_scalar(pairs, start, n);
}

static void read_yaml_scalar(text_pairs *pairs, bool in_list)
{
    int c = peek(pairs);
    if (c == '"' || c == '\'')
        read_quoted(pairs);
    else if (c != -1 && strchr("&*!{}[]|>%@`", c))
        fail_at(pairs, "unsupported YAML; expected a number, a word, a string or a list of these");
    else
        read_plain(pairs, in_list);
}

/* [a, b] */
static void read_flow_list(text_pairs *pairs)
{
    step(pairs);
    put(pairs, "[", 1);
    skip_space(pairs, true);
    for (bool first = true; peek(pairs) != ']' && pairs->status == PLUCK_OK; first = false) {
        if (!first)
            put(pairs, ",", 1);
        read_yaml_scalar(pairs, true);
        skip_space(pairs, true);
        if (peek(pairs) == ',')
            step(pairs);
        else if (peek(pairs) != ']')
            fail_at(pairs, "the list does not end; its ']' is missing");
        skip_space(pairs, true);
    }
    if (peek(pairs) == ']')
        step(pairs);
    put(pairs, "]", 1);
}

/* Whether the line here is an item of a list: "- a". *indent is how far it is indented. */
static bool is_item(const text_pairs *pairs, size_t *indent)
{
    *indent = indent_of(pairs, pairs->at);
    return *indent != SIZE_MAX && pairs->at + *indent < pairs->size &&
           pairs->text[pairs->at + *indent] == '-';
}

/* Lines that begin with "- ". */
static void read_block_list(text_pairs *pairs)
{
    size_t indent = 0;
    put(pairs, "[", 1);
    for (bool first = true; peek(pairs) != -1;) {
        if (is_item(pairs, &indent)) {
            pairs->at += indent + 1;
            skip_space(pairs, false);
            if (!first)
                put(pairs, ",", 1);
            read_yaml_scalar(pairs, false);
            first = false;
        } else if (indent != SIZE_MAX) {
            break;
        }
        end_line(pairs);
    }
    put(pairs, "]", 1);
}

/* | keeps line breaks, > makes spaces of them. Ends before a line that is not indented. */
static void read_block_scalar(text_pairs *pairs)
{
    bool folds = peek(pairs) == '>';
    size_t indent = SIZE_MAX;
    end_line(pairs);
    put(pairs, "\"", 1);
    bool first = true;
    while (peek(pairs) != -1) {
        size_t here = indent_of(pairs, pairs->at);
        const char *start = NULL;
        if (here == 0)
            break;
        indent = indent == SIZE_MAX ? here : indent;
        for (size_t i = 0; i < indent && peek(pairs) == ' '; i++)
            step(pairs);
        size_t n = rest_of_line(pairs, &start);
        if (!first)
            put(pairs, folds ? " " : "\\n", folds ? 1 : 2);
        for (size_t i = 0; i < n; i++)
            put_byte(pairs, start[i] == '\t' ? ' ' : start[i]);
        first = false;
        if (peek(pairs) == '\n')
            step(pairs);
    }
    put(pairs, "\"", 1);
}

static void read_yaml_value(text_pairs *pairs)
{
    size_t indent = 0;
    skip_space(pairs, false);
    int c = peek(pairs);
    if (c == '|' || c == '>') {
        read_block_scalar(pairs);
        return;
    }
    if (c == '\n' || c == '#' || c == -1) {
        end_line(pairs);
        if (is_item(pairs, &indent))
            read_block_list(pairs);
        else if (indent != SIZE_MAX && indent > 0 && pairs->at + indent < pairs->size)
            fail_at(pairs,
                    "a setting inside another setting; expected one level, as in 'top_k: 40'");
        else
            put(pairs, "null", 4);
        return;
    }
    if (c == '[')
        read_flow_list(pairs);
    else
        read_yaml_scalar(pairs, false);
    skip_space(pairs, false);
    if (peek(pairs) != '\n' && peek(pairs) != '#' && peek(pairs) != -1)
        fail_at(pairs, "nothing may follow the value");
    end_line(pairs);
}

/* name: value */
static void read_yaml_pair(text_pairs *pairs)
{
    const char *name = NULL;
    size_t n = read_name(pairs, &name);
    skip_space(pairs, false);
    if (n == 0 || peek(pairs) != ':') {
        fail_at(pairs, "expected a name and a value: 'top_k: 40'");
        return;
    }
    step(pairs);
    open_pair(pairs, name, n);
    read_yaml_value(pairs);
}

pluck_status plk_import_yaml(const char *text, size_t n, const pluck_allocator *allocator,
                             char **json, pluck_error *err)
{
    text_pairs pairs = open_pairs(text, n, allocator, err);
    const char *name = NULL;
    *json = NULL;
    skip_lines(&pairs, true);
    text_pairs start = pairs;
    size_t length = read_name(&pairs, &name);
    skip_space(&pairs, false);
    if (length == 0 || peek(&pairs) != ':')
        return PLUCK_OK; /* another form of text */
    return read_settings(start, true, read_yaml_pair, json);
}
