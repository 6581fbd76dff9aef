/* Text of any bytes, and numbers, in the notations that results use. */
#include "output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void write_double(output *out, double value)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    output_text(out, text);
}

static void write_float(output *out, double value)
{
    output_printf(out, "%.9g", value == 0.0 ? 0.0 : value);
}

void output_double(output *out, double value)
{
    if (isfinite(value))
        write_double(out, value);
    else
        output_text(out, "null");
}

void output_float(output *out, double value)
{
    if (isfinite(value))
        write_float(out, value);
    else
        output_text(out, "null");
}

/* One spelling of what is not a number: its sign says nothing. */
static bool is_number(output *out, double value)
{
    if (isnan(value))
        output_text(out, "nan");
    return !isnan(value);
}

void output_csv_double(output *out, double value)
{
    if (is_number(out, value))
        write_double(out, value);
}

void output_csv_float(output *out, double value)
{
    if (is_number(out, value))
        write_float(out, value);
}
