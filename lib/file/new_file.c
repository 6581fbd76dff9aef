/*
 * The new file is written as ".NAME.RANDOM" in the directory of the old one, and is complete, and
 * on the disk, before it is put in the place of the old one in one step; then the directory is
 * written to the disk, or a crash could undo the renaming. The name needs no good random numbers,
 * because plk_file_create() refuses a name that exists.
 */
#include "file/file.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/platform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BUFFER_BYTES = 1 << 16, MAX_ATTEMPTS = 100, MAX_NAME_BYTES = 200, ENDING_BYTES = 16 };

static pluck_status fail_system(plk_new_file *file, const char *what, int error_number,
                                pluck_error *err)
{
    file->has_failed = true;
    return plk_fail_system(strcmp(file->path, "-") == 0 ? "standard output" : file->path, what,
                           error_number, err);
}

static void make_name(plk_new_file *file, size_t size, uint32_t attempt)
{
    const plk_place *place = &file->place;
    const char *name = place->target + place->directory_bytes;
    size_t n = strlen(name);
    uint32_t number = 0;
    /* A system that gives no random bytes gives others the number of the process at least. */
    if (plk_random_bytes(&number, sizeof number) != 0)
        number = ((uint32_t)plk_process_id() << 8) + attempt;
    if (n > MAX_NAME_BYTES)
        for (n = MAX_NAME_BYTES; n > 0 && ((unsigned char)name[n] & 0xC0u) == 0x80u;)
            n--;
    (void)snprintf(file->temporary, size, "%.*s.%.*s.%08x", (int)place->directory_bytes,
                   place->target, (int)n, name, (unsigned)number);
}

static pluck_status create_beside(plk_new_file *file, pluck_error *err)
{
    const plk_file_info *old = file->place.exists ? &file->place.info : NULL;
    const char *what = "a file next to it cannot be created";
    size_t size = strlen(file->place.target) + ENDING_BYTES;
    int code = EEXIST;
    file->temporary = plk_alloc(&file->allocator, size, 1);
    if (!file->temporary)
        return plk_fail_nomem(err, size);
    for (uint32_t i = 0; code == EEXIST && i < MAX_ATTEMPTS; i++) {
        make_name(file, size, i);
        code = plk_file_create(file->temporary, old, &file->fd);
    }
    if (code != 0) {
        plk_free(&file->allocator, file->temporary);
        file->temporary = NULL;
    } else if (old) {
        code = plk_file_keep_rights(file->fd, old, &what);
    }
    return code == 0 ? PLUCK_OK : fail_system(file, what, code, err);
}

static pluck_status open_place(plk_new_file *file, pluck_error *err)
{
    if (file->place.kind == PLK_PLACE_FILE)
        return create_beside(file, err);
    /* A copy: closing it tells what the disk says at the end, and leaves the descriptor open. */
    int code = file->place.kind == PLK_PLACE_DESCRIPTOR
                   ? plk_file_duplicate(file->place.descriptor, &file->fd)
                   : plk_file_open(file->path, PLK_OPEN_WRITE, &file->fd);
    return code == 0 ? PLUCK_OK : fail_system(file, NULL, code, err);
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
        int code = plk_file_open(temporary, PLK_OPEN_WRITE_NO_LINK, &file->fd);
        if (code != 0)
            status = fail_system(file, "its unfinished file cannot be opened", code, err);
    }
    if (status != PLUCK_OK)
        plk_new_file_close(file);
    return status;
}

static pluck_status write_all(plk_new_file *file, const void *bytes, size_t size_bytes,
                              pluck_error *err)
{
    int code = plk_file_write(file->fd, bytes, size_bytes);
    return code == 0 ? PLUCK_OK : fail_system(file, NULL, code, err);
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
    int code = status == PLUCK_OK ? plk_file_seek(file->fd, offset_bytes) : 0;
    return code == 0 ? status : fail_system(file, NULL, code, err);
}

pluck_status plk_new_file_rewrite(plk_new_file *file, const void *bytes, size_t size_bytes,
                                  pluck_error *err)
{
    pluck_status status = plk_new_file_seek(file, 0, err);
    return status == PLUCK_OK ? write_all(file, bytes, size_bytes, err) : status;
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
    int code = status == PLUCK_OK && is_file ? plk_file_sync(file->fd) : 0;
    int closed = plk_file_close(file->fd);
    file->fd = -1;
    code = code != 0 ? code : closed;
    return status != PLUCK_OK || code == 0 ? status : fail_system(file, NULL, code, err);
}

pluck_status plk_new_file_finish(plk_new_file *file, pluck_error *err)
{
    pluck_status status = plk_new_file_complete(file, err);
    if (status != PLUCK_OK || !file->temporary)
        return status;
    int code = plk_file_replace(file->temporary, file->place.target);
    if (code != 0)
        return fail_system(file, "cannot be replaced", code, err);
    /* The unfinished file was in the same directory, and its path is not needed any more. */
    file->temporary[file->place.directory_bytes] = '\0';
    code = plk_directory_sync(file->temporary);
    plk_free(&file->allocator, file->temporary);
    file->temporary = NULL;
    return code == 0
               ? PLUCK_OK
               : fail_system(file, "is complete, but its directory cannot be written to the disk",
                             code, err);
}

