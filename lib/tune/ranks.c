/*
 * A binary heap with the smallest value, of equal ones the highest token, at its root. Spearman's
 * correlation is Pearson's of the ranks (Spearman 1904); tied values share the mean of their ranks,
 * so the short formula with squared differences does not hold. Ranks of at most 100 values are
 * found by comparing all pairs.
 */
#include "tune/ranks.h"

#include <math.h>

/* Whether entry i leaves before entry j. */
static bool is_less(const plk_ranks *ranks, size_t i, size_t j)
{
    if (ranks->values[i] != ranks->values[j])
        return ranks->values[i] < ranks->values[j];
    return ranks->tokens[i] > ranks->tokens[j];
}

static void swap(plk_ranks *ranks, size_t i, size_t j)
{
    pluck_token token = ranks->tokens[i];
    double value = ranks->values[i];
    ranks->tokens[i] = ranks->tokens[j];
    ranks->values[i] = ranks->values[j];
    ranks->tokens[j] = token;
    ranks->values[j] = value;
}

static void sift_down(plk_ranks *ranks)
{
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < ranks->n; child++)
            if (is_less(ranks, child, least))
                least = child;
        if (least == i)
            return;
        swap(ranks, i, least);
        i = least;
    }
}

void plk_ranks_add(plk_ranks *ranks, pluck_token token, double value)
{
    if (value == -(double)INFINITY)
        return;
    if (ranks->n == PLUCK_COMPARE_RANKS) {
        /* Of equal values the one that came first, with the lower token, stays. */
        if (value <= ranks->values[0])
            return;
        ranks->tokens[0] = token;
        ranks->values[0] = value;
        sift_down(ranks);
        return;
    }
    size_t i = ranks->n++;
    ranks->tokens[i] = token;
    ranks->values[i] = value;
    for (; i > 0 && is_less(ranks, i, (i - 1) / 2); i = (i - 1) / 2)
        swap(ranks, i, (i - 1) / 2);
}

/* Each value becomes its rank, from 1 for the smallest. */
static void to_ranks(double *values, size_t n)
{
    double ranks[PLUCK_COMPARE_RANKS];
    for (size_t i = 0; i < n; i++) {
        double below = 0.0, equal = 0.0;
        for (size_t j = 0; j < n; j++) {
            below += values[j] < values[i] ? 1.0 : 0.0;
            equal += values[j] == values[i] ? 1.0 : 0.0;
        }
        ranks[i] = below + 0.5 * (equal + 1.0);
    }
    for (size_t i = 0; i < n; i++)
        values[i] = ranks[i];
}

double plk_ranks_correlation(plk_ranks *ranks)
{
    size_t n = ranks->n;
    double mean = 0.5 * ((double)n + 1.0);
    double xx = 0.0, yy = 0.0, xy = 0.0;
    to_ranks(ranks->values, n);
    to_ranks(ranks->other, n);
    for (size_t i = 0; i < n; i++) {
        double x = ranks->values[i] - mean, y = ranks->other[i] - mean;
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    return xx > 0.0 && yy > 0.0 ? xy / sqrt(xx * yy) : (double)NAN;
}
