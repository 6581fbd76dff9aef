/*
 * The headers of .npy and .safetensors have a fixed size, with room for any number of rows, and are
 * written first for the number that is expected; where that is not known, they are written again
 * at the end. With it the place of each row is known, and processes that have the unfinished file
 * open can write different rows of it.
 */
#include <pluck/dump.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "file/array_file.h"
#include "file/file.h"
#include "simd/fp_state.h"
#include "json/json.h"

enum {
    STEP_VALUES = 4096,
    NPY_HEADER_BYTES = 128,
    SAFETENSORS_FRAME_BYTES = 192, /* of header text, six 64-bit numbers included */
    SAFETENSORS_ALIGNMENT = 64,
    ROW_AXES_BYTES = 48,
    TARGET_BYTES = 4
};

struct pluck_dump_writer {
    pluck_allocator allocator;
    pluck_dump_writer_options options;
    char *path, *targets_path, *tensor; /* copies; tensor as JSON writes it */
    plk_new_file rows, targets;
    bool has_rows, has_targets;    /* which files are open */
    char row_axes[ROW_AXES_BYTES]; /* "20,2": the axes of the rows; "": one, or too many to write */
    char *header;
    size_t header_size_bytes;
    uint64_t n_written; /* or the row that comes next */
    bool is_joined;     /* the files are another writer's */
    bool has_gaps;      /* pluck_dump_writer_seek(): rows may be missing that others write */
    pluck_status failure;
    bool finished;
    uint8_t step[STEP_VALUES * sizeof(float)];
};

static pluck_status check_options(const pluck_dump_writer_options *options, pluck_error *err)
{
    if (options->format != PLUCK_DUMP_NPY && options->format != PLUCK_DUMP_SAFETENSORS &&
        options->format != PLUCK_DUMP_JSONL)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "format %d cannot be written: expected PLUCK_DUMP_NPY, "
                        "PLUCK_DUMP_SAFETENSORS or PLUCK_DUMP_JSONL",
                        (int)options->format);
    if (!plk_is_logit_dtype(options->dtype))
        return plk_fail(err, PLUCK_ERR_INVALID, "dtype %d is not a type of logits",
                        (int)options->dtype);
    if (options->n_vocab < 1 || options->n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_INVALID, "n_vocab is %u, expected 1 to %u",
                        (unsigned)options->n_vocab, (unsigned)PLUCK_MAX_VOCAB);
    return PLUCK_OK;
}

static pluck_status copy_text(pluck_dump_writer *w, const char *text, char **copy, pluck_error *err)
{
    size_t size = strlen(text) + 1;
    *copy = plk_copy(&w->allocator, text, size);
    return *copy ? PLUCK_OK : plk_fail_nomem(err, size);
}

/* The name with what JSON cannot hold escaped. */
static pluck_status escape_name(pluck_dump_writer *w, const char *name, pluck_error *err)
{
    size_t capacity = 6 * strlen(name) + 1;
    w->tensor = plk_alloc(&w->allocator, capacity, 1);
    if (!w->tensor)
        return plk_fail_nomem(err, capacity);
    char *out = w->tensor;
    for (; *name != '\0'; name++) {
        unsigned char c = (unsigned char)*name;
        if (c < 0x20)
            out += snprintf(out, 7, "\\u%04x", c);
        else {
            if (c == '"' || c == '\\')
                *out++ = '\\';
            *out++ = (char)c;
        }
    }
    *out = '\0';
    return PLUCK_OK;
}

/* The lengths of the axes of rows, which have to give n_rows. */
static pluck_status take_row_axes(pluck_dump_writer *w, const pluck_dump_writer_options *options,
                                  pluck_error *err)
{
    uint64_t n = 0;
    size_t used = 0;
    if (options->n_row_axes == 0 || !options->row_axes)
        return PLUCK_OK;
    if (!plk_count_values(options->row_axes, options->n_row_axes, 1, &n) || n != options->n_rows)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: the product of row_axes is not n_rows, %llu",
                        w->path, (unsigned long long)options->n_rows);
    for (size_t i = 0; i < options->n_row_axes && used < sizeof w->row_axes; i++)
        used += (size_t)snprintf(w->row_axes + used, sizeof w->row_axes - used, "%s%llu",
                                 i > 0 ? "," : "", (unsigned long long)options->row_axes[i]);
    if (used >= sizeof w->row_axes)
        w->row_axes[0] = '\0';
    return PLUCK_OK;
}

