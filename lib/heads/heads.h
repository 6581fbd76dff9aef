/*
 * What code trees, heads and queries are made of, for the files of this folder. A kind of head is a
 * table of functions (plk_head_ops); the public functions check their arguments, enter the
 * floating-point environment and call it.
 */
#ifndef PLK_HEADS_H
#define PLK_HEADS_H

#include "base/alloc.h"
#include "file/file.h"
#include "simd/fp_state.h"
#include "simd/kernels.h"

#include <pluck/head.h>

#include <math.h>

/*
 * Code trees
 */

/* Node numbers: leaves 0 .. n_tokens - 1, inner nodes n_tokens .. 2 n_tokens - 2. */
struct pluck_tree {
    plk_arrays memory;
    uint32_t n_tokens;
    int32_t *children; /* [n_tokens - 1][2]; a child's number is below its parent's */
};

/* A tree whose children are not yet set. */
pluck_status plk_tree_alloc(pluck_tree **out, uint32_t n_tokens, const pluck_allocator *allocator,
                            pluck_error *err);

/* n_tokens in [1, PLUCK_MAX_VOCAB]; what: the name of the function, for the message. */
pluck_status plk_tree_check_size(const char *what, uint32_t n_tokens, pluck_error *err);

/* The same tree in memory of its own. */
pluck_status plk_tree_copy(pluck_tree **out, const pluck_tree *tree,
                           const pluck_allocator *allocator, pluck_error *err);

/* A tree of ranges: an inner node covers the leaves [begin, end), at least two, and split says
 * where those of its right child begin. n_tokens in [1, PLUCK_MAX_VOCAB]. */
typedef uint32_t (*plk_tree_split)(void *context, uint32_t begin, uint32_t end);
pluck_status plk_tree_from_ranges(pluck_tree **out, uint32_t n_tokens, plk_tree_split split,
                                  void *context, const pluck_allocator *allocator,
                                  pluck_error *err);

/* parents[child] = parent, for all nodes but the root; parents[root] = root. 2 n_tokens - 1
 * numbers. */
void plk_tree_parents(const pluck_tree *tree, uint32_t *parents);

static inline uint32_t plk_tree_root(const pluck_tree *tree)
{
    return 2 * tree->n_tokens - 2;
}

/* side: 0 left, 1 right. */
static inline uint32_t plk_tree_child(const pluck_tree *tree, uint32_t node, unsigned side)
{
    return (uint32_t)tree->children[2 * (size_t)(node - tree->n_tokens) + side];
}

/*
 * The merging loop of Huffman's algorithm, for readers of files whose counts are in the order that
 * their trainer saw: builds children[n_tokens - 1][2] with the leaves in the order in which counts
 * gives them, sorted or not. order[i] is the token of the i-th, or NULL for i itself. sums:
 * n_tokens - 1 numbers of scratch memory. The sum of the counts is at most INT64_MAX.
 */
void plk_tree_huffman_merge(const int64_t *counts, const uint32_t *order, uint32_t n_tokens,
                            int64_t *sums, int32_t *children);

/*
 * The sigmoid of an inner node and its logarithms, without cancellation on either side
 */

/* ln(1 + y) for y in [0, 1], a few ulps. */
double plk_log1p(double y);

typedef struct plk_log_sigmoid {
    double positive; /* ln sigmoid(x)  */
    double negative; /* ln sigmoid(-x) */
} plk_log_sigmoid;

/* x may be infinite, not NaN. */
plk_log_sigmoid plk_log_sigmoid_of(double x);

/* 1 / (1 + exp(-x)). */
double plk_sigmoid(double x);

/* ln(exp(a) + exp(b)); either may be -inf, neither +inf. */
double plk_log_add(double a, double b);

/*
 * Heads and queries
 */

/* A matrix with the kernel that multiplies its rows. */
typedef struct plk_rows {
    const unsigned char *data;
    size_t row_size_bytes;
    uint32_t n_rows, n_cols;
    pluck_dtype dtype;
    double (*dot)(const float *x, const void *w, size_t n);
} plk_rows;

static inline double plk_rows_dot(const plk_rows *rows, size_t row, const float *x)
{
    return rows->dot(x, rows->data + row * rows->row_size_bytes, rows->n_cols);
}

typedef enum plk_selection_rule {
    PLK_SELECT_TOP_K,
    PLK_SELECT_TOP_P,
    PLK_SELECT_MIN_P
} plk_selection_rule;

/* Where a list goes: tokens with rounded log-probabilities, and the same before rounding (exact may
 * be NULL). */
