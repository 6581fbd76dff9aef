/*
 * The tokens that a sequence has accepted: a ring that keeps the last ones, those that the stages
 * can look back on and those that can be rewound. After it what stages derive from these tokens:
 * how the end repeats earlier parts, how often each token occurs, and values that every token
 * changes.
 */
#ifndef PLK_HISTORY_H
#define PLK_HISTORY_H

#include "base/alloc.h"
#include "base/bytes.h"
#include "simd/kernels.h"

typedef struct plk_history {
    pluck_allocator allocator;
    pluck_token *ring;        /* in one piece with generated_ring, which follows it */
    uint32_t *generated_ring; /* n_generated before each token of the ring */
    size_t capacity;          /* a power of two; ring[position % capacity] is written next */
    size_t limit;             /* the capacity up to which it grows; SIZE_MAX: none */
    uint64_t oldest;          /* the first position still stored */
    uint64_t position;        /* tokens accepted so far */
    uint32_t n_generated;     /* tokens accepted since the last one of a prompt */
    bool is_lent;             /* the rings are in memory of somebody else's */
} plk_history;

/* How many tokens a history keeps that has to keep at least n; SIZE_MAX: all. */
size_t plk_history_limit(size_t n);

/* Keeps at least the last n_kept tokens; SIZE_MAX keeps all. There is room for n_at_once of them
 * from the beginning; plk_history_reserve() allocates the rest when it is needed. */
pluck_status plk_history_create(plk_history *history, size_t n_at_once, size_t n_kept,
                                const pluck_allocator *allocator, pluck_error *err);
void plk_history_destroy(plk_history *history);

/* A copy. If plk_history_bytes() is not 0, its rings take this number of bytes at memory, aligned
 * for any type; else they will grow, and are allocated. On failure it is fit to be destroyed. */
size_t plk_history_bytes(const plk_history *history);
pluck_status plk_history_clone(plk_history *out, const plk_history *history, void *memory,
                               pluck_error *err);

/* As just created. */
void plk_history_clear(plk_history *history);

/* The last n_most of the tokens that are kept, with what makes undoing them exact. */
void plk_history_save(const plk_history *history, size_t n_most, plk_byte_writer *out);

/* The same, into an empty history, which keeps those that it would have kept: PLUCK_ERR_FORMAT if
 * the bytes are not those of a history of tokens below n_vocab that has the last window of them. On
 * failure it is fit to be destroyed. */
pluck_status plk_history_load(plk_history *history, size_t window, uint32_t n_vocab,
                              plk_byte_reader *in, pluck_error *err);

/* Makes room for n more tokens: afterwards n calls of plk_history_push cannot fail. Changes nothing
 * visible. */
pluck_status plk_history_reserve(plk_history *history, size_t n, pluck_error *err);
void plk_history_push(plk_history *history, pluck_token token, bool is_prompt);

/* From now on keeps what plk_history_create() promises for these numbers, and drops nothing that is
 * there. Changes nothing visible. */
pluck_status plk_history_widen(plk_history *history, size_t n_at_once, size_t n_kept,
                               pluck_error *err);

/* The history as it was when the sequence had position tokens, oldest <= position: borrows the
 * tokens until the history changes. */
plk_history plk_history_until(const plk_history *history, uint64_t position);

/* Undoes the last push. */
void plk_history_pop(plk_history *history);

/* What n_generated was before the last token. */
uint32_t plk_history_generated_before(const plk_history *history);

/* How many tokens can be looked at. */
size_t plk_history_length(const plk_history *history);

/* Where the ring has the token of a position. */
static inline size_t plk_history_slot(const plk_history *history, uint64_t position)
{
    return (size_t)(position & (history->capacity - 1));
}

/* The token accepted age tokens ago: 0 is the last one; age < plk_history_length(). */
static inline pluck_token plk_history_at(const plk_history *history, size_t age)
{
    return history->ring[plk_history_slot(history, history->position - 1 - age)];
}

/* The positions in [lowest, end) that have a token, going back; bits is 0 to begin with. */
typedef struct plk_history_search {
    const plk_kernels *kernels;
    pluck_token token;
    uint64_t lowest;
    uint64_t end;      /* what is at it or after it has been looked through */
    uint64_t bits;     /* bit i: end + i has the token, and has not been reported */
    uint64_t position; /* the last one reported */
} plk_history_search;

/* Finds the next position; false if there is none. */
bool plk_history_next(const plk_history *history, plk_history_search *search);

/* A token that is accepted. */
typedef struct plk_accepted {
    pluck_token token;
    bool was_drawn;  /* the last token drawn at this position was this one */
    double observed; /* what the draw's observe said of it then; 0 unless was_drawn */
} plk_accepted;

/*
 * How long the history's end repeats earlier parts of it: for every earlier place that has the last
 * token, the length of the longest common suffix of the history up to that place and the whole of
 * it. The functions that take void * stand in the descriptors of stages; they ignore params.
 */

typedef struct plk_suffix_matches {
    pluck_allocator allocator;
    uint32_t *lengths; /* ring by position; only those of places that have the last token count */
    size_t capacity;
    size_t window;       /* tokens looked back on; SIZE_MAX: all */
    uint64_t n_accepted; /* tokens of the history */
    uint64_t position; /* the lengths are those of the history's first tokens, this many; 0: none */
} plk_suffix_matches;

