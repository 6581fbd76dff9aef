/*
 * Heads: they compute a token, a list of tokens or a log-probability from a hidden state h (dim
 * floats), so that the caller need not compute n_vocab logits.
 *
 * A pluck_head holds weights. It is constant once created, and many threads may use it at once.
 * Four kinds answer the same questions:
 *   dense           logits W h + b, one softmax
 *   hierarchical    a binary tree whose leaves are the tokens (Morin & Bengio 2005; Mikolov et al.
 *                   2013): p(token | h) is a product of sigmoids, one for each inner node on the
 *                   path of the token
 *   adaptive        a short list, and clusters of rarer tokens (Grave et al. 2017), as in PyTorch's
 *                   AdaptiveLogSoftmaxWithLoss
 *   differentiated  bands of tokens that read slices of h (Chen, Grangier, Auli 2015)
 * A pluck_head_query holds the scratch memory of one thread, and the mask of allowed tokens if one
 * is set. Creating a query allocates memory; later calls with it allocate nothing.
 *
 *     pluck_head *head = NULL;
 *     pluck_head_query *query = NULL;
 *     pluck_logprob drawn;
 *     uint32_t n_drawn;
 *     if (pluck_head_open(&head, "tree.safetensors", NULL, &err) == PLUCK_OK &&
 *         pluck_head_query_create(&query, head, NULL, &err) == PLUCK_OK) {
 *         pluck_pcg64 rng;
 *         pluck_pcg64_seed(&rng, seed, stream, position);
 *         pluck_head_query_sample(query, hidden, 0.7, &rng, 1, &drawn, &n_drawn, &err);
 *     }
 *     pluck_head_query_destroy(&query);
 *     pluck_head_destroy(&head);
 *
 * All answers are exact for the given weights: no search is cut short, and no temperature is
 * approximated. Hierarchical and adaptive heads evaluate only the weights that the answer depends
 * on; pluck_head_query_get_stats() says how many rows of weights that were. Results have the same
 * bits on every instruction set and for any number of threads.
 *
 * Errors that all functions share: a required pointer that is NULL, or a value out of its range,
 * gives PLUCK_ERR_INVALID. An h with a NaN or an infinity, or weights that make a logit NaN or
 * +inf, give PLUCK_ERR_NAN. If no allowed token has a probability above 0, the result is
 * PLUCK_ERR_EMPTY. On failure no output is written, except by pluck_head_query_sample() and
 * pluck_head_run().
 */
#ifndef PLUCK_HEAD_H
#define PLUCK_HEAD_H

#include <pluck/base.h>
#include <pluck/ranks.h>
#include <pluck/rng.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Code trees
 *
 * A code tree is a full binary tree with n_tokens leaves and n_tokens - 1 inner nodes. Nodes 0 to
 * n_tokens - 1 are the leaves; leaf t is token t. Nodes n_tokens to 2 n_tokens - 2 are the inner
 * nodes, and each has a larger number than its children; so the last one is the root. If there is
 * only one token, its leaf is the root and its code is empty. The code of a token is the path from
 * the root to it: 0 is left, 1 is right. A tree is constant once created. Codes may have up to
 * n_tokens - 1 bits; no function recurses. In the functions below, allocator may be NULL; an
 * allocator must outlive the tree.
 */
typedef struct pluck_tree pluck_tree;

/*
 * Makes the Huffman tree of counts[n_tokens]. Counts are >= 0, and their sum is at most INT64_MAX.
 * The tree is, node for node, the one that word2vec and fastText build. Tokens are sorted by
 * descending count, ties by ascending token. One cursor moves over the leaves from the smallest
 * count up, another over the inner nodes from the oldest. Two nodes are taken for each new inner
 * node, each time the one with the smaller count; if the counts of leaf and inner node are equal,
 * the inner node is taken. The first node taken becomes the left child. Inner node n_tokens + i
 * belongs to row i of the output matrix of word2vec and fastText. If at least two counts are above
 * 0, the mean code length in bits, weighted by counts, is in [H, H + 1), where H is the entropy of
 * the counts in bits. Takes O(n_tokens log n_tokens).
 */
PLUCK_API pluck_status pluck_tree_create_huffman(pluck_tree **out, const int64_t *counts,
                                                 uint32_t n_tokens,
                                                 const pluck_allocator *allocator,
                                                 pluck_error *err);

