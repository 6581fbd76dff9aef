/*
 * A library in front of libc: linked by a test, or named in LD_PRELOAD with the variable
 * PLUCK_FAULT, "function:nth:error_number".
 */
#define _GNU_SOURCE
#include "fault/system_faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DESCRIPTORS = 1024 };

static char armed[32];
static int wanted, fails_with, n_calls;
static bool is_new[MAX_DESCRIPTORS];

#pragma GCC visibility push(default)

void fault_arm(const char *function, int nth, int error_number)
{
    armed[0] = '\0';
    if (function)
        strncat(armed, function, sizeof armed - 1);
    wanted = nth;
    fails_with = error_number;
    n_calls = 0;
}

int fault_calls(void)
{
    return n_calls;
}

__attribute__((constructor)) static void arm_by_environment(void)
{
    const char *text = getenv("PLUCK_FAULT");
    const char *colon = text ? strchr(text, ':') : NULL;
    const char *second = colon ? strchr(colon + 1, ':') : NULL;
    char function[32] = "";
    if (!second || (size_t)(colon - text) >= sizeof function)
        return;
    memcpy(function, text, (size_t)(colon - text));
    fault_arm(function, atoi(colon + 1), atoi(second + 1));
}

static bool strikes(const char *function)
{
    if (strcmp(armed, function) != 0 || ++n_calls != wanted)
        return false;
    if (fails_with < 0 && fails_with > -100) {
        raise(-fails_with);
        return false;
    }
    errno = fails_with;
    return fails_with != FAULT_SHORT;
}

/* The function behind ours, as a pointer of any type (POSIX allows the way through an object). */
static void find(const char *function, void *pointer)
{
    void *found = dlsym(RTLD_NEXT, function);
    memcpy(pointer, &found, sizeof found);
}

int open(const char *path, int flags, ...)
{
    int (*next)(const char *, int, ...);
    mode_t mode = 0;
    if (flags & O_CREAT) {
        va_list arguments;
        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    if (strikes(flags & O_CREAT ? "create" : flags & O_DIRECTORY ? "open_directory" : "open"))
        return -1;
    find("open", &next);
    int fd = next(path, flags, mode);
    if (fd >= 0 && fd < MAX_DESCRIPTORS)
        is_new[fd] = (flags & O_CREAT) != 0;
    return fd;
}

static bool was_made(int fd)
{
    return fd >= 0 && fd < MAX_DESCRIPTORS && is_new[fd];
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    ssize_t (*next)(int, const void *, size_t);
    if (was_made(fd) && strikes("write"))
        return -1;
    find("write", &next);
    bool is_short = was_made(fd) && strcmp(armed, "write") == 0 && fails_with == FAULT_SHORT &&
                    n_calls >= wanted && n > 1;
    return next(fd, bytes, is_short ? 1 : n);
}

int close(int fd)
{
    int (*next)(int);
    bool fails = was_made(fd) && strikes("close");
    int error_number = errno;
    find("close", &next);
    if (was_made(fd))
        is_new[fd] = false;
    int result = next(fd);
    if (!fails)
        return result;
    errno = error_number;
    return -1;
}

int fsync(int fd)
{
    int (*next)(int);
    if (strikes("fsync"))
        return -1;
    find("fsync", &next);
    return next(fd);
}

int rename(const char *from, const char *to)
{
    int (*next)(const char *, const char *);
    if (strikes("rename"))
        return -1;
    find("rename", &next);
    return next(from, to);
}

off_t lseek(int fd, off_t offset, int whence)
{
    off_t (*next)(int, off_t, int);
    if (strikes("lseek"))
        return -1;
    find("lseek64", &next);
    return next(fd, offset, whence);
}

int fchmod(int fd, mode_t mode)
{
    int (*next)(int, mode_t);
    if (strikes("fchmod"))
        return -1;
    find("fchmod", &next);
    return next(fd, mode);
}

int fchown(int fd, uid_t user, gid_t group)
{
    int (*next)(int, uid_t, gid_t);
    if (strikes("fchown"))
        return -1;
    find("fchown", &next);
    return next(fd, user, group);
}

ssize_t readlink(const char *path, char *text, size_t n)
{
    ssize_t (*next)(const char *, char *, size_t);
    if (strikes("readlink"))
        return -1;
    find("readlink", &next);
    return next(path, text, n);
}

ssize_t read(int fd, void *bytes, size_t n)
{
    ssize_t (*next)(int, void *, size_t);
    if (strikes("read"))
        return -1;
    find("read", &next);
    return next(fd, bytes, n);
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
    int (*next)(struct pollfd *, nfds_t, int);
    if (strikes("poll"))
        return -1;
    find("poll", &next);
    return next(fds, n, timeout);
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
    void *(*next)(void *, size_t, int, int, int, off_t);
    if (fd >= 0 && strikes("mmap"))
        return MAP_FAILED;
    find("mmap64", &next);
    return next(at, n, protection, flags, fd, offset);
}

int munmap(void *at, size_t n)
{
    int (*next)(void *, size_t);
    if (strikes("munmap"))
        return -1;
    find("munmap", &next);
    return next(at, n);
}

int fstat(int fd, struct stat *info)
{
    int (*next)(int, struct stat *);
    if (strikes("fstat"))
        return -1;
    find("fstat64", &next);
    return next(fd, info);
}

int lstat(const char *path, struct stat *info)
{
    int (*next)(const char *, struct stat *);
    if (strikes("lstat"))
        return -1;
    find("lstat64", &next);
    return next(path, info);
}

#pragma GCC visibility pop
