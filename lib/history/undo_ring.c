/*
 * A ring indexed by position: slot position % max_rewind holds the values before the token of that
 * position.
 */
#include "history/undo_ring.h"

#include "base/error.h"

#include <string.h>

pluck_status pl_undo_ring_create(pl_undo_ring *ring, uint32_t max_rewind,
                                 const pluck_allocator *allocator, pluck_error *err)
{
    *ring = (pl_undo_ring){.allocator = *allocator, .max_rewind = max_rewind};
    ring->before = pl_alloc_zero(allocator, max_rewind, sizeof *ring->before);
    return ring->before ? PLUCK_OK : pl_fail_nomem(err, max_rewind * sizeof *ring->before);
}

void pl_undo_ring_destroy(pl_undo_ring *ring)
{
    pl_free(&ring->allocator, ring->before);
    ring->before = NULL;
}

pluck_status pl_undo_ring_clone(pl_undo_ring *out, const pl_undo_ring *ring, pluck_error *err)
{
    *out = *ring;
    out->before = pl_alloc(&ring->allocator, ring->max_rewind, sizeof *out->before);
    if (!out->before)
        return pl_fail_nomem(err, ring->max_rewind * sizeof *out->before);
    memcpy(out->before, ring->before, ring->max_rewind * sizeof *out->before);
    return PLUCK_OK;
}

/* Of the last token of the history. */
static double *slot(const pl_undo_ring *ring, const pl_history *history)
{
    return ring->before[(history->position - 1) % ring->max_rewind];
}

void pl_undo_ring_accept(pl_undo_ring *ring, const pl_history *history)
{
    memcpy(slot(ring, history), ring->values, sizeof ring->values);
}

void pl_undo_ring_rewind(pl_undo_ring *ring, const pl_history *history)
{
    memcpy(ring->values, slot(ring, history), sizeof ring->values);
}
