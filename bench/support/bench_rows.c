/*
 * Rows are stored back to back, each padded to whole blocks of 64, so that a kernel can read them
 * as they are. A repetition goes through two of them only if both fit into half of the second-level
 * cache: what is compared is computation, not the memory of the machine.
 */
#include "support/bench_rows.h"

#include "simd/kernels.h"
#include "support/clock.h"
#include "support/logit_kinds.h"

#include <pluck/dump.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint16_t to_bf16(float value)
{
    uint32_t bits = bits_of(value);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* No NaN. Rounds to a whole number of units in the last place that an f16 of this size has. */
static uint16_t to_f16(float value)
{
    uint32_t sign = bits_of(value) >> 16 & 0x8000;
    float size = fabsf(value);
    if (size >= 65520.0f)
        return (uint16_t)(sign | 0x7c00);
    int exponent;
    frexpf(size, &exponent); /* size in [2^(exponent - 1), 2^exponent) */
    int last_place = exponent - 11 > -24 ? exponent - 11 : -24;
    float whole = nearbyintf(ldexpf(size, -last_place));
    float rounded = ldexpf(whole, last_place);
    if (rounded < 0x1p-14f)
        return (uint16_t)(sign | (uint32_t)ldexpf(rounded, 24));
    uint32_t bits = bits_of(rounded);
    return (uint16_t)(sign | (((bits >> 23) - 112) << 10) | (bits >> 13 & 0x3ff));
}

static void store_row(bench_rows *rows, size_t row, const float *x)
{
    unsigned char *out = rows->data + row * rows->row_bytes;
    size_t value_bytes = pluck_dtype_size_bytes(rows->dtype);
    for (size_t i = 0; i < rows->n_blocks * PLK_BLOCK; i++) {
        float value = i < rows->n_vocab ? x[i] : -INFINITY;
        uint16_t half = rows->dtype == PLUCK_F16 ? to_f16(value) : to_bf16(value);
        if (rows->dtype == PLUCK_F32)
            memcpy(out + i * value_bytes, &value, sizeof value);
        else
            memcpy(out + i * value_bytes, &half, sizeof half);
    }
}

static bool allocate(bench_rows *rows, size_t n_rows)
{
    rows->n_rows = n_rows;
    rows->n_blocks = (rows->n_vocab + (size_t)PLK_BLOCK - 1) / PLK_BLOCK;
    rows->row_bytes = rows->n_blocks * PLK_BLOCK * pluck_dtype_size_bytes(rows->dtype);
    rows->rotation = n_rows > 1 && 2 * rows->row_bytes <= bench_cache_bytes(2) / 2 ? 2 : 1;
    rows->data = aligned_alloc(64, n_rows * rows->row_bytes);
    if (!rows->data)
        fprintf(stderr, "bench: no memory for %zu rows of logits\n", n_rows);
    return rows->data != NULL;
}

static bool open_kind(bench_rows *rows, const bench_logit_kind *kind)
{
    snprintf(rows->name, sizeof rows->name, "%s", kind->name);
    float *x = malloc(rows->n_vocab * sizeof *x);
    if (!x || !allocate(rows, 2)) {
        free(x);
        return false;
    }
    for (size_t row = 0; row < rows->n_rows; row++) {
        kind->fill(x, rows->n_vocab, row, rows->dtype);
        store_row(rows, row, x);
    }
    free(x);
    return true;
}

static float value_of(const void *data, pluck_dtype dtype, size_t index)
{
    float value = 0;
    const plk_kernels *scalar = plk_kernels_get(PLUCK_ISA_SCALAR);
    const unsigned char *at = (const unsigned char *)data + index * pluck_dtype_size_bytes(dtype);
    if (dtype == PLUCK_F32)
        memcpy(&value, at, sizeof value);
    else if (dtype == PLUCK_F16)
        scalar->widen_f16(at, 1, &value);
    else
        scalar->widen_bf16(at, 1, &value);
    return value;
}

static bool read_dump(bench_rows *rows, pluck_dump *dump, pluck_error *err)
{
    pluck_dump_info info = PLUCK_INIT(pluck_dump_info);
    if (pluck_dump_get_info(dump, &info, err) != PLUCK_OK)
        return false;
    rows->n_vocab = info.n_vocab;
    if (info.n_rows == PLUCK_DUMP_ROWS_UNKNOWN || info.n_rows == 0 || info.streamed) {
        snprintf(err->message, sizeof err->message,
                 "a benchmark takes a file of at least one row, not a stream");
        return false;
    }
    uint64_t n_rows = info.n_rows < BENCH_MAX_ROWS ? info.n_rows : BENCH_MAX_ROWS;
    float *scratch = malloc(2 * rows->n_vocab * sizeof *scratch);
    bool done = scratch && allocate(rows, (size_t)n_rows);
    for (size_t row = 0; done && row < n_rows; row++) {
        pluck_dump_row read = PLUCK_INIT(pluck_dump_row);
        done = pluck_dump_read(dump, row * info.n_rows / n_rows, scratch, &read, err) == PLUCK_OK;
        float *x = scratch ? scratch + rows->n_vocab : NULL;
        for (size_t i = 0; done && i < rows->n_vocab; i++)
            x[i] = value_of(read.logits.data, read.logits.dtype, i);
        if (done)
            store_row(rows, row, x);
    }
    free(scratch);
    return done;
}

static bool open_dump(bench_rows *rows, const char *path)
{
    const char *slash = strrchr(path, '/');
    snprintf(rows->name, sizeof rows->name, "%s", slash ? slash + 1 : path);
    char *dot = strrchr(rows->name, '.');
    if (dot)
        *dot = '\0';
    pluck_error err = {.message = "no memory for a dump"};
    pluck_dump *dump = NULL;
    bool done = pluck_dump_open(&dump, path, NULL, &err) == PLUCK_OK && read_dump(rows, dump, &err);
    pluck_dump_destroy(&dump);
    if (!done) {
        fprintf(stderr, "bench: %s\n", err.message);
        bench_rows_close(rows);
    }
    return done;
}

bool bench_rows_open(bench_rows *rows, const char *source, uint32_t n_vocab, pluck_dtype dtype)
{
    *rows = (bench_rows){.dtype = dtype, .n_vocab = n_vocab};
    const bench_logit_kind *kind = bench_logit_kind_find(source);
    return kind ? open_kind(rows, kind) : open_dump(rows, source);
}

void bench_rows_close(bench_rows *rows)
{
    free(rows->data);
    rows->data = NULL;
}

pluck_logits bench_rows_at(const bench_rows *rows, size_t index)
{
    const void *data = rows->data + index % rows->n_rows * rows->row_bytes;
    return (pluck_logits){data, rows->dtype, rows->n_vocab};
}

bool bench_rows_synthetic(const char *source)
{
    return bench_logit_kind_find(source) != NULL;
}

float bench_rows_value(const bench_rows *rows, size_t row, size_t index)
{
    return value_of(rows->data + row * rows->row_bytes, rows->dtype, index);
}

void bench_rows_describe(const bench_rows *rows)
{
    double used = (double)(rows->rotation * rows->row_bytes);
    const char *where = "memory";
    if (used <= (double)bench_cache_bytes(3))
        where = "third-level cache";
    if (used <= (double)bench_cache_bytes(2))
        where = "second-level cache";
    float *x = malloc(rows->n_vocab * sizeof *x);
    double entropy = 0;
    size_t nucleus = 0;
    for (size_t i = 0; x && i < rows->n_vocab; i++)
        x[i] = bench_rows_value(rows, 0, i);
    if (x)
        entropy = bench_entropy(x, rows->n_vocab, &nucleus);
    free(x);
    printf("\n%s, V = %u, %s: %zu row%s, %zu at a time (%.2f MB: %s); first row: entropy %.2f "
           "nats, %zu tokens hold 0.95\n",
           rows->name, (unsigned)rows->n_vocab, pluck_dtype_name(rows->dtype), rows->n_rows,
           rows->n_rows == 1 ? "" : "s", rows->rotation, used * 1e-6, where, entropy, nucleus);
}
