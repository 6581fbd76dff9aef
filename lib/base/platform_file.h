/*
 * Files and paths as the system has them. Paths are UTF-8, sizes and offsets uint64_t. A descriptor
 * is a small number of the C library, -1 for none, and its bytes are never translated, whatever
 * mode the C library keeps for it. Errors are those of platform.h; a call that a signal interrupts
 * is made again. Descriptors are not inherited by programs that this one starts.
 */
#ifndef PLK_PLATFORM_FILE_H
#define PLK_PLATFORM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Descriptors that are open from the start. */
enum { PLK_STDIN = 0, PLK_STDOUT = 1, PLK_STDERR = 2 };

typedef enum plk_file_kind {
    PLK_FILE_REGULAR,
    PLK_FILE_DIRECTORY,
    PLK_FILE_LINK, /* plk_link_info() only */
    PLK_FILE_PIPE, /* with a name or without */
    PLK_FILE_SOCKET,
    PLK_FILE_CHARACTERS, /* a terminal, the null device and other devices that hold nothing */
    PLK_FILE_BLOCKS      /* a disk */
} plk_file_kind;

/* What the system knows about a file. */
typedef struct plk_file_info {
    plk_file_kind kind;
    uint64_t size_bytes;         /* PLK_FILE_REGULAR */
    uint64_t volume, number[2];  /* equal for the same file only; of a disk those of the device */
    uint32_t mode, owner, group; /* rights, for plk_file_create() and plk_file_keep_rights() */
} plk_file_info;

/* Of what path leads to. ENOENT: there is nothing. A signal handler may call it. */
int plk_path_info(const char *path, plk_file_info *info);

/* The same, but of a symbolic link at the end of path itself. Where links cannot be told apart, as
 * plk_path_info(). */
int plk_link_info(const char *path, plk_file_info *info);

/* Of what is open. */
int plk_descriptor_info(int descriptor, plk_file_info *info);

bool plk_file_is_same(const plk_file_info *a, const plk_file_info *b);

/* Writes the text of a symbolic link to text, without a NUL, and its length to *n. ENAMETOOLONG:
 * size bytes are too few. */
int plk_link_read(const char *path, char *text, size_t size, size_t *n);

/* The bytes of path before the name at its end: with the last separator; 0 if there is none. */
size_t plk_path_directory_bytes(const char *path);

/* The descriptor that a path as /proc/self/fd/3 means, -1 if it means none. Links at the end of
 * path are not followed. */
int plk_path_descriptor(const char *path);

/* 0 if the process may write to a file, or make files in a directory. */
int plk_path_check_writable(const char *path, bool is_directory);

typedef enum plk_open_mode {
    PLK_OPEN_READ,
    PLK_OPEN_WRITE,        /* what is there: a pipe, a device; waits for the reader of a pipe */
    PLK_OPEN_WRITE_NO_LINK /* the same, but a symbolic link at the end of path is refused */
} plk_open_mode;

/* Opens what is there. Others may read the file, replace it and remove it meanwhile. */
int plk_file_open(const char *path, plk_open_mode mode, int *descriptor);

/* The same for reading with <stdio.h>; NULL with errno. */
FILE *plk_stream_open(const char *path);

/* Makes a file to write to. EEXIST: something has that name, be it a dangling link. The rights are
 * those that new files have for the user (on POSIX 0666 without what the umask forbids), and with
 * old those of old at most. */
int plk_file_create(const char *path, const plk_file_info *old, int *descriptor);

/* Gives a file that plk_file_create() made for old its owner and mode, as far as the process and
 * the file system can. *what, for a message, is what failed: "its mode cannot be kept". */
int plk_file_keep_rights(int descriptor, const plk_file_info *old, const char **what);

/* A second descriptor for what is open. */
int plk_file_duplicate(int descriptor, int *copy);

/* Waits for at least one byte, also where the descriptor does not block, and reads what has
 * arrived: *n_read is 0 only at the end. A pipe whose writer has gone has ended. */
int plk_file_read(int descriptor, void *bytes, size_t n_bytes, size_t *n_read);

/* Reads at an offset, fewer bytes only at the end. Where the descriptor stands does not change, and
 * does not matter. */
int plk_file_read_at(int descriptor, uint64_t offset_bytes, void *bytes, size_t n_bytes,
                     size_t *n_read);

/* Writes all, also where the descriptor does not block. */
int plk_file_write(int descriptor, const void *bytes, size_t n_bytes);

/* From here on is read and written at offset_bytes. */
int plk_file_seek(int descriptor, uint64_t offset_bytes);

/* Writes what the system has of the file to the disk. */
int plk_file_sync(int descriptor);

/* The descriptor is gone in any case. Some systems tell only here that the disk is full. */
int plk_file_close(int descriptor);

/* Puts from, in the same directory, in the place of to in one step. On failure both stay. An old
 * file that this or another program has mapped may make it fail (EBUSY). */
int plk_file_replace(const char *from, const char *to);

/* Writes the names in a directory ("": the working directory) to the disk, or a crash could undo a
 * plk_file_replace(). 0 too where the system does that by itself or cannot. */
int plk_directory_sync(const char *directory);

/* ENOENT: the file does not exist. A signal handler may call it. */
int plk_file_remove(const char *path);

/* EEXIST: something has that name. */
int plk_directory_create(const char *path);

/*
 * A mapping makes the bytes of a regular file appear in memory. If the file becomes shorter, access
 * to what it has lost is a fault where the system lets that happen; see plk_map_fault_watch().
 */
typedef struct plk_map {
    const uint8_t *bytes; /* NULL: none */
    size_t size_bytes;
} plk_map;

/* Maps size_bytes > 0 bytes, which the file has. The descriptor may be closed afterwards. ENOTSUP:
 * this file or system maps nothing, read it instead. */
int plk_map_open(plk_map *map, int descriptor, size_t size_bytes);

/* The bytes from offset_bytes, a multiple of 64 KiB, may leave memory; they can still be read. */
void plk_map_drop(const plk_map *map, uint64_t offset_bytes, uint64_t n_bytes);

void plk_map_close(plk_map *map);

#endif
