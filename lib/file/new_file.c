/*
 * The new file is written as ".NAME.RANDOM" in the directory of the old one, and is complete, and
 * on the disk, before rename() puts it in the place of the old one in one step; then the directory
 * is written to the disk, or a crash could undo the renaming. The kernel applies the umask to 0666:
 * asking for the umask would mean changing it for other threads. The name needs no good random
 * numbers, because O_EXCL refuses a name that exists.
 */
#include "file/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"

enum { BUFFER_BYTES = 1 << 16, MAX_ATTEMPTS = 100, MAX_NAME_BYTES = 200, ENDING_BYTES = 16 };

static pluck_status fail_system(plk_new_file *file, const char *what, int error_number,
                                pluck_error *err)
{
    file->has_failed = true;
    return plk_fail_system(strcmp(file->path, "-") == 0 ? "standard output" : file->path, what,
                           error_number, err);
}

/* Mixes the bits of x so that close numbers give unlike ones (the finaliser of SplitMix64). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static void make_name(plk_new_file *file, size_t size, uint64_t attempt)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    uint64_t number = mix((uint64_t)now.tv_sec ^ mix((uint64_t)now.tv_nsec));
    number = mix(number ^ (uint64_t)getpid()) ^ mix((uint64_t)(uintptr_t)file) ^ attempt;
    const plk_place *place = &file->place;
    (void)snprintf(file->temporary, size, "%.*s.%.*s.%08x", (int)place->directory_bytes,
                   place->target, MAX_NAME_BYTES, place->target + place->directory_bytes,
                   (unsigned)(mix(number) & 0xffffffffu));
}

/* A file whose old one keeps its mode is made with no more rights than that, and gets the rest when
 * it has its owner. */
static pluck_status keep_mode(plk_new_file *file, pluck_error *err)
{
    const struct stat *old = &file->place.info;
    struct stat made;
    if (!file->place.exists)
        return PLUCK_OK;
    if (fstat(file->fd, &made) != 0)
        return fail_system(file, "cannot be created", errno, err);
    /* Only root can give a file away; for others the new file is theirs. */
    if ((made.st_uid != old->st_uid || made.st_gid != old->st_gid) &&
        fchown(file->fd, old->st_uid, old->st_gid) != 0 && errno != EPERM && errno != EINVAL)
        return fail_system(file, "its owner cannot be kept", errno, err);
    /* A file system without permissions refuses, which does no harm. */
    if (((made.st_mode ^ old->st_mode) & 0777) != 0 && fchmod(file->fd, old->st_mode & 0777) != 0 &&
        errno != EPERM && errno != EINVAL && errno != ENOTSUP && errno != ENOSYS)
        return fail_system(file, "its mode cannot be kept", errno, err);
    return PLUCK_OK;
}

static pluck_status create_beside(plk_new_file *file, pluck_error *err)
{
    mode_t mode = file->place.exists ? file->place.info.st_mode & 0777 : 0666;
    size_t size = strlen(file->place.target) + ENDING_BYTES;
    file->temporary = plk_alloc(&file->allocator, size, 1);
    if (!file->temporary)
        return plk_fail_nomem(err, size);
    for (uint64_t i = 0; file->fd < 0 && i < MAX_ATTEMPTS; i++) {
        make_name(file, size, i);
        file->fd =
            open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (file->fd < 0 && errno != EEXIST && errno != EINTR)
            break;
    }
    if (file->fd >= 0)
        return keep_mode(file, err);
    int error_number = errno;
    plk_free(&file->allocator, file->temporary);
    file->temporary = NULL;
    return fail_system(file, "a file next to it cannot be created", error_number, err);
}

static pluck_status open_place(plk_new_file *file, pluck_error *err)
{
    if (file->place.kind == PLK_PLACE_FILE)
        return create_beside(file, err);
    /* A copy: closing it tells what the disk says at the end, and leaves the descriptor open. */
    if (file->place.kind == PLK_PLACE_DESCRIPTOR)
        file->fd = fcntl(file->place.descriptor, F_DUPFD_CLOEXEC, 0);
    else
        do
            file->fd = open(file->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        while (file->fd < 0 && errno == EINTR);
    return file->fd >= 0 ? PLUCK_OK : fail_system(file, NULL, errno, err);
}

static pluck_status begin(plk_new_file *file, const char *path, const pluck_allocator *allocator,
                          pluck_error *err)
{
    *file = (plk_new_file){.path = path, .allocator = *allocator, .fd = -1};
    file->buffer = plk_alloc(&file->allocator, BUFFER_BYTES, 1);
    return file->buffer ? PLUCK_OK : plk_fail_nomem(err, BUFFER_BYTES);
}

pluck_status plk_new_file_open(plk_new_file *file, const char *path,
                               const pluck_allocator *allocator, pluck_error *err)
{
    pluck_status status = begin(file, path, allocator, err);
    if (status == PLUCK_OK)
        status = plk_place_find(&file->place, path, allocator, err);
    if (status == PLUCK_OK)
        status = open_place(file, err);
    if (status != PLUCK_OK)
        plk_new_file_close(file);
    return status;
}

pluck_status plk_new_file_open_descriptor(plk_new_file *file, const char *name, int descriptor,
                                          const pluck_allocator *allocator, pluck_error *err)
{
    pluck_status status = begin(file, name, allocator, err);
    file->place = (plk_place){
        .kind = PLK_PLACE_DESCRIPTOR, .descriptor = descriptor, .allocator = *allocator};
    if (status == PLUCK_OK)
        status = open_place(file, err);
    if (status != PLUCK_OK)
        plk_new_file_close(file);
    return status;
}

/* What a full pipe that does not block says is waited out. */
static bool can_go_on(int fd)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        struct pollfd writable = {.fd = fd, .events = POLLOUT};
        return poll(&writable, 1, -1) >= 0 || errno == EINTR;
    }
    return errno == EINTR;
}

