/*
 * A signal handler may call unlink() but nothing that allocates: for that the process keeps the
 * paths in static storage. Afterwards the signal does what it would have done, so that the parent
 * sees its number.
 *
 * The system says SIGBUS, and where in memory, but not in which file. stat() may be called by a
 * signal handler: the file that is shorter now than before it was opened is the one.
 *
 * The handler runs on the thread that read. Threads of the library leave SIGBUS open for that.
 * Several of them may meet the end of the file at once: the first one speaks, the others wait for
 * it to end the process.
 */
#include "run_files.h"

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PATH_MAX
#    define PATH_MAX 4096
#endif

enum { MAX_FILES = 8 };

static char paths[MAX_FILES][PATH_MAX];
static volatile sig_atomic_t is_used[MAX_FILES];

/* What ends a process, except for faults of the program itself, SIGBUS (see on_bus_error()) and
 * SIGKILL. */
static const int fatal[] = {SIGINT,  SIGTERM, SIGHUP,    SIGQUIT, SIGXFSZ, SIGXCPU, SIGALRM,
                            SIGUSR1, SIGUSR2, SIGVTALRM, SIGPROF, SIGABRT, SIGPIPE};

static void fill(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        sigaddset(set, fatal[i]);
}

void unfinished_unlink(void)
{
    for (size_t i = 0; i < MAX_FILES; i++)
        if (is_used[i] != 0)
            unlink(paths[i]);
}

static void on_signal(int number)
{
    unfinished_unlink();
    signal(number, SIG_DFL);
    raise(number);
}

void unfinished_watch_signals(void)
{
    struct sigaction action, old;
    memset(&action, 0, sizeof action);
    fill(&action.sa_mask);
    action.sa_handler = on_signal;
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        /* nohup and background jobs ignore some: that stays. Ending quietly on a closed pipe does
         * not depend on what the parent ignored. */
        if (fatal[i] == SIGPIPE ||
            (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN))
            sigaction(fatal[i], &action, NULL);
    }
}

int unfinished_add(const char *path)
{
    size_t size = strlen(path) + 1;
    for (int i = 0; i < MAX_FILES && size <= PATH_MAX; i++) {
        if (is_used[i] != 0)
            continue;
        memcpy(paths[i], path, size);
        is_used[i] = 1;
        return i;
    }
    return -1;
}

void unfinished_remove(int number)
{
    if (number >= 0)
        is_used[number] = 0;
}

void unfinished_hold_signals(bool hold)
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

typedef struct watched {
    const char *path;
    off_t size;
} watched;

static watched *files;
static size_t n_files;
static atomic_flag someone_speaks = ATOMIC_FLAG_INIT;

/* A line that is put together without memory from the system; what does not fit is cut. */
typedef struct line {
    char text[1024];
    size_t n;
} line;

static bool acts_on_terminals(const unsigned char *c)
{
    if (c[0] < 0x20 || c[0] == 0x7f)
        return true;
    /* U+0080-9F, and the marks of direction U+202A-E, U+2066-9. */
    return (c[0] == 0xc2 && c[1] < 0xa0) ||
           (c[0] == 0xe2 && ((c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) ||
                             (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9)));
}

static void add(line *l, const char *text)
{
    for (const char *c = text; *c != '\0' && l->n < sizeof l->text; c++)
        l->text[l->n++] = acts_on_terminals((const unsigned char *)c) ? '?' : *c;
}

static const char *shortened_file(void)
{
    for (size_t i = 0; i < n_files; i++) {
        struct stat info;
        if (stat(files[i].path, &info) == 0 && info.st_size < files[i].size)
            return files[i].path;
    }
    return NULL;
}

static void on_bus_error(int number, siginfo_t *info, void *where)
{
    (void)where;
    while (atomic_flag_test_and_set(&someone_speaks))
        pause();
    unfinished_unlink();
    /* Sent by a process: ends this one as other signals do. */
    if (info->si_code <= 0) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    /* The control sequence takes a progress bar away. */
    line l = {.text = "\r\033[K", .n = isatty(STDERR_FILENO) ? 4 : 0};
    const char *path = shortened_file();
    add(&l, message_who());
    add(&l, ": ");
    add(&l, path ? path : "an input file");
    add(&l,
        path ? ": became shorter while it was read; " : ": a part of it can no longer be read; ");
    add(&l, "--no-map reads files whole before their first use");
    if (l.n == sizeof l.text)
        l.n--;
    l.text[l.n++] = '\n';
    ptrdiff_t written = write(STDERR_FILENO, l.text, l.n);
    (void)written;
    _exit(EXIT_DATA);
}

void shortened_watch_signal(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigfillset(&action.sa_mask);
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = on_bus_error;
    sigaction(SIGBUS, &action, NULL);
}

void shortened_watch_files(const char *const *inputs, size_t n)
{
    watched *old = files;
    n_files = 0;
    files = malloc((n > 0 ? n : 1) * sizeof *files);
    for (size_t i = 0; i < n && files; i++) {
        struct stat info;
        if (stat(inputs[i], &info) == 0 && S_ISREG(info.st_mode))
            files[n_files++] = (watched){inputs[i], info.st_size};
    }
    free(old);
}
