/*
 * JSON lines: one row a line, as json_row.h describes it; lines of white space alone are nothing.
 *
 * Of a file, opening it reads all of it once to find where the lines begin, and keeps the place of
 * every n-th row, n a power of two that grows with the file, so that the index stays below 1 MiB.
 * A row is then found from the place before it, and any row can be read at any time. Of a stream,
 * one line is kept, in memory that grows as the line really arrives.
 */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "dump/json_row.h"
#include "dump/reader.h"

enum { MAX_PLACES = 1 << 16, FIRST_LINE_BYTES = 1 << 16, WINDOW_BYTES = 1 << 20 };

/* A value of a row takes some 20 bytes at most, as every known writer spells it. */
#define MAX_LINE_BYTES ((size_t)1 << 30)

typedef struct jsonl_file {
    uint64_t *places; /* of the rows 0, stride, 2 stride, ... */
    size_t n_places;
    uint64_t stride;

    /* Of a stream. */
    uint8_t *line;
    size_t line_size;     /* of the row, without its newline */
    size_t n_read;        /* bytes there are, the beginning of later lines included */
    size_t line_capacity; /* bytes there is room for */
    uint64_t next_row;    /* the number of the row that is in line, if has_line, or comes */
    bool has_line, ended;
    pluck_status failure;
} jsonl_file;

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* '{' and the quote of the first key, as far as they can be seen. */
static bool sniff(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options)
{
    size_t i = 0;
    (void)options;
    while (i < size_bytes && is_space(bytes[i]))
        i++;
    if (i == size_bytes || bytes[i++] != '{')
        return false;
    while (i < size_bytes && is_space(bytes[i]))
        i++;
    return i == size_bytes || bytes[i] == '"' || bytes[i] == '}';
}

static void add_place(jsonl_file *jsonl, uint64_t row, uint64_t offset)
{
    if (row % jsonl->stride != 0)
        return;
    if (jsonl->n_places == MAX_PLACES) {
        for (size_t i = 0; i < MAX_PLACES / 2; i++)
            jsonl->places[i] = jsonl->places[2 * i];
        jsonl->n_places = MAX_PLACES / 2;
        jsonl->stride *= 2;
        if (row % jsonl->stride != 0)
            return;
    }
    jsonl->places[jsonl->n_places++] = offset;
}

/* Finds all rows of a file. */
static uint64_t index_rows(pl_source *source, jsonl_file *jsonl)
{
    uint64_t n_rows = 0;
    bool in_row = false;
    for (uint64_t at = 0; at < source->size_bytes; at += WINDOW_BYTES) {
        const uint64_t left = source->size_bytes - at;
        const size_t size = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        const uint8_t *window = pl_source_at(source, at, size), *end = window + size;
        for (const uint8_t *c = window; c < end;) {
            if (in_row) {
                const uint8_t *newline = memchr(c, '\n', (size_t)(end - c));
                in_row = newline == NULL;
                c = newline ? newline + 1 : end;
            } else if (is_space(*c)) {
                c++;
            } else {
                add_place(jsonl, n_rows++, at + (uint64_t)(c - window));
                in_row = true;
            }
        }
    }
    return n_rows;
}

/* The bytes of a row of a file. */
static const uint8_t *find_row(pl_source *source, const jsonl_file *jsonl, uint64_t row,
                               size_t *length)
{
    const uint8_t *end = source->bytes + source->size_bytes;
    const uint8_t *c = source->bytes + jsonl->places[row / jsonl->stride], *newline = NULL;
    for (uint64_t skip = row % jsonl->stride;; skip--) {
        while (is_space(*c))
            c++;
        newline = memchr(c, '\n', (size_t)(end - c));
        if (skip == 0)
            break;
        c = newline + 1;
    }
    *length = (size_t)((newline ? newline : end) - c);
    return pl_source_at(source, (uint64_t)(c - source->bytes), *length);
}

static pluck_status grow_line(pluck_dump *dump, jsonl_file *jsonl, pluck_error *err)
{
    const size_t capacity = jsonl->line_capacity ? 2 * jsonl->line_capacity : FIRST_LINE_BYTES;
    if (capacity > MAX_LINE_BYTES)
        return pl_fail(err, PLUCK_ERR_FORMAT,
                       "%s: row %" PRIu64 " is longer than %zu bytes: expected one row a line",
                       dump->source.label, jsonl->next_row, jsonl->line_capacity);
    uint8_t *line = pl_alloc(&dump->allocator, capacity, 1);
    if (!line)
        return pl_fail_nomem(err, capacity);
    if (jsonl->n_read > 0)
        memcpy(line, jsonl->line, jsonl->n_read);
    pl_free(&dump->allocator, jsonl->line);
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
        status = pl_source_read_some(&dump->source, jsonl->line + jsonl->n_read,
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
        for (blank = 0; searched == 0 && blank < jsonl->n_read && is_space(jsonl->line[blank]);)
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
        if (status)
            return status;
    }
}

