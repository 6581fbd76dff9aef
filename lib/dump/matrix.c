/*
 * Rows of a matrix. Three ways to one: a pointer into the mapped file, if the values are usable as
 * they are; a conversion or, for Fortran order, a gather into the caller's scratch; the next bytes
 * of a stream into the caller's scratch. scratch has room for n_vocab floats, so values of 2 and of
 * 4 bytes are read into it as they come; f64 passes through a small buffer.
 */
#include "dump/matrix.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "file/array_file.h"

enum { GATHER_COLUMNS = 1024, STREAM_VALUES = 1024 };

pluck_status plk_matrix_set_shape(plk_matrix *matrix, const plk_shape *shape, const char *where,
                                  pluck_error *err)
{
    char text[PLK_SHAPE_TEXT_BYTES];
    if (shape->n_axes == 0)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: shape () is a single value, expected rows of logits", where);
    uint64_t n_vocab = shape->axes[shape->n_axes - 1];
    if (n_vocab < 1 || n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: the last axis of shape %s is the vocabulary and must be 1 to %u",
                        where, plk_shape_text(shape, text), (unsigned)PLUCK_MAX_VOCAB);
    for (size_t i = 0; i + 1 < shape->n_axes; i++)
        if (shape->axes[i] == 0)
            return plk_fail(err, PLUCK_ERR_FORMAT, "%s: has no rows: its shape is %s", where,
                            plk_shape_text(shape, text));
    uint64_t n_rows = 1, n_bytes = 0;
    bool fits = true;
    for (size_t i = 0; i + 1 < shape->n_axes && fits; i++)
        fits = plk_mul_u64(n_rows, shape->axes[i], &n_rows);
    uint64_t row_size_bytes = n_vocab * plk_stored_size_bytes(matrix->type);
    if (!fits || !plk_mul_u64(n_rows, row_size_bytes, &n_bytes) || n_bytes > INT64_MAX)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: shape %s is larger than any file", where,
                        plk_shape_text(shape, text));
    matrix->shape = *shape;
    matrix->n_rows = n_rows;
    matrix->n_vocab = (uint32_t)n_vocab;
    matrix->row_size_bytes = row_size_bytes;
    return PLUCK_OK;
}

pluck_status plk_matrix_read_header(plk_matrix *matrix, plk_source *source, pluck_dtype as,
                                    const char *where, size_t *header_size_bytes, pluck_error *err)
{
    plk_npy_fields fields;
    plk_stored_values values = {0};
    pluck_status status = plk_npy_header_read(source, where, &fields, header_size_bytes, err);
    if (status == PLUCK_OK)
        status = plk_npy_float_values(&fields, as, where, &values, err);
    if (status != PLUCK_OK)
        return status;
    matrix->type = values.type;
    matrix->swapped = values.swapped;
    memcpy(matrix->stored_dtype, values.name, sizeof matrix->stored_dtype);
    status = plk_matrix_set_shape(matrix, &fields.shape, where, err);
    /* With one row, both orders are the same. */
    matrix->fortran = status == PLUCK_OK && fields.fortran && matrix->n_rows > 1;
    return status;
}

pluck_status plk_matrix_check_size(const plk_matrix *matrix, uint64_t available_bytes,
                                   const char *where, pluck_error *err)
{
    uint64_t needed = matrix->n_rows * matrix->row_size_bytes;
    if (needed == available_bytes)
        return PLUCK_OK;
    return plk_fail(
        err, PLUCK_ERR_FORMAT,
        "%s: %s: %llu x %u values of %s need %llu bytes from offset %llu, the file has %llu", where,
        available_bytes < needed ? "truncated" : "oversized", (unsigned long long)matrix->n_rows,
        (unsigned)matrix->n_vocab, matrix->stored_dtype, (unsigned long long)needed,
        (unsigned long long)matrix->offset_bytes, (unsigned long long)available_bytes);
}

