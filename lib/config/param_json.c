/*
 * One table: {read, write, schema} per parameter type. A bias map or a set of tokens is read into
 * an array of the size that the text has, sorted by token, and then checked for a token that occurs
 * twice. Sequences lie one after another in one array.
 */
#include "config/config_impl.h"

#include "base/alloc.h"
#include "json/json.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { RANGE_BYTES = 80, LABEL_BYTES = 48, MAX_TOKEN_DIGITS = 8 };

static bool is_unbounded(double limit)
{
    return !(fabs(limit) < DBL_MAX);
}

/* "p = ", or "" where the path already ends in the parameter's name. */
static const char *label(const plk_param_reader *reader, const pluck_param *param,
                         char text[LABEL_BYTES])
{
    text[0] = '\0';
    if (reader->name_value)
        snprintf(text, LABEL_BYTES, "%.40s = ", param->name);
    return text;
}

static void write_limit(double limit, char text[PLK_NUMBER_TEXT_BYTES])
{
    if (is_unbounded(limit))
        snprintf(text, PLK_NUMBER_TEXT_BYTES, limit < 0 ? "-inf" : "inf");
    else
        plk_number_write(limit, text);
}

/* "[0, 1]", "(0, inf)" */
static const char *range(const pluck_param *param, char text[RANGE_BYTES])
{
    char min[PLK_NUMBER_TEXT_BYTES], max[PLK_NUMBER_TEXT_BYTES];
    bool open_min = (param->flags & PLUCK_PARAM_MIN_OPEN) != 0 || is_unbounded(param->min);
    bool open_max = (param->flags & PLUCK_PARAM_MAX_OPEN) != 0 || is_unbounded(param->max);
    write_limit(param->min, min);
    write_limit(param->max, max);
    snprintf(text, RANGE_BYTES, "%c%s, %s%c", open_min ? '(' : '[', min, max, open_max ? ')' : ']');
    return text;
}

static int64_t integer_limit(double limit)
{
    if (limit <= -0x1p63)
        return INT64_MIN;
    return limit >= 0x1p63 ? INT64_MAX : (int64_t)limit;
}

static pluck_status fail_range(const plk_param_reader *reader, const plk_json_node *node,
                               const pluck_param *param, const char *name)
{
    char quoted[PLK_QUOTE_BYTES], allowed[RANGE_BYTES];
    return plk_json_fail(reader->json, node, reader->err, "%s%s is outside %s", name,
                         plk_json_quote(quoted, reader->json, node), range(param, allowed));
}

/* node is a number. */
static pluck_status read_finite(const plk_param_reader *reader, const plk_json_node *node,
                                const pluck_param *param, const char *name, double *value)
{
    double number = plk_json_number(node);
    if (!isfinite(number)) {
        char quoted[PLK_QUOTE_BYTES];
        return plk_json_fail(reader->json, node, reader->err,
                             "%s%s is not a finite number: doubles end at 1.8e308", name,
                             plk_json_quote(quoted, reader->json, node));
    }
    bool above = param->flags & PLUCK_PARAM_MIN_OPEN ? number > param->min : number >= param->min;
    bool below = param->flags & PLUCK_PARAM_MAX_OPEN ? number < param->max : number <= param->max;
    if (!above || !below)
        return fail_range(reader, node, param, name);
    *value = number;
    return PLUCK_OK;
}

static pluck_status read_number(const plk_param_reader *reader, const plk_json_node *node,
                                const pluck_param *param, plk_param_value *value)
{
    char name[LABEL_BYTES], allowed[RANGE_BYTES];
    if (!plk_json_is(node, PLK_JSON_NUMBER))
        return plk_json_fail(reader->json, node, reader->err, "expected a number in %s, not %s",
                             range(param, allowed), plk_json_kind_name(node));
    return read_finite(reader, node, param, label(reader, param, name), &value->number);
}

