/*
 * The logits of a measurement: rows of one type, in memory, from a synthetic kind or from a dump.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <pluck/base.h>

enum { BENCH_MAX_ROWS = 32 };

typedef struct bench_rows {
    char name[64]; /* the kind, or the file's name without folders and extension */
    pluck_dtype dtype;
    uint32_t n_vocab;
    size_t n_blocks; /* of 64; the last one is padded with -inf */
    size_t n_rows;
    size_t row_bytes; /* from one row to the next */
    size_t rotation;  /* rows that one repetition goes through: as many as stay in cache, 1 or 2 */
    unsigned char *data; /* aligned to 64 bytes */
} bench_rows;

/*
 * source is the name of a kind (bench_logit_kind), of which two rows are made with n_vocab values,
 * or the path of a dump, of which up to 32 rows spread over the file are read; n_vocab is then that
 * of the file. Values are rounded to dtype, to nearest, ties to even. On failure says why on
 * standard error and returns false; *rows needs no free then.
 */
bool bench_rows_open(bench_rows *rows, const char *source, uint32_t n_vocab, pluck_dtype dtype);
void bench_rows_close(bench_rows *rows);

/* Row index, modulo the number of rows. */
pluck_logits bench_rows_at(const bench_rows *rows, size_t index);

/* Whether source names a kind, so that n_vocab is free. */
bool bench_rows_synthetic(const char *source);

/* One line on standard output that says what the rows are, and which cache holds them. */
void bench_rows_describe(const bench_rows *rows);

/* The float of value index of row row. */
float bench_rows_value(const bench_rows *rows, size_t row, size_t index);

#endif
