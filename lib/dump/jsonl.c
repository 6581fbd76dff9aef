/*
 * JSON lines: one row per line, and lines of white space alone are skipped. Of a file, opening it
 * finds where the lines begin (plk_lines), so that any row can be read at any time. Of a stream,
 * one line is kept, in memory that grows as the line really arrives.
 *
 * A line is one row:
 *
 *     {"logits": [1.5, null, -2e-3], "target": 2}
 *     {"logprobs": {"17": -0.25, "3": -1.5}}
 *
 * One of "logits" and "logprobs", each an array with a value for every token, or an object from
 * token ids to values, in which the tokens that are not named have -inf. null is -inf, and so is
 * the -Infinity of Python's json module, whose NaN and Infinity are read too. "target" is the token
 * that came next, null or a negative number for none. All other keys are skipped.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <pluck/dump.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "dump/json_text.h"
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

typedef struct json_row {
    uint32_t n_values;  /* how many values are given */
    bool is_sparse;     /* as an object */
    pluck_token target; /* PLUCK_NO_TOKEN for none */
} json_row;

typedef struct row_reader {
    plk_json_scan scan;
    float *values;
    uint32_t n_vocab;
} row_reader;

static pluck_status fail_count(const row_reader *r, uint32_t n)
{
    return plk_fail(r->scan.err, PLUCK_ERR_FORMAT, "%s: row %llu has %s%u values, expected %u",
                    r->scan.where, (unsigned long long)r->scan.number,
                    n > r->n_vocab ? "more than " : "", (unsigned)(n > r->n_vocab ? r->n_vocab : n),
                    (unsigned)r->n_vocab);
}

/* [v, v, ...] */
static pluck_status read_array(row_reader *r, json_row *row)
{
    uint32_t most = r->n_vocab != 0 ? r->n_vocab : PLUCK_MAX_VOCAB;
    uint32_t n = 0;
    if (plk_json_take(&r->scan, ']'))
        return plk_json_fail_expected(&r->scan, "a value for each token before the ']'");
    do {
        float value = 0.0f;
        pluck_status status = plk_json_take_value(&r->scan, &value);
        if (status != PLUCK_OK)
            return status;
        if (n == most)
            return r->n_vocab != 0 ? fail_count(r, n + 1)
                                   : plk_json_fail_expected(&r->scan, "at most 16777216 values");
        if (r->values)
            r->values[n] = value;
        n++;
    } while (plk_json_take(&r->scan, ','));
    if (!plk_json_take(&r->scan, ']'))
        return plk_json_fail_expected(&r->scan, "',' or ']'");
    row->n_values = n;
    return r->n_vocab != 0 && n != r->n_vocab ? fail_count(r, n) : PLUCK_OK;
}

static pluck_status parse_id(const row_reader *r, const uint8_t *text, size_t length, uint32_t *id)
{
    uint32_t most = r->n_vocab != 0 ? r->n_vocab : PLUCK_MAX_VOCAB;
    uint32_t value = 0;
    bool is_id = length > 0 && length < 9;
    for (size_t i = 0; i < length && is_id; i++) {
        is_id = text[i] >= '0' && text[i] <= '9';
        value = 10 * value + (uint32_t)(text[i] - '0');
    }
    *id = value;
    if (is_id && value < most)
        return PLUCK_OK;
    return plk_fail(r->scan.err, PLUCK_ERR_FORMAT,
                    "%s: row %llu: \"%.*s\" is not a token: expected an id from 0 to %u",
                    r->scan.where, (unsigned long long)r->scan.number,
                    (int)(length < 32 ? length : 32), (const char *)text, (unsigned)(most - 1));
}

/* {"id": v, ...} */
static pluck_status read_map(row_reader *r, json_row *row)
{
    row->is_sparse = true;
    for (uint32_t i = 0; r->values && i < r->n_vocab; i++)
        r->values[i] = -INFINITY;
    if (plk_json_take(&r->scan, '}'))
        return plk_json_fail_expected(&r->scan, "a value for some token before the '}'");
    do {
        const uint8_t *text = NULL;
        size_t length = 0;
        uint32_t id = 0;
        float value = 0.0f;
        pluck_status status = plk_json_take_string(&r->scan, &text, &length);
        if (status == PLUCK_OK)
            status = parse_id(r, text, length, &id);
        if (status == PLUCK_OK && !plk_json_take(&r->scan, ':'))
            status = plk_json_fail_expected(&r->scan, "':'");
        if (status == PLUCK_OK)
            status = plk_json_take_value(&r->scan, &value);
        if (status != PLUCK_OK)
            return status;
        if (r->values && r->values[id] != -INFINITY)
            return plk_fail(r->scan.err, PLUCK_ERR_FORMAT, "%s: row %llu: token %u is given twice",
                            r->scan.where, (unsigned long long)r->scan.number, (unsigned)id);
        if (r->values)
            r->values[id] = value;
        row->n_values++;
    } while (plk_json_take(&r->scan, ','));
    return plk_json_take(&r->scan, '}') ? PLUCK_OK : plk_json_fail_expected(&r->scan, "',' or '}'");
}

