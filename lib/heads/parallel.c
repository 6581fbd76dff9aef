/*
 * A shared counter hands out the items. When one fails, all before it have been handed out and are
 * finished, so the lowest that failed is the same for any number of threads.
 */
#include "heads/parallel.h"

#include "base/alloc.h"
#include "base/error.h"
#include "simd/fp_state.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct shared {
    pluck_status (*one)(void *context, uint32_t worker, size_t item, pluck_error *err);
    void *context;
    size_t n_items;
    _Atomic size_t next;
    atomic_bool failed;
} shared;

typedef struct thread {
    shared *all;
    uint32_t worker;
    pthread_t id;
    pluck_status status;
    size_t failed_item;
    pluck_error err;
} thread;

static void *work(void *argument)
{
    thread *t = argument;
    shared *all = t->all;
    const pl_fp_state fp = pl_fp_enter();
    while (!atomic_load(&all->failed)) {
        const size_t item = atomic_fetch_add(&all->next, 1);
        if (item >= all->n_items)
            break;
        t->status = all->one(all->context, t->worker, item, &t->err);
        if (t->status) {
            t->failed_item = item;
            atomic_store(&all->failed, true);
            break;
        }
    }
    pl_fp_leave(fp);
    return NULL;
}

pluck_status pl_parallel(uint32_t n_threads, size_t n_items,
                         pluck_status (*one)(void *context, uint32_t worker, size_t item,
                                             pluck_error *err),
                         void *context, const pluck_allocator *allocator, pluck_error *err)
{
    const uint32_t n = n_items < n_threads ? (n_items > 0 ? (uint32_t)n_items : 1) : n_threads;
    shared all = {.one = one, .context = context, .n_items = n_items};
    thread *threads = pl_alloc_zero(allocator, n, sizeof *threads);
    if (!threads)
        return pl_fail_nomem(err, n * sizeof *threads);
    uint32_t n_started = 1;
    for (uint32_t i = 0; i < n; i++) {
        threads[i].all = &all;
        threads[i].worker = i;
    }
    while (n_started < n &&
           pthread_create(&threads[n_started].id, NULL, work, &threads[n_started]) == 0)
        n_started++;
    work(&threads[0]);
    for (uint32_t i = 1; i < n_started; i++)
        pthread_join(threads[i].id, NULL);
    const thread *first = NULL;
    for (uint32_t i = 0; i < n_started; i++)
        if (threads[i].status && (!first || threads[i].failed_item < first->failed_item))
            first = &threads[i];
    const pluck_status status =
        first ? pl_fail(err, first->status, "%s", first->err.message) : PLUCK_OK;
    pl_free(allocator, threads);
    return status;
}
