/*
 * Files of target tokens.
 *
 * file/integers.h describes what is read.
 */
#ifndef PLK_TARGET_FILE_H
#define PLK_TARGET_FILE_H

#include <pluck/dump.h>

/* As pluck_targets_open(), of bytes in memory that outlive the targets, as a file or as a stream
 * that gives a few bytes at a time. name stands for the path in messages. */
pluck_status plk_targets_open_memory(pluck_targets **out, const char *name, const void *bytes,
                                     size_t size_bytes, bool streamed,
                                     const pluck_allocator *allocator, pluck_error *err);

/* A value as a token: PLUCK_NO_TOKEN for a negative one; one that is too large is refused. index
 * and where are for the message. */
pluck_status plk_target_token(int64_t value, uint64_t index, const char *where, pluck_token *token,
                              pluck_error *err);

#endif
