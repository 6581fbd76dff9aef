/*
 * The new file is written as ".NAME.XXXXXX" in the directory of the old one, and is complete, and
 * on the disk, before rename() puts it in the place of the old one in one step. A symbolic link is
 * followed first, so that it stays one.
 */
#include "container/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"

enum { BUFFER_BYTES = 1 << 16 };

static pluck_status fail_system(const pl_new_file *file, const char *what, int error_number,
                                pluck_error *err)
{
    char reason[128];
    if (strerror_r(error_number, reason, sizeof reason) != 0)
        reason[0] = '\0';
    return pl_fail(err, PLUCK_ERR_IO, "%s: %s: %s",
                   strcmp(file->path, "-") == 0 ? "standard output" : file->path, what, reason);
}

static char *copy_text(const pl_new_file *file, const char *text)
{
    const size_t size = strlen(text) + 1;
    char *copy = pl_alloc(&file->allocator, size, 1);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

static pluck_status create_beside(pl_new_file *file, mode_t mode, pluck_error *err)
{
    const char *slash = strrchr(file->target, '/');
    const size_t directory = slash ? (size_t)(slash - file->target) + 1 : 0;
    const size_t size = strlen(file->target) + sizeof "..XXXXXX";
    file->temporary = pl_alloc(&file->allocator, size, 1);
    if (!file->temporary)
        return pl_fail_nomem(err, size);
    (void)snprintf(file->temporary, size, "%.*s.%s.XXXXXX", (int)directory, file->target,
                   file->target + directory);
    file->fd = mkstemp(file->temporary);
    if (file->fd < 0) {
        const int error_number = errno;
        pl_free(&file->allocator, file->temporary);
        file->temporary = NULL;
        return fail_system(file, "a file beside it cannot be created", error_number, err);
    }
    file->owns_fd = true;
    /* mkstemp() makes it private. A file system without permissions refuses, which does no harm. */
    (void)fchmod(file->fd, mode);
    return PLUCK_OK;
}

static pluck_status open_named(pl_new_file *file, pluck_error *err)
{
    const mode_t mask = umask(0);
    (void)umask(mask);
    mode_t mode = 0666 & ~mask;
    struct stat old;
    const bool exists = stat(file->path, &old) == 0;
    if (exists && S_ISDIR(old.st_mode))
        return fail_system(file, "cannot be written", EISDIR, err);
    if (exists && !S_ISREG(old.st_mode)) {
        file->fd = open(file->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        file->owns_fd = true;
        return file->fd >= 0 ? PLUCK_OK : fail_system(file, "cannot be opened", errno, err);
    }
    if (exists)
        mode = old.st_mode & 0777;
    char *resolved = exists ? realpath(file->path, NULL) : NULL;
    file->target = copy_text(file, resolved ? resolved : file->path);
    free(resolved);
    return file->target ? create_beside(file, mode, err)
                        : pl_fail_nomem(err, strlen(file->path) + 1);
}

pluck_status pl_new_file_open(pl_new_file *file, const char *path, const pluck_allocator *allocator,
                              pluck_error *err)
{
    *file = (pl_new_file){.path = path, .allocator = *allocator, .fd = -1};
    file->buffer = pl_alloc(&file->allocator, BUFFER_BYTES, 1);
    if (!file->buffer)
        return pl_fail_nomem(err, BUFFER_BYTES);
    pluck_status status = PLUCK_OK;
    if (strcmp(path, "-") == 0)
        file->fd = STDOUT_FILENO;
    else
        status = open_named(file, err);
    if (status)
        pl_new_file_close(file);
    return status;
}

static pluck_status write_all(pl_new_file *file, const uint8_t *bytes, size_t size_bytes,
                              pluck_error *err)
{
    const size_t most = (size_t)1 << 30;
    while (size_bytes > 0) {
        const ssize_t n = write(file->fd, bytes, size_bytes < most ? size_bytes : most);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_system(file, "cannot be written", errno, err);
        bytes += n;
        size_bytes -= (size_t)n;
    }
    return PLUCK_OK;
}

static pluck_status flush(pl_new_file *file, pluck_error *err)
{
    const size_t used = file->used_bytes;
    file->used_bytes = 0;
    return write_all(file, file->buffer, used, err);
}

pluck_status pl_new_file_write(pl_new_file *file, const void *bytes, size_t size_bytes,
                               pluck_error *err)
{
    if (size_bytes > BUFFER_BYTES - file->used_bytes) {
        pluck_status status = flush(file, err);
        if (status)
            return status;
    }
    if (size_bytes > BUFFER_BYTES)
        return write_all(file, bytes, size_bytes, err);
    if (size_bytes > 0)
        memcpy(file->buffer + file->used_bytes, bytes, size_bytes);
    file->used_bytes += size_bytes;
    return PLUCK_OK;
}

pluck_status pl_new_file_rewrite(pl_new_file *file, const void *bytes, size_t size_bytes,
                                 pluck_error *err)
{
    pluck_status status = flush(file, err);
    if (status == PLUCK_OK && lseek(file->fd, 0, SEEK_SET) != 0)
        status = fail_system(file, "cannot be written", errno, err);
    return status ? status : write_all(file, bytes, size_bytes, err);
}

pluck_status pl_new_file_finish(pl_new_file *file, pluck_error *err)
{
    pluck_status status = flush(file, err);
    if (status == PLUCK_OK && file->temporary && fsync(file->fd) != 0)
        status = fail_system(file, "cannot be written", errno, err);
    const bool owned = file->owns_fd;
    if (owned && close(file->fd) != 0 && errno != EINTR && status == PLUCK_OK)
        status = fail_system(file, "cannot be written", errno, err);
    file->fd = -1;
    file->owns_fd = false;
    if (status == PLUCK_OK && file->temporary && rename(file->temporary, file->target) != 0)
        status = fail_system(file, "cannot be replaced", errno, err);
    if (status == PLUCK_OK) {
        pl_free(&file->allocator, file->temporary);
        file->temporary = NULL;
    }
    return status;
}

void pl_new_file_close(pl_new_file *file)
{
    if (file->owns_fd && file->fd >= 0)
        (void)close(file->fd);
    if (file->temporary)
        (void)unlink(file->temporary);
    pl_free(&file->allocator, file->temporary);
    pl_free(&file->allocator, file->target);
    pl_free(&file->allocator, file->buffer);
    *file = (pl_new_file){.fd = -1, .allocator = file->allocator};
}
