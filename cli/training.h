/*
 * What "tree fit" and "tree distill" share: data, tree, the loop with its progress, validation,
 * checkpoints and interruptions.
 */
#ifndef CLI_TRAINING_H
#define CLI_TRAINING_H

#include "arrays.h"
#include "checkpoint.h"
#include "head_model.h"
#include "output.h"
#include "progress.h"

#include <pluck/head.h>

/* Pairs of hidden states and tokens; all zero: none. */
typedef struct pair_set {
    float_rows hidden;
    pluck_token *targets;
} pair_set;

/* Reads both files, which must have as many rows. Returns an exit code, after complain() if it is
 * not EXIT_DONE; then nothing is held. */
int pairs_read(pair_set *pairs, const arguments *args, const char *hidden, const char *targets);
void pairs_free(pair_set *pairs);

/* Whether all targets are below n_tokens and hidden states have dim values; else EXIT_DATA after
 * complain(), which names the file of either. */
int pairs_check(const pair_set *pairs, const arguments *args, const char *hidden,
                const char *targets, uint32_t n_tokens, uint32_t dim);

/* Mean of -ln p(target | hidden), in nats. Returns an exit code as pairs_read(). */
int pairs_loss(const pair_set *pairs, const arguments *args, const pluck_head *head,
               uint32_t n_threads, double *loss);

/* How many threads --threads N means here. */
uint32_t training_threads(const arguments *args);

typedef struct training {
    const arguments *args;
    pair_set pairs, validation; /* validation may be empty */
    head_model teacher;         /* of distill */
    head_model start;           /* --start */
    uint32_t n_tokens;
    pluck_tree *tree;
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

/* Trains on what is set (pairs, n_tokens, teacher), and writes the head to args->output. Returns an
 * exit code, after complain() if it is not EXIT_DONE. */
int training_run(training *t);
void training_free(training *t);

#endif
