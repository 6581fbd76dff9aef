/*
 * A strict reader by recursive descent, whose recursion is bounded by MAX_DEPTH and happens only in
 * values that are skipped. Numbers of up to 19 digits and small exponents, which is nearly all,
 * are exact in two operations (Clinger, "How to read floating point numbers accurately", 1990: a
 * mantissa below 2^53 and a power of ten up to 10^22 are doubles, and one multiplication or
 * division rounds once); the others go through strtod().
 */
#include "dump/json_row.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <pluck/dump.h>

#include "base/error.h"
#include "json/json_number.h"

enum { MAX_DEPTH = 64, MAX_DIGITS = 19, MAX_EXACT_POWER = 22 };

typedef struct reader {
    const uint8_t *begin, *at, *end;
    float *values;
    uint32_t n_vocab;
    const char *where;
    uint64_t number;
    pluck_error *err;
} reader;

static pluck_status fail_expected(const reader *r, const char *expected)
{
    char found[24];
    if (r->at == r->end)
        (void)snprintf(found, sizeof found, "the end of the line");
    else if (*r->at >= 0x20 && *r->at < 0x7F)
        (void)snprintf(found, sizeof found, "'%c'", *r->at);
    else
        (void)snprintf(found, sizeof found, "byte 0x%02x", (unsigned)*r->at);
    return pl_fail(r->err, PLUCK_ERR_FORMAT,
                   "%s: row %" PRIu64 ", column %td: expected %s, found %s", r->where, r->number,
                   r->at - r->begin + 1, expected, found);
}

static void skip_space(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\r' || *r->at == '\n'))
        r->at++;
}

static bool next_is(const reader *r, char c)
{
    return r->at < r->end && *r->at == (uint8_t)c;
}

static bool take(reader *r, char c)
{
    skip_space(r);
    const bool found = next_is(r, c);
    r->at += found;
    skip_space(r);
    return found;
}

static bool take_word(reader *r, const char *word)
{
    const size_t n = strlen(word);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
        return false;
    r->at += n;
    return true;
}

/* Skips a string; *begin and *length are what is between its quotes, escapes as they are. */
static pluck_status take_string(reader *r, const uint8_t **begin, size_t *length)
{
    if (!next_is(r, '"'))
        return fail_expected(r, "a string");
    *begin = ++r->at;
    while (r->at < r->end && *r->at != '"') {
        if (*r->at < 0x20)
            return fail_expected(r, "no control character in a string");
        r->at += *r->at == '\\' && r->at + 1 < r->end ? 2 : 1;
    }
    if (r->at >= r->end) {
        r->at = r->end;
        return fail_expected(r, "a closing quote");
    }
    *length = (size_t)(r->at - *begin);
    r->at++;
    return PLUCK_OK;
}

