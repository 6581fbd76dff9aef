/*
 * A ring indexed by position: slot position % max_rewind holds the values before the token of that
 * position.
 */
#include "history/undo_ring.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

/* A ring of this shape with memory of its own for what was before; NULL: no memory. */
static plk_undo_ring *allocate(const plk_undo_ring *shape, pluck_error *err)
{
    size_t n = shape->max_rewind;
    plk_undo_ring *ring = plk_alloc(&shape->allocator, 1, sizeof *ring);
    double(*before)[PLK_UNDO_VALUES] = plk_alloc_zero(&shape->allocator, n, sizeof *before);
    if (!ring || !before) {
        plk_free(&shape->allocator, ring);
        plk_free(&shape->allocator, before);
        (void)plk_fail_nomem(err, sizeof *ring + n * sizeof *before);
        return NULL;
    }
    *ring = *shape;
    ring->before = before;
    return ring;
}

pluck_status plk_undo_ring_create(void **out, const double start[PLK_UNDO_VALUES],
                                  uint32_t max_rewind, const pluck_allocator *allocator,
                                  pluck_error *err)
{
    plk_undo_ring shape = {.allocator = *allocator, .max_rewind = max_rewind};
    memcpy(shape.start, start, sizeof shape.start);
    plk_undo_ring_reset(&shape);
    plk_undo_ring *ring = allocate(&shape, err);
    if (!ring)
        return PLUCK_ERR_NOMEM;
    *out = ring;
    return PLUCK_OK;
}

void plk_undo_ring_destroy(void *ring)
{
    plk_undo_ring *r = ring;
    pluck_allocator allocator = r->allocator;
    plk_free(&allocator, r->before);
    plk_free(&allocator, r);
}

pluck_status plk_undo_ring_clone(void **out, const void *ring, pluck_error *err)
{
    const plk_undo_ring *from = ring;
    plk_undo_ring *copy = allocate(from, err);
    if (!copy)
        return PLUCK_ERR_NOMEM;
    memcpy(copy->before, from->before, from->max_rewind * sizeof *copy->before);
    *out = copy;
    return PLUCK_OK;
}

void plk_undo_ring_reset(void *ring)
{
    plk_undo_ring *r = ring;
    memcpy(r->values, r->start, sizeof r->values);
}

/* Of the last token of the history. */
static double *slot(const plk_undo_ring *ring, const plk_history *history)
{
    return ring->before[(history->position - 1) % ring->max_rewind];
}

void plk_undo_ring_accept(plk_undo_ring *ring, const plk_history *history)
{
    memcpy(slot(ring, history), ring->values, sizeof ring->values);
}

void plk_undo_ring_rewind(plk_undo_ring *ring, const plk_history *history)
{
    memcpy(ring->values, slot(ring, history), sizeof ring->values);
}

/* The first token whose slot is kept. */
static uint64_t first_kept(const plk_undo_ring *ring, const plk_history *history)
{
    return history->position > ring->max_rewind ? history->position - ring->max_rewind : 0;
}

void plk_undo_ring_save(const plk_undo_ring *ring, const plk_history *history, plk_byte_writer *out)
{
    for (int v = 0; v < PLK_UNDO_VALUES; v++)
        plk_put_f64(out, ring->values[v]);
    for (uint64_t at = first_kept(ring, history); at < history->position; at++)
        for (int v = 0; v < PLK_UNDO_VALUES; v++)
            plk_put_f64(out, ring->before[at % ring->max_rewind][v]);
}

pluck_status plk_undo_ring_load(plk_undo_ring *ring, const plk_history *history,
                                plk_byte_reader *in, pluck_error *err)
{
    bool all_finite = true;
    for (int v = 0; v < PLK_UNDO_VALUES; v++) {
        ring->values[v] = plk_take_f64(in);
        all_finite &= isfinite(ring->values[v]) != 0;
    }
    for (uint64_t at = first_kept(ring, history); at < history->position && !in->is_short; at++)
        for (int v = 0; v < PLK_UNDO_VALUES; v++) {
            double value = plk_take_f64(in);
            ring->before[at % ring->max_rewind][v] = value;
            all_finite &= isfinite(value) != 0;
        }
    if (in->is_short || !all_finite)
        return plk_fail(err, PLUCK_ERR_FORMAT, "the saved values are cut off or not finite");
    return PLUCK_OK;
}