static pluck_status write_all(plk_new_file *file, const uint8_t *bytes, size_t size_bytes,
                              pluck_error *err)
{
    size_t most = (size_t)1 << 30;
    while (size_bytes > 0) {
        ssize_t n = write(file->fd, bytes, size_bytes < most ? size_bytes : most);
        if (n < 0 && can_go_on(file->fd))
            continue;
        if (n <= 0)
            return fail_system(file, NULL, n < 0 ? errno : ENOSPC, err);
        bytes += n;
        size_bytes -= (size_t)n;
    }
    return PLUCK_OK;
}

pluck_status plk_new_file_flush(plk_new_file *file, pluck_error *err)
{
    size_t used = file->used_bytes;
    file->used_bytes = 0;
    return write_all(file, file->buffer, used, err);
}

pluck_status plk_new_file_write(plk_new_file *file, const void *bytes, size_t size_bytes,
                                pluck_error *err)
{
    if (size_bytes > BUFFER_BYTES - file->used_bytes) {
        pluck_status status = plk_new_file_flush(file, err);
        if (status != PLUCK_OK)
            return status;
    }
    if (size_bytes > BUFFER_BYTES)
        return write_all(file, bytes, size_bytes, err);
    if (size_bytes > 0)
        memcpy(file->buffer + file->used_bytes, bytes, size_bytes);
    file->used_bytes += size_bytes;
    return PLUCK_OK;
}

pluck_status plk_new_file_rewrite(plk_new_file *file, const void *bytes, size_t size_bytes,
                                  pluck_error *err)
{
    pluck_status status = plk_new_file_flush(file, err);
    if (status != PLUCK_OK)
        return status;
    if (lseek(file->fd, 0, SEEK_SET) != 0)
        return fail_system(file, NULL, errno, err);
    return write_all(file, bytes, size_bytes, err);
}

static int write_to_disk(int fd)
{
    int result = -1;
    do
        result = fsync(fd);
    while (result != 0 && errno == EINTR);
    return result;
}

pluck_status plk_new_file_complete(plk_new_file *file, pluck_error *err)
{
    if (file->has_failed)
        return plk_fail(err, PLUCK_ERR_IO, "%s: could not be written before", file->path);
    if (file->fd < 0)
        return PLUCK_OK;
    pluck_status status = plk_new_file_flush(file, err);
    if (status == PLUCK_OK && file->temporary && write_to_disk(file->fd) != 0)
        status = fail_system(file, NULL, errno, err);
    /* Some file systems report a full disk only here. The descriptor is gone even after EINTR. */
    if (close(file->fd) != 0 && errno != EINTR && status == PLUCK_OK)
        status = fail_system(file, NULL, errno, err);
    file->fd = -1;
    return status;
}

/* Writes the directory of the new name to the disk. One that cannot be opened for reading, and a
 * file system that knows no such thing, are left alone. */
static pluck_status sync_directory(plk_new_file *file, pluck_error *err)
{
    char *directory = file->temporary; /* in the same directory */
    directory[file->place.directory_bytes] = '\0';
    int fd = open(*directory != '\0' ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return PLUCK_OK;
    int error_number = write_to_disk(fd) != 0 ? errno : 0;
    (void)close(fd);
    if (error_number == 0 || error_number == EINVAL || error_number == ENOTSUP ||
        error_number == EROFS)
        return PLUCK_OK;
    return fail_system(file, "is complete, but its directory cannot be written to the disk",
                       error_number, err);
}

pluck_status plk_new_file_finish(plk_new_file *file, pluck_error *err)
{
    pluck_status status = plk_new_file_complete(file, err);
    if (status != PLUCK_OK || !file->temporary)
        return status;
    if (rename(file->temporary, file->place.target) != 0)
        return fail_system(file, "cannot be replaced", errno, err);
    status = sync_directory(file, err);
    plk_free(&file->allocator, file->temporary);
    file->temporary = NULL;
    return status;
}

bool plk_new_file_is_finished(const plk_new_file *file)
{
    return file->fd < 0 && !file->temporary && !file->has_failed;
}

void plk_new_file_close(plk_new_file *file)
{
    if (file->fd >= 0)
        (void)close(file->fd);
    if (file->temporary)
        (void)unlink(file->temporary);
    plk_free(&file->allocator, file->temporary);
    plk_free(&file->allocator, file->buffer);
    plk_place_free(&file->place);
    *file = (plk_new_file){.fd = -1, .allocator = file->allocator};
}