static pluck_status read_integer(const plk_param_reader *reader, const plk_json_node *node,
                                 const pluck_param *param, plk_param_value *value)
{
    char name[LABEL_BYTES], allowed[RANGE_BYTES], quoted[PLK_QUOTE_BYTES];
    size_t length = 0;
    bool negative = false;
    uint64_t magnitude = 0;
    label(reader, param, name);
    if (!plk_json_is(node, PLK_JSON_NUMBER))
        return plk_json_fail(reader->json, node, reader->err,
                             "expected a whole number in %s, not %s", range(param, allowed),
                             plk_json_kind_name(node));
    const char *text = plk_json_source(reader->json, node, &length);
    plk_whole whole = plk_number_whole(text, length, &negative, &magnitude);
    if (whole == PLK_WHOLE_FRACTION)
        return plk_json_fail(reader->json, node, reader->err,
                             "%s%s is not a whole number; expected one in %s", name,
                             plk_quote(quoted, text, length), range(param, allowed));
    if (whole == PLK_WHOLE_TOO_LARGE || magnitude > INT64_MAX)
        return fail_range(reader, node, param, name);
    int64_t integer = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    /* Exact, where a double would round the integer. */
    int64_t min = integer_limit(param->min), max = integer_limit(param->max);
    bool above = param->flags & PLUCK_PARAM_MIN_OPEN ? integer > min : integer >= min;
    bool below = param->flags & PLUCK_PARAM_MAX_OPEN ? integer < max : integer <= max;
    if (!above || !below)
        return fail_range(reader, node, param, name);
    value->integer = integer;
    return PLUCK_OK;
}

static pluck_status read_boolean(const plk_param_reader *reader, const plk_json_node *node,
                                 const pluck_param *param, plk_param_value *value)
{
    (void)param;
    if (!plk_json_is_bool(node))
        return plk_json_fail_kind(reader->json, node, reader->err, "true or false");
    value->boolean = plk_json_is(node, PLK_JSON_TRUE) != 0;
    return PLUCK_OK;
}

static void write_number(plk_writer *writer, const void *value)
{
    plk_write_number(writer, *(const double *)value);
}

static void write_integer(plk_writer *writer, const void *value)
{
    plk_write_integer(writer, *(const int64_t *)value);
}

static void write_boolean(plk_writer *writer, const void *value)
{
    plk_write_word(writer, *(const bool *)value ? "true" : "false");
}

static void schema_limits(plk_writer *writer, const pluck_param *param)
{
    if (!is_unbounded(param->min)) {
        plk_write_key(writer, param->flags & PLUCK_PARAM_MIN_OPEN ? "exclusiveMinimum" : "minimum");
        plk_write_number(writer, param->min);
    }
    if (!is_unbounded(param->max)) {
        plk_write_key(writer, param->flags & PLUCK_PARAM_MAX_OPEN ? "exclusiveMaximum" : "maximum");
        plk_write_number(writer, param->max);
    }
}

/* "Summary (neutral: 0)" */
static void schema_description(plk_writer *writer, const pluck_param *param)
{
    char text[256], neutral[PLK_NUMBER_TEXT_BYTES];
    bool is_number = param->type == PLUCK_PARAM_NUMBER || param->type == PLUCK_PARAM_INTEGER;
    if (!isfinite(param->neutral) || !is_number) {
        plk_write_key_string(writer, "description", param->summary);
        return;
    }
    plk_number_write(param->neutral, neutral);
    int n = snprintf(text, sizeof text, "%s (%s: no effect)", param->summary, neutral);
    /* The summary of an own stage has any length: a whole one is better than one that is cut. */
    plk_write_key_string(writer, "description",
                         n >= 0 && (size_t)n < sizeof text ? text : param->summary);
}

static void schema_plain(plk_writer *writer, const pluck_param *param, const char *type)
{
    plk_write_key_string(writer, "type", type);
    schema_limits(writer, param);
    plk_write_key(writer, "default");
    plk_write_number(writer, param->default_value);
}

static void schema_number(plk_writer *writer, const pluck_param *param)
{
    schema_plain(writer, param, "number");
}

