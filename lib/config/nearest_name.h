/*
 * "did you mean": the known name nearest to what was typed.
 */
#ifndef PLK_NEAREST_NAME_H
#define PLK_NEAREST_NAME_H

#include <stddef.h>

typedef struct plk_suggestion {
    const char *typed;
    const char *best; /* NULL: none was offered */
    size_t distance;
} plk_suggestion;

plk_suggestion plk_suggest(const char *typed);

/* Offers a known name. meaning is what to suggest when it is the nearest; NULL: the name. */
void plk_suggest_offer(plk_suggestion *suggestion, const char *name, const char *meaning);

enum { PLK_SUGGESTION_BYTES = 96 };

/* "; did you mean 'top_p'?", or "" when no name is near. */
void plk_suggest_write(const plk_suggestion *suggestion, char text[PLK_SUGGESTION_BYTES]);

#endif