/* Makes a tree in which every code has floor(log2 n_tokens) bits or one more. Tokens are in
 * ascending order from left to right. */
PLUCK_API pluck_status pluck_tree_create_balanced(pluck_tree **out, uint32_t n_tokens,
                                                  const pluck_allocator *allocator,
                                                  pluck_error *err);

/*
 * Makes the tree with the given codes. The code of token t is the bytes bits[ends[t - 1]] to
 * bits[ends[t] - 1], and that of token 0 begins at bits[0]. Each byte is one bit, 0 or 1. No code
 * may be the beginning of another, and together the codes must fill the tree; the message of
 * PLUCK_ERR_INVALID names the token that breaks this.
 */
PLUCK_API pluck_status pluck_tree_create_from_codes(pluck_tree **out, const uint8_t *bits,
                                                    const size_t *ends, uint32_t n_tokens,
                                                    const pluck_allocator *allocator,
                                                    pluck_error *err);

/* Makes the tree with the given children: children[2 i] and children[2 i + 1] are the left and the
 * right child of node n_tokens + i, numbered as above. The array has 2 (n_tokens - 1) numbers, and
 * is copied. */
PLUCK_API pluck_status pluck_tree_create_from_children(pluck_tree **out, const int32_t *children,
                                                       uint32_t n_tokens,
                                                       const pluck_allocator *allocator,
                                                       pluck_error *err);

/*
 * Makes a tree in which the codes of tokens with similar vectors begin alike. vectors is a matrix
 * of PLUCK_F32, aligned as floats, with one row per token; magnitudes are at most 1e15.
 *
 * The vectors are split into two parts by 2-means, and each part again, down to single vectors.
 * 2-means is Lloyd's algorithm with at most 16 rounds per split; it starts from a vector that seed
 * chooses and from the vector farthest from that one. Each part gets at least a sixteenth of the
 * vectors, and half of them where all are equal. So all codes have fewer than 2 + 11 log2 n_tokens
 * bits. The same seed gives the same tree on every machine. Takes O(n_tokens dim depth).
 */
PLUCK_API pluck_status pluck_tree_create_clustered(pluck_tree **out, const pluck_matrix *vectors,
                                                   uint64_t seed, const pluck_allocator *allocator,
                                                   pluck_error *err);

PLUCK_API void pluck_tree_destroy(pluck_tree **tree);

/* The number of tokens; 0 for NULL. */
PLUCK_API uint32_t pluck_tree_n_tokens(const pluck_tree *tree);

/* Returns 2 (n_tokens - 1) numbers in the order of pluck_tree_create_from_children(), borrowed
 * until the tree is destroyed. NULL if tree is NULL. */
PLUCK_API const int32_t *pluck_tree_children(const pluck_tree *tree);

/* Writes the code of a token to bits, root first, one byte (0 or 1) per bit, and its length in bits
 * to *n_needed. With bits NULL and capacity 0, only *n_needed is written. If capacity is smaller
 * than the length, the result is PLUCK_ERR_SPACE and only *n_needed is written. */
PLUCK_API pluck_status pluck_tree_code(const pluck_tree *tree, pluck_token token, uint8_t *bits,
                                       size_t capacity, size_t *n_needed, pluck_error *err);

typedef struct pluck_tree_stats {
    size_t struct_size;

    /* Set by the caller: room for n_histogram numbers, or NULL and 0. histogram[l] becomes the
     * number of tokens whose code has l bits, for l < n_histogram. */
    uint32_t *histogram;
    size_t n_histogram;

    uint32_t n_tokens;
    uint32_t min_length, max_length; /* of the shortest and the longest code, in bits */
    double mean_length;  /* of the codes, in bits; weighted by counts, or unweighted without them */
    double entropy_bits; /* of the counts; without counts, of n_tokens equal counts */
} pluck_tree_stats;

/* Fills in *stats. counts has n_tokens numbers >= 0, or is NULL. Allocates memory and frees it
 * before it returns. */
PLUCK_API pluck_status pluck_tree_get_stats(const pluck_tree *tree, const int64_t *counts,
                                            pluck_tree_stats *stats, pluck_error *err);

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

typedef struct pluck_head_options {
    size_t struct_size;

    /* true: the matrices are copied. false: they are borrowed until the head is destroyed, and must
     * not change. Biases are small and are always copied. */
    bool copy;
    pluck_isa isa;                    /* the instruction set; 0: the best that is supported */
    const pluck_allocator *allocator; /* NULL: malloc and free; must outlive the head */

    /* For pluck_head_open(): read the file into memory instead of mapping it; dump.h says when that
     * is better. */
    bool no_map;
} pluck_head_options;

