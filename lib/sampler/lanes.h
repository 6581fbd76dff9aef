/*
 * The inside of a pluck_workspace: a pool of threads, and one lane, the scratch memory of one row,
 * for each thread that a batch may use. Single calls use the first lane.
 */
#ifndef PLK_LANES_H
#define PLK_LANES_H

#include "select/scratch.h"
#include "thread/pool.h"

#include <pluck/sampler.h>

struct pluck_workspace {
    pluck_allocator allocator;
    uint32_t n_vocab;
    uint32_t n_lanes; /* the threads of the pool */
    plk_scratch **lanes;
    pluck_pool *pool;
};

/* Room for n edits in every lane. On failure every lane is as usable as before. */
pluck_status plk_lanes_reserve_edits(pluck_workspace *workspace, size_t n, pluck_error *err);

#endif
