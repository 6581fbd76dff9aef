/*
 * Commas and indentation need to know only whether the innermost container has an item yet: when a
 * container closes, the one around it has one.
 *
 * snprintf and strtod round correctly once the program's rounding mode is out of the way, but write
 * the decimal point of the program's locale. What that point is shows in snprintf's own output of
 * 0.5. localeconv() would tell too, but need not be thread safe.
 */
#include "json/json.h"

#include "base/error.h"
#include "simd/fp_state.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_POINT = 15 };

static void put(plk_writer *writer, const char *text, size_t length)
{
    size_t at = writer->size_bytes;
    if (at < writer->capacity_bytes) {
        size_t room = writer->capacity_bytes - at;
        memcpy(writer->text + at, text, length < room ? length : room);
    }
    writer->size_bytes += length;
}

static void put_text(plk_writer *writer, const char *text)
{
    put(writer, text, strlen(text));
}

static void new_line(plk_writer *writer)
{
    put(writer, "\n", 1);
    for (unsigned i = 0; i < writer->depth; i++)
        put(writer, "  ", 2);
}

void plk_write_open(plk_writer *writer, char bracket, plk_layout layout)
{
    put(writer, &bracket, 1);
    writer->depth++;
    if (layout == PLK_ONE_LINE || writer->inline_depth > 0)
        writer->inline_depth++;
    writer->has_items = false;
}

void plk_write_close(plk_writer *writer, char bracket)
{
    writer->depth--;
    if (writer->inline_depth > 0)
        writer->inline_depth--;
    else if (writer->has_items)
        new_line(writer);
    put(writer, &bracket, 1);
    writer->has_items = true;
}

void plk_write_item(plk_writer *writer)
{
    bool one_line = writer->inline_depth > 0;
    if (writer->has_items)
        put_text(writer, one_line ? ", " : ",");
    if (!one_line)
        new_line(writer);
    writer->has_items = true;
}

void plk_write_key(plk_writer *writer, const char *key)
{
    plk_write_item(writer);
    plk_write_string(writer, key);
    put(writer, ": ", 2);
}

static bool needs_escape(char c)
{
    return c == '"' || c == '\\' || (unsigned char)c < 0x20 || c == 0x7F;
}

void plk_write_string(plk_writer *writer, const char *text)
{
    put(writer, "\"", 1);
    while (*text != '\0') {
        size_t plain = 0;
        while (text[plain] != '\0' && !needs_escape(text[plain]))
            plain++;
        put(writer, text, plain);
        text += plain;
        if (*text == '\0')
            break;
        char escape[8];
        if (*text == '"' || *text == '\\')
            snprintf(escape, sizeof escape, "\\%c", *text);
        else if (*text == '\n')
            snprintf(escape, sizeof escape, "\\n");
        else
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)*text);
        put_text(writer, escape);
        text++;
    }
    put(writer, "\"", 1);
}

void plk_write_number(plk_writer *writer, double value)
{
    char text[PLK_NUMBER_TEXT_BYTES];
    plk_number_write(value, text);
    put_text(writer, text);
}

void plk_write_integer(plk_writer *writer, int64_t value)
{
    char text[PLK_NUMBER_TEXT_BYTES];
    snprintf(text, sizeof text, "%lld", (long long)value);
    put_text(writer, text);
}

void plk_write_unsigned(plk_writer *writer, uint64_t value)
{
    char text[PLK_NUMBER_TEXT_BYTES];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    put_text(writer, text);
}

void plk_write_word(plk_writer *writer, const char *word)
{
    put_text(writer, word);
}

void plk_write_key_string(plk_writer *writer, const char *key, const char *text)
{
    plk_write_key(writer, key);
    plk_write_string(writer, text);
}

void plk_write_key_word(plk_writer *writer, const char *key, const char *word)
{
    plk_write_key(writer, key);
    plk_write_word(writer, word);
}

void plk_write_template(plk_writer *writer, const char *template, ...)
{
    bool starts_item = false;
    va_list arguments;
    va_start(arguments, template);
    for (const char *c = template; *c != '\0';) {
        char word[256];
        const char *string = NULL;
        size_t n = 1;
        if (*c == ',')
            starts_item = true;
        if (*c == ',' || *c == ' ' || *c == ':') {
            c++;
            continue;
        }
        if (*c == '}' || *c == ']') {
            plk_write_close(writer, *c++);
            continue;
        }
        if (*c == '%') {
            string = va_arg(arguments, const char *);
        } else if (*c == '\'') {
            n = strcspn(c + 1, "'") + 2;
            snprintf(word, sizeof word, "%.*s", (int)n - 2, c + 1);
            string = word;
        }
        if (string && c[n] == ':') {
            plk_write_key(writer, string);
            starts_item = false;
            c += n;
            continue;
        }
        if (starts_item)
            plk_write_item(writer);
        starts_item = *c == '[';
        if (string) {
            plk_write_string(writer, string);
        } else if (*c == '{' || *c == '[') {
            plk_write_open(writer, *c, c[1] == ' ' ? PLK_ONE_LINE : PLK_LINES);
        } else {
            n = strcspn(c, " ,]}");
            put(writer, c, n);
        }
        c += n;
    }
    va_end(arguments);
    if (starts_item)
        plk_write_item(writer);
}

