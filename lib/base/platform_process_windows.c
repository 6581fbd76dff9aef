/*
 * The system by Windows 8 or later: processors, threads, the process, its console and how it ends.
 *
 * Ctrl+C runs a handler on a thread of its own while the others go on. So the handler cleans up and
 * ends the process at once, with the status that Windows gives to one that Ctrl+C ended; a lock
 * stands for signals that wait.
 *
 * No file becomes shorter while it is mapped, because Windows refuses that.
 */
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0602
#include "base/platform.h"
#include "base/platform_file.h"
#include "base/platform_program.h"

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

#include <shellapi.h>

enum { N_STREAMS = PLK_STDERR + 1 };

_Static_assert(sizeof(SRWLOCK) <= sizeof(plk_platform_room), "a mutex has room");
_Static_assert(sizeof(CONDITION_VARIABLE) <= sizeof(plk_platform_room), "a condition has room");

uint32_t plk_processor_count(void)
{
    DWORD_PTR own = 0, all = 0;
    /* With more than 64 processors the mask is that of one group, and threads use all. */
    if (GetActiveProcessorGroupCount() > 1 ||
        !GetProcessAffinityMask(GetCurrentProcess(), &own, &all) || own == 0)
        return GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    uint32_t n = 0;
    for (; own != 0; own &= own - 1)
        n++;
    return n;
}

uint64_t plk_process_id(void)
{
    return GetCurrentProcessId();
}

/* The words of a thread: its handle and its number. */
static unsigned __stdcall thread_main(void *argument)
{
    const plk_thread *thread = argument;
    thread->main(thread->argument);
    return 0;
}

int plk_thread_start(plk_thread *thread, void (*main)(void *argument), void *argument,
                     size_t stack_bytes)
{
    unsigned number = 0;
    thread->main = main;
    thread->argument = argument;
    uintptr_t handle = _beginthreadex(NULL, (unsigned)stack_bytes, thread_main, thread,
                                      STACK_SIZE_PARAM_IS_A_RESERVATION, &number);
    if (handle == 0)
        return errno;
    thread->room.words[0] = handle;
    thread->room.words[1] = number;
    return 0;
}

void plk_thread_join(plk_thread *thread)
{
    HANDLE handle = (HANDLE)(uintptr_t)thread->room.words[0];
    WaitForSingleObject(handle, INFINITE);
    CloseHandle(handle);
}

bool plk_thread_is_current(const plk_thread *thread)
{
    return thread->room.words[1] == GetCurrentThreadId();
}

static SRWLOCK *system_mutex(plk_mutex *mutex)
{
    return (SRWLOCK *)(void *)&mutex->room;
}

static CONDITION_VARIABLE *system_condition(plk_condition *condition)
{
    return (CONDITION_VARIABLE *)(void *)&condition->room;
}

void plk_mutex_init(plk_mutex *mutex)
{
    InitializeSRWLock(system_mutex(mutex));
}

void plk_mutex_destroy(plk_mutex *mutex)
{
    (void)mutex;
}

void plk_mutex_lock(plk_mutex *mutex)
{
    AcquireSRWLockExclusive(system_mutex(mutex));
}

void plk_mutex_unlock(plk_mutex *mutex)
{
    ReleaseSRWLockExclusive(system_mutex(mutex));
}

void plk_condition_init(plk_condition *condition)
{
    InitializeConditionVariable(system_condition(condition));
}

void plk_condition_destroy(plk_condition *condition)
{
    (void)condition;
}

void plk_condition_wait(plk_condition *condition, plk_mutex *mutex)
{
    (void)SleepConditionVariableSRW(system_condition(condition), system_mutex(mutex), INFINITE, 0);
}

void plk_condition_signal(plk_condition *condition)
{
    WakeConditionVariable(system_condition(condition));
}

void plk_condition_broadcast(plk_condition *condition)
{
    WakeAllConditionVariable(system_condition(condition));
}

/* The console as it was, which other programs go on using. */
static UINT old_code_page;
static DWORD old_modes[N_STREAMS];
static bool had_mode[N_STREAMS];

static HANDLE handle_of(int descriptor)
{
    return (HANDLE)_get_osfhandle(descriptor);
}

static void restore_console(void)
{
    for (int i = PLK_STDOUT; i < N_STREAMS; i++)
        if (had_mode[i])
            SetConsoleMode(handle_of(i), old_modes[i]);
    if (old_code_page != 0)
        SetConsoleOutputCP(old_code_page);
}

