/*
 * A call publishes its task under the mutex, wakes workers, and works itself until no item is left.
 * Then it waits for those workers that have taken up the task, and withdraws it. A worker that
 * wakes late finds no task and sleeps again, so a call never waits for a thread that has not yet
 * been given a processor. Nobody spins.
 *
 * is_busy makes a second user run its items itself. That covers calls from inside a task too.
 *
 * Fork: the process that starts threads notes its number. Another process that finds the note has
 * a copy without threads, whose mutex may be locked for ever: it runs everything serially and
 * touches neither the mutex nor the threads, not even to destroy them. The note is made before the
 * mutex is first locked. There is no pthread_atfork(), because a library that can be unloaded must
 * not register anything.
 */
#include "thread/thread.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/platform.h"

#include <stdatomic.h>

enum { STACK_BYTES = 256 * 1024 };

typedef void (*share_task)(void *data, uint32_t worker, size_t item);

typedef struct pool_thread {
    pluck_pool *pool;
    uint32_t worker;
    plk_thread thread;
} pool_thread;

struct pluck_pool {
    pluck_allocator allocator;
    pluck_parallel parallel;
    uint32_t n_threads; /* with the caller's */
    atomic_bool is_busy;
    _Atomic uint64_t process;   /* that started threads; 0: none did */
    _Atomic uint32_t n_started; /* threads[0 .. n_started - 1] run, as workers 1 .. n_started */
    bool is_refused;            /* the system gave no more threads */

    plk_mutex mutex; /* of what follows */
    plk_condition wake, done;
    bool stop;
    uint64_t generation; /* of the task */
    share_task task;
    void *data;
    size_t n_items;
    _Atomic size_t next;
    uint32_t n_inside; /* workers that have taken up the task */

    pool_thread threads[]; /* n_threads - 1 */
};

uint32_t plk_thread_count(uint32_t n_threads)
{
    if (n_threads > 0)
        return n_threads < PLK_MAX_THREADS ? n_threads : PLK_MAX_THREADS;
    uint32_t n = plk_processor_count();
    return n < PLK_MAX_THREADS ? n : PLK_MAX_THREADS;
}

void pluck_pool_destroy(pluck_pool **pool)
{
    if (!pool || !*pool)
        return;
    pluck_pool *p = *pool;
    uint64_t process = atomic_load(&p->process);
    if (process == 0 || process == plk_process_id()) {
        plk_mutex_lock(&p->mutex);
        p->stop = true;
        plk_condition_broadcast(&p->wake);
        plk_mutex_unlock(&p->mutex);
        uint32_t n_started = atomic_load(&p->n_started);
        for (uint32_t i = 0; i < n_started; i++)
            plk_thread_join(&p->threads[i].thread);
        plk_condition_destroy(&p->done);
        plk_condition_destroy(&p->wake);
        plk_mutex_destroy(&p->mutex);
    }
    pluck_allocator allocator = p->allocator;
    plk_free(&allocator, p);
    *pool = NULL;
}

/* Items until there are none. */
static void work(pluck_pool *pool, share_task task, void *data, size_t n_items, uint32_t worker)
{
    for (size_t item; (item = atomic_fetch_add(&pool->next, 1)) < n_items;)
        task(data, worker, item);
}

static void worker_main(void *argument)
{
    pool_thread *self = argument;
    pluck_pool *pool = self->pool;
    uint64_t seen = 0;
    plk_mutex_lock(&pool->mutex);
    while (!pool->stop) {
        if (pool->generation == seen || !pool->task) {
            plk_condition_wait(&pool->wake, &pool->mutex);
            continue;
        }
        seen = pool->generation;
        pool->n_inside++;
        share_task task = pool->task;
        void *data = pool->data;
        size_t n_items = pool->n_items;
        plk_mutex_unlock(&pool->mutex);
        work(pool, task, data, n_items, self->worker);
        plk_mutex_lock(&pool->mutex);
        if (--pool->n_inside == 0)
            plk_condition_signal(&pool->done);
    }
    plk_mutex_unlock(&pool->mutex);
}