static void schema_integer(plk_writer *writer, const pluck_param *param)
{
    schema_plain(writer, param, "integer");
}

static void schema_boolean(plk_writer *writer, const pluck_param *param)
{
    plk_write_key_string(writer, "type", "boolean");
    plk_write_key_word(writer, "default", param->default_value != 0.0 ? "true" : "false");
}

static const char what_bias_is[] = "a bias is a number, or false or null to ban the token";

static pluck_status read_bias(const plk_param_reader *reader, const plk_json_node *node,
                              const pluck_param *param, double *bias)
{
    if (plk_json_is(node, PLK_JSON_FALSE) || plk_json_is(node, PLK_JSON_NULL)) {
        *bias = -(double)INFINITY;
        return PLUCK_OK;
    }
    if (!plk_json_is(node, PLK_JSON_NUMBER))
        return plk_json_fail(reader->json, node, reader->err, "%s, not %s", what_bias_is,
                             plk_json_kind_name(node));
    return read_finite(reader, node, param, "", bias);
}

static pluck_status fail_token(const plk_param_reader *reader, const plk_json_node *node,
                               const char *quoted)
{
    char what[PLK_QUOTE_BYTES + 64];
    snprintf(what, sizeof what, "%s is not a token id: a whole number in [0, %u]", quoted,
             (unsigned)(PLUCK_MAX_VOCAB - 1));
    return plk_json_key(node) ? plk_json_fail_key(reader->json, node, reader->err, "%s", what)
                              : plk_json_fail(reader->json, node, reader->err, "%s", what);
}

/* The key of a member: digits without sign or leading zero. */
static pluck_status read_token_key(const plk_param_reader *reader, const plk_json_node *node,
                                   pluck_token *token)
{
    const char *key = plk_json_key(node);
    size_t length = strlen(key);
    uint32_t value = 0;
    bool ok = length > 0 && length <= MAX_TOKEN_DIGITS && (key[0] != '0' || length == 1);
    for (size_t i = 0; ok && i < length; i++) {
        ok = key[i] >= '0' && key[i] <= '9';
        value = value * 10 + (uint32_t)(unsigned char)key[i] - '0';
    }
    if (!ok || value >= PLUCK_MAX_VOCAB) {
        char quoted[PLK_QUOTE_BYTES + 2], inner[PLK_QUOTE_BYTES];
        snprintf(quoted, sizeof quoted, "'%s'", plk_quote(inner, key, length));
        return fail_token(reader, node, quoted);
    }
    *token = (pluck_token)value;
    return PLUCK_OK;
}

static pluck_status read_token_number(const plk_param_reader *reader, const plk_json_node *node,
                                      pluck_token *token)
{
    char quoted[PLK_QUOTE_BYTES];
    size_t length = 0;
    bool negative = false;
    uint64_t value = 0;
    if (!plk_json_is(node, PLK_JSON_NUMBER))
        return fail_token(reader, node, plk_json_kind_name(node));
    const char *text = plk_json_source(reader->json, node, &length);
    if (plk_number_whole(text, length, &negative, &value) != PLK_WHOLE || (negative && value > 0) ||
        value >= PLUCK_MAX_VOCAB)
        return fail_token(reader, node, plk_quote(quoted, text, length));
    *token = (pluck_token)value;
    return PLUCK_OK;
}

static pluck_status read_bias_item(const plk_param_reader *reader, const plk_json_node *node,
                                   const pluck_param *param, pluck_bias *item)
{
    const plk_json_node *first = plk_json_child(node);
    if (plk_json_key(node)) {
        pluck_status status = read_token_key(reader, node, &item->token);
        return status == PLUCK_OK ? read_bias(reader, node, param, &item->bias) : status;
    }
    if (!plk_json_is(node, PLK_JSON_ARRAY) || !first || !plk_json_sibling(first) ||
        plk_json_sibling(plk_json_sibling(first)))
        return plk_json_fail(reader->json, node, reader->err, "expected a pair [token, bias]");
    pluck_status status = read_token_number(reader, first, &item->token);
    return status == PLUCK_OK ? read_bias(reader, plk_json_sibling(first), param, &item->bias)
                              : status;
}

