/*
 * Why: threads are where a library hurts its host: it hangs after a fork, ends the program when the
 * system has no more threads, takes the processor from others, lets a signal handler run on a
 * thread that nobody knows. Each of these is a case here, and in each the results are those of one
 * thread. pthread_create() is wrapped (-Wl,--wrap), so that starts can fail or come late.
 */
#define _GNU_SOURCE /* sched_setaffinity */
#include "support/cases.h"
#include "thread/thread.h"

#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_ITEMS = 1000, MAX_WORKERS = 16, MS = 1000000 };

static const uint32_t thread_counts[] = {1, 2, 3, 8};
static const size_t item_counts[] = {0, 1, 2, 7, MAX_ITEMS};
#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

/* What pthread_create() does for the library: the start with this number (from 0) and all that
 * follow fail; threads begin so late. */
static _Atomic long fail_start = -1, n_starts, delay_ms;

int __real_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*start)(void *),
                          void *argument);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*start)(void *),
                          void *argument);

typedef struct late_start {
    void *(*start)(void *);
    void *argument;
} late_start;

static void sleep_ns(long ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    nanosleep(&t, NULL);
}

static void *begin_late(void *data)
{
    late_start late = *(late_start *)data;
    free(data);
    sleep_ns(delay_ms * MS);
    return late.start(late.argument);
}

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*start)(void *),
                          void *argument)
{
    long number = atomic_fetch_add(&n_starts, 1);
    if (fail_start >= 0 && number >= fail_start)
        return EAGAIN;
    if (delay_ms == 0)
        return __real_pthread_create(id, attributes, start, argument);
    late_start *late = malloc(sizeof *late);
    assert_non_null(late);
    *late = (late_start){start, argument};
    return __real_pthread_create(id, attributes, begin_late, late);
}

static double clock_ms(clockid_t clock)
{
    struct timespec t = {0, 0};
    clock_gettime(clock, &t);
    return 1e3 * (double)t.tv_sec + (double)t.tv_nsec / 1e6;
}

/* One call: how often each item ran, who is inside. */
typedef struct record {
    _Atomic int n_runs[MAX_ITEMS];
    _Atomic int n_inside[MAX_WORKERS];
    _Atomic int n_now, n_most, n_broken;
    uint32_t n_workers;
    size_t fails[3]; /* items */
    size_t n_fails;
    long item_ns;
} record;

static bool rounds_to_nearest(void)
{
    volatile double small = 0x1p-60, one = 1;
    return one + small == one && -one - small == -one;
}

static pluck_status do_item(void *context, uint32_t worker, size_t item, pluck_error *err)
{
    record *r = context;
    int now = atomic_fetch_add(&r->n_now, 1) + 1;
    int most = atomic_load(&r->n_most);
    while (now > most && !atomic_compare_exchange_weak(&r->n_most, &most, now))
        continue;
    if (worker >= r->n_workers || atomic_fetch_add(&r->n_inside[worker], 1) != 0 ||
        !rounds_to_nearest())
        atomic_fetch_add(&r->n_broken, 1);
    atomic_fetch_add(&r->n_runs[item], 1);
    if (r->item_ns > 0)
        sleep_ns(r->item_ns);
    atomic_fetch_sub(&r->n_inside[worker], 1);
    atomic_fetch_sub(&r->n_now, 1);
    for (size_t i = 0; i < r->n_fails; i++)
        if (item == r->fails[i]) {
            err->status = PLUCK_ERR_NAN;
            snprintf(err->message, sizeof err->message, "item %zu broke", item);
            return PLUCK_ERR_NAN;
        }
    return PLUCK_OK;
}

static record *record_create(uint32_t n_workers)
{
    record *r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->n_workers = n_workers;
    return r;
}

static pluck_pool *pool_of(uint32_t n_threads)
{
    pluck_pool *pool = NULL;
    assert_int_equal(pluck_pool_create(&pool, n_threads, NULL, NULL), PLUCK_OK);
    return pool;
}

