/*
 * Independent items over several threads.
 */
#ifndef PLK_PARALLEL_H
#define PLK_PARALLEL_H

#include <pluck/base.h>

enum { PLK_MAX_THREADS = 1024 };

/*
 * Whose threads to use. run calls task(data, worker, item) once for every item in [0, n_items), in
 * any order and on any threads, and returns when all calls have returned; worker < n_workers, and
 * no two calls with one worker overlap. It may run everything on the calling thread.
 */
typedef struct plk_parallel {
    void (*run)(void *user, size_t n_items, void (*task)(void *data, uint32_t worker, size_t item),
                void *data);
    void *user;
    uint32_t n_workers;
} plk_parallel;

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
pluck_status plk_parallel_run(const plk_parallel *parallel, uint32_t n_threads, size_t n_items,
                              pluck_status (*one)(void *context, uint32_t worker, size_t item,
                                                  pluck_error *err),
                              void *context, size_t *failed_item, pluck_error *err);

#endif
