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
#define _GNU_SOURCE /* sched_getaffinity */
#include "thread/thread.h"

#include "base/alloc.h"
#include "base/error.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

enum { STACK_BYTES = 256 * 1024 };

typedef void (*share_task)(void *data, uint32_t worker, size_t item);

typedef struct pool_thread {
    pluck_pool *pool;
    uint32_t worker;
    pthread_t id;
} pool_thread;

struct pluck_pool {
    pluck_allocator allocator;
    pluck_parallel parallel;
    uint32_t n_threads; /* with the caller's */
    atomic_bool is_busy;
    _Atomic long process;       /* that started threads; 0: none did */
    _Atomic uint32_t n_started; /* threads[0 .. n_started - 1] run, as workers 1 .. n_started */
    bool is_refused;            /* the system gave no more threads */

    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t wake, done;
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
    long n = 0;
#ifdef CPU_COUNT
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
#endif
    if (n < 1)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    if (n < 1)
        n = 1;
    return n < PLK_MAX_THREADS ? (uint32_t)n : PLK_MAX_THREADS;
}

void pluck_pool_destroy(pluck_pool **pool)
{
    if (!pool || !*pool)
        return;
    pluck_pool *p = *pool;
    long process = atomic_load(&p->process);
    if (process == 0 || process == (long)getpid()) {
        pthread_mutex_lock(&p->mutex);
        p->stop = true;
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->mutex);
        uint32_t n_started = atomic_load(&p->n_started);
        for (uint32_t i = 0; i < n_started; i++)
            pthread_join(p->threads[i].id, NULL);
        pthread_cond_destroy(&p->done);
        pthread_cond_destroy(&p->wake);
        pthread_mutex_destroy(&p->mutex);
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

static void *worker_main(void *argument)
{
    pool_thread *self = argument;
    pluck_pool *pool = self->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->mutex);
    while (!pool->stop) {
        if (pool->generation == seen || !pool->task) {
            pthread_cond_wait(&pool->wake, &pool->mutex);
            continue;
        }
        seen = pool->generation;
        pool->n_inside++;
        share_task task = pool->task;
        void *data = pool->data;
        size_t n_items = pool->n_items;
        pthread_mutex_unlock(&pool->mutex);
        work(pool, task, data, n_items, self->worker);
        pthread_mutex_lock(&pool->mutex);
        if (--pool->n_inside == 0)
            pthread_cond_signal(&pool->done);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* A handler of the caller's never runs on a thread that the caller does not know, except for faults
 * of the thread itself: the system ends a process that blocks those, whatever handler it has. */
static void block_signals(sigset_t *before)
{
    static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, before);
}

/* Until `wanted` workers run, or the system refuses one. They inherit the blocked signals. */
static void start_workers(pluck_pool *pool, size_t wanted)
{
    uint32_t n_started = atomic_load(&pool->n_started);
    if (n_started >= wanted || pool->is_refused)
        return;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return;
    size_t stack_bytes = STACK_BYTES;
#ifdef PTHREAD_STACK_MIN
    if (stack_bytes < (size_t)PTHREAD_STACK_MIN)
        stack_bytes = (size_t)PTHREAD_STACK_MIN;
#endif
    pthread_attr_setstacksize(&attributes, stack_bytes);
    sigset_t before;
    block_signals(&before);
    while (n_started < wanted && !pool->is_refused) {
        pool_thread *t = &pool->threads[n_started];
        t->pool = pool;
        t->worker = n_started + 1;
        if (pthread_create(&t->id, &attributes, worker_main, t) == 0)
            atomic_store(&pool->n_started, ++n_started);
        else
            pool->is_refused = true;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

/* The number of the worker that the calling thread is, 0 if it is none. */
static uint32_t own_worker(pluck_pool *pool)
{
    uint32_t n_started = atomic_load(&pool->n_started);
    for (uint32_t i = 0; i < n_started; i++)
        if (pthread_equal(pool->threads[i].id, pthread_self()))
            return i + 1;
    return 0;
}

static void publish(pluck_pool *pool, size_t n_items, share_task task, void *data)
{
    pthread_mutex_lock(&pool->mutex);
    pool->task = task;
    pool->data = data;
    pool->n_items = n_items;
    atomic_store(&pool->next, 0);
    pool->generation++;
    uint32_t n_started = atomic_load(&pool->n_started);
    if (n_items > n_started)
        pthread_cond_broadcast(&pool->wake);
    else
        for (size_t i = 1; i < n_items; i++)
            pthread_cond_signal(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
}

static void withdraw(pluck_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    while (pool->n_inside > 0)
        pthread_cond_wait(&pool->done, &pool->mutex);
    pool->task = NULL;
    pthread_mutex_unlock(&pool->mutex);
}

static void run(void *user, size_t n_items, share_task task, void *data)
{
    pluck_pool *pool = user;
    bool is_shared = pool->n_threads > 1 && n_items > 1;
    if (is_shared) {
        long process = atomic_load(&pool->process);
        is_shared =
            (process == 0 || process == (long)getpid()) && !atomic_exchange(&pool->is_busy, true);
    }
    if (!is_shared) {
        uint32_t worker = own_worker(pool);
        for (size_t item = 0; item < n_items; item++)
            task(data, worker, item);
        return;
    }
    atomic_store(&pool->process, (long)getpid());
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
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
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
