/*
 * JSON lines: one row a line, as json_row.h describes it; lines of white space alone are nothing.
 * Of a file, opening it finds where the lines begin (line_index.h), so that any row can be read at
 * any time. Of a stream, one line is kept, in memory that grows as the line really arrives.
 */
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "dump/json_row.h"
#include "dump/reader.h"

enum { FIRST_LINE_BYTES = 1 << 16 };

/* A value of a row takes some 20 bytes at most, as every known writer spells it. */
#define MAX_LINE_BYTES ((size_t)1 << 30)

typedef struct jsonl_file {
    plk_lines lines;

    /* Of a stream. */
    uint8_t *line;
    size_t line_size;     /* of the row, without its newline */
    size_t n_read;        /* bytes there are, the beginning of later lines included */
    size_t line_capacity; /* bytes there is room for */
    uint64_t next_row;    /* the number of the row that is in line, if has_line, or comes */
    bool has_line, ended;
    pluck_status failure;
} jsonl_file;

/* '{' and the quote of the first key, as far as they can be seen. */
static bool sniff(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options)
{
    size_t i = plk_mark_bytes(bytes, size_bytes);
    (void)options;
    while (i < size_bytes && plk_is_space(bytes[i]))
        i++;
    if (i == size_bytes || bytes[i++] != '{')
        return false;
    while (i < size_bytes && plk_is_space(bytes[i]))
        i++;
    return i == size_bytes || bytes[i] == '"' || bytes[i] == '}';
}

static pluck_status grow_line(pluck_dump *dump, jsonl_file *jsonl, pluck_error *err)
{
    size_t capacity = jsonl->line_capacity != 0 ? 2 * jsonl->line_capacity : FIRST_LINE_BYTES;
    if (capacity > MAX_LINE_BYTES)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: row %llu is longer than %zu bytes: expected one row per line",
                        dump->source.label, (unsigned long long)jsonl->next_row,
                        jsonl->line_capacity);
    uint8_t *line = plk_alloc(&dump->allocator, capacity, 1);
    if (!line)
        return plk_fail_nomem(err, capacity);
    if (jsonl->n_read > 0)
        memcpy(line, jsonl->line, jsonl->n_read);
    plk_free(&dump->allocator, jsonl->line);
    jsonl->line = line;
    jsonl->line_capacity = capacity;
    return PLUCK_OK;
}

/* Drops the first n bytes of what has been read. */
static void drop_bytes(jsonl_file *jsonl, size_t n)
{
    jsonl->n_read -= n;
    memmove(jsonl->line, jsonl->line + n, jsonl->n_read);
}

static pluck_status read_more(pluck_dump *dump, jsonl_file *jsonl, pluck_error *err)
{
    size_t n = 0;
    pluck_status status = PLUCK_OK;
    if (jsonl->n_read == jsonl->line_capacity)
        status = grow_line(dump, jsonl, err);
    if (status == PLUCK_OK)
        status = plk_source_read_some(&dump->source, jsonl->line + jsonl->n_read,
                                      jsonl->line_capacity - jsonl->n_read, &n, err);
    jsonl->n_read += n;
    jsonl->ended = status == PLUCK_OK && n == 0;
    return status;
}

/* Makes the next line that is not blank the first of jsonl->line; none is left: no has_line. */
static pluck_status next_line(pluck_dump *dump, jsonl_file *jsonl, pluck_error *err)
{
    size_t searched = 0, blank = 0;
    drop_bytes(jsonl, jsonl->line_size + (jsonl->line_size < jsonl->n_read));
    jsonl->line_size = 0;
    for (;;) {
        for (blank = 0; searched == 0 && blank < jsonl->n_read && plk_is_space(jsonl->line[blank]);)
            blank++;
        drop_bytes(jsonl, blank);
        const uint8_t *from = jsonl->line + searched;
        const uint8_t *newline = memchr(from, '\n', jsonl->n_read - searched);
        searched = jsonl->n_read;
        jsonl->has_line = newline || (jsonl->ended && jsonl->n_read > 0);
        if (jsonl->has_line)
            jsonl->line_size = newline ? (size_t)(newline - jsonl->line) : jsonl->n_read;
        if (jsonl->has_line || jsonl->ended)
            return PLUCK_OK;
        pluck_status status = read_more(dump, jsonl, err);
        if (status != PLUCK_OK)
            return status;
    }
}

static pluck_status set_info(pluck_dump *dump, const plk_json_row *first, uint32_t wanted,
                             pluck_error *err)
{
    if (first->is_sparse && wanted == 0)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: row 0 names %u tokens by id, but the vocabulary size is not in the "
                        "file; give it with --vocab-size (raw_n_vocab)",
                        dump->source.label, (unsigned)first->n_values);
    dump->info.n_vocab = first->is_sparse ? wanted : first->n_values;
    dump->info.dtype = PLUCK_F32;
    dump->info.stored_dtype = "json";
    dump->info.is_sparse = first->is_sparse;
    dump->info.has_targets = first->target != PLUCK_NO_TOKEN;
    return PLUCK_OK;
}