/* Until `wanted` workers run, or the system refuses one. */
static void start_workers(pluck_pool *pool, size_t wanted)
{
    uint32_t n_started = atomic_load(&pool->n_started);
    while (n_started < wanted && !pool->is_refused) {
        pool_thread *t = &pool->threads[n_started];
        t->pool = pool;
        t->worker = n_started + 1;
        if (plk_thread_start(&t->thread, worker_main, t, STACK_BYTES) == 0)
            atomic_store(&pool->n_started, ++n_started);
        else
            pool->is_refused = true;
    }
}

/* The number of the worker that the calling thread is, 0 if it is none. */
static uint32_t own_worker(pluck_pool *pool)
{
    uint32_t n_started = atomic_load(&pool->n_started);
    for (uint32_t i = 0; i < n_started; i++)
        if (plk_thread_is_current(&pool->threads[i].thread))
            return i + 1;
    return 0;
}

static void publish(pluck_pool *pool, size_t n_items, share_task task, void *data)
{
    plk_mutex_lock(&pool->mutex);
    pool->task = task;
    pool->data = data;
    pool->n_items = n_items;
    atomic_store(&pool->next, 0);
    pool->generation++;
    uint32_t n_started = atomic_load(&pool->n_started);
    if (n_items > n_started)
        plk_condition_broadcast(&pool->wake);
    else
        for (size_t i = 1; i < n_items; i++)
            plk_condition_signal(&pool->wake);
    plk_mutex_unlock(&pool->mutex);
}

static void withdraw(pluck_pool *pool)
{
    plk_mutex_lock(&pool->mutex);
    while (pool->n_inside > 0)
        plk_condition_wait(&pool->done, &pool->mutex);
    pool->task = NULL;
    plk_mutex_unlock(&pool->mutex);
}

static void run(void *user, size_t n_items, share_task task, void *data)
{
    pluck_pool *pool = user;
    bool is_shared = pool->n_threads > 1 && n_items > 1;
    if (is_shared) {
        uint64_t process = atomic_load(&pool->process);
        is_shared =
            (process == 0 || process == plk_process_id()) && !atomic_exchange(&pool->is_busy, true);
    }
    if (!is_shared) {
        uint32_t worker = own_worker(pool);
        for (size_t item = 0; item < n_items; item++)
            task(data, worker, item);
        return;
    }
    atomic_store(&pool->process, plk_process_id());
    start_workers(pool, n_items < pool->n_threads ? n_items - 1 : pool->n_threads - 1);
    publish(pool, n_items, task, data);
    work(pool, task, data, n_items, 0);
    withdraw(pool);
    atomic_store(&pool->is_busy, false);
}

pluck_status pluck_pool_create(pluck_pool **out, uint32_t n_threads,
                               const pluck_allocator *allocator, pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pool: out must not be NULL");
    *out = NULL;
    pluck_allocator own = plk_allocator_or_default(allocator);
    n_threads = plk_thread_count(n_threads);
    size_t bytes = sizeof(pluck_pool) + (n_threads - 1) * sizeof(pool_thread);
    pluck_pool *pool = plk_alloc_zero(&own, 1, bytes);
    if (!pool)
        return plk_fail_nomem(err, bytes);
    pool->allocator = own;
    pool->n_threads = n_threads;
    pool->parallel = (pluck_parallel){.run = run, .user = pool, .n_workers = n_threads};
    plk_mutex_init(&pool->mutex);
    plk_condition_init(&pool->wake);
    plk_condition_init(&pool->done);
    *out = pool;
    return PLUCK_OK;
}

const pluck_parallel *pluck_pool_parallel(const pluck_pool *pool)
{
    return pool ? &pool->parallel : NULL;
}

pluck_status plk_parallel_over(uint32_t n_threads, size_t n_items, plk_item_task one, void *context,
                               size_t *failed_item, const pluck_allocator *allocator,
                               pluck_error *err)
{
    pluck_pool *pool = NULL;
    if (n_items < n_threads)
        n_threads = n_items > 0 ? (uint32_t)n_items : 1;
    if (n_threads > 1) {
        pluck_status status = pluck_pool_create(&pool, n_threads, allocator, err);
        if (status != PLUCK_OK)
            return status;
    }
    const pluck_parallel *parallel = pluck_pool_parallel(pool);
    pluck_status status =
        plk_parallel_run(parallel, n_threads, n_items, one, context, failed_item, err);
    pluck_pool_destroy(&pool);
    return status;
}
