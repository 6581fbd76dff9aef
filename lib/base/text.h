/*
 * Names: edit distance for "did you mean".
 */
#ifndef PLK_TEXT_H
#define PLK_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Damerau-Levenshtein distance (adjacent transpositions cost 1) of two strings, '-' and '_' counted
 * as equal; strings longer than 63 bytes are infinitely far from everything (SIZE_MAX). */
size_t plk_edit_distance(const char *a, const char *b);

/* Whether a name at this distance from what was typed is near enough to suggest: at most a third of
 * its length, at least 1. */
bool plk_is_near(size_t distance, const char *name);

#endif
