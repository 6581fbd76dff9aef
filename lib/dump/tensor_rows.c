/*
 * The logits are one tensor, or several of one shape that follow each other: parts. A part that is
 * stored as it is is a matrix of the file, mapped like any other. One that is deflated is a stream
 * within the file, unpacked from front to back.
 *
 * Checksums of ZIP members: that of a deflated one is compared after its last row; those of stored
 * ones of up to 64 MiB together when the file is opened, of larger ones after the last row of each,
 * if its rows were read in order by one thread at a time, since anything else would read the file
 * twice.
 */
#include "dump/tensor_rows.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "file/array_file.h"
#include "file/zip.h"

enum { CRC_STEP_BYTES = 1 << 20, TARGETS_AT_ONCE = 512 };

#define CRC_AT_OPEN_BYTES ((uint64_t)64 << 20)
#define CRC_BUSY          (UINT64_MAX - 1)
#define CRC_OFF           UINT64_MAX

typedef struct part {
    uint64_t offset_bytes; /* of the first value: in the file, or in what the member unpacks to */
    bool is_member;
    plk_zip_member member;
    _Atomic uint64_t crc_row; /* the next row of the running checksum */
    uint32_t crc;
} part;

typedef struct tensor_rows {
    part *parts;
    size_t n_parts;
    uint64_t rows_per_part;
    plk_shape shape;      /* of all parts */
    pluck_token *targets; /* NULL: none */

    /* Of deflated parts: the stream of the one that is being read. */
    bool is_packed, is_open;
    size_t current;
    plk_matrix matrix;
    plk_zip_stream stream;
    plk_source unpacked;
} tensor_rows;

static void close_stream(tensor_rows *rows)
{
    if (!rows->is_open)
        return;
    plk_source_close(&rows->unpacked);
    plk_zip_stream_close(&rows->stream);
    rows->is_open = false;
}

/* Opens a deflated part at its first row. */
static pluck_status open_stream(pluck_dump *dump, tensor_rows *rows, size_t index, pluck_error *err)
{
    const part *p = &rows->parts[index];
    size_t n_read = 0;
    close_stream(rows);
    rows->current = index;
    rows->matrix = dump->matrix;
    rows->matrix.failure =
        plk_zip_stream_open(&rows->stream, &dump->source, &p->member, &dump->allocator, err);
    if (rows->matrix.failure != PLUCK_OK)
        return rows->matrix.failure;
    plk_source_open_pull(&rows->unpacked, dump->source.label, plk_zip_stream_pull, &rows->stream,
                         &dump->allocator);
    rows->is_open = true;
    rows->matrix.failure = plk_source_read(&rows->unpacked, NULL, p->offset_bytes, &n_read, err);
    return rows->matrix.failure;
}

static pluck_status fail_crc(const pluck_dump *dump, const part *p, uint32_t crc, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: '%.*s' is damaged: its CRC-32 is %08x, expected %08x", dump->source.label,
                    (int)(p->member.name_length < 40 ? p->member.name_length : 40), p->member.name,
                    (unsigned)crc, (unsigned)p->member.crc);
}

/* The checksum of a stored member: all of it now, or that of what stands before its rows. */
static pluck_status start_crc(pluck_dump *dump, part *p, bool is_small, pluck_error *err)
{
    const plk_zip_member *member = &p->member;
    uint64_t n = is_small ? member->size_bytes : p->offset_bytes - member->offset_bytes;
    for (uint64_t done = 0; done < n;) {
        size_t step = n - done < CRC_STEP_BYTES ? (size_t)(n - done) : CRC_STEP_BYTES;
        const uint8_t *bytes = plk_source_at(&dump->source, member->offset_bytes + done, step);
        p->crc = plk_crc32(p->crc, bytes, step);
        done += step;
    }
    uint64_t end = p->offset_bytes + dump->matrix.n_rows * dump->matrix.row_size_bytes;
    bool ends_with_rows = end == member->offset_bytes + member->size_bytes;
    atomic_init(&p->crc_row, is_small || dump->matrix.fortran || !ends_with_rows ? CRC_OFF : 0);
    return is_small && p->crc != member->crc ? fail_crc(dump, p, p->crc, err) : PLUCK_OK;
}

