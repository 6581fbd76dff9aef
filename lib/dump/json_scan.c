/*
 * By recursive descent, whose recursion is bounded by MAX_DEPTH and happens only in values that are
 * skipped.
 */
#include "dump/json_text.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "json/reader.h"

enum { MAX_DEPTH = PLK_JSON_MAX_DEPTH };

pluck_status plk_json_fail_expected(const plk_json_scan *r, const char *expected)
{
    char found[24];
    if (r->at == r->end)
        (void)snprintf(found, sizeof found, "the end of the line");
    else if (*r->at >= 0x20 && *r->at < 0x7F)
        (void)snprintf(found, sizeof found, "'%c'", *r->at);
    else
        (void)snprintf(found, sizeof found, "byte 0x%02x", (unsigned)*r->at);
    if (r->number == PLK_JSON_NO_ROW)
        return plk_fail(r->err, PLUCK_ERR_FORMAT, "%s: JSON, byte %td: expected %s, found %s",
                        r->where, r->at - r->begin, expected, found);
    return plk_fail(r->err, PLUCK_ERR_FORMAT, "%s: row %llu, column %td: expected %s, found %s",
                    r->where, (unsigned long long)r->number, r->at - r->begin + 1, expected, found);
}

void plk_json_skip_space(plk_json_scan *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\r' || *r->at == '\n'))
        r->at++;
}

bool plk_json_next_is(const plk_json_scan *r, char c)
{
    return r->at < r->end && *r->at == (uint8_t)c;
}

bool plk_json_take(plk_json_scan *r, char c)
{
    plk_json_skip_space(r);
    bool found = plk_json_next_is(r, c);
    r->at += found;
    plk_json_skip_space(r);
    return found;
}

bool plk_json_take_word(plk_json_scan *r, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
        return false;
    r->at += n;
    return true;
}

/* Skips a string; *begin and *length are what is between its quotes, escapes as they are. */
pluck_status plk_json_take_string(plk_json_scan *r, const uint8_t **begin, size_t *length)
{
    if (!plk_json_next_is(r, '"'))
        return plk_json_fail_expected(r, "a string");
    *begin = ++r->at;
    while (r->at < r->end && *r->at != '"') {
        if (*r->at < 0x20)
            return plk_json_fail_expected(r, "no control character in a string");
        r->at += *r->at == '\\' && r->at + 1 < r->end ? 2 : 1;
    }
    if (r->at >= r->end) {
        r->at = r->end;
        return plk_json_fail_expected(r, "a closing quote");
    }
    *length = (size_t)(r->at - *begin);
    r->at++;
    return PLUCK_OK;
}

pluck_status plk_json_take_number(plk_json_scan *r, double *value)
{
    size_t length = 0;
    plk_number_fault fault =
        plk_number_scan((const char *)r->at, (size_t)(r->end - r->at), &length, value);
    if (fault == PLK_NUMBER_NO_DIGIT || fault == PLK_NUMBER_LEADING_ZERO)
        return plk_json_fail_expected(r, "a number");
    if (fault == PLK_NUMBER_TOO_LONG)
        return plk_json_fail_expected(r, "a number of at most 127 characters");
    r->at += length;
    if (fault == PLK_NUMBER_NO_FRACTION)
        return plk_json_fail_expected(r, "a digit after the point");
    return fault == PLK_NUMBER_VALID ? PLUCK_OK
                                     : plk_json_fail_expected(r, "a digit of the exponent");
}

pluck_status plk_json_take_value(plk_json_scan *r, float *value)
{
    double number = 0.0;
    if (plk_json_take_word(r, "null") || plk_json_take_word(r, "-Infinity")) {
        *value = -INFINITY;
    } else if (plk_json_take_word(r, "NaN")) {
        *value = NAN;
    } else if (plk_json_take_word(r, "Infinity")) {
        *value = INFINITY;
    } else {
        pluck_status status = plk_json_take_number(r, &number);
        if (status != PLUCK_OK)
            return status;
        *value = (float)number;
    }
    return PLUCK_OK;
}

static pluck_status skip_members(plk_json_scan *r, char close, unsigned depth)
{
    if (plk_json_take(r, close))
        return PLUCK_OK;
    do {
        const uint8_t *text = NULL;
        size_t length = 0;
        pluck_status status = PLUCK_OK;
        if (close == '}')
            status = plk_json_take_string(r, &text, &length);
        if (status == PLUCK_OK && close == '}' && !plk_json_take(r, ':'))
            status = plk_json_fail_expected(r, "':'");
        if (status == PLUCK_OK)
            status = plk_json_skip_value(r, depth + 1);
        if (status != PLUCK_OK)
            return status;
    } while (plk_json_take(r, ','));
    return plk_json_take(r, close)
               ? PLUCK_OK
               : plk_json_fail_expected(r, close == '}' ? "',' or '}'" : "',' or ']'");
}

pluck_status plk_json_skip_value(plk_json_scan *r, unsigned depth)
{
    const uint8_t *text = NULL;
    size_t length = 0;
    float value = 0.0f;
    if (plk_json_next_is(r, '"'))
        return plk_json_take_string(r, &text, &length);
    if (plk_json_next_is(r, '{') || plk_json_next_is(r, '[')) {
        if (depth >= MAX_DEPTH)
            return plk_json_fail_expected(r, "at most 64 levels of nesting");
        char close = *r->at++ == '{' ? '}' : ']';
        return skip_members(r, close, depth);
    }
    if (plk_json_take_word(r, "true") || plk_json_take_word(r, "false"))
        return PLUCK_OK;
    return plk_json_take_value(r, &value);
}

pluck_status plk_json_next_key(plk_json_scan *s, bool is_first, plk_json_string *key, bool *ended)
{
    *ended = plk_json_take(s, '}');
    if (*ended)
        return PLUCK_OK;
    if (!is_first && !plk_json_take(s, ','))
        return plk_json_fail_expected(s, "',' or '}'");
    pluck_status status = plk_json_take_string(s, &key->begin, &key->length);
    if (status == PLUCK_OK && !plk_json_take(s, ':'))
        status = plk_json_fail_expected(s, "':'");
    return status;
}

pluck_status plk_json_next_element(plk_json_scan *s, bool is_first, bool *ended)
{
    *ended = plk_json_take(s, ']');
    if (*ended || is_first || plk_json_take(s, ','))
        return PLUCK_OK;
    return plk_json_fail_expected(s, "',' or ']'");
}
