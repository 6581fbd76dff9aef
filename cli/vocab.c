/*
 * All texts lie in one block of bytes, entries point into it; both grow by doubling.
 */
#include "vocab.h"
#include "files.h"
#include "vocab_gguf.h"

#include "base/escape.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VOCAB_LIMIT_BYTES ((size_t)256 << 20)

static bool reserve_entries(vocab *v, uint32_t n)
{
    uint32_t capacity = v->capacity == 0 ? 1024 : v->capacity;
    while (capacity < n)
        capacity *= 2;
    if (capacity == v->capacity)
        return true;
    vocab_entry *const larger = realloc(v->entries, capacity * sizeof *larger);
    if (larger == NULL)
        return false;
    memset(larger + v->capacity, 0, (capacity - v->capacity) * sizeof *larger);
    v->entries = larger;
    v->capacity = capacity;
    return true;
}

static bool reserve_bytes(vocab *v, size_t n)
{
    size_t capacity = v->bytes_capacity == 0 ? 16384 : v->bytes_capacity;
    while (capacity - v->n_bytes < n)
        capacity *= 2;
    if (capacity == v->bytes_capacity)
        return true;
    char *const larger = realloc(v->bytes, capacity);
    if (larger == NULL)
        return false;
    v->bytes = larger;
    v->bytes_capacity = capacity;
    return true;
}

bool vocab_set(vocab *v, uint32_t id, const char *text, size_t n, bool is_literal)
{
    if (!reserve_entries(v, id + 1) || !reserve_bytes(v, n))
        return false;
    if (n > 0)
        memcpy(v->bytes + v->n_bytes, text, n);
    v->entries[id] = (vocab_entry){v->n_bytes, (uint32_t)n, true, is_literal};
    v->n_bytes += n;
    v->n = id + 1 > v->n ? id + 1 : v->n;
    return true;
}

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
    return pl_utf8_decode(bytes, *n_bytes, &unused) == *n_bytes ? end + 1 : 0;
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
        const size_t n_escape = read_code_point(line + i, n - i, bytes, &n_bytes);
        for (const char *c = named; line[i] == '\\' && i + 1 < n && *c != '\0'; c += 2)
            name = *c == line[i + 1] ? c : name;
        if (name != NULL) {
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

static int read_lines(vocab *v, const char *who, const char *path, char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        const char *const newline = memchr(text + at, '\n', n - at);
        size_t length = newline != NULL ? (size_t)(newline - (text + at)) : n - at;
        const size_t next = at + length + 1;
        if (v->n >= PLUCK_MAX_VOCAB)
            return complain(who, EXIT_DATA, "%s: has more than %u tokens", path, PLUCK_MAX_VOCAB);
        if (length > 0 && text[at + length - 1] == '\r')
            length--;
        if (!vocab_set(v, v->n, text + at, unescape(text + at, length), false))
            return complain_memory(who);
        at = next;
    }
    return EXIT_DONE;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

/* A name ending decides; without one, a JSON list or map starts with its bracket. */
static bool is_json(const char *path, const char *text)
{
    const char first = text[strspn(text, " \t\r\n")];
    if (ends_with(path, ".json"))
        return true;
    return !ends_with(path, ".txt") && (first == '[' || first == '{');
}

void vocab_unescape(vocab *v)
{
    for (uint32_t id = 0; id < v->n; id++)
        if (v->entries[id].n > 0)
            v->entries[id].n =
                (uint32_t)unescape(v->bytes + v->entries[id].offset, v->entries[id].n);
}

static int finish(vocab *v, const arguments *args, const char *path)
{
    if (v->n == 0)
        return complain(args->who, EXIT_DATA, "%s: holds no token", path);
    vocab_decode(v, args->vocab_encoding != ENCODING_AUTO ? args->vocab_encoding : v->encoding);
    return EXIT_DONE;
}

int vocab_parse(vocab *v, const arguments *args, const char *path, char *text, size_t n)
{
    int code = EXIT_DONE;
    if (vocab_is_gguf(text, n))
        code = vocab_read_gguf(v, args->who, path, -1, text, n);
    else if (is_json(path, text))
        code = vocab_read_json(v, args->who, path, text, n);
    else
        code = read_lines(v, args->who, path, text, n);
    return code == EXIT_DONE ? finish(v, args, path) : code;
}

/* A model is larger than a vocabulary may be: it is read as far as its metadata goes. *is_model:
 * whether the file is one. */
static int load_model(vocab *v, const arguments *args, bool *is_model)
{
    char magic[4];
    const int fd = strcmp(args->vocab, "-") == 0 ? -1 : open(args->vocab, O_RDONLY | O_CLOEXEC);
    struct stat info;
    *is_model = false;
    if (fd < 0)
        return EXIT_DONE;
    int code = EXIT_DONE;
    *is_model = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
                read(fd, magic, sizeof magic) == (ssize_t)sizeof magic &&
                vocab_is_gguf(magic, sizeof magic) && lseek(fd, 0, SEEK_SET) == 0;
    if (*is_model)
        code = vocab_read_gguf(v, args->who, args->vocab, fd, NULL, 0);
    close(fd);
    return *is_model && code == EXIT_DONE ? finish(v, args, args->vocab) : code;
}

int vocab_load(vocab *v, const arguments *args)
{
    bool is_model = false;
    memset(v, 0, sizeof *v);
    if (args->vocab == NULL)
        return EXIT_DONE;
    char *text = NULL;
    size_t n = 0;
    int code = load_model(v, args, &is_model);
    if (!is_model)
        code = read_file(args->who, args->vocab, VOCAB_LIMIT_BYTES, &text, &n);
    if (!is_model && code == EXIT_DONE)
        code = vocab_parse(v, args, args->vocab, text, n);
    free(text);
    if (code != EXIT_DONE)
        vocab_free(v);
    return code;
}

int vocab_check(const vocab *v, const arguments *args, const char *path, uint32_t n_vocab)
{
    if (args->vocab == NULL || v->n == n_vocab || (args->short_vocab && v->n < n_vocab))
        return EXIT_DONE;
    return complain(args->who, EXIT_DATA, "%s: has %u tokens, but rows of %s have %u values%s",
                    args->vocab, (unsigned)v->n, path, (unsigned)n_vocab,
                    v->n < n_vocab ? "; --short-vocab allows that" : "");
}

void vocab_free(vocab *v)
{
    free(v->entries);
    free(v->bytes);
    memset(v, 0, sizeof *v);
}

const char *vocab_text(const vocab *v, pluck_token token, size_t *n)
{
    *n = 0;
    if (token < 0 || (uint32_t)token >= v->n || !v->entries[token].is_set)
        return "";
    *n = v->entries[token].n;
    return *n > 0 ? v->bytes + v->entries[token].offset : "";
}
