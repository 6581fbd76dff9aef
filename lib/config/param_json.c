/*
 * One table: {read, write, schema} a parameter type. A bias map is read into an array of the size
 * that the text has, sorted by token, and then checked for a token that occurs twice.
 */
#include "config/param_json.h"

#include "config/json_number.h"
#include "config/sort.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RANGE_BYTES = 80, LABEL_BYTES = 48, MAX_TOKEN_DIGITS = 8 };

static const char what_bias_is[] = "a bias is a number, or false or null to ban the token";

bool pl_is_unbounded(double limit)
{
    return !(fabs(limit) < DBL_MAX);
}

/* "p = ", or "" where the path already ends in the parameter's name. */
static const char *label(const pl_param_reader *reader, const pluck_param *param,
                         char text[LABEL_BYTES])
{
    text[0] = '\0';
    if (reader->name_value)
        snprintf(text, LABEL_BYTES, "%.40s = ", param->name);
    return text;
}

static void write_limit(double limit, char text[PL_NUMBER_TEXT_BYTES])
{
    if (pl_is_unbounded(limit))
        snprintf(text, PL_NUMBER_TEXT_BYTES, limit < 0 ? "-inf" : "inf");
    else
        pl_number_write(limit, text);
}

/* "[0, 1]", "(0, inf)" */
static const char *range(const pluck_param *param, char text[RANGE_BYTES])
{
    char min[PL_NUMBER_TEXT_BYTES], max[PL_NUMBER_TEXT_BYTES];
    bool open_min = (param->flags & PLUCK_PARAM_MIN_OPEN) != 0 || pl_is_unbounded(param->min);
    bool open_max = (param->flags & PLUCK_PARAM_MAX_OPEN) != 0 || pl_is_unbounded(param->max);
    write_limit(param->min, min);
    write_limit(param->max, max);
    snprintf(text, RANGE_BYTES, "%c%s, %s%c", open_min ? '(' : '[', min, max, open_max ? ')' : ']');
    return text;
}

static bool in_range(const pluck_param *param, double value)
{
    bool above = param->flags & PLUCK_PARAM_MIN_OPEN ? value > param->min : value >= param->min;
    bool below = param->flags & PLUCK_PARAM_MAX_OPEN ? value < param->max : value <= param->max;
    return above && below;
}

static int64_t integer_limit(double limit)
{
    if (limit <= -0x1p63)
        return INT64_MIN;
    return limit >= 0x1p63 ? INT64_MAX : (int64_t)limit;
}

/* Exact, where a double would round value. */
static bool integer_in_range(const pluck_param *param, int64_t value)
{
    const int64_t min = integer_limit(param->min), max = integer_limit(param->max);
    bool above = param->flags & PLUCK_PARAM_MIN_OPEN ? value > min : value >= min;
    bool below = param->flags & PLUCK_PARAM_MAX_OPEN ? value < max : value <= max;
    return above && below;
}

static pluck_status fail_range(const pl_param_reader *reader, const cJSON *node,
                               const pluck_param *param, const char *name)
{
    char quoted[PL_QUOTE_BYTES], allowed[RANGE_BYTES];
    size_t length = 0;
    const char *text = pl_json_number_text(reader->json, node, &length);
    pl_quote(quoted, text, length);
    return pl_json_fail(reader->json, node, reader->err, "%s%s is outside %s", name, quoted,
                        range(param, allowed));
}

/* node is a number. */
static pluck_status read_finite(const pl_param_reader *reader, const cJSON *node,
                                const pluck_param *param, const char *name, double *value)
{
    const double number = pl_json_number(reader->json, node);
    if (!isfinite(number)) {
        char quoted[PL_QUOTE_BYTES];
        size_t length = 0;
        const char *text = pl_json_number_text(reader->json, node, &length);
        pl_quote(quoted, text, length);
        return pl_json_fail(reader->json, node, reader->err,
                            "%s%s is not a finite number: doubles end at 1.8e308", name, quoted);
    }
    if (!in_range(param, number))
        return fail_range(reader, node, param, name);
    *value = number;
    return PLUCK_OK;
}

static pluck_status read_number(const pl_param_reader *reader, const cJSON *node,
                                const pluck_param *param, pl_param_value *value)
{
    char name[LABEL_BYTES], allowed[RANGE_BYTES];
    if (!cJSON_IsNumber(node))
        return pl_json_fail(reader->json, node, reader->err, "expected a number in %s, not %s",
                            range(param, allowed), pl_json_kind(node));
    return read_finite(reader, node, param, label(reader, param, name), &value->number);
}

