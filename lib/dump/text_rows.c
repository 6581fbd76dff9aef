/*
 * Text: one row per line, numbers with commas, semicolons, tabs or white space between them (CSV,
 * TSV, numpy.savetxt); lines that begin with '#' are comments. Numbers are rounded to the nearest
 * double and then to the nearest float, as everywhere.
 *
 * A first line that is not numbers names the columns. So does one that counts 0, 1, 2, ... in plain
 * integers, if the line after it has numbers of another kind, as pandas writes it. A column without
 * a name, or called index, row, position or step, that comes first is the number of the row and not
 * a logit; one called target or targets holds the token that came next. A table with a line for
 * each token instead of each row has a column called token, and is refused.
 *
 * Lines of one number each are one row, as numpy.savetxt writes an array of one axis, and so are
 * lines "0: -1.25", "1: 3.5", ... of llama-debug --save-logits.
 */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/text.h"
#include "dump/reader.h"
#include "json/json.h"

enum { SNIFF_TEXT_BYTES = 64, NO_COLUMN = -1 };

typedef struct text_file {
    plk_lines lines;
    char separator;    /* ' ': white space */
    bool is_one_row;   /* a line for each token */
    bool is_numbered;  /* these lines are "number: value" */
    uint32_t n_header; /* lines of names: 0 or 1 */
    uint32_t n_cells;  /* of a line */
    int64_t index_column, target_column;
} text_file;

/* A cell of a line. */
typedef struct cell {
    const char *text;
    size_t length;
} cell;

typedef struct text_line {
    const uint8_t *bytes;
    size_t length;
} text_line;

typedef struct cells {
    const char *at, *end;
    char separator;
    bool has_more;
} cells;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static cells cells_of(text_line line, char separator)
{
    const char *text = (const char *)line.bytes;
    size_t length = line.length;
    while (length > 0 && is_blank(text[length - 1]) &&
           (separator != '\t' || text[length - 1] != '\t'))
        length--;
    return (cells){text, text + length, separator, true};
}

/* The next cell, without quotes and the white space around it; false: there is none. */
static bool next_cell(cells *c, cell *found)
{
    if (!c->has_more)
        return false;
    while (c->at < c->end && is_blank(*c->at) && (c->separator == ' ' || *c->at != c->separator))
        c->at++;
    bool is_quoted = c->at < c->end && *c->at == '"';
    const char *begin = c->at;
    if (is_quoted) {
        const char *close = memchr(begin + 1, '"', (size_t)(c->end - begin - 1));
        c->at = close ? close + 1 : c->end;
    }
    while (c->at < c->end && (c->separator == ' ' ? !is_blank(*c->at) : *c->at != c->separator))
        c->at++;
    const char *end = c->at;
    while (end > begin && is_blank(end[-1]))
        end--;
    if (is_quoted && end > begin + 1 && end[-1] == '"') {
        begin++;
        end--;
    }
    *found = (cell){begin, (size_t)(end - begin)};
    c->has_more = c->at < c->end;
    if (c->separator != ' ')
        c->at += c->has_more;
    return true;
}

static bool is_word(const cell *c, const char *word)
{
    return plk_is_word(c->text, c->length, word);
}

static bool is_one_of(const cell *c, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_word(c, words[i]))
            return true;
    return false;
}

static size_t n_digits(const char *text, const char *end)
{
    size_t n = 0;
    while (text + n < end && text[n] >= '0' && text[n] <= '9')
        n++;
    return n;
}

/* A decimal number without its sign; its exponent ends it. */
typedef struct decimal {
    const char *digits, *point, *exponent, *end;
    size_t before, after; /* digits, of the point */
} decimal;

static bool split_decimal(const cell *c, decimal *d)
{
    const char *text = c->text, *end = text + c->length;
    *d = (decimal){.digits = text, .end = end, .before = n_digits(text, end)};
    d->point = text + d->before;
    bool has_point = d->point < end && *d->point == '.';
    d->after = has_point ? n_digits(d->point + 1, end) : 0;
    d->exponent = d->point + has_point + d->after;
    if (d->before + d->after == 0 || d->exponent == end)
        return d->before + d->after > 0;
    const char *at = d->exponent + 1;
    at += at < end && (*at == '-' || *at == '+');
    return (*d->exponent == 'e' || *d->exponent == 'E') && at < end &&
           at + n_digits(at, end) == end;
}

