/*
 * Rows, targets and texts that a command reads. A file of targets that was named comes
 * before the targets of a dump. Ranges of rows are half open; a negative number counts
 * from the end, which must be known.
 */
#include "input.h"
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *source_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

plk_shape source_shape(const pluck_dump_info *info)
{
    plk_shape shape = {.n_axes = 0};
    if (info->n_axes > 1) {
        shape.n_axes = info->n_axes - 1;
        memcpy(shape.axes, info->axes, shape.n_axes * sizeof *shape.axes);
    }
    return shape;
}

int source_check_shape(const char *dump_name, const plk_shape *rows, const char *targets_name,
                       const plk_shape *of)
{
    char of_rows[PLK_SHAPE_TEXT_BYTES], of_targets[PLK_SHAPE_TEXT_BYTES];
    if (plk_shapes_agree(rows, of))
        return EXIT_DONE;
    return complain(EXIT_DATA,
                    "%s: has targets of shape %s, but the rows of %s have the shape %s; give the "
                    "targets in the order of the rows",
                    targets_name, plk_shape_text(of, of_targets), dump_name,
                    plk_shape_text(rows, of_rows));
}

/* How the rows of an array of three axes and more are counted: from the last axis but one. */
static void note_shape(const char *path, const pluck_dump_info *info)
{
    char text[PLK_SHAPE_TEXT_BYTES];
    plk_shape whole = {.n_axes = info->n_axes};
    if (info->n_tensors > 1)
        note("%s: %s are %zu consecutive steps", source_name(path), info->tensor, info->n_tensors);
    if (info->n_axes < 3)
        return;
    memcpy(whole.axes, info->axes, whole.n_axes * sizeof *whole.axes);
    note("%s: %s: %llu rows", source_name(path), plk_shape_text(&whole, text),
         (unsigned long long)info->n_rows);
}

static int open_dump(const input_flags *flags, const char *path, source *src)
{
    pluck_dump_options options = {.struct_size = sizeof options,
                                  .format = (pluck_dump_format)flags->format,
                                  .tensor = flags->tensor,
                                  .raw_dtype = (pluck_dtype)flags->dtype,
                                  .raw_n_vocab = (uint32_t)flags->vocab_size,
                                  .no_map = flags->no_map};
    pluck_error err;
    memset(src, 0, sizeof *src);
    if (options.format == PLUCK_DUMP_RAW && options.raw_n_vocab == 0)
        return complain(EXIT_USAGE, "--input-format raw needs --vocab-size N: how many "
                                    "values a row has");
    src->info = PLUCK_INIT(pluck_dump_info);
    pluck_status status = pluck_dump_open(&src->dump, path, &options, &err);
    if (status == PLUCK_OK)
        status = pluck_dump_get_info(src->dump, &src->info, &err);
    return complain_error(status, &err);
}

int source_count_rows(const input_flags *flags, const char *path, const row_range *range,
                      uint64_t *n)
{
    source src;
    uint64_t first = 0, end = 0;
    int code = open_dump(flags, path, &src);
    if (code == EXIT_DONE)
        code = rows_resolve(range, src.info.n_rows, source_name(path), &first, &end);
    source_close(&src);
    *n = end - first;
    return code;
}

int source_open(const input_flags *flags, const char *path, source *src)
{
    int code = open_dump(flags, path, src);
    if (code != EXIT_DONE)
        return code;
    if (pluck_dump_token_text(src->dump, 0, NULL)) {
        uint32_t n = 0;
        while (n < src->info.n_vocab && pluck_dump_token_text(src->dump, (pluck_token)n, NULL))
            n++;
        note("%s: its tokens have no ids; the %u different texts are numbered in the order "
             "in which they appear",
             source_name(path), (unsigned)n);
    }
    if (src->info.is_sparse)
        note("%s: rows name some of their tokens; all others count as impossible (-inf)",
             source_name(path));
    note_shape(path, &src->info);
    src->scratch = malloc(src->info.n_vocab * sizeof *src->scratch);
    if (!src->scratch) {
        source_close(src);
        return complain_memory();
    }
    return EXIT_DONE;
}

void source_close(source *src)
{
    pluck_dump_destroy(&src->dump);
    free(src->scratch);
    src->scratch = NULL;
}

pluck_status read_logits(pluck_dump *dump, uint64_t row, float *scratch, pluck_logits *logits,
                         pluck_error *err)
{
    pluck_dump_row read = PLUCK_INIT(pluck_dump_row);
    pluck_status status = pluck_dump_read(dump, row, scratch, &read, err);
    *logits = read.logits;
    return status;
}