static pluck_status set_info(pluck_dump *dump, const pl_json_row *first, uint32_t wanted,
                             pluck_error *err)
{
    if (first->is_sparse && wanted == 0)
        return pl_fail(err, PLUCK_ERR_FORMAT,
                       "%s: row 0 gives %" PRIu32
                       " tokens by their ids; how many there are has to be told (raw_n_vocab, "
                       "--vocab-size)",
                       dump->source.label, first->n_values);
    dump->info.n_vocab = first->is_sparse ? wanted : first->n_values;
    dump->info.dtype = PLUCK_F32;
    dump->info.stored_dtype = "json";
    dump->info.is_sparse = first->is_sparse;
    dump->info.has_targets = first->target != PLUCK_NO_TOKEN;
    return PLUCK_OK;
}

static pluck_status open_lines(pluck_dump *dump, const pluck_dump_options *options,
                               pluck_error *err)
{
    pl_source *source = &dump->source;
    pl_json_row first;
    jsonl_file *jsonl = pl_alloc_zero(&dump->allocator, 1, sizeof *jsonl);
    if (!jsonl)
        return pl_fail_nomem(err, sizeof *jsonl);
    dump->own = jsonl;
    pluck_status status = PLUCK_OK;
    const uint8_t *line = NULL;
    size_t length = 0;
    if (source->streamed) {
        dump->info.n_rows = PLUCK_DUMP_ROWS_UNKNOWN;
        status = grow_line(dump, jsonl, err);
        if (status == PLUCK_OK)
            status = next_line(dump, jsonl, err);
        if (status)
            return status;
        line = jsonl->line;
        length = jsonl->has_line ? jsonl->line_size : 0;
    } else {
        jsonl->stride = 1;
        jsonl->places = pl_alloc(&dump->allocator, MAX_PLACES, sizeof *jsonl->places);
        if (!jsonl->places)
            return pl_fail_nomem(err, MAX_PLACES * sizeof *jsonl->places);
        dump->info.n_rows = index_rows(source, jsonl);
        if (dump->info.n_rows > 0)
            line = find_row(source, jsonl, 0, &length);
    }
    if (length == 0)
        return pl_fail(err, PLUCK_ERR_FORMAT, "%s: has no rows: all lines are blank",
                       source->label);
    status =
        pl_json_row_read(line, length, NULL, options->raw_n_vocab, source->label, 0, &first, err);
    return status ? status : set_info(dump, &first, options->raw_n_vocab, err);
}

/* Makes row the one that is in jsonl->line, or reaches the end. */
static pluck_status advance_to(pluck_dump *dump, jsonl_file *jsonl, uint64_t row, pluck_error *err)
{
    const char *label = dump->source.label;
    if (jsonl->failure)
        return pl_fail(err, jsonl->failure, "%s: the stream has failed before, at row %" PRIu64,
                       label, jsonl->next_row);
    if (row < jsonl->next_row)
        return pl_fail(err, PLUCK_ERR_INVALID,
                       "%s: row %" PRIu64 " of a stream has passed; the next one is %" PRIu64,
                       label, row, jsonl->next_row);
    while (jsonl->failure == PLUCK_OK && jsonl->next_row <= row) {
        if (!jsonl->has_line)
            jsonl->failure = next_line(dump, jsonl, err);
        if (jsonl->failure || !jsonl->has_line || jsonl->next_row == row)
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
    pl_json_row read;
    if (!scratch)
        return pl_fail(err, PLUCK_ERR_INVALID,
                       "%s: scratch is NULL, but rows of this dump have to be parsed", label);
    if (row >= dump->info.n_rows)
        return pl_fail(err, PLUCK_ERR_INVALID,
                       "%s: row %" PRIu64 " is past the last one: there are %" PRIu64, label, row,
                       dump->info.n_rows);
    const uint8_t *line = NULL;
    size_t length = 0;
    if (dump->source.streamed) {
        pluck_status status = advance_to(dump, jsonl, row, err);
        if (status)
            return status;
        out->logits = (pluck_logits){NULL, PLUCK_F32, dump->info.n_vocab};
        if (!jsonl->has_line)
            return PLUCK_OK;
        line = jsonl->line;
        length = jsonl->line_size;
        jsonl->has_line = false;
        jsonl->next_row++;
    } else {
        line = find_row(&dump->source, jsonl, row, &length);
    }
    pluck_status status =
        pl_json_row_read(line, length, scratch, dump->info.n_vocab, label, row, &read, err);
    if (dump->source.streamed)
        jsonl->failure = status;
    if (status)
        return status;
    out->logits = (pluck_logits){scratch, PLUCK_F32, dump->info.n_vocab};
    out->target = read.target;
    return PLUCK_OK;
}

static void release_rows(pluck_dump *dump, uint64_t row)
{
    const jsonl_file *jsonl = dump->own;
    if (dump->source.streamed || jsonl->n_places == 0)
        return;
    const uint64_t place = row / jsonl->stride;
    pl_source_release(&dump->source,
                      place < jsonl->n_places ? jsonl->places[place] : dump->source.size_bytes);
}

static void close_lines(pluck_dump *dump)
{
    jsonl_file *jsonl = dump->own;
    if (!jsonl)
        return;
    pl_free(&dump->allocator, jsonl->places);
    pl_free(&dump->allocator, jsonl->line);
    pl_free(&dump->allocator, jsonl);
    dump->own = NULL;
}

const pl_dump_reader pl_dump_jsonl = {
    .format = PLUCK_DUMP_JSONL,
    .name = "jsonl",
    .recognised = "JSON lines",
    .sniff = sniff,
    .open = open_lines,
    .read = read_row,
    .release = release_rows,
    .close = close_lines,
};
