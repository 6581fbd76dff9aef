/*
 * Lines of text from a file or a pipe, all that the system has at hand at a time, so that a
 * program at the other end of a pipe gets its answers without closing it.
 */
#ifndef CLI_LINES_H
#define CLI_LINES_H

#include "message.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct text_line {
    size_t offset, n; /* in line_reader.text; with the newline, if it has one */
} text_line;

typedef struct line_reader {
    const char *name;
    int fd;
    bool has_ended;
    char *text;
    size_t n, capacity;
    size_t n_used;     /* bytes of the lines that were given */
    size_t n_searched; /* bytes in which all newlines are known */
    text_line *lines;
    size_t n_lines, lines_capacity;
} line_reader;

/* path, or standard input for NULL and "-". Returns an exit code, after complain() if it is not
 * EXIT_DONE; then nothing is open. */
int lines_open(line_reader *reader, const char *path);
void lines_close(line_reader *reader);

/*
 * The next lines: lines[0 .. n_lines - 1], valid until the next call. None is the end of the text;
 * the last line need not have a newline. The word "</s>" ends a line as a newline does, with one
 * space after it: fastText reads its input so. Returns an exit code as lines_open().
 */
int lines_next(line_reader *reader);

#endif
