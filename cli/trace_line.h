/*
 * What a line of sample --trace says about a draw besides the draw itself: where it came from, and
 * what it went by. docs/command.md lists the members.
 *
 * One line of sample --trace, read back.
 */
#ifndef CLI_TRACE_LINE_H
#define CLI_TRACE_LINE_H

#include "setup.h"

#include <pluck/trace.h>

#define TRACE_LINE_FORMAT 1
#define RECORDED_WORDS    16 /* random numbers that a line lists, at most */

/* How the draw went. */
typedef struct draw_record {
    double low, high, at;
    size_t n_words; /* that the position gave to the stages and the draw */
    uint64_t words[RECORDED_WORDS];
} draw_record;

/* Records the draw of the sampler's position. */
pluck_status record_draw(pluck_sampler *sampler, pluck_logits logits, pluck_trace *trace,
                         draw_record *record, pluck_error *err);

/* Where it came from. */
typedef struct draw_origin {
    const char *config; /* JSON without line breaks */
    size_t config_size_bytes;
    uint64_t seed, stream, position;
    token_list prompt;
    bool is_sequence;
    uint64_t first_row; /* of a sequence */
    uint64_t row_step;  /* from each row of a sequence to the next; at least 1 */
    token_list history; /* tokens accepted since, one per row */
    uint32_t n_vocab;
    pluck_dtype dtype;
    uint64_t hash; /* of the row */
} draw_origin;

/* "trace":{…}, a member of the object of the draw. */
void print_origin(output *out, const draw_origin *origin, const draw_record *record);

/* A number that other logits hardly share: of type and values, the same on every machine. Tells
 * mistakes from the right row, not forgeries. */
uint64_t row_hash(pluck_logits logits);

/* The configuration as JSON without spaces and line breaks between its parts, which the caller
 * frees; NULL when memory ran out. */
char *config_line(const pluck_config *config, size_t *size_bytes);

/* Where lines come from; all zero but name and file to begin with. */
typedef struct line_source {
    const char *name; /* in messages */
    void *file;       /* FILE * */
    uint64_t number;  /* of the line read last, from 1 */
    char *text;
    size_t n, capacity;
} line_source;

/* Reads the next line that is not blank; *is_end if there is none. */
int next_line(line_source *lines, bool *is_end);

/* What it says. Freed with replay_line_free(); the configuration is part of the text. */
typedef struct replay_line {
    char *dump; /* NULL if it names none */
    uint64_t row, draw;
    pluck_draw drawn;
    draw_origin origin;
    draw_record record;
} replay_line;

/* Messages have the number of the line. If it fails there is nothing to free. */
int replay_line_read(const line_source *lines, replay_line *line);
void replay_line_free(replay_line *line);

#endif
