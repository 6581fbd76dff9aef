/*
 * From a line of text to rows of the input matrix.
 */
#ifndef PLK_FASTTEXT_FEATURES_H
#define PLK_FASTTEXT_FEATURES_H

#include "heads/fasttext/fasttext_file.h"

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

#endif