/* Makes a head with logits = weights h + bias. weights: [n_vocab, dim]; bias: n_vocab floats, or
 * NULL. Here and below, options may be NULL, and matrices are PLUCK_F32, PLUCK_F16 or
 * PLUCK_BF16. */
PLUCK_API pluck_status pluck_head_create_dense(pluck_head **out, const pluck_matrix *weights,
                                               const float *bias, const pluck_head_options *options,
                                               pluck_error *err);

/* Says for which child of an inner node the sigmoid is the probability. */
typedef enum pluck_tree_sign {
    PLUCK_TREE_RIGHT = 0, /* code 1, as in fastText             */
    PLUCK_TREE_LEFT = 1   /* code 0, as in word2vec and gensim  */
} pluck_tree_sign;

/*
 * Makes a head of a code tree. At inner node n_vocab + i, sigmoid(nodes[i] . h + bias[i]) is the
 * probability of the child that sign names. nodes: [n_vocab - 1, dim]; further rows are ignored
 * (fastText stores n_vocab rows). bias: n_vocab - 1 floats, or NULL. The tree is copied, so that it
 * may be destroyed after the call.
 */
PLUCK_API pluck_status pluck_head_create_hierarchical(pluck_head **out, const pluck_tree *tree,
                                                      const pluck_matrix *nodes, const float *bias,
                                                      pluck_tree_sign sign,
                                                      const pluck_head_options *options,
                                                      pluck_error *err);

/* One cluster: the logits of its tokens are output (projection h). projection: [k, dim]; output:
 * [tokens, k]. */
typedef struct pluck_head_tail {
    pluck_matrix projection, output;
} pluck_head_tail;

/*
 * Makes an adaptive head. root: [c0 + n_tails, dim], c0 >= 1: one row for each token of the short
 * list, then one for each tail. root_bias: one float per row of root, or NULL. Tokens 0 to c0 - 1
 * are the short list; then come the tokens of tail 0, those of tail 1 and so on. For a token y of
 * the short list, log p(y) is log-softmax(root)[y]; for a token y of tail i, it is
 * log-softmax(root)[c0 + i] + log-softmax(tail i)[y - first token of tail i].
 */
PLUCK_API pluck_status pluck_head_create_adaptive(pluck_head **out, const pluck_matrix *root,
                                                  const float *root_bias,
                                                  const pluck_head_tail *tails, uint32_t n_tails,
                                                  const pluck_head_options *options,
                                                  pluck_error *err);

/* One band: its tokens read the slice of n_cols numbers of h that begins at h[first]; their logits
 * are weights times that slice. weights: [tokens, n_cols]. */
typedef struct pluck_head_band {
    pluck_matrix weights;
    uint32_t first;
} pluck_head_band;

/* Makes a differentiated head. The tokens of band 0 come first, then those of band 1 and so on;
 * n_bands >= 1. Slices of h may overlap, and each must end within dim. bias: n_vocab floats, or
 * NULL. */
PLUCK_API pluck_status pluck_head_create_differentiated(pluck_head **out, uint32_t dim,
                                                        const pluck_head_band *bands,
                                                        uint32_t n_bands, const float *bias,
                                                        const pluck_head_options *options,
                                                        pluck_error *err);

PLUCK_API void pluck_head_destroy(pluck_head **head);

typedef struct pluck_head_info {
    size_t struct_size;
    pluck_head_kind kind;
    uint32_t n_vocab, dim;
    pluck_dtype dtype; /* of the weights; of an adaptive head's root or of band 0 */
    uint32_t n_parts;  /* inner nodes, tails or bands; 0 for a dense head */
} pluck_head_info;

PLUCK_API pluck_status pluck_head_get_info(const pluck_head *head, pluck_head_info *info,
                                           pluck_error *err);

/* The code tree of a hierarchical head, borrowed until the head is destroyed; NULL for other
 * heads. */
PLUCK_API const pluck_tree *pluck_head_tree(const pluck_head *head);

