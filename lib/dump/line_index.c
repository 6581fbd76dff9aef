/*
 * A line is found from the place before it that was kept.
 */
#include "dump/reader.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

enum { MAX_PLACES = 1 << 16, WINDOW_BYTES = 1 << 20 };

static void add_place(plk_lines *lines, uint64_t line, uint64_t offset)
{
    if (line % lines->stride != 0)
        return;
    if (lines->n_places == MAX_PLACES) {
        for (size_t i = 0; i < MAX_PLACES / 2; i++)
            lines->places[i] = lines->places[2 * i];
        lines->n_places = MAX_PLACES / 2;
        lines->stride *= 2;
        if (line % lines->stride != 0)
            return;
    }
    lines->places[lines->n_places++] = offset;
}

pluck_status plk_lines_open(plk_lines *lines, plk_source *source, uint64_t begin_bytes,
                            uint8_t comment, pluck_error *err)
{
    *lines = (plk_lines){.begin_bytes = begin_bytes, .comment = comment, .stride = 1};
    lines->places = plk_alloc(&source->allocator, MAX_PLACES, sizeof *lines->places);
    if (!lines->places)
        return plk_fail_nomem(err, MAX_PLACES * sizeof *lines->places);
    bool in_line = false;
    for (uint64_t at = begin_bytes; at < source->size_bytes; at += WINDOW_BYTES) {
        uint64_t left = source->size_bytes - at;
        size_t size = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        const uint8_t *window = plk_source_at(source, at, size), *end = window + size;
        for (const uint8_t *c = window; c < end;) {
            if (in_line) {
                const uint8_t *newline = memchr(c, '\n', (size_t)(end - c));
                in_line = !newline;
                c = newline ? newline + 1 : end;
            } else if (plk_is_space(*c)) {
                c++;
            } else {
                if (comment == 0 || *c != comment)
                    add_place(lines, lines->n++, at + (uint64_t)(c - window));
                in_line = true;
            }
        }
    }
    return PLUCK_OK;
}

const uint8_t *plk_lines_find(const plk_lines *lines, plk_source *source, uint64_t line,
                              size_t *length)
{
    const uint8_t *end = source->bytes + source->size_bytes;
    const uint8_t *c = source->bytes + lines->places[line / lines->stride], *newline = NULL;
    for (uint64_t skip = line % lines->stride;;) {
        while (plk_is_space(*c))
            c++;
        bool counts = lines->comment == 0 || *c != lines->comment;
        newline = memchr(c, '\n', (size_t)(end - c));
        if (counts && skip == 0)
            break;
        skip -= counts;
        c = newline + 1;
    }
    *length = (size_t)((newline ? newline : end) - c);
    return plk_source_at(source, (uint64_t)(c - source->bytes), *length);
}

void plk_lines_release(const plk_lines *lines, plk_source *source, uint64_t line)
{
    if (lines->n_places == 0)
        return;
    uint64_t place = line / lines->stride;
    plk_source_release(source, place < lines->n_places ? lines->places[place] : source->size_bytes);
}

void plk_lines_close(plk_lines *lines, const pluck_allocator *allocator)
{
    plk_free(allocator, lines->places);
    lines->places = NULL;
}
