/*
 * Pearson's goodness-of-fit test.
 */
#ifndef CHI_SQUARE_H
#define CHI_SQUARE_H

#include <stddef.h>
#include <stdint.h>

typedef struct chi_square {
    double statistic;
    double freedom; /* bins - 1 */
    double p_value; /* of a statistic at least as large */
} chi_square;

/* counts[i] of n_draws against probability p[i], i < n; the p add up to 1. Bins that expect fewer
 * than 5 are merged into one; a count where p = 0 gives p_value 0. */
chi_square chi_square_test(const uint64_t *counts, const double *p, size_t n, uint64_t n_draws);

/* The probability that chi-square with this freedom is at least the statistic: the regularised
 * upper incomplete gamma function Q(freedom / 2, statistic / 2). */
double chi_square_tail(double statistic, double freedom);

#endif
