/*
 * The vocabulary in the metadata of a GGUF model.
 *
 * Byte by byte (ggml, docs/gguf.md; little-endian, or all of it big-endian, which shows in the
 * version): "GGUF"; version (u32: 1, 2 or 3); number of tensors, number of keys (u64; u32 in
 * version 1); then the keys, each a string, the type of its value (u32) and the value. A string is
 * its length (u64; u32 in version 1) and its bytes. Types: 0, 1, 7 one byte; 2, 3 two; 4, 5, 6
 * four; 10, 11, 12 eight; 8 a string; 9 an array: the type of its elements (u32), their number (as
 * that of the keys), and the elements. What follows the keys is not read.
 *
 * Keys: tokenizer.ggml.tokens, an array of strings; tokenizer.ggml.token_type, an array of 32-bit
 * integers (1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte), of which only normal
 * ones and bytes are in the alphabet of the model; tokenizer.ggml.model, which alphabet that is.
 */
#ifndef CLI_VOCAB_GGUF_H
#define CLI_VOCAB_GGUF_H

#include "vocab.h"

bool vocab_is_gguf(const char *bytes, size_t n);

/* Reads from a descriptor, of which nothing has been read, or from n bytes in memory if fd is
 * negative; sets v->encoding. Returns an exit code, after complain() if it is not EXIT_DONE. */
int vocab_read_gguf(vocab *v, const char *who, const char *path, int fd, const char *bytes,
                    size_t n);

#endif
