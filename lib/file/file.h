/*
 * Files as bytes: sources that are read, places that are written to, and new files.
 *
 * A source is a file that is mapped into memory, or a stream (a pipe, standard input) that is read
 * once from front to back. Many threads may use a mapped source at once. A stream is for one
 * thread.
 */
#ifndef PLK_FILE_H
#define PLK_FILE_H

#include "base/platform_file.h"

#include <pluck/base.h>

#include <stdatomic.h>

/* A mapped file is read in steps. Those that were read last stay in memory. */
enum { PLK_SOURCE_STEP_BYTES = 1 << 20, PLK_SOURCE_N_STEPS = 32 };

/* Scattered reads may bring this many bytes into memory before all of them are dropped. */
#define PLK_SOURCE_SCATTERED_BYTES ((uint64_t)512 << 20)

enum { PLK_SOURCE_LABEL_BYTES = 96 };

/* Gives the bytes of a stream that does not come from a descriptor: writes 1 to size_bytes bytes to
 * to and their number to *n_read, which is 0 at the end. */
typedef pluck_status (*plk_source_pull)(void *user, uint8_t *to, size_t size_bytes, size_t *n_read,
                                        pluck_error *err);

typedef struct plk_source {
    char label[PLK_SOURCE_LABEL_BYTES]; /* for messages: the path, or the end of a long one */
    pluck_allocator allocator;
    const uint8_t *bytes; /* the content; NULL: a stream from fd */
    uint64_t size_bytes;  /* UINT64_MAX: a stream */
    bool streamed;
    plk_map map; /* of a file that is mapped: bytes */
    int fd;      /* of a stream; -1: none */
    bool owns_fd;

    /* Stream: what was peeked at and not yet read, and how far the reading is. head is also the
     * content of a file that was not to be mapped. */
    uint8_t *head;
    size_t head_size_bytes, head_used_bytes, head_capacity_bytes;
    plk_source_pull pull; /* of a stream that is made on the way */
    void *pull_user;
    uint8_t *loaded;       /* all of a stream that was read to its end: bytes */
    const uint8_t *memory; /* of a stream that is in memory */
    size_t memory_size_bytes, memory_used_bytes;

    /* Mapped: steps that may be in memory (index + 1; 0: none), the next slot to reuse, the
     * beginning of what plk_source_release() has not dropped, and a count of scattered reads. */
    _Atomic uint64_t kept[PLK_SOURCE_N_STEPS];
    _Atomic uint32_t next_kept;
    _Atomic uint64_t released_bytes;
    _Atomic uint64_t scattered_bytes;
} plk_source;

/* path, or standard input for "-". Regular files are mapped, or, with no_map, read into memory;
 * everything else that can be read is a stream. On failure nothing is held. */
pluck_status plk_source_open(plk_source *source, const char *path, bool no_map,
                             const pluck_allocator *allocator, pluck_error *err);

/* Bytes of the caller, as a file or as a stream that gives at most 7 bytes at a time; label names
 * them in messages. */
void plk_source_open_memory(plk_source *source, const char *label, const void *bytes,
                            size_t size_bytes, bool streamed, const pluck_allocator *allocator);

/* A stream whose bytes pull gives. */
void plk_source_open_pull(plk_source *source, const char *label, plk_source_pull pull, void *user,
                          const pluck_allocator *allocator);

void plk_source_close(plk_source *source);

/* Finds the first size_bytes bytes, or all if the source is shorter; *available is their number.
 * They stay valid until the next call with the source. Nothing of a stream may have been read
 * before. */
pluck_status plk_source_peek(plk_source *source, size_t size_bytes, const uint8_t **bytes,
                             size_t *available, pluck_error *err);

/* Reads the next size_bytes bytes of a stream, fewer only at its end. to NULL: skips them. */
pluck_status plk_source_read(plk_source *source, void *to, size_t size_bytes, size_t *n_read,
                             pluck_error *err);

/* Reads those of the next size_bytes bytes of a stream that have arrived. Waits only for the first
 * one; *n_read is 0 only at the end. */
pluck_status plk_source_read_some(plk_source *source, void *to, size_t size_bytes, size_t *n_read,
                                  pluck_error *err);

/* Reads a whole stream into memory, so that the source is neither streamed nor mapped. Nothing of
 * it may have been read before. More than limit_bytes is PLUCK_ERR_FORMAT. Other sources do not
 * change. */
pluck_status plk_source_load(plk_source *source, size_t limit_bytes, pluck_error *err);