/* Takes the row into the running checksum, if it is its turn; compares it after the last. */
static pluck_status add_row(pluck_dump *dump, part *p, uint64_t row, pluck_error *err)
{
    const plk_matrix *matrix = &dump->matrix;
    uint64_t expected = row;
    if (!p->is_member || !atomic_compare_exchange_strong(&p->crc_row, &expected, CRC_BUSY))
        return PLUCK_OK;
    const uint8_t *bytes = dump->source.bytes + p->offset_bytes + row * matrix->row_size_bytes;
    uint32_t crc = plk_crc32(p->crc, bytes, (size_t)matrix->row_size_bytes);
    p->crc = crc;
    bool differs = row + 1 == matrix->n_rows && crc != p->member.crc;
    atomic_store(&p->crc_row, row + 1);
    return differs ? fail_crc(dump, p, crc, err) : PLUCK_OK;
}

static pluck_status fail_type(const plk_tensors *tensors, const plk_tensor *tensor,
                              pluck_error *err)
{
    const char *hint = tensor->kind == PLK_TENSOR_INTEGERS && tensor->integers.size_bytes == 2
                           ? "; --dtype bf16 (raw_dtype) if these are the bits of bfloat16"
                           : "";
    return plk_fail(err, PLUCK_ERR_FORMAT,
                    "%s: %s '%.*s': values of %s are not logits: expected F32, F16, BF16 or F64%s",
                    tensors->where, tensors->noun,
                    (int)(tensor->name_length < 64 ? tensor->name_length : 64), tensor->name,
                    tensor->floats.name, hint);
}

/* The matrix of one part. */
static pluck_status set_matrix(pluck_dump *dump, const plk_tensors *tensors,
                               const plk_tensor *tensor, pluck_error *err)
{
    plk_matrix *matrix = &dump->matrix;
    char where[PLK_SOURCE_LABEL_BYTES + 64];
    (void)snprintf(where, sizeof where, "%s: %s '%.*s'", tensors->where, tensors->noun,
                   (int)(tensor->name_length < 40 ? tensor->name_length : 40), tensor->name);
    if (tensor->kind != PLK_TENSOR_FLOATS)
        return fail_type(tensors, tensor, err);
    if (tensor->has_gaps)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s is a view that is not contiguous; save logits.contiguous()", where);
    matrix->type = tensor->floats.type;
    matrix->swapped = tensor->floats.swapped;
    memcpy(matrix->stored_dtype, tensor->floats.name, sizeof matrix->stored_dtype);
    pluck_status status = plk_matrix_set_shape(matrix, &tensor->shape, where, err);
    if (status != PLUCK_OK)
        return status;
    matrix->fortran = tensor->fortran && matrix->n_rows > 1;
    matrix->offset_bytes = tensor->offset_bytes;
    if (matrix->fortran && tensor->is_member && tensor->member.method != PLK_ZIP_STORED)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s is compressed and in Fortran order, so that its rows are complete only "
                        "at the end; store it in C order, or uncompressed",
                        where);
    return PLUCK_OK;
}

static pluck_status take_parts(pluck_dump *dump, tensor_rows *rows, const plk_tensors *tensors,
                               const size_t *indices, size_t n, pluck_error *err)
{
    uint64_t total = 0;
    rows->parts = plk_alloc_zero(&dump->allocator, n, sizeof *rows->parts);
    if (!rows->parts)
        return plk_fail_nomem(err, n * sizeof *rows->parts);
    rows->n_parts = n;
    for (size_t i = 0; i < n; i++) {
        const plk_tensor *tensor = &tensors->items[indices[i]];
        part *p = &rows->parts[i];
        pluck_status status = set_matrix(dump, tensors, tensor, err);
        if (status == PLUCK_OK)
            status =
                plk_matrix_check_size(&dump->matrix, tensor->available_bytes, tensors->where, err);
        if (status != PLUCK_OK)
            return status;
        p->offset_bytes = tensor->offset_bytes;
        p->is_member = tensor->is_member;
        p->member = tensor->member;
        atomic_init(&p->crc_row, CRC_OFF);
        bool is_packed = tensor->is_member && tensor->member.method != PLK_ZIP_STORED;
        if (i > 0 && is_packed != rows->is_packed)
            return plk_fail(err, PLUCK_ERR_FORMAT,
                            "%s: of its %s of logits some are compressed and some are not",
                            tensors->where, tensors->noun);
        rows->is_packed = is_packed;
        total += tensor->is_member ? tensor->member.size_bytes : 0;
    }
    rows->rows_per_part = dump->matrix.n_rows;
    for (size_t i = 0; i < n && !rows->is_packed && rows->parts[i].is_member; i++) {
        pluck_status status = start_crc(dump, &rows->parts[i], total <= CRC_AT_OPEN_BYTES, err);
        if (status != PLUCK_OK)
            return status;
    }
    return PLUCK_OK;
}

