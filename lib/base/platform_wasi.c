/*
 * The system by WASI (preview 1), what differs from POSIX: no threads, no mappings, no signals, one
 * process, and rights that belong to folders instead of files. Everything here is small, so that a
 * module imports only what it uses.
 */
#define _DEFAULT_SOURCE 1 /* getentropy() */
#include "base/platform.h"
#include "base/platform_file.h"
#include "base/platform_program.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int plk_random_bytes(void *bytes, size_t n_bytes)
{
    unsigned char *to = bytes;
    while (n_bytes > 0) {
        size_t n = n_bytes < 256 ? n_bytes : 256; /* what one call gives */
        if (getentropy(to, n) != 0)
            return errno;
        to += n;
        n_bytes -= n;
    }
    return 0;
}

int plk_file_keep_rights(int descriptor, const plk_file_info *old, const char **what)
{
    (void)descriptor;
    (void)old;
    *what = NULL;
    return 0;
}

int plk_file_duplicate(int descriptor, int *copy)
{
    (void)descriptor;
    *copy = -1;
    return ENOTSUP;
}

int plk_map_open(plk_map *map, int descriptor, size_t size_bytes)
{
    (void)descriptor;
    (void)size_bytes;
    *map = (plk_map){.bytes = NULL};
    return ENOTSUP;
}

void plk_map_drop(const plk_map *map, uint64_t offset_bytes, uint64_t n_bytes)
{
    (void)map;
    (void)offset_bytes;
    (void)n_bytes;
}

void plk_map_close(plk_map *map)
{
    *map = (plk_map){.bytes = NULL};
}

uint32_t plk_processor_count(void)
{
    return 1;
}

uint64_t plk_process_id(void)
{
    return 1;
}

int plk_thread_start(plk_thread *thread, void (*main)(void *argument), void *argument,
                     size_t stack_bytes)
{
    (void)thread;
    (void)main;
    (void)argument;
    (void)stack_bytes;
    return ENOTSUP;
}

void plk_thread_join(plk_thread *thread)
{
    (void)thread;
}

bool plk_thread_is_current(const plk_thread *thread)
{
    (void)thread;
    return false;
}

void plk_mutex_init(plk_mutex *mutex)
{
    (void)mutex;
}

void plk_mutex_destroy(plk_mutex *mutex)
{
    (void)mutex;
}

void plk_mutex_lock(plk_mutex *mutex)
{
    (void)mutex;
}

void plk_mutex_unlock(plk_mutex *mutex)
{
    (void)mutex;
}

void plk_condition_init(plk_condition *condition)
{
    (void)condition;
}

void plk_condition_destroy(plk_condition *condition)
{
    (void)condition;
}

void plk_condition_wait(plk_condition *condition, plk_mutex *mutex)
{
    (void)condition;
    (void)mutex;
}

void plk_condition_signal(plk_condition *condition)
{
    (void)condition;
}

void plk_condition_broadcast(plk_condition *condition)
{
    (void)condition;
}

bool plk_program_start(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return true;
}

void plk_program_exit(int code)
{
    _Exit(code);
}

bool plk_is_terminal(int descriptor)
{
    return isatty(descriptor) != 0;
}

unsigned plk_terminal_columns(int descriptor)
{
    (void)descriptor;
    return 0;
}

bool plk_locale_is_utf8(void)
{
    return true;
}

void plk_signals_watch(void (*clean)(void))
{
    (void)clean;
}

void plk_signals_hold(bool hold)
{
    (void)hold;
}

void plk_interrupt_catch(void)
{
}

bool plk_interrupt_is_caught(void)
{
    return false;
}

void plk_interrupt_end(void)
{
}

void plk_map_fault_watch(void (*report)(void))
{
    (void)report;
}

void plk_error_write(const char *text, size_t n)
{
    (void)plk_file_write(PLK_STDERR, text, n);
}