/* window >= 1. A limited window allocates all it will need; SIZE_MAX grows in reserve. */
pluck_status plk_suffix_matches_create(void **out, size_t window, const pluck_allocator *allocator,
                                       pluck_error *err);
void plk_suffix_matches_destroy(void *matches);
pluck_status plk_suffix_matches_clone(void **out, const void *matches, pluck_error *err);
void plk_suffix_matches_reset(void *matches);

/* As for stages. Lengths are computed when they are asked for. */
pluck_status plk_suffix_matches_reserve(void *matches, const pluck_token *tokens, size_t n,
                                        pluck_error *err);
void plk_suffix_matches_accept(const void *params, void *matches, const plk_history *history,
                               const plk_accepted *accepted);
void plk_suffix_matches_rewind(const void *params, void *matches, const plk_history *history);

/* As after accepting all tokens of the history; reads nothing. */
pluck_status plk_suffix_matches_load(const void *params, void *matches, const plk_history *history,
                                     plk_byte_reader *in, pluck_error *err);

/* One edit for each token of the window; where that is the whole history of n_tokens, rounded up so
 * that not every token changes it. */
size_t plk_suffix_matches_max_edits(const void *params, const void *matches, uint64_t n_tokens,
                                    uint32_t n_vocab);

/* A place before the end, and how many tokens up to it are as at the end, both inside the
 * window. */
typedef struct plk_suffix_match {
    uint64_t position;
    size_t length;
    plk_history_search search;
} plk_suffix_match;

/* Brings the lengths up to date; the first match is asked for with the result. */
plk_suffix_match plk_suffix_matches_update(plk_suffix_matches *matches, const plk_history *history,
                                           const plk_kernels *kernels);

/* The next place, going back; false if there is none. */
bool plk_suffix_matches_next(const plk_suffix_matches *matches, const plk_history *history,
                             plk_suffix_match *match);

/*
 * How often each token occurs in a window of the history: what penalties need, kept up to date in
 * O(log n + n) moves of small entries per token instead of being counted anew.
 */

typedef struct plk_token_count {
    uint32_t token;
    uint32_t count; /* at least 1 */
} plk_token_count;

typedef struct plk_token_counts {
    pluck_allocator allocator;
    plk_token_count *items; /* ascending by token */
    size_t n;
    size_t capacity; /* enough for every state that rewinding can bring back */
    size_t window;   /* tokens looked back on; SIZE_MAX: all */
    uint32_t n_vocab;
    bool ignores_prompt; /* … of those accepted since the last one of a prompt */
} plk_token_counts;

/* window >= 1; ignores_prompt is set afterwards. A limited window allocates all it will need;
 * SIZE_MAX grows in reserve, with the number of different tokens. */
pluck_status plk_token_counts_create(plk_token_counts *counts, size_t window, uint32_t n_vocab,
                                     const pluck_allocator *allocator, pluck_error *err);
void plk_token_counts_destroy(plk_token_counts *counts);
pluck_status plk_token_counts_clone(plk_token_counts *out, const plk_token_counts *counts,
                                    pluck_error *err);

/* As just created. */
void plk_token_counts_clear(plk_token_counts *counts);

/* Makes room for n more tokens: accepting them then cannot fail. */
pluck_status plk_token_counts_reserve(plk_token_counts *counts, const pluck_token *tokens, size_t n,
                                      pluck_error *err);

/* The history has just taken a token: it enters the window, and one may leave it. */
void plk_token_counts_accept(plk_token_counts *counts, const plk_history *history);

/* The history is about to drop its last token: undoes the accept of it. */
void plk_token_counts_rewind(plk_token_counts *counts, const plk_history *history);

/* As after accepting all tokens of the history. */
pluck_status plk_token_counts_restore(plk_token_counts *counts, const plk_history *history,
                                      pluck_error *err);

/*
 * Small values that every accept replaces, kept for all accepts that can be undone. They are the
 * whole state of a stage with a running average, which rewinds exactly: the functions that take
 * void * stand in its descriptor; they ignore params.
 */

enum { PLK_UNDO_VALUES = 2 };

typedef struct plk_undo_ring {
    pluck_allocator allocator;
    double start[PLK_UNDO_VALUES];
    double values[PLK_UNDO_VALUES]; /* now */
    double (*before)[PLK_UNDO_VALUES];
    uint32_t max_rewind;
} plk_undo_ring;

/* The values start, and are after a reset, what start says; before each token of a history that was
 * not accepted here they were that too. */
pluck_status plk_undo_ring_create(void **out, const double start[PLK_UNDO_VALUES],
                                  uint32_t max_rewind, const pluck_allocator *allocator,
                                  pluck_error *err);
void plk_undo_ring_destroy(void *ring);
pluck_status plk_undo_ring_clone(void **out, const void *ring, pluck_error *err);
void plk_undo_ring_reset(void *ring);

/* The history has just taken a token: the values are noted, to be changed afterwards. */
void plk_undo_ring_accept(plk_undo_ring *ring, const plk_history *history);

/* The history is about to drop its last token: the values are what they were before it. */
void plk_undo_ring_rewind(const void *params, void *ring, const plk_history *history);

/* The values, now and before each token that can be undone. */
void plk_undo_ring_save(const void *params, const void *ring, const plk_history *history,
                        plk_byte_writer *out);

/* PLUCK_ERR_FORMAT if the bytes are too few or a value is not finite. */
pluck_status plk_undo_ring_load(const void *params, void *ring, const plk_history *history,
                                plk_byte_reader *in, pluck_error *err);

#endif
