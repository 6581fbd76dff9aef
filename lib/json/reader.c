/*
 * A state machine over the grammar of RFC 8259. What encloses the current position is one bit a
 * level (object or array) in a 64-bit word, so depth is bounded by the word and the pass needs no
 * memory. UTF-8 follows table 3-7 of the Unicode Standard: no overlong form, no surrogate, nothing
 * above U+10FFFF.
 */
#include "json/reader.h"

#include <stdint.h>
#include <string.h>

typedef struct scan {
    const char *text;
    size_t size_bytes;
    size_t at;
    uint64_t objects; /* bit 0: the innermost container is an object */
    unsigned depth, flags;
    plk_json_problem *problem;
} scan;

typedef enum state { WANT_VALUE, WANT_VALUE_OR_END, WANT_KEY, WANT_KEY_OR_END, AFTER_VALUE } state;

static bool fail_at(scan *s, size_t at, const char *what)
{
    *s->problem = (plk_json_problem){at, what};
    return false;
}

static bool fail(scan *s, const char *what)
{
    return fail_at(s, s->at, what);
}

/* The byte at the current position; 0 at the end, which no part of the grammar accepts. */
static unsigned char peek(const scan *s)
{
    return s->at < s->size_bytes ? (unsigned char)s->text[s->at] : 0;
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static void skip_space(scan *s)
{
    while (s->at < s->size_bytes) {
        char c = s->text[s->at];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return;
        s->at++;
    }
}

size_t plk_utf8_length(const char *text, size_t size_bytes, size_t at)
{
    const unsigned char *p = (const unsigned char *)text + at;
    size_t left = size_bytes - at;
    if (left == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    size_t length = p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : 2;
    if (p[0] < 0xC2 || p[0] > 0xF4 || left < length)
        return 0;
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (p[i] < 0x80 || p[i] > 0xBF)
            return 0;
    }
    return length;
}

/* Four hexadecimal digits at byte `at`, or -1. */
static int32_t hex4(const scan *s, size_t at)
{
    int32_t value = 0;
    for (size_t i = at; i < at + 4; i++) {
        unsigned char c = i < s->size_bytes ? (unsigned char)s->text[i] : 0;
        int32_t digit = is_digit(c)            ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* At a backslash. */
static bool check_escape(scan *s)
{
    unsigned char c = s->at + 1 < s->size_bytes ? (unsigned char)s->text[s->at + 1] : 0;
    if (c != 'u') {
        if (c == 0 || !strchr("\"\\/bfnrt", c))
            return fail(s, "unknown escape in a string; \\\\ is a backslash");
        s->at += 2;
        return true;
    }
    int32_t unit = hex4(s, s->at + 2);
    if (unit < 0)
        return fail(s, "\\u needs four hexadecimal digits");
    if (unit == 0 && !(s->flags & PLK_JSON_NUL))
        return fail(s, "a string cannot hold the character \\u0000");
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return fail(s, "\\u with a low surrogate that no high one precedes");
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        bool paired =
            s->at + 7 < s->size_bytes && s->text[s->at + 6] == '\\' && s->text[s->at + 7] == 'u';
        int32_t low = paired ? hex4(s, s->at + 8) : -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return fail(s, "\\u with a high surrogate that no low one follows");
        s->at += 6;
    }
    s->at += 6;
    return true;
}

/* At the opening quote. */
static bool check_string(scan *s)
{
    size_t start = s->at++;
    while (s->at < s->size_bytes) {
        unsigned char c = (unsigned char)s->text[s->at];
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c == '\\') {
            if (!check_escape(s))
                return false;
            continue;
        }
        if (c < 0x20)
            return fail(s, "control character in a string; a line break is written \\n");
        size_t length = plk_utf8_length(s->text, s->size_bytes, s->at);
        if (length == 0)
            return fail(s, "invalid UTF-8");
        s->at += length;
    }
    return fail_at(s, start, "this string does not end");
}

static void skip_digits(scan *s)
{
    while (is_digit(peek(s)))
        s->at++;
}

static bool check_number(scan *s)
{
    size_t start = s->at;
    if (peek(s) == '-')
        s->at++;
    if (!is_digit(peek(s)))
        return fail(s, "expected a digit after '-'");
    bool zero = peek(s) == '0';
    s->at++;
    if (zero && is_digit(peek(s)))
        return fail_at(s, start, "a number does not start with 0");
    skip_digits(s);
    if (peek(s) == '.') {
        s->at++;
        if (!is_digit(peek(s)))
            return fail(s, "expected a digit after the decimal point");
        skip_digits(s);
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-')
            s->at++;
        if (!is_digit(peek(s)))
            return fail(s, "expected a digit in the exponent");
        skip_digits(s);
    }
    if (s->at - start > PLK_JSON_MAX_NUMBER)
        return fail_at(s, start, "a number may have at most 127 characters");
    return true;
}

static const char *bad_value(const scan *s)
{
    if (s->at == s->size_bytes)
        return "the text ends where a value is expected";
    if (plk_utf8_length(s->text, s->size_bytes, s->at) == 0)
        return "invalid UTF-8";
    switch (peek(s)) {
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
        return "a number starts with a digit or '-'";
    default:
        return "expected a value; text is written in double quotes";
    }
}

static bool check_word(scan *s, const char *word)
{
    size_t length = strlen(word);
    if (s->size_bytes - s->at < length || memcmp(s->text + s->at, word, length) != 0)
        return fail(s, bad_value(s));
    s->at += length;
    return true;
}

static bool open_container(scan *s, state *next)
{
    if (s->depth == PLK_JSON_MAX_DEPTH)
        return fail(s, "nested more than 64 levels deep");
    bool object = peek(s) == '{';
    s->objects = s->objects << 1 | object;
    s->depth++;
    s->at++;
    *next = object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    return true;
}

static void close_container(scan *s, state *next)
{
    s->objects >>= 1;
    s->depth--;
    s->at++;
    *next = AFTER_VALUE;
}

static bool check_value(scan *s, state *next)
{
    bool may_end = *next == WANT_VALUE_OR_END;
    *next = AFTER_VALUE;
    switch (peek(s)) {
    case '{':
    case '[':
        return open_container(s, next);
    case '"':
        return check_string(s);
    case 't':
        return check_word(s, "true");
    case 'f':
        return check_word(s, "false");
    case 'n':
        return check_word(s, "null");
    case ']':
        if (may_end) {
            close_container(s, next);
            return true;
        }
        return fail(s, "expected a value");
    default:
        return peek(s) == '-' || is_digit(peek(s)) ? check_number(s) : fail(s, bad_value(s));
    }
}

static bool check_key(scan *s, state *next)
{
    if (peek(s) == '}' && *next == WANT_KEY_OR_END) {
        close_container(s, next);
        return true;
    }
    if (peek(s) != '"') {
        if (s->at == s->size_bytes)
            return fail(s, "the text ends inside an object");
        return fail(s, *next == WANT_KEY ? "expected a key in double quotes after ','"
                                         : "expected a key in double quotes or '}'");
    }
    if (!check_string(s))
        return false;
    skip_space(s);
    if (peek(s) != ':')
        return fail(s, "expected ':' after the key");
    s->at++;
    *next = WANT_VALUE;
    return true;
}

static bool check_after_value(scan *s, state *next)
{
    bool object = (s->objects & 1) != 0;
    if (peek(s) == ',') {
        s->at++;
        *next = object ? WANT_KEY : WANT_VALUE;
        return true;
    }
    if (peek(s) == (object ? '}' : ']')) {
        close_container(s, next);
        return true;
    }
    if (s->at == s->size_bytes)
        return fail(s, object ? "the text ends inside an object" : "the text ends inside an array");
    return fail(s, object ? "expected ',' or '}'" : "expected ',' or ']'");
}

bool plk_json_check(const char *text, size_t size_bytes, unsigned flags, plk_json_problem *problem)
{
    scan s = {.text = text, .size_bytes = size_bytes, .flags = flags, .problem = problem};
    if (size_bytes > PLK_JSON_MAX_BYTES)
        return fail(&s, "the text is longer than 1 GiB");
    state next = WANT_VALUE;
    skip_space(&s);
    if (s.at == size_bytes)
        return fail(&s, "the text is empty");
    for (;;) {
        skip_space(&s);
        bool ok = true;
        if (next == AFTER_VALUE && s.depth == 0)
            return s.at == size_bytes || fail(&s, "the value ends before this; nothing may follow");
        if (next == AFTER_VALUE)
            ok = check_after_value(&s, &next);
        else if (next == WANT_KEY || next == WANT_KEY_OR_END)
            ok = check_key(&s, &next);
        else
            ok = check_value(&s, &next);
        if (!ok)
            return false;
    }
}
