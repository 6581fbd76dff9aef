/*
 * The tokens that a sequence has accepted: a ring that keeps the last ones, as many as the stages
 * can look back plus as many as can be rewound.
 */
#ifndef PLK_HISTORY_H
#define PLK_HISTORY_H

#include "base/alloc.h"
#include "base/bytes.h"

typedef struct plk_history {
    pluck_allocator allocator;
    pluck_token *ring;
    uint32_t *generated_ring; /* n_generated before each token of the ring */
    size_t capacity;          /* a power of two; ring[position % capacity] is written next */
    uint64_t oldest;          /* the first position still stored */
    uint64_t position;        /* tokens accepted so far                                    */
    bool unlimited;           /* keeps everything: grows by doubling                       */
    uint32_t n_generated;     /* tokens accepted since the last one of a prompt */
} plk_history;

/* Keeps at least n_kept tokens; SIZE_MAX keeps all. */
pluck_status plk_history_create(plk_history *history, size_t n_kept,
                                const pluck_allocator *allocator, pluck_error *err);
void plk_history_destroy(plk_history *history);
pluck_status plk_history_clone(plk_history *out, const plk_history *history, pluck_error *err);

/* As just created. */
void plk_history_clear(plk_history *history);

/* The tokens that are kept, with what makes undoing them exact. */
void plk_history_save(const plk_history *history, plk_byte_writer *out);

/* The same, into an empty history that keeps as many: PLUCK_ERR_FORMAT if the bytes are not those
 * of a history of tokens below n_vocab that has the last window of them. On failure it is fit to be
 * destroyed. */
pluck_status plk_history_load(plk_history *history, size_t window, uint32_t n_vocab,
                              plk_byte_reader *in, pluck_error *err);

/* Makes room for one more token: afterwards plk_history_push cannot fail. Changes nothing
 * visible. */
pluck_status plk_history_reserve(plk_history *history, pluck_error *err);
void plk_history_push(plk_history *history, pluck_token token, bool is_prompt);

/* Undoes the last push. */
void plk_history_pop(plk_history *history);

/* What n_generated was before the last token. */
uint32_t plk_history_generated_before(const plk_history *history);

/* How many tokens can be looked at. */
size_t plk_history_length(const plk_history *history);

/* The token accepted age tokens ago: 0 is the last one; age < plk_history_length(). */
pluck_token plk_history_at(const plk_history *history, size_t age);

/* The last position in [lowest, *position) that has the token; false if none has. */
bool plk_history_find(const plk_history *history, pluck_token token, uint64_t lowest,
                      uint64_t *position);

#endif
