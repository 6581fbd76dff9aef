/*
 * The largest values of a row, and how their order agrees with that of another.
 */
#ifndef PL_RANKS_H
#define PL_RANKS_H

#include <pluck/compare.h>

/* All zero is empty. */
typedef struct pl_ranks {
    size_t n;
    pluck_token tokens[PLUCK_COMPARE_RANKS];
    double values[PLUCK_COMPARE_RANKS]; /* a heap: the first is the one to go next */
    double other[PLUCK_COMPARE_RANKS];  /* of the same tokens in the other row; the caller's */
} pl_ranks;

/* Keeps the value if it is one of the largest so far; -inf is none. Tokens come in ascending
 * order. */
void pl_ranks_add(pl_ranks *ranks, pluck_token token, double value);

/* Spearman's correlation of values and other; changes both. */
double pl_ranks_correlation(pl_ranks *ranks);

#endif
