/*
 * What the threads are given are not the items but shares: n_threads tasks, each of which takes
 * items from one counter until there are none. So a limit on the number of threads needs nothing
 * from whoever runs the tasks, items begin in ascending order whatever order the tasks have, and
 * the floating-point environment is entered once per share.
 *
 * An item that fails has a higher number than all that began before it, and those are finished:
 * the lowest item that failed is therefore the same for any number of threads.
 */
#include "thread/thread.h"

#include "base/error.h"
#include "base/platform.h"
#include "simd/fp_state.h"

#include <stdatomic.h>

typedef struct job {
    plk_item_task one;
    void *context;
    size_t n_items;
    _Atomic size_t next;
    atomic_bool has_failed;
    plk_mutex mutex; /* of what follows */
    pluck_status status;
    size_t failed_item;
    pluck_error err;
} job;

static void record_failure(job *j, size_t item, pluck_status status, const pluck_error *err)
{
    atomic_store(&j->has_failed, true);
    plk_mutex_lock(&j->mutex);
    if (item < j->failed_item) {
        j->failed_item = item;
        j->status = status;
        j->err = *err;
    }
    plk_mutex_unlock(&j->mutex);
}

static void do_share(void *data, uint32_t worker, size_t share)
{
    job *j = data;
    (void)share;
    plk_fp_state fp = plk_fp_enter();
    while (!atomic_load(&j->has_failed)) {
        size_t item = atomic_fetch_add(&j->next, 1);
        if (item >= j->n_items)
            break;
        pluck_error err = {.status = PLUCK_OK};
        pluck_status status = j->one(j->context, worker, item, &err);
        if (status != PLUCK_OK)
            record_failure(j, item, status, &err);
    }
    plk_fp_leave(fp);
}

pluck_status plk_parallel_run(const pluck_parallel *parallel, uint32_t n_threads, size_t n_items,
                              plk_item_task one, void *context, size_t *failed_item,
                              pluck_error *err)
{
    job j = {.one = one, .context = context, .n_items = n_items, .failed_item = n_items};
    plk_mutex_init(&j.mutex);
    if (parallel) {
        size_t n_shares = n_threads < parallel->n_workers ? n_threads : parallel->n_workers;
        parallel->run(parallel->user, n_items < n_shares ? n_items : n_shares, do_share, &j);
    } else {
        do_share(&j, 0, 0);
    }
    plk_mutex_destroy(&j.mutex);
    if (failed_item)
        *failed_item = j.failed_item;
    return j.status == PLUCK_OK ? PLUCK_OK : plk_fail(err, j.status, "%s", j.err.message);
}

pluck_status plk_parallel_workers(const pluck_parallel *parallel, uint32_t *n_workers,
                                  pluck_error *err)
{
    if (parallel && (!parallel->run || parallel->n_workers == 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "parallel.run is NULL, or parallel.n_workers is 0");
    *n_workers = parallel ? parallel->n_workers : 1;
    return PLUCK_OK;
}
