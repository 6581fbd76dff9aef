/*
 * Drawing tokens from rows of a dump on several threads. A row is cut into portions of draws, and a
 * worker does one portion at a time. What a portion gives depends on its row and draws alone, so
 * that the number of workers changes nothing but the time.
 */
#ifndef CLI_WORKERS_H
#define CLI_WORKERS_H

#include "setup.h"

#include <pluck/sampler.h>

#define DRAWS_AT_ONCE 1024

typedef enum portion_state {
    PORTION_DONE,
    PORTION_UNREAD, /* the row could not be read */
    PORTION_FAILED, /* the row could not be sampled */
    PORTION_ENDED   /* there is no such row: a stream of unknown length is over */
} portion_state;

typedef struct portion {
    uint64_t row, first_draw;
    size_t n_draws; /* at most DRAWS_AT_ONCE */
    portion_state state;
    pluck_error err; /* UNREAD and FAILED */
    pluck_draw draws[DRAWS_AT_ONCE];
} portion;

typedef struct worker {
    pluck_sampler *sampler;
    float *scratch;
    bool has_row; /* the row below is read, and the sampler at its stream */
    uint64_t row;
    pluck_logits logits;
} worker;

typedef struct worker_team {
    source *src;              /* the caller's */
    const token_list *prompt; /* the caller's */
    worker *workers;
    size_t n_workers;
    portion *portions; /* for the caller to fill in */
    size_t n_portions; /* how many there are */
} worker_team;

/* How many threads --threads N means here: 0 is one a processor. */
size_t worker_count(uint64_t threads);

/* The dump must be open as long as the team is. With one worker there is one portion. Returns an
 * exit code, after complain() if it is not EXIT_DONE; then there is nothing to destroy. */
int workers_create(worker_team *team, const arguments *args, const pluck_config *config,
                   pluck_isa isa, const token_list *prompt, source *src, const char *name,
                   size_t n_workers);
void workers_destroy(worker_team *team);

/* Does the first n portions. */
void workers_run(worker_team *team, size_t n);

/* Puts a worker's sampler at the start of a stream: the prompt is what came before. */
pluck_status worker_start_stream(const worker_team *team, worker *w, uint64_t stream,
                                 pluck_error *err);

#endif