static pluck_status read_integer(const pl_param_reader *reader, const cJSON *node,
                                 const pluck_param *param, pl_param_value *value)
{
    char name[LABEL_BYTES], allowed[RANGE_BYTES], quoted[PL_QUOTE_BYTES];
    size_t length = 0;
    bool negative = false;
    uint64_t magnitude = 0;
    label(reader, param, name);
    if (!cJSON_IsNumber(node))
        return pl_json_fail(reader->json, node, reader->err,
                            "expected a whole number in %s, not %s", range(param, allowed),
                            pl_json_kind(node));
    const char *text = pl_json_number_text(reader->json, node, &length);
    pl_whole whole = pl_number_whole(text, length, &negative, &magnitude);
    if (whole == PL_WHOLE_FRACTION) {
        pl_quote(quoted, text, length);
        return pl_json_fail(reader->json, node, reader->err,
                            "%s%s is not a whole number; expected one in %s", name, quoted,
                            range(param, allowed));
    }
    if (whole == PL_WHOLE_TOO_LARGE || magnitude > INT64_MAX)
        return fail_range(reader, node, param, name);
    int64_t integer = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (!integer_in_range(param, integer))
        return fail_range(reader, node, param, name);
    value->integer = integer;
    return PLUCK_OK;
}

static pluck_status read_bias(const pl_param_reader *reader, const cJSON *node,
                              const pluck_param *param, double *bias)
{
    if (cJSON_IsFalse(node) || cJSON_IsNull(node)) {
        *bias = -(double)INFINITY;
        return PLUCK_OK;
    }
    if (!cJSON_IsNumber(node))
        return pl_json_fail(reader->json, node, reader->err, "%s, not %s", what_bias_is,
                            pl_json_kind(node));
    return read_finite(reader, node, param, "", bias);
}

static pluck_status fail_token(const pl_param_reader *reader, const cJSON *node, const char *quoted)
{
    char what[PL_QUOTE_BYTES + 64];
    snprintf(what, sizeof what, "%s is not a token id: a whole number in [0, %" PRIu32 "]", quoted,
             PLUCK_MAX_VOCAB - 1);
    return node->string ? pl_json_fail_key(reader->json, node, reader->err, "%s", what)
                        : pl_json_fail(reader->json, node, reader->err, "%s", what);
}

/* The key of a member: digits without sign or leading zero. */
static pluck_status read_token_key(const pl_param_reader *reader, const cJSON *node,
                                   uint32_t *token)
{
    const char *key = node->string;
    size_t length = strlen(key);
    uint32_t value = 0;
    bool ok = length > 0 && length <= MAX_TOKEN_DIGITS && (key[0] != '0' || length == 1);
    for (size_t i = 0; ok && i < length; i++) {
        ok = key[i] >= '0' && key[i] <= '9';
        value = value * 10 + (uint32_t)(unsigned char)key[i] - '0';
    }
    if (!ok || value >= PLUCK_MAX_VOCAB) {
        char quoted[PL_QUOTE_BYTES + 2], inner[PL_QUOTE_BYTES];
        pl_quote(inner, key, length);
        snprintf(quoted, sizeof quoted, "'%s'", inner);
        return fail_token(reader, node, quoted);
    }
    *token = value;
    return PLUCK_OK;
}

static pluck_status read_token_number(const pl_param_reader *reader, const cJSON *node,
                                      uint32_t *token)
{
    char quoted[PL_QUOTE_BYTES];
    size_t length = 0;
    bool negative = false;
    uint64_t value = 0;
    if (!cJSON_IsNumber(node))
        return fail_token(reader, node, pl_json_kind(node));
    const char *text = pl_json_number_text(reader->json, node, &length);
    if (pl_number_whole(text, length, &negative, &value) != PL_WHOLE || (negative && value > 0) ||
        value >= PLUCK_MAX_VOCAB) {
        pl_quote(quoted, text, length);
        return fail_token(reader, node, quoted);
    }
    *token = (uint32_t)value;
    return PLUCK_OK;
}

static pluck_status read_bias_item(const pl_param_reader *reader, const cJSON *node,
                                   const pluck_param *param, pluck_bias *item)
{
    const cJSON *first = node->child;
    if (node->string) {
        pluck_status status = read_token_key(reader, node, &item->token);
        return status == PLUCK_OK ? read_bias(reader, node, param, &item->bias) : status;
    }
    if (!cJSON_IsArray(node) || !first || !first->next || first->next->next)
        return pl_json_fail(reader->json, node, reader->err, "expected a pair [token, bias]");
    pluck_status status = read_token_number(reader, first, &item->token);
    return status == PLUCK_OK ? read_bias(reader, first->next, param, &item->bias) : status;
}