void widen_row(pluck_logits row, float *values)
{
    enum { AT_ONCE = 256 };
    double block[AT_ONCE];
    size_t n = row.n_vocab, value_bytes = pluck_dtype_size_bytes(row.dtype);
    for (size_t at = 0; at < n; at += AT_ONCE) {
        size_t n_now = n - at < AT_ONCE ? n - at : AT_ONCE;
        plk_widen_double((const char *)row.data + at * value_bytes, row.dtype, n_now, block);
        for (size_t i = 0; i < n_now; i++)
            values[at + i] = (float)block[i];
    }
}

int texts_open(token_texts *texts, const vocab_flags *flags)
{
    pluck_error err;
    *texts = (token_texts){.may_be_short = flags->is_short};
    if (!flags->file)
        return !flags->added ? EXIT_DONE
                             : complain(EXIT_USAGE, "--added-tokens needs --vocab FILE, the "
                                                    "vocabulary to which the tokens are added");
    texts->name = source_name(flags->file);
    return complain_error(plk_vocab_open(&texts->vocab, flags->file, flags->added,
                                         (plk_encoding)flags->encoding, NULL, &err),
                          &err);
}

void texts_close(token_texts *texts)
{
    plk_vocab_close(&texts->vocab);
    *texts = (token_texts){.name = NULL};
}

/* A vocabulary is by id. */
static int refuse_texts(const token_texts *texts, const char *name, const pluck_dump *dump)
{
    if (!texts->name || texts->is_of_dump || !dump || !pluck_dump_token_text(dump, 0, NULL))
        return EXIT_DONE;
    return complain(EXIT_USAGE,
                    "%s: names its tokens by texts and not by ids, so --vocab does not fit it",
                    name);
}

int texts_check(const token_texts *texts, const char *name, const pluck_dump *dump,
                uint32_t n_vocab)
{
    uint32_t n = texts->vocab.n;
    int code = refuse_texts(texts, name, dump);
    if (code != EXIT_DONE || !texts->name || n == n_vocab || (texts->may_be_short && n < n_vocab))
        return code;
    return complain(EXIT_DATA, "%s: has %u tokens, but rows of %s have %u values%s", texts->name,
                    (unsigned)n, name, (unsigned)n_vocab,
                    n < n_vocab ? "; --short-vocab allows that" : "");
}

int texts_take(token_texts *texts, const char *name, const pluck_dump *dump, uint32_t n_vocab)
{
    size_t n = 0;
    int code = refuse_texts(texts, name, dump);
    if (code != EXIT_DONE || !pluck_dump_token_text(dump, 0, &n))
        return code;
    plk_vocab_init(&texts->vocab, NULL);
    for (uint32_t i = 0; i < n_vocab; i++) {
        const char *text = pluck_dump_token_text(dump, (pluck_token)i, &n);
        if (text && !plk_vocab_set(&texts->vocab, i, text, n, true))
            return complain_memory();
    }
    texts->name = name;
    texts->is_of_dump = true;
    texts->may_be_short = true; /* --vocab-size may leave room for tokens without a text */
    return EXIT_DONE;
}

const char *texts_get(const token_texts *texts, pluck_token token, size_t *n)
{
    return plk_vocab_text(&texts->vocab, token, n);
}

static const char *text_of(void *user, pluck_token token, size_t *n)
{
    return plk_vocab_text(user, token, n);
}

void texts_give(const token_texts *texts, pluck_sampler_options *options)
{
    if (!texts->name)
        return;
    options->token_text = text_of;
    options->token_text_user = (void *)(uintptr_t)&texts->vocab;
}

void texts_json(const token_texts *texts, output *out, const char *name, pluck_token token)
{
    size_t n = 0;
    if (!texts->name)
        return;
    const char *text = texts_get(texts, token, &n);
    json_key(out, name);
    output_json_string(out, text, n);
}

void texts_cell(const token_texts *texts, table *t, pluck_token token, unsigned columns)
{
    size_t n = 0;
    if (!texts->name)
        return;
    const char *text = texts_get(texts, token, &n);
    table_text(t, text, n, columns);
}

/* Parses text[0] .. text[n - 1]; an empty one has no number. */
static bool parse_bound(const char *text, size_t n, bool *has, int64_t *value)
{
    char digits[24] = "";
    uint64_t magnitude = 0;
    bool is_negative = n > 0 && text[0] == '-';
    *has = n > 0;
    if (n == 0)
        return true;
    if (n >= sizeof digits)
        return false;
    memcpy(digits, text, n);
    if (!parse_count(digits + is_negative, 0, INT64_MAX, &magnitude))
        return false;
    *value = is_negative ? -(int64_t)magnitude : (int64_t)magnitude;
    return true;
}

