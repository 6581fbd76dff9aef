/*
 * A layer on the one writer of files, lib/file/file.h, for printing: errors are kept until
 * the end, and the unfinished file is known to the signal handler.
 *
 * Text of any bytes, and numbers, in the notations that results use.
 */
#include "output.h"
#include "run_files.h"
#include "run_ranks.h"

#include "base/alloc.h"
#include "base/platform.h"
#include "base/platform_program.h"
#include "json/json.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_BYTES = 1024, WRAP_INDENT = 2, MIN_WIDTH = 20, MAX_WIDTH = 1000 };

static void keep_error(output *out, pluck_status status)
{
    if (status != PLUCK_OK && out->error == 0)
        out->error = status == PLUCK_ERR_NOMEM ? ENOMEM : EIO;
}

static int finish_open(output *out, pluck_status status)
{
    out->is_open = status == PLUCK_OK;
    out->is_terminal = out->is_open && peers_have_terminal() && plk_is_terminal(out->file.fd);
    return complain_error(status, &out->err);
}

static int open_nothing(output *out, const char *name)
{
    *out = (output){.name = name, .file = {.fd = -1}, .unfinished = -1, .is_open = true};
    out->is_nothing = true;
    return EXIT_DONE;
}

int output_open(output *out, const char *path)
{
    if (ranks_writes())
        return output_open_file(out, path);
    return open_nothing(out, path ? path : "standard output");
}

int output_open_file(output *out, const char *path)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    *out = (output){.name = path, .unfinished = -1};
    if (!path || strcmp(path, "-") == 0) {
        path = "-";
        out->name = "standard output";
    }
    plk_place place;
    pluck_status status = plk_place_find(&place, path, &allocator, &out->err);
    if (status != PLUCK_OK)
        return finish_open(out, status);
    plk_place_free(&place);
    /* Opening a pipe waits for its reader, perhaps for ever: no signal may wait then. */
    bool holds = place.kind == PLK_PLACE_FILE;
    if (holds)
        plk_signals_hold(true);
    status = plk_new_file_open(&out->file, path, &allocator, &out->err);
    if (status == PLUCK_OK && out->file.temporary)
        out->unfinished = unfinished_add(out->file.temporary);
    if (holds)
        plk_signals_hold(false);
    return finish_open(out, status);
}

unsigned output_width(const output *out, unsigned otherwise)
{
    const char *columns = getenv("COLUMNS");
    unsigned long width = columns ? strtoul(columns, NULL, 10) : 0;
    if (width >= MIN_WIDTH && width <= MAX_WIDTH)
        return (unsigned)width;
    unsigned of_terminal = plk_terminal_columns(out->file.fd);
    return of_terminal >= MIN_WIDTH ? of_terminal : otherwise;
}

unsigned output_room(const output *out, unsigned columns)
{
    enum { LEAST_CELL = 12 };
    const wrapped_line *l = &out->line;
    unsigned used = l->column + (unsigned)l->n_spaces + l->word_columns;
    if (l->width == 0 || used + columns <= l->width)
        return columns;
    if (used + LEAST_CELL <= l->width)
        return l->width - used;
    return columns < l->width - WRAP_INDENT ? columns : l->width - WRAP_INDENT;
}

void output_wrap(output *out)
{
    out->line = (wrapped_line){.width = output_width(out, 0)};
}

int output_open_error(output *out)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    if (!ranks_writes())
        return open_nothing(out, "standard error");
    *out = (output){.name = "standard error", .unfinished = -1};
    return finish_open(out, plk_new_file_open_descriptor(&out->file, out->name, PLK_STDERR,
                                                         &allocator, &out->err));
}

static void empty_sink(output_sink *sink)
{
    if (sink->n > 0 && !sink->has_failed)
        sink->has_failed = !sink->take(sink->user, sink->stream, sink->bytes, sink->n);
    sink->n = 0;
}

static void fill_sink(output_sink *sink, const char *data, size_t n)
{
    while (n > 0) {
        size_t room = sizeof sink->bytes - sink->n, step = n < room ? n : room;
        memcpy(sink->bytes + sink->n, data, step);
        sink->n += step;
        data += step;
        n -= step;
        if (sink->n == sizeof sink->bytes)
            empty_sink(sink);
    }
}

