/*
 * Bounds of scores in a race, from random numbers that are addressed by place: the part of the
 * kernels' template that the draw gumbel needs. kernels_template.h includes it and says what a
 * vocabulary defines.
 */
#ifndef PLK_RACE_TEMPLATE_H
#define PLK_RACE_TEMPLATE_H

/*
 * Philox4x32-10 in each lane (J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011); out[k] is word k of each lane's counter.
 */
LANES_INLINE void philox(const plk_noise *noise, uint32_t purpose, uint32_t first, lane_words *out)
{
    uint32_t key0 = noise->key[0], key1 = noise->key[1];
    lane_words c0 = words_count(first), c1 = words_set(noise->position[0]);
    lane_words c2 = words_set(noise->position[1]), c3 = words_set(purpose);
    for (int round = 0; round < 10; round++) {
        lane_words high0, high1;
        lane_words low0 = words_mul(c0, PLK_PHILOX_M0, &high0);
        lane_words low1 = words_mul(c2, PLK_PHILOX_M1, &high1);
        c0 = words_xor(high1, c1, words_set(key0));
        c2 = words_xor(high0, c3, words_set(key1));
        c1 = low1;
        c3 = low0;
        key0 += PLK_PHILOX_W0;
        key1 += PLK_PHILOX_W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/*
 * With u < 1 - v, v = 1 - (w + 1) / 2^32 from the complement of the word w, -ln u is above
 * v + v^2 / 2 + v^3 / 3, the first terms of -ln(1 - v). log2 of a number is at least its bits, with
 * the exponent before the point, because log2(1 + m) >= m for a mantissa of 1 + m; so no logarithm
 * is needed. A distance that overflows is taken as FLT_MAX, where the score is the lower one.
 */
static void race_bounds(const plk_race_terms *terms, uint32_t purpose, uint32_t first_block,
                        size_t n_blocks, const float *x, float *bounds, float *tops)
{
    const lanes rate = lanes_set(terms->rate), origin = lanes_set(terms->origin);
    const lanes base = lanes_set(terms->base);
    const lanes one = lanes_set(terms->share * 0x1p-24f); /* of v, which is a multiple of 2^-24 */
    const lanes two = lanes_set(terms->share * (0x1p-48f / 2));
    const lanes three = lanes_set(terms->share * (0x1p-72f / 3));
    for (size_t b = 0; b < n_blocks; b++) {
        lane_words w[LANES_A_BLOCK];
        lanes top = lanes_set(-INFINITY);
        philox(&terms->noise, purpose, (first_block + (uint32_t)b) * LANES, w);
        for (size_t k = 0; k < LANES_A_BLOCK; k++) {
            const size_t at = b * PLK_BLOCK + k * LANES;
            lanes v = words_rest(w[k]);
            lanes p = lanes_fma(v, lanes_fma(v, three, two), one);
            lanes bits = lanes_bits(lanes_fma(v, p, base));
            lanes below = lanes_fma(bits, lanes_set(-0x1p-23f), lanes_set(127.0f));
            lanes d = lanes_max(lanes_sub(lanes_load(x + at), origin), lanes_set(-FLT_MAX));
            lanes bound = lanes_fma(d, rate, below);
            top = lanes_max(bound, top);
            lanes_store(bounds + at, bound);
        }
        lanes_store(tops + b * LANES, top);
    }
}

#endif
