/*
 * Making a draw again from its line and its dump.
 */
#ifndef CLI_REPLAY_H
#define CLI_REPLAY_H

#include "input.h"
#include "replay_line.h"

/* What a line says and what came out, as texts. */
typedef struct difference {
    char what[32];
    char line[40], replayed[40];
} difference;

#define MAX_DIFFERENCES 12

/* What is kept from line to line. All zero but flags and isa to begin with. */
typedef struct replay {
    const call *call;
    pluck_isa isa;
    const line_source *lines; /* for messages */

    char *config; /* of the sampler, as the line wrote it */
    size_t config_size_bytes;
    pluck_sampler *sampler;
    pluck_trace *trace;

    const source *src; /* the dump of the row that was read */
    uint64_t row;
    pluck_logits logits;

    /* The history of the sampler: its stream and prompt, and of a sequence the tokens accepted
     * since first_row. */
    bool has_state, is_sequence;
    uint64_t stream, first_row, row_step;
    token_list prompt, history;
    size_t history_capacity;
    const source *state_src;
    bool has_drawn; /* the next row of the sequence: accepting its token learns from the draw */

    difference differences[MAX_DIFFERENCES]; /* of the last line */
    size_t n_differences;
} replay;

/* Replays a line on its dump. Returns an exit code, after complain() if it is not EXIT_DONE.
 * Differences are no failure. */
int replay_draw(replay *r, const replay_line *line, source *src);

void replay_free(replay *r);

#endif
