/*
 * The base file of llama.cpp's KL-divergence measurement (llama-perplexity --kl-divergence-base):
 * log-probabilities of the second half of each chunk of a text, and the text as tokens.
 *
 * Byte by byte, all little-endian (llama.cpp, tools/perplexity/perplexity.cpp):
 *
 *   0    8                    "_logits_"
 *   8    i32                  n_ctx, the tokens of a chunk
 *   12   i32                  n_vocab
 *   16   i32                  n_chunk
 *   20   i32 x n_ctx n_chunk  the tokens of the text
 *   ...  rows                 n_chunk x (n_ctx - 1 - n_ctx / 2) of them, each
 *          f32                scale
 *          f32                minimum
 *          u16 x n_vocab      codes, and one more that means nothing if n_vocab is odd
 *
 * ln p = minimum + scale * code. The writer cuts 16 below the largest logit: all that is below is
 * stored as code 0, so that a row sums to slightly more than 1. Row r of chunk c is what the model
 * said after token n_ctx / 2 + r of the chunk; its target is the token after that.
 *
 * A row is decoded into the caller's scratch in double, so that it is rounded once. Of a stream the
 * tokens are kept, in memory that grows as they really arrive, and one encoded row.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "dump/reader.h"

enum { HEADER_BYTES = 20, ROW_PREFIX_BYTES = 8, FIRST_TOKENS = 1 << 14 };

static const char magic[] = "_logits_";

typedef struct kl_file {
    uint32_t n_ctx, n_chunk;
    uint32_t first;        /* position in its chunk of the first row */
    uint64_t rows_a_chunk; /* at least 1 */
    uint64_t row_size_bytes;
    uint64_t rows_offset;

    /* Of a stream. */
    uint8_t *tokens; /* as they are stored */
    uint8_t *row;    /* one, encoded */
    uint64_t next_row;
    pluck_status failure; /* of an earlier read */
} kl_file;

static bool sniff(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options)
{
    (void)options;
    return size_bytes >= sizeof magic - 1 && memcmp(bytes, magic, sizeof magic - 1) == 0;
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)plk_read_little(bytes, 4);
}

static float read_f32(const uint8_t *bytes)
{
    uint32_t bits = read_u32(bytes);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static pluck_status parse_header(const plk_source *source, const uint8_t *bytes, size_t available,
                                 kl_file *kl, uint32_t *n_vocab, pluck_error *err)
{
    if (available < HEADER_BYTES || memcmp(bytes, magic, sizeof magic - 1) != 0)
        return plk_fail(
            err, PLUCK_ERR_FORMAT,
            "%s: is not a KL-divergence base file: expected a header of %d bytes: _logits_ and "
            "three numbers",
            source->label, HEADER_BYTES);
    kl->n_ctx = read_u32(bytes + 8);
    *n_vocab = read_u32(bytes + 12);
    kl->n_chunk = read_u32(bytes + 16);
    if (kl->n_ctx < 3 || kl->n_ctx > INT32_MAX)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: n_ctx %d at byte 8: expected 3 or more tokens per chunk",
                        source->label, (int)((int32_t)kl->n_ctx));
    if (*n_vocab < 1 || *n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: n_vocab %d at byte 12: expected 1 to %u",
                        source->label, (int)((int32_t)*n_vocab), (unsigned)PLUCK_MAX_VOCAB);
    if (kl->n_chunk < 1 || kl->n_chunk > INT32_MAX)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: n_chunk %d at byte 16: expected 1 or more",
                        source->label, (int)((int32_t)kl->n_chunk));
    kl->first = kl->n_ctx / 2;
    kl->rows_a_chunk = kl->n_ctx - 1 - kl->first;
    kl->row_size_bytes = ROW_PREFIX_BYTES + 4 * (((uint64_t)*n_vocab + 1) / 2);
    kl->rows_offset = HEADER_BYTES + (uint64_t)4 * kl->n_ctx * kl->n_chunk;
    return PLUCK_OK;
}

