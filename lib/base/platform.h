/*
 * The system that the program runs on: words for its errors, random bytes, clocks, processors,
 * threads. The files of POSIX, those of Windows, or platform_posix.c and what differs on WASI
 * define what this header, platform_file.h and platform_program.h declare. No other file of lib/
 * and cli/ includes headers of a system or asks which system it is.
 *
 * A function that can fail returns 0 or an error code. Codes are for plk_system_message(), which
 * also knows the values of <errno.h>. Where a caller decides by a code, the function names it, and
 * that code is the one of <errno.h> on every system.
 */
#ifndef PLK_PLATFORM_H
#define PLK_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What code means, in UTF-8, without a newline, cut to size bytes with its NUL. "" if nothing is
 * known. Safe in any thread. */
void plk_system_message(int code, char *text, size_t size);

/* Fills bytes with random numbers that nobody can predict. */
int plk_random_bytes(void *bytes, size_t n_bytes);

/* Nanoseconds since some moment, which no change of the date affects. */
uint64_t plk_clock_ns(void);

/* Nanoseconds for which a processor has worked on the calling thread, or on the process where
 * threads are not told apart. */
uint64_t plk_thread_cpu_ns(void);

/* Pauses the calling thread for about that long. */
void plk_sleep_ns(uint64_t ns);

/* How many processors this process may use: at least 1. */
uint32_t plk_processor_count(void);

/* The number of the process, another one after a fork. Never 0. */
uint64_t plk_process_id(void);

/*
 * Threads. The structs have room for what any system keeps in them; they stay where they are while
 * they are used. Locking and waiting cannot fail.
 */
enum { PLK_PLATFORM_WORDS = 8 };

typedef union plk_platform_room {
    void *pointers[PLK_PLATFORM_WORDS];
    uint64_t words[PLK_PLATFORM_WORDS];
} plk_platform_room;

typedef struct plk_thread {
    void (*main)(void *argument);
    void *argument;
    plk_platform_room room;
} plk_thread;

typedef struct plk_mutex {
    plk_platform_room room;
} plk_mutex;

typedef struct plk_condition {
    plk_platform_room room;
} plk_condition;

/* Runs main(argument) on a thread of at least stack_bytes of stack. No signal that somebody sends
 * is handled on it: all are blocked but those of its own faults. Fails if the system refuses one,
 * and always where it has no threads; then there is nothing to join. */
int plk_thread_start(plk_thread *thread, void (*main)(void *argument), void *argument,
                     size_t stack_bytes);

/* Waits until main() has returned. */
void plk_thread_join(plk_thread *thread);

/* Whether the caller runs on that thread, which was started and not joined. */
bool plk_thread_is_current(const plk_thread *thread);

void plk_mutex_init(plk_mutex *mutex);
void plk_mutex_destroy(plk_mutex *mutex);
void plk_mutex_lock(plk_mutex *mutex);
void plk_mutex_unlock(plk_mutex *mutex);

/* As the condition variables of POSIX: plk_condition_wait() may return without a reason. */
void plk_condition_init(plk_condition *condition);
void plk_condition_destroy(plk_condition *condition);
void plk_condition_wait(plk_condition *condition, plk_mutex *mutex);
void plk_condition_signal(plk_condition *condition);
void plk_condition_broadcast(plk_condition *condition);

#endif
