/*
 * Where a path leads when something is to be written to it.
 */
#ifndef PLK_PLACE_H
#define PLK_PLACE_H

#include <pluck/base.h>
#include <sys/stat.h>

typedef enum plk_place_kind {
    PLK_PLACE_DESCRIPTOR, /* "-", /dev/stdout, /dev/fd/N: a descriptor that is open already */
    PLK_PLACE_DEVICE,     /* a device, pipe or socket: opened and written in place */
    PLK_PLACE_FILE        /* a regular file, or none yet: replaced as a whole */
} plk_place_kind;

typedef struct plk_place {
    plk_place_kind kind;
    int descriptor; /* PLK_PLACE_DESCRIPTOR */
    bool exists;
    struct stat info; /* of what exists; else of the directory in which the file would be made */
    char *target;     /* PLK_PLACE_FILE: the path behind all links */
    size_t directory_bytes; /* of target, its last slash included; 0: the working directory */
    pluck_allocator allocator;
} plk_place;

/* Follows the links of path, a dangling one too. PLUCK_ERR_IO with a message that begins with path
 * if it cannot be written to: a directory, a file without write permission, or a name in no
 * directory. On failure nothing is held. */
pluck_status plk_place_find(plk_place *place, const char *path, const pluck_allocator *allocator,
                            pluck_error *err);
void plk_place_free(plk_place *place);

/* Whether both are the same file, or would become it, however their paths are spelled. */
bool plk_place_is_same(const plk_place *a, const plk_place *b);

/* Whether what exists there is the file that info describes. */
bool plk_place_is_file(const plk_place *place, const struct stat *info);

/* PLUCK_ERR_IO with "name: what: ", or "name: " if what is NULL, and the reason of the system. */
pluck_status plk_fail_system(const char *name, const char *what, int error_number,
                             pluck_error *err);

#endif
