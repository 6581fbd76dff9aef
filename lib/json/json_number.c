/*
 * strtod and snprintf round correctly once the program's rounding mode is out of the way, but write
 * the decimal point of the program's locale. What that point is shows in snprintf's own output of
 * 0.5: it replaces '.' before strtod and becomes '.' after snprintf. localeconv() would tell too,
 * but need not be thread safe.
 */
#include "json/json_number.h"

#include "simd/fp_state.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_POINT = 15, MAX_EXPONENT = 100000 };

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

static double read_nearest(const char *text, size_t length)
{
    char copy[PLK_NUMBER_MAX_TEXT + MAX_POINT + 1];
    char probe[MAX_POINT + 2];
    const char *point = NULL;
    const char *dot = memchr(text, '.', length);
    assert(length <= PLK_NUMBER_MAX_TEXT);
    if (!dot) {
        memcpy(copy, text, length);
        copy[length] = '\0';
        return strtod(copy, NULL);
    }
    size_t n_point = find_point(probe, &point);
    size_t before = (size_t)(dot - text), after = length - before - 1;
    memcpy(copy, text, before);
    memcpy(copy + before, point, n_point);
    memcpy(copy + before + n_point, dot + 1, after);
    copy[before + n_point + after] = '\0';
    return strtod(copy, NULL);
}

double plk_number_read(const char *text, size_t length)
{
    plk_fp_state fp = plk_fp_enter_text();
    double value = read_nearest(text, length);
    plk_fp_leave(fp);
    return value;
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

/* The exponent of a number's text, kept within +-MAX_EXPONENT, and where its digits end. */
static long read_exponent(const char *text, size_t length, size_t *n_mantissa)
{
    size_t e = 0;
    while (e < length && text[e] != 'e' && text[e] != 'E')
        e++;
    *n_mantissa = e;
    if (e == length)
        return 0;
    bool negative = text[e + 1] == '-';
    long exponent = 0;
    for (size_t i = e + 1; i < length; i++) {
        if (text[i] >= '0' && text[i] <= '9' && exponent < MAX_EXPONENT)
            exponent = exponent * 10 + (text[i] - '0');
    }
    return negative ? -exponent : exponent;
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
    size_t n_mantissa = 0;
    long exponent = read_exponent(text, length, &n_mantissa);
    *negative = text[0] == '-';
    const char *dot = memchr(text, '.', n_mantissa);
    size_t n_before = dot ? (size_t)(dot - text) : n_mantissa;
    long n_whole = (long)(n_before - (*negative ? 1 : 0)) + exponent;
    uint64_t value = 0;
    bool fraction = false, overflow = false;
    long position = 0;
    for (size_t i = *negative ? 1 : 0; i < n_mantissa; i++) {
        if (text[i] == '.')
            continue;
        unsigned digit = (unsigned)(text[i] - '0');
        if (position++ < n_whole)
            overflow = overflow || !append_digit(&value, digit);
        else
            fraction = fraction || digit != 0;
    }
    for (; value != 0 && !overflow && position < n_whole; position++)
        overflow = !append_digit(&value, 0);
    *magnitude = value;
    return fraction ? PLK_WHOLE_FRACTION : overflow ? PLK_WHOLE_TOO_LARGE : PLK_WHOLE;
}
