/* Text of any bytes in the notations that results use. */
#include "output.h"
#include "utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

void output_json_string(output *out, const char *text, size_t n)
{
    static const char named[] = "\"\"\\\\\nn\tt\rr";
    output_char(out, '"');
    for (size_t i = 0; i < n;) {
        uint32_t code_point = 0;
        const size_t length = utf8_decode(text + i, n - i, &code_point);
        const char *name = NULL;
        for (const char *c = named; length == 1 && *c != '\0' && name == NULL; c += 2)
            name = *c == text[i] ? c + 1 : NULL;
        if (length == 0)
            output_text(out, REPLACEMENT);
        else if (name != NULL)
            output_printf(out, "\\%c", *name);
        else if (code_point < 0x20 || code_point == 0x7f)
            output_printf(out, "\\u%04x", (unsigned)code_point);
        else
            output_write(out, text + i, length);
        i += length == 0 ? 1 : length;
    }
    output_char(out, '"');
}

void output_csv_string(output *out, const char *text, size_t n)
{
    output_char(out, '"');
    for (size_t i = 0; i < n;) {
        uint32_t code_point = 0;
        const size_t length = utf8_decode(text + i, n - i, &code_point);
        if (length == 0)
            output_text(out, REPLACEMENT);
        else if (code_point == '"')
            output_text(out, "\"\"");
        else
            output_write(out, text + i, length);
        i += length == 0 ? 1 : length;
    }
    output_char(out, '"');
}

void output_quoted(output *out, const char *text, size_t n)
{
    output_char(out, '"');
    for (size_t i = 0; i < n;) {
        uint32_t code_point = 0;
        const size_t length = utf8_decode(text + i, n - i, &code_point);
        if (length == 0)
            output_printf(out, "\\x%02X", (unsigned char)text[i]);
        else if (code_point == '\n')
            output_text(out, "\\n");
        else if (code_point == '\t')
            output_text(out, "\\t");
        else if (code_point == '\r')
            output_text(out, "\\r");
        else if (code_point == '"' || code_point == '\\')
            output_printf(out, "\\%c", (char)code_point);
        else if (utf8_is_control(code_point))
            output_printf(out, "\\u{%X}", (unsigned)code_point);
        else
            output_write(out, text + i, length);
        i += length == 0 ? 1 : length;
    }
    output_char(out, '"');
}

/* Writes what can be decided of the pending bytes: all of them if no more will come. */
static void flush_screen(output *out, screen_text *state, bool is_end)
{
    while (state->n > 0) {
        uint32_t code_point = 0;
        size_t length = utf8_decode(state->pending, state->n, &code_point);
        if (length == 0 && !is_end && utf8_is_cut(state->pending, state->n))
            return;
        if (length == 0)
            output_text(out, REPLACEMENT);
        else if (code_point != '\n' && code_point != '\t' && utf8_is_control(code_point))
            output_printf(out, "\\u{%X}", (unsigned)code_point);
        else
            output_write(out, state->pending, length);
        length += length == 0;
        state->n -= length;
        memmove(state->pending, state->pending + length, state->n);
    }
}

void output_screen(output *out, screen_text *state, const char *text, size_t n)
{
    for (size_t i = 0; text != NULL && i < n; i++) {
        state->pending[state->n++] = text[i];
        flush_screen(out, state, false);
    }
    flush_screen(out, state, text == NULL);
}

void output_double(output *out, double value)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    output_text(out, text);
}

void output_float(output *out, double value)
{
    output_printf(out, "%.9g", value == 0.0 ? 0.0 : value);
}