/* As JSON, which has no leading zeros, and digits on both sides of a point. */
static double read_decimal(decimal d)
{
    char json[PLK_NUMBER_MAX_TEXT + 1];
    size_t n = 0, n_point = d.after > 0 ? d.after + 1 : 0,
           n_exponent = (size_t)(d.end - d.exponent);
    for (; d.before > 1 && *d.digits == '0'; d.before--)
        d.digits++;
    if (d.before == 0)
        json[n++] = '0';
    memcpy(json + n, d.digits, d.before);
    memcpy(json + n + d.before, d.point, n_point);
    memcpy(json + n + d.before + n_point, d.exponent, n_exponent);
    return plk_number_read(json, n + d.before + n_point + n_exponent);
}

/* A number as C, Python and spreadsheets write it, or nan, inf. */
static bool parse_number(const cell *c, double *value)
{
    cell rest = *c;
    bool is_negative = c->length > 0 && *c->text == '-';
    if (is_negative || (c->length > 0 && *c->text == '+'))
        rest = (cell){c->text + 1, c->length - 1};
    decimal d;
    *value = (double)NAN;
    if (is_word(&rest, "nan"))
        return true;
    if (is_word(&rest, "inf") || is_word(&rest, "infinity"))
        *value = (double)INFINITY;
    else if (split_decimal(&rest, &d) && rest.length + 2 <= PLK_NUMBER_MAX_TEXT)
        *value = read_decimal(d);
    else
        return false;
    *value = is_negative ? -*value : *value;
    return true;
}

static bool is_plain_integer(const cell *c)
{
    return c->length > 0 && n_digits(c->text, c->text + c->length) == c->length;
}

/* Whether the beginning of a line can only be numbers. */
static bool is_numeric(const uint8_t *line, size_t length)
{
    static const char allowed[] = "0123456789+-.eE,;: \t\r\"'naifNAIFtyTY";
    size_t n_digits_seen = 0, n = length < SNIFF_TEXT_BYTES ? length : SNIFF_TEXT_BYTES;
    for (size_t i = 0; i < n && line[i] != '\n'; i++) {
        if (line[i] == '\0' || !strchr(allowed, line[i]))
            return false;
        n_digits_seen += line[i] >= '0' && line[i] <= '9';
    }
    bool is_word = n >= 3 && (memcmp(line, "nan", 3) == 0 || memcmp(line, "inf", 3) == 0);
    return n_digits_seen > 0 || is_word;
}

static bool is_printable(const uint8_t *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (line[i] < 0x20 && line[i] != '\t' && line[i] != '\r')
            return false;
    return true;
}

/* Text before the numbers: names of columns. */
static bool is_names(const uint8_t *line, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (strchr(",;\t ", line[i]) && line[i] != '\0')
            return is_printable(line, length);
    return false;
}

static bool sniff(const uint8_t *bytes, size_t size_bytes, const pluck_dump_options *options)
{
    size_t at = plk_mark_bytes(bytes, size_bytes);
    (void)options;
    /* Binary files, which may be large, are not searched for lines. */
    for (size_t i = 0; i < SNIFF_TEXT_BYTES && at + i < size_bytes; i++)
        if (bytes[at + i] < 0x20 && !plk_is_space(bytes[at + i]))
            return false;
    while (at < size_bytes) {
        const uint8_t *newline = memchr(bytes + at, '\n', size_bytes - at);
        size_t length = newline ? (size_t)(newline - bytes) - at : size_bytes - at;
        size_t blank = 0, next = at + length + 1;
        while (blank < length && plk_is_space(bytes[at + blank]))
            blank++;
        bool is_comment = blank < length && bytes[at + blank] == '#';
        if (is_numeric(bytes + at + blank, length - blank))
            return true;
        if (is_comment ? !is_printable(bytes + at, length) : blank < length)
            return is_names(bytes + at, length) && next < size_bytes &&
                   is_numeric(bytes + next, size_bytes - next);
        at = next;
    }
    return false;
}

/* Of a line of numbers. Tabs and spaces mixed are white space. */
static char find_separator(text_line line)
{
    cells all = cells_of(line, '\t');
    cell c;
    bool has_comma = memchr(line.bytes, ',', line.length);
    bool is_mixed = !memchr(line.bytes, '\t', line.length);
    if (memchr(line.bytes, ';', line.length))
        return ';';
    while (next_cell(&all, &c))
        is_mixed = is_mixed || memchr(c.text, ' ', c.length);
    return !is_mixed ? '\t' : has_comma ? ',' : ' ';
}

