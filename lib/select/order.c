/*
 * Selection: a histogram over the range that the keys really span, then the same inside the one bin
 * that holds the k-th key, until few are left. Each round costs O(n) and divides the range by 256;
 * keys are 64 bits, so there are at most 8 rounds whatever the input: no bad pivots.
 *
 * Sorting: least-significant-digit radix sort, largest first. It is stable, so that where the
 * tokens ascend on input the 32 bits of the logit are enough: equal logits keep the lower token
 * first. Digits in which all keys agree are skipped. Few keys are sorted by insertion.
 */
#include "select/order.h"

#include <stdbool.h>

enum {
    N_BINS = 256,
    MAX_INSERTION = 40,
    N_BYTES = 8,
    LOGIT_BYTE = 4 /* the lowest byte of the logit; below are those of the token */
};

static void insertion_sort(plk_key *keys, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        plk_key key = keys[i];
        size_t j = i;
        for (; j > 0 && keys[j - 1] < key; j--)
            keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

/* Copies to out the keys whose bin number is bin; returns how many. */
static size_t keep_bin(const plk_key *keys, size_t n, plk_key low, unsigned shift, size_t bin,
                       plk_key *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        out[kept] = keys[i];
        kept += (keys[i] - low) >> shift == bin;
    }
    return kept;
}

plk_key plk_key_select(plk_key *keys, size_t n, size_t k, plk_key *spare)
{
    while (n > MAX_INSERTION) {
        plk_key low = keys[0], high = low;
        for (size_t i = 1; i < n; i++) {
            low = keys[i] < low ? keys[i] : low;
            high = keys[i] > high ? keys[i] : high;
        }
        unsigned shift = 0; /* makes a difference of keys a bin number */
        while ((high - low) >> shift >= N_BINS)
            shift++;
        size_t counts[N_BINS] = {0};
        for (size_t i = 0; i < n; i++)
            counts[(keys[i] - low) >> shift]++;
        size_t bin = N_BINS - 1;
        while (counts[bin] < k)
            k -= counts[bin--];
        /* Distinct keys span more than one bin, so that fewer are kept than there were. */
        size_t kept = keep_bin(keys, n, low, shift, bin, spare);
        plk_key *swap = keys;
        keys = spare;
        spare = swap;
        n = kept;
    }
    insertion_sort(keys, n);
    return keys[k - 1];
}

/* One stable pass over byte number byte, larger digits first. */
static void radix_pass(const plk_key *from, plk_key *to, size_t n, const size_t *counts,
                       unsigned byte)
{
    size_t next[N_BINS];
    size_t at = 0;
    for (size_t digit = N_BINS; digit-- > 0;) {
        next[digit] = at;
        at += counts[digit];
    }
    unsigned shift = 8 * byte;
    for (size_t i = 0; i < n; i++)
        to[next[from[i] >> shift & (N_BINS - 1)]++] = from[i];
}

/* Sorts by the bytes from number first_byte on. */
static void sort(plk_key *keys, size_t n, unsigned first_byte, plk_key *spare)
{
    if (n <= MAX_INSERTION) {
        insertion_sort(keys, n);
        return;
    }
    size_t counts[N_BYTES][N_BINS] = {{0}};
    for (size_t i = 0; i < n; i++)
        for (unsigned byte = first_byte; byte < N_BYTES; byte++)
            counts[byte][keys[i] >> (8 * byte) & (N_BINS - 1)]++;
    plk_key *from = keys, *to = spare;
    for (unsigned byte = first_byte; byte < N_BYTES; byte++) {
        bool all_equal = counts[byte][from[0] >> (8 * byte) & (N_BINS - 1)] == n;
        if (all_equal)
            continue;
        radix_pass(from, to, n, counts[byte], byte);
        plk_key *swap = from;
        from = to;
        to = swap;
    }
    if (from != keys)
        memcpy(keys, from, n * sizeof *keys);
}

void plk_key_sort(plk_key *keys, size_t n, plk_key *spare)
{
    sort(keys, n, LOGIT_BYTE, spare);
}

void plk_key_sort_any(plk_key *keys, size_t n, plk_key *spare)
{
    sort(keys, n, 0, spare);
}