/* A failure of the sink ends the writing to it; it is not the file's. */
static void write_to_sink(output *out, const char *data, size_t n)
{
    fill_sink(out->sink, data, n);
    if (out->sink->has_failed)
        out->error = EIO;
}

static void write_bytes(output *out, const char *data, size_t n)
{
    if (out->error != 0)
        return;
    if (out->sink)
        write_to_sink(out, data, n);
    else if (!out->is_nothing)
        keep_error(out, plk_new_file_write(&out->file, data, n, &out->err));
}

/* Writes the word with the spaces before it, of which one ends the line if it does not fit. */
static void end_word(output *out)
{
    wrapped_line *l = &out->line;
    if (l->n == 0)
        return;
    if (l->column > 0 && l->column + l->n_spaces + l->word_columns > l->width) {
        write_bytes(out, "\n", 1);
        l->n_spaces = WRAP_INDENT + (l->n_spaces > 0 ? l->n_spaces - 1 : 0);
        l->column = 0;
    }
    if (l->column == 0 && l->n_spaces + l->word_columns > l->width)
        l->n_spaces = l->word_columns < l->width ? l->width - l->word_columns : 0;
    for (size_t i = 0; i < l->n_spaces; i++)
        write_bytes(out, " ", 1);
    write_bytes(out, l->word, l->n);
    l->column += (unsigned)l->n_spaces + l->word_columns;
    l->n = l->n_spaces = l->word_columns = 0;
}

/* One character of a word, or a piece of a terminal code, which takes no room. */
static void add_to_word(output *out, const char *bytes, size_t n, unsigned columns)
{
    wrapped_line *l = &out->line;
    if (l->word_columns + columns > l->width || l->n + n > sizeof l->word)
        end_word(out);
    memcpy(l->word + l->n, bytes, n);
    l->n += n;
    l->word_columns += columns;
}

static void write_wrapped(output *out, const char *data, size_t n)
{
    wrapped_line *l = &out->line;
    for (size_t i = 0; i < n;) {
        uint32_t code_point = 0;
        size_t length = plk_utf8_decode(data + i, n - i, &code_point);
        length = length > 0 ? length : 1;
        char c = data[i];
        if (c == '\n') {
            end_word(out);
            write_bytes(out, "\n", 1);
            l->column = 0;
            l->n_spaces = 0;
        } else if (c == ' ' && !l->is_cell) {
            end_word(out);
            l->n_spaces++;
        } else if (c == '\033' || l->is_code) {
            l->is_code = c != 'm';
            add_to_word(out, data + i, length, 0);
        } else {
            add_to_word(out, data + i, length, plk_show(PLK_SCREEN, data + i, length).columns);
        }
        i += length;
    }
}

/* The first failure, and what is there in spite of it. */
static int complain_first(const output *outs, size_t n, bool with_others)
{
    char list[LIST_BYTES] = "";
    size_t used = 0, failed = n;
    for (size_t i = 0; i < n; i++) {
        bool is_completed =
            outs[i].is_open && outs[i].error == 0 && plk_new_file_is_finished(&outs[i].file);
        if (is_completed && used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                     used > 0 ? ", " : "; completed: ", outs[i].name);
        if (failed == n && outs[i].is_open && outs[i].error != 0)
            failed = i;
    }
    const output *out = &outs[failed];
    if (used == 0)
        snprintf(list, sizeof list, "; no other output was completed");
    if (!with_others)
        list[0] = '\0';
    if (out->err.status != PLUCK_OK)
        return complain(EXIT_SYSTEM, "%s%s", out->err.message, list);
    char reason[128];
    plk_system_message(out->error, reason, sizeof reason);
    return complain(EXIT_SYSTEM, "%s: %s%s", out->name, reason, list);
}