/*
 * Files
 *
 * A head is stored as a .safetensors file. It has the matrices unchanged, and metadata that says
 * what they are: "format" ("pluck-head"), "kind" and, for hierarchical heads, "sign". The tensors
 * are, biases being optional:
 *   dense           "weight", "bias"
 *   hierarchical    "nodes" [n_vocab - 1, dim], "children" (I32, [n_vocab - 1, 2]), "bias"
 *   adaptive        "head.weight", "head.bias", "tail.<i>.0.weight" (projection),
 *                   "tail.<i>.1.weight" (output)
 *   differentiated  "band.<i>.weight", "bias", "first" (I32, [bands])
 */

/* Writes a temporary file next to path and renames it to path, so that at any moment path is the
 * whole old file or the whole new one. The new file gets the mode of the old one. Links are
 * followed. Devices, pipes and the standard output ("-") are written in place instead. path may be
 * a file that an open head maps. */
PLUCK_API pluck_status pluck_head_save(const pluck_head *head, const char *path, pluck_error *err);

/*
 * Reads a file of pluck_head_save(), or a .safetensors file with the weights of PyTorch's
 * AdaptiveLogSoftmaxWithLoss. The tensors of the latter have the names above, or all have the same
 * prefix before these names ("loss.head.weight"). The file is mapped and stays open, unless
 * options->no_map is set; with options->copy it is read and closed. PLUCK_ERR_FORMAT if the file is
 * neither; everything in it is checked. PLUCK_ERR_CONFIG if the library was built without JSON, in
 * which .safetensors files begin.
 */
PLUCK_API pluck_status pluck_head_open(pluck_head **out, const char *path,
                                       const pluck_head_options *options, pluck_error *err);

/*
 * Queries
 */
typedef struct pluck_head_query pluck_head_query;

/* Makes a query. For a hierarchical head it takes about 60 bytes of address space per token, of
 * which the operating system commits only the part that is used; for other heads it takes 12 bytes
 * per token. The head must outlive the query, and so must an allocator. NULL: malloc and free. */
PLUCK_API pluck_status pluck_head_query_create(pluck_head_query **out, const pluck_head *head,
                                               const pluck_allocator *allocator, pluck_error *err);
PLUCK_API void pluck_head_query_destroy(pluck_head_query **query);

/*
 * Sets the mask: only tokens whose bit is 1 are allowed. The bit of token t is bit t % 32 of
 * words[t / 32]; n_words is n_vocab / 32, rounded up, and bits beyond n_vocab are ignored. With
 * words NULL all tokens are allowed again, and n_words is ignored. The words are copied. The mask
 * holds until the next call of this function. Takes O(n_vocab) for a hierarchical head. If no token
 * is allowed, the result is PLUCK_ERR_EMPTY and nothing changes.
 */
PLUCK_API pluck_status pluck_head_query_set_mask(pluck_head_query *query, const int32_t *words,
                                                 size_t n_words, pluck_error *err);

/* How much work an answer took. */
typedef struct pluck_head_stats {
    size_t struct_size;
    uint64_t n_dots;   /* dot products: a row of weights with h, with a part of h (differentiated
                        * heads), or with a projection of h (adaptive heads) */
    uint64_t n_trials; /* for sampling: the number of descents, including those that failed */
} pluck_head_stats;

/* The work of the last call that asked the query for an answer. */
PLUCK_API pluck_status pluck_head_query_get_stats(const pluck_head_query *query,
                                                  pluck_head_stats *stats, pluck_error *err);

/*
 * All log-probabilities below are ln p(token | h) of the head itself, at temperature 1 and without
 * a mask. To renormalise one over the allowed tokens, subtract the result of
 * pluck_head_query_log_mass(). Log-probabilities of type float are rounded from double.
 */

/*
 * ln p(token | h); the mask does not matter. A hierarchical head takes one dot product for each bit
 * of the token's code. Nothing cancels, so the result is accurate however small p or 1 - p is. A
 * query of a dense or differentiated head keeps the normaliser of the last h, so that another token
 * for the same h takes one dot product.
 */
PLUCK_API pluck_status pluck_head_query_logprob(pluck_head_query *query, const float *hidden,
                                                pluck_token token, double *logprob,
                                                pluck_error *err);

/* ln p of all n_vocab tokens; the mask does not matter. */
PLUCK_API pluck_status pluck_head_query_logprobs(pluck_head_query *query, const float *hidden,
                                                 float *logprobs, pluck_error *err);

