/*
 * .npy of integers, byte by byte: "\x93NUMPY", major and minor version, the length of the header (2
 * bytes little-endian in version 1, 4 later), the header, a Python dictionary like {'descr': '<i4',
 * 'fortran_order': False, 'shape': (3,), }, then the values. NumPy, "NEP 1: a simple file format
 * for NumPy arrays".
 */
#include "arrays.h"
#include "files.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NPY_PREFIX_BYTES = 8 };

static const size_t LARGEST_FILE = (size_t)1 << 32;

/* The 16 bits at data as f16: the exponent is rebased by a multiplication, which is exact. */
static float f16_value(uint32_t bits)
{
    const uint32_t sign = (bits & 0x8000u) << 16, rest = bits & 0x7fffu;
    float value;
    uint32_t wide = rest << 13;
    if (rest >= 0x7c00u) {
        wide |= 0x7f800000u;
        memcpy(&value, &wide, sizeof value);
    } else {
        memcpy(&value, &wide, sizeof value);
        value *= 0x1p112f;
    }
    memcpy(&wide, &value, sizeof wide);
    wide |= sign;
    memcpy(&value, &wide, sizeof value);
    return value;
}

void widen_row(pluck_logits row, float *values)
{
    const unsigned char *const bytes = row.data;
    if (row.dtype == PLUCK_F32) {
        memmove(values, bytes, row.n_vocab * sizeof *values);
        return;
    }
    for (uint32_t i = 0; i < row.n_vocab; i++) {
        uint16_t bits;
        memcpy(&bits, bytes + 2 * (size_t)i, sizeof bits);
        const uint32_t wide = (uint32_t)bits << 16;
        if (row.dtype == PLUCK_F16)
            values[i] = f16_value(bits);
        else
            memcpy(&values[i], &wide, sizeof wide);
    }
}

/* Room for one more row, by doubling: a stream does not say how many it has. */
static bool grow_rows(float_rows *rows, uint64_t *capacity)
{
    if (rows->n_rows < *capacity)
        return true;
    const uint64_t wanted = 2 * *capacity + 64;
    if (wanted > SIZE_MAX / sizeof(float) / rows->n_cols)
        return false;
    float *const larger =
        realloc(rows->values, (size_t)wanted * rows->n_cols * sizeof *rows->values);
    if (larger == NULL)
        return false;
    rows->values = larger;
    *capacity = wanted;
    return true;
}

int float_rows_read(float_rows *rows, const arguments *args, const char *path)
{
    source src;
    pluck_error err;
    uint64_t capacity = 0;
    *rows = (float_rows){.values = NULL};
    int code = source_open(args, path, &src);
    if (code != EXIT_DONE)
        return code;
    rows->n_cols = src.info.n_vocab;
    while (code == EXIT_DONE && rows->n_rows < src.info.n_rows) {
        pluck_logits row;
        const pluck_status status =
            pluck_dump_read(src.dump, rows->n_rows, src.scratch, &row, &err);
        if (status != PLUCK_OK)
            code = complain(args->who, exit_code_of(status), "%s", err.message);
        else if (row.data == NULL)
            break;
        else if (!grow_rows(rows, &capacity))
            code = complain_memory(args->who);
        else
            widen_row(row, rows->values + rows->n_rows++ * rows->n_cols);
        pluck_dump_release(src.dump, rows->n_rows);
    }
    source_close(&src);
    if (code != EXIT_DONE)
        float_rows_free(rows);
    return code;
}

void float_rows_free(float_rows *rows)
{
    free(rows->values);
    *rows = (float_rows){.values = NULL};
}

/* What follows 'key': in the header, without spaces; NULL if the key is not there. */
static const char *value_of(const char *header, const char *key)
{
    const char *const found = strstr(header, key);
    const char *const colon = found != NULL ? strchr(found, ':') : NULL;
    return colon != NULL ? colon + 1 + strspn(colon + 1, " ") : NULL;
}

