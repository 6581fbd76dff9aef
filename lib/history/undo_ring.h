/*
 * Small values that every accept replaces, kept for as many accepts as can be undone. They are the
 * whole state of a stage with a running average, which rewinds exactly: the functions that take
 * void * stand in its descriptor.
 */
#ifndef PLK_UNDO_RING_H
#define PLK_UNDO_RING_H

#include "history/history.h"

enum { PLK_UNDO_VALUES = 2 };

typedef struct plk_undo_ring {
    pluck_allocator allocator;
    double start[PLK_UNDO_VALUES];
    double values[PLK_UNDO_VALUES]; /* now */
    double (*before)[PLK_UNDO_VALUES];
    uint32_t max_rewind;
} plk_undo_ring;

/* The values start, and are after a reset, what start says. */
pluck_status plk_undo_ring_create(void **out, const double start[PLK_UNDO_VALUES],
                                  uint32_t max_rewind, const pluck_allocator *allocator,
                                  pluck_error *err);
void plk_undo_ring_destroy(void *ring);
pluck_status plk_undo_ring_clone(void **out, const void *ring, pluck_error *err);
void plk_undo_ring_reset(void *ring);

/* The history has just taken a token: the values are noted, to be changed afterwards. */
void plk_undo_ring_accept(plk_undo_ring *ring, const plk_history *history);

/* The history is about to drop its last token: the values are what they were before it. */
void plk_undo_ring_rewind(plk_undo_ring *ring, const plk_history *history);

/* The values, now and before each token that can be undone. */
void plk_undo_ring_save(const plk_undo_ring *ring, const plk_history *history,
                        plk_byte_writer *out);

/* PLUCK_ERR_FORMAT if the bytes are too few or a value is not finite. */
pluck_status plk_undo_ring_load(plk_undo_ring *ring, const plk_history *history,
                                plk_byte_reader *in, pluck_error *err);

#endif
