/*
 * What "tree fit" and "tree distill" share: data, tree, the loop with its progress, validation,
 * checkpoints and interruptions.
 */
#ifndef CLI_TRAINING_H
#define CLI_TRAINING_H

#include "model.h"

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

/* If there is a checkpoint, the first SIGINT, SIGTERM or SIGHUP from now on only makes
 * checkpoint_signal() its number. */
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
