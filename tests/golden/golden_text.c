/*
 * The text and the inputs of golden tests.
 */
#include "golden/golden.h"

#include "support/random.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 512 };

void golden_add(golden_text *text, const char *format, ...)
{
    if (text->capacity - text->n < MAX_LINE) {
        text->capacity = 2 * text->capacity + MAX_LINE;
        text->chars = realloc(text->chars, text->capacity);
        if (!text->chars)
            abort();
    }
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(text->chars + text->n, MAX_LINE, format, arguments);
    va_end(arguments);
    if (written < 0 || written >= MAX_LINE)
        abort();
    text->n += (size_t)written;
}

uint32_t golden_float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

uint64_t golden_double_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

uint32_t golden_hash(uint32_t h, const void *words, size_t n_bytes)
{
    h = h == 0 ? 2166136261u : h;
    for (size_t i = 0; i + 4 <= n_bytes; i += 4) {
        uint32_t word;
        memcpy(&word, (const char *)words + i, sizeof word);
        for (int b = 0; b < 32; b += 8)
            h = (h ^ (word >> b & 255)) * 16777619u;
    }
    return h;
}

uint32_t golden_hash_bytes(uint32_t h, const void *bytes, size_t n_bytes)
{
    const unsigned char *byte = bytes;
    h = h == 0 ? 2166136261u : h;
    for (size_t i = 0; i < n_bytes; i++)
        h = (h ^ byte[i]) * 16777619u;
    return h;
}

uint32_t golden_hash_floats(uint32_t h, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = golden_float_bits(x[i]);
        if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
            bits = 0x7FC00000u;
        else if (bits == 0x80000000u)
            bits = 0;
        h = golden_hash(h, &bits, sizeof bits);
    }
    return h;
}

void golden_row(uint64_t row, pluck_dtype dtype, uint32_t n, void *out)
{
    test_random random = test_random_make(row * 1000003);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bits = test_random_bits(&random);
        uint32_t sum = (uint32_t)((bits & 2047) + (bits >> 11 & 2047) + (bits >> 22 & 2047) +
                                  (bits >> 33 & 2047));
        float x = ((float)sum - 4096.0f) * 0x1p-8f;
        uint16_t sign = (uint16_t)(bits >> 63 << 15);
        uint16_t half = (uint16_t)(sign | (0x3000 + sum % 7168));
        uint16_t bfloat = (uint16_t)(sign | (0x3E00 + sum % 896));
        if (dtype == PLUCK_F32)
            memcpy((char *)out + i * sizeof x, &x, sizeof x);
        else
            memcpy((char *)out + i * sizeof half, dtype == PLUCK_F16 ? &half : &bfloat,
                   sizeof half);
    }
}

void *golden_row_buffer(void)
{
    void *row = malloc(GOLDEN_MAX_VOCAB * sizeof(float));
    if (!row)
        abort();
    return row;
}

void golden_require(pluck_status status, const char *what, const pluck_error *err)
{
    if (status == PLUCK_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(EXIT_FAILURE);
}

golden_text golden_read(const char *path)
{
    golden_text text = {.chars = NULL};
    char line[MAX_LINE];
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s: cannot be opened\n", path);
        exit(EXIT_FAILURE);
    }
    while (fgets(line, sizeof line, file))
        golden_add(&text, "%s", line);
    fclose(file);
    return text;
}

/* Without its end. */
static size_t line_length(const char *line, const char *end)
{
    const char *newline = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
    return newline ? (size_t)(newline - line) : (size_t)(end - line);
}

static bool is_skipped(const char *line, size_t n)
{
    size_t n_word = strlen(GOLDEN_SKIPPED);
    return n > n_word && memcmp(line + n - n_word, GOLDEN_SKIPPED, n_word) == 0;
}

static bool lines_agree(const char *got, size_t n_got, const char *expected, size_t n_expected,
                        size_t *n_skipped)
{
    if (is_skipped(got, n_got)) {
        const char *space = memchr(got, ' ', n_got);
        size_t n_word = space ? (size_t)(space - got) + 1 : n_got;
        ++*n_skipped;
        return n_word <= n_expected && memcmp(got, expected, n_word) == 0;
    }
    return n_got == n_expected && memcmp(got, expected, n_got) == 0;
}

size_t golden_compare(const golden_text *got, const golden_text *expected, golden_text *first,
                      size_t *n_skipped)
{
    size_t n_different = 0;
    const char *g = got->chars, *g_end = g + got->n;
    const char *e = expected->chars, *e_end = e + expected->n;
    *n_skipped = 0;
    while (g < g_end || e < e_end) {
        size_t n_g = line_length(g, g_end), n_e = line_length(e, e_end);
        if (!lines_agree(g, n_g, e, n_e, n_skipped) && n_different++ == 0)
            golden_add(first, "\"%.*s\", expected \"%.*s\"", (int)n_g, g, (int)n_e, e);
        g += n_g + (g + n_g < g_end);
        e += n_e + (e + n_e < e_end);
    }
    return n_different;
}
