/*
 * Written from the specification (FIPS 180-4, Secure Hash Standard, 2015, sections 4.1.2, 4.2.2, 5
 * and 6.2), with its names. Text is cut into blocks of 64 bytes, the last one filled up with a 1
 * bit, zeros and the length in bits; each block changes the state in 64 rounds.
 */
#include "base/sha256.h"

#include <string.h>

enum { BLOCK_BYTES = 64, ROUNDS = 64, LENGTH_BYTES = 8 };

/* The first 32 bits of the fractional parts of the square roots of the first 8 primes, and of the
 * cube roots of the first 64. */
static const uint32_t start_state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
static const uint32_t K[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotr(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static void add_block(uint32_t state[8], const unsigned char *block)
{
    uint32_t W[ROUNDS];
    for (size_t t = 0; t < 16; t++)
        W[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
               (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (size_t t = 16; t < ROUNDS; t++) {
        uint32_t s0 = rotr(W[t - 15], 7) ^ rotr(W[t - 15], 18) ^ W[t - 15] >> 3;
        uint32_t s1 = rotr(W[t - 2], 17) ^ rotr(W[t - 2], 19) ^ W[t - 2] >> 10;
        W[t] = s1 + W[t - 7] + s0 + W[t - 16];
    }
    uint32_t s[8]; /* a to h */
    memcpy(s, state, sizeof s);
    for (size_t t = 0; t < ROUNDS; t++) {
        uint32_t sum1 = rotr(s[4], 6) ^ rotr(s[4], 11) ^ rotr(s[4], 25);
        uint32_t ch = (s[4] & s[5]) ^ (~s[4] & s[6]);
        uint32_t T1 = s[7] + sum1 + ch + K[t] + W[t];
        uint32_t sum0 = rotr(s[0], 2) ^ rotr(s[0], 13) ^ rotr(s[0], 22);
        uint32_t maj = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += T1;
        s[0] = T1 + sum0 + maj;
    }
    for (size_t i = 0; i < 8; i++)
        state[i] += s[i];
}

void plk_sha256_start(plk_sha256 *hash)
{
    *hash = (plk_sha256){.n_bytes = 0};
    memcpy(hash->state, start_state, sizeof start_state);
}

void plk_sha256_add(plk_sha256 *hash, const void *bytes, size_t n_bytes)
{
    const unsigned char *from = bytes;
    while (n_bytes > 0) {
        size_t used = hash->n_bytes % BLOCK_BYTES, room = BLOCK_BYTES - used;
        size_t n = n_bytes < room ? n_bytes : room;
        memcpy(hash->block + used, from, n);
        if (n == room)
            add_block(hash->state, hash->block);
        hash->n_bytes += n;
        from += n;
        n_bytes -= n;
    }
}

void plk_sha256_finish(plk_sha256 *hash, unsigned char digest[PLK_SHA256_BYTES])
{
    unsigned char end[BLOCK_BYTES + LENGTH_BYTES] = {0x80};
    uint64_t n_bits = 8 * hash->n_bytes;
    size_t used = (hash->n_bytes + LENGTH_BYTES) % BLOCK_BYTES, n = BLOCK_BYTES - used;
    for (size_t i = 0; i < LENGTH_BYTES; i++)
        end[n + i] = (unsigned char)(n_bits >> (56 - 8 * i));
    plk_sha256_add(hash, end, n + LENGTH_BYTES);
    for (size_t i = 0; i < PLK_SHA256_BYTES; i++)
        digest[i] = (unsigned char)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
}