static void make_npy_header(const char *descr, const char *row_axes, uint64_t n_rows,
                            uint32_t n_columns, char header[NPY_HEADER_BYTES])
{
    size_t text_bytes = NPY_HEADER_BYTES - 10;
    char shape[80];
    if (row_axes[0] != '\0')
        (void)snprintf(shape, sizeof shape, "(%s,%u)", row_axes, (unsigned)n_columns);
    else
        (void)snprintf(shape, sizeof shape,
                       n_columns != 0 ? "(%" PRIu64 ", %" PRIu32 ")" : "(%" PRIu64 ",)", n_rows,
                       n_columns);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)text_bytes;
    header[9] = 0;
    memset(header + 10, ' ', text_bytes);
    int n = snprintf(header + 10, text_bytes,
                     "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
    header[10 + n] = ' ';
    header[NPY_HEADER_BYTES - 1] = '\n';
}

static void make_safetensors_header(pluck_dump_writer *w, uint64_t n_rows)
{
    static const char *const names[] = {"F32", "F16", "BF16"};
    uint64_t length = w->header_size_bytes - 8;
    uint64_t size =
        n_rows * w->options.n_vocab * (uint64_t)pluck_dtype_size_bytes(w->options.dtype);
    plk_write_little(w->header, length, 8);
    memset(w->header + 8, ' ', (size_t)length);
    char rows[ROW_AXES_BYTES];
    (void)snprintf(rows, sizeof rows, "%llu", (unsigned long long)n_rows);
    int n =
        snprintf(w->header + 8, (size_t)length,
                 "{\"%s\":{\"dtype\":\"%s\",\"shape\":[%s,%u],\"data_offsets\":[0,%llu]}}",
                 w->tensor, names[w->options.dtype], w->row_axes[0] != '\0' ? w->row_axes : rows,
                 (unsigned)w->options.n_vocab, (unsigned long long)size);
    w->header[8 + n] = ' ';
}

static void make_header(pluck_dump_writer *w, uint64_t n_rows)
{
    static const char *const descrs[] = {"<f4", "<f2", "<V2"};
    if (w->options.format == PLUCK_DUMP_NPY)
        make_npy_header(descrs[w->options.dtype], w->row_axes, n_rows, w->options.n_vocab,
                        w->header);
    else if (w->options.format == PLUCK_DUMP_SAFETENSORS)
        make_safetensors_header(w, n_rows);
}

/* temporary: of the writer that is joined; NULL: none. */
static pluck_status open_rows(pluck_dump_writer *w, const pluck_dump_writer_options *options,
                              const char *temporary, pluck_error *err)
{
    pluck_status status = temporary
                              ? plk_new_file_join(&w->rows, w->path, temporary, &w->allocator, err)
                              : plk_new_file_open(&w->rows, w->path, &w->allocator, err);
    w->has_rows = status == PLUCK_OK;
    if (status != PLUCK_OK || options->format == PLUCK_DUMP_JSONL)
        return status;
    w->header_size_bytes = NPY_HEADER_BYTES;
    if (options->format == PLUCK_DUMP_SAFETENSORS) {
        status = escape_name(w, options->tensor ? options->tensor : "logits", err);
        if (status != PLUCK_OK)
            return status;
        size_t least = strlen(w->tensor) + SAFETENSORS_FRAME_BYTES;
        w->header_size_bytes = least + (SAFETENSORS_ALIGNMENT - least % SAFETENSORS_ALIGNMENT);
    }
    bool is_known = options->n_rows != PLUCK_DUMP_ROWS_UNKNOWN;
    if (!is_known && !w->rows.temporary)
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "%s: a pipe is written once, and the header of %s holds the number of rows; "
            "n_rows must be known",
            w->path, pluck_dump_format_name(options->format));
    status = take_row_axes(w, options, err);
    if (status != PLUCK_OK)
        return status;
    w->header = plk_alloc(&w->allocator, w->header_size_bytes, 1);
    if (!w->header)
        return plk_fail_nomem(err, w->header_size_bytes);
    if (temporary)
        return PLUCK_OK;
    make_header(w, is_known ? options->n_rows : 0);
    return plk_new_file_write(&w->rows, w->header, w->header_size_bytes, err);
}

