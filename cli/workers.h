/*
 * Drawing tokens from rows of a dump on several threads. A row is cut into portions of draws, and a
 * worker does one portion at a time. What a portion gives depends on its row and draws alone, so
 * that the number of workers changes nothing but the time.
 */
#ifndef CLI_WORKERS_H
#define CLI_WORKERS_H

#include "commands/sample_kept.h"
#include "input.h"
#include "trace_line.h"

#include "thread/thread.h"

#define DRAWS_AT_ONCE 1024

typedef enum portion_state {
    PORTION_DONE,
    PORTION_UNREAD, /* the row could not be read */
    PORTION_FAILED, /* the row could not be sampled */
    PORTION_ENDED   /* the stream ended before this row */
} portion_state;

/* What is found out about each row besides its draws. */
typedef struct worker_plan {
    bool has_trace;
    bool is_distinct;     /* the draws are without replacement, and all of a row at once */
    size_t draws_at_once; /* of a portion; at most DRAWS_AT_ONCE */
    uint32_t n_top;
    pluck_logprob_kind top_kind;
    bool has_raw;    /* the log-probability of each draw in softmax(logits) */
    bool has_kept;   /* the tokens that the stages keep */
    kept_sets *mask; /* the sets that rows are masked with; NULL: none */
} worker_plan;

/* The results; what the plan does not want is NULL. */
typedef struct row_report {
    pluck_logprob *top; /* [n_top], best first; PLUCK_NO_TOKEN where there are fewer */
    float *raw;         /* [DRAWS_AT_ONCE] */
    pluck_token *kept;  /* [vocabulary] */
    size_t kept_offsets[2];
    float kept_log_mass;
} row_report;

typedef struct portion {
    uint64_t row, first_draw;
    size_t n_draws; /* wanted: at most DRAWS_AT_ONCE */
    size_t n_drawn; /* fewer if there are fewer different ones */
    portion_state state;
    pluck_error err; /* UNREAD and FAILED */
    pluck_draw draws[DRAWS_AT_ONCE];
    row_report report;
    draw_record *records; /* --trace: one per draw; else NULL */
    uint64_t hash;        /* --trace: of the row */
} portion;

typedef struct worker {
    pluck_sampler *sampler;
    pluck_trace *trace; /* --trace; else NULL */
    float *scratch;
    int32_t *mask; /* words, of the row; NULL: there are none */
    bool has_row;  /* the row below is read, and the sampler at its stream */
    uint64_t row;
    pluck_logits logits;
    uint64_t hash;                     /* --trace: of the row */
    pluck_token tokens[DRAWS_AT_ONCE]; /* drawn from it last */
} worker;

typedef struct worker_team {
    const worker_plan *plan;  /* the caller's */
    source *src;              /* the caller's */
    const token_list *prompt; /* the caller's */
    pluck_pool *pool;
    worker *workers;
    size_t n_workers;
    portion *portions; /* for the caller to fill in */
    size_t n_portions; /* how many there are */
} worker_team;

/* The plan and the dump must exist as long as the team does. With one worker there is one portion.
 * Returns an exit code, after complain() if it is not EXIT_DONE; then there is nothing to
 * destroy. */
int workers_create(worker_team *team, const worker_plan *plan, const pluck_config *config,
                   const token_texts *texts, pluck_isa isa, const token_list *prompt, source *src,
                   const char *name, size_t n_workers);
void workers_destroy(worker_team *team);

/* Sets the mask of a row, if there are masks. */
pluck_status workers_mask(const worker_team *team, worker *w, uint64_t row, pluck_error *err);

/* What the plan wants to know about the n draws that were made from these logits at the sampler's
 * position. */
pluck_status workers_report(const worker_team *team, worker *w, pluck_logits logits, size_t n,
                            const pluck_draw *draws, row_report *report, pluck_error *err);

/* Does the first n portions. */
void workers_run(worker_team *team, size_t n);

#endif
