/*
 * Random numbers addressed by place: word(key, position, purpose, place), without a sequence in
 * which they would have to be taken. Philox4x32-10 (J. K. Salmon, M. A. Moraes, R. O. Dror, D. E.
 * Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A counter gives four words; those
 * of 16 counters are the words of 64 places, so that 16 lanes write 64 words in order.
 */
#ifndef PLK_PHILOX_H
#define PLK_PHILOX_H

#include "simd/kernels.h"

/* words[4] of a counter, for a key of two words. */
void plk_philox(const uint32_t *counter, const uint32_t *key, uint32_t *words);

/* The noise of a position of a stream: the key mixes seed and stream. */
plk_noise plk_noise_make(uint64_t seed, uint64_t stream, uint64_t position);

/* The four words of a place that has a counter of its own. */
void plk_noise_words(const plk_noise *noise, uint32_t purpose, uint32_t place, uint32_t *words);

/* The word of a place. Numbers of different purposes are independent. */
uint32_t plk_noise_word(const plk_noise *noise, uint32_t purpose, uint32_t place);

/* -ln u, exponentially distributed, for u = (bits + 1/2) / 2^52, where bits are the high 52 of the
 * 64 bits of two words: u is never 0 or 1, and the 12 low bits of low are not used. */
double plk_noise_exponential(uint32_t high, uint32_t low);

#endif