static pluck_status open_targets(pluck_dump_writer *w, const pluck_dump_writer_options *options,
                                 const char *temporary, pluck_error *err)
{
    char header[NPY_HEADER_BYTES];
    bool is_known = options->n_rows != PLUCK_DUMP_ROWS_UNKNOWN;
    pluck_status status =
        temporary ? plk_new_file_join(&w->targets, w->targets_path, temporary, &w->allocator, err)
                  : plk_new_file_open(&w->targets, w->targets_path, &w->allocator, err);
    w->has_targets = status == PLUCK_OK;
    if (status != PLUCK_OK || temporary)
        return status;
    if (w->rows.place.kind != PLK_PLACE_DEVICE &&
        plk_place_is_same(&w->rows.place, &w->targets.place))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s and %s are the same file; rows and targets need one file each", w->path,
                        w->targets_path);
    if (!is_known && !w->targets.temporary)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: a pipe is written once, and the header holds the number of targets; "
                        "n_rows must be known",
                        w->targets_path);
    make_npy_header("<i4", "", is_known ? options->n_rows : 0, 0, header);
    return plk_new_file_write(&w->targets, header, sizeof header, err);
}

static bool has_fixed_rows(const pluck_dump_writer_options *options)
{
    return options->format != PLUCK_DUMP_JSONL && options->n_rows != PLUCK_DUMP_ROWS_UNKNOWN;
}

static pluck_status refuse_places(const char *path, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_INVALID,
                    "%s: only rows of a fixed size in a regular file have places: .npy or "
                    ".safetensors with a known n_rows",
                    path);
}

/* temporary: [2] of the writer that is joined, or NULL. */
static pluck_status create(pluck_dump_writer **out, const char *path, const char *const *temporary,
                           const pluck_dump_writer_options *given, pluck_error *err)
{
    pluck_dump_writer_options known;
    const pluck_dump_writer_options *options = &known;
    pluck_status status = PLK_READ_STRUCT(&known, given, "options", pluck_dump_writer_options, err);
    if (status == PLUCK_OK)
        status = check_options(options, err);
    if (status == PLUCK_OK && temporary && !has_fixed_rows(options))
        status = refuse_places(path, err);
    if (status == PLUCK_OK && temporary && options->targets_path && !temporary[1])
        status = plk_fail(err, PLUCK_ERR_INVALID, "%s: has no unfinished file of targets", path);
    if (status != PLUCK_OK)
        return status;
    pluck_allocator allocator = plk_allocator_or_default(options->allocator);
    pluck_dump_writer *w = plk_alloc_zero(&allocator, 1, sizeof *w);
    if (!w)
        return plk_fail_nomem(err, sizeof *w);
    w->allocator = allocator;
    w->options = *options;
    w->is_joined = temporary != NULL;
    status = copy_text(w, path, &w->path, err);
    if (status == PLUCK_OK && options->targets_path)
        status = copy_text(w, options->targets_path, &w->targets_path, err);
    if (status == PLUCK_OK)
        status = open_rows(w, options, temporary ? temporary[0] : NULL, err);
    if (status == PLUCK_OK && w->targets_path)
        status = open_targets(w, options, temporary ? temporary[1] : NULL, err);
    if (status != PLUCK_OK)
        pluck_dump_writer_destroy(&w);
    *out = w;
    return status;
}

pluck_status pluck_dump_writer_create(pluck_dump_writer **out, const char *path,
                                      const pluck_dump_writer_options *options, pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_dump_writer_create: out is NULL");
    *out = NULL;
    if (!path || !options)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_dump_writer_create: %s is NULL",
                        path ? "options" : "path");
    return create(out, path, NULL, options, err);
}

pluck_status pluck_dump_writer_join(pluck_dump_writer **out, const char *path,
                                    const char *const *temporary,
                                    const pluck_dump_writer_options *options, pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_dump_writer_join: out is NULL");
    *out = NULL;
    if (!path || !temporary || !temporary[0] || !options)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_dump_writer_join: path, temporary, temporary[0] and options must "
                        "not be NULL");
    return create(out, path, temporary, options, err);
}

static bool is_file(const plk_new_file *file)
{
    return file->temporary || file->is_joined;
}

pluck_status pluck_dump_writer_seek(pluck_dump_writer *w, uint64_t row, pluck_error *err)
{
    if (!w)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_dump_writer_seek: writer is NULL");
    if (!has_fixed_rows(&w->options) || w->finished || !is_file(&w->rows) ||
        (w->has_targets && !is_file(&w->targets)))
        return refuse_places(w->path, err);
    if (row > w->options.n_rows)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: has %llu rows, not %llu", w->path,
                        (unsigned long long)w->options.n_rows, (unsigned long long)row);
    uint64_t row_bytes = w->options.n_vocab * (uint64_t)pluck_dtype_size_bytes(w->options.dtype);
    pluck_status status = plk_new_file_seek(&w->rows, w->header_size_bytes + row * row_bytes, err);
    if (status == PLUCK_OK && w->has_targets)
        status = plk_new_file_seek(&w->targets, NPY_HEADER_BYTES + row * TARGET_BYTES, err);
    if (status != PLUCK_OK)
        w->failure = status;
    w->n_written = row;
    w->has_gaps = true;
    return status;
}