/* "scores.0" and 19 more are "scores.0 to scores.19". */
static pluck_status set_name(pluck_dump *dump, const plk_tensor *first, const plk_tensor *last,
                             pluck_error *err)
{
    static const char between[] = " to ";
    size_t size = first->name_length + 1, used = first->name_length;
    if (first != last)
        size += last->name_length + sizeof between - 1;
    dump->tensor = plk_alloc(&dump->allocator, size, 1);
    if (!dump->tensor)
        return plk_fail_nomem(err, size);
    memcpy(dump->tensor, first->name, first->name_length);
    if (first != last) {
        memcpy(dump->tensor + used, between, sizeof between - 1);
        memcpy(dump->tensor + used + sizeof between - 1, last->name, last->name_length);
    }
    dump->tensor[size - 1] = '\0';
    return PLUCK_OK;
}

/* Integers from source, which is at the first of them. */
static pluck_status read_integers(plk_source *source, const plk_tensor *tensor, pluck_token *tokens,
                                  uint64_t n, uint32_t n_vocab, pluck_error *err)
{
    uint8_t bytes[TARGETS_AT_ONCE * 8];
    size_t size = tensor->integers.size_bytes, n_read = 0;
    for (uint64_t done = 0; done < n;) {
        size_t step = n - done < TARGETS_AT_ONCE ? (size_t)(n - done) : TARGETS_AT_ONCE;
        pluck_status status = plk_source_read(source, bytes, step * size, &n_read, err);
        if (status != PLUCK_OK)
            return status;
        if (n_read < step * size)
            return plk_fail(err, PLUCK_ERR_FORMAT, "%s: its targets are truncated", source->label);
        for (size_t i = 0; i < step; i++) {
            bool is_large = false;
            int64_t value = plk_integer_at(bytes + i * size, &tensor->integers, &is_large);
            if (is_large || value >= (int64_t)n_vocab)
                return plk_fail(
                    err, PLUCK_ERR_FORMAT,
                    "%s: target %llu of '%.*s' is %lld: expected a token below %u, or a "
                    "negative number for none",
                    source->label, (unsigned long long)(done + i), (int)tensor->name_length,
                    tensor->name, (long long)value, (unsigned)n_vocab);
            tokens[done + i] = value < 0 ? PLUCK_NO_TOKEN : (pluck_token)value;
        }
        done += step;
    }
    return PLUCK_OK;
}

/* Targets that are in the file, if they have the shape of the rows. */
static pluck_status take_targets(pluck_dump *dump, tensor_rows *rows, const plk_tensor *tensor,
                                 pluck_error *err)
{
    plk_shape of_rows = rows->shape;
    uint64_t n = 1;
    bool fits = true;
    of_rows.n_axes--;
    for (size_t i = 0; i < tensor->shape.n_axes && fits; i++)
        fits = plk_mul_u64(n, tensor->shape.axes[i], &n);
    if (!fits || n != dump->info.n_rows || !plk_shapes_agree(&of_rows, &tensor->shape) ||
        (tensor->fortran && plk_shape_squeezed(&tensor->shape).n_axes > 1) ||
        tensor->available_bytes / tensor->integers.size_bytes < n)
        return PLUCK_OK;
    rows->targets = plk_alloc(&dump->allocator, n, sizeof *rows->targets);
    if (!rows->targets)
        return plk_fail_nomem(err, n * sizeof *rows->targets);
    plk_source values;
    plk_zip_stream stream = {0};
    pluck_status status = PLUCK_OK;
    size_t n_read = 0;
    if (tensor->is_member) {
        status =
            plk_zip_stream_open(&stream, &dump->source, &tensor->member, &dump->allocator, err);
        if (status != PLUCK_OK)
            return status;
        plk_source_open_pull(&values, dump->source.label, plk_zip_stream_pull, &stream,
                             &dump->allocator);
        uint64_t skipped = tensor->member.method == PLK_ZIP_STORED
                               ? tensor->offset_bytes - tensor->member.offset_bytes
                               : tensor->offset_bytes;
        status = plk_source_read(&values, NULL, (size_t)skipped, &n_read, err);
    } else {
        plk_source_open_memory(&values, dump->source.label,
                               dump->source.bytes + tensor->offset_bytes,
                               (size_t)tensor->available_bytes, true, &dump->allocator);
    }
    if (status == PLUCK_OK)
        status = read_integers(&values, tensor, rows->targets, n, dump->info.n_vocab, err);
    plk_source_close(&values);
    plk_zip_stream_close(&stream);
    dump->info.has_targets = status == PLUCK_OK;
    return status;
}

