/*
 * A state machine over the grammar of RFC 8259. What encloses the current position is one bit per
 * level (object or array) in a 64-bit word, so depth is bounded by the word.
 *
 * Numbers of up to 19 digits with small exponents, which is nearly all, are exact in two operations
 * (Clinger, "How to read floating point numbers accurately", 1990: a mantissa up to 2^53 and a
 * power of ten up to 10^22 are doubles, and one multiplication or division rounds once). The others
 * go through strtod(), without their decimal point, because that is the locale's.
 */
#include "json/json.h"

#include "base/text.h"
#include "simd/fp_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DIGITS = 19, MAX_EXACT_POWER = 22, MAX_EXPONENT = 100000 };

typedef enum state {
    START,
    WANT_VALUE,
    WANT_VALUE_OR_END,
    WANT_KEY,
    WANT_KEY_OR_END,
    AFTER_VALUE
} state;

static bool fail_at(plk_json_reader *r, size_t at, const char *what)
{
    r->problem = (plk_json_problem){at, what};
    return false;
}

static bool fail(plk_json_reader *r, const char *what)
{
    return fail_at(r, r->at, what);
}

/* The byte at the current position; 0 at the end, which no part of the grammar accepts. */
static unsigned char peek(const plk_json_reader *r)
{
    return r->at < r->size_bytes ? (unsigned char)r->text[r->at] : 0;
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(plk_json_reader *r)
{
    while (r->at < r->size_bytes) {
        char c = r->text[r->at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return;
        r->at++;
    }
}

static size_t character_length(const plk_json_reader *r)
{
    uint32_t unused = 0;
    return plk_utf8_decode(r->text + r->at, r->size_bytes - r->at, &unused);
}

/* The value of four hexadecimal digits; UINT32_MAX if they are not. */
static uint32_t hex4(const char *digits, size_t size_bytes)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        unsigned char c = i < size_bytes ? (unsigned char)digits[i] : 0, small = c | 0x20;
        if (is_digit(c))
            value = value << 4 | (uint32_t)(c - '0');
        else if (small >= 'a' && small <= 'f')
            value = value << 4 | (uint32_t)(small - 'a' + 10);
        else
            return UINT32_MAX;
    }
    return value;
}

