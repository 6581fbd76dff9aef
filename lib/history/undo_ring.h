/*
 * Small values that every accept replaces, kept for as many accepts as can be undone. They are the
 * whole state of a stage with a running average, which rewinds exactly: the functions that take
 * void * stand in its descriptor.
 */
#ifndef PL_UNDO_RING_H
#define PL_UNDO_RING_H

#include "history/history.h"

enum { PL_UNDO_VALUES = 2 };

typedef struct pl_undo_ring {
    pluck_allocator allocator;
    double start[PL_UNDO_VALUES];
    double values[PL_UNDO_VALUES]; /* now */
    double (*before)[PL_UNDO_VALUES];
    uint32_t max_rewind;
} pl_undo_ring;

/* The values start, and are after a reset, what start says. */
pluck_status pl_undo_ring_create(void **out, const double start[PL_UNDO_VALUES],
                                 uint32_t max_rewind, const pluck_allocator *allocator,
                                 pluck_error *err);
void pl_undo_ring_destroy(void *ring);
pluck_status pl_undo_ring_clone(void **out, const void *ring, pluck_error *err);
void pl_undo_ring_reset(void *ring);

/* The history has just taken a token: the values are noted, to be changed afterwards. */
void pl_undo_ring_accept(pl_undo_ring *ring, const pl_history *history);

/* The history is about to drop its last token: the values are what they were before it. */
void pl_undo_ring_rewind(pl_undo_ring *ring, const pl_history *history);

/* The values, now and before each token that can be undone. */
void pl_undo_ring_save(const pl_undo_ring *ring, const pl_history *history, pl_byte_writer *out);

/* PLUCK_ERR_FORMAT if the bytes are too few or a value is not finite. */
pluck_status pl_undo_ring_load(pl_undo_ring *ring, const pl_history *history, pl_byte_reader *in,
                               pluck_error *err);

#endif