typedef struct plk_list {
    pluck_logprob *tokens;
    double *exact;
} plk_list;

static inline void plk_list_put(const plk_list *list, uint32_t i, uint32_t token, double logprob)
{
    list->tokens[i] = (pluck_logprob){(pluck_token)token, (float)logprob};
    if (list->exact)
        list->exact[i] = logprob;
}

/* A question, and its answer: n tokens in all, the first capacity of them in list. */
typedef struct plk_selection {
    plk_selection_rule rule;
    uint32_t k;
    double p;
    uint32_t capacity, n;
    plk_list list;
    const double *log_mass; /* of all allowed tokens, if the scores at hand are not all; or NULL */
} plk_selection;

/* k different tokens. */
typedef struct plk_sampling {
    double beta; /* 1/temperature, in (0, 1e30] */
    uint32_t k, n;
    plk_list list;
} plk_sampling;

typedef struct plk_head_ops {
    void (*open_query)(pluck_head_query *query);   /* adds arrays to its memory */
    void (*mask_changed)(pluck_head_query *query); /* NULL: nothing to do */
    pluck_status (*logprob)(pluck_head_query *query, const float *hidden, uint32_t token,
                            double *logprob, pluck_error *err);
    pluck_status (*logprobs)(pluck_head_query *query, const float *hidden, float *logprobs,
                             pluck_error *err);
    pluck_status (*log_mass)(pluck_head_query *query, const float *hidden, double *log_mass,
                             pluck_error *err); /* with a mask */
    /* Both set n and give at least one token, or fail. */
    pluck_status (*sample)(pluck_head_query *query, const float *hidden, plk_sampling *sampling,
                           pluck_pcg64 *rng, pluck_error *err);
    pluck_status (*select)(pluck_head_query *query, const float *hidden, plk_selection *selection,
                           pluck_error *err);
} plk_head_ops;

/* A tail of an adaptive head, or a band of a differentiated one. */
typedef struct plk_head_part {
    uint32_t first_token, n_tokens;
    uint32_t first_dim;  /* band */
    plk_rows projection; /* tail */
    plk_rows rows;
} plk_head_part;

struct pluck_head {
    plk_arrays memory; /* with copies of matrices, if they are the head's own */
    pluck_head_kind kind;
    const plk_head_ops *ops;
    const plk_kernels *kernels;
    uint32_t n_vocab, dim;
    bool is_copy;  /* of its matrices */
    plk_rows rows; /* dense: [n_vocab, dim], hierarchical: [n_vocab - 1, dim], adaptive: the root */
    float *bias;   /* one per row, or NULL */

    pluck_tree *tree; /* hierarchical */
    uint32_t *parents;
    uint32_t *n_leaves; /* below inner node n_vocab + i */
    pluck_tree_sign sign;

    plk_head_part *parts; /* adaptive, differentiated */
    uint32_t n_parts;

    plk_source source; /* of the matrices, if they are mapped */
    bool has_source;
};

/* A token and its score: a logit or a log-probability. */
typedef struct plk_candidate {
    float score;
    uint32_t token;
} plk_candidate;

/* A node of the code tree in a search or a draw; hierarchical.c says what the fields mean. */
typedef struct plk_tree_entry {
    double logprob;
    double bound;
    uint32_t node, child;
} plk_tree_entry;

struct pluck_head_query {
    plk_arrays memory;
    const pluck_head *head;
    pluck_head_stats stats;
    uint32_t *mask; /* words; n_mask_words of them */
    size_t n_mask_words;
    bool is_masked;

    float *last_hidden; /* flat: dim; the hidden state that last_log_sum is of */
    double last_log_sum;
    bool has_last;
    float *scores;             /* flat: n_vocab, filled up to whole blocks with -inf */
    double *sums;              /* flat: one per block */
    plk_candidate *candidates; /* flat: n_vocab + PLK_SLACK */
    uint32_t *ids;             /* flat: n_vocab + PLK_SLACK, what gather gives */
    float *gathered;           /* flat: the same */

    plk_tree_entry *entries; /* hierarchical: 2 n_vocab - 1 */
    uint32_t *path;          /* hierarchical: n_vocab */
    uint32_t *n_allowed;     /* hierarchical: as n_leaves, of allowed ones; adaptive: of a tail */

    double *clusters;  /* adaptive: ln p of each tail */
    bool *is_expanded; /* adaptive: whether the scores of the tail are those of its tokens */
    float *projected;  /* adaptive: the longest projection */
    float *tail;       /* adaptive: logits of one tail, filled up to whole blocks with -inf */
};

