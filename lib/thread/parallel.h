/*
 * Independent items over several threads.
 */
#ifndef PLK_PARALLEL_H
#define PLK_PARALLEL_H

#include <pluck/base.h>

enum { PLK_MAX_THREADS = 1024 };

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
                              pluck_status (*one)(void *context, uint32_t worker, size_t item,
                                                  pluck_error *err),
                              void *context, size_t *failed_item, pluck_error *err);

/* *n_workers becomes that of parallel, 1 for NULL. PLUCK_ERR_INVALID if parallel is incomplete. */
pluck_status plk_parallel_workers(const pluck_parallel *parallel, uint32_t *n_workers,
                                  pluck_error *err);

#endif
