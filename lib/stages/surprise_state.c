/*
 * The state is an undo ring: mu is its first value, the second is unused.
 */
#include "stages/surprise_state.h"

#include "select/mass.h"

double pl_mirostat_mu(const void *state)
{
    return ((const pl_undo_ring *)state)->values[0];
}

pluck_status pl_mirostat_create(void **state, const void *params, const pl_stage_setup *setup,
                                pluck_error *err)
{
    const double start[PL_UNDO_VALUES] = {2.0 * ((const pl_mirostat_params *)params)->tau};
    return pl_undo_ring_create(state, start, setup->max_rewind, setup->allocator, err);
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
    pl_undo_ring *ring = state;
    const double log2_e = 0x1.71547652b82fep+0;
    pl_undo_ring_accept(ring, history);
    if (accepted->was_drawn)
        ring->values[0] -= mirostat->eta * (-accepted->observed * log2_e - mirostat->tau);
}

void pl_mirostat_rewind(const void *params, void *state, const pl_history *history)
{
    (void)params;
    pl_undo_ring_rewind(state, history);
}

void pl_mirostat_save(const void *params, const void *state, const pl_history *history,
                      pl_byte_writer *out)
{
    (void)params;
    pl_undo_ring_save(state, history, out);
}

pluck_status pl_mirostat_load(const void *params, void *state, const pl_history *history,
                              pl_byte_reader *in, pluck_error *err)
{
    (void)params;
    return pl_undo_ring_load(state, history, in, err);
}