bool plk_bias_before(const void *a, const void *b)
{
    return ((const pluck_bias *)a)->token < ((const pluck_bias *)b)->token;
}

static size_t count_items(const plk_json_node *array)
{
    size_t n = 0;
    for (const plk_json_node *child = plk_json_child(array); child; child = plk_json_sibling(child))
        n++;
    return n;
}

/* The second occurrence in the text of a token that an array has twice. Of biases only pairs can
 * repeat one: an object's keys are canonical, and unique already. */
static pluck_status fail_repeated(const plk_param_reader *reader, const plk_json_node *array,
                                  pluck_token token)
{
    bool seen = false;
    const plk_json_node *item = plk_json_child(array);
    for (; plk_json_sibling(item); item = plk_json_sibling(item)) {
        const plk_json_node *first = plk_json_child(item); /* of a pair */
        bool same = plk_json_number(first ? first : item) == (double)token;
        if (same && seen)
            break;
        seen = seen || same;
    }
    return plk_json_fail(reader->json, item, reader->err, "token %u is given twice",
                         (unsigned)token);
}

/* items has room for 2 * n: the second half is for sorting. */
static pluck_status read_bias_items(const plk_param_reader *reader, const plk_json_node *node,
                                    const pluck_param *param, pluck_bias *items, size_t n)
{
    size_t i = 0;
    for (const plk_json_node *child = plk_json_child(node); child;
         child = plk_json_sibling(child)) {
        pluck_status status = read_bias_item(reader, child, param, &items[i++]);
        if (status != PLUCK_OK)
            return status;
    }
    plk_sort(items, items + n, n, sizeof *items, plk_bias_before);
    for (i = 1; i < n; i++) {
        if (items[i - 1].token == items[i].token)
            return fail_repeated(reader, node, items[i].token);
    }
    return PLUCK_OK;
}

static pluck_status read_bias_map(const plk_param_reader *reader, const plk_json_node *node,
                                  const pluck_param *param, plk_param_value *value)
{
    if (!plk_json_is(node, PLK_JSON_OBJECT) && !plk_json_is(node, PLK_JSON_ARRAY))
        return plk_json_fail_kind(reader->json, node, reader->err,
                                  "an object {\"token\": bias} or an array of pairs [token, bias]");
    size_t n = count_items(node);
    if (n > PLUCK_MAX_VOCAB)
        return plk_json_fail(reader->json, node, reader->err, "%zu entries; there can be %u tokens",
                             n, (unsigned)PLUCK_MAX_VOCAB);
    pluck_bias_map map = {NULL, n};
    pluck_status status = PLUCK_OK;
    if (n > 0) {
        pluck_bias *work = plk_alloc(reader->allocator, 2 * n, sizeof *work);
        map.items = plk_alloc(reader->allocator, n, sizeof *map.items);
        status = work && map.items ? read_bias_items(reader, node, param, work, n)
                                   : plk_fail_nomem(reader->err, n * sizeof *map.items);
        if (status == PLUCK_OK)
            memcpy(map.items, work, n * sizeof *map.items);
        else
            plk_free(reader->allocator, map.items);
        plk_free(reader->allocator, work);
    }
    if (status == PLUCK_OK)
        value->bias_map = map;
    return status;
}

bool plk_token_before(const void *a, const void *b)
{
    return *(const pluck_token *)a < *(const pluck_token *)b;
}

/* items has room for 2 * n: the second half is for sorting. */
static pluck_status read_token_items(const plk_param_reader *reader, const plk_json_node *node,
                                     pluck_token *items, size_t n)
{
    size_t i = 0;
    for (const plk_json_node *child = plk_json_child(node); child;
         child = plk_json_sibling(child)) {
        pluck_status status = read_token_number(reader, child, &items[i++]);
        if (status != PLUCK_OK)
            return status;
    }
    plk_sort(items, items + n, n, sizeof *items, plk_token_before);
    for (i = 1; i < n; i++)
        if (items[i - 1] == items[i])
            return fail_repeated(reader, node, items[i]);
    return PLUCK_OK;
}

