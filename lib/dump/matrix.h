/*
 * A matrix of fixed-size values in a source: what most formats come down to once their header is
 * read.
 */
#ifndef PLK_MATRIX_H
#define PLK_MATRIX_H

#include <pluck/base.h>

#include "file/array_file.h"
#include "file/file.h"

typedef struct plk_matrix {
    plk_stored_type type;
    bool swapped; /* not in the byte order of this machine */
    bool fortran; /* the first axis varies fastest */
    plk_shape shape;
    uint64_t n_rows; /* UINT64_MAX: until the stream ends */
    uint32_t n_vocab;
    uint64_t row_size_bytes;
    uint64_t offset_bytes; /* of the first value in the source */
    char stored_dtype[16]; /* as the file names it */

    uint64_t next_row; /* of a stream */
    bool ended;
    pluck_status failure; /* of an earlier read of the stream, which cannot go on */
} plk_matrix;

/* Sets the shape and what follows from it: the last axis is the vocabulary, the others are rows.
 * type is set before. where names the thing in messages: a path, or a path and a tensor. */
pluck_status plk_matrix_set_shape(plk_matrix *matrix, const plk_shape *shape, const char *where,
                                  pluck_error *err);

/* The header of the .npy array with which source begins: sets everything but offset_bytes. as: see
 * plk_npy_float_values(). */
pluck_status plk_matrix_read_header(plk_matrix *matrix, plk_source *source, pluck_dtype as,
                                    const char *where, size_t *header_size_bytes, pluck_error *err);

/* Compares the bytes that all rows need with those that there are. */
pluck_status plk_matrix_check_size(const plk_matrix *matrix, uint64_t available_bytes,
                                   const char *where, pluck_error *err);

/* One row; the contract of pluck_dump_read(). */
pluck_status plk_matrix_read(plk_matrix *matrix, plk_source *source, uint64_t row, float *scratch,
                             pluck_logits *logits, pluck_error *err);

/* The contract of pluck_dump_release(). */
void plk_matrix_release(const plk_matrix *matrix, plk_source *source, uint64_t row);

#endif
