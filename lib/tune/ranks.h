/*
 * The largest values of a row, and how their order agrees with that of another.
 */
#ifndef PLK_RANKS_H
#define PLK_RANKS_H

#include <pluck/tune.h>

/* All zero is empty. */
typedef struct plk_ranks {
    size_t n;
    pluck_token tokens[PLUCK_COMPARE_RANKS];
    double values[PLUCK_COMPARE_RANKS]; /* a heap: the first is the one to go next */
    double other[PLUCK_COMPARE_RANKS];  /* of the same tokens in the other row; the caller's */
} plk_ranks;

/* Keeps the value if it is one of the largest so far; -inf is none. Tokens come in ascending
 * order. */
void plk_ranks_add(plk_ranks *ranks, pluck_token token, double value);

/* Spearman's correlation of values and other; changes both. */
double plk_ranks_correlation(plk_ranks *ranks);

#endif