static bool is_digit(const reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

/* Digits of the mantissa; *n_dropped counts those that no longer fit. */
static unsigned take_digits(reader *r, uint64_t *mantissa, unsigned *n_used, bool *dropped)
{
    unsigned n = 0;
    for (; is_digit(r); r->at++, n++) {
        if (*mantissa == 0 && *r->at == '0')
            continue;
        if (*n_used == MAX_DIGITS) {
            *dropped = true;
            continue;
        }
        *mantissa = 10 * *mantissa + (uint64_t)(*r->at - '0');
        ++*n_used;
    }
    return n;
}

static double exact_or_long(bool is_exact, uint64_t mantissa, int power, const uint8_t *text,
                            size_t length)
{
    static const double powers[MAX_EXACT_POWER + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const bool is_small = power >= -MAX_EXACT_POWER && power <= MAX_EXACT_POWER;
    if (!is_exact || !is_small || mantissa > (uint64_t)1 << 53)
        return fabs(pl_number_read((const char *)text, length));
    const double value = (double)mantissa;
    return power < 0 ? value / powers[-power] : value * powers[power];
}

static pluck_status take_number(reader *r, double *value)
{
    const uint8_t *begin = r->at;
    const bool is_negative = next_is(r, '-');
    uint64_t mantissa = 0;
    unsigned n_used = 0, n_after = 0;
    bool dropped = false;
    int power = 0;
    r->at += is_negative;
    const bool starts_with_zero = next_is(r, '0');
    const unsigned n_before = take_digits(r, &mantissa, &n_used, &dropped);
    if (n_before == 0 || (starts_with_zero && n_before > 1)) {
        r->at = begin;
        return fail_expected(r, "a number");
    }
    if (next_is(r, '.')) {
        r->at++;
        n_after = take_digits(r, &mantissa, &n_used, &dropped);
        if (n_after == 0)
            return fail_expected(r, "a digit after the point");
    }
    if (next_is(r, 'e') || next_is(r, 'E')) {
        r->at++;
        const bool is_below = next_is(r, '-');
        r->at += is_below || next_is(r, '+');
        if (!is_digit(r))
            return fail_expected(r, "a digit of the exponent");
        for (; is_digit(r); r->at++)
            power = power < 100000 ? 10 * power + (*r->at - '0') : power;
        power = is_below ? -power : power;
    }
    const size_t length = (size_t)(r->at - begin);
    if (length > PL_NUMBER_MAX_TEXT) {
        r->at = begin;
        return fail_expected(r, "a number of at most 127 characters");
    }
    *value = exact_or_long(!dropped, mantissa, power - (int)n_after, begin, length);
    *value = is_negative ? -*value : *value;
    return PLUCK_OK;
}

static pluck_status take_value(reader *r, float *value)
{
    double number = 0.0;
    if (take_word(r, "null") || take_word(r, "-Infinity")) {
        *value = -INFINITY;
    } else if (take_word(r, "NaN")) {
        *value = NAN;
    } else if (take_word(r, "Infinity")) {
        *value = INFINITY;
    } else {
        pluck_status status = take_number(r, &number);
        if (status)
            return status;
        *value = (float)number;
    }
    return PLUCK_OK;
}

static pluck_status fail_count(const reader *r, uint32_t n)
{
    return pl_fail(r->err, PLUCK_ERR_FORMAT,
                   "%s: row %" PRIu64 " has %s%" PRIu32 " values, expected %" PRIu32, r->where,
                   r->number, n > r->n_vocab ? "more than " : "", n > r->n_vocab ? r->n_vocab : n,
                   r->n_vocab);
}

/* [v, v, ...] */
static pluck_status read_array(reader *r, pl_json_row *row)
{
    const uint32_t most = r->n_vocab ? r->n_vocab : PLUCK_MAX_VOCAB;
    uint32_t n = 0;
    if (take(r, ']'))
        return fail_expected(r, "a value for each token before the ']'");
    do {
        float value = 0.0f;
        pluck_status status = take_value(r, &value);
        if (status)
            return status;
        if (n == most)
            return r->n_vocab ? fail_count(r, n + 1) : fail_expected(r, "at most 16777216 values");
        if (r->values)
            r->values[n] = value;
        n++;
    } while (take(r, ','));
    if (!take(r, ']'))
        return fail_expected(r, "',' or ']'");
    row->n_values = n;
    return r->n_vocab && n != r->n_vocab ? fail_count(r, n) : PLUCK_OK;
}

static pluck_status parse_id(const reader *r, const uint8_t *text, size_t length, uint32_t *id)
{
    const uint32_t most = r->n_vocab ? r->n_vocab : PLUCK_MAX_VOCAB;
    uint32_t value = 0;
    bool is_id = length > 0 && length < 9;
    for (size_t i = 0; i < length && is_id; i++) {
        is_id = text[i] >= '0' && text[i] <= '9';
        value = 10 * value + (uint32_t)(text[i] - '0');
    }
    *id = value;
    if (is_id && value < most)
        return PLUCK_OK;
    return pl_fail(r->err, PLUCK_ERR_FORMAT,
                   "%s: row %" PRIu64 ": \"%.*s\" is no token: expected an id from 0 to %" PRIu32,
                   r->where, r->number, (int)(length < 32 ? length : 32), (const char *)text,
                   most - 1);
}

/* {"id": v, ...} */
static pluck_status read_map(reader *r, pl_json_row *row)
{
    row->is_sparse = true;
    for (uint32_t i = 0; r->values && i < r->n_vocab; i++)
        r->values[i] = -INFINITY;
    if (take(r, '}'))
        return fail_expected(r, "a value for some token before the '}'");
    do {
        const uint8_t *text = NULL;
        size_t length = 0;
        uint32_t id = 0;
        float value = 0.0f;
        pluck_status status = take_string(r, &text, &length);
        if (status == PLUCK_OK)
            status = parse_id(r, text, length, &id);
        if (status == PLUCK_OK && !take(r, ':'))
            status = fail_expected(r, "':'");
        if (status == PLUCK_OK)
            status = take_value(r, &value);
        if (status)
            return status;
        if (r->values && r->values[id] != -INFINITY)
            return pl_fail(r->err, PLUCK_ERR_FORMAT,
                           "%s: row %" PRIu64 ": token %" PRIu32 " is given twice", r->where,
                           r->number, id);
        if (r->values)
            r->values[id] = value;
        row->n_values++;
    } while (take(r, ','));
    return take(r, '}') ? PLUCK_OK : fail_expected(r, "',' or '}'");
}

static pluck_status read_target(reader *r, pl_json_row *row)
{
    const uint32_t most = r->n_vocab ? r->n_vocab : PLUCK_MAX_VOCAB;
    double number = 0.0;
    if (take_word(r, "null"))
        return PLUCK_OK;
    pluck_status status = take_number(r, &number);
    if (status || number < 0.0)
        return status;
    if (!(number < (double)most) || number != floor(number))
        return pl_fail(r->err, PLUCK_ERR_FORMAT,
                       "%s: row %" PRIu64 ": the target is %.10g: expected a token from 0 to "
                       "%" PRIu32 ", a negative number or null",
                       r->where, r->number, number, most - 1);
    row->target = (pluck_token)number;
    return PLUCK_OK;
}

/* depth: the containers around the value. */
static pluck_status skip_value(reader *r, unsigned depth);

static pluck_status skip_members(reader *r, char close, unsigned depth)
{
    if (take(r, close))
        return PLUCK_OK;
    do {
        const uint8_t *text = NULL;
        size_t length = 0;
        pluck_status status = PLUCK_OK;
        if (close == '}')
            status = take_string(r, &text, &length);
        if (status == PLUCK_OK && close == '}' && !take(r, ':'))
            status = fail_expected(r, "':'");
        if (status == PLUCK_OK)
            status = skip_value(r, depth + 1);
        if (status)
            return status;
    } while (take(r, ','));
    return take(r, close) ? PLUCK_OK : fail_expected(r, close == '}' ? "',' or '}'" : "',' or ']'");
}

static pluck_status skip_value(reader *r, unsigned depth)
{
    const uint8_t *text = NULL;
    size_t length = 0;
    float value = 0.0f;
    if (next_is(r, '"'))
        return take_string(r, &text, &length);
    if (next_is(r, '{') || next_is(r, '[')) {
        if (depth == MAX_DEPTH)
            return fail_expected(r, "at most 64 levels of nesting");
        const char close = *r->at++ == '{' ? '}' : ']';
        return skip_members(r, close, depth);
    }
    if (take_word(r, "true") || take_word(r, "false"))
        return PLUCK_OK;
    return take_value(r, &value);
}

static bool is_key(const uint8_t *text, size_t length, const char *key)
{
    return length == strlen(key) && memcmp(text, key, length) == 0;
}

/* One "key": value; *has_values and *has_target say what there was before. */
static pluck_status read_pair(reader *r, pl_json_row *row, bool *has_values, bool *has_target)
{
    const uint8_t *text = NULL;
    size_t length = 0;
    pluck_status status = take_string(r, &text, &length);
    if (status)
        return status;
    if (!take(r, ':'))
        return fail_expected(r, "':'");
    if (is_key(text, length, "logits") || is_key(text, length, "logprobs")) {
        if (*has_values)
            return fail_expected(r, "one of \"logits\" and \"logprobs\", once");
        *has_values = true;
        if (take(r, '['))
            return read_array(r, row);
        return take(r, '{') ? read_map(r, row) : fail_expected(r, "'[' or '{'");
    }
    if (is_key(text, length, "target")) {
        if (*has_target)
            return fail_expected(r, "one \"target\"");
        *has_target = true;
        return read_target(r, row);
    }
    return skip_value(r, 1);
}

pluck_status pl_json_row_read(const uint8_t *line, size_t length, float *values, uint32_t n_vocab,
                              const char *where, uint64_t number, pl_json_row *row,
                              pluck_error *err)
{
    reader r = {line, line, line + length, values, n_vocab, where, number, err};
    bool has_values = false, has_target = false;
    *row = (pl_json_row){.target = PLUCK_NO_TOKEN};
    if (!take(&r, '{'))
        return fail_expected(&r, "'{' and a row on one line");
    do {
        if (next_is(&r, '}') && !has_values && !has_target)
            break;
        pluck_status status = read_pair(&r, row, &has_values, &has_target);
        if (status)
            return status;
    } while (take(&r, ','));
    if (!take(&r, '}'))
        return fail_expected(&r, "',' or '}'");
    if (r.at != r.end)
        return fail_expected(&r, "the end of the line");
    if (!has_values)
        return pl_fail(err, PLUCK_ERR_FORMAT,
                       "%s: row %" PRIu64 " has neither \"logits\" nor \"logprobs\"", where,
                       number);
    return PLUCK_OK;
}
