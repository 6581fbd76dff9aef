/*
 * Where the lines of a file are: those that are not blank.
 */
#ifndef PLK_LINE_INDEX_H
#define PLK_LINE_INDEX_H

#include <pluck/base.h>

#include "file/file.h"

typedef struct plk_lines {
    uint64_t begin_bytes; /* where the first line begins */
    uint8_t comment;      /* lines that begin with it count as blank; 0: none do */
    uint64_t n;
    uint64_t *places; /* of the lines 0, stride, 2 stride, ... */
    size_t n_places;
    uint64_t stride;
} plk_lines;

/* Reads all of the source, which is not a stream, from begin_bytes on, once, and keeps the place of
 * every n-th line, n a power of two that grows with the file, so that the index stays below
 * 1 MiB. After a failure only plk_lines_close() is allowed. */
pluck_status plk_lines_open(plk_lines *lines, plk_source *source, uint64_t begin_bytes,
                            uint8_t comment, pluck_error *err);

/* The bytes of a line without its newline; line < n. */
const uint8_t *plk_lines_find(const plk_lines *lines, plk_source *source, uint64_t line,
                              size_t *length);

/* The lines before line may leave memory. */
void plk_lines_release(const plk_lines *lines, plk_source *source, uint64_t line);

void plk_lines_close(plk_lines *lines, const pluck_allocator *allocator);

bool plk_is_space(uint8_t c);

/* The bytes of a UTF-8 byte order mark with which the source begins: 3 or 0. */
size_t plk_mark_bytes(const uint8_t *bytes, size_t size_bytes);

#endif