/* At most 2^61 rows of at most 2^26 bytes: the product may overflow. */
static pluck_status check_size(const plk_source *source, const kl_file *kl, uint64_t n_rows,
                               pluck_error *err)
{
    uint64_t needed = 0;
    bool fits =
        plk_mul_u64(n_rows, kl->row_size_bytes, &needed) && needed <= UINT64_MAX - kl->rows_offset;
    if (fits && needed + kl->rows_offset == source->size_bytes)
        return PLUCK_OK;
    uint64_t there = source->size_bytes < kl->rows_offset
                         ? 0
                         : (source->size_bytes - kl->rows_offset) / kl->row_size_bytes;
    if (fits && needed + kl->rows_offset < source->size_bytes)
        return plk_fail(
            err, PLUCK_ERR_FORMAT, "%s: oversized: %llu rows end at byte %llu, the file has %llu",
            source->label, (unsigned long long)n_rows,
            (unsigned long long)(needed + kl->rows_offset), (unsigned long long)source->size_bytes);
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: truncated: %u chunks of %u tokens have %llu rows of %llu bytes from "
                    "offset %llu, the file has %llu",
                    source->label, (unsigned)kl->n_chunk, (unsigned)kl->n_ctx,
                    (unsigned long long)n_rows, (unsigned long long)kl->row_size_bytes,
                    (unsigned long long)kl->rows_offset, (unsigned long long)there);
}

/* The tokens of a stream, into memory that is never larger than twice what has arrived. */
static pluck_status read_tokens(pluck_dump *dump, kl_file *kl, pluck_error *err)
{
    uint64_t wanted = kl->rows_offset - HEADER_BYTES;
    size_t capacity = 0, used = 0, n = 0;
    while (used < wanted) {
        size_t larger = capacity != 0 ? 2 * capacity : 4 * FIRST_TOKENS;
        pluck_status status = plk_grow(&dump->allocator, &kl->tokens, &capacity,
                                       larger < wanted ? larger : (size_t)wanted, 1, err);
        if (status != PLUCK_OK)
            return status;
        size_t more = (size_t)(capacity < wanted ? capacity : wanted) - used;
        status = plk_source_read(&dump->source, kl->tokens + used, more, &n, err);
        if (status != PLUCK_OK)
            return status;
        used += n;
        if (n < more)
            return plk_fail(
                err, PLUCK_ERR_FORMAT,
                "%s: truncated: the stream ended at offset %llu, within its %llu tokens",
                dump->source.label, (unsigned long long)(HEADER_BYTES + used),
                (unsigned long long)(wanted / 4));
    }
    kl->row = plk_alloc(&dump->allocator, (size_t)kl->row_size_bytes, 1);
    return kl->row ? PLUCK_OK : plk_fail_nomem(err, (size_t)kl->row_size_bytes);
}

static pluck_status open_base(pluck_dump *dump, const pluck_dump_options *options, pluck_error *err)
{
    (void)options;
    plk_source *source = &dump->source;
    const uint8_t *bytes = NULL;
    size_t available = 0;
    uint32_t n_vocab = 0;
    kl_file *kl = dump->own;
    pluck_status status = plk_source_peek(source, HEADER_BYTES, &bytes, &available, err);
    if (status == PLUCK_OK)
        status = parse_header(source, bytes, available, kl, &n_vocab, err);
    if (status != PLUCK_OK)
        return status;
    uint64_t n_rows = kl->n_chunk * kl->rows_a_chunk;
    if (source->streamed) {
        size_t n_read = 0;
        status = plk_source_read(source, NULL, HEADER_BYTES, &n_read, err);
        if (status == PLUCK_OK)
            status = read_tokens(dump, kl, err);
    } else {
        status = check_size(source, kl, n_rows, err);
    }
    dump->info.n_rows = n_rows;
    dump->info.n_vocab = n_vocab;
    dump->info.dtype = PLUCK_F32;
    dump->info.stored_dtype = "u16";
    dump->info.has_targets = true;
    dump->layout.shape = (plk_shape){.n_axes = 3, .axes = {kl->n_chunk, kl->rows_a_chunk, n_vocab}};
    dump->info.n_axes = dump->layout.shape.n_axes;
    dump->info.axes = dump->layout.shape.axes;
    return status;
}