/* The number of the line in the file, from 1 on, comments and blank ones counted. */
static unsigned long long line_of(const pluck_dump *dump, const void *at)
{
    unsigned long long n = 1;
    for (const uint8_t *c = dump->source.bytes; c < (const uint8_t *)at; c++)
        n += *c == '\n';
    return n;
}

static pluck_status fail_cell(const pluck_dump *dump, const text_file *text, uint32_t column,
                              const cell *c, pluck_error *err)
{
    bool has_comma = memchr(c->text, ',', c->length) && text->separator != ',';
    if (c->length == 0)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: line %llu, column %u is empty; write nan, or -inf for a token that is "
                        "impossible",
                        dump->source.label, line_of(dump, c->text), (unsigned)column + 1);
    return plk_fail(err, PLUCK_ERR_FORMAT, "%s: line %llu, column %u: '%.*s' is not a number%s",
                    dump->source.label, line_of(dump, c->text), (unsigned)column + 1,
                    (int)(c->length < 32 ? c->length : 32), c->text,
                    has_comma ? "; decimal commas are not read, write a point" : "");
}

/* Whether a line counts 0, 1, 2, ... from its first or second cell on. */
static bool counts_columns(cells all)
{
    cell c;
    uint32_t expected = 0, n = 0;
    while (next_cell(&all, &c)) {
        double value = 0.0;
        bool is_index = n++ == 0 && c.length == 0;
        if (is_index)
            continue;
        if (!is_plain_integer(&c) || !parse_number(&c, &value) || value != (double)expected)
            return false;
        expected++;
    }
    return expected > 1;
}

static bool has_other_numbers(cells all)
{
    cell c;
    while (next_cell(&all, &c))
        if (!is_plain_integer(&c))
            return true;
    return false;
}

static bool is_header(cells all)
{
    cell c;
    double value = 0.0;
    for (bool is_first = true; next_cell(&all, &c); is_first = false)
        if ((is_first || c.length > 0) && !parse_number(&c, &value))
            return true;
    return false;
}

/* What the names of the columns say. */
static pluck_status read_header(const pluck_dump *dump, text_file *text, cells all,
                                pluck_error *err)
{
    static const char *const index_names[] = {"", "index", "row", "position", "step", "unnamed: 0"};
    static const char *const target_names[] = {"target", "targets"};
    static const char *const token_names[] = {"token", "token_id", "tokens", "id", "token_str"};
    cell c;
    for (uint32_t column = 0; next_cell(&all, &c); column++) {
        if (column == 0 && is_one_of(&c, index_names, sizeof index_names / sizeof *index_names))
            text->index_column = column;
        else if (is_one_of(&c, target_names, sizeof target_names / sizeof *target_names))
            text->target_column = column;
        else if (is_one_of(&c, token_names, sizeof token_names / sizeof *token_names))
            return plk_fail(
                err, PLUCK_ERR_FORMAT,
                "%s: has a column '%.*s', so one line per token; expected one line per row "
                "and one column per token",
                dump->source.label, (int)c.length, c.text);
    }
    text->n_header = 1;
    return PLUCK_OK;
}

/* "12: value". */
static bool split_numbered(const uint8_t *line, size_t length, uint64_t *number, cell *value)
{
    const char *begin = (const char *)line, *end = begin + length;
    size_t n = n_digits(begin, end);
    if (n == 0 || n > 9 || n + 1 >= length || begin[n] != ':' || begin[n + 1] != ' ')
        return false;
    *number = 0;
    for (size_t i = 0; i < n; i++)
        *number = 10 * *number + (uint64_t)(begin[i] - '0');
    begin += n + 2;
    while (end > begin && is_blank(end[-1]))
        end--;
    *value = (cell){begin, (size_t)(end - begin)};
    return true;
}

static uint32_t count_cells(cells all)
{
    cell c;
    uint32_t n = 0;
    while (n <= PLUCK_MAX_VOCAB && next_cell(&all, &c))
        n++;
    return n;
}