/* *log_mass becomes ln of the sum of the probabilities of all allowed tokens. Without a mask that
 * is 0, and costs nothing. A hierarchical head evaluates only inner nodes that have both allowed
 * and banned tokens below them. */
PLUCK_API pluck_status pluck_head_query_log_mass(pluck_head_query *query, const float *hidden,
                                                 double *log_mass, pluck_error *err);

/*
 * Draws k >= 1 different allowed tokens, one after the other. Each is drawn from the allowed tokens
 * that are not yet drawn, with probability proportional to p(token | h)^(1/temperature). The result
 * has the same distribution as that of Gumbel-top-k (Kool, van Hoof, Welling 2019). tokens has room
 * for k. *n becomes the number of tokens drawn, which is smaller than k only if fewer than k
 * allowed tokens have p > 0. A failure after the first draw leaves the tokens drawn so far in the
 * array, but *n does not change. temperature is finite and >= 0. At a temperature below 1e-30, the
 * call gives the k most probable tokens, most probable first, and uses no random number.
 *
 * A hierarchical head descends from the root to a leaf. For one token at temperature 1 without a
 * mask, one descent is enough. Otherwise, with T the temperature, every node v has an upper bound
 * U(v) of the sum of p(leaf | v)^(1/T) over the allowed leaves below v. With n the number of these
 * leaves, U(v) is at first n^(1 - 1/T) if T > 1, 1 if T <= 1, and 0 if n = 0. At v a descent goes
 * right with probability P(right)^(1/T) U(right) / U(v), goes left with the like probability, and
 * fails otherwise. After a failure the bounds on its path are computed again from those of the
 * children, and the next descent starts. A token that is reached has exactly the right probability,
 * whatever the bounds were. An adaptive head does the same with clusters.
 */
PLUCK_API pluck_status pluck_head_query_sample(pluck_head_query *query, const float *hidden,
                                               double temperature, pluck_pcg64 *rng, uint32_t k,
                                               pluck_logprob *tokens, uint32_t *n,
                                               pluck_error *err);

/* Which tokens to list. Exactly one field is above 0. */
typedef struct pluck_selection {
    size_t struct_size;
    uint32_t top_k; /* select the top_k most probable tokens */

    /* Select the most probable tokens, as few as have probabilities that add up to at least top_p,
     * after renormalisation over the allowed tokens. In (0, 1]; 1 selects all. With a mask this
     * takes the work of pluck_head_query_log_mass() in addition. */
    double top_p;
    /* Select the tokens at least min_p times as probable as the most probable allowed one. In
     * (0, 1]. */
    double min_p;
} pluck_selection;

/*
 * Lists allowed tokens with p > 0, most probable first, ties by lower token. Writes the first
 * capacity tokens of the selection to tokens; *n_total becomes the number of tokens in the
 * selection. tokens may be NULL if capacity is 0. The most probable token alone is top_k = 1. A
 * hierarchical head searches best first: it evaluates only inner nodes whose probability is at
 * least that of the last selected token.
 */
PLUCK_API pluck_status pluck_head_query_select(pluck_head_query *query, const float *hidden,
                                               const pluck_selection *selection,
                                               pluck_logprob *tokens, uint32_t capacity,
                                               uint32_t *n_total, pluck_error *err);

/*
 * Many hidden states (rows) at once: what to ask for each row, and where the answers go. If the
 * pointer for an answer is NULL, it is not computed.
 */
typedef struct pluck_head_batch {
    size_t struct_size;
    const float *hidden; /* [n_rows, dim] */
    size_t n_rows;
    const int32_t *mask; /* allowed tokens, as for pluck_head_query_set_mask(), for all rows; NULL:
                          * all tokens */
    size_t n_mask_words;
    const pluck_parallel *parallel; /* NULL: the calling thread alone */

    /* Draw a token per row, as pluck_head_query_sample() does with k = 1. Row r uses the generator
     * of (seed, stream + r, position). */
    double temperature;
    uint64_t seed, stream, position;
    pluck_token *tokens; /* [n_rows]; NULL: nothing is drawn, and logprobs must be NULL */
    float *logprobs;     /* [n_rows] of the drawn tokens */

    /* Score given tokens. */
    uint32_t n_given;         /* tokens per row */
    const pluck_token *given; /* [n_rows, n_given] */
    float *given_logprobs;    /* [n_rows, n_given] */

    /* List the n_top most probable allowed tokens of each row, best first. If a row has fewer
     * tokens with p > 0, {PLUCK_NO_TOKEN, -INFINITY} fills up its list. */
    uint32_t n_top;
    pluck_logprob *top; /* [n_rows, n_top] */

    pluck_head_stats *stats; /* the work for all rows together */
} pluck_head_batch;