int outputs_close(output *outs, size_t n, bool keep)
{
    size_t n_open = 0;
    bool is_good = true;
    for (size_t i = 0; i < n; i++) {
        output *out = &outs[i];
        if (!out->is_open)
            continue;
        n_open++;
        end_word(out);
        if (out->error == 0 && !out->is_nothing && (keep || !out->file.temporary))
            keep_error(out, plk_new_file_complete(&out->file, &out->err));
        is_good = is_good && out->error == 0;
    }
    for (size_t i = 0; i < n && keep && is_good; i++) {
        if (outs[i].is_open && !outs[i].is_nothing)
            keep_error(&outs[i], plk_new_file_finish(&outs[i].file, &outs[i].err));
        is_good = outs[i].error == 0;
    }
    int code = is_good ? EXIT_DONE : complain_first(outs, n, keep && n_open > 1);
    for (size_t i = 0; i < n; i++) {
        if (!outs[i].is_open)
            continue;
        if (!outs[i].is_nothing)
            plk_new_file_close(&outs[i].file);
        unfinished_remove(outs[i].unfinished);
        outs[i].is_open = false;
    }
    return code;
}

int output_close(output *out, bool keep)
{
    return outputs_close(out, 1, keep);
}

int outputs_finish(output *outs, size_t n, int code)
{
    int closed = outputs_close(outs, n, code == EXIT_DONE);
    return code != EXIT_DONE ? code : closed;
}

int output_finish(output *out, int code)
{
    return outputs_finish(out, 1, code);
}

bool output_divert(output *out, output_sink *sink)
{
    output_sink *old = out->sink;
    end_word(out);
    if (old)
        empty_sink(old);
    out->sink = sink;
    if (!old || !old->has_failed)
        return true;
    out->error = 0;
    return false;
}

void output_replay(output *out, const char *bytes, size_t n)
{
    if (n > 0 && !out->sink)
        out->last = bytes[n - 1];
    if (out->error == 0 && !out->is_nothing)
        keep_error(out, plk_new_file_write(&out->file, bytes, n, &out->err));
}

void output_flush(output *out)
{
    end_word(out);
    if (out->error == 0 && !out->sink && !out->is_nothing)
        keep_error(out, plk_new_file_flush(&out->file, &out->err));
}

void output_write(output *out, const char *data, size_t n)
{
    out->last = n > 0 ? data[n - 1] : out->last;
    if (out->line.width > 0)
        write_wrapped(out, data, n);
    else
        write_bytes(out, data, n);
}

void output_text(output *out, const char *text)
{
    output_write(out, text, strlen(text));
}

void output_char(output *out, char c)
{
    output_write(out, &c, 1);
}

void output_printf(output *out, const char *format, ...)
{
    va_list values;
    char text[1024];
    va_start(values, format);
    int n = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (n >= 0 && (size_t)n < sizeof text) {
        output_write(out, text, (size_t)n);
        return;
    }
    char *whole = n >= 0 ? malloc((size_t)n + 1) : NULL;
    if (!whole) {
        out->error = out->error != 0 ? out->error : errno;
        return;
    }
    va_start(values, format);
    vsnprintf(whole, (size_t)n + 1, format, values);
    va_end(values);
    output_write(out, whole, (size_t)n);
    free(whole);
}

void output_shown(output *out, plk_notation notation, const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        plk_shown s = plk_show(notation, text + i, n - i);
        output_write(out, s.shown, s.n);
        i += s.n_read;
    }
}

static void write_between(output *out, plk_notation notation, const char *text, size_t n)
{
    output_char(out, '"');
    output_shown(out, notation, text, n);
    output_char(out, '"');
}

void output_json_string(output *out, const char *text, size_t n)
{
    write_between(out, PLK_JSON, text, n);
}

void output_csv_string(output *out, const char *text, size_t n)
{
    write_between(out, PLK_CSV, text, n);
}

void output_quoted(output *out, const char *text, size_t n)
{
    write_between(out, PLK_QUOTED, text, n);
}

/* How much of a text has at most this number of columns, which *used becomes. */
static size_t fitting(plk_notation notation, const char *text, size_t n, unsigned columns,
                      unsigned *used)
{
    size_t kept = 0;
    *used = 0;
    while (kept < n) {
        plk_shown s = plk_show(notation, text + kept, n - kept);
        if (*used + s.columns > columns)
            break;
        *used += s.columns;
        kept += s.n_read;
    }
    return kept;
}

