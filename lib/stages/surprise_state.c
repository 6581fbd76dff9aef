/*
 * The state is an undo ring: mu is its first value, the second is unused.
 */
#include "stages/stage_impl.h"

#include "select/mass.h"

double plk_mirostat_mu(const void *state)
{
    return ((const plk_undo_ring *)state)->values[0];
}

pluck_status plk_mirostat_create(void **state, const void *params, const plk_stage_setup *setup,
                                 pluck_error *err)
{
    const double start[PLK_UNDO_VALUES] = {2.0 * ((const plk_mirostat_params *)params)->tau};
    return plk_undo_ring_create(state, start, setup->max_rewind, setup->allocator, err);
}

double plk_mirostat_observe(const void *params, const void *state, const plk_view *view,
                            uint32_t token)
{
    (void)params;
    (void)state;
    return plk_view_logprob(view, token);
}

void plk_mirostat_accept(const void *params, void *state, const plk_history *history,
                         const plk_accepted *accepted)
{
    const plk_mirostat_params *mirostat = params;
    plk_undo_ring *ring = state;
    double log2_e = 0x1.71547652b82fep+0;
    plk_undo_ring_accept(ring, history);
    if (accepted->was_drawn)
        ring->values[0] -= mirostat->eta * (-accepted->observed * log2_e - mirostat->tau);
}
