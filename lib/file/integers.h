/*
 * Arrays of integers in files: targets, counts.
 *
 * Two layouts, told apart by the first bytes: an .npy array of integers, whose header
 * array_header.h describes and whose elements are 1, 2, 4 or 8 bytes, signed (i) or not (u), in
 * either byte order; or text: decimal integers with white space or a comma between them, or a JSON
 * array of them, nested or not, whose levels are the axes. Either may be packed by gzip. 5.0 and
 * 5e0 are the integer 5, as NumPy's savetxt() writes it.
 */
#ifndef PLK_INTEGERS_H
#define PLK_INTEGERS_H

#include <pluck/base.h>

#include "file/array_header.h"
#include "file/shape.h"
#include "file/source.h"

typedef struct plk_integers {
    pluck_allocator allocator;
    plk_source source;
    uint64_t n;
    plk_shape shape; /* text that is not an array of arrays has one axis */
    int64_t *values; /* of a text; NULL: the values are in the source */
    uint64_t offset_bytes;
    plk_stored_integers type;
} plk_integers;

/* Opens path, or standard input for "-": O(1) for a file in .npy, which is mapped; text and streams
 * (of at most 1 GiB, gzip files unpacked) are read whole. On failure nothing is held. */
pluck_status plk_integers_open(plk_integers *integers, const char *path,
                               const pluck_allocator *allocator, pluck_error *err);

/* The same of bytes in memory that outlive integers, as a file or as a stream that gives a few
 * bytes at a time. name stands for the path in messages. */
pluck_status plk_integers_open_memory(plk_integers *integers, const char *name, const void *bytes,
                                      size_t size_bytes, bool streamed,
                                      const pluck_allocator *allocator, pluck_error *err);

void plk_integers_close(plk_integers *integers);

/* Integers first to first + n - 1, which must exist, whatever their shape: the last axis varies
 * fastest. One of 2^63 or more is PLUCK_ERR_FORMAT. Many threads may read at once. */
pluck_status plk_integers_read(plk_integers *integers, uint64_t first, size_t n, int64_t *values,
                               pluck_error *err);

/* The value at bytes, which need not be aligned; *is_large: it is 2^63 or more. */
int64_t plk_integer_at(const uint8_t *bytes, const plk_stored_integers *type, bool *is_large);

#endif
