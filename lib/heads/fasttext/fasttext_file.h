/*
 * A fastText model as its file has it: arguments, dictionary, matrices. Everything points into the
 * bytes of the file.
 */
#ifndef PLK_FASTTEXT_FILE_H
#define PLK_FASTTEXT_FILE_H

#include <pluck/fasttext.h>

#include "file/source.h"
#include "heads/fasttext/fasttext_prune.h"

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
    pluck_allocator allocator;
    plk_fasttext_args args;
    uint32_t n_words, n_labels;
    plk_fasttext_entry *entries; /* words, then labels */
    uint32_t *slots;             /* hash table: index + 1, or 0 */
    uint32_t slot_mask;
    int64_t n_pruned; /* -1: not pruned */
    plk_fasttext_prune_map pruned;
    plk_fasttext_matrix input, output;
} plk_fasttext_file;

/* Reads bytes, which must outlive *file; label names them in messages. On failure nothing is
 * held. */
pluck_status plk_fasttext_file_read(plk_fasttext_file *file, const char *label,
                                    const uint8_t *bytes, uint64_t size_bytes,
                                    const pluck_allocator *allocator, pluck_error *err);
void plk_fasttext_file_free(plk_fasttext_file *file);

/* FNV-1a, 32 bits, over sign-extended bytes; begins with PLK_FASTTEXT_HASH_FIRST. */
#define PLK_FASTTEXT_HASH_FIRST 2166136261u
uint32_t plk_fasttext_hash(const char *text, size_t length);

static inline uint32_t plk_fasttext_hash_byte(uint32_t hash, char byte)
{
    uint32_t extended = (uint32_t)(int32_t)(int8_t)byte;
    return (hash ^ extended) * 16777619u;
}

/* The entry with this text and hash, or UINT32_MAX. */
uint32_t plk_fasttext_find(const plk_fasttext_file *file, const char *text, size_t length,
                           uint32_t hash);

/* Adds row row to sum[n_cols], in float, as fastText does. */
void plk_fasttext_add_row(const plk_fasttext_matrix *matrix, uint64_t row, float *sum);

#endif
