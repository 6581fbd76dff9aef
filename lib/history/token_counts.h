/*
 * How often each token occurs in a window of the history: what penalties need, kept up to date in
 * O(log n + n) moves of small entries a token instead of being counted anew.
 */
#ifndef PL_TOKEN_COUNTS_H
#define PL_TOKEN_COUNTS_H

#include "history/history.h"

typedef struct pl_token_count {
    uint32_t token;
    uint32_t count; /* at least 1 */
} pl_token_count;

typedef struct pl_token_counts {
    pluck_allocator allocator;
    pl_token_count *items; /* ascending by token */
    size_t n;
    size_t capacity;
    size_t window;       /* tokens looked back on; SIZE_MAX: all */
    bool ignores_prompt; /* … of those accepted since the last one of a prompt */
} pl_token_counts;

/* window >= 1; ignores_prompt is set afterwards. A limited window allocates all it will need;
 * SIZE_MAX grows in reserve. */
pluck_status pl_token_counts_create(pl_token_counts *counts, size_t window,
                                    const pluck_allocator *allocator, pluck_error *err);
void pl_token_counts_destroy(pl_token_counts *counts);
pluck_status pl_token_counts_clone(pl_token_counts *out, const pl_token_counts *counts,
                                   pluck_error *err);

/* As just created. */
void pl_token_counts_clear(pl_token_counts *counts);

/* Makes room for one more token: afterwards accept cannot fail. */
pluck_status pl_token_counts_reserve(pl_token_counts *counts, pluck_error *err);

/* The history has just taken a token: it enters the window, and one may leave it. */
void pl_token_counts_accept(pl_token_counts *counts, const pl_history *history);

/* The history is about to drop its last token: undoes the accept of it. */
void pl_token_counts_rewind(pl_token_counts *counts, const pl_history *history);

/* As after accepting all tokens of the history. */
pluck_status pl_token_counts_restore(pl_token_counts *counts, const pl_history *history,
                                     pluck_error *err);

#endif
