/*
 * Arrays of numbers that the tree commands read whole: rows of floats, lists of whole numbers.
 */
#ifndef CLI_ARRAYS_H
#define CLI_ARRAYS_H

#include "setup.h"

/* Rows of floats from .npy or .safetensors of any type that dumps have. */
typedef struct float_rows {
    float *values;
    uint64_t n_rows;
    uint32_t n_cols;
} float_rows;

/* The values of a row as floats; f16 and bf16 are widened exactly. */
void widen_row(pluck_logits row, float *values);

/* Reads path ("-": standard input). Returns an exit code, after complain() if it is not EXIT_DONE;
 * then nothing is held. */
int float_rows_read(float_rows *rows, const arguments *args, const char *path);
void float_rows_free(float_rows *rows);

/* Whole numbers from a .npy file of signed or unsigned integers, of any shape in C order, or from
 * text, separated by spaces, commas or line breaks. values is freed by the caller. Returns an exit
 * code as float_rows_read(). */
int integers_read(const char *who, const char *path, int64_t **values, size_t *n);

#endif
