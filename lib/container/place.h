/*
 * Where a path leads when something is to be written to it.
 */
#ifndef PL_PLACE_H
#define PL_PLACE_H

#include <pluck/base.h>
#include <sys/stat.h>

typedef enum pl_place_kind {
    PL_PLACE_DESCRIPTOR, /* "-", /dev/stdout, /dev/fd/N: a descriptor that is open already */
    PL_PLACE_DEVICE,     /* a device, pipe or socket: opened and written in place */
    PL_PLACE_FILE        /* a regular file, or none yet: replaced as a whole */
} pl_place_kind;

typedef struct pl_place {
    pl_place_kind kind;
    int descriptor; /* PL_PLACE_DESCRIPTOR */
    bool exists;
    struct stat info; /* of what exists; else of the directory in which the file would be made */
    char *target;     /* PL_PLACE_FILE: the path behind all links */
    size_t directory_bytes; /* of target, its last slash included; 0: the working directory */
    pluck_allocator allocator;
} pl_place;

/* Follows the links of path, a dangling one too. PLUCK_ERR_IO with a message that begins with path
 * if it cannot be written to: a directory, a file without write permission, or a name in no
 * directory. On failure nothing is held. */
pluck_status pl_place_find(pl_place *place, const char *path, const pluck_allocator *allocator,
                           pluck_error *err);
void pl_place_free(pl_place *place);

/* Whether both are the same file, or would become it, however their paths are spelled. */
bool pl_place_is_same(const pl_place *a, const pl_place *b);

/* Whether what exists there is the file that info describes. */
bool pl_place_is_file(const pl_place *place, const struct stat *info);

/* PLUCK_ERR_IO with "name: what: ", or "name: " if what is NULL, and the reason of the system. */
pluck_status pl_fail_system(const char *name, const char *what, int error_number, pluck_error *err);

#endif
