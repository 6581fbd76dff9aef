/*
 * The links of the last component are followed here, one by one, so that a dangling one leads to
 * the file that it names; links in directories are left to the kernel. A path in /proc/self/fd, to
 * which /dev/stdout and /dev/fd/N lead, means a descriptor: opening it again, or replacing the file
 * behind it, would lose the offset and the append mode that whoever opened it has chosen.
 */
#include "file/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"

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
