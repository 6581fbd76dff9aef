/*
 * The system by POSIX 2008 as far as WASI has it too: errors, clocks, files. What only some systems
 * have is asked for by the name of the feature: F_FULLFSYNC of macOS.
 */
#define _POSIX_C_SOURCE   200809L
#define _FILE_OFFSET_BITS 64 /* of 32-bit systems */
#define _DARWIN_C_SOURCE  1  /* F_FULLFSYNC of macOS */
#include "base/platform.h"
#include "base/platform_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "files need 64-bit offsets");

/* What one call of read() or write() is asked for: some systems refuse 2 GiB. */
#define MOST_BYTES ((size_t)1 << 30)

/* 0, or what errno says about a call that gave -1. */
static int code_of(int result)
{
    return result == 0 ? 0 : errno;
}

/* strerror_r() is that of POSIX, or of GNU if a program that contains this file asks for GNU. */
static inline const char *text_of_posix(int result, const char *text)
{
    (void)result; /* of a code that is not known, for which there is a text too */
    return text;
}

static inline const char *text_of_gnu(const char *result, const char *text)
{
    (void)text;
    return result;
}

/* clang-format off */
#define TEXT_OF(call, text) \
    _Generic((call), int: text_of_posix, char *: text_of_gnu)((call), (text))
/* clang-format on */

void plk_system_message(int code, char *text, size_t size)
{
    char whole[256] = "";
    const char *found = TEXT_OF(strerror_r(code, whole, sizeof whole), whole);
    (void)snprintf(text, size, "%s", found);
}

static uint64_t ns_on(clockid_t clock)
{
    struct timespec t = {0};
    (void)clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t plk_clock_ns(void)
{
    return ns_on(CLOCK_MONOTONIC);
}

uint64_t plk_thread_cpu_ns(void)
{
    return ns_on(CLOCK_THREAD_CPUTIME_ID);
}

void plk_sleep_ns(uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
    (void)nanosleep(&t, NULL);
}

static plk_file_kind kind_of(mode_t mode)
{
    if (S_ISREG(mode))
        return PLK_FILE_REGULAR;
    if (S_ISDIR(mode))
        return PLK_FILE_DIRECTORY;
    if (S_ISLNK(mode))
        return PLK_FILE_LINK;
    if (S_ISFIFO(mode))
        return PLK_FILE_PIPE;
    if (S_ISSOCK(mode))
        return PLK_FILE_SOCKET;
    return S_ISBLK(mode) ? PLK_FILE_BLOCKS : PLK_FILE_CHARACTERS;
}

/* A disk may have several nodes; no file system has the number of their volume. */
static int tell(int result, const struct stat *from, plk_file_info *info)
{
    if (result != 0) {
        *info = (plk_file_info){.kind = PLK_FILE_CHARACTERS};
        return errno;
    }
    *info = (plk_file_info){.kind = kind_of(from->st_mode),
                            .size_bytes = (uint64_t)from->st_size,
                            .volume = (uint64_t)from->st_dev,
                            .number = {(uint64_t)from->st_ino},
                            .mode = (uint32_t)from->st_mode & 0777,
                            .owner = (uint32_t)from->st_uid,
                            .group = (uint32_t)from->st_gid};
    if (info->kind == PLK_FILE_BLOCKS) {
        info->volume = UINT64_MAX;
        info->number[0] = (uint64_t)from->st_rdev;
    }
    return 0;
}

int plk_path_info(const char *path, plk_file_info *info)
{
    struct stat found;
    return tell(stat(path, &found), &found, info);
}

int plk_link_info(const char *path, plk_file_info *info)
{
    struct stat found;
    return tell(lstat(path, &found), &found, info);
}

int plk_descriptor_info(int descriptor, plk_file_info *info)
{
    struct stat found;
    return tell(fstat(descriptor, &found), &found, info);
}

bool plk_file_is_same(const plk_file_info *a, const plk_file_info *b)
{
    return a->volume == b->volume && a->number[0] == b->number[0] && a->number[1] == b->number[1];
}

int plk_link_read(const char *path, char *text, size_t size, size_t *n)
{
    ssize_t length = readlink(path, text, size);
    *n = length > 0 ? (size_t)length : 0;
    if (length < 0)
        return errno;
    return *n < size ? 0 : ENAMETOOLONG;
}

size_t plk_path_directory_bytes(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* A path in /proc/self/fd, to which /dev/stdout and /dev/fd/N lead, means a descriptor. */
int plk_path_descriptor(const char *path)
{
    enum { DIRECTORY_BYTES = 4096, MAX_DESCRIPTOR = 1 << 20 };
    char directory[DIRECTORY_BYTES] = ".";
    plk_file_info own, its;
    size_t n = plk_path_directory_bytes(path);
    const char *name = path + n;
    char *end = NULL;
    if (*name < '0' || *name > '9' || n >= sizeof directory)
        return -1;
    if (n > 0) {
        memcpy(directory, path, n);
        directory[n] = '\0';
    }
    if (plk_path_info("/proc/self/fd", &own) != 0 || plk_path_info(directory, &its) != 0 ||
        !plk_file_is_same(&own, &its))
        return -1;
    long number = strtol(name, &end, 10);
    return *end == '\0' && number < MAX_DESCRIPTOR ? (int)number : -1;
}

int plk_path_check_writable(const char *path, bool is_directory)
{
    return code_of(faccessat(AT_FDCWD, path, is_directory ? W_OK | X_OK : W_OK, AT_EACCESS));
}

static int open_again(const char *path, int flags, mode_t mode, int *descriptor)
{
    do
        *descriptor = open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
    while (*descriptor < 0 && errno == EINTR);
    return *descriptor < 0 ? errno : 0;
}

int plk_file_open(const char *path, plk_open_mode mode, int *descriptor)
{
    int flags = mode == PLK_OPEN_READ ? O_RDONLY : O_WRONLY;
    return open_again(path, mode == PLK_OPEN_WRITE_NO_LINK ? flags | O_NOFOLLOW : flags, 0,
                      descriptor);
}

FILE *plk_stream_open(const char *path)
{
    return fopen(path, "rb");
}

int plk_file_create(const char *path, const plk_file_info *old, int *descriptor)
{
    return open_again(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
                      old ? (mode_t)old->mode : 0666, descriptor);
}

/* Whether a call that gave -1 is to be made again, after waiting where the descriptor does not. */
static bool can_go_on(int descriptor, short events)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        struct pollfd ready = {.fd = descriptor, .events = events};
        return poll(&ready, 1, -1) >= 0 || errno == EINTR;
    }
    return errno == EINTR;
}