static pluck_status write_binary(pluck_dump_writer *w, const pluck_logits *logits, pluck_error *err)
{
    size_t from_size = pluck_dtype_size_bytes(logits->dtype);
    size_t to_size = pluck_dtype_size_bytes(w->options.dtype);
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < logits->n_vocab && status == PLUCK_OK; i += STEP_VALUES) {
        size_t left = logits->n_vocab - i, n = left < STEP_VALUES ? left : STEP_VALUES;
        plk_store((const uint8_t *)logits->data + i * from_size, logits->dtype, n, w->options.dtype,
                  w->step);
        status = plk_new_file_write(&w->rows, w->step, n * to_size, err);
    }
    return status;
}

/* A value as it is stored in the type of the file. */
static double value_at(const pluck_dump_writer *w, const pluck_logits *logits, size_t i)
{
    pluck_dtype dtype = w->options.dtype;
    uint8_t stored[sizeof(float)];
    double value;
    plk_store((const uint8_t *)logits->data + i * pluck_dtype_size_bytes(logits->dtype),
              logits->dtype, 1, dtype, stored);
    uint32_t bits = (uint32_t)plk_read_little(stored, pluck_dtype_size_bytes(dtype));
    uint16_t half = (uint16_t)bits;
    plk_widen_double(dtype == PLUCK_F32 ? (const void *)&bits : &half, dtype, 1, &value);
    return value;
}

static pluck_status write_json(pluck_dump_writer *w, const pluck_dump_row *row, pluck_error *err)
{
    const pluck_logits *logits = &row->logits;
    char text[PLK_NUMBER_TEXT_BYTES + 16];
    for (size_t i = 0; i < logits->n_vocab; i++) {
        double value = value_at(w, logits, i);
        if (isnan(value) || value == (double)INFINITY)
            return plk_fail(err, PLUCK_ERR_NAN,
                            "%s: row %llu: the logit of token %zu is %s, which JSON cannot hold",
                            w->path, (unsigned long long)w->n_written, i,
                            isnan(value) ? "NaN" : "+inf");
    }
    pluck_status status = plk_new_file_write(&w->rows, "{\"logits\":[", 11, err);
    for (size_t i = 0; i < logits->n_vocab && status == PLUCK_OK; i++) {
        double value = value_at(w, logits, i);
        char *number = text;
        if (i > 0)
            *number++ = ',';
        if (value == -(double)INFINITY)
            memcpy(number, "null", 5);
        else
            plk_number_write_float((float)value, number);
        status = plk_new_file_write(&w->rows, text, strlen(text), err);
    }
    bool has_target = row->target != PLUCK_NO_TOKEN;
    (void)snprintf(text, sizeof text, has_target ? "],\"target\":%d}\n" : "]}\n", (int)row->target);
    return status != PLUCK_OK ? status : plk_new_file_write(&w->rows, text, strlen(text), err);
}

static pluck_status check_row(const pluck_dump_writer *w, const pluck_dump_row *row,
                              pluck_error *err)
{
    if (w->failure != PLUCK_OK || w->finished)
        return plk_fail(err, w->failure != PLUCK_OK ? w->failure : PLUCK_ERR_INVALID, "%s: %s",
                        w->path,
                        w->finished ? "the writer is finished; a new file needs a new writer"
                                    : "an earlier write has failed; destroy the writer");
    if (!row->logits.data || !plk_is_logit_dtype(row->logits.dtype) ||
        row->logits.n_vocab != w->options.n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: row %llu has %u values%s; expected %u, and a known dtype", w->path,
                        (unsigned long long)w->n_written, (unsigned)row->logits.n_vocab,
                        row->logits.data ? "" : " (data is NULL)", (unsigned)w->options.n_vocab);
    if (row->target < PLUCK_NO_TOKEN ||
        (row->target >= 0 && (uint32_t)row->target >= w->options.n_vocab))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: row %llu: the target %d is outside the vocabulary of %u tokens",
                        w->path, (unsigned long long)w->n_written, (int)row->target,
                        (unsigned)w->options.n_vocab);
    if (w->n_written == w->options.n_rows)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: all %llu rows of n_rows have been written; another row cannot follow",
                        w->path, (unsigned long long)w->n_written);
    return PLUCK_OK;
}

