/*
 * What a fastText model is made of: the parts of its file, which point into the bytes of the file,
 * the open model, and its queries.
 */
#ifndef PLK_FASTTEXT_IMPL_H
#define PLK_FASTTEXT_IMPL_H

#include "file/file.h"
#include "heads/heads.h"

#include <pluck/fasttext.h>

/*
 * The map of a pruned model: which hashed features it kept, and where.
 */

typedef struct plk_fasttext_prune {
    int32_t from, to;
} plk_fasttext_prune;

typedef struct plk_fasttext_prune_map {
    plk_fasttext_prune *pairs; /* ascending by from */
    size_t n;
    uint32_t *firsts; /* pairs of slot s: firsts[s] .. firsts[s + 1] - 1; n_slots + 1 of them */
    uint32_t n_slots, shift;
} plk_fasttext_prune_map;

/*
 * The file: arguments, dictionary, matrices
 */

typedef struct plk_fasttext_args {
    int32_t dim, window, epoch, min_count, neg, word_ngrams, loss, model, bucket, minn, maxn,
        update_rate;
} plk_fasttext_args;

typedef struct plk_fasttext_entry {
    const char *text; /* NUL-terminated */
    size_t length;
    int64_t count;
} plk_fasttext_entry;

/* The centroids of n_subs pieces of a vector, sub long but for the last: 256 each. */
typedef struct plk_fasttext_codebook {
    uint32_t dim, n_subs, sub, last_sub;
    const uint8_t *centroids; /* f32, not aligned */
} plk_fasttext_codebook;

typedef struct plk_fasttext_matrix {
    uint64_t n_rows;
    uint32_t n_cols;
    const uint8_t *values; /* f32, not aligned; NULL: quantised */
    const uint8_t *codes;  /* n_subs a row */
    plk_fasttext_codebook book;
    const uint8_t *norm_codes; /* NULL: no norms */
    const uint8_t *norms;      /* 256 f32 */
} plk_fasttext_matrix;

typedef struct plk_fasttext_file {
    plk_fasttext_args args;
    uint32_t n_words, n_labels;
    plk_fasttext_entry *entries; /* words, then labels */
    uint32_t *slots;             /* hash table: index + 1, or 0 */
    uint32_t slot_mask;
    int64_t n_pruned; /* -1: not pruned */
    plk_fasttext_prune_map pruned;
    plk_fasttext_matrix input, output;
} plk_fasttext_file;

/* Reads bytes, which must outlive *file; label names them in messages. What it allocates it adds to
 * memory. */
pluck_status plk_fasttext_file_read(plk_fasttext_file *file, const char *label,
                                    const uint8_t *bytes, uint64_t size_bytes, plk_arrays *memory,
                                    pluck_error *err);

/* Adds row row to sum[n_cols], in float, as fastText does. */
void plk_fasttext_add_row(const plk_fasttext_matrix *matrix, uint64_t row, float *sum);

/*
 * From a line of text to rows of the input matrix
 */

/* Three arrays that grow. */
typedef struct plk_fasttext_line {
    pluck_allocator allocator;
    int32_t *features;
    size_t n_features, features_capacity;
    int32_t *hashes; /* of the words */
    size_t n_hashes, hashes_capacity;
    char *word; /* the present one, in its brackets */
    size_t word_capacity;
} plk_fasttext_line;

/* Fills *line; see pluck_fasttext_query_features(). */
pluck_status plk_fasttext_line_read(plk_fasttext_line *line, const plk_fasttext_file *file,
                                    const char *label_prefix, const char *text, size_t size_bytes,
                                    size_t *used_bytes, pluck_error *err);

/*
 * Models and queries
 */

struct pluck_fasttext {
    plk_arrays memory;
    plk_source source;
    plk_fasttext_file file;
    char *label_prefix;
    uint32_t n_outputs;
    const plk_fasttext_entry *outputs; /* the entries that are outputs */
    float *expanded;                   /* a quantised output matrix as floats */
    pluck_head *head;
};

/* An output and the logarithm of its probability, as fastText carries it. */
typedef struct plk_fasttext_scored {
    float score;
    uint32_t output;
} plk_fasttext_scored;

struct pluck_fasttext_query {
    plk_arrays memory;
    const pluck_fasttext *model;
    pluck_head_query *head_query;
    plk_fasttext_line line;
    float *hidden;
    pluck_logprob *scored;           /* n_outputs */
    double *exact;                   /* n_outputs: their scores before rounding */
    plk_fasttext_scored *candidates; /* n_outputs */
};

#endif
