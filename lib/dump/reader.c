/*
 * Rows of one array. A row is read in one of three ways: as a pointer into the mapped file, if the
 * values are usable as they are, by a conversion (in Fortran order a gather) into the caller's
 * scratch, or as the next bytes of a stream, also into scratch. scratch has room for n_vocab
 * floats, so values of 2 and of 4 bytes are read into it as they come; f64 passes through a small
 * buffer.
 */
#include "dump/reader.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "file/array_file.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { GATHER_COLUMNS = 1024, STREAM_VALUES = 1024 };

pluck_status plk_layout_set_shape(plk_row_layout *layout, const plk_shape *shape, const char *where,
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
    uint64_t n_rows = 0, n_bytes = 0;
    bool fits = plk_count_values(shape->axes, shape->n_axes - 1, 1, &n_rows);
    uint64_t row_size_bytes = n_vocab * plk_stored_size_bytes(layout->type);
    if (!fits || !plk_mul_u64(n_rows, row_size_bytes, &n_bytes) || n_bytes > INT64_MAX)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: shape %s is larger than any file", where,
                        plk_shape_text(shape, text));
    layout->shape = *shape;
    layout->n_rows = n_rows;
    layout->n_vocab = (uint32_t)n_vocab;
    layout->row_size_bytes = row_size_bytes;
    return PLUCK_OK;
}

pluck_status plk_layout_read_header(plk_row_layout *layout, plk_source *source, pluck_dtype as,
                                    const char *where, size_t *header_size_bytes, pluck_error *err)
{
    plk_npy_fields fields;
    plk_stored_values values = {0};
    pluck_status status = plk_npy_header_read(source, where, &fields, header_size_bytes, err);
    if (status == PLUCK_OK)
        status = plk_npy_float_values(&fields, as, where, &values, err);
    if (status != PLUCK_OK)
        return status;
    layout->type = values.type;
    layout->swapped = values.swapped;
    memcpy(layout->stored_dtype, values.name, sizeof layout->stored_dtype);
    status = plk_layout_set_shape(layout, &fields.shape, where, err);
    /* With one row, both orders are the same. */
    layout->fortran = status == PLUCK_OK && fields.fortran && layout->n_rows > 1;
    return status;
}

pluck_status plk_layout_check_size(const plk_row_layout *layout, uint64_t available_bytes,
                                   const char *where, pluck_error *err)
{
    uint64_t needed = layout->n_rows * layout->row_size_bytes;
    if (needed == available_bytes)
        return PLUCK_OK;
    return plk_fail(
        err, PLUCK_ERR_FORMAT,
        "%s: %s: %llu x %u values of %s need %llu bytes from offset %llu, the file has %llu", where,
        available_bytes < needed ? "truncated" : "oversized", (unsigned long long)layout->n_rows,
        (unsigned)layout->n_vocab, layout->stored_dtype, (unsigned long long)needed,
        (unsigned long long)layout->offset_bytes, (unsigned long long)available_bytes);
}

/* The number of the first value of a row in Fortran order: rows are counted with the last leading
 * axis fastest, the values are stored with the first axis fastest. */
static uint64_t fortran_start(const plk_row_layout *layout, uint64_t row)
{
    uint64_t start = 0, stride = layout->n_rows;
    for (size_t axis = layout->shape.n_axes - 1; axis-- > 0;) {
        uint64_t size = layout->shape.axes[axis];
        stride /= size;
        start += row % size * stride;
        row /= size;
    }
    return start;
}

static void gather(const plk_row_layout *layout, plk_source *source, uint64_t row, float *scratch)
{
    size_t size = plk_stored_size_bytes(layout->type);
    size_t given = pluck_dtype_size_bytes(plk_stored_dtype(layout->type));
    uint64_t stride = layout->n_rows * size;
    const uint8_t *first = source->bytes + layout->offset_bytes + fortran_start(layout, row) * size;
    for (size_t column = 0; column < layout->n_vocab; column += GATHER_COLUMNS) {
        size_t left = layout->n_vocab - column;
        size_t n = left < GATHER_COLUMNS ? left : GATHER_COLUMNS;
        plk_convert(first + column * stride, stride, n, layout->type, layout->swapped,
                    (uint8_t *)scratch + column * given);
        plk_source_scattered(source, n, stride);
    }
}

pluck_status plk_fail_scratch(const plk_source *source, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_INVALID,
                    "%s: scratch is NULL, but rows of this dump have to be copied; pass a buffer "
                    "of n_vocab floats",
                    source->label);
}

pluck_status plk_check_stream(const plk_source *source, pluck_status failure, uint64_t next_row,
                              uint64_t row, pluck_error *err)
{
    if (failure != PLUCK_OK)
        return plk_fail(
            err, failure,
            "%s: the stream has failed before, at row %llu; nothing more can be read from it",
            source->label, (unsigned long long)next_row);
    if (row < next_row)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: row %llu of a stream has passed; the next one is %llu, and earlier "
                        "rows cannot be read again",
                        source->label, (unsigned long long)row, (unsigned long long)next_row);
    return PLUCK_OK;
}

