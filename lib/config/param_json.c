/*
 * One table: {read, write, schema} a parameter type. Types made of token ids are in
 * token_json.c.
 */
#include "config/param_json.h"

#include "config/token_json.h"
#include "json/reader.h"
#include "json/write.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { RANGE_BYTES = 80, LABEL_BYTES = 48 };

bool plk_is_unbounded(double limit)
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
    if (plk_is_unbounded(limit))
        snprintf(text, PLK_NUMBER_TEXT_BYTES, limit < 0 ? "-inf" : "inf");
    else
        plk_number_write(limit, text);
}

/* "[0, 1]", "(0, inf)" */
static const char *range(const pluck_param *param, char text[RANGE_BYTES])
{
    char min[PLK_NUMBER_TEXT_BYTES], max[PLK_NUMBER_TEXT_BYTES];
    bool open_min = (param->flags & PLUCK_PARAM_MIN_OPEN) != 0 || plk_is_unbounded(param->min);
    bool open_max = (param->flags & PLUCK_PARAM_MAX_OPEN) != 0 || plk_is_unbounded(param->max);
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
    int64_t min = integer_limit(param->min), max = integer_limit(param->max);
    bool above = param->flags & PLUCK_PARAM_MIN_OPEN ? value > min : value >= min;
    bool below = param->flags & PLUCK_PARAM_MAX_OPEN ? value < max : value <= max;
    return above && below;
}

static pluck_status fail_range(const plk_param_reader *reader, const plk_json_node *node,
                               const pluck_param *param, const char *name)
{
    char quoted[PLK_QUOTE_BYTES], allowed[RANGE_BYTES];
    size_t length = 0;
    const char *text = plk_json_source(reader->json, node, &length);
    plk_quote(quoted, text, length);
    return plk_json_fail(reader->json, node, reader->err, "%s%s is outside %s", name, quoted,
                         range(param, allowed));
}

/* node is a number. */
pluck_status plk_param_read_finite(const plk_param_reader *reader, const plk_json_node *node,
                                   const pluck_param *param, const char *name, double *value)
{
    double number = plk_json_number(node);
    if (!isfinite(number)) {
        char quoted[PLK_QUOTE_BYTES];
        size_t length = 0;
        const char *text = plk_json_source(reader->json, node, &length);
        plk_quote(quoted, text, length);
        return plk_json_fail(reader->json, node, reader->err,
                             "%s%s is not a finite number: doubles end at 1.8e308", name, quoted);
    }
    if (!in_range(param, number))
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
    return plk_param_read_finite(reader, node, param, label(reader, param, name), &value->number);
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
    if (whole == PLK_WHOLE_FRACTION) {
        plk_quote(quoted, text, length);
        return plk_json_fail(reader->json, node, reader->err,
                             "%s%s is not a whole number; expected one in %s", name, quoted,
                             range(param, allowed));
    }
    if (whole == PLK_WHOLE_TOO_LARGE || magnitude > INT64_MAX)
        return fail_range(reader, node, param, name);
    int64_t integer = negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (!integer_in_range(param, integer))
        return fail_range(reader, node, param, name);
    value->integer = integer;
    return PLUCK_OK;
}

static pluck_status read_boolean(const plk_param_reader *reader, const plk_json_node *node,
                                 const pluck_param *param, plk_param_value *value)
{
    (void)param;
    if (!plk_json_is_bool(node))
        return plk_json_fail(reader->json, node, reader->err, "expected true or false, not %s",
                             plk_json_kind_name(node));
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

void plk_param_schema_limits(plk_writer *writer, const pluck_param *param)
{
    if (!plk_is_unbounded(param->min)) {
        plk_write_key(writer, param->flags & PLUCK_PARAM_MIN_OPEN ? "exclusiveMinimum" : "minimum");
        plk_write_number(writer, param->min);
    }
    if (!plk_is_unbounded(param->max)) {
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
    plk_param_schema_limits(writer, param);
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

/* Indexed by pluck_param_type. */
static const struct {
    pluck_status (*read)(const plk_param_reader *reader, const plk_json_node *node,
                         const pluck_param *param, plk_param_value *value);
    void (*write)(plk_writer *writer, const void *value);
    void (*schema)(plk_writer *writer, const pluck_param *param);
} types[] = {
    {read_number, write_number, schema_number},
    {read_integer, write_integer, schema_integer},
    {plk_read_bias_map, plk_write_bias_map, plk_schema_bias_map},
    {read_boolean, write_boolean, schema_boolean},
    {plk_read_tokens, plk_write_tokens, plk_schema_tokens},
    {plk_read_sequences, plk_write_sequences, plk_schema_sequences},
};

pluck_status plk_param_read(const plk_param_reader *reader, const plk_json_node *node,
                            const pluck_param *param, plk_param_value *value)
{
    assert((size_t)param->type < sizeof types / sizeof *types);
    return types[param->type].read(reader, node, param, value);
}

void plk_param_write(plk_writer *writer, const pluck_param *param, const void *value)
{
    types[param->type].write(writer, value);
}

void plk_param_schema(plk_writer *writer, const pluck_param *param)
{
    plk_write_open(writer, '{', PLK_LINES);
    schema_description(writer, param);
    types[param->type].schema(writer, param);
    plk_write_close(writer, '}');
}
