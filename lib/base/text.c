/*
 * Edit distance by dynamic programming over three lines of the table (Damerau-Levenshtein with
 * adjacent transpositions, the restricted form): names are short, so the quadratic cost does not
 * matter. Strings longer than MAX_NAME are infinitely far from everything.
 */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 63, MIN_PREFIX = 3 };

/* Keys have '_' where flags have '-'. */
static char folded(char c)
{
    if (c == '-')
        return '_';
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t edit_distance(const char *a, const char *b)
{
    size_t n_a = strlen(a), n_b = strlen(b);
    if (n_a > MAX_NAME || n_b > MAX_NAME)
        return SIZE_MAX;
    size_t rows[3][MAX_NAME + 1];
    size_t *before = rows[0], *previous = rows[1], *row = rows[2];
    for (size_t j = 0; j <= n_b; j++) {
        previous[j] = j;
        before[j] = 0;
    }
    for (size_t i = 1; i <= n_a; i++) {
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t differs = folded(a[i - 1]) != folded(b[j - 1]);
            row[j] = smaller(smaller(previous[j], row[j - 1]) + 1, previous[j - 1] + differs);
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                folded(a[i - 2]) == folded(b[j - 1]))
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = previous;
        previous = row;
        row = oldest;
    }
    return previous[n_b];
}

plk_suggestion plk_suggest(const char *typed)
{
    return (plk_suggestion){typed, NULL, SIZE_MAX};
}

void plk_suggest_offer(plk_suggestion *suggestion, const char *name, const char *meaning)
{
    size_t length = strlen(suggestion->typed), allowed = strlen(name) / 3;
    size_t distance = edit_distance(suggestion->typed, name);
    if (distance > 1 && length >= MIN_PREFIX && strncmp(name, suggestion->typed, length) == 0)
        distance = 1;
    if (distance < suggestion->distance && distance <= (allowed != 0 ? allowed : 1)) {
        suggestion->distance = distance;
        suggestion->best = meaning ? meaning : name;
    }
}

void plk_suggest_write(const plk_suggestion *suggestion, char text[PLK_SUGGESTION_BYTES])
{
    text[0] = '\0';
    if (suggestion->best)
        snprintf(text, PLK_SUGGESTION_BYTES, "; did you mean '%.63s'?", suggestion->best);
}

/*
 * UTF-8 by RFC 3629, one character at a time; a table for each notation says what becomes of each
 * kind of character. The widths are the blocks that matter, not the whole of UAX 11: a wrong one
 * only shifts a column.
 */

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define ELLIPSIS    "\xe2\x80\xa6"

size_t plk_utf8_decode(const char *text, size_t n, uint32_t *code_point)
{
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char lead = (unsigned char)text[0];
    if (lead < 0x80) {
        *code_point = lead;
        return 1;
    }
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || length > n)
        return 0;
    uint32_t value = lead & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        unsigned char next = (unsigned char)text[i];
        if ((next & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (next & 0x3f);
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code_point = value;
    return length;
}

bool plk_utf8_is_cut(const char *text, size_t n)
{
    unsigned char lead = (unsigned char)text[0];
    size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || n >= length)
        return false;
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return false;
    return true;
}

bool plk_is_word(const char *text, size_t n, const char *word)
{
    size_t i = 0;
    for (; i < n && word[i] != '\0'; i++)
        if ((text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]) != word[i])
            return false;
    return i == n && word[i] == '\0';
}

bool plk_is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

size_t plk_mark_bytes(const void *text, size_t n)
{
    return n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

size_t plk_first_byte(const void *text, size_t n)
{
    size_t at = plk_mark_bytes(text, n);
    while (at < n && plk_is_space(((const uint8_t *)text)[at]))
        at++;
    return at;
}

typedef struct range {
    uint32_t first, last;
} range;

static bool is_in(const range *ranges, size_t n, uint32_t code_point)
{
    for (size_t i = 0; i < n; i++)
        if (code_point >= ranges[i].first && code_point <= ranges[i].last)
            return true;
    return false;
}

/* All are below U+10000, so that JSON needs no surrogates for them. */
static bool is_unsafe(uint32_t code_point)
{
    static const range unsafe[] = {{0x00, 0x1f},     {0x7f, 0x9f},     {0x61c, 0x61c},
                                   {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069},
                                   {0xfeff, 0xfeff}, {0xfffe, 0xffff}};
    return is_in(unsafe, sizeof unsafe / sizeof *unsafe, code_point);
}

static unsigned width(uint32_t code_point)
{
    static const range none[] = {
        {0x300, 0x36f}, {0x200b, 0x200d}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}};
    static const range wide[] = {{0x1100, 0x115f}, {0x2e80, 0xa4cf},   {0xac00, 0xd7a3},
                                 {0xf900, 0xfaff}, {0xfe30, 0xfe6f},   {0xff00, 0xff60},
                                 {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd}};
    if (is_in(none, sizeof none / sizeof *none, code_point))
        return 0;
    return is_in(wide, sizeof wide / sizeof *wide, code_point) ? 2 : 1;
}