static pluck_status read_mapped(const plk_row_layout *layout, plk_source *source, uint64_t row,
                                float *scratch, pluck_logits *logits, pluck_error *err)
{
    bool direct = !layout->fortran && !layout->swapped && layout->type != PLK_STORED_F64;
    if (!direct && !scratch)
        return plk_fail_scratch(source, err);
    logits->data = scratch;
    if (layout->fortran) {
        gather(layout, source, row, scratch);
        return PLUCK_OK;
    }
    const uint8_t *bytes =
        plk_source_at(source, layout->offset_bytes + row * layout->row_size_bytes,
                      (size_t)layout->row_size_bytes);
    if (direct)
        logits->data = bytes;
    else
        plk_convert(bytes, plk_stored_size_bytes(layout->type), layout->n_vocab, layout->type,
                    layout->swapped, scratch);
    return PLUCK_OK;
}

/* The next row into scratch (NULL: skipped); *n_read < row_size_bytes only at the end of the
 * stream. */
static pluck_status read_stream_row(const plk_row_layout *layout, plk_source *source,
                                    float *scratch, size_t *n_read, pluck_error *err)
{
    size_t size = plk_stored_size_bytes(layout->type);
    if (!scratch || layout->type != PLK_STORED_F64) {
        pluck_status status =
            plk_source_read(source, scratch, (size_t)layout->row_size_bytes, n_read, err);
        if (scratch && layout->swapped)
            plk_convert((const uint8_t *)scratch, size, *n_read / size, layout->type, true,
                        scratch);
        return status;
    }
    uint8_t values[STREAM_VALUES * sizeof(double)];
    *n_read = 0;
    for (size_t column = 0; column < layout->n_vocab; column += STREAM_VALUES) {
        size_t left = layout->n_vocab - column;
        size_t wanted = (left < STREAM_VALUES ? left : STREAM_VALUES) * size, n = 0;
        pluck_status status = plk_source_read(source, values, wanted, &n, err);
        *n_read += n;
        if (status != PLUCK_OK || n < wanted)
            return status;
        plk_convert(values, size, wanted / size, layout->type, layout->swapped, scratch + column);
    }
    return PLUCK_OK;
}

/* After the last row: a stream that goes on is not what its header says. */
static pluck_status check_end(const plk_row_layout *layout, plk_source *source, pluck_error *err)
{
    uint8_t byte = 0;
    size_t n = 0;
    pluck_status status = plk_source_read(source, &byte, 1, &n, err);
    if (status != PLUCK_OK || n == 0)
        return status;
    return plk_fail(
        err, PLUCK_ERR_FORMAT,
        "%s: oversized: bytes follow the %llu x %u values of %s, at offset %llu", source->label,
        (unsigned long long)layout->n_rows, (unsigned)layout->n_vocab, layout->stored_dtype,
        (unsigned long long)(layout->offset_bytes + layout->n_rows * layout->row_size_bytes));
}

static pluck_status fail_stream_end(const plk_row_layout *layout, const plk_source *source,
                                    size_t n_read, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: truncated: the stream ended at offset %llu, %zu bytes into row %llu, "
                    "which has %llu bytes (%u values of %s)",
                    source->label,
                    (unsigned long long)(layout->offset_bytes +
                                         layout->next_row * layout->row_size_bytes + n_read),
                    n_read, (unsigned long long)layout->next_row,
                    (unsigned long long)layout->row_size_bytes, (unsigned)layout->n_vocab,
                    layout->stored_dtype);
}

/* Reads rows up to and including row, unless the stream ends on the way. */
static pluck_status advance_to(plk_row_layout *layout, plk_source *source, uint64_t row,
                               float *scratch, pluck_error *err)
{
    while (!layout->ended && layout->next_row <= row) {
        size_t n_read = 0;
        pluck_status status =
            read_stream_row(layout, source, layout->next_row == row ? scratch : NULL, &n_read, err);
        if (status != PLUCK_OK)
            return status;
        if (n_read == 0 && layout->n_rows == UINT64_MAX) {
            layout->ended = true;
        } else if (n_read < layout->row_size_bytes) {
            return fail_stream_end(layout, source, n_read, err);
        } else if (++layout->next_row == layout->n_rows) {
            layout->ended = true;
            return check_end(layout, source, err);
        }
    }
    return PLUCK_OK;
}

static pluck_status read_stream(plk_row_layout *layout, plk_source *source, uint64_t row,
                                float *scratch, pluck_logits *logits, pluck_error *err)
{
    if (!scratch)
        return plk_fail_scratch(source, err);
    pluck_status status = plk_check_stream(source, layout->failure, layout->next_row, row, err);
    if (status != PLUCK_OK)
        return status;
    layout->failure = advance_to(layout, source, row, scratch, err);
    if (layout->failure != PLUCK_OK)
        return layout->failure;
    logits->data = layout->next_row > row ? scratch : NULL;
    return PLUCK_OK;
}

