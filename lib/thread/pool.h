/*
 * Threads that sleep until there is something to do.
 */
#ifndef PLK_POOL_H
#define PLK_POOL_H

#include "thread/parallel.h"

typedef struct plk_pool plk_pool;

/*
 * A pool of plk_thread_count(n_threads) threads, the caller's among them. Threads start when a call
 * first needs them. If the system refuses one, the pool goes on with those that it has. allocator
 * NULL: malloc and free.
 */
pluck_status plk_pool_create(plk_pool **out, uint32_t n_threads, const pluck_allocator *allocator,
                             pluck_error *err);

/* NULL, and a pointer to NULL, are allowed. */
void plk_pool_destroy(plk_pool **pool);

/*
 * For plk_parallel_run(); borrowed until the pool is destroyed. NULL gives a plk_parallel of one
 * worker, the calling thread.
 *
 * A call that meets a busy pool runs its items itself: one from inside a task as the worker that
 * it is on, one from another thread as worker 0. So does a call in a process that was forked after
 * threads had been started: threads do not survive a fork.
 */
plk_parallel plk_pool_parallel(plk_pool *pool);

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