/*
 * Answers a batch. Each worker of batch->parallel has its own query, so this function allocates
 * memory. Answers do not depend on the number of workers. On failure the outputs are unspecified,
 * and the message names the first row that failed.
 */
PLUCK_API pluck_status pluck_head_run(const pluck_head *head, const pluck_head_batch *batch,
                                      pluck_error *err);

/*
 * Training hierarchical heads, from pairs of hidden states and tokens, or from another head, the
 * teacher.
 *
 * The hidden states are given and do not change. Then the loss of a tree is a sum over its inner
 * nodes. Each node is a logistic regression of its own, and its loss is convex:
 *   targets   -ln p(token | h) = sum over the path of the token of -ln sigmoid(+-(u . h + b))
 *   teacher   KL(teacher || tree) = sum over all inner nodes v of P(v | h) KL(t || sigmoid(u . h +
 *             b)), where P(v | h) is the probability that the teacher gives to the tokens below v,
 *             and t the part of it below the right child
 * A trainer runs stochastic gradient descent on these losses. The seed decides the order of the
 * rows and, with a teacher, which nodes of small P(v | h) learn from a row. The learning rate falls
 * linearly to 0 over all epochs. The rate of a node is divided by the square root of the sum of its
 * squared gradients (J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods", JMLR 12, 2011,
 * with one number per node), so that rare nodes learn as fast as common ones.
 *
 * The result does not depend on the unit of h. A trainer learns as if the mean squared length of
 * the hidden states were 128; the nodes of the finished head are for h as it was given. If every h
 * is multiplied by 2^k, the nodes are multiplied by 2^-k, and all losses and biases have the same
 * bits, as long as no float overflows or underflows.
 *
 * Workers share the nodes, not the rows: each node sees its examples in the order of the rows. So
 * the result has the same bits for any number of workers, on every instruction set, and however
 * often training was interrupted.
 *
 * So do processes (options.ranks, pluck/ranks.h): each has all the data, and learns its share of
 * the nodes. With a teacher the rows of each step are a pass, in which one process asks the teacher
 * about each row, unless the ranks avoid passes. The nodes of all processes are put together at the
 * end, or by pluck_trainer_collect(). The bits are the same for any number of processes. A failure
 * of one process, a NaN for example, is returned by all of them, at the next pass.
 *
 *     pluck_trainer *trainer = NULL;
 *     pluck_train_progress progress = PLUCK_INIT(pluck_train_progress);
 *     if (pluck_trainer_create(&trainer, tree, &data, &options, &err) == PLUCK_OK) {
 *         while (!progress.is_done && pluck_trainer_step(trainer, &err) == PLUCK_OK &&
 *                pluck_trainer_get_progress(trainer, &progress, &err) == PLUCK_OK)
 *             show(&progress);
 *         pluck_head_create_trained(&head, trainer, &err);
 *     }
 *     pluck_trainer_destroy(&trainer);
 *
 * One thread at a time uses a trainer.
 */
typedef struct pluck_trainer pluck_trainer;

/* What to learn from. The arrays and the teacher are borrowed until the trainer is destroyed, and
 * must not change. Exactly one of targets and teacher is not NULL. */
typedef struct pluck_train_data {
    size_t struct_size;
    const float *hidden; /* [n_rows, dim], finite */
    size_t n_rows;       /* 1 to 2^32 - 1 */
    uint32_t dim;
    const pluck_token *targets; /* [n_rows] tokens of the tree; NULL with a teacher */
    const pluck_head *teacher;  /* of the vocabulary of the tree and this dim; or NULL */
} pluck_train_data;

