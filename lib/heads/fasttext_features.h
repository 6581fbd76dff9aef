/*
 * From a line of text to rows of the input matrix.
 */
#ifndef PL_FASTTEXT_FEATURES_H
#define PL_FASTTEXT_FEATURES_H

#include "heads/fasttext_file.h"

/* Three arrays that grow. */
typedef struct pl_fasttext_line {
    pluck_allocator allocator;
    int32_t *features;
    size_t n_features, features_capacity;
    int32_t *hashes; /* of the words */
    size_t n_hashes, hashes_capacity;
    char *word; /* the present one, in its brackets */
    size_t word_capacity;
} pl_fasttext_line;

/* Fills *line; see pluck_fasttext_features(). */
pluck_status pl_fasttext_line_read(pl_fasttext_line *line, const pl_fasttext_file *file,
                                   const char *label_prefix, const char *text, size_t size_bytes,
                                   size_t *used_bytes, pluck_error *err);

#endif
