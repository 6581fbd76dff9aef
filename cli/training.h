/*
 * What "tree fit" and "tree distill" share: data, tree, the loop with its progress, validation,
 * checkpoints and interruptions.
 */
#ifndef CLI_TRAINING_H
#define CLI_TRAINING_H

#include "arrays.h"
#include "head_model.h"
#include "output.h"
#include "progress.h"

#include <pluck/head.h>

typedef struct training_flags {
    call call;
    input_flags input;
    head_flags head; /* of the teacher */
    const char *counts, *vectors, *start, *validation, *validation_targets, *checkpoint, *output;
    uint64_t epochs, seed, threads;
    double rate, l2;
    int tree, format;
    bool keep_zero_counts, no_bias, resume, overwrite;
} training_flags;

/* Pairs of hidden states and tokens; all zero: none. */
typedef struct pair_set {
    float_rows hidden;
    pluck_token *targets;
} pair_set;

/* Reads both files, which must have as many rows. Returns an exit code, after complain() if it is
 * not EXIT_DONE; then nothing is held. */
int pairs_read(pair_set *pairs, const call *c, const input_flags *input, const char *hidden,
               const char *targets);
void pairs_free(pair_set *pairs);

/* Whether all targets are below n_tokens and hidden states have dim values; else EXIT_DATA after
 * complain(), which names the file of either. */
int pairs_check(const pair_set *pairs, const call *c, const char *hidden, const char *targets,
                uint32_t n_tokens, uint32_t dim);

/* Mean of -ln p(target | hidden), in nats. Returns an exit code as pairs_read(). */
int pairs_loss(const pair_set *pairs, const call *c, const pluck_head *head, uint32_t n_threads,
               double *loss);

/* Where what is learned is kept. */
typedef struct checkpoint {
    const training_flags *flags;
    const char *path; /* NULL: there is none, since the head is written in place */
    char *memory;     /* of path, if the output named it */
    char *target;     /* behind all links: what is removed in the end */
    bool output_is_file;
    bool is_own; /* this run has written it or goes on from it */
} checkpoint;

/* Names the checkpoint, and refuses one that is there unless --resume or --overwrite is given, or
 * that is not a file. Returns an exit code, after complain() if it is not EXIT_DONE. */
int checkpoint_check(checkpoint *c, const training_flags *flags);
void checkpoint_free(checkpoint *c);

/* With --resume, puts the trainer where the checkpoint is. */
int checkpoint_resume(checkpoint *c, pluck_trainer *trainer);
int checkpoint_save(checkpoint *c, const pluck_trainer *trainer);

/* Removes what this run has written: its work is in the head now. */
int checkpoint_remove(checkpoint *c);

/* From now on SIGINT, SIGTERM and SIGHUP only make checkpoint_signal() their number, the first
 * time; unless there is no checkpoint. */
void checkpoint_watch_signals(const checkpoint *c);
int checkpoint_signal(void);

/* Ends the process by the signal that was caught, as its parent expects. */
void checkpoint_end_by_signal(void);

typedef struct training {
    const training_flags *flags;
    pair_set pairs, validation; /* validation may be empty */
    head_model teacher;         /* of distill */
    head_model start;           /* --start */
    uint32_t n_tokens;
    pluck_tree *tree;
    pluck_pool *pool;
    pluck_trainer *trainer;
    checkpoint checkpoint;
    bool is_saved; /* the head */
    output out;
    progress bar;
    double dense_loss; /* of the teacher on the pairs that are judged by */
} training;

/* Checks the flags, before anything is read. Returns an exit code, after complain() if it is not
 * EXIT_DONE. */
int training_check(training *t);

/* Trains on what is set (pairs, n_tokens, teacher), and writes the head to flags->output. Returns
 * an exit code, after complain() if it is not EXIT_DONE. */
int training_run(training *t);
void training_free(training *t);

#endif
