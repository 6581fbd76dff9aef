/*
 * "did you mean": the known name nearest to what was typed.
 */
#ifndef PLK_TEXT_H
#define PLK_TEXT_H

#include <stddef.h>

typedef struct plk_suggestion {
    const char *typed;
    const char *best; /* NULL: no name is near enough */
    size_t distance;
} plk_suggestion;

plk_suggestion plk_suggest(const char *typed);

/*
 * Offers a known name. The nearest one by edit distance is suggested, of equally near ones the
 * first; a swap of neighbours is one slip, '-' is '_', case does not count, and of a name cut short
 * ("temp") whatever is missing is one slip. Slips may be a third of the name's length, or one.
 * meaning is what to suggest when this name is the nearest; NULL: the name.
 */
void plk_suggest_offer(plk_suggestion *suggestion, const char *name, const char *meaning);

enum { PLK_SUGGESTION_BYTES = 96 };

/* "; did you mean 'top_p'?", or "" when no name is near. */
void plk_suggest_write(const plk_suggestion *suggestion, char text[PLK_SUGGESTION_BYTES]);

#endif
