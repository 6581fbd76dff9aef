/*
 * Dumps of any content. The first three bytes choose the options, the rest is the file. It is
 * opened as a file and as a stream, and every row is read both ways: nothing may be touched outside
 * of the content, and the two must agree on rows, targets and failures. A stream may refuse what a
 * file cannot: Fortran order, .safetensors and .npz; and what a file refuses, a stream must refuse
 * by its last row.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dump/reader.h"

enum { PREFIX_BYTES = 3, MAX_SCRATCH_VALUES = 1 << 16, N_FORMATS = PLUCK_DUMP_JSON + 1 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what, const pluck_error *err)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    abort();
}

static void check_error(pluck_status status, const pluck_error *err)
{
    if (status == PLUCK_OK)
        return;
    require(status == PLUCK_ERR_FORMAT || status == PLUCK_ERR_INVALID, "unexpected status", err);
    require(err->status == status && err->message[0] != '\0' &&
                strlen(err->message) < sizeof err->message,
            "no message", err);
}

static bool same_row(const pluck_dump_row *a, const pluck_dump_row *b)
{
    pluck_logits x = a->logits, y = b->logits;
    return y.data && x.dtype == y.dtype && x.n_vocab == y.n_vocab && a->target == b->target &&
           memcmp(x.data, y.data, x.n_vocab * pluck_dtype_size_bytes(x.dtype)) == 0;
}

static unsigned sum_bytes(const pluck_logits *logits)
{
    unsigned sum = 0;
    for (size_t i = 0; i < logits->n_vocab * pluck_dtype_size_bytes(logits->dtype); i++)
        sum += ((const uint8_t *)logits->data)[i];
    return sum;
}

/* Every byte that a file gives, and the same from a stream, if that is open: row by row, bit by
 * bit, up to the first failure of both. */
static void read_rows(pluck_dump *mapped, pluck_dump *streamed)
{
    pluck_dump_info info = PLUCK_INIT(pluck_dump_info);
    pluck_error err = {0}, stream_err = {0};
    require(pluck_dump_get_info(mapped, &info, &err) == PLUCK_OK, "no info", &err);
    unsigned sum = 0;
    if (info.n_vocab > MAX_SCRATCH_VALUES)
        return;
    float *scratch = malloc(2 * info.n_vocab * sizeof *scratch);
    for (uint64_t row = 0; row < info.n_rows && scratch; row++) {
        pluck_dump_row a = {.struct_size = sizeof a, .target = -2};
        pluck_dump_row b = {.struct_size = sizeof b, .target = -2};
        pluck_status status = pluck_dump_read(mapped, row, scratch, &a, &err);
        check_error(status, &err);
        if (streamed)
            require(pluck_dump_read(streamed, row, scratch + info.n_vocab, &b, &stream_err) ==
                        status,
                    "the stream ends otherwise than the file", &stream_err);
        if (status != PLUCK_OK)
            break;
        require(!streamed || same_row(&a, &b), "rows differ", &stream_err);
        require(a.target >= PLUCK_NO_TOKEN && a.target < (pluck_token)info.n_vocab, "target", &err);
        sum += sum_bytes(&a.logits);
        pluck_dump_release(mapped, row);
    }
    free(scratch);
    require(sum != UINT32_MAX, "cannot happen: content is small", &err);
}

/* The stream of a file that was refused: an error must come. */
static void read_to_error(pluck_dump *dump)
{
    pluck_dump_info info = PLUCK_INIT(pluck_dump_info);
    pluck_error err = {0};
    pluck_dump_row read = {.struct_size = sizeof read, .logits.data = &err};
    require(pluck_dump_get_info(dump, &info, &err) == PLUCK_OK, "no info", &err);
    pluck_status status = PLUCK_OK;
    if (info.n_vocab > MAX_SCRATCH_VALUES)
        return;
    float *scratch = malloc(info.n_vocab * sizeof *scratch);
    for (uint64_t row = 0; scratch && status == PLUCK_OK; row++) {
        require(row < info.n_rows, "the stream accepts what the file refuses", &err);
        status = pluck_dump_read(dump, row, scratch, &read, &err);
        /* How many rows of JSON there are is not known before; a file is refused for its first. */
        require(read.logits.data != NULL, "the stream ends well, the file is refused", &err);
    }
    check_error(status, &err);
    free(scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const tensors[] = {NULL, "a", "logits", ""};
    if (size < PREFIX_BYTES)
        return 0;
    pluck_dump_options options = {
        .struct_size = sizeof options,
        .format = (pluck_dump_format)(data[0] % N_FORMATS),
        .raw_dtype = (pluck_dtype)(data[0] / N_FORMATS % 3),
        .raw_n_vocab = data[1],
        .tensor = tensors[data[2] % 4],
    };
    size_t content_size = size - PREFIX_BYTES;
    uint8_t *content = malloc(content_size != 0 ? content_size : 1);
    if (!content)
        return 0;
    memcpy(content, data + PREFIX_BYTES, content_size);

    pluck_dump *mapped = NULL, *streamed = NULL;
    pluck_error err = {0}, stream_err = {0};
    pluck_status status =
        plk_dump_open_memory(&mapped, "file", content, content_size, false, &options, &err);
    pluck_status stream_status = plk_dump_open_memory(&streamed, "stream", content, content_size,
                                                      true, &options, &stream_err);
    check_error(status, &err);
    check_error(stream_status, &stream_err);
    if (mapped)
        read_rows(mapped, streamed);
    else if (streamed)
        read_to_error(streamed);
    if (mapped && !streamed)
        require(mapped->layout.fortran || mapped->info.format == PLUCK_DUMP_SAFETENSORS ||
                    mapped->info.format == PLUCK_DUMP_NPZ ||
                    mapped->info.format == PLUCK_DUMP_TORCH,
                "the stream is refused, the file is not", &stream_err);
    pluck_dump_destroy(&mapped);
    pluck_dump_destroy(&streamed);
    free(content);
    return 0;
}
