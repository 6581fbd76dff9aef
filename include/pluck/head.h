/*
 * Heads: from a hidden state h (dim floats) to a token, a list of tokens or a log-probability,
 * without the caller computing n_vocab logits.
 *
 * A pluck_head is weights: constant once created, and usable by many threads at once. Four kinds
 * answer the same questions:
 *   dense           logits W h + b, one softmax
 *   hierarchical    a binary tree whose leaves are the tokens (Morin & Bengio 2005; Mikolov et al.
 *                   2013): p(token | h) is a product of sigmoids, one an inner node on its path
 *   adaptive        a short list and clusters of rarer tokens (Grave et al. 2017), as PyTorch's
 *                   AdaptiveLogSoftmaxWithLoss
 *   differentiated  bands of tokens that read slices of h (Chen, Grangier, Auli 2015)
 * A pluck_head_query is the scratch memory of one thread, and the mask of allowed tokens that it
 * may have set. Creating it allocates; asking allocates nothing.
 *
 *     pluck_head *head = NULL;
 *     pluck_head_query *query = NULL;
 *     if (pluck_head_open(&head, "tree.safetensors", NULL, &err) == PLUCK_OK &&
 *         pluck_head_query_create(&query, head, NULL, &err) == PLUCK_OK) {
 *         pluck_pcg64 rng;
 *         pluck_pcg64_seed(&rng, seed, stream, position);
 *         pluck_head_sample(query, hidden, 0.7, &rng, &token, NULL, &err);
 *     }
 *     pluck_head_query_destroy(&query);
 *     pluck_head_destroy(&head);
 *
 * All answers are exact for the weights as given: no search is cut short and no temperature is
 * approximated. A head that is not dense evaluates only what the answer depends on;
 * pluck_head_query_get_stats() says how much that was. Results are the same bits on every
 * instruction set and for any number of threads.
 *
 * Errors common to all: NULL or a value out of its range gives PLUCK_ERR_INVALID; h with a NaN or
 * an infinity, or weights that make a logit NaN or +inf, PLUCK_ERR_NAN; no token with probability
 * above 0 that is allowed, PLUCK_ERR_EMPTY. On failure no output is written.
 */
#ifndef PLUCK_HEAD_H
#define PLUCK_HEAD_H

#include <pluck/base.h>
#include <pluck/rng.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Code trees
 *
 * A full binary tree: n_tokens leaves, n_tokens - 1 inner nodes. Leaves are numbered 0 .. n_tokens
 * - 1 by token, inner nodes from n_tokens on, a node always above its children; the root is the
 * last, 2 n_tokens - 2. One token alone is the root, and has an empty code. The code of a token is
 * the way from the root to it: 0 is left, 1 is right. A tree is constant once created. Any depth
 * is allowed up to n_tokens - 1; nothing recurses. allocator may be NULL, and must outlive the
 * tree.
 */
typedef struct pluck_tree pluck_tree;

/*
 * The Huffman tree of counts[n_tokens], all >= 0 and their sum at most INT64_MAX, node for node as
 * word2vec and fastText build it: tokens in descending order of count, ties in ascending order of
 * token; two cursors, over the leaves from the smallest count up and over the inner nodes from the
 * oldest; the leaf is taken only if its count is strictly smaller. The first taken becomes the
 * left child. Inner node n_tokens + i uses row i of their output matrix. The mean code length is
 * within [H, H + 1) bits of the entropy H of the counts, if two of them are above 0. O(n_tokens
 * log n_tokens).
 */
PLUCK_API pluck_status pluck_tree_create_huffman(pluck_tree **out, const int64_t *counts,
                                                 uint32_t n_tokens,
                                                 const pluck_allocator *allocator,
                                                 pluck_error *err);

/* All codes floor(log2 n_tokens) or one more bits long, tokens in order from left to right. */
PLUCK_API pluck_status pluck_tree_create_balanced(pluck_tree **out, uint32_t n_tokens,
                                                  const pluck_allocator *allocator,
                                                  pluck_error *err);

/*
 * The tree with these codes: the code of token t is the bytes bits[ends[t - 1] .. ends[t] - 1]
 * (from 0 for t = 0), each 0 or 1. No code may be the beginning of another, and together they must
 * fill the tree: PLUCK_ERR_INVALID says which token breaks that.
 */
