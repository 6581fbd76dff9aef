/*
 * The system by POSIX 2008, as WASI does not have it: random bytes, rights of files, mappings,
 * processors, threads. Where a system lacks what others have, something that all have stands in for
 * it: for getentropy(), madvise(), sched_getaffinity().
 */
#define _GNU_SOURCE       1  /* getentropy(), madvise() and sched_getaffinity() of glibc and musl */
#define _FILE_OFFSET_BITS 64 /* of 32-bit systems */
#define _DARWIN_C_SOURCE  1  /* getentropy() and madvise() of macOS */
#include "base/platform.h"
#include "base/platform_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__has_include)
#    if __has_include(<sys/random.h>)
#        include <sys/random.h>
#    endif
#endif

_Static_assert(sizeof(pthread_t) <= sizeof(plk_platform_room), "a thread has room");
_Static_assert(sizeof(pthread_mutex_t) <= sizeof(plk_platform_room), "a mutex has room");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(plk_platform_room), "a condition has room");

static int read_urandom(unsigned char *bytes, size_t n_bytes)
{
    int descriptor = -1;
    int code = plk_file_open("/dev/urandom", PLK_OPEN_READ, &descriptor);
    if (code != 0)
        return code;
    while (n_bytes > 0 && code == 0) {
        size_t n = 0;
        code = plk_file_read(descriptor, bytes, n_bytes, &n);
        if (code == 0 && n == 0)
            code = EIO;
        bytes += n;
        n_bytes -= n;
    }
    (void)plk_file_close(descriptor);
    return code;
}

int plk_random_bytes(void *bytes, size_t n_bytes)
{
    unsigned char *to = bytes;
/* PLK_NO_GETENTROPY is for tests: as on a system without that function. */
#ifndef PLK_NO_GETENTROPY
    /* It gives at most 256 bytes. */
    while (n_bytes > 0) {
        size_t n = n_bytes < 256 ? n_bytes : 256;
        if (getentropy(to, n) != 0)
            break;
        to += n;
        n_bytes -= n;
    }
#endif
    return n_bytes > 0 ? read_urandom(to, n_bytes) : 0;
}

int plk_file_keep_rights(int descriptor, const plk_file_info *old, const char **what)
{
    plk_file_info made;
    *what = "cannot be created";
    int code = plk_descriptor_info(descriptor, &made);
    if (code != 0)
        return code;
    /* Only root can give a file away; for others the new file is theirs. */
    *what = "its owner cannot be kept";
    if ((made.owner != old->owner || made.group != old->group) &&
        fchown(descriptor, (uid_t)old->owner, (gid_t)old->group) != 0 && errno != EPERM &&
        errno != EINVAL)
        return errno;
    /* A file system without permissions refuses, which does no harm. */
    *what = "its mode cannot be kept";
    if (made.mode != old->mode && fchmod(descriptor, (mode_t)old->mode) != 0 && errno != EPERM &&
        errno != EINVAL && errno != ENOTSUP && errno != ENOSYS)
        return errno;
    return 0;
}

int plk_file_duplicate(int descriptor, int *copy)
{
    *copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    return *copy < 0 ? errno : 0;
}

int plk_map_open(plk_map *map, int descriptor, size_t size_bytes)
{
    *map = (plk_map){.bytes = NULL};
    void *bytes = mmap(NULL, size_bytes, PROT_READ, MAP_SHARED, descriptor, 0);
    if (bytes == MAP_FAILED)
        return errno == ENODEV ? ENOTSUP : errno;
    *map = (plk_map){bytes, size_bytes};
    return 0;
}

void plk_map_drop(const plk_map *map, uint64_t offset_bytes, uint64_t n_bytes)
{
    if (offset_bytes >= map->size_bytes)
        return;
    uint64_t left = map->size_bytes - offset_bytes;
    size_t n = (size_t)(n_bytes < left ? n_bytes : left);
    void *at = (void *)(uintptr_t)(map->bytes + offset_bytes);
    /* Advice only: a refusal costs memory, not correctness. */
#ifdef MADV_DONTNEED
    (void)madvise(at, n, MADV_DONTNEED);
#else
    (void)posix_madvise(at, n, POSIX_MADV_DONTNEED);
#endif
}

void plk_map_close(plk_map *map)
{
    if (map->bytes)
        (void)munmap((void *)(uintptr_t)map->bytes, map->size_bytes);
    *map = (plk_map){.bytes = NULL};
}

uint32_t plk_processor_count(void)
{
    long n = 0;
#ifdef CPU_COUNT
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
#endif
    if (n < 1)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : (uint32_t)n;
}

uint64_t plk_process_id(void)
{
    return (uint64_t)getpid();
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

static void *thread_main(void *argument)
{
    const plk_thread *thread = argument;
    thread->main(thread->argument);
    return NULL;
}

/* The memory in which a struct keeps what the system knows of it. */
static pthread_t *id_of(const plk_thread *thread)
{
    return (pthread_t *)(uintptr_t)&thread->room;
}

static pthread_mutex_t *system_mutex(plk_mutex *mutex)
{
    return (pthread_mutex_t *)(void *)&mutex->room;
}

static pthread_cond_t *system_condition(plk_condition *condition)
{
    return (pthread_cond_t *)(void *)&condition->room;
}

int plk_thread_start(plk_thread *thread, void (*main)(void *argument), void *argument,
                     size_t stack_bytes)
{
    pthread_attr_t attributes;
    sigset_t before;
    int code = pthread_attr_init(&attributes);
    if (code != 0)
        return code;
#ifdef PTHREAD_STACK_MIN
    if (stack_bytes < (size_t)PTHREAD_STACK_MIN)
        stack_bytes = (size_t)PTHREAD_STACK_MIN;
#endif
    pthread_attr_setstacksize(&attributes, stack_bytes);
    thread->main = main;
    thread->argument = argument;
    /* It inherits the blocked signals. */
    block_signals(&before);
    code = pthread_create(id_of(thread), &attributes, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return code;
}

void plk_thread_join(plk_thread *thread)
{
    (void)pthread_join(*id_of(thread), NULL);
}

bool plk_thread_is_current(const plk_thread *thread)
{
    return pthread_equal(*id_of(thread), pthread_self()) != 0;
}

void plk_mutex_init(plk_mutex *mutex)
{
    (void)pthread_mutex_init(system_mutex(mutex), NULL);
}

void plk_mutex_destroy(plk_mutex *mutex)
{
    (void)pthread_mutex_destroy(system_mutex(mutex));
}

void plk_mutex_lock(plk_mutex *mutex)
{
    (void)pthread_mutex_lock(system_mutex(mutex));
}

void plk_mutex_unlock(plk_mutex *mutex)
{
    (void)pthread_mutex_unlock(system_mutex(mutex));
}

void plk_condition_init(plk_condition *condition)
{
    (void)pthread_cond_init(system_condition(condition), NULL);
}

void plk_condition_destroy(plk_condition *condition)
{
    (void)pthread_cond_destroy(system_condition(condition));
}

void plk_condition_wait(plk_condition *condition, plk_mutex *mutex)
{
    (void)pthread_cond_wait(system_condition(condition), system_mutex(mutex));
}

void plk_condition_signal(plk_condition *condition)
{
    (void)pthread_cond_signal(system_condition(condition));
}

void plk_condition_broadcast(plk_condition *condition)
{
    (void)pthread_cond_broadcast(system_condition(condition));
}
