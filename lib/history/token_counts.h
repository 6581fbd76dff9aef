/*
 * How often each token occurs in a window of the history: what penalties need, kept up to date in
 * O(log n + n) moves of small entries a token instead of being counted anew.
 */
#ifndef PLK_TOKEN_COUNTS_H
#define PLK_TOKEN_COUNTS_H

#include "history/history.h"

typedef struct plk_token_count {
    uint32_t token;
    uint32_t count; /* at least 1 */
} plk_token_count;

typedef struct plk_token_counts {
    pluck_allocator allocator;
    plk_token_count *items; /* ascending by token */
    size_t n;
    size_t capacity;
    size_t window;       /* tokens looked back on; SIZE_MAX: all */
    bool ignores_prompt; /* … of those accepted since the last one of a prompt */
} plk_token_counts;

/* window >= 1; ignores_prompt is set afterwards. A limited window allocates all it will need;
 * SIZE_MAX grows in reserve. */
pluck_status plk_token_counts_create(plk_token_counts *counts, size_t window,
                                     const pluck_allocator *allocator, pluck_error *err);
void plk_token_counts_destroy(plk_token_counts *counts);
pluck_status plk_token_counts_clone(plk_token_counts *out, const plk_token_counts *counts,
                                    pluck_error *err);

/* As just created. */
void plk_token_counts_clear(plk_token_counts *counts);

/* Makes room for one more token: afterwards accept cannot fail. */
pluck_status plk_token_counts_reserve(plk_token_counts *counts, pluck_error *err);

/* The history has just taken a token: it enters the window, and one may leave it. */
void plk_token_counts_accept(plk_token_counts *counts, const plk_history *history);

/* The history is about to drop its last token: undoes the accept of it. */
void plk_token_counts_rewind(plk_token_counts *counts, const plk_history *history);

/* As after accepting all tokens of the history. */
pluck_status plk_token_counts_restore(plk_token_counts *counts, const plk_history *history,
                                      pluck_error *err);

#endif
