/*
 * tiktoken's files: "IQ== 0\n", base64 as RFC 4648 says, with its padding, and the rank in decimal.
 * A file of lines is taken for one if half of its first lines are of this form: the line that is
 * damaged or cut off is then named, and not read as a text.
 */
#include "vocab_readers.h"

#include <string.h>

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
static bool read_line(const char *line, size_t n, char *to, size_t *n_bytes, uint32_t *rank)
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

/* The line at text[*at], without its end; *at becomes the start of the next one. */
static size_t next_line(const vocab_file *file, size_t *at)
{
    const char *newline = memchr(file->text + *at, '\n', file->n - *at);
    size_t begin = *at;
    size_t length = newline ? (size_t)(newline - (file->text + begin)) : file->n - begin;
    *at = begin + length + 1;
    if (length > 0 && file->text[begin + length - 1] == '\r')
        length--;
    return length;
}

bool vocab_is_tiktoken(const vocab_file *file)
{
    char bytes[1024];
    size_t n_lines = 0, n_good = 0;
    for (size_t at = 0; at < file->n && n_lines < SNIFFED_LINES; n_lines++) {
        size_t begin = at, length = next_line(file, &at);
        size_t n_bytes = 0;
        uint32_t rank = 0;
        n_good +=
            length <= sizeof bytes && read_line(file->text + begin, length, bytes, &n_bytes, &rank);
    }
    return n_good > 0 && 2 * n_good >= n_lines;
}

int vocab_read_tiktoken(vocab *v, const vocab_file *file)
{
    size_t number = 0;
    for (size_t at = 0; at < file->n;) {
        size_t begin = at, length = next_line(file, &at);
        char *line = file->text + begin;
        size_t n_bytes = 0;
        uint32_t rank = 0;
        number++;
        if (length == 0 && at >= file->n)
            break;
        if (!read_line(line, length, line, &n_bytes, &rank))
            return complain(file->who, EXIT_DATA,
                            "%s: line %zu: expected a token in base64, a space and its rank",
                            file->path, number);
        /* Ranks above the number of bytes would cost more memory than the file does. */
        if (rank >= PLUCK_MAX_VOCAB || rank > file->n + (1 << 16))
            return complain(file->who, EXIT_DATA,
                            "%s: line %zu: rank %u, in a file too small for as many tokens",
                            file->path, number, (unsigned)rank);
        if (rank < v->n && v->entries[rank].is_set)
            return complain(file->who, EXIT_DATA, "%s: line %zu: a second token of rank %u",
                            file->path, number, (unsigned)rank);
        if (!vocab_set(v, rank, line, n_bytes, true))
            return complain_memory(file->who);
    }
    v->encoding = ENCODING_PLAIN;
    return EXIT_DONE;
}