/* The number of the first value of a row in Fortran order: rows are counted with the last leading
 * axis fastest, the values are stored with the first axis fastest. */
static uint64_t fortran_start(const plk_matrix *matrix, uint64_t row)
{
    uint64_t start = 0, stride = matrix->n_rows;
    for (size_t axis = matrix->shape.n_axes - 1; axis-- > 0;) {
        uint64_t size = matrix->shape.axes[axis];
        stride /= size;
        start += row % size * stride;
        row /= size;
    }
    return start;
}

static void gather(const plk_matrix *matrix, plk_source *source, uint64_t row, float *scratch)
{
    size_t size = plk_stored_size_bytes(matrix->type);
    size_t given = pluck_dtype_size_bytes(plk_stored_dtype(matrix->type));
    uint64_t stride = matrix->n_rows * size;
    const uint8_t *first = source->bytes + matrix->offset_bytes + fortran_start(matrix, row) * size;
    for (size_t column = 0; column < matrix->n_vocab; column += GATHER_COLUMNS) {
        size_t left = matrix->n_vocab - column;
        size_t n = left < GATHER_COLUMNS ? left : GATHER_COLUMNS;
        plk_convert(first + column * stride, stride, n, matrix->type, matrix->swapped,
                    (uint8_t *)scratch + column * given);
        plk_source_scattered(source, n, stride);
    }
}

static pluck_status fail_scratch(const plk_source *source, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_INVALID,
                    "%s: scratch is NULL, but rows of this dump have to be copied", source->label);
}

static pluck_status read_mapped(const plk_matrix *matrix, plk_source *source, uint64_t row,
                                float *scratch, pluck_logits *logits, pluck_error *err)
{
    bool direct = !matrix->fortran && !matrix->swapped && matrix->type != PLK_STORED_F64;
    if (!direct && !scratch)
        return fail_scratch(source, err);
    logits->data = scratch;
    if (matrix->fortran) {
        gather(matrix, source, row, scratch);
        return PLUCK_OK;
    }
    const uint8_t *bytes =
        plk_source_at(source, matrix->offset_bytes + row * matrix->row_size_bytes,
                      (size_t)matrix->row_size_bytes);
    if (direct)
        logits->data = bytes;
    else
        plk_convert(bytes, plk_stored_size_bytes(matrix->type), matrix->n_vocab, matrix->type,
                    matrix->swapped, scratch);
    return PLUCK_OK;
}

/* The next row into scratch (NULL: skipped); *n_read < row_size_bytes only at the end of the
 * stream. */
static pluck_status read_stream_row(const plk_matrix *matrix, plk_source *source, float *scratch,
                                    size_t *n_read, pluck_error *err)
{
    size_t size = plk_stored_size_bytes(matrix->type);
    if (!scratch || matrix->type != PLK_STORED_F64) {
        pluck_status status =
            plk_source_read(source, scratch, (size_t)matrix->row_size_bytes, n_read, err);
        if (scratch && matrix->swapped)
            plk_convert((const uint8_t *)scratch, size, *n_read / size, matrix->type, true,
                        scratch);
        return status;
    }
    uint8_t values[STREAM_VALUES * sizeof(double)];
    *n_read = 0;
    for (size_t column = 0; column < matrix->n_vocab; column += STREAM_VALUES) {
        size_t left = matrix->n_vocab - column;
        size_t wanted = (left < STREAM_VALUES ? left : STREAM_VALUES) * size, n = 0;
        pluck_status status = plk_source_read(source, values, wanted, &n, err);
        *n_read += n;
        if (status != PLUCK_OK || n < wanted)
            return status;
        plk_convert(values, size, wanted / size, matrix->type, matrix->swapped, scratch + column);
    }
    return PLUCK_OK;
}