extern const plk_head_ops plk_head_dense; /* and differentiated */
extern const plk_head_ops plk_head_hierarchical;
extern const plk_head_ops plk_head_adaptive;

static inline bool plk_query_allows(const pluck_head_query *query, uint32_t token)
{
    return !query->is_masked || (query->mask[token / 32] >> (token % 32) & 1u) != 0;
}

/* Checks the hidden state and answers from the mask and the head; for public functions. */
pluck_status plk_head_select(pluck_head_query *query, const float *hidden, plk_selection *selection,
                             pluck_error *err);

/* PLUCK_ERR_EMPTY: no allowed token has a probability above 0. */
pluck_status plk_head_fail_empty(pluck_error *err);

/* The bytes from one row of a matrix to the next. */
size_t plk_matrix_stride(const pluck_matrix *matrix);

/* A head without weights: memory, kind, kernels, ops, sizes and is_copy are set. */
pluck_status plk_head_alloc(pluck_head **out, pluck_head_kind kind, uint32_t n_vocab, uint32_t dim,
                            const pluck_head_options *options, pluck_error *err);

/* Checks a matrix of n_rows (or more) rows; what names it in messages. */
pluck_status plk_matrix_check(const pluck_matrix *matrix, const char *what, uint32_t n_rows,
                              pluck_error *err);

/* The first n_rows rows, where they are or, if the head copies, in its memory. */
void plk_head_set_rows(pluck_head *head, const pluck_matrix *matrix, uint32_t n_rows,
                       plk_rows *rows);

/* Zeroed parts; n_parts stays 0 if memory is short. */
void plk_head_alloc_parts(pluck_head *head, uint32_t n_parts);

/* The end of every function that creates a head: copies n finite biases, or none for NULL, and
 * gives the head to *out, or destroys it if that or anything before it failed. */
pluck_status plk_head_finish(pluck_head **out, pluck_head *head, const float *bias, size_t n,
                             pluck_error *err);

/* The part that has the token; NULL if it is in none. */
const plk_head_part *plk_head_part_of(const pluck_head *head, uint32_t token);

/*
 * Queries of a dense or differentiated head compute a score of every token: the scores of a query
 * are n_vocab floats, filled up to whole blocks with -inf. A score is a logit, or a
 * log-probability, up to a constant.
 */

/* Allocates what the functions below need. */
void plk_flat_open(pluck_head_query *query);

static inline size_t plk_blocks_of(size_t n)
{
    return (n + PLK_BLOCK - 1) / PLK_BLOCK;
}

/* Neither NaN nor +inf; and PLUCK_ERR_NAN, naming the token, for one that is. */
static inline bool plk_flat_is_score(float score)
{
    return score < INFINITY;
}
pluck_status plk_flat_fail(uint32_t token, pluck_error *err);

/* ln of the sum of the exponentials of all scores; PLUCK_ERR_EMPTY if all are -inf. */
pluck_status plk_flat_log_sum(pluck_head_query *query, double *log_sum, pluck_error *err);

/* Sets the scores of banned tokens, of n from first on, to -inf. */
void plk_flat_apply_mask(pluck_head_query *query, uint32_t first, uint32_t n);

/* The sum of exp(beta score) over scores: total times the exponential of beta times the largest
 * score. */
typedef struct plk_flat_sum {
    plk_exponent exponent;
    double total;
    double log; /* of the sum; -inf if all scores are */
} plk_flat_sum;

/* Over n scores that are filled up to whole blocks with -inf. The sums of the blocks stay in
 * query->sums, for the draw that may follow. */
plk_flat_sum plk_flat_sum_of(pluck_head_query *query, const float *scores, size_t n, double beta);

/* Draws an index: where the running sum of the weights passes a uniform part of the total; if
 * rounding puts that beyond the end, the last index that has a weight. */
uint32_t plk_flat_draw_index(const pluck_head_query *query, const float *scores, size_t n,
                             const plk_flat_sum *sum, pluck_pcg64 *rng);

/* Draws from the present scores at inverse temperature beta; log_sum is what turns a score into a
 * log-probability. Scores of tokens that may not be drawn again become -inf. */
pluck_status plk_flat_draw(pluck_head_query *query, plk_sampling *sampling, double log_sum,
                           pluck_pcg64 *rng, pluck_error *err);

/* Answers from the present scores; log_sum as above. */
pluck_status plk_flat_pick(pluck_head_query *query, plk_selection *selection, double log_sum,
                           pluck_error *err);

/* query->scores = W h + b of a dense or differentiated head. */
pluck_status plk_dense_logits(pluck_head_query *query, const float *hidden, pluck_error *err);

#endif
