/*
 * The new file is written as ".NAME.RANDOM" in the directory of the old one, and is complete, and
 * on the disk, before rename() puts it in the place of the old one in one step; then the directory
 * is written to the disk, or a crash could undo the renaming. The kernel applies the umask to 0666:
 * asking for the umask would mean changing it for other threads. The name needs no good random
 * numbers, because O_EXCL refuses a name that exists.
 */
#include "file/file.h"

#include "base/alloc.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

pluck_status plk_new_file_join(plk_new_file *file, const char *path, const char *temporary,
                               const pluck_allocator *allocator, pluck_error *err)
{
    pluck_status status = begin(file, path, allocator, err);
    file->is_joined = true;
    file->place = (plk_place){.kind = PLK_PLACE_FILE, .allocator = *allocator};
    if (status == PLUCK_OK) {
        file->fd = open(temporary, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if (file->fd < 0)
            status = fail_system(file, "its unfinished file cannot be opened", errno, err);
    }
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

pluck_status plk_new_file_seek(plk_new_file *file, uint64_t offset_bytes, pluck_error *err)
{
    pluck_status status = plk_new_file_flush(file, err);
    if (status == PLUCK_OK && lseek(file->fd, (off_t)offset_bytes, SEEK_SET) < 0)
        status = fail_system(file, NULL, errno, err);
    return status;
}

pluck_status plk_new_file_rewrite(plk_new_file *file, const void *bytes, size_t size_bytes,
                                  pluck_error *err)
{
    pluck_status status = plk_new_file_seek(file, 0, err);
    return status == PLUCK_OK ? write_all(file, bytes, size_bytes, err) : status;
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
        return plk_fail(err, PLUCK_ERR_IO, "%s: is incomplete, because an earlier write failed",
                        file->path);
    if (file->fd < 0)
        return PLUCK_OK;
    pluck_status status = plk_new_file_flush(file, err);
    bool is_file = file->temporary || file->is_joined;
    if (status == PLUCK_OK && is_file && write_to_disk(file->fd) != 0)
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

/*
 * The links of the last component are followed here, one by one, so that a dangling one leads to
 * the file that it names; links in directories are left to the kernel. A path in /proc/self/fd, to
 * which /dev/stdout and /dev/fd/N lead, means a descriptor: opening it again, or replacing the file
 * behind it, would lose the offset and the append mode that whoever opened it has chosen.
 */

enum { MAX_LINKS = 40, LINK_BYTES = 4096, MAX_DESCRIPTOR = 1 << 20 };

pluck_status plk_fail_system(const char *name, const char *what, int error_number, pluck_error *err)
{
    char reason[128];
    if (strerror_r(error_number, reason, sizeof reason) != 0)
        reason[0] = '\0';
    return plk_fail(err, PLUCK_ERR_IO, "%s: %s%s%s", name, what ? what : "", what ? ": " : "",
                    reason);
}

static char *join(const pluck_allocator *allocator, const char *directory, size_t directory_bytes,
                  const char *name, size_t name_bytes)
{
    char *path = plk_alloc(allocator, directory_bytes + name_bytes + 1, 1);
    if (!path)
        return NULL;
    if (directory_bytes > 0)
        memcpy(path, directory, directory_bytes);
    memcpy(path + directory_bytes, name, name_bytes);
    path[directory_bytes + name_bytes] = '\0';
    return path;
}

static void take_target(plk_place *place, char *target)
{
    plk_free(&place->allocator, place->target);
    place->target = target;
    const char *slash = strrchr(target, '/');
    place->directory_bytes = slash ? (size_t)(slash - target) + 1 : 0;
}

static int stat_directory(const plk_place *place, struct stat *info)
{
    if (place->directory_bytes == 0)
        return stat(".", info);
    char *end = place->target + place->directory_bytes;
    char kept = *end;
    *end = '\0';
    int result = stat(place->target, info);
    *end = kept;
    return result;
}

/* A disk may have several nodes. */
static bool is_same_file(const struct stat *a, const struct stat *b)
{
    if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
        return a->st_rdev == b->st_rdev;
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The number of the descriptor that the target means, or -1. */
static int descriptor_of(const plk_place *place)
{
    const char *name = place->target + place->directory_bytes;
    struct stat own, directory;
    char *end = NULL;
    if (*name < '0' || *name > '9' || stat("/proc/self/fd", &own) != 0 ||
        stat_directory(place, &directory) != 0 || !is_same_file(&own, &directory))
        return -1;
    long number = strtol(name, &end, 10);
    return *end == '\0' && number < MAX_DESCRIPTOR ? (int)number : -1;
}

/* Makes the target what the link at the target says. */
static pluck_status follow(plk_place *place, const char *path, pluck_error *err)
{
    char text[LINK_BYTES];
    ssize_t n = readlink(place->target, text, sizeof text);
    if (n < 0 || (size_t)n == sizeof text)
        return plk_fail_system(path, "its link cannot be read", n < 0 ? errno : ENAMETOOLONG, err);
    size_t kept = n > 0 && text[0] == '/' ? 0 : place->directory_bytes;
    char *target = join(&place->allocator, place->target, kept, text, (size_t)n);
    if (!target)
        return plk_fail_nomem(err, kept + (size_t)n + 1);
    take_target(place, target);
    return PLUCK_OK;
}

static pluck_status find_descriptor(plk_place *place, const char *path, int number,
                                    pluck_error *err)
{
    place->kind = PLK_PLACE_DESCRIPTOR;
    place->descriptor = number;
    place->exists = fstat(number, &place->info) == 0;
    return place->exists ? PLUCK_OK : plk_fail_system(path, NULL, errno, err);
}

/* The target is the end of the links and is not there. */
static pluck_status find_new(plk_place *place, const char *path, pluck_error *err)
{
    /* A link of another process's descriptor leads to something without being its path. */
    if (stat(path, &place->info) == 0 && !S_ISREG(place->info.st_mode)) {
        place->kind = PLK_PLACE_DEVICE;
        place->exists = true;
        return PLUCK_OK;
    }
    if (place->target[place->directory_bytes] == '\0')
        return plk_fail_system(path, "cannot be created", *path != '\0' ? EISDIR : ENOENT, err);
    if (stat_directory(place, &place->info) != 0)
        return plk_fail_system(path, "cannot be created", errno, err);
    return PLUCK_OK;
}

static pluck_status find(plk_place *place, const char *path, pluck_error *err)
{
    for (int n_links = 0;; n_links++) {
        int number = descriptor_of(place);
        if (number >= 0)
            return find_descriptor(place, path, number, err);
        if (lstat(place->target, &place->info) != 0)
            return errno == ENOENT ? find_new(place, path, err)
                                   : plk_fail_system(path, NULL, errno, err);
        if (!S_ISLNK(place->info.st_mode))
            break;
        if (n_links == MAX_LINKS)
            return plk_fail_system(path, NULL, ELOOP, err);
        pluck_status status = follow(place, path, err);
        if (status != PLUCK_OK)
            return status;
    }
    place->exists = true;
    if (S_ISDIR(place->info.st_mode))
        return plk_fail_system(path, NULL, EISDIR, err);
    if (!S_ISREG(place->info.st_mode))
        place->kind = PLK_PLACE_DEVICE;
    /* Renaming would replace a file that its owner has protected. */
    else if (faccessat(AT_FDCWD, place->target, W_OK, AT_EACCESS) != 0)
        return plk_fail_system(path, NULL, errno, err);
    return PLUCK_OK;
}

pluck_status plk_place_find(plk_place *place, const char *path, const pluck_allocator *allocator,
                            pluck_error *err)
{
    *place = (plk_place){.kind = PLK_PLACE_FILE, .allocator = *allocator};
    if (strcmp(path, "-") == 0)
        return find_descriptor(place, "standard output", STDOUT_FILENO, err);
    char *target = join(allocator, NULL, 0, path, strlen(path));
    if (!target)
        return plk_fail_nomem(err, strlen(path) + 1);
    take_target(place, target);
    pluck_status status = find(place, path, err);
    if (status != PLUCK_OK || place->kind != PLK_PLACE_FILE) {
        plk_free(allocator, place->target);
        place->target = NULL;
    }
    return status;
}

void plk_place_free(plk_place *place)
{
    plk_free(&place->allocator, place->target);
    place->target = NULL;
}

bool plk_place_is_same(const plk_place *a, const plk_place *b)
{
    if (a->exists != b->exists || !is_same_file(&a->info, &b->info))
        return false;
    return a->exists || strcmp(a->target + a->directory_bytes, b->target + b->directory_bytes) == 0;
}

bool plk_place_is_file(const plk_place *place, const struct stat *info)
{
    return place->exists && is_same_file(&place->info, info);
}
