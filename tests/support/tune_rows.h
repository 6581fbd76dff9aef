/*
 * Rows of logits with targets in memory, as a dump and a target file, for tests of tuning.
 */
#ifndef TUNE_ROWS_H
#define TUNE_ROWS_H

#include <pluck/tune.h>

typedef struct tune_rows {
    float *logits; /* n_rows times n_vocab */
    int *targets;
    char *text; /* of the targets */
    uint64_t n_rows;
    uint32_t n_vocab;
    pluck_tune_data data;
} tune_rows;

/* Nearly normal logits of deviation 3; targets drawn from softmax(logits / temperature). The same
 * numbers on every machine. */
tune_rows tune_rows_normal(uint64_t n_rows, uint32_t n_vocab, double temperature, uint64_t seed);

/* Rows of two tokens, the first better by gap; it is the target of n_first rows, spread evenly. */
tune_rows tune_rows_two(uint64_t n_rows, float gap, uint64_t n_first);

/* After the logits or targets have been changed. */
void tune_rows_reopen(tune_rows *rows);

void tune_rows_free(tune_rows *rows);

#endif
