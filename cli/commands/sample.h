/*
 * The parts of pluck sample: its flags, what a run and a dump have in common, and how a draw is
 * printed.
 */
#ifndef CLI_SAMPLE_H
#define CLI_SAMPLE_H

#include "workers.h"

enum { AXES_NONE, AXES_STEP_BATCH, AXES_BATCH_STEP };
enum { FORMAT_OPENAI = FORMAT_CSV + 1 };

typedef struct sample_flags {
    call call;
    input_flags input;
    vocab_flags vocab;
    config_flags config;
    const char *rows, *prompt_tokens, *isa, *output, *kept, *mask;
    uint64_t draws, distinct, n_top, stream, threads;
    int axes, format, top_kind;
    bool sequence, skip_bad, trace;
} sample_flags;

enum { SAMPLE_COLUMNS = 8 };
enum { RESULTS, KEPT, N_OUTPUTS };

typedef struct run {
    const sample_flags *flags;
    pluck_config *config;
    char *config_text; /* --trace: as a line */
    size_t config_size_bytes;
    pluck_isa isa;
    token_list prompt;
    token_texts texts;
    row_range range;
    worker_plan plan;
    output outs[N_OUTPUTS];
    kept_writer kept;
    kept_sets mask;
    table_column columns[SAMPLE_COLUMNS];
    table table; /* not of JSON and running text */
    progress bar;
    uint64_t n_drawn;
    uint64_t n_rows_before, n_rows_after; /* of the other dumps, if they are shared */
    uint64_t n_bad_rows;                  /* that were skipped */
} run;

/* How the rows of a dump are texts: text t has n_steps rows, step_rows apart, from t * text_rows
 * on; n_steps is 0 if all rows are one text. */
typedef struct text_axes {
    uint64_t n_texts, n_steps, text_rows, step_rows;
} text_axes;

/* One dump while its rows are sampled. */
typedef struct job {
    run *all;
    const char *path; /* as typed */
    const char *name; /* in messages */
    source src;
    worker_team team;
    uint64_t end; /* of the rows: a stream may end before */
    uint64_t n_bad_rows;
    uint64_t row;
    screen_text screen;
    uint64_t first_row; /* --sequence, of the text */
    uint64_t row_step;  /* from each row of the text to the next */
    uint64_t stream;    /* of the text */
    token_list history; /* --sequence with --trace: tokens accepted after the prompt */
    size_t history_capacity;
    text_axes axes; /* --sequence */
} job;

/* What is known of a draw besides its row. */
typedef struct drawn_token {
    uint64_t number; /* of the draw */
    const pluck_draw *draw;
    const draw_record *record; /* --trace: how it went */
    uint64_t hash;             /* --trace: of the row */
    const row_report *report;  /* of the row */
    float raw_logprob;         /* if the plan wants it */
} drawn_token;

/* Whether the texts of a sequence are printed one after the other, and nothing else. */
bool sample_prints_running_text(const run *all);

/* What comes before the draws of a dump. */
void sample_print_heading(job *j, bool is_first);

void sample_print_draw(job *j, const drawn_token *drawn);

/* Around the draws of a sequence, and in the place of a row that was skipped. */
void sample_print_begin(job *j);
void sample_print_end(job *j);
void sample_print_skipped(job *j);

#endif
