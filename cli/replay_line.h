/*
 * One line of sample --trace, read back.
 */
#ifndef CLI_REPLAY_LINE_H
#define CLI_REPLAY_LINE_H

#include "trace_line.h"

/* Where lines come from; all zero but who, name and file to begin with. */
typedef struct line_source {
    const char *who;
    const char *name; /* in messages */
    void *file;       /* FILE * */
    uint64_t number;  /* of the line read last, from 1 */
    char *text;
    size_t n, capacity;
} line_source;

/* Reads the next line that is not blank. Returns an exit code, after complain() if it is not
 * EXIT_DONE; *is_end if there is none. */
int next_line(line_source *lines, bool *is_end);

/* What it says. Freed with replay_line_free(); the configuration is part of the text. */
typedef struct replay_line {
    char *dump; /* NULL if it names none */
    uint64_t row, draw;
    pluck_draw drawn;
    draw_origin origin;
    draw_record record;
} replay_line;

/* Returns an exit code, after complain() with the number of the line if it is not EXIT_DONE; then
 * there is nothing to free. */
int replay_line_read(const line_source *lines, replay_line *line);
void replay_line_free(replay_line *line);

#endif
