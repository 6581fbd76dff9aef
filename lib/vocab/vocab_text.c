/*
 * Text, one token per line. Lines end with a line feed, or all of them with a carriage return and a
 * line feed; a lone carriage return is part of a token.
 */
#include "vocab_readers.h"

#include "base/escape.h"

#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The character of the escape \u{HEX} at text, as UTF-8 in bytes[0] .. bytes[*n_bytes - 1]. Returns
 * the length of the escape, or 0 if it is not one. */
static size_t read_code_point(const char *text, size_t n, char bytes[4], size_t *n_bytes)
{
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    uint32_t value = 0, unused = 0;
    size_t end = 3;
    if (n < 5 || memcmp(text, "\\u{", 3) != 0)
        return 0;
    for (; end < n && end < 9 && hex_digit(text[end]) >= 0; end++)
        value = value * 16 + (uint32_t)hex_digit(text[end]);
    if (end == 3 || end == n || text[end] != '}')
        return 0;
    *n_bytes = value < 0x80 ? 1 : value < 0x800 ? 2 : value < 0x10000 ? 3 : 4;
    for (size_t i = *n_bytes; i-- > 1; value >>= 6)
        bytes[i] = (char)(0x80 | (value & 0x3f));
    bytes[0] = (char)(leads[*n_bytes] | value);
    return plk_utf8_decode(bytes, *n_bytes, &unused) == *n_bytes ? end + 1 : 0;
}

/* Undoes the escapes of one line in place and returns its new length. A backslash before anything
 * else is itself. */
static size_t unescape(char *line, size_t n)
{
    static const char named[] = "n\nt\tr\r\\\\";
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = NULL;
        char bytes[4];
        size_t n_bytes = 0;
        size_t n_escape = read_code_point(line + i, n - i, bytes, &n_bytes);
        for (const char *c = named; line[i] == '\\' && i + 1 < n && *c != '\0'; c += 2)
            name = *c == line[i + 1] ? c : name;
        if (name) {
            line[used++] = name[1];
            i++;
        } else if (line[i] == '\\' && i + 3 < n && line[i + 1] == 'x' &&
                   hex_digit(line[i + 2]) >= 0 && hex_digit(line[i + 3]) >= 0) {
            line[used++] = (char)(hex_digit(line[i + 2]) * 16 + hex_digit(line[i + 3]));
            i += 3;
        } else if (n_escape > 0) {
            memcpy(line + used, bytes, n_bytes);
            used += n_bytes;
            i += n_escape - 1;
        } else {
            line[used++] = line[i];
        }
    }
    return used;
}

typedef struct layout {
    bool has_returns; /* lines end with \r\n  */
    bool has_scores;  /* and hold "piece\tscore" */
} layout;

/* Whether a line is a text, a tab and a number; *n_text: the bytes of the text. */
static bool has_score(const char *line, size_t n, size_t *n_text)
{
    char number[32], *end = NULL;
    const char *tab = memchr(line, '\t', n);
    if (!tab)
        return false;
    *n_text = (size_t)(tab - line);
    size_t n_number = n - *n_text - 1;
    if (*n_text == 0 || n_number == 0 || n_number >= sizeof number)
        return false;
    memcpy(number, tab + 1, n_number);
    number[n_number] = '\0';
    if (strspn(number, "0123456789.eE+-") != n_number)
        return false;
    (void)strtod(number, &end);
    return *end == '\0';
}

static size_t line_length(const vocab_file *file, size_t at, const layout *l)
{
    const char *newline = memchr(file->text + at, '\n', file->n - at);
    size_t length = newline ? (size_t)(newline - (file->text + at)) : file->n - at;
    return length - (l->has_returns && length > 0 && file->text[at + length - 1] == '\r');
}

static layout find_layout(const vocab_file *file)
{
    layout l = {true, true};
    size_t next = 0, n_text = 0;
    for (size_t at = 0; at < file->n && l.has_returns; at = next) {
        const char *newline = memchr(file->text + at, '\n', file->n - at);
        next = newline ? (size_t)(newline - file->text) + 1 : file->n;
        l.has_returns = !newline ? at > 0 : next - at >= 2 && newline[-1] == '\r';
    }
    for (size_t at = 0; at < file->n && l.has_scores; at = next) {
        const char *newline = memchr(file->text + at, '\n', file->n - at);
        next = newline ? (size_t)(newline - file->text) + 1 : file->n;
        l.has_scores = has_score(file->text + at, line_length(file, at, &l), &n_text);
    }
    return l;
}

int vocab_read_lines(vocab *v, const vocab_file *file)
{
    layout l = find_layout(file);
    for (size_t at = 0; at < file->n;) {
        char *line = file->text + at;
        size_t n = line_length(file, at, &l);
        const char *newline = memchr(line, '\n', file->n - at);
        at = newline ? (size_t)(newline - file->text) + 1 : file->n;
        if (v->n >= PLUCK_MAX_VOCAB)
            return complain(file->who, EXIT_DATA, "%s: has more than %u tokens", file->path,
                            PLUCK_MAX_VOCAB);
        if (l.has_scores)
            (void)has_score(line, n, &n);
        else
            n = unescape(line, n);
        if (!vocab_set(v, v->n, line, n, false))
            return complain_memory(file->who);
    }
    if (l.has_scores)
        v->encoding = ENCODING_SENTENCEPIECE;
    return EXIT_DONE;
}

void vocab_unescape(vocab *v)
{
    for (uint32_t id = 0; id < v->n; id++)
        if (v->entries[id].n > 0)
            v->entries[id].n =
                (uint32_t)unescape(v->bytes + v->entries[id].offset, v->entries[id].n);
}
