/*
 * The inside of a sampler.
 */
#ifndef PL_SAMPLER_IMPL_H
#define PL_SAMPLER_IMPL_H

#include "sampler/chain.h"
#include "sampler/lanes.h"
#include "select/view.h"

#include <pluck/rng.h>
#include <pluck/sampler.h>

/* The last token that was drawn at the current position. */
typedef struct pl_drawn {
    bool any;
    pluck_token token;
    double observed; /* by the draw; see pl_stage.observe */
} pl_drawn;

struct pluck_sampler {
    pluck_allocator allocator;
    const pl_kernels *kernels;
    uint32_t n_vocab;
    uint32_t max_rewind;
    pluck_on_nan on_nan;
    uint64_t seed;
    uint64_t stream;
    uint64_t position;
    pluck_pcg64 rng;   /* at the first number of the position */
    size_t window;     /* how far the chain looks back */
    uint64_t furthest; /* the largest position of the history since the sequence began */
    pl_drawn drawn;
    const int32_t *mask; /* the caller's for this position, or NULL */
    bool masks_in_chain; /* a stage applies it; otherwise it acts before all stages */
    pl_chain chain;
    pl_history history;
    pluck_workspace *shared; /* what it borrows; NULL: workspace is its own */
    pl_workspace *workspace;
};

/* How many tokens its history keeps: everything that a stage looks back on after the longest
 * rewind; SIZE_MAX: all. */
size_t pl_sampler_history_length(const pluck_sampler *sampler);

#endif
