/*
 * "Did you mean": the nearest of some names to a misspelt one.
 */
#ifndef CLI_SUGGEST_H
#define CLI_SUGGEST_H

#include <stddef.h>

typedef struct suggestion {
    const char *typed;
    const char *best; /* the nearest name so far that is near enough to suggest, or NULL */
    size_t distance;
} suggestion;

/* Start with {typed, NULL, 0} and offer each name once; the first of equally near ones stays. */
void suggest_consider(suggestion *nearest, const char *name);

#endif
