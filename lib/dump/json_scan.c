/*
 * A strict reader by recursive descent, whose recursion is bounded by MAX_DEPTH and happens only in
 * values that are skipped. Numbers of up to 19 digits and small exponents, which is nearly all,
 * are exact in two operations (Clinger, "How to read floating point numbers accurately", 1990: a
 * mantissa below 2^53 and a power of ten up to 10^22 are doubles, and one multiplication or
 * division rounds once); the others go through strtod().
 */
#include "dump/json_scan.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "json/json_number.h"

enum { MAX_DEPTH = 64, MAX_DIGITS = 19, MAX_EXACT_POWER = 22 };

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

static bool is_digit(const plk_json_scan *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

/* Digits of the mantissa; *n_dropped counts those that no longer fit. */
static unsigned take_digits(plk_json_scan *r, uint64_t *mantissa, unsigned *n_used, bool *dropped)
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
    bool is_small = power >= -MAX_EXACT_POWER && power <= MAX_EXACT_POWER;
    if (!is_exact || !is_small || mantissa > (uint64_t)1 << 53)
        return fabs(plk_number_read((const char *)text, length));
    double value = (double)mantissa;
    return power < 0 ? value / powers[-power] : value * powers[power];
}

pluck_status plk_json_take_number(plk_json_scan *r, double *value)
{
    const uint8_t *begin = r->at;
    bool is_negative = plk_json_next_is(r, '-');
    uint64_t mantissa = 0;
    unsigned n_used = 0, n_after = 0;
    bool dropped = false;
    int power = 0;
    r->at += is_negative;
    bool starts_with_zero = plk_json_next_is(r, '0');
    unsigned n_before = take_digits(r, &mantissa, &n_used, &dropped);
    if (n_before == 0 || (starts_with_zero && n_before > 1)) {
        r->at = begin;
        return plk_json_fail_expected(r, "a number");
    }
    if (plk_json_next_is(r, '.')) {
        r->at++;
        n_after = take_digits(r, &mantissa, &n_used, &dropped);
        if (n_after == 0)
            return plk_json_fail_expected(r, "a digit after the point");
    }
    if (plk_json_next_is(r, 'e') || plk_json_next_is(r, 'E')) {
        r->at++;
        bool is_below = plk_json_next_is(r, '-');
        r->at += is_below || plk_json_next_is(r, '+');
        if (!is_digit(r))
            return plk_json_fail_expected(r, "a digit of the exponent");
        for (; is_digit(r); r->at++)
            power = power < 100000 ? 10 * power + (*r->at - '0') : power;
        power = is_below ? -power : power;
    }
    size_t length = (size_t)(r->at - begin);
    if (length > PLK_NUMBER_MAX_TEXT) {
        r->at = begin;
        return plk_json_fail_expected(r, "a number of at most 127 characters");
    }
    *value = exact_or_long(!dropped, mantissa, power - (int)n_after, begin, length);
    *value = is_negative ? -*value : *value;
    return PLUCK_OK;
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

/* Four hexadecimal digits at at; UINT32_MAX if they are not. */
static uint32_t hex4(const uint8_t *at, const uint8_t *end)
{
    uint32_t code = 0;
    if (end - at < 4)
        return UINT32_MAX;
    for (size_t i = 0; i < 4; i++) {
        uint8_t c = at[i], lower = c | 0x20;
        if (c >= '0' && c <= '9')
            code = code << 4 | (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            code = code << 4 | (uint32_t)(lower - 'a' + 10);
        else
            return UINT32_MAX;
    }
    return code;
}

static size_t put_utf8(char *text, uint32_t code)
{
    static const uint32_t limits[] = {0x80, 0x800, 0x10000};
    static const uint32_t leads[] = {0, 0xC0, 0xE0, 0xF0};
    size_t n = 0;
    while (n < 3 && code >= limits[n])
        n++;
    for (size_t i = n; i > 0; i--, code >>= 6)
        text[i] = (char)(0x80 | (code & 0x3F));
    text[0] = (char)(leads[n] | code);
    return n + 1;
}

size_t plk_json_unescape(const uint8_t *string, size_t length, char *text)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const uint8_t *end = string + length;
    size_t n = 0;
    for (const uint8_t *c = string; c < end;) {
        if (*c != '\\' || c + 1 == end) {
            text[n++] = (char)*c++;
            continue;
        }
        uint32_t code = c[1] == 'u' ? hex4(c + 2, end) : UINT32_MAX;
        if (code == UINT32_MAX) {
            const char *known = c[1] != '\0' ? strchr(from, c[1]) : NULL;
            text[n++] = known ? to[known - from] : (char)c[1];
            c += 2;
            continue;
        }
        c += 6;
        if (code >= 0xD800 && code < 0xDC00 && end - c >= 6 && c[0] == '\\' && c[1] == 'u') {
            uint32_t low = hex4(c + 2, end);
            if (low >= 0xDC00 && low < 0xE000) {
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                c += 6;
            }
        }
        n += put_utf8(text + n, code >= 0xD800 && code < 0xE000 ? 0xFFFD : code);
    }
    return n;
}