static bool all_done_once(const record *r, size_t n_items)
{
    for (size_t i = 0; i < MAX_ITEMS; i++)
        if (r->n_runs[i] != (i < n_items))
            return false;
    return r->n_broken == 0;
}

/* True if the items below n_items ran once each, by workers that the pool has. */
static bool runs(pluck_pool *pool, uint32_t n_threads, size_t n_items)
{
    const pluck_parallel *parallel = pluck_pool_parallel(pool);
    record *r = record_create(parallel ? parallel->n_workers : 1);
    size_t failed = 7;
    pluck_status status = plk_parallel_run(parallel, n_threads, n_items, do_item, r, &failed, NULL);
    bool is_right = status == PLUCK_OK && failed == n_items && all_done_once(r, n_items) &&
                    r->n_most <= (int)n_threads;
    free(r);
    return is_right;
}

static void every_item_runs_once(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT_OF(thread_counts); t++) {
        pluck_pool *pool = pool_of(thread_counts[t]);
        for (int round = 0; round < 20; round++)
            for (size_t i = 0; i < COUNT_OF(item_counts); i++)
                for (uint32_t limit = 1; limit <= thread_counts[t]; limit++)
                    assert_true(runs(pool, limit, item_counts[i]));
        pluck_pool_destroy(&pool);
        assert_null(pool);
    }
    pluck_pool *none = NULL;
    pluck_pool_destroy(&none);
    pluck_pool_destroy(NULL);
    assert_true(runs(NULL, 1, 7));
    record *r = record_create(1);
    assert_int_equal(plk_parallel_run(NULL, 8, 7, do_item, r, NULL, NULL), PLUCK_OK);
    assert_true(all_done_once(r, 7));
    free(r);
}

/* A thread that sleeps leaves the processor to the others: so several are inside at once even on
 * one processor. */
static void the_calling_thread_and_others_work_at_once(void **state)
{
    (void)state;
    pluck_pool *pool = pool_of(4);
    const pluck_parallel *parallel = pluck_pool_parallel(pool);
    for (uint32_t limit = 2; limit <= 4; limit++) {
        record *r = record_create(parallel->n_workers);
        r->item_ns = 20 * MS;
        assert_int_equal(plk_parallel_run(parallel, limit, 20, do_item, r, NULL, NULL), PLUCK_OK);
        assert_true(all_done_once(r, 20));
        assert_in_range(r->n_most, 2, limit);
        free(r);
    }
    pluck_pool_destroy(&pool);
}

static void the_lowest_item_that_failed_is_reported(void **state)
{
    (void)state;
    for (size_t t = 0; t < COUNT_OF(thread_counts); t++)
        for (int round = 0; round < 50; round++) {
            record *r = record_create(thread_counts[t]);
            *r = (record){.n_workers = thread_counts[t], .fails = {41, 37, 38}, .n_fails = 3};
            r->item_ns = round % 10 == 0 ? MS / 20 : 0;
            pluck_error err = {.status = PLUCK_OK};
            size_t failed = 0;
            assert_int_equal(
                plk_parallel_over(thread_counts[t], MAX_ITEMS, do_item, r, &failed, NULL, &err),
                PLUCK_ERR_NAN);
            assert_int_equal(failed, 37);
            assert_int_equal(err.status, PLUCK_ERR_NAN);
            assert_string_equal(err.message, "item 37 broke");
            for (size_t i = 0; i <= 37; i++)
                assert_int_equal(r->n_runs[i], 1);
            assert_int_equal(r->n_runs[MAX_ITEMS - 1], 0);
            free(r);
        }
}

static void threads_that_the_system_refuses_are_done_without(void **state)
{
    (void)state;
    for (long n = 0; n <= 7; n++) {
        pluck_pool *pool = pool_of(8);
        n_starts = 0;
        fail_start = n;
        assert_true(runs(pool, 8, MAX_ITEMS));
        /* The system is not asked again and again. */
        assert_int_equal(n_starts, n < 7 ? n + 1 : 7);
        fail_start = -1;
        assert_true(runs(pool, 8, MAX_ITEMS));
        assert_int_equal(n_starts, n < 7 ? n + 1 : 7);
        pluck_pool_destroy(&pool);
    }
}

