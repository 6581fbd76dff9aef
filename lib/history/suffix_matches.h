/*
 * How long the history's end repeats earlier parts of it: for every earlier place that has the last
 * token, the length of the longest common suffix of the history up to that place and the whole of
 * it.
 */
#ifndef PL_SUFFIX_MATCHES_H
#define PL_SUFFIX_MATCHES_H

#include "history/history.h"

typedef struct pl_suffix_matches {
    pluck_allocator allocator;
    uint32_t *lengths; /* ring by position; only those of places that have the last token count */
    size_t capacity;
    size_t window;       /* tokens looked back on; SIZE_MAX: all */
    uint64_t n_accepted; /* tokens of the history */
    uint64_t position; /* the lengths are those of the history's first tokens, this many; 0: none */
} pl_suffix_matches;

/* window >= 1. A limited window allocates all it will need; SIZE_MAX grows in reserve. */
pluck_status pl_suffix_matches_create(pl_suffix_matches *matches, size_t window,
                                      const pluck_allocator *allocator, pluck_error *err);
void pl_suffix_matches_destroy(pl_suffix_matches *matches);
pluck_status pl_suffix_matches_clone(pl_suffix_matches *out, const pl_suffix_matches *matches,
                                     pluck_error *err);
void pl_suffix_matches_clear(pl_suffix_matches *matches);

/* As for stages. Lengths are computed when they are asked for. */
pluck_status pl_suffix_matches_reserve(pl_suffix_matches *matches, pluck_error *err);
void pl_suffix_matches_accept(pl_suffix_matches *matches);
void pl_suffix_matches_rewind(pl_suffix_matches *matches);

/* As after accepting all tokens of the history. */
pluck_status pl_suffix_matches_restore(pl_suffix_matches *matches, const pl_history *history,
                                       pluck_error *err);

/* A place before the end, and how many tokens up to it are as at the end, both inside the window.
 * */
typedef struct pl_suffix_match {
    uint64_t position;
    size_t length;
} pl_suffix_match;

/* Brings the lengths up to date; the first match is asked for with the result. */
pl_suffix_match pl_suffix_matches_begin(pl_suffix_matches *matches, const pl_history *history);

/* The next place, going back; false if there is none. */
bool pl_suffix_matches_next(const pl_suffix_matches *matches, const pl_history *history,
                            pl_suffix_match *match);

#endif