static pluck_status set_info(pluck_dump *dump, text_file *text, const pluck_dump_options *options,
                             pluck_error *err)
{
    uint64_t n_lines = text->lines.n - text->n_header, n_vocab = text->n_cells;
    assert(text->target_column < (int64_t)text->n_cells);
    n_vocab -= text->index_column != NO_COLUMN;
    n_vocab -= text->target_column != NO_COLUMN;
    text->is_one_row = text->is_numbered || (n_vocab == 1 && n_lines > 1);
    dump->info.n_rows = text->is_one_row ? 1 : n_lines;
    n_vocab = text->is_one_row ? n_lines : n_vocab;
    if (n_vocab < 1 || n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: has rows of %llu numbers, expected 1 to %u",
                        dump->source.label, (unsigned long long)n_vocab, (unsigned)PLUCK_MAX_VOCAB);
    if (options->raw_n_vocab != 0 && options->raw_n_vocab != n_vocab)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: has rows of %llu numbers, expected %u",
                        dump->source.label, (unsigned long long)n_vocab,
                        (unsigned)options->raw_n_vocab);
    dump->info.n_vocab = (uint32_t)n_vocab;
    dump->info.dtype = PLUCK_F32;
    dump->info.stored_dtype = "text";
    dump->info.has_targets = text->target_column != NO_COLUMN && !text->is_one_row;
    return PLUCK_OK;
}

static pluck_status find_lines(pluck_dump *dump, text_file *text, pluck_error *err)
{
    plk_source *source = &dump->source;
    pluck_status status = plk_source_load(source, PLK_MAX_LOADED_BYTES, err);
    if (status != PLUCK_OK)
        return status;
    size_t mark_bytes = plk_mark_bytes(source->bytes, (size_t)source->size_bytes);
    status = plk_lines_open(&text->lines, source, mark_bytes, '#', err);
    if (status == PLUCK_OK && text->lines.n == 0)
        return plk_fail(err, PLUCK_ERR_FORMAT, "%s: has no rows: all lines are blank",
                        source->label);
    return status;
}

/* Whether the first line is names of columns, and not a row. */
static bool has_names(const text_file *text, cells first, cells second)
{
    bool counts = text->lines.n > 1 && counts_columns(first) && has_other_numbers(second);
    return !text->is_numbered && (counts || is_header(first));
}

/* The cells of a row, which is the first line unless that has the names. */
static pluck_status match_names(const pluck_dump *dump, text_file *text, text_line first,
                                text_line row, pluck_error *err)
{
    uint32_t n_names = count_cells(cells_of(first, text->separator));
    text->n_cells = count_cells(cells_of(row, text->separator));
    if (n_names == text->n_cells)
        return PLUCK_OK;
    if (n_names + 1 != text->n_cells || text->index_column != NO_COLUMN)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: line %llu names %u columns, but line %llu has %u", dump->source.label,
                        line_of(dump, first.bytes), (unsigned)n_names, line_of(dump, row.bytes),
                        (unsigned)text->n_cells);
    /* R gives no name to the column of row names. */
    text->index_column = 0;
    text->target_column += text->target_column != NO_COLUMN;
    return PLUCK_OK;
}

static pluck_status open_text(pluck_dump *dump, const pluck_dump_options *options, pluck_error *err)
{
    text_file *text = dump->own;
    text->index_column = text->target_column = NO_COLUMN;
    pluck_status status = find_lines(dump, text, err);
    if (status != PLUCK_OK)
        return status;
    dump->info.streamed = false;
    text_line first = {0}, second;
    uint64_t number = 0;
    cell value;
    first.bytes = plk_lines_find(&text->lines, &dump->source, 0, &first.length);
    second = first;
    if (text->lines.n > 1)
        second.bytes = plk_lines_find(&text->lines, &dump->source, 1, &second.length);
    text->is_numbered = split_numbered(first.bytes, first.length, &number, &value) && number == 0;
    text->separator = find_separator(second);
    cells names = cells_of(first, text->separator);
    if (has_names(text, names, cells_of(second, text->separator)))
        status = read_header(dump, text, names, err);
    if (status == PLUCK_OK && text->n_header == text->lines.n)
        status = plk_fail(err, PLUCK_ERR_FORMAT, "%s: its only line is not a row of numbers",
                          dump->source.label);
    if (status == PLUCK_OK)
        status = match_names(dump, text, first, text->n_header > 0 ? second : first, err);
    return status == PLUCK_OK ? set_info(dump, text, options, err) : status;
}