static void prepare_console(void)
{
    for (int i = PLK_STDOUT; i < N_STREAMS; i++) {
        had_mode[i] = GetConsoleMode(handle_of(i), &old_modes[i]) != 0;
        if (had_mode[i])
            SetConsoleMode(handle_of(i), old_modes[i] | ENABLE_VIRTUAL_TERMINAL_PROCESSING);
    }
    old_code_page = GetConsoleOutputCP();
    SetConsoleOutputCP(CP_UTF8);
    atexit(restore_console);
}

/* The words of the command line in UTF-8, in one block that stays until the process ends. */
static bool read_words(int *argc, char ***argv)
{
    int n = 0;
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), &n);
    if (!wide)
        return false;
    size_t size = ((size_t)n + 1) * sizeof(char *), used = size;
    for (int i = 0; i < n; i++)
        size += (size_t)WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, NULL, 0, NULL, NULL);
    char *block = calloc(size, 1);
    char **words = (char **)(void *)block;
    for (int i = 0; i < n && block; i++) {
        words[i] = block + used;
        used += (size_t)WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, words[i], (int)(size - used),
                                            NULL, NULL);
    }
    LocalFree(wide);
    *argc = n;
    *argv = words;
    return block != NULL;
}

/* A stream that the parent closed becomes the null device, opened the wrong way round, so that
 * using it is still an error. */
static bool reserve_stream(int i)
{
    if (GetFileType(handle_of(i)) != FILE_TYPE_UNKNOWN)
        return true;
    int null = _open("NUL", (i == PLK_STDIN ? _O_WRONLY : _O_RDONLY) | _O_BINARY | _O_NOINHERIT);
    if (null < 0 || null == i)
        return null == i;
    bool is_done = _dup2(null, i) == 0;
    (void)_close(null);
    return is_done;
}

bool plk_program_start(int *argc, char ***argv)
{
    for (int i = PLK_STDIN; i < N_STREAMS; i++) {
        if (!reserve_stream(i))
            return false;
        (void)_setmode(i, _O_BINARY);
    }
    /* The C library keeps messages back where they do not go to a console. */
    (void)setvbuf(stderr, NULL, _IONBF, 0);
    prepare_console();
    return read_words(argc, argv);
}

/* Other threads go on while a process ends in the usual way. */
void plk_program_exit(int code)
{
    restore_console();
    TerminateProcess(GetCurrentProcess(), (UINT)code);
    abort();
}

bool plk_is_terminal(int descriptor)
{
    DWORD mode = 0;
    return GetConsoleMode(handle_of(descriptor), &mode) != 0 &&
           (mode & ENABLE_VIRTUAL_TERMINAL_PROCESSING) != 0;
}

unsigned plk_terminal_columns(int descriptor)
{
    CONSOLE_SCREEN_BUFFER_INFO info;
    if (!GetConsoleScreenBufferInfo(handle_of(descriptor), &info))
        return 0;
    return (unsigned)(info.srWindow.Right - info.srWindow.Left + 1);
}

/* The console was told so, and files and pipes have what is written; but as elsewhere the variables
 * may ask for the locale "C". */
bool plk_locale_is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value != '\0')
            return strcmp(value, "C") != 0 && strcmp(value, "POSIX") != 0;
    }
    return true;
}

static SRWLOCK hold_lock = SRWLOCK_INIT;
static void (*clean_up)(void);
static atomic_bool is_catching, is_caught;

static BOOL WINAPI on_control(DWORD event)
{
    bool is_key = event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT;
    if (is_key && atomic_exchange(&is_catching, false)) {
        atomic_store(&is_caught, true);
        return TRUE;
    }
    AcquireSRWLockExclusive(&hold_lock);
    clean_up();
    plk_interrupt_end();
    return TRUE;
}

void plk_signals_watch(void (*clean)(void))
{
    if (!clean_up)
        SetConsoleCtrlHandler(on_control, TRUE);
    clean_up = clean;
    atomic_store(&is_catching, false);
}

void plk_signals_hold(bool hold)
{
    if (hold)
        AcquireSRWLockExclusive(&hold_lock);
    else
        ReleaseSRWLockExclusive(&hold_lock);
}

void plk_interrupt_catch(void)
{
    atomic_store(&is_catching, true);
}

bool plk_interrupt_is_caught(void)
{
    return atomic_load(&is_caught);
}

void plk_interrupt_end(void)
{
    plk_program_exit((int)STATUS_CONTROL_C_EXIT);
}

void plk_map_fault_watch(void (*report)(void))
{
    (void)report;
}

void plk_error_write(const char *text, size_t n)
{
    (void)plk_file_write(PLK_STDERR, text, n);
}