static bool parse_range(const char *text, row_range *range)
{
    *range = (row_range){0};
    if (!text)
        return true;
    const char *colon = strchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : strlen(text);
    range->is_single = !colon;
    if (!parse_bound(text, n, &range->has_first, &range->first))
        return false;
    if (!colon)
        return range->has_first;
    return parse_bound(colon + 1, strlen(colon + 1), &range->has_end, &range->end);
}

int rows_read(const char *text, row_range *range)
{
    if (parse_range(text, range))
        return EXIT_DONE;
    return complain(EXIT_USAGE,
                    "--rows: '%s' is not a range; expected a form such as 3, 3:7, 3: or :7", text);
}

int rows_read_one(const char *text, row_range *range)
{
    if (parse_range(text ? text : "0", range) && range->is_single)
        return EXIT_DONE;
    return complain(EXIT_USAGE,
                    "--row: '%s' is not the number of a row; expected one number, such as 3 or -1",
                    text);
}

/* The row that value means among n_rows; one before the first becomes 0. */
static uint64_t from_end(int64_t value, uint64_t n_rows)
{
    if (value >= 0)
        return (uint64_t)value;
    uint64_t back = (uint64_t)-value;
    return back < n_rows ? n_rows - back : 0;
}

int rows_resolve(const row_range *range, uint64_t n_rows, const char *path, uint64_t *first,
                 uint64_t *end)
{
    bool is_known = n_rows != PLUCK_DUMP_ROWS_UNKNOWN;
    if (!is_known && (range->first < 0 || range->end < 0))
        return complain(EXIT_USAGE,
                        "%s: a row counted from the end needs a dump whose length is known", path);
    *first = range->has_first ? from_end(range->first, n_rows) : 0;
    if (range->is_single) {
        bool is_before = range->first < 0 && (uint64_t)-range->first > n_rows;
        if (is_known && (is_before || *first >= n_rows))
            return complain(EXIT_DATA, "%s: row %lld does not exist; the dump has %llu rows", path,
                            (long long)range->first, (unsigned long long)n_rows);
        *end = *first + 1;
        return EXIT_DONE;
    }
    *end = range->has_end ? from_end(range->end, n_rows) : n_rows;
    if (is_known && *end > n_rows)
        *end = n_rows;
    if (*first > *end)
        *first = *end;
    return EXIT_DONE;
}

static int check_count(const targets *t, const source *src, const char *dump_name)
{
    uint64_t n = pluck_targets_count(t->file);
    if (src->info.n_rows == PLUCK_DUMP_ROWS_UNKNOWN || src->info.n_rows == n) {
        const uint64_t *axes = NULL;
        plk_shape of_targets = {.n_axes = pluck_targets_axes(t->file, &axes)};
        plk_shape of_rows = source_shape(&src->info);
        memcpy(of_targets.axes, axes, of_targets.n_axes * sizeof *axes);
        return source_check_shape(dump_name, &of_rows, t->name, &of_targets);
    }
    return complain(
        EXIT_DATA, "%s: has %llu targets, but %s has %llu rows; expected one target per row",
        t->name, (unsigned long long)n, dump_name, (unsigned long long)src->info.n_rows);
}

int targets_open(targets *t, const char *path, const source *src, const char *dump_name)
{
    memset(t, 0, sizeof *t);
    t->n_vocab = src->info.n_vocab;
    t->is_known = path || src->info.has_targets;
    t->name = dump_name;
    if (!path && src->info.has_targets && src->info.n_tensors > 0)
        note("%s: the targets are those in the file", dump_name);
    if (!path)
        return EXIT_DONE;
    t->name = source_name(path);
    pluck_error err;
    pluck_status status = pluck_targets_open(&t->file, path, NULL, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    int code = check_count(t, src, dump_name);
    if (code != EXIT_DONE)
        targets_close(t);
    return code;
}

void targets_close(targets *t)
{
    pluck_targets_destroy(&t->file);
}

pluck_status targets_get(const targets *t, uint64_t row, const pluck_dump_row *read,
                         pluck_token *token, pluck_error *err)
{
    *token = read->target;
    if (!t->file)
        return PLUCK_OK;
    if (row >= pluck_targets_count(t->file))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: ends after %llu targets; row %llu has none, but each row needs one",
                        t->name, (unsigned long long)pluck_targets_count(t->file),
                        (unsigned long long)row);
    pluck_status status = pluck_targets_read(t->file, row, 1, token, err);
    if (status != PLUCK_OK)
        return status;
    if (*token != PLUCK_NO_TOKEN && (uint32_t)*token >= t->n_vocab)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: target %llu is %d, outside the vocabulary of %u tokens", t->name,
                        (unsigned long long)row, (int)*token, (unsigned)t->n_vocab);
    return PLUCK_OK;
}