static void set_info(pluck_dump *dump, tensor_rows *rows)
{
    plk_reader_matrix_info(dump);
    rows->shape = dump->matrix.shape;
    if (rows->n_parts > 1) {
        memmove(rows->shape.axes + 1, rows->shape.axes,
                (PLK_MAX_AXES - 1) * sizeof *rows->shape.axes);
        rows->shape.axes[0] = rows->n_parts;
        rows->shape.n_axes++;
    }
    dump->info.n_rows = rows->n_parts * rows->rows_per_part;
    dump->info.n_axes = rows->shape.n_axes;
    dump->info.axes = rows->shape.axes;
    dump->info.n_tensors = rows->n_parts;
    dump->info.streamed = rows->is_packed;
}

pluck_status plk_tensor_rows_open(pluck_dump *dump, const plk_tensors *tensors,
                                  const pluck_dump_options *options, pluck_error *err)
{
    tensor_rows *rows = plk_alloc_zero(&dump->allocator, 1, sizeof *rows);
    if (!rows)
        return plk_fail_nomem(err, sizeof *rows);
    dump->own = rows;
    size_t *indices = NULL, n = 0;
    pluck_status status = plk_tensors_choose(tensors, options->tensor, &indices, &n, err);
    if (status != PLUCK_OK)
        return status;
    status = set_name(dump, &tensors->items[indices[0]], &tensors->items[indices[n - 1]], err);
    if (status == PLUCK_OK)
        status = take_parts(dump, rows, tensors, indices, n, err);
    plk_free(&tensors->allocator, indices);
    if (status != PLUCK_OK)
        return status;
    if (n > 1 && (dump->matrix.shape.n_axes == PLK_MAX_AXES ||
                  rows->rows_per_part > UINT64_MAX / n / dump->matrix.row_size_bytes))
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: its %ss are larger than any file",
                        tensors->where, tensors->noun);
    set_info(dump, rows);
    const plk_tensor *targets = plk_tensors_targets(tensors);
    if (targets)
        status = take_targets(dump, rows, targets, err);
    if (status == PLUCK_OK && rows->is_packed)
        status = open_stream(dump, rows, 0, err);
    return status;
}

static pluck_status read_packed(pluck_dump *dump, tensor_rows *rows, uint64_t row, float *scratch,
                                pluck_logits *logits, pluck_error *err)
{
    size_t index = (size_t)(row / rows->rows_per_part);
    uint64_t first = index * rows->rows_per_part;
    pluck_status status = PLUCK_OK;
    if (index < rows->current)
        return plk_fail(
            err, PLUCK_ERR_INVALID, "%s: row %llu of a stream has passed; the next one is %llu",
            dump->source.label, (unsigned long long)row,
            (unsigned long long)(rows->current * rows->rows_per_part + rows->matrix.next_row));
    if (index > rows->current)
        status = open_stream(dump, rows, index, err);
    if (status == PLUCK_OK)
        status = plk_matrix_read(&rows->matrix, &rows->unpacked, row - first, scratch, logits, err);
    return status;
}

pluck_status plk_tensor_rows_read(pluck_dump *dump, uint64_t row, float *scratch,
                                  pluck_dump_row *out, pluck_error *err)
{
    tensor_rows *rows = dump->own;
    if (row >= dump->info.n_rows)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: row %llu is past the last one: there are %llu",
                        dump->source.label, (unsigned long long)row,
                        (unsigned long long)dump->info.n_rows);
    pluck_status status = PLUCK_OK;
    if (rows->is_packed) {
        status = read_packed(dump, rows, row, scratch, &out->logits, err);
    } else {
        part *p = &rows->parts[row / rows->rows_per_part];
        uint64_t own_row = row % rows->rows_per_part;
        plk_matrix matrix = dump->matrix;
        matrix.offset_bytes = p->offset_bytes;
        status = plk_matrix_read(&matrix, &dump->source, own_row, scratch, &out->logits, err);
        if (status == PLUCK_OK)
            status = add_row(dump, p, own_row, err);
    }
    if (status == PLUCK_OK && rows->targets)
        out->target = rows->targets[row];
    return status;
}

void plk_tensor_rows_release(pluck_dump *dump, uint64_t row)
{
    tensor_rows *rows = dump->own;
    if (rows->is_packed) {
        plk_source_release(&dump->source, rows->stream.member.offset_bytes + rows->stream.n_packed);
    } else if (rows->n_parts == 1) {
        plk_matrix_release(&dump->matrix, &dump->source, row);
    }
}

void plk_tensor_rows_close(pluck_dump *dump)
{
    tensor_rows *rows = dump->own;
    plk_reader_matrix_close(dump);
    if (!rows)
        return;
    close_stream(rows);
    plk_free(&dump->allocator, rows->parts);
    plk_free(&dump->allocator, rows->targets);
    plk_free(&dump->allocator, rows);
    dump->own = NULL;
}
