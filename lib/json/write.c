/*
 * Commas and indentation need to know only whether the innermost container has an item yet: when a
 * container closes, the one around it has one.
 */
#include "json/write.h"

#include "base/error.h"
#include "json/json_number.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void put(plk_writer *writer, const char *text, size_t length)
{
    size_t at = writer->size_bytes;
    if (at < writer->capacity_bytes) {
        size_t room = writer->capacity_bytes - at;
        memcpy(writer->text + at, text, length < room ? length : room);
    }
    writer->size_bytes += length;
}

static void put_text(plk_writer *writer, const char *text)
{
    put(writer, text, strlen(text));
}

static void new_line(plk_writer *writer)
{
    put(writer, "\n", 1);
    for (unsigned i = 0; i < writer->depth; i++)
        put(writer, "  ", 2);
}

void plk_write_open(plk_writer *writer, char bracket, plk_layout layout)
{
    put(writer, &bracket, 1);
    writer->depth++;
    if (layout == PLK_ONE_LINE || writer->inline_depth > 0)
        writer->inline_depth++;
    writer->has_items = false;
}

void plk_write_close(plk_writer *writer, char bracket)
{
    writer->depth--;
    if (writer->inline_depth > 0)
        writer->inline_depth--;
    else if (writer->has_items)
        new_line(writer);
    put(writer, &bracket, 1);
    writer->has_items = true;
}

void plk_write_item(plk_writer *writer)
{
    bool one_line = writer->inline_depth > 0;
    if (writer->has_items)
        put_text(writer, one_line ? ", " : ",");
    if (!one_line)
        new_line(writer);
    writer->has_items = true;
}

void plk_write_key(plk_writer *writer, const char *key)
{
    plk_write_item(writer);
    plk_write_string(writer, key);
    put(writer, ": ", 2);
}

static bool needs_escape(char c)
{
    return c == '"' || c == '\\' || (unsigned char)c < 0x20 || c == 0x7F;
}

void plk_write_string(plk_writer *writer, const char *text)
{
    put(writer, "\"", 1);
    while (*text != '\0') {
        size_t plain = 0;
        while (text[plain] != '\0' && !needs_escape(text[plain]))
            plain++;
        put(writer, text, plain);
        text += plain;
        if (*text == '\0')
            break;
        char escape[8];
        if (*text == '"' || *text == '\\')
            snprintf(escape, sizeof escape, "\\%c", *text);
        else if (*text == '\n')
            snprintf(escape, sizeof escape, "\\n");
        else
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)*text);
        put_text(writer, escape);
        text++;
    }
    put(writer, "\"", 1);
}

void plk_write_number(plk_writer *writer, double value)
{
    char text[PLK_NUMBER_TEXT_BYTES];
    plk_number_write(value, text);
    put_text(writer, text);
}

void plk_write_integer(plk_writer *writer, int64_t value)
{
    char text[PLK_NUMBER_TEXT_BYTES];
    snprintf(text, sizeof text, "%lld", (long long)value);
    put_text(writer, text);
}

void plk_write_unsigned(plk_writer *writer, uint64_t value)
{
    char text[PLK_NUMBER_TEXT_BYTES];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    put_text(writer, text);
}

void plk_write_word(plk_writer *writer, const char *word)
{
    put_text(writer, word);
}

void plk_write_key_string(plk_writer *writer, const char *key, const char *text)
{
    plk_write_key(writer, key);
    plk_write_string(writer, text);
}

void plk_write_key_word(plk_writer *writer, const char *key, const char *word)
{
    plk_write_key(writer, key);
    plk_write_word(writer, word);
}

pluck_status plk_write_end(plk_writer *writer, size_t *size_bytes, pluck_error *err)
{
    assert(writer->depth == 0);
    put(writer, "\n", 1);
    *size_bytes = writer->size_bytes;
    if (writer->size_bytes < writer->capacity_bytes) {
        writer->text[writer->size_bytes] = '\0';
        return PLUCK_OK;
    }
    if (writer->capacity_bytes > 0)
        writer->text[writer->capacity_bytes - 1] = '\0';
    return plk_fail(err, PLUCK_ERR_INVALID,
                    "the text needs %zu bytes and its NUL; there is room for %zu",
                    writer->size_bytes, writer->capacity_bytes);
}
