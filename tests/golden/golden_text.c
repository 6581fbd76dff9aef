/*
 * The text and the inputs of golden tests.
 */
#include "golden/golden.h"

#include "support/random.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 256 };

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

void golden_require(pluck_status status, const char *what, const pluck_error *err)
{
    if (status == PLUCK_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(EXIT_FAILURE);
}