/* Replaces the content of source by that of loaded, which plk_source_load() has read. Afterwards
 * loaded is empty. */
void plk_source_take_loaded(plk_source *source, plk_source *loaded);

/* Waits for at least one byte more than have been peeked at; *bytes and *available are all that
 * have arrived. *ended: the stream has ended. Nothing of it may have been read before. */
pluck_status plk_source_peek_more(plk_source *source, const uint8_t **bytes, size_t *available,
                                  bool *ended, pluck_error *err);

/* The size_bytes bytes at offset_bytes, which exist, of a source that is not a stream. Meant for
 * mostly ascending reads: the parts of a large file that were read longest ago leave memory. */
const uint8_t *plk_source_at(plk_source *source, uint64_t offset_bytes, size_t size_bytes);

/* Says that n_reads values, stride_bytes apart, have been read past plk_source_at(). */
void plk_source_scattered(plk_source *source, uint64_t n_reads, uint64_t stride_bytes);

/* The bytes before offset_bytes may leave memory; they can still be read. */
void plk_source_release(plk_source *source, uint64_t offset_bytes);

/* All bytes may leave memory; they can still be read. */
void plk_source_drop(plk_source *source);

/* The largest stream or unpacked content that is kept in memory. */
#define PLK_MAX_LOADED_BYTES ((size_t)1 << 30)

/*
 * If source begins as a gzip file does (RFC 1952), unpacks all its members into memory, so that the
 * source is neither streamed nor mapped. Nothing of it may have been read before. More than
 * limit_bytes and damaged data are PLUCK_ERR_FORMAT, and so is every gzip file if the build has no
 * zlib. Other sources do not change. After a failure source can only be closed.
 */
pluck_status plk_gzip_unpack(plk_source *source, size_t limit_bytes, pluck_error *err);

/* Where a path leads when something is to be written to it. */
typedef enum plk_place_kind {
    PLK_PLACE_DESCRIPTOR, /* "-", /dev/stdout, /dev/fd/N: a descriptor that is open already */
    PLK_PLACE_DEVICE,     /* a device, pipe or socket: opened and written in place */
    PLK_PLACE_FILE        /* a regular file, or none yet: replaced as a whole */
} plk_place_kind;

typedef struct plk_place {
    plk_place_kind kind;
    int descriptor; /* PLK_PLACE_DESCRIPTOR */
    bool exists;
    plk_file_info info; /* of what exists; else of the directory in which the file would be made */
    char *target;       /* PLK_PLACE_FILE: the path behind all links */
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
bool plk_place_is_file(const plk_place *place, const plk_file_info *info);

/* PLUCK_ERR_IO with "name: what: ", or "name: " if what is NULL, and the reason of the system. */
pluck_status plk_fail_system(const char *name, const char *what, int error_number,
                             pluck_error *err);

/*
 * The one way in which this project writes a file: it appears under its name only when it is
 * complete. Links are followed, the mode of an old file is kept, and what is not a regular file is
 * written in place.
 */

typedef struct plk_new_file {
    const char *path; /* as given, for messages */
    pluck_allocator allocator;
    plk_place place;
    char *temporary; /* what is written until then; NULL: written in place, or not unfinished */
    uint8_t *buffer;
    size_t used_bytes;
    int fd;          /* -1: none */
    bool is_joined;  /* the unfinished file is another process's */
    bool has_failed; /* it will not be finished */
} plk_new_file;

/* Begins a new file next to path. "-" is standard output; it, descriptors (/dev/fd/N), devices and
 * pipes are written in place. path must outlive the file. On failure nothing is held. */
pluck_status plk_new_file_open(plk_new_file *file, const char *path,
                               const pluck_allocator *allocator, pluck_error *err);

/* A descriptor, which stays open, to be written in place; name is for messages. */
pluck_status plk_new_file_open_descriptor(plk_new_file *file, const char *name, int descriptor,
                                          const pluck_allocator *allocator, pluck_error *err);

/* Opens the unfinished file of another process, to write to a part of it. This process completes
 * that part, and neither finishes nor removes the file. */
pluck_status plk_new_file_join(plk_new_file *file, const char *path, const char *temporary,
                               const pluck_allocator *allocator, pluck_error *err);

/* From here on is written at offset_bytes; not of a file that is written in place. */
pluck_status plk_new_file_seek(plk_new_file *file, uint64_t offset_bytes, pluck_error *err);

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