typedef struct pluck_train_options {
    size_t struct_size;
    uint32_t n_epochs;    /* how many times each row is used; 0: 5 */
    double learning_rate; /* at the start, 0 to 1e6; 0: 0.3, which suits most data */
    double l2;            /* weight decay, 0 to 1e6; 0: none */

    /* Decides the order of the rows and, with a teacher, which nodes of small P(v | h) learn from a
     * row. */
    uint64_t seed;

    bool without_bias; /* keep all biases 0, as word2vec and fastText do */

    /* Begin with the nodes of this hierarchical head, whose tree must be the same. NULL: begin with
     * zeros or, if the teacher is a dense head, with the tangent of the true log-odds at the mean
     * hidden state h. In the latter case node v begins with the mean of the teacher's rows for the
     * tokens right of v, minus the mean of those left of v, both weighted by the softmax at h. */
    const pluck_head *start;

    const pluck_parallel *parallel;   /* NULL: the calling thread alone; must outlive the trainer */
    const pluck_allocator *allocator; /* NULL: malloc and free; must outlive the trainer */

    /* The processes that share the work; must outlive the trainer. NULL: this process alone. */
    const pluck_ranks *ranks;
} pluck_train_options;

/* Makes a trainer. The tree is copied. options may be NULL. The trainer needs memory for the nodes
 * (n_tokens - 1 rows of dim floats) and, during this call, twice that memory if the teacher is a
 * dense head. */
PLUCK_API pluck_status pluck_trainer_create(pluck_trainer **out, const pluck_tree *tree,
                                            const pluck_train_data *data,
                                            const pluck_train_options *options, pluck_error *err);

PLUCK_API void pluck_trainer_destroy(pluck_trainer **trainer);

/* Learns from the next few thousand rows, or from the next few hundred with a teacher. A step takes
 * milliseconds to seconds; between steps a program can show progress, save, or stop. When all
 * epochs are done, a step does nothing. After a failure (memory, NaN) the trainer can only be
 * destroyed. */
PLUCK_API pluck_status pluck_trainer_step(pluck_trainer *trainer, pluck_error *err);

typedef struct pluck_train_progress {
    size_t struct_size;
    bool is_done;
    uint32_t epoch, n_epochs;     /* epoch counts from 0, and is n_epochs when all are done */
    uint64_t n_rows_done, n_rows; /* rows learnt from, and to learn from, in all epochs */

    /* With ranks the following are of the nodes of this process alone; of all nodes after a step
     * that ends the training, and after pluck_trainer_collect(). */
    uint64_t n_examples; /* updates of nodes since the trainer was created or restored */
    double loss; /* mean over the rows of the last step, in nats per row, before the step changed
                  * the nodes; with a teacher, an estimate of the cross-entropy to the teacher */
    double epoch_loss; /* the same over the rows of the epoch of the last step, as far as this
                        * trainer has learnt from them */
} pluck_train_progress;

PLUCK_API pluck_status pluck_trainer_get_progress(const pluck_trainer *trainer,
                                                  pluck_train_progress *progress, pluck_error *err);

/*
 * Puts together what the processes of options.ranks have learnt, so that all have all nodes; it is
 * a pass over the nodes. All processes must call it after the same step. The step that ends the
 * training does so by itself, and so does not need it; without ranks the function does nothing.
 * PLUCK_ERR_INVALID if the ranks are not those from 0 to n_ranks - 1. After a failure the trainer
 * can only be destroyed.
 */
PLUCK_API pluck_status pluck_trainer_collect(pluck_trainer *trainer, pluck_error *err);

/* Makes a head of what was learnt so far, with a copy of the weights. PLUCK_ERR_NAN if a weight is
 * too large for a float; then the hidden states are too small and must be scaled up.
 * PLUCK_ERR_INVALID if pluck_trainer_collect() is due. */
PLUCK_API pluck_status pluck_head_create_trained(pluck_head **out, const pluck_trainer *trainer,
                                                 pluck_error *err);

/*
 * Writes a file with all that is needed to continue later. It is a file as of pluck_head_save(),
 * with one more tensor, "train.squares", and more metadata; pluck_head_open() reads it as the head
 * trained so far. PLUCK_ERR_INVALID if pluck_trainer_collect() is due.
 */
PLUCK_API pluck_status pluck_trainer_save(const pluck_trainer *trainer, const char *path,
                                          pluck_error *err);

/*
 * Loads what pluck_trainer_save() wrote to path. Training then goes on as if it had not been
 * interrupted, and gives the same bits. The trainer must have been created with the same tree, data
 * and options as the saved one; parallel, allocator and ranks may differ. PLUCK_ERR_FORMAT if path
 * is not such a file, PLUCK_ERR_INVALID if it belongs to different data, a different tree or
 * different options; in these cases the trainer has not changed.
 */
PLUCK_API pluck_status pluck_trainer_restore(pluck_trainer *trainer, const char *path,
                                             pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
