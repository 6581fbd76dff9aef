/*
 * The process by POSIX 2008: its streams, its terminal and its signals. They are for the command; a
 * library leaves them to the program.
 *
 * Signals. A handler may call unlink() and stat(), but nothing that allocates. Afterwards a signal
 * does what it would have done, so that the parent sees its number.
 *
 * The system says SIGBUS on the thread that read; the threads of this library leave it open for
 * that. Several may meet the end of a file at once: the first one speaks, the others wait for it to
 * end the process.
 */
#define _GNU_SOURCE      1 /* TIOCGWINSZ */
#define _DARWIN_C_SOURCE 1 /* ditto on macOS */
#include "base/platform_program.h"

#include "base/platform_file.h"

#include <fcntl.h>
#include <langinfo.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool plk_program_start(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    /* The replacement is opened the wrong way round, so that using it is still an error. */
    for (int i = PLK_STDIN; i <= PLK_STDERR; i++)
        if (fcntl(i, F_GETFD) < 0 && open("/dev/null", i == PLK_STDIN ? O_WRONLY : O_RDONLY) != i)
            return false;
    return true;
}

void plk_program_exit(int code)
{
    _exit(code);
}

bool plk_is_terminal(int descriptor)
{
    return isatty(descriptor) != 0;
}

unsigned plk_terminal_columns(int descriptor)
{
    struct winsize size;
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

bool plk_locale_is_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* What ends a process, except for faults of the program itself, SIGBUS (see on_bus_error()) and
 * SIGKILL. */
static const int fatal[] = {SIGINT,  SIGTERM, SIGHUP,    SIGQUIT, SIGXFSZ, SIGXCPU, SIGALRM,
                            SIGUSR1, SIGUSR2, SIGVTALRM, SIGPROF, SIGABRT, SIGPIPE};

static void (*clean_up)(void), (*report_fault)(void);
static volatile sig_atomic_t caught_signal;
static atomic_flag someone_speaks = ATOMIC_FLAG_INIT;

static void fill(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        sigaddset(set, fatal[i]);
}

static void end_by(int number)
{
    signal(number, SIG_DFL);
    raise(number);
}

static void on_signal(int number)
{
    clean_up();
    end_by(number);
}

static bool is_ignored(int number)
{
    struct sigaction old;
    return sigaction(number, NULL, &old) != 0 || old.sa_handler == SIG_IGN;
}

void plk_signals_watch(void (*clean)(void))
{
    struct sigaction action;
    clean_up = clean;
    memset(&action, 0, sizeof action);
    fill(&action.sa_mask);
    action.sa_handler = on_signal;
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        if (fatal[i] == SIGPIPE || !is_ignored(fatal[i]))
            sigaction(fatal[i], &action, NULL);
}

void plk_signals_hold(bool hold)
{
    static sigset_t before;
    sigset_t held;
    if (!hold) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        return;
    }
    fill(&held);
    /* Nothing that a mapped file could do comes in between, but somebody may send it. */
    sigaddset(&held, SIGBUS);
    sigprocmask(SIG_BLOCK, &held, &before);
}

static void on_interrupt(int number)
{
    caught_signal = number;
    plk_signals_watch(clean_up);
}

void plk_interrupt_catch(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_interrupt;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!is_ignored(numbers[i]))
            sigaction(numbers[i], &action, NULL);
}

bool plk_interrupt_is_caught(void)
{
    return caught_signal != 0;
}

void plk_interrupt_end(void)
{
    end_by(caught_signal);
}

static void on_bus_error(int number, siginfo_t *info, void *where)
{
    (void)where;
    while (atomic_flag_test_and_set(&someone_speaks))
        pause();
    if (info->si_code > 0) {
        report_fault();
        return;
    }
    /* Sent by a process. */
    clean_up();
    end_by(number);
}

void plk_map_fault_watch(void (*report)(void))
{
    struct sigaction action;
    report_fault = report;
    memset(&action, 0, sizeof action);
    sigfillset(&action.sa_mask);
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = on_bus_error;
    sigaction(SIGBUS, &action, NULL);
}

void plk_error_write(const char *text, size_t n)
{
    ssize_t written = write(STDERR_FILENO, text, n);
    (void)written;
}