/* After the last row: a stream that goes on is not what its header says. */
static pluck_status check_end(const plk_matrix *matrix, plk_source *source, pluck_error *err)
{
    uint8_t byte = 0;
    size_t n = 0;
    pluck_status status = plk_source_read(source, &byte, 1, &n, err);
    if (status != PLUCK_OK || n == 0)
        return status;
    return plk_fail(
        err, PLUCK_ERR_FORMAT,
        "%s: oversized: bytes follow the %llu x %u values of %s, at offset %llu", source->label,
        (unsigned long long)matrix->n_rows, (unsigned)matrix->n_vocab, matrix->stored_dtype,
        (unsigned long long)(matrix->offset_bytes + matrix->n_rows * matrix->row_size_bytes));
}

static pluck_status fail_stream_end(const plk_matrix *matrix, const plk_source *source,
                                    size_t n_read, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: truncated: the stream ended at offset %llu, %zu bytes into row %llu, "
                    "which has %llu bytes (%u values of %s)",
                    source->label,
                    (unsigned long long)(matrix->offset_bytes +
                                         matrix->next_row * matrix->row_size_bytes + n_read),
                    n_read, (unsigned long long)matrix->next_row,
                    (unsigned long long)matrix->row_size_bytes, (unsigned)matrix->n_vocab,
                    matrix->stored_dtype);
}

/* Reads rows up to and including row, unless the stream ends on the way. */
static pluck_status advance_to(plk_matrix *matrix, plk_source *source, uint64_t row, float *scratch,
                               pluck_error *err)
{
    while (!matrix->ended && matrix->next_row <= row) {
        size_t n_read = 0;
        pluck_status status =
            read_stream_row(matrix, source, matrix->next_row == row ? scratch : NULL, &n_read, err);
        if (status != PLUCK_OK)
            return status;
        if (n_read == 0 && matrix->n_rows == UINT64_MAX) {
            matrix->ended = true;
        } else if (n_read < matrix->row_size_bytes) {
            return fail_stream_end(matrix, source, n_read, err);
        } else if (++matrix->next_row == matrix->n_rows) {
            matrix->ended = true;
            return check_end(matrix, source, err);
        }
    }
    return PLUCK_OK;
}

static pluck_status read_stream(plk_matrix *matrix, plk_source *source, uint64_t row,
                                float *scratch, pluck_logits *logits, pluck_error *err)
{
    if (!scratch)
        return fail_scratch(source, err);
    if (matrix->failure != PLUCK_OK)
        return plk_fail(err, matrix->failure, "%s: the stream has failed before, at row %llu",
                        source->label, (unsigned long long)matrix->next_row);
    if (row < matrix->next_row)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: row %llu of a stream has passed; the next one is %llu", source->label,
                        (unsigned long long)row, (unsigned long long)matrix->next_row);
    matrix->failure = advance_to(matrix, source, row, scratch, err);
    if (matrix->failure != PLUCK_OK)
        return matrix->failure;
    logits->data = matrix->next_row > row ? scratch : NULL;
    return PLUCK_OK;
}

pluck_status plk_matrix_read(plk_matrix *matrix, plk_source *source, uint64_t row, float *scratch,
                             pluck_logits *logits, pluck_error *err)
{
    if (row >= matrix->n_rows)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: row %llu is past the last one: there are %llu",
                        source->label, (unsigned long long)row, (unsigned long long)matrix->n_rows);
    pluck_logits read = {NULL, plk_stored_dtype(matrix->type), matrix->n_vocab};
    pluck_status status = source->streamed ? read_stream(matrix, source, row, scratch, &read, err)
                                           : read_mapped(matrix, source, row, scratch, &read, err);
    if (status == PLUCK_OK)
        *logits = read;
    return status;
}

void plk_matrix_release(const plk_matrix *matrix, plk_source *source, uint64_t row)
{
    if (source->streamed || matrix->fortran)
        return;
    uint64_t n = row < matrix->n_rows ? row : matrix->n_rows;
    plk_source_release(source, matrix->offset_bytes + n * matrix->row_size_bytes);
}
