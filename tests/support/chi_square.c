/*
 * Q(a, x): below a + 1 by the power series of P = 1 - Q, above by the continued fraction of Q, in
 * Lentz's form (Abramowitz and Stegun, 6.5.29 and 6.5.31; Press et al., Numerical Recipes, 6.2).
 */
#include "support/chi_square.h"

#include <math.h>

enum { MAX_STEPS = 100000 };

static double lower_series(double a, double x)
{
    double term = 1 / a, sum = term;
    for (int i = 1; i < MAX_STEPS && term > sum * 1e-17; i++) {
        term *= x / (a + i);
        sum += term;
    }
    return sum * exp(a * log(x) - x - lgamma(a));
}

static double upper_fraction(double a, double x)
{
    double tiny = 1e-300;
    double b = x + 1 - a, c = 1 / tiny, d = 1 / b, h = d;
    for (int i = 1; i < MAX_STEPS; i++) {
        double an = -i * (i - a);
        b += 2;
        d = an * d + b;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = b + an / c;
        c = fabs(c) < tiny ? tiny : c;
        h *= d * c;
        if (fabs(d * c - 1) < 1e-15)
            break;
    }
    return h * exp(a * log(x) - x - lgamma(a));
}

double chi_square_tail(double statistic, double freedom)
{
    double a = freedom / 2, x = statistic / 2;
    if (!(x > 0) || !(a > 0))
        return 1;
    return x < a + 1 ? 1 - lower_series(a, x) : upper_fraction(a, x);
}

chi_square chi_square_test(const uint64_t *counts, const double *p, size_t n, uint64_t n_draws)
{
    double fewest = 5;
    double statistic = 0, rest_expected = 0, rest_count = 0;
    size_t bins = 0;
    for (size_t i = 0; i < n; i++) {
        double expected = p[i] * (double)n_draws, count = (double)counts[i];
        if (p[i] == 0 && counts[i] > 0)
            return (chi_square){HUGE_VAL, 1, 0};
        if (expected < fewest) {
            rest_expected += expected;
            rest_count += count;
            continue;
        }
        statistic += (count - expected) * (count - expected) / expected;
        bins++;
    }
    if (rest_expected >= fewest) {
        statistic += (rest_count - rest_expected) * (rest_count - rest_expected) / rest_expected;
        bins++;
    } else if (rest_count > 60) {
        return (chi_square){HUGE_VAL, 1, 0};
    }
    double freedom = bins > 1 ? (double)bins - 1 : 0;
    return (chi_square){statistic, freedom, chi_square_tail(statistic, freedom)};
}