/* What `child` says in a process of its own: 0, or it is killed after ten seconds. */
static int in_child(int (*child)(pluck_pool *pool), pluck_pool *pool)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(10);
        _exit(child(pool));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int run_refused_by_limit(pluck_pool *pool)
{
    (void)pool;
    struct rlimit none = {0, 0};
    if (setgid(65534) != 0 || setuid(65534) != 0 || setrlimit(RLIMIT_NPROC, &none) != 0)
        return 77;
    pthread_t id;
    if (__real_pthread_create(&id, NULL, begin_late, NULL) == 0)
        return 77;
    pluck_pool *own = NULL;
    if (pluck_pool_create(&own, 4, NULL, NULL) != PLUCK_OK)
        return 1;
    bool is_right = runs(own, 4, MAX_ITEMS);
    pluck_pool_destroy(&own);
    return is_right ? 0 : 2;
}

static void a_limit_of_processes_leaves_the_calling_thread(void **state)
{
    (void)state;
    if (getuid() != 0) {
        print_message("skipped: needs root, to become a user with a limit\n");
        skip();
    }
    int code = in_child(run_refused_by_limit, NULL);
    if (code == 77) {
        print_message("skipped: this system starts threads in spite of RLIMIT_NPROC\n");
        skip();
    }
    assert_int_equal(code, 0);
}

#ifdef CPU_COUNT
/* The processors that this process may use count, not those of the machine. */
static int bind_to_one_processor(pluck_pool *pool)
{
    (void)pool;
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return 77;
    size_t first = 0;
    if (plk_thread_count(0) != (uint32_t)CPU_COUNT(&all))
        return 1;
    while (!CPU_ISSET(first, &all))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        return 77;
    return plk_thread_count(0) == 1 ? 0 : 2;
}

static void a_thread_for_each_processor_that_may_be_used(void **state)
{
    (void)state;
    int code = in_child(bind_to_one_processor, NULL);
    if (code == 77)
        skip();
    assert_int_equal(code, 0);
}
#endif

static int run_and_destroy(pluck_pool *pool)
{
    if (!runs(pool, 4, MAX_ITEMS) || !runs(pool, 4, 7))
        return 1;
    pluck_pool_destroy(&pool);
    return pool ? 2 : 0;
}

static void a_forked_child_runs_serially_and_destroys(void **state)
{
    (void)state;
    pluck_pool *pool = pool_of(4);
    assert_int_equal(in_child(run_and_destroy, pool), 0); /* before any thread was started */
    for (int round = 0; round < 5; round++) {
        assert_true(runs(pool, 4, MAX_ITEMS));
        assert_int_equal(in_child(run_and_destroy, pool), 0);
    }
    assert_true(runs(pool, 4, MAX_ITEMS));
    pluck_pool_destroy(&pool);
}

static void *run_slowly(void *data)
{
    const pluck_parallel *parallel = pluck_pool_parallel(data);
    record *r = record_create(parallel->n_workers);
    r->item_ns = MS / 10;
    plk_parallel_run(parallel, 4, MAX_ITEMS, do_item, r, NULL, NULL);
    bool is_right = all_done_once(r, MAX_ITEMS);
    free(r);
    return is_right ? data : NULL;
}

static void a_child_of_a_fork_in_the_middle_of_a_call_runs_too(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        pluck_pool *pool = pool_of(4);
        pthread_t id;
        void *answer = NULL;
        n_starts = 0;
        assert_int_equal(__real_pthread_create(&id, NULL, run_slowly, pool), 0);
        while (n_starts == 0)
            sleep_ns(MS / 10);
        sleep_ns(round * MS / 2);
        assert_int_equal(in_child(run_and_destroy, pool), 0);
        pthread_join(id, &answer);
        assert_ptr_equal(answer, pool);
        pluck_pool_destroy(&pool);
    }
}