static pluck_status fail_count(const pluck_dump *dump, const text_file *text, const uint8_t *line,
                               uint32_t n, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_FORMAT, "%s: line %llu has %s%u cells, expected %u",
                    dump->source.label, line_of(dump, line), n > text->n_cells ? "more than " : "",
                    (unsigned)(n > text->n_cells ? text->n_cells : n), (unsigned)text->n_cells);
}

static pluck_status set_target(const pluck_dump *dump, const cell *c, pluck_token *target,
                               pluck_error *err)
{
    double value = -1.0;
    bool is_given = c->length > 0 && !is_word(c, "nan");
    if (is_given &&
        (!parse_number(c, &value) || value != floor(value) || value >= (double)dump->info.n_vocab))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "%s: line %llu: the target is '%.*s': expected a token below %u, or a "
                        "negative number for none",
                        dump->source.label, line_of(dump, c->text),
                        (int)(c->length < 32 ? c->length : 32), c->text,
                        (unsigned)dump->info.n_vocab);
    *target = value < 0.0 ? PLUCK_NO_TOKEN : (pluck_token)value;
    return PLUCK_OK;
}

/* The numbers of a line, which are a row; line counts those that are not blank. */
static pluck_status read_line(pluck_dump *dump, uint64_t line, float *values, pluck_token *target,
                              pluck_error *err)
{
    text_file *text = dump->own;
    text_line l = {NULL, 0};
    l.bytes = plk_lines_find(&text->lines, &dump->source, line, &l.length);
    const uint8_t *bytes = l.bytes;
    cells all = cells_of(l, text->separator);
    cell c;
    uint32_t column = 0, n = 0;
    for (; next_cell(&all, &c); column++) {
        double value = 0.0;
        if (column == text->n_cells)
            return fail_count(dump, text, bytes, column + 1, err);
        if (column == text->target_column) {
            pluck_status status = set_target(dump, &c, target, err);
            if (status != PLUCK_OK)
                return status;
        } else if (column != text->index_column) {
            if (!parse_number(&c, &value))
                return fail_cell(dump, text, column, &c, err);
            values[n++] = (float)value;
        }
    }
    return column == text->n_cells ? PLUCK_OK : fail_count(dump, text, bytes, column, err);
}

/* The only row, of which each line has a value. */
static pluck_status read_lines(pluck_dump *dump, float *values, pluck_error *err)
{
    text_file *text = dump->own;
    pluck_token ignored = PLUCK_NO_TOKEN;
    for (uint32_t i = 0; i < dump->info.n_vocab; i++) {
        uint64_t line = text->n_header + (uint64_t)i, number = 0;
        size_t length = 0;
        cell c;
        double value = 0.0;
        pluck_status status = PLUCK_OK;
        if (!text->is_numbered) {
            status = read_line(dump, line, values + i, &ignored, err);
        } else {
            const uint8_t *bytes = plk_lines_find(&text->lines, &dump->source, line, &length);
            if (!split_numbered(bytes, length, &number, &c) || number != i ||
                !parse_number(&c, &value))
                status = plk_fail(
                    err, PLUCK_ERR_FORMAT, "%s: line %llu is '%.*s': expected '%u: ' and a number",
                    dump->source.label, line_of(dump, bytes), (int)(length < 32 ? length : 32),
                    (const char *)bytes, (unsigned)i);
            values[i] = (float)value;
        }
        if (status != PLUCK_OK)
            return status;
    }
    return PLUCK_OK;
}

static pluck_status read_row(pluck_dump *dump, uint64_t row, float *scratch, pluck_dump_row *out,
                             pluck_error *err)
{
    text_file *text = dump->own;
    return text->is_one_row ? read_lines(dump, scratch, err)
                            : read_line(dump, text->n_header + row, scratch, &out->target, err);
}

static void release_rows(pluck_dump *dump, uint64_t row)
{
    const text_file *text = dump->own;
    if (!text->is_one_row)
        plk_lines_release(&text->lines, &dump->source, row + text->n_header);
}

static void close_text(pluck_dump *dump)
{
    text_file *text = dump->own;
    plk_lines_close(&text->lines, &dump->allocator);
}

const plk_dump_reader plk_dump_text = {
    .format = PLUCK_DUMP_TEXT,
    .name = "text",
    .recognised = "CSV, TSV",
    .needs_scratch = true,
    .own_bytes = sizeof(text_file),
    .sniff = sniff,
    .open = open_text,
    .read = read_row,
    .release = release_rows,
    .close = close_text,
};
