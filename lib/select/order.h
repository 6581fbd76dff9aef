/*
 * The order of tokens, best first: larger logit, or equal logit and lower token. A logit and its
 * token become one 64-bit key whose integer order is that order, so that every selection has one
 * answer and none depends on how it sorts.
 */
#ifndef PL_ORDER_H
#define PL_ORDER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t pl_key;

/* A larger key is a better token. No two tokens have the same key; -0 and +0 are equal logits. */
static inline pl_key pl_key_make(float logit, uint32_t token)
{
    uint32_t bits;
    float canonical = logit + 0.0f;
    memcpy(&bits, &canonical, sizeof bits);
    uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (pl_key)ordered << 32 | (uint32_t)~token;
}

static inline uint32_t pl_key_token(pl_key key)
{
    return ~(uint32_t)key;
}

/* The logit of the key; -0 has become +0. */
static inline float pl_key_logit(pl_key key)
{
    uint32_t ordered = (uint32_t)(key >> 32);
    uint32_t bits = ordered & 0x80000000u ? ordered & 0x7FFFFFFFu : ~ordered;
    float logit;
    memcpy(&logit, &bits, sizeof logit);
    return logit;
}

/* The k-th largest of n distinct keys, 1 <= k <= n. Reorders keys; spare holds n keys. O(n). */
pl_key pl_key_select(pl_key *keys, size_t n, size_t k, pl_key *spare);

/* Sorts n keys, largest first. On input their tokens ascend; spare holds n keys. O(n). */
void pl_key_sort(pl_key *keys, size_t n, pl_key *spare);

#endif