PLUCK_API pluck_status pluck_tree_create_from_codes(pluck_tree **out, const uint8_t *bits,
                                                    const size_t *ends, uint32_t n_tokens,
                                                    const pluck_allocator *allocator,
                                                    pluck_error *err);

/* The tree with these children: children[2 i] and children[2 i + 1] are the left and right child of
 * node n_tokens + i, numbered as above. Copied. */
PLUCK_API pluck_status pluck_tree_create_from_children(pluck_tree **out, const int32_t *children,
                                                       uint32_t n_tokens,
                                                       const pluck_allocator *allocator,
                                                       pluck_error *err);

/*
 * A tree in which near vectors share a long beginning of their codes: 2-means, again and again
 * (Lloyd's algorithm, at most 16 rounds each, from a vector chosen by seed and the one farthest
 * from it). Each side gets at least a sixteenth of the vectors, and half of them where all are the
 * same, so that the depth stays below 11 log2 n_tokens + 2. vectors: [n_tokens, dim], magnitudes
 * at most 1e15. The same seed gives the same tree everywhere. O(n_tokens dim depth).
 */
PLUCK_API pluck_status pluck_tree_create_clustered(pluck_tree **out, const float *vectors,
                                                   uint32_t n_tokens, uint32_t dim, uint64_t seed,
                                                   const pluck_allocator *allocator,
                                                   pluck_error *err);

PLUCK_API void pluck_tree_destroy(pluck_tree **tree);

PLUCK_API uint32_t pluck_tree_n_tokens(const pluck_tree *tree);

/* 2 (n_tokens - 1) numbers, as pluck_tree_create_from_children() takes them; valid as long as
 * the tree. */
PLUCK_API const int32_t *pluck_tree_children(const pluck_tree *tree);

/* Writes the first capacity bits of the code of token, a byte each (0 or 1), root first, and its
 * length to *length. bits may be NULL if capacity is 0. */
PLUCK_API pluck_status pluck_tree_code(const pluck_tree *tree, pluck_token token, uint8_t *bits,
                                       size_t capacity, size_t *length, pluck_error *err);

typedef struct pluck_tree_stats {
    uint32_t n_tokens;
    uint32_t min_length, max_length; /* of a code, in bits */
    double mean_length;              /* weighted by counts if given, else over tokens */
    double entropy_bits;             /* of the counts; of n_tokens equal ones if not given */
} pluck_tree_stats;

/* counts[n_tokens] >= 0, or NULL. histogram may be NULL; histogram[l] = tokens whose code has l
 * bits, for l < histogram_size. Allocates. */
PLUCK_API pluck_status pluck_tree_get_stats(const pluck_tree *tree, const int64_t *counts,
                                            pluck_tree_stats *stats, uint32_t *histogram,
                                            size_t histogram_size, pluck_error *err);

/*
 * Heads
 */
typedef struct pluck_head pluck_head;

typedef enum pluck_head_kind {
    PLUCK_HEAD_DENSE = 0,
    PLUCK_HEAD_HIERARCHICAL = 1,
    PLUCK_HEAD_ADAPTIVE = 2,
    PLUCK_HEAD_DIFFERENTIATED = 3
} pluck_head_kind;

/* "dense", "hierarchical", "adaptive", "differentiated"; NULL for a value outside the
 * enumeration. */
PLUCK_API const char *pluck_head_kind_name(pluck_head_kind kind);

/* All zero is a good default. */
typedef struct pluck_head_options {
    /* Copy the matrices. Else they are borrowed, and must stay as they are while the head lives.
     * Biases, being small, are always copied. */
    bool copy;
    pluck_isa isa;                    /* PLUCK_ISA_BEST, or the set to use */
    const pluck_allocator *allocator; /* NULL: malloc; must outlive the head */

    /* pluck_head_open(): read the file into memory instead of mapping it, for the reasons that
     * dump.h gives. */
    bool no_map;
} pluck_head_options;

/* logits = weights h + bias. weights: [n_vocab, dim]; bias: n_vocab floats, or NULL. */
PLUCK_API pluck_status pluck_head_create_dense(pluck_head **out, const pluck_matrix *weights,
                                               const float *bias, const pluck_head_options *options,
                                               pluck_error *err);

/* What the sigmoid of an inner node is the probability of. */
typedef enum pluck_tree_sign {
    PLUCK_TREE_RIGHT = 0, /* code 1, as in fastText             */
    PLUCK_TREE_LEFT = 1   /* code 0, as in word2vec and gensim  */
} pluck_tree_sign;

