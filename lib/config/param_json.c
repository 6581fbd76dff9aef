/*
 * One table: {read, write, schema} a parameter type. Types made of token ids are in
 * token_json.c.
 */
#include "config/param_json.h"

#include "config/token_json.h"
#include "json/json_number.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RANGE_BYTES = 80, LABEL_BYTES = 48 };

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
pluck_status pl_param_read_finite(const pl_param_reader *reader, const cJSON *node,
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
    return pl_param_read_finite(reader, node, param, label(reader, param, name), &value->number);
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

static pluck_status read_boolean(const pl_param_reader *reader, const cJSON *node,
                                 const pluck_param *param, pl_param_value *value)
{
    (void)param;
    if (!cJSON_IsBool(node))
        return pl_json_fail(reader->json, node, reader->err, "expected true or false, not %s",
                            pl_json_kind(node));
    value->boolean = cJSON_IsTrue(node) != 0;
    return PLUCK_OK;
}

static void write_number(pl_writer *writer, const void *value)
{
    pl_write_number(writer, *(const double *)value);
}

static void write_integer(pl_writer *writer, const void *value)
{
    pl_write_integer(writer, *(const int64_t *)value);
}

static void write_boolean(pl_writer *writer, const void *value)
{
    pl_write_word(writer, *(const bool *)value ? "true" : "false");
}

void pl_param_schema_limits(pl_writer *writer, const pluck_param *param)
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
    bool is_number = param->type == PLUCK_PARAM_NUMBER || param->type == PLUCK_PARAM_INTEGER;
    if (!isfinite(param->neutral) || !is_number) {
        pl_write_key_string(writer, "description", param->summary);
        return;
    }
    pl_number_write(param->neutral, neutral);
    int n = snprintf(text, sizeof text, "%s (%s: no effect)", param->summary, neutral);
    /* The summary of an own stage has any length: a whole one is better than one that is cut. */
    pl_write_key_string(writer, "description",
                        n >= 0 && (size_t)n < sizeof text ? text : param->summary);
}

static void schema_plain(pl_writer *writer, const pluck_param *param, const char *type)
{
    pl_write_key_string(writer, "type", type);
    pl_param_schema_limits(writer, param);
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

static void schema_boolean(pl_writer *writer, const pluck_param *param)
{
    pl_write_key_string(writer, "type", "boolean");
    pl_write_key_word(writer, "default", param->default_value != 0.0 ? "true" : "false");
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
    {pl_read_bias_map, pl_write_bias_map, pl_schema_bias_map},
    {read_boolean, write_boolean, schema_boolean},
    {pl_read_tokens, pl_write_tokens, pl_schema_tokens},
    {pl_read_sequences, pl_write_sequences, pl_schema_sequences},
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