pluck_status pluck_dump_writer_write(pluck_dump_writer *w, const pluck_dump_row *given,
                                     pluck_error *err)
{
    if (!w || !given)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_dump_writer_write: %s is NULL",
                        w ? "row" : "writer");
    pluck_dump_row known;
    const pluck_dump_row *row = &known;
    pluck_status status = PLK_READ_STRUCT(&known, given, "row", pluck_dump_row, err);
    if (status == PLUCK_OK)
        status = check_row(w, row, err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter_text();
    status = w->options.format == PLUCK_DUMP_JSONL ? write_json(w, row, err)
                                                   : write_binary(w, &row->logits, err);
    plk_fp_leave(fp);
    if (status == PLUCK_OK && w->has_targets) {
        uint8_t bytes[TARGET_BYTES];
        plk_write_little(bytes, (uint32_t)row->target, TARGET_BYTES);
        status = plk_new_file_write(&w->targets, bytes, sizeof bytes, err);
    }
    if (status == PLUCK_ERR_IO)
        w->failure = status;
    w->n_written += status == PLUCK_OK;
    return status;
}

/* Everything is on the disk before the first file gets its name. */
static pluck_status complete(pluck_dump_writer *w, pluck_error *err)
{
    char header[NPY_HEADER_BYTES];
    pluck_status status = PLUCK_OK;
    if (w->options.n_rows == PLUCK_DUMP_ROWS_UNKNOWN && w->header) {
        make_header(w, w->n_written);
        status = plk_new_file_rewrite(&w->rows, w->header, w->header_size_bytes, err);
    }
    if (status == PLUCK_OK && w->options.n_rows == PLUCK_DUMP_ROWS_UNKNOWN && w->has_targets) {
        make_npy_header("<i4", "", w->n_written, 0, header);
        status = plk_new_file_rewrite(&w->targets, header, sizeof header, err);
    }
    if (status == PLUCK_OK && w->has_targets)
        status = plk_new_file_complete(&w->targets, err);
    return status == PLUCK_OK ? plk_new_file_complete(&w->rows, err) : status;
}

static pluck_status finish(pluck_dump_writer *w, pluck_error *err)
{
    pluck_error reason = {.status = PLUCK_OK};
    pluck_status status = complete(w, &reason);
    if (status == PLUCK_OK && w->is_joined)
        return PLUCK_OK;
    if (status == PLUCK_OK && w->has_targets)
        status = plk_new_file_finish(&w->targets, &reason);
    if (status == PLUCK_OK)
        status = plk_new_file_finish(&w->rows, &reason);
    if (status == PLUCK_OK)
        return PLUCK_OK;
    const char *done = NULL;
    if (plk_new_file_is_finished(&w->rows))
        done = w->path;
    if (w->has_targets && plk_new_file_is_finished(&w->targets))
        done = w->targets_path;
    return done ? plk_fail(err, status, "%s; completed: %s", reason.message, done)
                : plk_fail(err, status, "%s", reason.message);
}

pluck_status pluck_dump_writer_finish(pluck_dump_writer *w, pluck_error *err)
{
    if (!w)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_dump_writer_finish: writer is NULL");
    if (w->failure != PLUCK_OK || w->finished)
        return plk_fail(err, w->failure != PLUCK_OK ? w->failure : PLUCK_ERR_INVALID, "%s: %s",
                        w->path,
                        w->finished ? "the writer is finished; a new file needs a new writer"
                                    : "an earlier write has failed; destroy the writer");
    bool is_known = w->options.n_rows != PLUCK_DUMP_ROWS_UNKNOWN;
    bool is_short = w->n_written == 0 || (is_known && w->n_written != w->options.n_rows);
    if (is_short && !w->has_gaps && !w->is_joined)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: %llu rows were written, expected %s", w->path,
                        (unsigned long long)w->n_written, is_known ? "n_rows" : "at least 1");
    pluck_status status = finish(w, err);
    w->failure = status;
    w->finished = status == PLUCK_OK;
    return status;
}

void pluck_dump_writer_destroy(pluck_dump_writer **writer)
{
    if (!writer || !*writer)
        return;
    pluck_dump_writer *w = *writer;
    if (w->has_rows)
        plk_new_file_close(&w->rows);
    if (w->has_targets)
        plk_new_file_close(&w->targets);
    plk_free(&w->allocator, w->path);
    plk_free(&w->allocator, w->targets_path);
    plk_free(&w->allocator, w->tensor);
    plk_free(&w->allocator, w->header);
    pluck_allocator allocator = w->allocator;
    plk_free(&allocator, w);
    *writer = NULL;
}

const char *pluck_dump_writer_temporary(const pluck_dump_writer *writer, unsigned index)
{
    if (!writer || index > 1)
        return NULL;
    return index == 0 ? writer->rows.temporary : writer->targets.temporary;
}
