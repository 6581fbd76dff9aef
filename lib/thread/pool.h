/*
 * The library's pool of threads, pluck_pool of base.h, and pools that live for one call.
 */
#ifndef PLK_POOL_H
#define PLK_POOL_H

#include "thread/parallel.h"

/* How many threads n_threads means: 0 is one for each processor that this process may use, and the
 * limit is PLK_MAX_THREADS. */
uint32_t plk_thread_count(uint32_t n_threads);

/* plk_parallel_run() on a pool that lives for the length of the call. */
pluck_status plk_parallel_over(uint32_t n_threads, size_t n_items,
                               pluck_status (*one)(void *context, uint32_t worker, size_t item,
                                                   pluck_error *err),
                               void *context, size_t *failed_item, const pluck_allocator *allocator,
                               pluck_error *err);

#endif
