/*
 * What heads and queries are made of. One table of functions a kind (plk_head_ops); the public
 * functions check their arguments, enter the floating-point environment and call it.
 */
#ifndef PLK_HEADS_H
#define PLK_HEADS_H

#include <pluck/head.h>

#include "file/source.h"
#include "heads/code_tree.h"
#include "simd/fp_state.h"
#include "simd/kernels.h"

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

/* What is asked for, and the answer: n in all, the first capacity of them in tokens. */
typedef struct plk_selection {
    plk_selection_rule rule;
    uint32_t k;
    double p;
    uint32_t capacity, n;
    pluck_scored_token *tokens;
    const double *log_mass; /* of all allowed tokens, if the scores at hand are not all; or NULL */
} plk_selection;

/* k different tokens; logprobs may be left out. */
typedef struct plk_sampling {
    double beta; /* 1/temperature, in (0, 1e30] */
    uint32_t k, n;
    bool with_logprobs;
    pluck_scored_token *tokens;
} plk_sampling;

typedef struct plk_head_ops {
    pluck_head_kind kind;
    pluck_status (*open_query)(pluck_head_query *query, pluck_error *err);
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
    void *copies[2];
} plk_head_part;

struct pluck_head {
    pluck_allocator allocator;
    const plk_head_ops *ops;
    const plk_kernels *kernels;
    uint32_t n_vocab, dim;
    plk_rows rows; /* dense: [n_vocab, dim]; hierarchical: [n_vocab - 1, dim]; adaptive: the root */
    float *bias;   /* one a row, or NULL */
    void *copy;    /* of the rows, if they are the head's own */

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

/* A node of the code tree in a search or a draw; what the fields mean is said there. */
typedef struct plk_tree_entry {
    double logprob;
    double bound;
    uint32_t node, child;
} plk_tree_entry;

struct pluck_head_query {
    pluck_allocator allocator;
    const pluck_head *head;
    pluck_head_stats stats;
    uint32_t *mask; /* words; n_mask_words of them */
    size_t n_mask_words;
    bool masked;

    float *scores;             /* flat: n_vocab, filled up to whole blocks with -inf */
    double *sums;              /* flat: one a block */
    plk_candidate *candidates; /* flat: n_vocab + PLK_SLACK */
    uint32_t *ids;             /* flat: n_vocab + PLK_SLACK, what gather gives */
    float *gathered;           /* flat: the same */

    plk_tree_entry *entries; /* hierarchical: 2 n_vocab - 1 */
    uint32_t *path;          /* hierarchical: n_vocab */
    uint32_t *n_allowed;     /* hierarchical: as n_leaves, of allowed ones; adaptive: of a tail */

    double *clusters; /* adaptive: ln p of each tail */
    bool *expanded;   /* adaptive: whether the scores of the tail are those of its tokens */
    float *projected; /* adaptive: the longest projection */
    float *tail;      /* adaptive: logits of one tail, filled up to whole blocks with -inf */
};

extern const plk_head_ops plk_head_dense;
extern const plk_head_ops plk_head_hierarchical;
extern const plk_head_ops plk_head_adaptive;
extern const plk_head_ops plk_head_differentiated;

static inline bool plk_query_allows(const pluck_head_query *query, uint32_t token)
{
    return !query->masked || (query->mask[token / 32] >> (token % 32) & 1u) != 0;
}

/* A head without weights: allocator, kernels, ops and sizes are set. */
pluck_status plk_head_alloc(pluck_head **out, const plk_head_ops *ops, uint32_t n_vocab,
                            uint32_t dim, const pluck_head_options *options, pluck_error *err);

/* Checks a matrix of n_rows (or more) rows; what names it in messages. */
pluck_status plk_matrix_check(const pluck_matrix *matrix, const char *what, uint32_t n_rows,
                              pluck_error *err);

/* The first n_rows rows, where they are or copied to *copy. */
pluck_status plk_head_take_rows(const pluck_head *head, const pluck_matrix *matrix, uint32_t n_rows,
                                bool copied, plk_rows *rows, void **copy, pluck_error *err);

/* Zeroed parts, which pluck_head_destroy() frees. */
pluck_status plk_head_alloc_parts(pluck_head *head, uint32_t n_parts, pluck_error *err);

/* Copies n finite floats; NULL stays NULL. */
pluck_status plk_head_take_bias(const pluck_head *head, const float *bias, size_t n, float **copy,
                                pluck_error *err);

#endif
