/* Nothing here reads beyond a span whatever it holds. */
#include "json_span.h"
#include "options.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static json_span skip_space(json_span s)
{
    while (s.n > 0 && is_space(*s.text)) {
        s.text++;
        s.n--;
    }
    return s;
}

static json_span drop(json_span s, size_t n)
{
    n = n < s.n ? n : s.n;
    return (json_span){s.text + n, s.n - n};
}

/* The length of the string at the start of s, quotes included. */
static size_t string_length(json_span s)
{
    size_t i = 1;
    while (i < s.n && s.text[i] != '"')
        i += s.text[i] == '\\' ? 2 : 1;
    return i + 1 < s.n ? i + 1 : s.n;
}

/* The length of the value at the start of s. */
static size_t value_length(json_span s)
{
    size_t i = 0, depth = 0;
    while (i < s.n) {
        char c = s.text[i];
        if (c == '"') {
            i += string_length(drop(s, i));
        } else {
            if (depth == 0 && i > 0 && (c == ',' || c == ']' || c == '}' || is_space(c)))
                return i;
            depth += c == '[' || c == '{';
            depth -= depth > 0 && (c == ']' || c == '}');
            i++;
        }
        if (depth == 0 && (c == '"' || c == ']' || c == '}'))
            return i;
    }
    return s.n;
}

/* Takes the value at the start of *s, and the comma after it. */
static json_span take_value(json_span *s)
{
    *s = skip_space(*s);
    json_span value = {s->text, value_length(*s)};
    *s = skip_space(drop(*s, value.n));
    if (s->n > 0 && *s->text == ',')
        *s = drop(*s, 1);
    return value;
}

/* Whether there is another element before the closing bracket. */
static bool has_more(json_span *s, char closing)
{
    *s = skip_space(*s);
    return s->n > 0 && *s->text != closing;
}

json_lookup json_member(json_span object, const char *name, json_span *value)
{
    json_lookup found = JSON_MISSING;
    json_span rest = skip_space(object);
    if (rest.n == 0 || *rest.text != '{')
        return JSON_MISSING;
    rest = drop(rest, 1);
    while (has_more(&rest, '}')) {
        json_span key = {rest.text, string_length(rest)};
        rest = skip_space(drop(rest, key.n));
        rest = drop(rest, 1); /* the colon */
        json_span one = take_value(&rest);
        if (!json_is(key, name))
            continue;
        if (found == JSON_FOUND)
            return JSON_TWICE;
        found = JSON_FOUND;
        *value = one;
    }
    return found;
}

bool json_array(json_span value, json_span *rest)
{
    if (value.n == 0 || *value.text != '[')
        return false;
    *rest = drop(value, 1);
    return true;
}

bool json_next(json_span *rest, json_span *element)
{
    if (!has_more(rest, ']'))
        return false;
    *element = take_value(rest);
    return true;
}

/* A copy with a NUL; false if it is too long for a number. */
static bool copy_number(json_span value, char *text, size_t capacity)
{
    if (value.n == 0 || value.n >= capacity)
        return false;
    memcpy(text, value.text, value.n);
    text[value.n] = '\0';
    return true;
}

bool json_count(json_span value, uint64_t max, uint64_t *count)
{
    char text[32];
    return copy_number(value, text, sizeof text) && parse_count(text, 0, max, count);
}

bool json_double(json_span value, double *number)
{
    char text[64], *end = NULL;
    if (!copy_number(value, text, sizeof text) ||
        !(isdigit((unsigned char)text[0]) || (text[0] == '-' && isdigit((unsigned char)text[1]))))
        return false;
    *number = strtod(text, &end);
    return *end == '\0' && !strpbrk(text, "xXpP");
}

bool json_word(json_span value, uint64_t *word)
{
    enum { DIGITS = 16, START = 3 };
    if (value.n != START + DIGITS + 1 || memcmp(value.text, "\"0x", START) != 0 ||
        value.text[START + DIGITS] != '"')
        return false;
    *word = 0;
    for (size_t i = START; i < START + DIGITS; i++) {
        char c = value.text[i];
        if (!isxdigit((unsigned char)c))
            return false;
        int digit = isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
        *word = *word << 4 | (uint64_t)digit;
    }
    return true;
}

bool json_is(json_span value, const char *expected)
{
    size_t n = strlen(expected);
    return value.n == n + 2 && value.text[0] == '"' && memcmp(value.text + 1, expected, n) == 0 &&
           value.text[n + 1] == '"';
}
