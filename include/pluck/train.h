/*
 * Training hierarchical heads: from pairs of hidden states and tokens, or from another head.
 *
 * The hidden states are given and do not change. Then the loss of a tree is a sum over its inner
 * nodes, each of which is a logistic regression of its own, and convex:
 *   targets   -ln p(token | h) = sum over the path of the token of -ln sigmoid(+-(u . h + b))
 *   teacher   KL(teacher || tree) = sum over all inner nodes v of P(v | h) KL(t || sigmoid(u . h +
 *             b)), where P(v | h) is the probability that the teacher gives to the tokens below v,
 *             and t the part of it below the right child
 * A trainer runs stochastic gradient descent on them, in a random order of the rows that the seed
 * says, with a learning rate that falls linearly to 0. The rate of a node is divided by the root of
 * the sum of its squared gradients (J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods",
 * JMLR 12, 2011, with one number per node), so that rare nodes learn as fast as common ones.
 *
 * The result does not depend on the unit of h: a trainer learns as if the mean squared length of
 * the hidden states were 128, and the nodes of the head are for h as it came. With h 2^k the nodes
 * are those of h times 2^-k and all losses and biases have the same bits, as long as no float over-
 * or underflows.
 *
 * Threads share the nodes, not the rows: each node sees its examples in the order of the rows. So
 * the result is the same bits for any number of threads, on every instruction set, and with any
 * interruptions.
 *
 *     pluck_trainer *trainer = NULL;
 *     pluck_train_progress progress = {0};
 *     if (pluck_trainer_create(&trainer, tree, &data, &options, &err) == PLUCK_OK) {
 *         while (!progress.is_done && pluck_trainer_step(trainer, &progress, &err) == PLUCK_OK)
 *             show(&progress);
 *         pluck_trainer_head(trainer, &head, &err);
 *     }
 *     pluck_trainer_destroy(&trainer);
 *
 * A trainer is used by one thread at a time. The threads of its own start within
 * pluck_trainer_step(), sleep between steps and end with the trainer.
 */
#ifndef PLUCK_TRAIN_H
#define PLUCK_TRAIN_H

#include <pluck/base.h>
#include <pluck/head.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pluck_trainer pluck_trainer;

/* What to learn from; all of it is borrowed, and must live and stay as it is as long as the
 * trainer. Exactly one of targets and teacher is given. */
typedef struct pluck_train_data {
    const float *hidden; /* [n_rows, dim], finite */
    size_t n_rows;       /* 1 .. 2^32 - 1 */
    uint32_t dim;
    const pluck_token *targets; /* n_rows tokens of the tree */
    const pluck_head *teacher;  /* with as many tokens as the tree, and this dim */
} pluck_train_data;

/* All zero is a good default. */
typedef struct pluck_train_options {
    uint32_t n_epochs;    /* times that every row is used; 0: 5 */
    double learning_rate; /* at the start, > 0; 0: a default that suits most data */
    double l2;            /* >= 0: each example also pulls its node towards 0, times this */
    uint64_t seed;        /* of the order of the rows */
    uint32_t n_threads;   /* 0: 1 */
    bool without_bias;    /* keep all biases 0, as word2vec and fastText do */

    /* Begin with the nodes of this hierarchical head, of the same tree. NULL: with zeros, or, if
     * the teacher is a dense head, with the tangent of the true log-odds at the mean hidden state
     * h: u_v = mean of the rows right of v - mean of those left, weighted by their softmax at h. */
    const pluck_head *start;

    const pluck_allocator *allocator; /* NULL: malloc; must outlive the trainer */
} pluck_train_options;

/* The tree is copied. Needs memory for the nodes (n_tokens - 1 rows of floats), twice that for a
 * moment with a dense teacher. */
PLUCK_API pluck_status pluck_trainer_create(pluck_trainer **out, const pluck_tree *tree,
                                            const pluck_train_data *data,
                                            const pluck_train_options *options, pluck_error *err);

PLUCK_API void pluck_trainer_destroy(pluck_trainer **trainer);

typedef struct pluck_train_progress {
    bool is_done;
    uint32_t epoch, n_epochs;     /* the present one, from 0; n_epochs when done */
    uint64_t n_rows_done, n_rows; /* of all epochs together */
    uint64_t n_examples;          /* updates of nodes so far, since the trainer was created */
    double loss; /* of the last step: mean of a row's, in nats, before learning from
                                    * it; with a teacher the cross-entropy to it, estimated */
} pluck_train_progress;

/*
 * Learns from the next few thousand rows (with a teacher, hundred), which takes milliseconds to
 * seconds: a place to show progress, to save, or to stop. When all epochs are done it does nothing.
 * progress may be NULL. After a failure (memory, NaN) the trainer is good only for destroying.
 */
PLUCK_API pluck_status pluck_trainer_step(pluck_trainer *trainer, pluck_train_progress *progress,
                                          pluck_error *err);

PLUCK_API pluck_train_progress pluck_trainer_progress(const pluck_trainer *trainer);

/* The head as trained so far, with weights of its own. PLUCK_ERR_NAN if a weight is too large for a
 * float: the hidden states are too small then, scale them up. */
PLUCK_API pluck_status pluck_trainer_head(const pluck_trainer *trainer, pluck_head **out,
                                          pluck_error *err);

/*
 * Writes all that is needed to go on: a head file as pluck_head_save() writes it, which
 * pluck_head_load() reads as the head trained so far, with one more tensor, "train.squares", and
 * metadata. Written as pluck_head_save() writes.
 */
PLUCK_API pluck_status pluck_trainer_save(const pluck_trainer *trainer, const char *path,
                                          pluck_error *err);

/*
 * Puts a trainer that was created with the same tree, data and options (n_threads may differ) where
 * the one was that wrote path: what it does then, and the head it makes, are the same bits.
 * PLUCK_ERR_FORMAT if path is no such file, PLUCK_ERR_INVALID if it belongs to other data, another
 * tree or other options; then nothing has changed.
 */
PLUCK_API pluck_status pluck_trainer_resume(pluck_trainer *trainer, const char *path,
                                            pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