typedef struct special {
    char c;
    const char *shown;
} special;

typedef struct rules {
    special specials[8]; /* ASCII characters with a spelling of their own, NULL at the end */
    const char *unsafe;  /* the format of the other unsafe characters */
    const char *invalid; /* the format of a byte that is not UTF-8 */
} rules;

#define NAMED                                                                                      \
    {'\n', "\\n"}, {'\t', "\\t"},                                                                  \
    {                                                                                              \
        '\r', "\\r"                                                                                \
    }

static const rules notations[] = {
    [PLK_PLAIN] = {{NAMED}, "\\u{%X}", "\\x%02X"},
    [PLK_QUOTED] = {{NAMED, {'"', "\\\""}, {'\\', "\\\\"}}, "\\u{%X}", "\\x%02X"},
    [PLK_CSV] = {{NAMED, {'"', "\"\""}, {'\\', "\\\\"}}, "\\u{%X}", "\\x%02X"},
    [PLK_SCREEN] = {{{'\n', "\n"}, {'\t', "\t"}}, "\\u{%X}", REPLACEMENT},
    [PLK_JSON] = {{NAMED, {'"', "\\\""}, {'\\', "\\\\"}}, "\\u%04x", REPLACEMENT},
    [PLK_SCRIPT] = {{NAMED, {'"', "\\\""}, {'\\', "\\\\"}, {'<', "\\u003c"}},
                    "\\u%04x",
                    REPLACEMENT},
    [PLK_XML] = {{NAMED, {'<', "&lt;"}, {'>', "&gt;"}, {'&', "&amp;"}, {'"', "&quot;"}},
                 "\\u{%X}",
                 "\\x%02X"},
};

plk_shown plk_show(plk_notation notation, const char *text, size_t n)
{
    const rules *r = &notations[notation];
    plk_shown s = {.n_read = 1};
    uint32_t code_point = 0;
    size_t length = plk_utf8_decode(text, n, &code_point);
    size_t i = 0;
    while (r->specials[i].shown && r->specials[i].c != text[0])
        i++;
    if (length == 0)
        (void)snprintf(s.shown, sizeof s.shown, r->invalid, (unsigned)(unsigned char)text[0]);
    else if (r->specials[i].shown)
        (void)snprintf(s.shown, sizeof s.shown, "%s", r->specials[i].shown);
    else if (is_unsafe(code_point))
        (void)snprintf(s.shown, sizeof s.shown, r->unsafe, (unsigned)code_point);
    else {
        memcpy(s.shown, text, length);
        s.n_read = length;
        s.n = length;
        s.columns = width(code_point);
        return s;
    }
    s.n_read = length != 0 ? length : 1;
    s.n = strlen(s.shown);
    s.columns = s.shown[0] == REPLACEMENT[0] ? 1 : (unsigned)s.n;
    return s;
}

void plk_show_line(char *line, size_t capacity, const char *text)
{
    size_t n = strlen(text), total = 0, at = 0, used = 0;
    for (size_t i = 0; i < n; i += plk_show(PLK_PLAIN, text + i, n - i).n_read)
        total += plk_show(PLK_PLAIN, text + i, n - i).n;
    /* What is before head is kept, and what is from tail on; there is nothing between them if all
     * fits. */
    size_t room = capacity - 1 - strlen(ELLIPSIS);
    size_t head = total < capacity ? total : room / 2;
    size_t tail = total < capacity ? total : total - (room - head);
    bool is_cut = false;
    for (size_t i = 0; i < n;) {
        plk_shown s = plk_show(PLK_PLAIN, text + i, n - i);
        i += s.n_read;
        at += s.n;
        if (at > head && at - s.n < tail) {
            if (!is_cut)
                memcpy(line + used, ELLIPSIS, strlen(ELLIPSIS));
            used += is_cut ? 0 : strlen(ELLIPSIS);
            is_cut = true;
            continue;
        }
        memcpy(line + used, s.shown, s.n);
        used += s.n;
    }
    line[used] = '\0';
}
