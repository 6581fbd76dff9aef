/*
 * The inside of a sampler.
 */
#ifndef PLK_SAMPLER_IMPL_H
#define PLK_SAMPLER_IMPL_H

#include "sampler/chain.h"
#include "sampler/lanes.h"
#include "select/view.h"

#include <pluck/rng.h>
#include <pluck/sampler.h>

/* The last token that was drawn at the current position. */
typedef struct plk_drawn {
    bool any;
    pluck_token token;
    double observed; /* by the draw; see plk_stage.observe */
} plk_drawn;

struct pluck_sampler {
    pluck_allocator allocator;
    const plk_kernels *kernels;
    uint32_t n_vocab;
    uint32_t max_rewind;
    pluck_on_nan on_nan;
    uint64_t seed;
    uint64_t stream;
    uint64_t position;
    pluck_pcg64 rng;   /* at the first number of the position */
    size_t window;     /* how far the chain looks back */
    uint64_t furthest; /* the largest position of the history since the sequence began */
    plk_drawn drawn;
    const int32_t *mask; /* the caller's for this position, or NULL */
    bool masks_in_chain; /* a stage applies it; otherwise it acts before all stages */
    plk_chain chain;
    plk_history history;
    pluck_workspace *shared; /* what it borrows; NULL: scratch is its own */
    plk_scratch *scratch;
};

/* How many tokens its history keeps: everything that a stage looks back on after the longest
 * rewind; SIZE_MAX: all. */
size_t plk_sampler_history_length(const pluck_sampler *sampler);

#endif
