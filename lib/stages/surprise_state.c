/*
 * mu is the first value of an undo ring, the second is unused.
 */
#include "stages/surprise_state.h"

#include "base/error.h"
#include "history/undo_ring.h"
#include "select/mass.h"

typedef struct mirostat_state {
    pl_undo_ring ring;
    double start;
} mirostat_state;

double pl_mirostat_mu(const void *state)
{
    return ((const mirostat_state *)state)->ring.values[0];
}

pluck_status pl_mirostat_create(void **state, const void *params, const pl_stage_setup *setup,
                                pluck_error *err)
{
    mirostat_state *mirostat = pl_alloc(setup->allocator, 1, sizeof *mirostat);
    if (!mirostat)
        return pl_fail_nomem(err, sizeof *mirostat);
    pluck_status status =
        pl_undo_ring_create(&mirostat->ring, setup->max_rewind, setup->allocator, err);
    if (status != PLUCK_OK) {
        pl_free(setup->allocator, mirostat);
        return status;
    }
    mirostat->start = 2.0 * ((const pl_mirostat_params *)params)->tau;
    pl_mirostat_reset(mirostat);
    *state = mirostat;
    return PLUCK_OK;
}

void pl_mirostat_destroy(void *state)
{
    mirostat_state *mirostat = state;
    pluck_allocator allocator = mirostat->ring.allocator;
    pl_undo_ring_destroy(&mirostat->ring);
    pl_free(&allocator, mirostat);
}

pluck_status pl_mirostat_clone(void **out, const void *state, pluck_error *err)
{
    const mirostat_state *from = state;
    const pluck_allocator *allocator = &from->ring.allocator;
    mirostat_state *copy = pl_alloc(allocator, 1, sizeof *copy);
    if (!copy)
        return pl_fail_nomem(err, sizeof *copy);
    *copy = *from;
    pluck_status status = pl_undo_ring_clone(&copy->ring, &from->ring, err);
    if (status != PLUCK_OK)
        pl_free(allocator, copy);
    else
        *out = copy;
    return status;
}

void pl_mirostat_reset(void *state)
{
    mirostat_state *mirostat = state;
    mirostat->ring.values[0] = mirostat->start;
}

double pl_mirostat_observe(const void *params, const void *state, const pl_view *view,
                           uint32_t token)
{
    (void)params, (void)state;
    return pl_view_logprob(view, token);
}

void pl_mirostat_accept(const void *params, void *state, const pl_history *history,
                        const pl_accepted *accepted)
{
    const pl_mirostat_params *mirostat = params;
    pl_undo_ring *ring = &((mirostat_state *)state)->ring;
    const double log2_e = 0x1.71547652b82fep+0;
    pl_undo_ring_accept(ring, history);
    if (accepted->was_drawn)
        ring->values[0] -= mirostat->eta * (-accepted->observed * log2_e - mirostat->tau);
}

void pl_mirostat_rewind(const void *params, void *state, const pl_history *history)
{
    (void)params;
    pl_undo_ring_rewind(&((mirostat_state *)state)->ring, history);
}

void pl_mirostat_save(const void *params, const void *state, const pl_history *history,
                      pl_byte_writer *out)
{
    (void)params;
    pl_undo_ring_save(&((const mirostat_state *)state)->ring, history, out);
}

pluck_status pl_mirostat_load(const void *params, void *state, const pl_history *history,
                              pl_byte_reader *in, pluck_error *err)
{
    (void)params;
    return pl_undo_ring_load(&((mirostat_state *)state)->ring, history, in, err);
}
