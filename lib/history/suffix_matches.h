/*
 * How long the history's end repeats earlier parts of it: for every earlier place that has the last
 * token, the length of the longest common suffix of the history up to that place and the whole of
 * it.
 */
#ifndef PLK_SUFFIX_MATCHES_H
#define PLK_SUFFIX_MATCHES_H

#include "history/history.h"

typedef struct plk_suffix_matches {
    pluck_allocator allocator;
    uint32_t *lengths; /* ring by position; only those of places that have the last token count */
    size_t capacity;
    size_t window;       /* tokens looked back on; SIZE_MAX: all */
    uint64_t n_accepted; /* tokens of the history */
    uint64_t position; /* the lengths are those of the history's first tokens, this many; 0: none */
} plk_suffix_matches;

/* window >= 1. A limited window allocates all it will need; SIZE_MAX grows in reserve. */
pluck_status plk_suffix_matches_create(plk_suffix_matches *matches, size_t window,
                                       const pluck_allocator *allocator, pluck_error *err);
void plk_suffix_matches_destroy(plk_suffix_matches *matches);
pluck_status plk_suffix_matches_clone(plk_suffix_matches *out, const plk_suffix_matches *matches,
                                      pluck_error *err);
void plk_suffix_matches_clear(plk_suffix_matches *matches);

/* As for stages. Lengths are computed when they are asked for. */
pluck_status plk_suffix_matches_reserve(plk_suffix_matches *matches, pluck_error *err);
void plk_suffix_matches_accept(plk_suffix_matches *matches);
void plk_suffix_matches_rewind(plk_suffix_matches *matches);

/* As after accepting all tokens of the history. */
pluck_status plk_suffix_matches_restore(plk_suffix_matches *matches, const plk_history *history,
                                        pluck_error *err);

/* A place before the end, and how many tokens up to it are as at the end, both inside the window.
 * */
typedef struct plk_suffix_match {
    uint64_t position;
    size_t length;
} plk_suffix_match;

/* Brings the lengths up to date; the first match is asked for with the result. */
plk_suffix_match plk_suffix_matches_begin(plk_suffix_matches *matches, const plk_history *history);

/* The next place, going back; false if there is none. */
bool plk_suffix_matches_next(const plk_suffix_matches *matches, const plk_history *history,
                             plk_suffix_match *match);

#endif
