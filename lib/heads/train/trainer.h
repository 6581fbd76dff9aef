/*
 * What a trainer is made of, for the files of this folder.
 */
#ifndef PLK_TRAINER_H
#define PLK_TRAINER_H

#include "base/tally.h"
#include "heads/heads.h"
#include "thread/thread.h"

#include <pluck/head.h>

/* Nodes of which a teacher says less learn from some of the rows (train_step.c). */
#define PLK_TRAIN_FLOOR 0x1p-12

/* A row's example for a node: the target of its sigmoid, and how much it counts. */
typedef struct plk_visit {
    uint32_t node; /* inner node n_tokens + node */
    float target, weight;
} plk_visit;

/* Examples that grow, of the rows that one thread was given. */
typedef struct plk_visit_list {
    plk_visit *visits;
    size_t n, capacity;
} plk_visit_list;

/* Where the examples of a row of the step are. */
typedef struct plk_row_visits {
    uint32_t worker, n;
    size_t first;
    double square; /* of the length of its hidden state, divided by spread */
} plk_row_visits;

/* An example of a node, in the order of the rows: row is its place in the step. */
typedef struct plk_example {
    uint32_t row;
    float target, weight;
} plk_example;

/* The scratch memory of one thread. */
typedef struct plk_train_worker {
    plk_visit_list list;
    pluck_head_query *query; /* of the teacher */
    float *probs;            /* teacher: n_tokens */
    double *masses;          /* teacher: of the inner nodes */
    uint32_t *stack;         /* inner nodes */
} plk_train_worker;

struct pluck_trainer {
    plk_arrays memory;
    pluck_tree *tree;
    pluck_train_data data;
    pluck_train_options options; /* defaults filled in; start is not kept */
    const plk_kernels *kernels;
    uint32_t n_workers;
    uint32_t n_inner;
    uint32_t *parents; /* of all nodes; for targets only */

    /* The mean squared length of the hidden states is spread times the one that they are learned
     * from with. scale is the power of two nearest to the root of spread, so that the nodes of the
     * head follow exactly from those here. */
    double spread, scale;
    float *nodes;   /* [n_inner, dim], times scale */
    float *bias;    /* [n_inner] */
    float *squares; /* [n_inner]: sums of squared gradients */

    uint32_t epoch;
    size_t next_row;   /* of the epoch */
    uint32_t *order;   /* the rows of the epoch */
    uint64_t checksum; /* of the data */

    /* What the nodes of this rank add up to; if is_whole, those of all ranks. */
    uint64_t n_examples;
    plk_exact_sum losses[2];      /* of the last step, of the epoch */
    size_t step_rows, epoch_rows; /* that they are of */

    /* Ranks */
    bool *is_mine; /* [n_inner]; NULL: all are */
    uint32_t rank;
    bool is_shared;      /* the teacher is asked for each row by one rank */
    bool is_whole;       /* the nodes of all ranks are known */
    bool is_begun;       /* the pass whose items are the nodes */
    bool is_known;       /* its result is: steps have nothing to do */
    pluck_error failure; /* of this rank, which the next pass tells the others; or PLUCK_OK */
    uint64_t failed_item;
    pluck_tally tally;           /* of the pass, with these: */
    plk_tally_text texts;        /* of the nodes */
    plk_exact_sum all_losses[2]; /* of all ranks */
    uint64_t all_examples;

    /* One step */
    size_t rows_a_step;
    double first_rate,
        rate_a_row; /* of the row that the step begins with; what each row takes away */
    size_t first_row;
    plk_row_visits *row_visits;
    plk_train_worker *workers;
    uint32_t *n_of_node; /* [n_inner], zero between steps */
    uint32_t *touched;   /* nodes with examples */
    size_t n_touched;
    size_t *ends; /* of their examples */
    double *node_losses;
    plk_example *examples;
    size_t examples_capacity;
};

/* The order of the rows in the present epoch. */
void plk_trainer_shuffle(pluck_trainer *trainer);

/* Of a hierarchical head of the same tree: INVALID if it is not. */
pluck_status plk_train_start_from_head(pluck_trainer *trainer, const pluck_head *head,
                                       pluck_error *err);

/* Allocates what steps need besides the nodes. plk_train_step_free() frees what is not in the
 * trainer's memory. */
pluck_status plk_train_step_open(pluck_trainer *trainer, pluck_error *err);
void plk_train_step_free(pluck_trainer *trainer);

/* The square of the length of a hidden state. In double, and in order: no float overflows, and
 * h 2^k has exactly 4^k times the square. */
double plk_train_square(const pluck_train_data *data, size_t row);

/* Rows first_row .. first_row + n_rows - 1 of the order of the epoch. With ranks a failure is noted
 * for the next pass, unless a pass has failed. */
pluck_status plk_train_step_run(pluck_trainer *trainer, size_t n_rows, pluck_error *err);

/* Divides the nodes among the ranks, if there are any. */
pluck_status plk_train_ranks_open(pluck_trainer *trainer, pluck_error *err);

/* Begins the pass over the nodes, if it has not begun. */
pluck_status plk_train_ranks_begin(pluck_trainer *trainer, pluck_error *err);

/* Everything that the result depends on next to tree and data, as text. */
enum { PLK_TRAIN_TEXT_BYTES = 256 };
void plk_train_describe(const pluck_trainer *trainer, char text[PLK_TRAIN_TEXT_BYTES]);

/* Notes for the next pass that the step failed: at the node touched[failed] or, if that is
 * SIZE_MAX, at the row with this place. Only the first failure counts. */
void plk_train_note(pluck_trainer *trainer, size_t place, size_t failed,
                    const pluck_error *failure);

/* The examples of a row of the step; NULL if there are none. */
const plk_visit *plk_train_visits(const pluck_trainer *trainer, size_t place);

/* Floats as bytes. */
void plk_train_put(plk_byte_writer *out, float value);
float plk_train_take(plk_byte_reader *in);

#endif