/* The next row of the stream, into kl->row. */
static pluck_status read_stream_row(plk_source *source, kl_file *kl, uint64_t n_rows,
                                    pluck_error *err)
{
    uint8_t after = 0;
    size_t n = 0;
    pluck_status status = plk_source_read(source, kl->row, (size_t)kl->row_size_bytes, &n, err);
    if (status != PLUCK_OK)
        return status;
    if (n < kl->row_size_bytes)
        return plk_fail(
            err, PLUCK_ERR_FORMAT,
            "%s: truncated: the stream ended %zu bytes into row %llu of %llu, which has %llu bytes",
            source->label, n, (unsigned long long)kl->next_row, (unsigned long long)n_rows,
            (unsigned long long)kl->row_size_bytes);
    if (++kl->next_row < n_rows)
        return PLUCK_OK;
    status = plk_source_read(source, &after, 1, &n, err);
    if (status != PLUCK_OK || n == 0)
        return status;
    return plk_fail(err, PLUCK_ERR_FORMAT, "%s: oversized: bytes follow the %llu rows",
                    source->label, (unsigned long long)n_rows);
}

static pluck_status advance_to(pluck_dump *dump, kl_file *kl, uint64_t row, pluck_error *err)
{
    pluck_status status = plk_check_stream(&dump->source, kl->failure, kl->next_row, row, err);
    if (status != PLUCK_OK)
        return status;
    while (kl->next_row <= row && kl->failure == PLUCK_OK)
        kl->failure = read_stream_row(&dump->source, kl, dump->info.n_rows, err);
    return kl->failure;
}

static pluck_status decode(const pluck_dump *dump, uint64_t row, const uint8_t *bytes,
                           float *scratch, pluck_error *err)
{
    double scale = (double)read_f32(bytes), minimum = (double)read_f32(bytes + 4);
    const uint8_t *code = bytes + ROW_PREFIX_BYTES;
    if (!isfinite(scale) || !isfinite(minimum) || scale < 0.0)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: row %llu has the scale %g and the minimum %g: expected a scale of 0 "
                        "or more, and finite numbers",
                        dump->source.label, (unsigned long long)row, scale, minimum);
    for (size_t i = 0; i < dump->info.n_vocab; i++, code += 2)
        scratch[i] = (float)(minimum + scale * (double)(code[0] | code[1] << 8));
    return PLUCK_OK;
}

static pluck_status find_target(pluck_dump *dump, const kl_file *kl, uint64_t row,
                                pluck_token *target, pluck_error *err)
{
    uint64_t index = row / kl->rows_a_chunk * kl->n_ctx + kl->first + row % kl->rows_a_chunk + 1;
    const uint8_t *bytes = dump->source.streamed ? kl->tokens + 4 * index
                                                 : dump->source.bytes + HEADER_BYTES + 4 * index;
    uint32_t token = read_u32(bytes);
    if (token >= dump->info.n_vocab)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: token %d at byte %llu is outside the vocabulary of %u tokens",
                        dump->source.label, (int)((int32_t)token),
                        (unsigned long long)(HEADER_BYTES + 4 * index),
                        (unsigned)dump->info.n_vocab);
    *target = (pluck_token)token;
    return PLUCK_OK;
}

static pluck_status read_row(pluck_dump *dump, uint64_t row, float *scratch, pluck_dump_row *out,
                             pluck_error *err)
{
    kl_file *kl = dump->own;
    const uint8_t *bytes = kl->row;
    pluck_status status = PLUCK_OK;
    if (dump->source.streamed)
        status = advance_to(dump, kl, row, err);
    else
        bytes = plk_source_at(&dump->source, kl->rows_offset + row * kl->row_size_bytes,
                              (size_t)kl->row_size_bytes);
    if (status == PLUCK_OK)
        status = decode(dump, row, bytes, scratch, err);
    if (status == PLUCK_OK)
        status = find_target(dump, kl, row, &out->target, err);
    return status;
}

static void release_rows(pluck_dump *dump, uint64_t row)
{
    const kl_file *kl = dump->own;
    uint64_t n = row < dump->info.n_rows ? row : dump->info.n_rows;
    if (!dump->source.streamed)
        plk_source_release(&dump->source, kl->rows_offset + n * kl->row_size_bytes);
}

static void close_base(pluck_dump *dump)
{
    kl_file *kl = dump->own;
    plk_free(&dump->allocator, kl->tokens);
    plk_free(&dump->allocator, kl->row);
}

const plk_dump_reader plk_dump_llama_kl = {
    .format = PLUCK_DUMP_LLAMA_KL,
    .name = "llama-kl",
    .recognised = "a KL-divergence base of llama.cpp",
    .needs_scratch = true,
    .own_bytes = sizeof(kl_file),
    .sniff = sniff,
    .open = open_base,
    .read = read_row,
    .release = release_rows,
    .close = close_base,
};
