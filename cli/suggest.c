/* Damerau-Levenshtein distance (optimal string alignment), three rows of the table at a time.
 * '-' and '_' count as equal, because keys have one and flags the other. */
#include "suggest.h"

#include <string.h>

#define LONGEST 63

static char folded(char c)
{
    if (c == '_')
        return '-';
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t distance_of(const char *a, const char *b)
{
    size_t n_a = strlen(a), n_b = strlen(b);
    size_t rows[3][LONGEST + 1];
    if (n_a > LONGEST || n_b > LONGEST)
        return (size_t)-1;
    for (size_t j = 0; j <= n_b; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i + 2) % 3];
        const size_t *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            char x = folded(a[i - 1]), y = folded(b[j - 1]);
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == folded(b[j - 2]) && y == folded(a[i - 2]))
                row[j] = smaller(row[j], above2[j - 2] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

void suggest_consider(suggestion *nearest, const char *name)
{
    size_t distance = distance_of(nearest->typed, name);
    size_t allowed = strlen(name) / 3 > 1 ? strlen(name) / 3 : 1;
    if (distance <= allowed && (!nearest->best || distance < nearest->distance)) {
        nearest->best = name;
        nearest->distance = distance;
    }
}
