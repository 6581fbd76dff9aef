/*
 * Drawing tokens from rows of a dump on several threads. A row is cut into portions of draws, and a
 * worker does one portion at a time. What a portion gives depends on its row and draws alone, so
 * that the number of workers changes nothing but the time.
 */
#ifndef CLI_WORKERS_H
#define CLI_WORKERS_H

#include "input.h"
#include "trace_line.h"

#include "thread/pool.h"

#define DRAWS_AT_ONCE 1024

typedef enum portion_state {
    PORTION_DONE,
    PORTION_UNREAD, /* the row could not be read */
    PORTION_FAILED, /* the row could not be sampled */
    PORTION_ENDED   /* the stream ended before this row */
} portion_state;

typedef struct portion {
    uint64_t row, first_draw;
    size_t n_draws; /* at most DRAWS_AT_ONCE */
    portion_state state;
    pluck_error err; /* UNREAD and FAILED */
    pluck_draw draws[DRAWS_AT_ONCE];
    draw_record *records; /* --trace: one per draw; else NULL */
    uint64_t hash;        /* --trace: of the row */
} portion;

typedef struct worker {
    pluck_sampler *sampler;
    pluck_trace *trace; /* --trace; else NULL */
    float *scratch;
    bool has_row; /* the row below is read, and the sampler at its stream */
    uint64_t row;
    pluck_logits logits;
    uint64_t hash; /* --trace: of the row */
} worker;

typedef struct worker_team {
    source *src;              /* the caller's */
    const token_list *prompt; /* the caller's */
    pluck_pool *pool;
    worker *workers;
    size_t n_workers;
    portion *portions; /* for the caller to fill in */
    size_t n_portions; /* how many there are */
} worker_team;

/* The dump must be open as long as the team is. With one worker there is one portion. Returns an
 * exit code, after complain() if it is not EXIT_DONE; then there is nothing to destroy. */
int workers_create(worker_team *team, bool has_trace, const pluck_config *config,
                   const token_texts *texts, pluck_isa isa, const token_list *prompt, source *src,
                   const char *name, size_t n_workers);
void workers_destroy(worker_team *team);

/* Does the first n portions. */
void workers_run(worker_team *team, size_t n);

#endif