typedef struct nest {
    pluck_pool *pool;
    _Atomic int n_inner, n_other_worker;
} nest;

typedef struct inner {
    nest *outer;
    uint32_t worker;
} inner;

static pluck_status do_inner(void *context, uint32_t worker, size_t item, pluck_error *err)
{
    inner *i = context;
    (void)item;
    (void)err;
    atomic_fetch_add(&i->outer->n_inner, 1);
    if (worker != i->worker)
        atomic_fetch_add(&i->outer->n_other_worker, 1);
    return PLUCK_OK;
}

static pluck_status do_outer(void *context, uint32_t worker, size_t item, pluck_error *err)
{
    nest *n = context;
    const pluck_parallel *parallel = pluck_pool_parallel(n->pool);
    inner i = {n, worker};
    sleep_ns(MS / 10);
    return plk_parallel_run(parallel, 4, item % 3, do_inner, &i, NULL, err);
}

static void calls_from_inside_a_task_run_on_its_worker(void **state)
{
    (void)state;
    nest n = {.pool = pool_of(4)};
    const pluck_parallel *parallel = pluck_pool_parallel(n.pool);
    assert_int_equal(plk_parallel_run(parallel, 4, 300, do_outer, &n, NULL, NULL), PLUCK_OK);
    assert_int_equal(n.n_inner, 300);
    assert_int_equal(n.n_other_worker, 0);
    pluck_pool_destroy(&n.pool);
}

typedef struct meeting {
    pluck_pool *pool;
    _Atomic bool is_inside, is_released;
} meeting;

static pluck_status wait_for_release(void *context, uint32_t worker, size_t item, pluck_error *err)
{
    meeting *m = context;
    (void)worker;
    (void)item;
    (void)err;
    m->is_inside = true;
    while (!m->is_released)
        sleep_ns(MS);
    return PLUCK_OK;
}

static void *hold_the_pool(void *data)
{
    meeting *m = data;
    const pluck_parallel *parallel = pluck_pool_parallel(m->pool);
    plk_parallel_run(parallel, 4, 8, wait_for_release, m, NULL, NULL);
    return NULL;
}

static void a_second_user_does_not_wait_for_the_first(void **state)
{
    (void)state;
    meeting m = {.pool = pool_of(4)};
    pthread_t id;
    assert_int_equal(__real_pthread_create(&id, NULL, hold_the_pool, &m), 0);
    while (!m.is_inside)
        sleep_ns(MS);
    alarm(20);
    for (int round = 0; round < 20; round++)
        assert_true(runs(m.pool, 4, MAX_ITEMS));
    alarm(0);
    m.is_released = true;
    pthread_join(id, NULL);
    assert_true(runs(m.pool, 4, MAX_ITEMS));
    pluck_pool_destroy(&m.pool);
}

static void *run_often(void *data)
{
    bool is_right = true;
    for (int round = 0; round < 200; round++)
        is_right = is_right && runs(data, 4, 50);
    return is_right ? data : NULL;
}

static void many_users_at_once_do_not_disturb_each_other(void **state)
{
    (void)state;
    pluck_pool *pool = pool_of(3);
    pthread_t ids[4];
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        assert_int_equal(__real_pthread_create(&ids[i], NULL, run_often, pool), 0);
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        void *answer = NULL;
        pthread_join(ids[i], &answer);
        assert_ptr_equal(answer, pool);
    }
    pluck_pool_destroy(&pool);
}

typedef struct signal_check {
    pthread_t caller;
    _Atomic int n_open, n_elsewhere;
} signal_check;

static pluck_status look_at_signals(void *context, uint32_t worker, size_t item, pluck_error *err)
{
    signal_check *c = context;
    (void)worker;
    (void)item;
    (void)err;
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGALRM, SIGCHLD, SIGPIPE};
    sleep_ns(5 * MS);
    if (pthread_equal(pthread_self(), c->caller))
        return PLUCK_OK;
    c->n_elsewhere++;
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    for (size_t i = 0; i < COUNT_OF(signals); i++)
        c->n_open += !sigismember(&blocked, signals[i]);
    c->n_open += sigismember(&blocked, SIGBUS) || sigismember(&blocked, SIGSEGV);
    return PLUCK_OK;
}