pluck_status plk_layout_read(plk_row_layout *layout, plk_source *source, uint64_t row,
                             float *scratch, pluck_logits *logits, pluck_error *err)
{
    pluck_logits read = {NULL, plk_stored_dtype(layout->type), layout->n_vocab};
    pluck_status status = source->streamed ? read_stream(layout, source, row, scratch, &read, err)
                                           : read_mapped(layout, source, row, scratch, &read, err);
    if (status == PLUCK_OK)
        *logits = read;
    return status;
}

void plk_layout_release(const plk_row_layout *layout, plk_source *source, uint64_t row)
{
    if (source->streamed || layout->fortran)
        return;
    uint64_t n = row < layout->n_rows ? row : layout->n_rows;
    plk_source_release(source, layout->offset_bytes + n * layout->row_size_bytes);
}

/* What readers of one array share, so that such a reader is a header parser alone. */

pluck_status plk_reader_layout_read(pluck_dump *dump, uint64_t row, float *scratch,
                                    pluck_dump_row *out, pluck_error *err)
{
    return plk_layout_read(&dump->layout, &dump->source, row, scratch, &out->logits, err);
}

void plk_reader_layout_release(pluck_dump *dump, uint64_t row)
{
    plk_layout_release(&dump->layout, &dump->source, row);
}

void plk_reader_layout_info(pluck_dump *dump)
{
    dump->info.n_rows = dump->layout.n_rows;
    dump->info.n_vocab = dump->layout.n_vocab;
    dump->info.dtype = plk_stored_dtype(dump->layout.type);
    dump->info.stored_dtype = dump->layout.stored_dtype;
    dump->info.tensor = dump->tensor;
    dump->info.n_axes = dump->layout.shape.n_axes;
    dump->info.axes = dump->layout.shape.n_axes > 0 ? dump->layout.shape.axes : NULL;
}

/* Lines: a line is found from the place before it that was kept. */

enum { MAX_PLACES = 1 << 16, WINDOW_BYTES = 1 << 20 };

static void add_place(plk_lines *lines, uint64_t line, uint64_t offset)
{
    if (line % lines->stride != 0)
        return;
    if (lines->n_places == MAX_PLACES) {
        for (size_t i = 0; i < MAX_PLACES / 2; i++)
            lines->places[i] = lines->places[2 * i];
        lines->n_places = MAX_PLACES / 2;
        lines->stride *= 2;
        if (line % lines->stride != 0)
            return;
    }
    lines->places[lines->n_places++] = offset;
}

pluck_status plk_lines_open(plk_lines *lines, plk_source *source, uint64_t begin_bytes,
                            uint8_t comment, pluck_error *err)
{
    *lines = (plk_lines){.begin_bytes = begin_bytes, .comment = comment, .stride = 1};
    lines->places = plk_alloc(&source->allocator, MAX_PLACES, sizeof *lines->places);
    if (!lines->places)
        return plk_fail_nomem(err, MAX_PLACES * sizeof *lines->places);
    bool in_line = false;
    for (uint64_t at = begin_bytes; at < source->size_bytes; at += WINDOW_BYTES) {
        uint64_t left = source->size_bytes - at;
        size_t size = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        const uint8_t *window = plk_source_at(source, at, size), *end = window + size;
        for (const uint8_t *c = window; c < end;) {
            if (in_line) {
                const uint8_t *newline = memchr(c, '\n', (size_t)(end - c));
                in_line = !newline;
                c = newline ? newline + 1 : end;
            } else if (plk_is_space(*c)) {
                c++;
            } else {
                if (comment == 0 || *c != comment)
                    add_place(lines, lines->n++, at + (uint64_t)(c - window));
                in_line = true;
            }
        }
    }
    return PLUCK_OK;
}

const uint8_t *plk_lines_find(const plk_lines *lines, plk_source *source, uint64_t line,
                              size_t *length)
{
    const uint8_t *end = source->bytes + source->size_bytes;
    const uint8_t *c = source->bytes + lines->places[line / lines->stride], *newline = NULL;
    for (uint64_t skip = line % lines->stride;;) {
        while (plk_is_space(*c))
            c++;
        bool counts = lines->comment == 0 || *c != lines->comment;
        newline = memchr(c, '\n', (size_t)(end - c));
        if (counts && skip == 0)
            break;
        skip -= counts;
        c = newline + 1;
    }
    *length = (size_t)((newline ? newline : end) - c);
    return plk_source_at(source, (uint64_t)(c - source->bytes), *length);
}

void plk_lines_release(const plk_lines *lines, plk_source *source, uint64_t line)
{
    if (lines->n_places == 0)
        return;
    uint64_t place = line / lines->stride;
    plk_source_release(source, place < lines->n_places ? lines->places[place] : source->size_bytes);
}

void plk_lines_close(plk_lines *lines, const pluck_allocator *allocator)
{
    plk_free(allocator, lines->places);
    lines->places = NULL;
}
