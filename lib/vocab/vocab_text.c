/*
 * Vocabularies that are text: lines, and tiktoken; and files that are neither.
 *
 * Text, one token per line: lines end with a line feed, or all of them with a carriage return and a
 * line feed; a lone carriage return is part of a token.
 *
 * tiktoken's files: "IQ== 0\n", base64 as RFC 4648 says, with its padding, and the rank in decimal.
 * A file of lines is taken for one if half of its first lines are of this form: the line that is
 * damaged or cut off is then named, and not read as a text.
 *
 * Files that people give by mistake are known by the bytes that they begin with, so that the
 * message can say what they are.
 */
#include "vocab/vocab_readers.h"

#include "base/error.h"
#include "base/text.h"

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

/* The line at text[*at], without its end; *at becomes the start of the next one, or more than n. */
static const char *next_line(const plk_vocab_file *file, bool has_returns, size_t *at, size_t *n)
{
    char *line = file->text + *at;
    const char *newline = memchr(line, '\n', file->n - *at);
    *n = newline ? (size_t)(newline - line) : file->n - *at;
    *at += *n + 1;
    *n -= has_returns && *n > 0 && line[*n - 1] == '\r';
    return line;
}

static layout find_layout(const plk_vocab_file *file)
{
    layout l = {true, true};
    size_t n = 0, n_text = 0;
    for (size_t at = 0; at < file->n && l.has_returns;) {
        const char *line = next_line(file, false, &at, &n);
        bool has_end = at <= file->n;
        l.has_returns = has_end ? n > 0 && line[n - 1] == '\r' : line > file->text;
    }
    for (size_t at = 0; at < file->n && l.has_scores;) {
        const char *line = next_line(file, l.has_returns, &at, &n);
        l.has_scores = has_score(line, n, &n_text);
    }
    return l;
}

pluck_status plk_vocab_read_lines(plk_vocab *v, const plk_vocab_file *file)
{
    layout l = find_layout(file);
    for (size_t at = 0, n = 0; at < file->n;) {
        char *line = file->text + at;
        (void)next_line(file, l.has_returns, &at, &n);
        if (v->n >= PLUCK_MAX_VOCAB)
            return plk_fail(file->err, PLUCK_ERR_FORMAT, "%s: has more than %u tokens", file->name,
                            PLUCK_MAX_VOCAB);
        if (l.has_scores)
            (void)has_score(line, n, &n);
        else
            n = unescape(line, n);
        if (!plk_vocab_set(v, v->n, line, n, false))
            return plk_fail_nomem(file->err, file->n);
    }
    if (l.has_scores)
        v->encoding = PLK_ENCODING_SENTENCEPIECE;
    return PLUCK_OK;
}

void plk_vocab_unescape(plk_vocab *v)
{
    for (uint32_t id = 0; id < v->n; id++)
        if (v->entries[id].n > 0)
            v->entries[id].n =
                (uint32_t)unescape(v->bytes + v->entries[id].offset, v->entries[id].n);
}

enum { SNIFFED_LINES = 32, MAX_DIGITS = 8 };

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = c != '\0' ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* Bytes of n digits into to, which may be where they are. -1: they are not base64. */
static ptrdiff_t decode_base64(const char *text, size_t n, char *to)
{
    size_t used = 0;
    if (n % 4 != 0)
        return -1;
    for (size_t i = 0; i < n; i += 4) {
        size_t n_padding = 0;
        uint32_t group = 0;
        if (i + 4 == n)
            n_padding = text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
        for (size_t k = 0; k < 4; k++) {
            int digit = k >= 4 - n_padding ? 0 : base64_digit(text[i + k]);
            if (digit < 0)
                return -1;
            group = group << 6 | (uint32_t)digit;
        }
        /* Bits that the padding leaves over are 0: else two texts would give the same bytes. */
        if ((n_padding == 1 && (group & 0xff) != 0) || (n_padding == 2 && (group & 0xffff) != 0))
            return -1;
        for (size_t k = 0; k < 3 - n_padding; k++)
            to[used++] = (char)(group >> (16 - 8 * k) & 0xff);
    }
    return (ptrdiff_t)used;
}

/* Reads one line; its bytes come to to, which has room for the line. false: it is of another
 * form. */
static bool read_rank(const char *line, size_t n, char *to, size_t *n_bytes, uint32_t *rank)
{
    const char *space = memchr(line, ' ', n);
    if (!space || space == line)
        return false;
    const char *digits = space + 1;
    size_t n_digits = (size_t)(line + n - digits);
    if (n_digits == 0 || n_digits > MAX_DIGITS || (digits[0] == '0' && n_digits > 1))
        return false;
    *rank = 0;
    for (size_t i = 0; i < n_digits; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        *rank = *rank * 10 + (uint32_t)(digits[i] - '0');
    }
    ptrdiff_t decoded = decode_base64(line, (size_t)(space - line), to);
    *n_bytes = decoded > 0 ? (size_t)decoded : 0;
    return decoded > 0;
}

bool plk_vocab_is_tiktoken(const plk_vocab_file *file)
{
    char bytes[1024];
    size_t n_lines = 0, n_good = 0;
    for (size_t at = 0; at < file->n && n_lines < SNIFFED_LINES; n_lines++) {
        size_t length = 0, n_bytes = 0;
        uint32_t rank = 0;
        const char *line = next_line(file, true, &at, &length);
        n_good += length <= sizeof bytes && read_rank(line, length, bytes, &n_bytes, &rank);
    }
    return n_good > 0 && 2 * n_good >= n_lines;
}

