/*
 * A buffered writer on write(2). A named file is written as ".NAME.XXXXXX" in its own directory and
 * renamed when it is complete, which replaces the old one in one step (POSIX rename); devices and
 * pipes are written in place. A signal handler removes the unfinished files: for that the process
 * keeps their paths in static storage, the only such state of the command.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PATH_MAX
#    define PATH_MAX 4096
#endif

static char watched_paths[OUTPUT_MAX_WATCHED][PATH_MAX];
static volatile sig_atomic_t is_watched[OUTPUT_MAX_WATCHED];

static void on_signal(int signal_number)
{
    for (size_t i = 0; i < OUTPUT_MAX_WATCHED; i++)
        if (is_watched[i])
            unlink(watched_paths[i]);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static const int fatal[] = {SIGINT, SIGTERM, SIGHUP, SIGBUS};

void output_hold_signals(bool hold)
{
    static sigset_t before;
    sigset_t held;
    if (!hold) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        return;
    }
    sigemptyset(&held);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        sigaddset(&held, fatal[i]);
    sigprocmask(SIG_BLOCK, &held, &before);
}

void output_watch_signals(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_signal;
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        struct sigaction old;
        /* nohup and background jobs ignore some: that stays. */
        if (sigaction(fatal[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(fatal[i], &action, NULL);
    }
    /* Ending quietly on a closed pipe does not depend on what the parent ignored. */
    sigaction(SIGPIPE, &action, NULL);
}

bool output_watch(unsigned index, const char *path)
{
    is_watched[index] = 0;
    if (path == NULL)
        return true;
    const size_t size = strlen(path) + 1;
    if (size > sizeof watched_paths[index])
        return false;
    memcpy(watched_paths[index], path, size);
    is_watched[index] = 1;
    return true;
}

static bool same_file(const struct stat *a, const char *path)
{
    struct stat b;
    return path != NULL && strcmp(path, "-") != 0 && stat(path, &b) == 0 && a->st_dev == b.st_dev &&
           a->st_ino == b.st_ino;
}

/* Creates the temporary file next to out->target. */
static int open_temporary(output *out, mode_t mode)
{
    const char *slash = strrchr(out->target, '/');
    const size_t directory = slash == NULL ? 0 : (size_t)(slash - out->target) + 1;
    const size_t size = strlen(out->target) + sizeof "..XXXXXX";
    out->temporary = malloc(size);
    if (out->temporary == NULL)
        return complain_memory(out->who);
    snprintf(out->temporary, size, "%.*s.%s.XXXXXX", (int)directory, out->target,
             out->target + directory);
    if (size > PATH_MAX)
        return complain(out->who, EXIT_SYSTEM, "%s: %s", out->name, strerror(ENAMETOOLONG));

    output_hold_signals(true);
    out->fd = mkstemp(out->temporary);
    const int error_number = errno;
    if (out->fd >= 0)
        (void)output_watch(0, out->temporary);
    output_hold_signals(false);
    if (out->fd < 0)
        return complain(out->who, EXIT_SYSTEM, "%s: cannot create a file next to it: %s", out->name,
                        strerror(error_number));
    /* mkstemp makes it private; a result has the usual permissions. A file system without
     * permissions refuses, which does no harm. */
    if (fchmod(out->fd, mode) != 0)
        errno = 0;
    return EXIT_DONE;
}

bool output_is_input(const char *path, const char *const *inputs, size_t n_inputs)
{
    struct stat old;
    if (stat(path, &old) != 0)
        return false;
    for (size_t i = 0; i < n_inputs; i++)
        if (same_file(&old, inputs[i]))
            return true;
    return false;
}

static int open_file(output *out, const char *path, const char *const *inputs, size_t n_inputs)
{
    const mode_t mask = umask(0);
    umask(mask);
    mode_t mode = 0666 & ~mask;
    struct stat old;
    const bool exists = stat(path, &old) == 0;
    if (exists) {
        if (output_is_input(path, inputs, n_inputs))
            return complain(out->who, EXIT_USAGE, "%s: is an input file too; write to another file",
                            path);
        if (S_ISDIR(old.st_mode))
            return complain(out->who, EXIT_SYSTEM, "%s: %s", path, strerror(EISDIR));
        if (!S_ISREG(old.st_mode)) {
            out->fd = open(path, O_WRONLY);
            return out->fd >= 0 ? EXIT_DONE
                                : complain(out->who, EXIT_SYSTEM, "%s: %s", path, strerror(errno));
        }
        mode = old.st_mode & 0777;
    }
    /* Renaming onto a symbolic link would replace the link: follow it first. */
    out->target = exists ? realpath(path, NULL) : NULL;
    if (out->target == NULL)
        out->target = strdup(path);
    if (out->target == NULL)
        return complain_memory(out->who);
    return open_temporary(out, mode);
}

static void forget(output *out)
{
    (void)output_watch(0, NULL);
    free(out->temporary);
    free(out->target);
    out->temporary = NULL;
    out->target = NULL;
    out->fd = -1;
}

int output_open(output *out, const char *who, const char *path, const char *const *inputs,
                size_t n_inputs)
{
    out->who = who;
    out->fd = -1;
    out->error = 0;
    out->temporary = NULL;
    out->target = NULL;
    out->n = 0;
    if (path == NULL || strcmp(path, "-") == 0) {
        out->name = "standard output";
        out->fd = STDOUT_FILENO;
    } else {
        out->name = path;
        const int code = open_file(out, path, inputs, n_inputs);
        if (code != EXIT_DONE) {
            forget(out);
            return code;
        }
    }
    out->is_terminal = isatty(out->fd) != 0;
    return EXIT_DONE;
}

int output_close(output *out, bool keep)
{
    if (out->fd < 0)
        return EXIT_DONE;
    if (keep || out->temporary == NULL)
        output_flush(out);
    /* Some file systems report a full disk only here. */
    if (close(out->fd) != 0 && out->error == 0 && errno != EINTR)
        out->error = errno;
    if (out->temporary != NULL && keep && out->error == 0 &&
        rename(out->temporary, out->target) != 0)
        out->error = errno;
    if (out->temporary != NULL && (!keep || out->error != 0))
        unlink(out->temporary);
    const int error = out->error;
    forget(out);
    return error == 0 ? EXIT_DONE
                      : complain(out->who, EXIT_SYSTEM, "%s: %s", out->name, strerror(error));
}

static void write_all(output *out, const char *data, size_t n)
{
    while (n > 0 && out->error == 0) {
        const ssize_t written = write(out->fd, data, n);
        if (written >= 0) {
            data += written;
            n -= (size_t)written;
        } else if (errno != EINTR) {
            out->error = errno;
        }
    }
}

void output_flush(output *out)
{
    write_all(out, out->buffer, out->n);
    out->n = 0;
}

void output_write(output *out, const char *data, size_t n)
{
    if (n > OUTPUT_BUFFER_BYTES - out->n)
        output_flush(out);
    if (n > OUTPUT_BUFFER_BYTES) {
        write_all(out, data, n);
        return;
    }
    memcpy(out->buffer + out->n, data, n);
    out->n += n;
}

void output_text(output *out, const char *text)
{
    output_write(out, text, strlen(text));
}

void output_char(output *out, char c)
{
    output_write(out, &c, 1);
}

void output_printf(output *out, const char *format, ...)
{
    va_list values;
    char text[1024];
    va_start(values, format);
    const int n = vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (n >= 0 && (size_t)n < sizeof text) {
        output_write(out, text, (size_t)n);
        return;
    }
    char *const whole = n >= 0 ? malloc((size_t)n + 1) : NULL;
    if (whole == NULL) {
        out->error = out->error != 0 ? out->error : errno;
        return;
    }
    va_start(values, format);
    vsnprintf(whole, (size_t)n + 1, format, values);
    va_end(values);
    output_write(out, whole, (size_t)n);
    free(whole);
}