static pluck_status read_target(row_reader *r, json_row *row)
{
    uint32_t most = r->n_vocab != 0 ? r->n_vocab : PLUCK_MAX_VOCAB;
    double number = 0.0;
    if (plk_json_take_word(&r->scan, "null"))
        return PLUCK_OK;
    pluck_status status = plk_json_take_number(&r->scan, &number);
    if (status != PLUCK_OK || number < 0.0)
        return status;
    if (!(number < (double)most) || number != floor(number))
        return plk_fail(r->scan.err, PLUCK_ERR_FORMAT,
                        "%s: row %llu: the target is %.10g: expected a token from 0 to %u, a "
                        "negative number or null",
                        r->scan.where, (unsigned long long)r->scan.number, number,
                        (unsigned)(most - 1));
    row->target = (pluck_token)number;
    return PLUCK_OK;
}

static bool is_key(const uint8_t *text, size_t length, const char *key)
{
    return length == strlen(key) && memcmp(text, key, length) == 0;
}

/* One "key": value; *has_values and *has_target say what there was before. */
static pluck_status read_pair(row_reader *r, json_row *row, bool *has_values, bool *has_target)
{
    const uint8_t *text = NULL;
    size_t length = 0;
    pluck_status status = plk_json_take_string(&r->scan, &text, &length);
    if (status != PLUCK_OK)
        return status;
    if (!plk_json_take(&r->scan, ':'))
        return plk_json_fail_expected(&r->scan, "':'");
    if (is_key(text, length, "logits") || is_key(text, length, "logprobs")) {
        if (*has_values)
            return plk_json_fail_expected(&r->scan, "one of \"logits\" and \"logprobs\", once");
        *has_values = true;
        if (plk_json_take(&r->scan, '['))
            return read_array(r, row);
        return plk_json_take(&r->scan, '{') ? read_map(r, row)
                                            : plk_json_fail_expected(&r->scan, "'[' or '{'");
    }
    if (is_key(text, length, "target")) {
        if (*has_target)
            return plk_json_fail_expected(&r->scan, "one \"target\"");
        *has_target = true;
        return read_target(r, row);
    }
    return plk_json_skip_value(&r->scan, 1);
}

/*
 * Reads a line without its end. values has room for n_vocab floats, or is NULL if only the form is
 * of interest: then n_vocab may be 0 for "not known", and ids are compared with PLUCK_MAX_VOCAB.
 * Numbers are rounded to the nearest double, then to the nearest float. where and number name the
 * file and the row in messages.
 */
static pluck_status parse_row(const uint8_t *line, size_t length, float *values, uint32_t n_vocab,
                              const char *where, uint64_t number, json_row *row, pluck_error *err)
{
    row_reader r = {{line, line, line + length, where, number, err}, values, n_vocab};
    bool has_values = false, has_target = false;
    *row = (json_row){.target = PLUCK_NO_TOKEN};
    if (!plk_json_take(&r.scan, '{'))
        return plk_json_fail_expected(&r.scan, "'{' and a row on one line");
    do {
        if (plk_json_next_is(&r.scan, '}') && !has_values && !has_target)
            break;
        pluck_status status = read_pair(&r, row, &has_values, &has_target);
        if (status != PLUCK_OK)
            return status;
    } while (plk_json_take(&r.scan, ','));
    if (!plk_json_take(&r.scan, '}'))
        return plk_json_fail_expected(&r.scan, "',' or '}'");
    if (r.scan.at != r.scan.end)
        return plk_json_fail_expected(&r.scan, "the end of the line");
    if (!has_values)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: row %llu has neither \"logits\" nor \"logprobs\"", where,
                        (unsigned long long)number);
    return PLUCK_OK;
}

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
    return plk_grow(&dump->allocator, &jsonl->line, &jsonl->line_capacity, capacity, 1, err);
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

static pluck_status set_info(pluck_dump *dump, const json_row *first, uint32_t wanted,
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
    json_row first;
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
    status = parse_row(line, length, NULL, options->raw_n_vocab, source->label, 0, &first, err);
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
    json_row read;
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
        parse_row(line, length, scratch, dump->info.n_vocab, label, row, &read, err);
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
