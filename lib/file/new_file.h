/*
 * The one way in which this project writes a file: it appears under its name only when it is
 * complete. Links are followed, the mode of an old file is kept, and what is not a regular file is
 * written in place.
 */
#ifndef PLK_NEW_FILE_H
#define PLK_NEW_FILE_H

#include "file/place.h"

#include <pluck/base.h>

typedef struct plk_new_file {
    const char *path; /* as given, for messages */
    pluck_allocator allocator;
    plk_place place;
    char *temporary; /* what is written until then; NULL: written in place, or not unfinished */
    uint8_t *buffer;
    size_t used_bytes;
    int fd;          /* -1: none */
    bool has_failed; /* it will not be finished */
} plk_new_file;

/* Begins a new file next to path. "-" is standard output; it, descriptors (/dev/fd/N), devices and
 * pipes are written in place. path must outlive the file. On failure nothing is held. */
pluck_status plk_new_file_open(plk_new_file *file, const char *path,
                               const pluck_allocator *allocator, pluck_error *err);

/* A descriptor, which stays open, to be written in place; name is for messages. */
pluck_status plk_new_file_open_descriptor(plk_new_file *file, const char *name, int descriptor,
                                          const pluck_allocator *allocator, pluck_error *err);

pluck_status plk_new_file_write(plk_new_file *file, const void *bytes, size_t size_bytes,
                                pluck_error *err);

/* Hands what is buffered to the system. */
pluck_status plk_new_file_flush(plk_new_file *file, pluck_error *err);

/* Writes over what was written at the beginning; not of a file that is written in place. */
pluck_status plk_new_file_rewrite(plk_new_file *file, const void *bytes, size_t size_bytes,
                                  pluck_error *err);

/* Writes what is left, to the disk, and closes. Of several files all are completed before the first
 * one is finished, so that a full disk leaves none of them. */
pluck_status plk_new_file_complete(plk_new_file *file, pluck_error *err);

/* Completes the file, unless that was done, and gives it its name. */
pluck_status plk_new_file_finish(plk_new_file *file, pluck_error *err);

/* Whether all of it is where it belongs: for messages when another file fails. */
bool plk_new_file_is_finished(const plk_new_file *file);

/* Removes the file unless it was finished. */
void plk_new_file_close(plk_new_file *file);

#endif