static bool bias_before(const void *a, const void *b)
{
    return ((const pluck_bias *)a)->token < ((const pluck_bias *)b)->token;
}

/* Only pairs can repeat a token: an object's keys are canonical, and unique already. */
static pluck_status fail_repeated(const pl_param_reader *reader, const cJSON *node, uint32_t token)
{
    bool seen = false;
    const cJSON *pair = node->child;
    for (; pair->next; pair = pair->next) {
        bool same = pl_json_number(reader->json, pair->child) == (double)token;
        if (same && seen)
            break;
        seen = seen || same;
    }
    return pl_json_fail(reader->json, pair, reader->err, "token %" PRIu32 " is given twice", token);
}

/* items has room for twice as many: the second half is for sorting. */
static pluck_status read_bias_items(const pl_param_reader *reader, const cJSON *node,
                                    const pluck_param *param, pluck_bias *items, size_t n)
{
    size_t i = 0;
    for (const cJSON *child = node->child; child; child = child->next) {
        pluck_status status = read_bias_item(reader, child, param, &items[i++]);
        if (status != PLUCK_OK)
            return status;
    }
    pl_sort(items, items + n, n, sizeof *items, bias_before);
    for (i = 1; i < n; i++) {
        if (items[i - 1].token == items[i].token)
            return fail_repeated(reader, node, items[i].token);
    }
    return PLUCK_OK;
}

static pluck_status read_bias_map(const pl_param_reader *reader, const cJSON *node,
                                  const pluck_param *param, pl_param_value *value)
{
    if (!cJSON_IsObject(node) && !cJSON_IsArray(node))
        return pl_json_fail(reader->json, node, reader->err,
                            "expected an object {\"token\": bias} or an array of pairs "
                            "[token, bias], not %s",
                            pl_json_kind(node));
    size_t n = 0;
    for (const cJSON *child = node->child; child; child = child->next)
        n++;
    if (n > PLUCK_MAX_VOCAB)
        return pl_json_fail(reader->json, node, reader->err,
                            "%zu entries; there can be %" PRIu32 " tokens", n, PLUCK_MAX_VOCAB);
    pluck_bias_map map = {NULL, n};
    pluck_status status = PLUCK_OK;
    if (n > 0) {
        pluck_bias *work = pl_alloc(reader->allocator, 2 * n, sizeof *work);
        map.items = pl_alloc(reader->allocator, n, sizeof *map.items);
        status = work && map.items ? read_bias_items(reader, node, param, work, n)
                                   : pl_fail_nomem(reader->err, n * sizeof *map.items);
        if (status == PLUCK_OK)
            memcpy(map.items, work, n * sizeof *map.items);
        else
            pl_free(reader->allocator, map.items);
        pl_free(reader->allocator, work);
    }
    if (status == PLUCK_OK)
        value->bias_map = map;
    return status;
}

static void write_number(pl_writer *writer, const void *value)
{
    pl_write_number(writer, *(const double *)value);
}

static void write_integer(pl_writer *writer, const void *value)
{
    pl_write_integer(writer, *(const int64_t *)value);
}

static void write_bias_map(pl_writer *writer, const void *value)
{
    const pluck_bias_map *map = value;
    pl_write_open(writer, '{', PL_LINES);
    for (size_t i = 0; i < map->n; i++) {
        char key[16];
        snprintf(key, sizeof key, "%" PRIu32, map->items[i].token);
        pl_write_key(writer, key);
        if (isinf(map->items[i].bias))
            pl_write_word(writer, "false");
        else
            pl_write_number(writer, map->items[i].bias);
    }
    pl_write_close(writer, '}');
}

static void schema_limits(pl_writer *writer, const pluck_param *param)
{
    if (!pl_is_unbounded(param->min)) {
        pl_write_key(writer, param->flags & PLUCK_PARAM_MIN_OPEN ? "exclusiveMinimum" : "minimum");
        pl_write_number(writer, param->min);
    }
    if (!pl_is_unbounded(param->max)) {
        pl_write_key(writer, param->flags & PLUCK_PARAM_MAX_OPEN ? "exclusiveMaximum" : "maximum");
        pl_write_number(writer, param->max);
    }
}

