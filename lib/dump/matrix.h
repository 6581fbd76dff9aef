/*
 * A matrix of fixed-size values in a source: what most formats come down to once their header is
 * read.
 */
#ifndef PL_MATRIX_H
#define PL_MATRIX_H

#include <pluck/base.h>

#include "container/convert.h"
#include "container/shape.h"
#include "container/source.h"

typedef struct pl_matrix {
    pl_stored_type type;
    bool swapped; /* not in the byte order of this machine */
    bool fortran; /* the first axis varies fastest */
    pl_shape shape;
    uint64_t n_rows; /* UINT64_MAX: until the stream ends */
    uint32_t n_vocab;
    uint64_t row_size_bytes;
    uint64_t offset_bytes; /* of the first value in the source */
    char stored_dtype[16]; /* as the file names it */

    uint64_t next_row; /* of a stream */
    bool ended;
    pluck_status failure; /* of an earlier read of the stream, which cannot go on */
} pl_matrix;

/* Sets the shape and what follows from it: the last axis is the vocabulary, the others are rows.
 * type is set before. where names the thing in messages: a path, or a path and a tensor. */
pluck_status pl_matrix_set_shape(pl_matrix *matrix, const pl_shape *shape, const char *where,
                                 pluck_error *err);

/* The header of the .npy array with which source begins: sets everything but offset_bytes. as: see
 * pl_npy_float_values(). */
pluck_status pl_matrix_read_header(pl_matrix *matrix, pl_source *source, pluck_dtype as,
                                   const char *where, size_t *header_size_bytes, pluck_error *err);

/* Compares the bytes that all rows need with those that there are. */
pluck_status pl_matrix_check_size(const pl_matrix *matrix, uint64_t available_bytes,
                                  const char *where, pluck_error *err);

/* One row; the contract of pluck_dump_read(). */
pluck_status pl_matrix_read(pl_matrix *matrix, pl_source *source, uint64_t row, float *scratch,
                            pluck_logits *logits, pluck_error *err);

/* The contract of pluck_dump_release(). */
void pl_matrix_release(const pl_matrix *matrix, pl_source *source, uint64_t row);

#endif
