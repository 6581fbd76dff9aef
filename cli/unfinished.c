/*
 * A signal handler may call unlink() but nothing that allocates: for that the process keeps the
 * paths in static storage, the only such state of the command. Afterwards the signal does what it
 * would have done, so that the parent sees its number.
 */
#include "unfinished.h"

#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#ifndef PATH_MAX
#    define PATH_MAX 4096
#endif

enum { MAX_FILES = 8 };

static char paths[MAX_FILES][PATH_MAX];
static volatile sig_atomic_t is_used[MAX_FILES];

/* What ends a process, except for faults of the program itself, SIGBUS (see shortened.h) and
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
