/*
 * Arrays of numbers that the tree commands read whole: rows of floats, lists of whole numbers.
 */
#ifndef CLI_ARRAYS_H
#define CLI_ARRAYS_H

#include "input.h"

/* Rows of floats from .npy or .safetensors of any type that dumps have. */
typedef struct float_rows {
    float *values;
    uint64_t n_rows;
    uint32_t n_cols;
    plk_shape shape; /* of the rows, as source_shape() gives it */
} float_rows;

/* The values of a row as floats; f16 and bf16 are widened exactly. */
void widen_row(pluck_logits row, float *values);

/* Reads path ("-": standard input). Returns an exit code, after complain() if it is not EXIT_DONE;
 * then nothing is held. */
int float_rows_read(float_rows *rows, const call *c, const input_flags *input, const char *path);
void float_rows_free(float_rows *rows);

/* Integers from .npy or text (file/integers.h). *shape is theirs; for NULL only one axis may
 * be longer than 1. values is freed by the caller. Returns an exit code as float_rows_read(). */
int integers_read(const char *who, const char *path, int64_t **values, size_t *n, plk_shape *shape);

#endif
