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

static void fail_count(row_reader *r, uint32_t n)
{
    r->scan.status = plk_fail(
        r->scan.err, PLUCK_ERR_FORMAT, "%s: row %llu has %s%u values, expected %u", r->scan.where,
        (unsigned long long)r->scan.number, n > r->n_vocab ? "more than " : "",
        (unsigned)(n > r->n_vocab ? r->n_vocab : n), (unsigned)r->n_vocab);
}

/* What tokens are below. */
static uint32_t most_tokens(const row_reader *r)
{
    return r->n_vocab != 0 ? r->n_vocab : PLUCK_MAX_VOCAB;
}

/* [v, v, ...] */
static void read_array(row_reader *r, json_row *row)
{
    uint32_t most = most_tokens(r), n = 0;
    if (plk_json_take(&r->scan, ']')) {
        plk_json_fail_expected(&r->scan, "a value for each token before the ']'");
        return;
    }
    do {
        float value = plk_json_take_value(&r->scan);
        if (r->scan.status != PLUCK_OK)
            return;
        if (n == most) {
            if (r->n_vocab != 0)
                fail_count(r, n + 1);
            else
                plk_json_fail_expected(&r->scan, "at most 16777216 values");
            return;
        }
        if (r->values)
            r->values[n] = value;
        n++;
    } while (plk_json_take(&r->scan, ','));
    row->n_values = n;
    if (!plk_json_take(&r->scan, ']'))
        plk_json_fail_expected(&r->scan, "',' or ']'");
    else if (r->n_vocab != 0 && n != r->n_vocab)
        fail_count(r, n);
}

static void read_token(row_reader *r, plk_json_span key, uint32_t *id)
{
    plk_json_scan *s = &r->scan;
    if (s->status == PLUCK_OK && (!plk_json_id(key, id) || *id >= most_tokens(r)))
        s->status =
            plk_fail(s->err, PLUCK_ERR_FORMAT,
                     "%s: row %llu: \"%.*s\" is not a token: expected an id from 0 to %u", s->where,
                     (unsigned long long)s->number, (int)(key.length < 32 ? key.length : 32),
                     (const char *)key.begin, (unsigned)(most_tokens(r) - 1));
}

/* {"id": v, ...} */
static void read_map(row_reader *r, json_row *row)
{
    plk_json_scan *s = &r->scan;
    float *values = r->values;
    row->is_sparse = true;
    for (uint32_t i = 0, n = r->n_vocab; values && i < n; i++)
        values[i] = -INFINITY;
    if (plk_json_take(s, '}'))
        plk_json_fail_expected(s, "a value for some token before the '}'");
    do {
        uint32_t id = 0;
        read_token(r, plk_json_take_string(s), &id);
        if (!plk_json_take(s, ':'))
            plk_json_fail_expected(s, "':'");
        float value = plk_json_take_value(s);
        if (s->status != PLUCK_OK)
            return;
        if (values && values[id] != -INFINITY) {
            s->status = plk_fail(s->err, PLUCK_ERR_FORMAT, "%s: row %llu: token %u is given twice",
                                 s->where, (unsigned long long)s->number, (unsigned)id);
            return;
        }
        if (values)
            values[id] = value;
        row->n_values++;
    } while (plk_json_take(s, ','));
    if (!plk_json_take(s, '}'))
        plk_json_fail_expected(s, "',' or '}'");
}

static void read_target(row_reader *r, json_row *row)
{
    plk_json_scan *s = &r->scan;
    if (plk_json_take_word(s, "null"))
        return;
    double number = plk_json_take_number(s);
    if (s->status != PLUCK_OK || number < 0.0)
        return;
    if (number < (double)most_tokens(r) && number == floor(number))
        row->target = (pluck_token)number;
    else
        s->status = plk_fail(s->err, PLUCK_ERR_FORMAT,
                             "%s: row %llu: the target is %.10g: expected a token from 0 to %u, a "
                             "negative number or null",
                             s->where, (unsigned long long)s->number, number,
                             (unsigned)(most_tokens(r) - 1));
}

/* One "key": value; *has_values and *has_target say what there was before. */
static void read_pair(row_reader *r, json_row *row, bool *has_values, bool *has_target)
{
    plk_json_scan *s = &r->scan;
    plk_json_span key = plk_json_take_string(s);
    if (s->status == PLUCK_OK && !plk_json_take(s, ':'))
        plk_json_fail_expected(s, "':'");
    if (s->status != PLUCK_OK)
        return;
    if (plk_json_key_is(key, "logits") || plk_json_key_is(key, "logprobs")) {
        if (*has_values)
            plk_json_fail_expected(s, "only one \"logits\" or \"logprobs\" per row");
        *has_values = true;
        if (plk_json_take(s, '['))
            read_array(r, row);
        else if (plk_json_take(s, '{'))
            read_map(r, row);
        else
            plk_json_fail_expected(s, "'[' or '{'");
    } else if (plk_json_key_is(key, "target")) {
        if (*has_target)
            plk_json_fail_expected(s, "only one \"target\" per row");
        *has_target = true;
        read_target(r, row);
    } else {
        plk_json_skip_value(s, 1);
    }
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
    row_reader r = {.scan = {.begin = line,
                             .at = line,
                             .end = line + length,
                             .where = where,
                             .number = number,
                             .err = err},
                    .values = values,
                    .n_vocab = n_vocab};
    bool has_values = false, has_target = false;
    *row = (json_row){.target = PLUCK_NO_TOKEN};
    if (!plk_json_take(&r.scan, '{'))
        plk_json_fail_expected(&r.scan, "'{' and a row on one line");
    do {
        if (plk_json_next_is(&r.scan, '}') && !has_values && !has_target)
            break;
        if (r.scan.status == PLUCK_OK)
            read_pair(&r, row, &has_values, &has_target);
    } while (r.scan.status == PLUCK_OK && plk_json_take(&r.scan, ','));
    if (r.scan.status == PLUCK_OK && !plk_json_take(&r.scan, '}'))
        plk_json_fail_expected(&r.scan, "',' or '}'");
    if (r.scan.at != r.scan.end)
        plk_json_fail_expected(&r.scan, "the end of the line");
    if (r.scan.status != PLUCK_OK)
        return r.scan.status;
    if (!has_values)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: row %llu has neither \"logits\" nor \"logprobs\"", where,
                        (unsigned long long)number);
    return PLUCK_OK;
}

/* '{' and the quote of the first key, as far as they can be seen. */
static bool sniff(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options)
{
    size_t i = plk_first_byte(bytes, size_bytes);
    (void)options;
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
    jsonl_file *jsonl = dump->own;
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
        if (!jsonl->has_line) {
            out->logits.data = NULL;
            return PLUCK_OK;
        }
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
    out->target = read.target;
    return status;
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
    plk_lines_close(&jsonl->lines, &dump->allocator);
    plk_free(&dump->allocator, jsonl->line);
}

const plk_dump_reader plk_dump_jsonl = {
    .format = PLUCK_DUMP_JSONL,
    .name = "jsonl",
    .recognised = "JSON lines",
    .needs_scratch = true,
    .own_bytes = sizeof(jsonl_file),
    .sniff = sniff,
    .open = open_lines,
    .read = read_row,
    .release = release_rows,
    .close = close_lines,
};
