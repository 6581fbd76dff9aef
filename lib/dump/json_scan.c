/*
 * By recursive descent, whose recursion is bounded by PLK_JSON_MAX_DEPTH and happens only in values
 * that are skipped. As in plk_writer, whether a comma is due is one bit: when an array or object
 * closes, the one around it has an element.
 */
#include "dump/reader.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "json/json.h"

enum { MAX_ID_DIGITS = 8 };

bool plk_json_key_is(plk_json_span key, const char *expected)
{
    return key.length == strlen(expected) && memcmp(key.begin, expected, key.length) == 0;
}

bool plk_json_id(plk_json_span key, uint32_t *id)
{
    *id = 0;
    for (size_t i = 0; i < key.length; i++) {
        if (key.length > MAX_ID_DIGITS || key.begin[i] < '0' || key.begin[i] > '9')
            return false;
        *id = 10 * *id + (uint32_t)(key.begin[i] - '0');
    }
    return key.length > 0 && *id < PLUCK_MAX_VOCAB;
}

void plk_json_fail_expected(plk_json_scan *s, const char *expected)
{
    char found[24];
    if (s->status != PLUCK_OK)
        return;
    if (s->at == s->end)
        (void)snprintf(found, sizeof found, "the end of the line");
    else if (*s->at >= 0x20 && *s->at < 0x7F)
        (void)snprintf(found, sizeof found, "'%c'", *s->at);
    else
        (void)snprintf(found, sizeof found, "byte 0x%02x", (unsigned)*s->at);
    if (s->number == PLK_JSON_NO_ROW)
        s->status = plk_fail(s->err, PLUCK_ERR_FORMAT, "%s: JSON, byte %td: expected %s, found %s",
                             s->where, s->at - s->begin, expected, found);
    else
        s->status = plk_fail(s->err, PLUCK_ERR_FORMAT,
                             "%s: row %llu, column %td: expected %s, found %s", s->where,
                             (unsigned long long)s->number, s->at - s->begin + 1, expected, found);
}

void plk_json_skip_space(plk_json_scan *s)
{
    while (s->at < s->end && plk_is_space(*s->at))
        s->at++;
}

bool plk_json_next_is(const plk_json_scan *s, char c)
{
    return s->at < s->end && *s->at == (uint8_t)c;
}

bool plk_json_take(plk_json_scan *s, char c)
{
    plk_json_skip_space(s);
    bool found = plk_json_next_is(s, c);
    s->at += found;
    plk_json_skip_space(s);
    return found;
}

bool plk_json_take_word(plk_json_scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return false;
    s->at += n;
    return true;
}

plk_json_span plk_json_take_string(plk_json_scan *s)
{
    plk_json_span string = {s->at, 0};
    if (!plk_json_next_is(s, '"')) {
        plk_json_fail_expected(s, "a string");
        return string;
    }
    string.begin = ++s->at;
    while (s->at < s->end && *s->at != '"') {
        if (*s->at < 0x20) {
            plk_json_fail_expected(s, "no control character in a string");
            return string;
        }
        s->at += *s->at == '\\' && s->at + 1 < s->end ? 2 : 1;
    }
    if (s->at >= s->end) {
        s->at = s->end;
        plk_json_fail_expected(s, "a closing quote");
        return string;
    }
    string.length = (size_t)(s->at++ - string.begin);
    return string;
}

double plk_json_take_number(plk_json_scan *s)
{
    static const char *const expected[] = {
        [PLK_NUMBER_NO_DIGIT] = "a number",
        [PLK_NUMBER_LEADING_ZERO] = "a number",
        [PLK_NUMBER_NO_FRACTION] = "a digit after the point",
        [PLK_NUMBER_NO_EXPONENT] = "a digit of the exponent",
        [PLK_NUMBER_TOO_LONG] = "a number of at most 127 characters",
    };
    size_t length = 0;
    double value = 0.0;
    plk_number_fault fault =
        plk_number_scan((const char *)s->at, (size_t)(s->end - s->at), &length, &value);
    if (fault == PLK_NUMBER_VALID || fault == PLK_NUMBER_NO_FRACTION ||
        fault == PLK_NUMBER_NO_EXPONENT)
        s->at += length;
    if (fault != PLK_NUMBER_VALID)
        plk_json_fail_expected(s, expected[fault]);
    return value;
}

float plk_json_take_value(plk_json_scan *s)
{
    if (plk_json_take_word(s, "null") || plk_json_take_word(s, "-Infinity"))
        return -INFINITY;
    if (plk_json_take_word(s, "NaN"))
        return NAN;
    if (plk_json_take_word(s, "Infinity"))
        return INFINITY;
    return (float)plk_json_take_number(s);
}

bool plk_json_enter(plk_json_scan *s, char bracket)
{
    s->is_first = true;
    return plk_json_take(s, bracket);
}

/* Takes the comma before what comes next, or the end of what is open. */
static bool take_next(plk_json_scan *s, char close)
{
    bool is_first = s->is_first;
    s->is_first = false;
    if (s->status != PLUCK_OK || plk_json_take(s, close))
        return false;
    if (!is_first && !plk_json_take(s, ','))
        plk_json_fail_expected(s, close == '}' ? "',' or '}'" : "',' or ']'");
    return s->status == PLUCK_OK;
}

bool plk_json_next_element(plk_json_scan *s)
{
    return take_next(s, ']');
}

bool plk_json_next_key(plk_json_scan *s, plk_json_span *key)
{
    if (!take_next(s, '}'))
        return false;
    *key = plk_json_take_string(s);
    if (s->status == PLUCK_OK && !plk_json_take(s, ':'))
        plk_json_fail_expected(s, "':'");
    return s->status == PLUCK_OK;
}

void plk_json_skip_value(plk_json_scan *s, unsigned depth)
{
    plk_json_span key;
    bool is_object = plk_json_next_is(s, '{');
    if (plk_json_next_is(s, '"')) {
        (void)plk_json_take_string(s);
    } else if (is_object || plk_json_next_is(s, '[')) {
        if (depth >= PLK_JSON_MAX_DEPTH) {
            plk_json_fail_expected(s, "at most 64 levels of nesting");
            return;
        }
        (void)plk_json_enter(s, is_object ? '{' : '[');
        while (is_object ? plk_json_next_key(s, &key) : plk_json_next_element(s))
            plk_json_skip_value(s, depth + 1);
    } else if (!plk_json_take_word(s, "true") && !plk_json_take_word(s, "false")) {
        (void)plk_json_take_value(s);
    }
}
