/*
 * A file that appears under its name only when it is complete.
 */
#ifndef PL_NEW_FILE_H
#define PL_NEW_FILE_H

#include <pluck/base.h>

typedef struct pl_new_file {
    const char *path; /* as given, for messages */
    pluck_allocator allocator;
    char *temporary; /* what is written until then; NULL: a pipe or device, written in place */
    char *target;    /* what it becomes */
    uint8_t *buffer;
    size_t used_bytes;
    int fd; /* -1: none */
    bool owns_fd;
} pl_new_file;

/* Begins a new file beside path; "-" is standard output, and what is no regular file is written in
 * place. path must outlive the file. On failure nothing is held. */
pluck_status pl_new_file_open(pl_new_file *file, const char *path, const pluck_allocator *allocator,
                              pluck_error *err);

pluck_status pl_new_file_write(pl_new_file *file, const void *bytes, size_t size_bytes,
                               pluck_error *err);

/* Writes over what was written at the beginning; not of a file that is written in place. */
pluck_status pl_new_file_rewrite(pl_new_file *file, const void *bytes, size_t size_bytes,
                                 pluck_error *err);

/* Writes what is left, to the disk, and gives the file its name. */
pluck_status pl_new_file_finish(pl_new_file *file, pluck_error *err);

/* Removes the file unless it was finished. */
void pl_new_file_close(pl_new_file *file);

#endif
