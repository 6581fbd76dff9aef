/*
 * A layer on the one writer of files, lib/file/file.h, for printing: errors are kept until
 * the end, and the unfinished file is known to the signal handler.
 */
#include "output.h"
#include "unfinished.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LIST_BYTES = 1024, WRAP_INDENT = 2, MIN_WIDTH = 20, MAX_WIDTH = 1000 };

static void keep_error(output *out, pluck_status status)
{
    if (status != PLUCK_OK && out->error == 0)
        out->error = status == PLUCK_ERR_NOMEM ? ENOMEM : EIO;
}

static int finish_open(output *out, pluck_status status)
{
    if (status != PLUCK_OK)
        return complain(out->who, exit_code_of(status), "%s", out->err.message);
    out->is_open = true;
    out->is_terminal = isatty(out->file.fd) != 0;
    return EXIT_DONE;
}

int output_open(output *out, const char *who, const char *path)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    *out = (output){.who = who, .name = path, .unfinished = -1};
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
        unfinished_hold_signals(true);
    status = plk_new_file_open(&out->file, path, &allocator, &out->err);
    if (status == PLUCK_OK && out->file.temporary)
        out->unfinished = unfinished_add(out->file.temporary);
    if (holds)
        unfinished_hold_signals(false);
    return finish_open(out, status);
}

unsigned output_width(const output *out, unsigned otherwise)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    unsigned long width = columns ? strtoul(columns, NULL, 10) : 0;
    if (width >= MIN_WIDTH && width <= MAX_WIDTH)
        return (unsigned)width;
    if (ioctl(out->file.fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= MIN_WIDTH)
        return size.ws_col;
    return otherwise;
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

int output_open_error(output *out, const char *who)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    *out = (output){.who = who, .name = "standard error", .unfinished = -1};
    return finish_open(out, plk_new_file_open_descriptor(&out->file, out->name, STDERR_FILENO,
                                                         &allocator, &out->err));
}

static void write_bytes(output *out, const char *data, size_t n)
{
    if (out->error == 0)
        keep_error(out, plk_new_file_write(&out->file, data, n, &out->err));
}

static void write_spaces(output *out, size_t n)
{
    for (; n > 0; n--)
        write_bytes(out, " ", 1);
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
    write_spaces(out, l->n_spaces);
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

static bool is_completed(const output *out)
{
    return out->is_open && out->error == 0 && plk_new_file_is_finished(&out->file);
}

/* The first failure, and what is there in spite of it. */
static int complain_about(const output *outs, size_t n, bool with_others)
{
    char list[LIST_BYTES] = "";
    size_t used = 0, failed = n;
    for (size_t i = 0; i < n; i++) {
        if (is_completed(&outs[i]) && used < sizeof list)
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
        return complain(out->who, EXIT_SYSTEM, "%s%s", out->err.message, list);
    return complain(out->who, EXIT_SYSTEM, "%s: %s%s", out->name, strerror(out->error), list);
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
        if (out->error == 0 && (keep || !out->file.temporary))
            keep_error(out, plk_new_file_complete(&out->file, &out->err));
        is_good = is_good && out->error == 0;
    }
    for (size_t i = 0; i < n && keep && is_good; i++) {
        if (outs[i].is_open)
            keep_error(&outs[i], plk_new_file_finish(&outs[i].file, &outs[i].err));
        is_good = outs[i].error == 0;
    }
    int code = is_good ? EXIT_DONE : complain_about(outs, n, keep && n_open > 1);
    for (size_t i = 0; i < n; i++) {
        if (!outs[i].is_open)
            continue;
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

void output_flush(output *out)
{
    end_word(out);
    if (out->error == 0)
        keep_error(out, plk_new_file_flush(&out->file, &out->err));
}

void output_write(output *out, const char *data, size_t n)
{
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