pluck_status plk_write_end(plk_writer *writer, size_t *needed_bytes, pluck_error *err)
{
    assert(writer->depth == 0);
    put(writer, "\n", 1);
    *needed_bytes = writer->size_bytes + 1;
    if (writer->size_bytes < writer->capacity_bytes) {
        writer->text[writer->size_bytes] = '\0';
        return PLUCK_OK;
    }
    if (!writer->text)
        return PLUCK_OK;
    if (writer->capacity_bytes > 0)
        writer->text[writer->capacity_bytes - 1] = '\0';
    return plk_fail(err, PLUCK_ERR_SPACE,
                    "the text needs %zu bytes with its NUL, but capacity is %zu",
                    writer->size_bytes + 1, writer->capacity_bytes);
}

/* "0", the point, "5" */
static size_t find_point(char probe[MAX_POINT + 2], const char **point)
{
    int written = snprintf(probe, MAX_POINT + 2, "%.1f", 0.5);
    if (written < 3 || written > MAX_POINT + 1) {
        *point = ".";
        return 1;
    }
    *point = probe + 1;
    return (size_t)written - 2;
}

/* Copies a number that snprintf wrote, with the point of JSON. */
static void without_locale(const char *localized, char text[PLK_NUMBER_TEXT_BYTES])
{
    char probe[MAX_POINT + 2];
    const char *point = NULL;
    size_t n_point = find_point(probe, &point), n = 0;
    for (const char *c = localized; *c != '\0' && n + 1 < PLK_NUMBER_TEXT_BYTES;) {
        if (strncmp(c, point, n_point) == 0) {
            text[n++] = '.';
            c += n_point;
        } else {
            text[n++] = *c++;
        }
    }
    text[n] = '\0';
}

void plk_number_write(double value, char text[PLK_NUMBER_TEXT_BYTES])
{
    plk_fp_state fp = plk_fp_enter_text();
    char localized[PLK_NUMBER_TEXT_BYTES + MAX_POINT];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(localized, sizeof localized, "%.*g", digits, value);
        double back = strtod(localized, NULL);
        if (memcmp(&back, &value, sizeof back) == 0)
            break;
    }
    without_locale(localized, text);
    plk_fp_leave(fp);
}

/* m / 10^n_decimals, n_decimals <= 13. */
static void write_decimal(bool negative, uint64_t m, unsigned n_decimals, char *text)
{
    char digits[24];
    unsigned n = 0;
    while (n_decimals > 0 && m % 10 == 0) {
        m /= 10;
        n_decimals--;
    }
    for (unsigned i = 0; i < n_decimals; i++, m /= 10)
        digits[n++] = (char)('0' + m % 10);
    if (n_decimals > 0)
        digits[n++] = '.';
    do {
        digits[n++] = (char)('0' + m % 10);
        m /= 10;
    } while (m > 0);
    if (negative)
        *text++ = '-';
    while (n > 0)
        *text++ = digits[--n];
    *text = '\0';
}

/* Numbers of a usual size, without snprintf: m = value * 10^n is a whole number of 6 to 9 digits,
 * and m / 10^n, one correctly rounded division, is the double that any reader finds. */
static bool write_usual(float value, char *text)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6, 1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
    double magnitude = fabs((double)value);
    int exponent = -5;
    if (!(magnitude >= 1e-4 && magnitude < 1e8))
        return false;
    while (magnitude * 1e5 >= powers[exponent + 6])
        exponent++;
    for (int digits = 6; digits <= 9; digits++) {
        int n_decimals = digits - 1 > exponent ? digits - 1 - exponent : 0;
        double m = rint(magnitude * powers[n_decimals]);
        if ((float)(m / powers[n_decimals]) != (float)magnitude)
            continue;
        write_decimal(value < 0.0f, (uint64_t)m, (unsigned)n_decimals, text);
        return true;
    }
    return false;
}

static void write_unusual(float value, char *text)
{
    char localized[PLK_NUMBER_TEXT_BYTES + MAX_POINT];
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(localized, sizeof localized, "%.*g", digits, (double)value);
        float back = (float)strtod(localized, NULL);
        if (memcmp(&back, &value, sizeof back) == 0)
            break;
    }
    without_locale(localized, text);
}

void plk_number_write_float(float value, char text[PLK_NUMBER_TEXT_BYTES])
{
    plk_fp_state fp = plk_fp_enter_text();
    if (!write_usual(value, text))
        write_unusual(value, text);
    plk_fp_leave(fp);
}