/*
 * At inner node n_vocab + i, sigmoid(nodes[i] . h + bias[i]) is the probability of the child that
 * sign names. nodes: [n_vocab - 1, dim] (more rows are ignored: fastText stores n_vocab); bias:
 * n_vocab - 1 floats, or NULL. The tree is copied, and may be destroyed.
 */
PLUCK_API pluck_status pluck_head_create_hierarchical(pluck_head **out, const pluck_tree *tree,
                                                      const pluck_matrix *nodes, const float *bias,
                                                      pluck_tree_sign sign,
                                                      const pluck_head_options *options,
                                                      pluck_error *err);

/* One cluster: logits of its tokens = output (projection h). projection: [k, dim]; output: [tokens,
 * k]. */
typedef struct pluck_head_tail {
    pluck_matrix projection, output;
} pluck_head_tail;

/*
 * root: [c0 + n_tails, dim], c0 >= 1, its last n_tails rows for the clusters; root_bias: as many
 * floats, or NULL. Tokens: 0 .. c0 - 1 the short list, then those of tail 0, tail 1 and so on.
 * log p(y) = log-softmax(root)[y] in the short list, else log-softmax(root)[c0 + i] +
 * log-softmax(tail i)[y - first token of i].
 */
PLUCK_API pluck_status pluck_head_create_adaptive(pluck_head **out, const pluck_matrix *root,
                                                  const float *root_bias,
                                                  const pluck_head_tail *tails, uint32_t n_tails,
                                                  const pluck_head_options *options,
                                                  pluck_error *err);

/* One band: logits of its tokens = weights h[first .. first + n_cols - 1]. weights: [tokens,
 * n_cols]. */
typedef struct pluck_head_band {
    pluck_matrix weights;
    uint32_t first;
} pluck_head_band;

/* The tokens of band 0 come first, then those of band 1, and so on; n_bands >= 1. Slices may
 * overlap, and dim must reach the end of each. bias: n_vocab floats, or NULL. */
PLUCK_API pluck_status pluck_head_create_differentiated(pluck_head **out, uint32_t dim,
                                                        const pluck_head_band *bands,
                                                        uint32_t n_bands, const float *bias,
                                                        const pluck_head_options *options,
                                                        pluck_error *err);

PLUCK_API void pluck_head_destroy(pluck_head **head);

typedef struct pluck_head_info {
    pluck_head_kind kind;
    uint32_t n_vocab, dim;
    pluck_dtype dtype; /* of the (root's, first band's) weights */
    uint32_t n_parts;  /* inner nodes, tails or bands; 0: dense */
} pluck_head_info;

PLUCK_API pluck_head_info pluck_head_get_info(const pluck_head *head);

/* The code tree of a hierarchical head, valid as long as the head; NULL for the others. */
PLUCK_API const pluck_tree *pluck_head_tree(const pluck_head *head);

/*
 * Files
 *
 * A head is stored as a .safetensors file: its matrices as they are, and metadata that says what
 * they are ("format": "pluck-head", "kind", for trees "sign"). Tensors: dense "weight", "bias";
 * hierarchical "nodes" [n_vocab - 1, dim], "children" (I32, [n_vocab - 1, 2]), "bias"; adaptive
 * "head.weight", "head.bias", "tail.<i>.0.weight" (projection), "tail.<i>.1.weight" (output);
 * differentiated "band.<i>.weight", "bias" and "first" (I32, [bands]). Biases are optional.
 */

/* Writes path, by way of a temporary file next to it: at any moment path is the old file or the new
 * one, which keeps the mode of the old one. Links are followed; devices, pipes and "-", standard
 * output, are written in place. path may be a file that an open head maps. */
PLUCK_API pluck_status pluck_head_save(const pluck_head *head, const char *path, pluck_error *err);

/*
 * Reads what pluck_head_save() wrote, or weights that PyTorch's AdaptiveLogSoftmaxWithLoss gave to
 * a .safetensors file: tensors of the names above, all behind the same prefix if there is one
 * ("loss.head.weight"). The file is mapped, unless options->no_map says otherwise, and stays open;
 * with options->copy it is read and closed. PLUCK_ERR_FORMAT if it is not such a file; nothing in
 * it is trusted.
 */
