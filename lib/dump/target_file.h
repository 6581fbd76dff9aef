/*
 * Files of target tokens.
 *
 * Two layouts, told apart by the first bytes: an .npy array of integers, whose header
 * array_header.h describes and whose elements are 1, 2, 4 or 8 bytes, signed (i) or not (u), in
 * either byte order; or text: decimal integers with white space or a comma between them, the whole
 * of it in brackets or not, as a JSON array has them.
 */
#ifndef PL_TARGET_FILE_H
#define PL_TARGET_FILE_H

#include <pluck/dump.h>

/* As pluck_targets_open(), of bytes in memory that outlive the targets, as a file or as a stream
 * that gives a few bytes at a time. name stands for the path in messages. */
pluck_status pl_targets_open_memory(pluck_targets **out, const char *name, const void *bytes,
                                    size_t size_bytes, bool streamed,
                                    const pluck_allocator *allocator, pluck_error *err);

#endif