unsigned output_cell(output *out, const char *text, size_t n, unsigned columns)
{
    unsigned used = 0, room = output_room(out, columns + 1) - 1;
    size_t kept = fitting(PLK_QUOTED, text, n, room - 2, &used);
    out->line.is_cell = true;
    output_quoted(out, text, kept);
    output_text(out, kept < n ? ">" : "");
    out->line.is_cell = false;
    return used + 2 + (kept < n);
}

void output_script_string(output *out, const char *text, size_t n, unsigned columns)
{
    unsigned used = 0;
    size_t kept = fitting(PLK_SCRIPT, text, n, columns, &used);
    output_char(out, '"');
    output_shown(out, PLK_SCRIPT, text, kept);
    output_text(out, kept < n ? "\xe2\x80\xa6\"" : "\"");
}

/* Writes what can be decided of the pending bytes: all of them if no more will come. */
static void flush_screen(output *out, screen_text *state, bool is_end)
{
    while (state->n > 0) {
        if (!is_end && plk_utf8_is_cut(state->pending, state->n))
            return;
        plk_shown s = plk_show(PLK_SCREEN, state->pending, state->n);
        output_write(out, s.shown, s.n);
        state->n -= s.n_read;
        memmove(state->pending, state->pending + s.n_read, state->n);
    }
}

void output_screen(output *out, screen_text *state, const char *text, size_t n)
{
    for (size_t i = 0; text && i < n; i++) {
        state->pending[state->n++] = text[i];
        flush_screen(out, state, false);
    }
    flush_screen(out, state, !text);
}

/* null in JSON; in CSV one spelling of NaN, whose sign says nothing. */
static const char *special_name(double value, bool is_csv)
{
    const char *infinity = value > 0 ? "inf" : "-inf";
    return !is_csv ? "null" : isnan(value) ? "nan" : infinity;
}

static void write_double(output *out, double value, bool is_csv)
{
    char text[PLK_NUMBER_TEXT_BYTES];
    if (isfinite(value))
        plk_number_write(value, text);
    output_text(out, isfinite(value) ? text : special_name(value, is_csv));
}

static void write_float(output *out, double value, bool is_csv)
{
    if (isfinite(value))
        output_printf(out, "%.9g", value == 0.0 ? 0.0 : value);
    else
        output_text(out, special_name(value, is_csv));
}

void output_double(output *out, double value)
{
    write_double(out, value, false);
}

void output_float(output *out, double value)
{
    write_float(out, value, false);
}

void output_csv_number(output *out, double value, bool is_double)
{
    if (is_double)
        write_double(out, value, true);
    else
        write_float(out, value, true);
}

void json_key(output *out, const char *name)
{
    if (!strchr("{[:\n", out->last))
        output_char(out, ',');
    if (name)
        output_printf(out, "\"%s\":", name);
}

void json_open(output *out, const char *name, char bracket)
{
    json_key(out, name);
    output_char(out, bracket);
}

void json_count(output *out, const char *name, uint64_t value)
{
    json_key(out, name);
    output_printf(out, "%llu", (unsigned long long)value);
}

void json_token(output *out, const char *name, int32_t token)
{
    json_key(out, name);
    output_printf(out, "%d", (int)token);
}

void json_word64(output *out, const char *name, uint64_t word)
{
    json_key(out, name);
    output_printf(out, "\"0x%016llx\"", (unsigned long long)word);
}

void json_bool(output *out, const char *name, bool value)
{
    json_key(out, name);
    output_text(out, value ? "true" : "false");
}

void json_string(output *out, const char *name, const char *text)
{
    json_key(out, name);
    if (text)
        output_json_string(out, text, strlen(text));
    else
        output_text(out, "null");
}

void json_double(output *out, const char *name, double value)
{
    json_key(out, name);
    output_double(out, value);
}

void json_float(output *out, const char *name, double value)
{
    json_key(out, name);
    output_float(out, value);
}