static pluck_status read_tokens(const plk_param_reader *reader, const plk_json_node *node,
                                const pluck_param *param, plk_param_value *value)
{
    (void)param;
    if (!plk_json_is(node, PLK_JSON_ARRAY))
        return plk_json_fail_kind(reader->json, node, reader->err, "an array of token ids");
    pluck_token_set set = {NULL, count_items(node)};
    pluck_status status = PLUCK_OK;
    if (set.n > 0) {
        set.items = plk_alloc(reader->allocator, 2 * set.n, sizeof *set.items);
        status = set.items ? read_token_items(reader, node, set.items, set.n)
                           : plk_fail_nomem(reader->err, 2 * set.n * sizeof *set.items);
    }
    if (status == PLUCK_OK)
        value->tokens = set;
    else
        plk_free(reader->allocator, set.items);
    return status;
}

/* Checks the shape, and counts the tokens of all sequences. */
static pluck_status count_sequences(const plk_param_reader *reader, const plk_json_node *node,
                                    size_t *n, size_t *n_tokens)
{
    *n = *n_tokens = 0;
    for (const plk_json_node *sequence = plk_json_child(node); sequence;
         sequence = plk_json_sibling(sequence)) {
        if (!plk_json_is(sequence, PLK_JSON_ARRAY))
            return plk_json_fail_kind(reader->json, sequence, reader->err,
                                      "a sequence: an array of token ids");
        if (!plk_json_child(sequence))
            return plk_json_fail(reader->json, sequence, reader->err,
                                 "a sequence has at least one token");
        *n_tokens += count_items(sequence);
        ++*n;
    }
    return PLUCK_OK;
}

static pluck_status read_sequence_items(const plk_param_reader *reader, const plk_json_node *node,
                                        pluck_sequences *sequences)
{
    size_t i = 0, at = 0;
    for (const plk_json_node *sequence = plk_json_child(node); sequence;
         sequence = plk_json_sibling(sequence)) {
        for (const plk_json_node *item = plk_json_child(sequence); item;
             item = plk_json_sibling(item)) {
            pluck_status status = read_token_number(reader, item, &sequences->tokens[at++]);
            if (status != PLUCK_OK)
                return status;
        }
        sequences->ends[i++] = at;
    }
    return PLUCK_OK;
}

static pluck_status read_sequences(const plk_param_reader *reader, const plk_json_node *node,
                                   const pluck_param *param, plk_param_value *value)
{
    (void)param;
    pluck_sequences sequences = {NULL, NULL, 0};
    size_t n_tokens = 0;
    if (!plk_json_is(node, PLK_JSON_ARRAY))
        return plk_json_fail_kind(reader->json, node, reader->err,
                                  "an array of sequences: arrays of token ids");
    pluck_status status = count_sequences(reader, node, &sequences.n, &n_tokens);
    if (status != PLUCK_OK || sequences.n == 0) {
        value->sequences = (pluck_sequences){NULL, NULL, 0};
        return status;
    }
    sequences.tokens = plk_alloc(reader->allocator, n_tokens, sizeof *sequences.tokens);
    sequences.ends = plk_alloc(reader->allocator, sequences.n, sizeof *sequences.ends);
    status = sequences.tokens && sequences.ends
                 ? read_sequence_items(reader, node, &sequences)
                 : plk_fail_nomem(reader->err, n_tokens * sizeof *sequences.tokens);
    if (status == PLUCK_OK) {
        value->sequences = sequences;
    } else {
        plk_free(reader->allocator, sequences.tokens);
        plk_free(reader->allocator, sequences.ends);
    }
    return status;
}