int plk_file_read(int descriptor, void *bytes, size_t n_bytes, size_t *n_read)
{
    ssize_t n = -1;
    *n_read = 0;
    do
        n = read(descriptor, bytes, n_bytes < MOST_BYTES ? n_bytes : MOST_BYTES);
    while (n < 0 && can_go_on(descriptor, POLLIN));
    if (n < 0)
        return errno;
    *n_read = (size_t)n;
    return 0;
}

int plk_file_read_at(int descriptor, uint64_t offset_bytes, void *bytes, size_t n_bytes,
                     size_t *n_read)
{
    *n_read = 0;
    while (*n_read < n_bytes) {
        size_t left = n_bytes - *n_read;
        ssize_t n = pread(descriptor, (unsigned char *)bytes + *n_read,
                          left < MOST_BYTES ? left : MOST_BYTES, (off_t)(offset_bytes + *n_read));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : 0;
        *n_read += (size_t)n;
    }
    return 0;
}

int plk_file_write(int descriptor, const void *bytes, size_t n_bytes)
{
    const unsigned char *from = bytes;
    while (n_bytes > 0) {
        ssize_t n = write(descriptor, from, n_bytes < MOST_BYTES ? n_bytes : MOST_BYTES);
        if (n < 0 && can_go_on(descriptor, POLLOUT))
            continue;
        if (n <= 0)
            return n < 0 ? errno : ENOSPC;
        from += n;
        n_bytes -= (size_t)n;
    }
    return 0;
}

int plk_file_seek(int descriptor, uint64_t offset_bytes)
{
    return lseek(descriptor, (off_t)offset_bytes, SEEK_SET) < 0 ? errno : 0;
}

int plk_file_sync(int descriptor)
{
    int result = -1;
#ifdef F_FULLFSYNC
    /* fsync() leaves the bytes in the memory of the disk. */
    if (fcntl(descriptor, F_FULLFSYNC) == 0)
        return 0;
#endif
    do
        result = fsync(descriptor);
    while (result != 0 && errno == EINTR);
    return code_of(result);
}

int plk_file_close(int descriptor)
{
    /* The descriptor is gone even after EINTR. */
    return close(descriptor) == 0 || errno == EINTR ? 0 : errno;
}

int plk_file_replace(const char *from, const char *to)
{
    return code_of(rename(from, to));
}

int plk_directory_sync(const char *directory)
{
    int descriptor = -1;
    /* One that cannot be opened for reading, and a file system that knows no such thing, are left
     * alone. */
    if (open_again(*directory != '\0' ? directory : ".", O_RDONLY | O_DIRECTORY, 0, &descriptor) !=
        0)
        return 0;
    int code = plk_file_sync(descriptor);
    (void)close(descriptor);
    return code == EINVAL || code == ENOTSUP || code == EROFS ? 0 : code;
}

int plk_file_remove(const char *path)
{
    return code_of(unlink(path));
}

int plk_directory_create(const char *path)
{
    return code_of(mkdir(path, 0777));
}
