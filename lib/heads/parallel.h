/*
 * A number of independent items over a number of threads.
 */
#ifndef PL_PARALLEL_H
#define PL_PARALLEL_H

#include <pluck/base.h>

enum { PL_MAX_THREADS = 1024 };

/*
 * Calls one(context, worker, item) for all items below n_items, worker < n_threads <=
 * PL_MAX_THREADS: handed out in ascending order, no two at once with the same worker. A call that
 * fails ends the work; of those that fail the one of the lowest item counts. The calling thread is
 * worker 0, and a thread that the system refuses is done without.
 */
pluck_status pl_parallel(uint32_t n_threads, size_t n_items,
                         pluck_status (*one)(void *context, uint32_t worker, size_t item,
                                             pluck_error *err),
                         void *context, const pluck_allocator *allocator, pluck_error *err);

#endif
