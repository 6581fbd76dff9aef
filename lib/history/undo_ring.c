/*
 * A ring indexed by position: slot position % max_rewind holds the values before the token of that
 * position.
 */
#include "history/undo_ring.h"

#include "base/error.h"

#include <math.h>
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

/* The first token whose slot is kept. */
static uint64_t first_kept(const pl_undo_ring *ring, const pl_history *history)
{
    return history->position > ring->max_rewind ? history->position - ring->max_rewind : 0;
}

void pl_undo_ring_save(const pl_undo_ring *ring, const pl_history *history, pl_byte_writer *out)
{
    for (int v = 0; v < PL_UNDO_VALUES; v++)
        pl_put_f64(out, ring->values[v]);
    for (uint64_t at = first_kept(ring, history); at < history->position; at++)
        for (int v = 0; v < PL_UNDO_VALUES; v++)
            pl_put_f64(out, ring->before[at % ring->max_rewind][v]);
}

pluck_status pl_undo_ring_load(pl_undo_ring *ring, const pl_history *history, pl_byte_reader *in,
                               pluck_error *err)
{
    bool all_finite = true;
    for (int v = 0; v < PL_UNDO_VALUES; v++) {
        ring->values[v] = pl_take_f64(in);
        all_finite &= isfinite(ring->values[v]) != 0;
    }
    for (uint64_t at = first_kept(ring, history); at < history->position && !in->is_short; at++)
        for (int v = 0; v < PL_UNDO_VALUES; v++) {
            double value = pl_take_f64(in);
            ring->before[at % ring->max_rewind][v] = value;
            all_finite &= isfinite(value) != 0;
        }
    if (in->is_short || !all_finite)
        return pl_fail(err, PLUCK_ERR_FORMAT, "the saved values are cut off or not finite");
    return PLUCK_OK;
}