PLUCK_API pluck_status pluck_head_open(pluck_head **out, const char *path,
                                       const pluck_head_options *options, pluck_error *err);

/*
 * Queries
 */
typedef struct pluck_head_query pluck_head_query;

/* The scratch memory of one thread: for a hierarchical head about 60 bytes a token, of which only
 * what queries touch is ever used; for the others 12. head must outlive the query. */
PLUCK_API pluck_status pluck_head_query_create(pluck_head_query **out, const pluck_head *head,
                                               const pluck_allocator *allocator, pluck_error *err);
PLUCK_API void pluck_head_query_destroy(pluck_head_query **query);

/*
 * Allows only the tokens whose bit is set: bit t % 32 of words[t / 32], n_words = (n_vocab + 31) /
 * 32, bits beyond n_vocab ignored. NULL allows all again (n_words is ignored). Copied; it holds
 * for all later queries. Costs O(n_vocab) for a hierarchical head. PLUCK_ERR_EMPTY, and nothing
 * changed, if no token is allowed.
 */
PLUCK_API pluck_status pluck_head_query_set_mask(pluck_head_query *query, const int32_t *words,
                                                 size_t n_words, pluck_error *err);

/* What the last query cost. */
typedef struct pluck_head_stats {
    uint64_t
        n_dots; /* rows of weights that were multiplied with h or a slice or projection of it */
    uint64_t n_trials; /* sampling: descents, rejected ones included */
} pluck_head_stats;

PLUCK_API pluck_head_stats pluck_head_query_get_stats(const pluck_head_query *query);

/*
 * All log-probabilities below are ln p(token | h) of the head itself: temperature 1 and no mask.
 * pluck_head_query_log_mass() gives what to subtract for those among allowed tokens only.
 */
typedef struct pluck_scored_token {
    pluck_token token;
    double logprob;
} pluck_scored_token;

/* ln p(token | h). token may be banned by the mask. A hierarchical head: as many dot products as
 * the code of token has bits; nothing cancels, however small p or 1 - p. */
PLUCK_API pluck_status pluck_head_query_logprob(pluck_head_query *query, const float *hidden,
                                                pluck_token token, double *logprob,
                                                pluck_error *err);

/* ln p of all n_vocab tokens, banned ones included. */
PLUCK_API pluck_status pluck_head_query_logprobs(pluck_head_query *query, const float *hidden,
                                                 float *logprobs, pluck_error *err);

/* ln of the probability of all allowed tokens together: 0 without a mask, which costs nothing. A
 * hierarchical head evaluates the inner nodes above both an allowed and a banned token. */
PLUCK_API pluck_status pluck_head_query_log_mass(pluck_head_query *query, const float *hidden,
                                                 double *log_mass, pluck_error *err);

/*
 * Draws an allowed token with probability proportional to p(token | h)^(1/temperature). temperature
 * is finite and >= 0; below 1e-30 it is pluck_head_greedy() and draws no number. logprob may be
 * NULL.
 *
 * A hierarchical head descends from the root; at temperature 1 without a mask that is all.
 * Otherwise every node v has an upper bound U(v) of the sum over the allowed leaves below it of
 * p(leaf|v)^(1/T), at first the number n of them to the power 1 - 1/T, or 1 if T <= 1 (0 if n =
 * 0). A descent goes right with probability P(right)^(1/T) U(right) / U(v), left likewise, and
 * else fails; the bounds on its way are then set to what their children say, and the next one
 * starts. A token that is reached has exactly the right probability, whatever the bounds were. An
 * adaptive head does the same with clusters.
 */
PLUCK_API pluck_status pluck_head_sample(pluck_head_query *query, const float *hidden,
                                         double temperature, pluck_pcg64 *rng, pluck_token *token,
                                         double *logprob, pluck_error *err);

/*
 * Draws k different tokens, one after the other, each with probability proportional to
 * p^(1/temperature) among those not yet drawn: what Gumbel-top-k gives (Kool, van Hoof, Welling
 * 2019). tokens has room for k >= 1; *n is smaller than k only if fewer tokens have p > 0.
 */
PLUCK_API pluck_status pluck_head_sample_distinct(pluck_head_query *query, const float *hidden,
                                                  double temperature, uint32_t k, pluck_pcg64 *rng,
                                                  pluck_scored_token *tokens, uint32_t *n,
                                                  pluck_error *err);

