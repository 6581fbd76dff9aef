/*
 * Independent items over several threads, and pools of threads that live for one call.
 */
#ifndef PLK_THREAD_H
#define PLK_THREAD_H

#include <pluck/base.h>

enum { PLK_MAX_THREADS = 1024 };

typedef pluck_status (*plk_item_task)(void *context, uint32_t worker, size_t item,
                                      pluck_error *err);

/*
 * Calls one(context, worker, item, err) for the items below n_items, in ascending order, on at most
 * n_threads threads at once, in the default floating-point environment. worker is below
 * parallel->n_workers, and no two calls with one worker overlap. parallel NULL: the calling thread
 * alone, worker 0.
 *
 * When an item fails, no further items begin; those that have begun are finished. Then the result
 * is that of the lowest item that failed, with its message: the same for any number of threads.
 * *failed_item (NULL: not wanted) becomes its number, or n_items.
 */
pluck_status plk_parallel_run(const pluck_parallel *parallel, uint32_t n_threads, size_t n_items,
                              plk_item_task one, void *context, size_t *failed_item,
                              pluck_error *err);

/* *n_workers becomes that of parallel, 1 for NULL. PLUCK_ERR_INVALID if parallel is incomplete. */
pluck_status plk_parallel_workers(const pluck_parallel *parallel, uint32_t *n_workers,
                                  pluck_error *err);

/* How many threads n_threads means: 0 is one for each processor that this process may use, and the
 * limit is PLK_MAX_THREADS. */
uint32_t plk_thread_count(uint32_t n_threads);

/* plk_parallel_run() on a pool that lives for the length of the call. */
pluck_status plk_parallel_over(uint32_t n_threads, size_t n_items, plk_item_task one, void *context,
                               size_t *failed_item, const pluck_allocator *allocator,
                               pluck_error *err);

#endif
