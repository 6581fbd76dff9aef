/*
 * Edit distance by dynamic programming over three lines of the table (Damerau-Levenshtein with
 * adjacent transpositions, the restricted form): names are short, so the quadratic cost does not
 * matter. Strings longer than MAX_NAME are infinitely far from everything.
 */
#include "base/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 63, MIN_PREFIX = 3 };

/* Keys have '_' where flags have '-'. */
static char folded(char c)
{
    if (c == '-')
        return '_';
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t edit_distance(const char *a, const char *b)
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

plk_suggestion plk_suggest(const char *typed)
{
    return (plk_suggestion){typed, NULL, SIZE_MAX};
}

void plk_suggest_offer(plk_suggestion *suggestion, const char *name, const char *meaning)
{
    size_t length = strlen(suggestion->typed), allowed = strlen(name) / 3;
    size_t distance = edit_distance(suggestion->typed, name);
    if (distance > 1 && length >= MIN_PREFIX && strncmp(name, suggestion->typed, length) == 0)
        distance = 1;
    if (distance < suggestion->distance && distance <= (allowed != 0 ? allowed : 1)) {
        suggestion->distance = distance;
        suggestion->best = meaning ? meaning : name;
    }
}

void plk_suggest_write(const plk_suggestion *suggestion, char text[PLK_SUGGESTION_BYTES])
{
    text[0] = '\0';
    if (suggestion->best)
        snprintf(text, PLK_SUGGESTION_BYTES, "; did you mean '%.63s'?", suggestion->best);
}