pluck_status plk_vocab_read_tiktoken(plk_vocab *v, const plk_vocab_file *file)
{
    size_t number = 0;
    for (size_t at = 0; at < file->n;) {
        char *line = file->text + at;
        size_t length = 0, n_bytes = 0;
        uint32_t rank = 0;
        (void)next_line(file, true, &at, &length);
        number++;
        if (length == 0 && at >= file->n)
            break;
        if (!read_rank(line, length, line, &n_bytes, &rank))
            return plk_fail(file->err, PLUCK_ERR_FORMAT,
                            "%s: line %zu: expected a token in base64, a space and its rank",
                            file->name, number);
        /* Ranks above the number of bytes would cost more memory than the file does. */
        if (rank >= PLUCK_MAX_VOCAB || rank > file->n + (1 << 16))
            return plk_fail(
                file->err, PLUCK_ERR_FORMAT,
                "%s: line %zu: rank %u, but the file is too small for that number of tokens",
                file->name, number, (unsigned)rank);
        if (rank < v->n && v->entries[rank].is_set)
            return plk_fail(file->err, PLUCK_ERR_FORMAT, "%s: line %zu: a second token of rank %u",
                            file->name, number, (unsigned)rank);
        if (!plk_vocab_set(v, rank, line, n_bytes, true))
            return plk_fail_nomem(file->err, file->n);
    }
    v->encoding = PLK_ENCODING_PLAIN;
    return PLUCK_OK;
}

#define EXPECTED                                                                                   \
    "expected one token per line, JSON, tiktoken, a SentencePiece .model or a GGUF model"

typedef struct known {
    const char *magic;
    size_t n, offset;
    bool is_text; /* a line of text could begin so too: the file must be binary */
    const char *what;
} known;

#define BINARY(bytes, what)                                                                        \
    {                                                                                              \
        bytes, sizeof bytes - 1, 0, false, what                                                    \
    }
#define TEXT(bytes, offset, what)                                                                  \
    {                                                                                              \
        bytes, sizeof bytes - 1, offset, true, what                                                \
    }

static const known kinds[] = {
    BINARY("PK\003\004", "a ZIP archive (PyTorch, .npz)"),
    BINARY("PK\005\006", "an empty ZIP archive"),
    BINARY("\x80\002", "a Python pickle (PyTorch)"),
    BINARY("\x80\003", "a Python pickle (PyTorch)"),
    BINARY("\x80\004", "a Python pickle (PyTorch)"),
    BINARY("\x80\005", "a Python pickle (PyTorch)"),
    BINARY("\x93NUMPY", "a NumPy array"),
    BINARY("\x89HDF\r\n", "an HDF5 file"),
    BINARY("\x28\xb5\x2f\xfd", "packed by zstd (unpack it: zstd -d)"),
    BINARY("\xfd\x37zXZ", "packed by xz (unpack it: xz -d)"),
    TEXT("BZh", 0, "packed by bzip2 (unpack it: bzip2 -d)"),
    BINARY("7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    BINARY("\xba\x16\x4f\x2f", "a fastText model"),
    TEXT("SQLite format 3", 0, "an SQLite database"),
    TEXT("ARROW1", 0, "an Arrow file"),
    TEXT("PAR1", 0, "a Parquet file"),
    TEXT("lmgg", 0, "a model in a format of llama.cpp before GGUF"),
    TEXT("fmgg", 0, "a model in a format of llama.cpp before GGUF"),
    TEXT("tjgg", 0, "a model in a format of llama.cpp before GGUF"),
    BINARY("\x7f"
           "ELF",
           "a program"),
    BINARY("\xff\xfe", "text in UTF-16 (convert it: iconv -f UTF-16 -t UTF-8)"),
    BINARY("\xfe\xff", "text in UTF-16 (convert it: iconv -f UTF-16 -t UTF-8)"),
    BINARY("#version: ", "the merges of a BPE (its vocabulary is vocab.json)"),
    TEXT("{\"", 8, "a .safetensors file"),
    TEXT("ustar", 257, "a tar archive"),
};

/* A text may hold a token that is a byte 0, and another one that is half a character. */
static bool is_binary(const plk_vocab_file *file)
{
    bool is_utf8 = true;
    uint32_t code_point = 0;
    for (size_t i = 0; i < file->n && is_utf8;) {
        size_t length = plk_utf8_decode(file->text + i, file->n - i, &code_point);
        is_utf8 = length > 0;
        i += length;
    }
    return !is_utf8 && memchr(file->text, '\0', file->n);
}

pluck_status plk_vocab_refuse_binary(const plk_vocab_file *file)
{
    bool binary = is_binary(file);
    for (const known *kind = kinds; kind < kinds + sizeof kinds / sizeof *kinds; kind++)
        if (file->n >= kind->offset + kind->n &&
            memcmp(file->text + kind->offset, kind->magic, kind->n) == 0 &&
            (binary || !kind->is_text))
            return plk_fail(file->err, PLUCK_ERR_FORMAT, "%s: %s, not a vocabulary; " EXPECTED,
                            file->name, kind->what);
    if (binary)
        return plk_fail(file->err, PLUCK_ERR_FORMAT, "%s: a binary file of unknown kind; " EXPECTED,
                        file->name);
    return PLUCK_OK;
}