static bool is_high_surrogate(uint32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(uint32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* The second half of a surrogate pair, "\uDC00", at the start of a text; UINT32_MAX if it is not
 * there. */
static uint32_t low_surrogate(const char *text, size_t size_bytes)
{
    uint32_t unit = size_bytes >= 6 && text[0] == '\\' && text[1] == 'u' ? hex4(text + 2, 4) : 0;
    return is_low_surrogate(unit) ? unit : UINT32_MAX;
}

/* At a backslash. */
static bool read_escape(plk_json_reader *r)
{
    const char *text = r->text + r->at;
    size_t left = r->size_bytes - r->at;
    char c = left > 1 ? text[1] : '\0';
    if (c != 'u') {
        if (c == '\0' || !strchr("\"\\/bfnrt", c))
            return fail(r, "unknown escape in a string; \\\\ is a backslash");
        r->at += 2;
        return true;
    }
    uint32_t unit = hex4(text + 2, left - 2);
    if (unit == UINT32_MAX)
        return fail(r, "\\u needs four hexadecimal digits");
    if (unit == 0 && (r->flags & PLK_JSON_NUL) == 0)
        return fail(r, "a string cannot hold the character \\u0000");
    if (is_low_surrogate(unit))
        return fail(r, "\\u with a low surrogate that no high one precedes");
    if (is_high_surrogate(unit) && low_surrogate(text + 6, left - 6) == UINT32_MAX)
        return fail(r, "\\u with a high surrogate that no low one follows");
    r->at += is_high_surrogate(unit) ? 12 : 6;
    return true;
}

/* At the opening quote. */
static bool read_string(plk_json_reader *r)
{
    size_t start = r->at++;
    while (r->at < r->size_bytes) {
        unsigned char c = (unsigned char)r->text[r->at];
        if (c == '"') {
            r->at++;
            return true;
        }
        if (c == '\\') {
            if (!read_escape(r))
                return false;
            continue;
        }
        if (c < 0x20)
            return fail(r, "control character in a string; a line break is written \\n");
        size_t length = c < 0x80 ? 1 : character_length(r);
        if (length == 0)
            return fail(r, "invalid UTF-8");
        r->at += length;
    }
    return fail_at(r, start, "this string does not end; its closing quote is missing");
}

static bool read_number(plk_json_reader *r)
{
    size_t start = r->at, length = 0;
    plk_number_fault fault = plk_number_scan(r->text + start, r->size_bytes - start, &length, NULL);
    r->at += length;
    switch (fault) {
    case PLK_NUMBER_VALID:
        return true;
    case PLK_NUMBER_NO_DIGIT:
        return fail(r, "expected a digit after '-'");
    case PLK_NUMBER_LEADING_ZERO:
        return fail_at(r, start, "a number has no leading zeros");
    case PLK_NUMBER_NO_FRACTION:
        return fail(r, "expected a digit after the decimal point");
    case PLK_NUMBER_NO_EXPONENT:
        return fail(r, "expected a digit in the exponent");
    default:
        return fail_at(r, start, "a number may have at most 127 characters");
    }
}

static const char *bad_value(const plk_json_reader *r)
{
    if (r->at == r->size_bytes)
        return "the text ends where a value is expected";
    if (character_length(r) == 0)
        return "invalid UTF-8";
    switch (peek(r)) {
    case '\'':
        return "strings are written in double quotes";
    case '/':
        return "JSON has no comments; use \"description\"";
    case 'N':
    case 'I':
    case 'i':
        return "expected a value; JSON has no NaN and no infinity";
    case 'T':
    case 'F':
        return "expected a value; true, false and null are written in small letters";
    case '.':
    case '+':
        return "expected a value; a number starts with a digit or '-'";
    default:
        return "expected a value; text is written in double quotes";
    }
}

static bool read_word(plk_json_reader *r, const char *word)
{
    size_t length = strlen(word);
    if (r->size_bytes - r->at < length || memcmp(r->text + r->at, word, length) != 0)
        return fail(r, bad_value(r));
    r->at += length;
    return true;
}

static bool open_container(plk_json_reader *r)
{
    if (r->depth == PLK_JSON_MAX_DEPTH)
        return fail(r, "nested more than 64 levels deep");
    bool object = peek(r) == '{';
    r->objects = r->objects << 1 | object;
    r->depth++;
    r->at++;
    r->state = object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    return true;
}

static bool close_container(plk_json_reader *r, plk_json_event *event)
{
    event->kind = PLK_JSON_CLOSE;
    r->objects >>= 1;
    r->depth--;
    r->at++;
    r->state = AFTER_VALUE;
    return true;
}

static bool read_value(plk_json_reader *r, plk_json_event *event)
{
    bool may_end = r->state == WANT_VALUE_OR_END;
    r->state = AFTER_VALUE;
    switch (peek(r)) {
    case '{':
        event->kind = PLK_JSON_OBJECT;
        return open_container(r);
    case '[':
        event->kind = PLK_JSON_ARRAY;
        return open_container(r);
    case '"':
        event->kind = PLK_JSON_STRING;
        return read_string(r);
    case 't':
        event->kind = PLK_JSON_TRUE;
        return read_word(r, "true");
    case 'f':
        event->kind = PLK_JSON_FALSE;
        return read_word(r, "false");
    case 'n':
        event->kind = PLK_JSON_NULL;
        return read_word(r, "null");
    case ']':
        return may_end ? close_container(r, event) : fail(r, "expected a value");
    default:
        event->kind = PLK_JSON_NUMBER;
        return peek(r) == '-' || is_digit(peek(r)) ? read_number(r) : fail(r, bad_value(r));
    }
}

static bool read_key(plk_json_reader *r, plk_json_event *event)
{
    event->kind = PLK_JSON_KEY;
    if (peek(r) == '}' && r->state == WANT_KEY_OR_END)
        return close_container(r, event);
    if (peek(r) != '"') {
        if (r->at == r->size_bytes)
            return fail(r, "the text ends inside an object");
        return fail(r, r->state == WANT_KEY ? "expected a key in double quotes after ','"
                                            : "expected a key in double quotes or '}'");
    }
    if (!read_string(r))
        return false;
    event->length = r->at - event->at;
    skip_space(r);
    if (peek(r) != ':')
        return fail(r, "expected ':' after the key");
    r->at++;
    r->state = WANT_VALUE;
    return true;
}

/* Takes the comma after a value, or the end of what encloses it. */
static bool read_after_value(plk_json_reader *r, plk_json_event *event)
{
    bool object = (r->objects & 1) != 0;
    if (r->depth == 0) {
        event->kind = PLK_JSON_END;
        return r->at == r->size_bytes || fail(r, "unexpected text after the value");
    }
    if (peek(r) == ',') {
        r->at++;
        r->state = object ? WANT_KEY : WANT_VALUE;
        return true;
    }
    if (peek(r) == (object ? '}' : ']'))
        return close_container(r, event);
    if (r->at == r->size_bytes)
        return fail(r, object ? "the text ends inside an object" : "the text ends inside an array");
    return fail(r, object ? "expected ',' or '}'" : "expected ',' or ']'");
}

plk_json_reader plk_json_reader_init(const char *text, size_t size_bytes, unsigned flags)
{
    return (plk_json_reader){
        .text = text, .size_bytes = size_bytes, .flags = flags, .state = START};
}

bool plk_json_next(plk_json_reader *r, plk_json_event *event)
{
    if (r->state == START && r->size_bytes > PLK_JSON_MAX_BYTES)
        return fail(r, "the text is longer than 1 GiB");
    skip_space(r);
    if (r->state == START && r->at == r->size_bytes)
        return fail(r, "the text is empty");
    event->at = r->at;
    if (r->state == AFTER_VALUE) {
        if (!read_after_value(r, event))
            return false;
        event->length = r->at - event->at;
        if (r->state == AFTER_VALUE)
            return true;
        skip_space(r);
        event->at = r->at;
    }
    if (r->state == WANT_KEY || r->state == WANT_KEY_OR_END) {
        event->length = 1;
        return read_key(r, event);
    }
    if (!read_value(r, event))
        return false;
    event->length = r->at - event->at;
    return true;
}

bool plk_json_check(const char *text, size_t size_bytes, unsigned flags, plk_json_problem *problem)
{
    plk_json_reader reader = plk_json_reader_init(text, size_bytes, flags);
    plk_json_event event = {.kind = PLK_JSON_NULL};
    while (event.kind != PLK_JSON_END) {
        if (!plk_json_next(&reader, &event)) {
            *problem = reader.problem;
            return false;
        }
    }
    return true;
}

static size_t put_utf8(char *out, uint32_t code)
{
    static const uint32_t limits[] = {0x80, 0x800, 0x10000};
    static const uint32_t leads[] = {0, 0xC0, 0xE0, 0xF0};
    size_t n_more = 0;
    while (n_more < 3 && code >= limits[n_more])
        n_more++;
    for (size_t i = n_more; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(leads[n_more] | code);
    return n_more + 1;
}

size_t plk_json_unescape(const char *string, size_t length, char *out)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    const char *end = string + length;
    size_t n = 0;
    for (const char *c = string; c < end;) {
        if (*c != '\\' || c + 1 == end) {
            out[n++] = *c++;
            continue;
        }
        uint32_t code = c[1] == 'u' ? hex4(c + 2, (size_t)(end - c) - 2) : UINT32_MAX;
        if (code == UINT32_MAX) {
            const char *letter = c[1] != '\0' ? strchr(letters, c[1]) : NULL;
            out[n++] = letter ? meanings[letter - letters] : c[1];
            c += 2;
            continue;
        }
        c += 6;
        uint32_t low = is_high_surrogate(code) ? low_surrogate(c, (size_t)(end - c)) : UINT32_MAX;
        if (low != UINT32_MAX) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            c += 6;
        }
        n += put_utf8(out + n, code >= 0xD800 && code <= 0xDFFF ? 0xFFFD : code);
    }
    return n;
}

/* A number taken apart. */
typedef struct decimal {
    const char *digits; /* n_before of them, then perhaps a point and n_after */
    size_t n_before, n_after;
    int exponent;      /* within about 10 * MAX_EXPONENT */
    uint64_t mantissa; /* of all digits, if is_exact */
    unsigned n_used;
    bool is_negative, is_exact;
} decimal;

static inline const char *scan_digits(decimal *d, const char *at, const char *end)
{
    uint64_t mantissa = d->mantissa;
    while (mantissa == 0 && at < end && *at == '0')
        at++;
    const char *first = at;
    size_t room = MAX_DIGITS - d->n_used;
    const char *limit = (size_t)(end - at) < room ? end : at + room;
    for (; at < limit && is_digit((unsigned char)*at); at++)
        mantissa = 10 * mantissa + (uint64_t)(*at - '0');
    d->n_used += (unsigned)(at - first);
    for (; at < end && is_digit((unsigned char)*at); at++)
        d->is_exact = false;
    d->mantissa = mantissa;
    return at;
}

/* at is behind the 'e'; returns where the exponent ends, at itself if it has no digit. */
static const char *scan_exponent(decimal *d, const char *at, const char *end)
{
    bool is_negative = at < end && *at == '-';
    at += is_negative || (at < end && *at == '+');
    for (; at < end && is_digit((unsigned char)*at); at++)
        d->exponent = d->exponent < MAX_EXPONENT ? 10 * d->exponent + (*at - '0') : d->exponent;
    d->exponent = is_negative ? -d->exponent : d->exponent;
    return at;
}

/* Takes apart what is at the start of a text, also what only looks like a number: then *length is
 * where the first fault shows. */
static inline plk_number_fault scan(decimal *d, const char *text, size_t size_bytes, size_t *length)
{
    const char *end = text + size_bytes, *at = text;
    plk_number_fault fault = PLK_NUMBER_VALID;
    *d = (decimal){.is_negative = at < end && *at == '-', .is_exact = true};
    d->digits = at += d->is_negative;
    at = scan_digits(d, at, end);
    d->n_before = (size_t)(at - d->digits);
    *length = (size_t)(at - text);
    if (d->n_before == 0)
        fault = PLK_NUMBER_NO_DIGIT;
    else if (d->n_before > 1 && *d->digits == '0')
        fault = PLK_NUMBER_LEADING_ZERO;
    if (at < end && *at == '.') {
        const char *first = ++at;
        at = scan_digits(d, at, end);
        d->n_after = (size_t)(at - first);
        *length = fault == PLK_NUMBER_VALID ? (size_t)(at - text) : *length;
        if (d->n_after == 0 && fault == PLK_NUMBER_VALID)
            fault = PLK_NUMBER_NO_FRACTION;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at = scan_exponent(d, at + 1, end);
        *length = fault == PLK_NUMBER_VALID ? (size_t)(at - text) : *length;
        if (!is_digit((unsigned char)at[-1]) && fault == PLK_NUMBER_VALID)
            fault = PLK_NUMBER_NO_EXPONENT;
    }
    return fault == PLK_NUMBER_VALID && *length > PLK_NUMBER_MAX_TEXT ? PLK_NUMBER_TOO_LONG : fault;
}

/* The magnitude of any number, digits and exponent without a point. */
static double read_nearest(const decimal *d)
{
    char copy[PLK_NUMBER_MAX_TEXT + 16];
    memcpy(copy, d->digits, d->n_before);
    if (d->n_after > 0)
        memcpy(copy + d->n_before, d->digits + d->n_before + 1, d->n_after);
    (void)snprintf(copy + d->n_before + d->n_after, 16, "e%d", d->exponent - (int)d->n_after);
    plk_fp_state fp = plk_fp_enter_text();
    double value = strtod(copy, NULL);
    plk_fp_leave(fp);
    return value;
}

static inline double value_of(const decimal *d)
{
    static const double powers[MAX_EXACT_POWER + 1] = {
        1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    int power = d->exponent - (int)d->n_after;
    double value = (double)d->mantissa;
    if (!d->is_exact || d->mantissa > (uint64_t)1 << 53 || power < -MAX_EXACT_POWER ||
        power > MAX_EXACT_POWER)
        value = read_nearest(d);
    else
        value = power < 0 ? value / powers[-power] : value * powers[power];
    return d->is_negative ? -value : value;
}

plk_number_fault plk_number_scan(const char *text, size_t size_bytes, size_t *length, double *value)
{
    decimal d;
    plk_number_fault fault = scan(&d, text, size_bytes, length);
    if (fault == PLK_NUMBER_VALID && value)
        *value = value_of(&d);
    return fault;
}

double plk_number_read(const char *text, size_t length)
{
    decimal d;
    assert(length <= PLK_NUMBER_MAX_TEXT);
    (void)scan(&d, text, length, &length);
    plk_fp_state fp = plk_fp_enter_text();
    double value = value_of(&d);
    plk_fp_leave(fp);
    return value;
}

static bool append_digit(uint64_t *value, unsigned digit)
{
    if (*value > (UINT64_MAX - digit) / 10)
        return false;
    *value = *value * 10 + digit;
    return true;
}

/* The digits d1 d2 … of the mantissa with the decimal point after digit number n_whole: whole when
 * every digit after it is 0. */
plk_whole plk_number_whole(const char *text, size_t length, bool *negative, uint64_t *magnitude)
{
    decimal d;
    (void)scan(&d, text, length, &length);
    long n_whole = (long)d.n_before + d.exponent, position = 0;
    uint64_t value = 0;
    bool fraction = false, overflow = false;
    for (size_t i = 0; i < d.n_before + d.n_after; i++) {
        unsigned digit = (unsigned)(d.digits[i < d.n_before ? i : i + 1] - '0');
        if (position++ < n_whole)
            overflow = overflow || !append_digit(&value, digit);
        else
            fraction = fraction || digit != 0;
    }
    for (; value != 0 && !overflow && position < n_whole; position++)
        overflow = !append_digit(&value, 0);
    *negative = d.is_negative;
    *magnitude = value;
    return fraction ? PLK_WHOLE_FRACTION : overflow ? PLK_WHOLE_TOO_LARGE : PLK_WHOLE;
}