static void write_bias_map(plk_writer *writer, const void *value)
{
    const pluck_bias_map *map = value;
    plk_write_open(writer, '{', PLK_LINES);
    for (size_t i = 0; i < map->n; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", (unsigned)map->items[i].token);
        plk_write_key(writer, key);
        if (isinf(map->items[i].bias))
            plk_write_word(writer, "false");
        else
            plk_write_number(writer, map->items[i].bias);
    }
    plk_write_close(writer, '}');
}

static void write_token_array(plk_writer *writer, const pluck_token *tokens, size_t n)
{
    plk_write_open(writer, '[', PLK_ONE_LINE);
    for (size_t i = 0; i < n; i++) {
        plk_write_item(writer);
        plk_write_integer(writer, tokens[i]);
    }
    plk_write_close(writer, ']');
}

static void write_tokens(plk_writer *writer, const void *value)
{
    const pluck_token_set *set = value;
    write_token_array(writer, set->items, set->n);
}

static void write_sequences(plk_writer *writer, const void *value)
{
    const pluck_sequences *sequences = value;
    plk_write_open(writer, '[', PLK_ONE_LINE);
    for (size_t i = 0, start = 0; i < sequences->n; start = sequences->ends[i++]) {
        plk_write_item(writer);
        write_token_array(writer, sequences->tokens + start, sequences->ends[i] - start);
    }
    plk_write_close(writer, ']');
}

static void schema_bias(plk_writer *writer, const pluck_param *param)
{
    plk_write_template(writer, "{ 'anyOf': [ { 'type': 'number'");
    schema_limits(writer, param);
    plk_write_template(writer, "}, { 'const': false }, { 'type': 'null' } ] }");
}

_Static_assert(PLUCK_MAX_VOCAB - 1 == 16777215, "the largest token in schemas");
#define TOKEN "{ 'type': 'integer', 'minimum': 0, 'maximum': 16777215 }"

static void schema_bias_map(plk_writer *writer, const pluck_param *param)
{
    plk_write_template(writer, "'type': [ 'object', 'array' ], "
                               "'patternProperties': {'^(0|[1-9][0-9]{0,7})$': ");
    schema_bias(writer, param);
    plk_write_template(writer, "}, 'additionalProperties': false, "
                               "'items': {'type': 'array', 'prefixItems': [" TOKEN ", ");
    schema_bias(writer, param);
    plk_write_template(writer, "], 'minItems': 2, 'maxItems': 2}");
}

static void schema_tokens(plk_writer *writer, const pluck_param *param)
{
    (void)param;
    plk_write_template(writer, "'type': 'array', 'items': " TOKEN ", 'uniqueItems': true");
}

static void schema_sequences(plk_writer *writer, const pluck_param *param)
{
    (void)param;
    plk_write_template(writer, "'type': 'array', "
                               "'items': {'type': 'array', 'items': " TOKEN ", 'minItems': 1}");
}

/* Indexed by pluck_param_type. */
static const struct {
    pluck_status (*read)(const plk_param_reader *reader, const plk_json_node *node,
                         const pluck_param *param, plk_param_value *value);
    void (*write)(plk_writer *writer, const void *value);
    void (*schema)(plk_writer *writer, const pluck_param *param);
} types[] = {
    {read_number, write_number, schema_number},
    {read_integer, write_integer, schema_integer},
    {read_bias_map, write_bias_map, schema_bias_map},
    {read_boolean, write_boolean, schema_boolean},
    {read_tokens, write_tokens, schema_tokens},
    {read_sequences, write_sequences, schema_sequences},
};

pluck_status plk_param_read(const plk_param_reader *reader, const plk_json_node *node,
                            const pluck_param *param, plk_param_value *value)
{
    assert((size_t)param->type < sizeof types / sizeof *types);
    return types[param->type].read(reader, node, param, value);
}

void plk_value_write(plk_writer *writer, pluck_param_type type, const void *value)
{
    types[type].write(writer, value);
}

void plk_param_schema(plk_writer *writer, const pluck_param *param)
{
    plk_write_open(writer, '{', PLK_LINES);
    schema_description(writer, param);
    types[param->type].schema(writer, param);
    plk_write_close(writer, '}');
}
