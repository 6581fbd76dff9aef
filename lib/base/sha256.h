/*
 * SHA-256, to tell whether two runs have the same input.
 */
#ifndef PLK_SHA256_H
#define PLK_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum { PLK_SHA256_BYTES = 32 };

typedef struct plk_sha256 {
    uint32_t state[8];
    uint64_t n_bytes;        /* given so far */
    unsigned char block[64]; /* the last n_bytes % 64 of them */
} plk_sha256;

void plk_sha256_start(plk_sha256 *hash);
void plk_sha256_add(plk_sha256 *hash, const void *bytes, size_t n_bytes);

/* Afterwards hash can only be started again. */
void plk_sha256_finish(plk_sha256 *hash, unsigned char digest[PLK_SHA256_BYTES]);

#endif