static int64_t integer_at(const unsigned char *bytes, unsigned size, bool is_big, bool is_signed)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)bytes[is_big ? size - 1 - i : i] << (8 * i);
    if (is_signed && size < 8 && (value >> (8 * size - 1) & 1u) != 0)
        value |= UINT64_MAX << (8 * size);
    int64_t result;
    memcpy(&result, &value, sizeof result);
    return result;
}

static int read_npy(const char *who, const char *path, const char *text, size_t n_bytes,
                    int64_t **values, size_t *n)
{
    const unsigned char *const bytes = (const unsigned char *)text;
    const size_t prefix = NPY_PREFIX_BYTES + (bytes[6] == 1 ? 2u : 4u);
    size_t length = 0;
    for (size_t i = prefix; n_bytes > prefix && i-- > NPY_PREFIX_BYTES;)
        length = length << 8 | bytes[i];
    if (n_bytes <= prefix || length == 0 || length > n_bytes - prefix)
        return complain(who, EXIT_DATA, "%s: the .npy header is longer than the file", path);
    char *const header = strndup(text + prefix, length);
    if (header == NULL)
        return complain_memory(who);
    const char *const type = value_of(header, "'descr'");
    const char *const order = value_of(header, "'fortran_order'");
    const bool is_fortran = order == NULL || strncmp(order, "False", 5) != 0;
    const unsigned size = type != NULL && strlen(type) > 3 ? (unsigned)(type[3] - '0') : 0;
    const bool is_integer = size > 0 && strchr("<>|", type[1]) != NULL &&
                            (type[2] == 'i' || type[2] == 'u') && strchr("1248", type[3]) != NULL &&
                            (type[4] == '\'' || type[4] == '"');
    const bool is_big = is_integer && type[1] == '>', is_signed = is_integer && type[2] == 'i';
    free(header);
    const size_t data = n_bytes - prefix - length;
    if (!is_integer || is_fortran || data % size != 0)
        return complain(who, EXIT_DATA, "%s: must be integers in C order (<i4, <i8, ...)", path);
    *n = data / size;
    *values = malloc((*n + 1) * sizeof **values);
    if (*values == NULL)
        return complain_memory(who);
    for (size_t i = 0; i < *n; i++)
        (*values)[i] = integer_at(bytes + prefix + length + i * size, size, is_big, is_signed);
    return EXIT_DONE;
}

static int read_text(const char *who, const char *path, const char *text, size_t n_bytes,
                     int64_t **values, size_t *n)
{
    static const char separators[] = " \t\r\n,";
    *values = malloc((n_bytes / 2 + 1) * sizeof **values);
    if (*values == NULL)
        return complain_memory(who);
    for (const char *at = text + strspn(text, separators); *at != '\0';) {
        char *end = NULL;
        errno = 0;
        const long long value = strtoll(at, &end, 10);
        if (end == at || errno != 0 || strchr(separators, *end) == NULL)
            return complain(who, EXIT_DATA, "%s: number %zu is no whole number: '%.*s'", path, *n,
                            (int)strcspn(at, separators), at);
        (*values)[(*n)++] = value;
        at = end + strspn(end, separators);
    }
    return EXIT_DONE;
}

int integers_read(const char *who, const char *path, int64_t **values, size_t *n)
{
    char *text = NULL;
    size_t n_bytes = 0;
    *values = NULL;
    *n = 0;
    int code = read_file(who, path, LARGEST_FILE, &text, &n_bytes);
    if (code != EXIT_DONE)
        return code;
    const char *const name = source_name(path);
    if (n_bytes >= NPY_PREFIX_BYTES && memcmp(text, "\x93NUMPY", 6) == 0)
        code = read_npy(who, name, text, n_bytes, values, n);
    else
        code = read_text(who, name, text, n_bytes, values, n);
    if (code == EXIT_DONE && *n == 0)
        code = complain(who, EXIT_DATA, "%s: holds no numbers", name);
    if (code != EXIT_DONE) {
        free(*values);
        *values = NULL;
    }
    free(text);
    return code;
}