/* The byte order mark that some editors put before the first line of a stream. */
static pluck_status skip_mark(plk_source *source, pluck_error *err)
{
    const uint8_t *bytes = NULL;
    size_t available = 0, n_read = 0;
    pluck_status status = plk_source_peek(source, 3, &bytes, &available, err);
    size_t n = status == PLUCK_OK ? plk_mark_bytes(bytes, available) : 0;
    return n > 0 ? plk_source_read(source, NULL, n, &n_read, err) : status;
}

static pluck_status open_lines(pluck_dump *dump, const pluck_dump_options *options,
                               pluck_error *err)
{
    plk_source *source = &dump->source;
    plk_json_row first;
    jsonl_file *jsonl = plk_alloc_zero(&dump->allocator, 1, sizeof *jsonl);
    if (!jsonl)
        return plk_fail_nomem(err, sizeof *jsonl);
    dump->own = jsonl;
    pluck_status status = PLUCK_OK;
    const uint8_t *line = NULL;
    size_t length = 0;
    if (source->streamed) {
        dump->info.n_rows = PLUCK_DUMP_ROWS_UNKNOWN;
        status = grow_line(dump, jsonl, err);
        if (status == PLUCK_OK)
            status = skip_mark(source, err);
        if (status == PLUCK_OK)
            status = next_line(dump, jsonl, err);
        if (status != PLUCK_OK)
            return status;
        line = jsonl->line;
        length = jsonl->has_line ? jsonl->line_size : 0;
    } else {
        status = plk_lines_open(&jsonl->lines, source,
                                plk_mark_bytes(source->bytes, (size_t)source->size_bytes), 0, err);
        if (status != PLUCK_OK)
            return status;
        dump->info.n_rows = jsonl->lines.n;
        if (dump->info.n_rows > 0)
            line = plk_lines_find(&jsonl->lines, source, 0, &length);
    }
    if (length == 0)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: has no rows: all lines are blank",
                        source->label);
    status =
        plk_json_row_read(line, length, NULL, options->raw_n_vocab, source->label, 0, &first, err);
    return status != PLUCK_OK ? status : set_info(dump, &first, options->raw_n_vocab, err);
}

/* Makes row the one that is in jsonl->line, or reaches the end. */
static pluck_status advance_to(pluck_dump *dump, jsonl_file *jsonl, uint64_t row, pluck_error *err)
{
    pluck_status status =
        plk_check_stream(&dump->source, jsonl->failure, jsonl->next_row, row, err);
    if (status != PLUCK_OK)
        return status;
    while (jsonl->failure == PLUCK_OK && jsonl->next_row <= row) {
        if (!jsonl->has_line)
            jsonl->failure = next_line(dump, jsonl, err);
        if (jsonl->failure != PLUCK_OK || !jsonl->has_line || jsonl->next_row == row)
            break;
        jsonl->has_line = false;
        jsonl->next_row++;
    }
    return jsonl->failure;
}

static pluck_status read_row(pluck_dump *dump, uint64_t row, float *scratch, pluck_dump_row *out,
                             pluck_error *err)
{
    jsonl_file *jsonl = dump->own;
    const char *label = dump->source.label;
    plk_json_row read;
    const uint8_t *line = NULL;
    size_t length = 0;
    if (dump->source.streamed) {
        pluck_status status = advance_to(dump, jsonl, row, err);
        if (status != PLUCK_OK)
            return status;
        out->logits = (pluck_logits){NULL, PLUCK_F32, dump->info.n_vocab};
        if (!jsonl->has_line)
            return PLUCK_OK;
        line = jsonl->line;
        length = jsonl->line_size;
        jsonl->has_line = false;
        jsonl->next_row++;
    } else {
        line = plk_lines_find(&jsonl->lines, &dump->source, row, &length);
    }
    pluck_status status =
        plk_json_row_read(line, length, scratch, dump->info.n_vocab, label, row, &read, err);
    if (dump->source.streamed)
        jsonl->failure = status;
    if (status != PLUCK_OK)
        return status;
    out->logits = (pluck_logits){scratch, PLUCK_F32, dump->info.n_vocab};
    out->target = read.target;
    return PLUCK_OK;
}

static void release_rows(pluck_dump *dump, uint64_t row)
{
    const jsonl_file *jsonl = dump->own;
    if (!dump->source.streamed)
        plk_lines_release(&jsonl->lines, &dump->source, row);
}

static void close_lines(pluck_dump *dump)
{
    jsonl_file *jsonl = dump->own;
    if (!jsonl)
        return;
    plk_lines_close(&jsonl->lines, &dump->allocator);
    plk_free(&dump->allocator, jsonl->line);
    plk_free(&dump->allocator, jsonl);
    dump->own = NULL;
}

const plk_dump_reader plk_dump_jsonl = {
    .format = PLUCK_DUMP_JSONL,
    .name = "jsonl",
    .recognised = "JSON lines",
    .needs_scratch = true,
    .sniff = sniff,
    .open = open_lines,
    .read = read_row,
    .release = release_rows,
    .close = close_lines,
};
