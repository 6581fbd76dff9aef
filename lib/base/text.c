/*
 * Edit distance by dynamic programming over three rows (Damerau-Levenshtein with adjacent
 * transpositions, the restricted form): names are short, so the quadratic cost does not matter.
 */
#include "base/text.h"

#include <stdint.h>
#include <string.h>

enum { MAX_NAME = 63 };

static char folded(char c)
{
    return c == '-' ? '_' : c;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t plk_edit_distance(const char *a, const char *b)
{
    size_t n_a = strlen(a), n_b = strlen(b);
    if (n_a > MAX_NAME || n_b > MAX_NAME)
        return SIZE_MAX;
    size_t rows[3][MAX_NAME + 1];
    size_t *before = rows[0], *previous = rows[1], *row = rows[2];
    for (size_t j = 0; j <= n_b; j++) {
        previous[j] = j;
        before[j] = 0;
    }
    for (size_t i = 1; i <= n_a; i++) {
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t differs = folded(a[i - 1]) != folded(b[j - 1]);
            row[j] = smaller(smaller(previous[j], row[j - 1]) + 1, previous[j - 1] + differs);
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                folded(a[i - 2]) == folded(b[j - 1]))
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = previous;
        previous = row;
        row = oldest;
    }
    return previous[n_b];
}

bool plk_is_near(size_t distance, const char *name)
{
    size_t allowed = strlen(name) / 3;
    return distance <= (allowed != 0 ? allowed : 1);
}