/* "Summary (neutral: 0)" */
static void schema_description(pl_writer *writer, const pluck_param *param)
{
    char text[256], neutral[PL_NUMBER_TEXT_BYTES];
    if (!isfinite(param->neutral)) {
        pl_write_key_string(writer, "description", param->summary);
        return;
    }
    pl_number_write(param->neutral, neutral);
    snprintf(text, sizeof text, "%s (%s: no effect)", param->summary, neutral);
    pl_write_key_string(writer, "description", text);
}

static void schema_plain(pl_writer *writer, const pluck_param *param, const char *type)
{
    pl_write_key_string(writer, "type", type);
    schema_limits(writer, param);
    pl_write_key(writer, "default");
    pl_write_number(writer, param->default_value);
}

static void schema_number(pl_writer *writer, const pluck_param *param)
{
    schema_plain(writer, param, "number");
}

static void schema_integer(pl_writer *writer, const pluck_param *param)
{
    schema_plain(writer, param, "integer");
}

static void schema_bias(pl_writer *writer, const pluck_param *param)
{
    pl_write_open(writer, '{', PL_ONE_LINE);
    pl_write_key(writer, "anyOf");
    pl_write_open(writer, '[', PL_ONE_LINE);
    pl_write_item(writer);
    pl_write_open(writer, '{', PL_ONE_LINE);
    pl_write_key_string(writer, "type", "number");
    schema_limits(writer, param);
    pl_write_close(writer, '}');
    pl_write_item(writer);
    pl_write_open(writer, '{', PL_ONE_LINE);
    pl_write_key_word(writer, "const", "false");
    pl_write_close(writer, '}');
    pl_write_item(writer);
    pl_write_open(writer, '{', PL_ONE_LINE);
    pl_write_key_string(writer, "type", "null");
    pl_write_close(writer, '}');
    pl_write_close(writer, ']');
    pl_write_close(writer, '}');
}

static void schema_bias_map(pl_writer *writer, const pluck_param *param)
{
    pl_write_key(writer, "type");
    pl_write_open(writer, '[', PL_ONE_LINE);
    pl_write_item(writer);
    pl_write_string(writer, "object");
    pl_write_item(writer);
    pl_write_string(writer, "array");
    pl_write_close(writer, ']');
    pl_write_key(writer, "patternProperties");
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key(writer, "^(0|[1-9][0-9]{0,7})$");
    schema_bias(writer, param);
    pl_write_close(writer, '}');
    pl_write_key_word(writer, "additionalProperties", "false");
    pl_write_key(writer, "items");
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key_string(writer, "type", "array");
    pl_write_key(writer, "prefixItems");
    pl_write_open(writer, '[', PL_LINES);
    pl_write_item(writer);
    pl_write_open(writer, '{', PL_ONE_LINE);
    pl_write_key_string(writer, "type", "integer");
    pl_write_key_word(writer, "minimum", "0");
    pl_write_key(writer, "maximum");
    pl_write_unsigned(writer, PLUCK_MAX_VOCAB - 1);
    pl_write_close(writer, '}');
    pl_write_item(writer);
    schema_bias(writer, param);
    pl_write_close(writer, ']');
    pl_write_key_word(writer, "minItems", "2");
    pl_write_key_word(writer, "maxItems", "2");
    pl_write_close(writer, '}');
}

/* Indexed by pluck_param_type. */
static const struct {
    pluck_status (*read)(const pl_param_reader *reader, const cJSON *node, const pluck_param *param,
                         pl_param_value *value);
    void (*write)(pl_writer *writer, const void *value);
    void (*schema)(pl_writer *writer, const pluck_param *param);
} types[] = {
    {read_number, write_number, schema_number},
    {read_integer, write_integer, schema_integer},
    {read_bias_map, write_bias_map, schema_bias_map},
};

pluck_status pl_param_read(const pl_param_reader *reader, const cJSON *node,
                           const pluck_param *param, pl_param_value *value)
{
    assert((size_t)param->type < sizeof types / sizeof *types);
    return types[param->type].read(reader, node, param, value);
}

void pl_param_write(pl_writer *writer, const pluck_param *param, const void *value)
{
    types[param->type].write(writer, value);
}

void pl_param_schema(pl_writer *writer, const pluck_param *param)
{
    pl_write_open(writer, '{', PL_LINES);
    schema_description(writer, param);
    types[param->type].schema(writer, param);
    pl_write_close(writer, '}');
}
