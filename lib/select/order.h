/*
 * The order of tokens, best first: larger logit, or equal logit and lower token. A logit and its
 * token become one 64-bit key whose integer order is that order, so that every selection has one
 * answer and none depends on how it sorts.
 */
#ifndef PLK_ORDER_H
#define PLK_ORDER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t plk_key;

/* A larger key is a better token. No two tokens have the same key; -0 and +0 are equal logits. */
static inline plk_key plk_key_of(float logit, uint32_t token)
{
    uint32_t bits;
    float canonical = logit + 0.0f;
    memcpy(&bits, &canonical, sizeof bits);
    uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (plk_key)ordered << 32 | (uint32_t)~token;
}

static inline uint32_t plk_key_token(plk_key key)
{
    return ~(uint32_t)key;
}

/* The logit of the key; -0 has become +0. */
static inline float plk_key_logit(plk_key key)
{
    uint32_t ordered = (uint32_t)(key >> 32);
    uint32_t bits = ordered & 0x80000000u ? ordered & 0x7FFFFFFFu : ~ordered;
    float logit;
    memcpy(&logit, &bits, sizeof logit);
    return logit;
}

/* The k-th largest of n distinct keys, 1 <= k <= n. Reorders keys; spare holds n keys. O(n). */
plk_key plk_key_select(plk_key *keys, size_t n, size_t k, plk_key *spare);

/* Sorts n keys, largest first. On input their tokens ascend; spare holds n keys. O(n). */
void plk_key_sort(plk_key *keys, size_t n, plk_key *spare);

/* The same in any order on input; a key may be there several times. */
void plk_key_sort_any(plk_key *keys, size_t n, plk_key *spare);

#endif