bool plk_new_file_is_finished(const plk_new_file *file)
{
    return file->fd < 0 && !file->temporary && !file->has_failed;
}

void plk_new_file_close(plk_new_file *file)
{
    if (file->fd >= 0)
        (void)plk_file_close(file->fd);
    if (file->temporary)
        (void)plk_file_remove(file->temporary);
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

enum { MAX_LINKS = 40, LINK_BYTES = 4096 };

pluck_status plk_fail_system(const char *name, const char *what, int error_number, pluck_error *err)
{
    char reason[128];
    plk_system_message(error_number, reason, sizeof reason);
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
    place->directory_bytes = plk_path_directory_bytes(target);
}

/* Of the directory of the target. */
static int find_directory(const plk_place *place, plk_file_info *info)
{
    if (place->directory_bytes == 0)
        return plk_path_info(".", info);
    char *end = place->target + place->directory_bytes;
    char kept = *end;
    *end = '\0';
    int code = plk_path_info(place->target, info);
    *end = kept;
    return code;
}

/* Makes the target what the link at the target says. */
static pluck_status follow(plk_place *place, const char *path, pluck_error *err)
{
    char text[LINK_BYTES];
    size_t n = 0;
    int code = plk_link_read(place->target, text, sizeof text, &n);
    if (code != 0)
        return plk_fail_system(path, "its link cannot be read", code, err);
    size_t kept = n > 0 && text[0] == '/' ? 0 : place->directory_bytes;
    char *target = join(&place->allocator, place->target, kept, text, n);
    if (!target)
        return plk_fail_nomem(err, kept + n + 1);
    take_target(place, target);
    return PLUCK_OK;
}

static pluck_status find_descriptor(plk_place *place, const char *path, int number,
                                    pluck_error *err)
{
    place->kind = PLK_PLACE_DESCRIPTOR;
    place->descriptor = number;
    int code = plk_descriptor_info(number, &place->info);
    place->exists = code == 0;
    return place->exists ? PLUCK_OK : plk_fail_system(path, NULL, code, err);
}

/* The target is the end of the links and is not there. */
static pluck_status find_new(plk_place *place, const char *path, pluck_error *err)
{
    /* A link of another process's descriptor leads to something without being its path. */
    if (plk_path_info(path, &place->info) == 0 && place->info.kind != PLK_FILE_REGULAR) {
        place->kind = PLK_PLACE_DEVICE;
        place->exists = true;
        return PLUCK_OK;
    }
    int code = find_directory(place, &place->info);
    if (place->target[place->directory_bytes] == '\0')
        code = *path != '\0' ? EISDIR : ENOENT;
    return code == 0 ? PLUCK_OK : plk_fail_system(path, "cannot be created", code, err);
}

static pluck_status find(plk_place *place, const char *path, pluck_error *err)
{
    int code = 0;
    for (int n_links = 0;; n_links++) {
        int number = plk_path_descriptor(place->target);
        if (number >= 0)
            return find_descriptor(place, path, number, err);
        code = plk_link_info(place->target, &place->info);
        if (code == ENOENT)
            return find_new(place, path, err);
        if (code != 0 || place->info.kind != PLK_FILE_LINK)
            break;
        if (n_links == MAX_LINKS)
            return plk_fail_system(path, NULL, ELOOP, err);
        pluck_status status = follow(place, path, err);
        if (status != PLUCK_OK)
            return status;
    }
    place->exists = code == 0;
    if (place->info.kind != PLK_FILE_REGULAR)
        place->kind = PLK_PLACE_DEVICE;
    /* Renaming would replace a file that its owner has protected. */
    else if (code == 0)
        code = plk_path_check_writable(place->target, false);
    if (code == 0 && place->info.kind == PLK_FILE_DIRECTORY)
        code = EISDIR;
    return code == 0 ? PLUCK_OK : plk_fail_system(path, NULL, code, err);
}

pluck_status plk_place_find(plk_place *place, const char *path, const pluck_allocator *allocator,
                            pluck_error *err)
{
    *place = (plk_place){.kind = PLK_PLACE_FILE, .allocator = *allocator};
    if (strcmp(path, "-") == 0)
        return find_descriptor(place, "standard output", PLK_STDOUT, err);
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
    if (a->exists != b->exists || !plk_file_is_same(&a->info, &b->info))
        return false;
    return a->exists || strcmp(a->target + a->directory_bytes, b->target + b->directory_bytes) == 0;
}

bool plk_place_is_file(const plk_place *place, const plk_file_info *info)
{
    return place->exists && plk_file_is_same(&place->info, info);
}
