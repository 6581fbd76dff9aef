/*
 * "did you mean": the known name nearest to what was typed.
 */
#ifndef PL_NEAREST_NAME_H
#define PL_NEAREST_NAME_H

#include <stddef.h>

typedef struct pl_suggestion {
    const char *typed;
    const char *best; /* NULL: none was offered */
    size_t distance;
} pl_suggestion;

pl_suggestion pl_suggest(const char *typed);

/* Offers a known name. meaning is what to suggest when it is the nearest; NULL: the name. */
void pl_suggest_offer(pl_suggestion *suggestion, const char *name, const char *meaning);

enum { PL_SUGGESTION_BYTES = 96 };

/* "; did you mean 'top_p'?", or "" when no name is near. */
void pl_suggest_write(const pl_suggestion *suggestion, char text[PL_SUGGESTION_BYTES]);

#endif