static void workers_take_no_signals_and_the_caller_keeps_its_mask(void **state)
{
    (void)state;
    sigset_t before, after;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    signal_check c = {.caller = pthread_self()};
    assert_int_equal(plk_parallel_over(4, 40, look_at_signals, &c, NULL, NULL, NULL), PLUCK_OK);
    assert_true(c.n_elsewhere > 0);
    assert_int_equal(c.n_open, 0);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    assert_true(sigismember(&after, SIGUSR2));
    assert_false(sigismember(&after, SIGUSR1));
    sigemptyset(&before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void tasks_round_to_nearest_whatever_the_caller_does(void **state)
{
    (void)state;
    pluck_pool *pool = pool_of(4);
    fesetround(FE_UPWARD);
    bool was_upward = !rounds_to_nearest();
    bool is_right = runs(pool, 4, MAX_ITEMS) && runs(pool, 1, 7);
    bool is_upward = fegetround() == FE_UPWARD && !rounds_to_nearest();
    fesetround(FE_TONEAREST);
    assert_true(was_upward);
    assert_true(is_right);
    assert_true(is_upward);
    pluck_pool_destroy(&pool);
}

/* The calling thread waits 100 ms for a worker's item, and the pool then has nothing to do. */
static void nobody_spins(void **state)
{
    (void)state;
    pluck_pool *pool = pool_of(4);
    assert_true(runs(pool, 4, MAX_ITEMS));
    const pluck_parallel *parallel = pluck_pool_parallel(pool);
    record *r = record_create(parallel->n_workers);
    r->item_ns = 100 * MS;
    double before = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
    assert_int_equal(plk_parallel_run(parallel, 4, 5, do_item, r, NULL, NULL), PLUCK_OK);
    sleep_ns(100 * MS);
    double used = clock_ms(CLOCK_PROCESS_CPUTIME_ID) - before;
    if (used > 30)
        fail_msg("%g ms of processor time for waiting", used);
    free(r);
    pluck_pool_destroy(&pool);
}

static void a_call_does_not_wait_for_threads_that_come_late(void **state)
{
    (void)state;
    pluck_pool *pool = pool_of(4);
    delay_ms = 3000;
    double before = clock_ms(CLOCK_MONOTONIC);
    assert_true(runs(pool, 4, MAX_ITEMS));
    double used = clock_ms(CLOCK_MONOTONIC) - before;
    delay_ms = 0;
    if (used > 2000)
        fail_msg("%g ms, as long as threads took to begin", used);
    pluck_pool_destroy(&pool);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_item_runs_once),
        cmocka_unit_test(the_calling_thread_and_others_work_at_once),
        cmocka_unit_test(the_lowest_item_that_failed_is_reported),
        cmocka_unit_test(threads_that_the_system_refuses_are_done_without),
        cmocka_unit_test(a_limit_of_processes_leaves_the_calling_thread),
#ifdef CPU_COUNT
        cmocka_unit_test(a_thread_for_each_processor_that_may_be_used),
#endif
        cmocka_unit_test(a_forked_child_runs_serially_and_destroys),
        cmocka_unit_test(a_child_of_a_fork_in_the_middle_of_a_call_runs_too),
        cmocka_unit_test(calls_from_inside_a_task_run_on_its_worker),
        cmocka_unit_test(a_second_user_does_not_wait_for_the_first),
        cmocka_unit_test(many_users_at_once_do_not_disturb_each_other),
        cmocka_unit_test(workers_take_no_signals_and_the_caller_keeps_its_mask),
        cmocka_unit_test(tasks_round_to_nearest_whatever_the_caller_does),
        cmocka_unit_test(nobody_spins),
        cmocka_unit_test(a_call_does_not_wait_for_threads_that_come_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