/* The most probable allowed token, the lowest one among equals. */
PLUCK_API pluck_status pluck_head_greedy(pluck_head_query *query, const float *hidden,
                                         pluck_scored_token *token, pluck_error *err);

/*
 * The selections among allowed tokens with p > 0, most probable first, ties by lower token. A
 * hierarchical head searches best first: it evaluates only inner nodes that are at least as
 * probable as the last token given.
 *   top_k  the k most probable; tokens has room for k >= 1, *n <= k is how many there are
 *   top_p  the fewest of the most probable whose probabilities, renormalised over the allowed
 *          tokens, add up to at least p in (0, 1]; p = 1 gives all. With a mask it costs what
 *          pluck_head_query_log_mass() costs
 *   min_p  those at least min_p times as probable as the most probable one; min_p in [0, 1]
 * top_p and min_p write the first capacity ones and set *n to how many there are in all; tokens may
 * be NULL if capacity is 0.
 */
PLUCK_API pluck_status pluck_head_top_k(pluck_head_query *query, const float *hidden, uint32_t k,
                                        pluck_scored_token *tokens, uint32_t *n, pluck_error *err);
PLUCK_API pluck_status pluck_head_top_p(pluck_head_query *query, const float *hidden, double p,
                                        pluck_scored_token *tokens, uint32_t capacity, uint32_t *n,
                                        pluck_error *err);
PLUCK_API pluck_status pluck_head_min_p(pluck_head_query *query, const float *hidden, double min_p,
                                        pluck_scored_token *tokens, uint32_t capacity, uint32_t *n,
                                        pluck_error *err);

/*
 * Many rows at once
 *
 * hidden: [n_rows, dim] floats. n_threads >= 1 threads share the rows (the caller's is one of them;
 * the others live for the length of the call); the results do not depend on how many, and where the
 * system refuses threads there are fewer. mask: as for pluck_head_query_set_mask(), for all rows,
 * or NULL. Each thread creates a query, so these functions allocate. On failure the outputs are
 * unspecified, and the message names the first row that failed.
 */
typedef struct pluck_head_batch {
    const float *hidden;
    size_t n_rows;
    const int32_t *mask;
    uint32_t n_threads;
} pluck_head_batch;

/* Row r draws from the generator of (seed, stream + r, position). logprobs and stats (their sum
 * over the rows) may be NULL. */
PLUCK_API pluck_status pluck_head_sample_rows(const pluck_head *head, const pluck_head_batch *batch,
                                              double temperature, uint64_t seed, uint64_t stream,
                                              uint64_t position, pluck_token *tokens,
                                              double *logprobs, pluck_head_stats *stats,
                                              pluck_error *err);

/* logprobs[r] = ln p(tokens[r] | row r). */
PLUCK_API pluck_status pluck_head_logprob_rows(const pluck_head *head,
                                               const pluck_head_batch *batch,
                                               const pluck_token *tokens, double *logprobs,
                                               pluck_head_stats *stats, pluck_error *err);

/* tokens[r * k ..] and n[r]: what pluck_head_top_k() gives for row r. */
PLUCK_API pluck_status pluck_head_top_k_rows(const pluck_head *head, const pluck_head_batch *batch,
                                             uint32_t k, pluck_scored_token *tokens, uint32_t *n,
                                             pluck_head_stats *stats, pluck_error *err);

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
 *         pluck_head_create_trained(trainer, &head, &err);
 *     }
 *     pluck_trainer_destroy(&trainer);
 *
 * A trainer is used by one thread at a time. The threads of its own start within
 * pluck_trainer_step(), sleep between steps and end with the trainer.
 */

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

PLUCK_API pluck_train_progress pluck_trainer_get_progress(const pluck_trainer *trainer);

/* The head as trained so far, with weights of its own. PLUCK_ERR_NAN if a weight is too large for a
 * float: the hidden states are too small then, scale them up. */
PLUCK_API pluck_status pluck_head_create_trained(const pluck_trainer *trainer, pluck_head **out,
                                                 pluck_error *err);

/*
 * Writes all that is needed to go on: a head file as pluck_head_save() writes it, which
 * pluck_head_open() reads as the head trained so far, with one more tensor, "train.squares", and
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
PLUCK_API pluck_status pluck_trainer_restore(pluck_trainer *trainer, const char *path,
                                             pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
