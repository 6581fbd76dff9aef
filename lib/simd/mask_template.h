/*
 * Kernels under a mask; see kernels_template.h, which includes this file and has the scan. A mask
 * has one bit per value: bit i % 32 of word i / 32 is value i, so that a block has two words.
 */
#ifndef PLK_MASK_TEMPLATE_H
#define PLK_MASK_TEMPLATE_H

static bool scan_masked_f32(const void *x, const int32_t *mask, size_t n_blocks, float *block_max,
                            size_t *n_allowed)
{
    return scan(x, sizeof(float), lanes_load_once, true, mask, n_blocks, block_max, n_allowed);
}

static bool scan_masked_f16(const void *x, const int32_t *mask, size_t n_blocks, float *block_max,
                            size_t *n_allowed)
{
    return scan(x, sizeof(uint16_t), lanes_load_f16, true, mask, n_blocks, block_max, n_allowed);
}

static bool scan_masked_bf16(const void *x, const int32_t *mask, size_t n_blocks, float *block_max,
                             size_t *n_allowed)
{
    return scan(x, sizeof(uint16_t), lanes_load_bf16, true, mask, n_blocks, block_max, n_allowed);
}

static void mask_values(const float *x, const int32_t *mask, size_t n_blocks, float *out)
{
    for (size_t w = 0; w < n_blocks * WORDS_A_BLOCK; w++) {
        const uint32_t word = mask_word(mask, w);
        const lanes low = lanes_load(x + w * WORD_BITS);
        const lanes high = lanes_load(x + w * WORD_BITS + LANES);
        lanes_store(out + w * WORD_BITS, lanes_mask(word, 0, low));
        lanes_store(out + w * WORD_BITS + LANES, lanes_mask(word, LANES, high));
    }
}

static size_t gather_masked(const float *x, const int32_t *mask, size_t n_blocks, uint32_t first_id,
                            uint32_t *ids, float *logits)
{
    const lanes least = lanes_set(-FLT_MAX);
    size_t n = 0;
    for (size_t w = 0; w < n_blocks * WORDS_A_BLOCK; w++) {
        uint32_t word = mask_word(mask, w);
        for (size_t i = w * WORD_BITS; word != 0; word >>= LANES, i += LANES) {
            const unsigned allowed = word & 0xFFFFu;
            if (allowed == 0)
                continue;
            const lanes v = lanes_load(x + i);
            const unsigned bits = allowed & flags_bits(flags_at_least(v, least));
            n += lanes_compress(v, bits, first_id + (uint32_t)i, ids + n, logits + n);
        }
    }
    return n;
}

LANES_INLINE lanes exponential_block_masked(const float *x, const int32_t *mask,
                                            const lanes_exponent *exponent)
{
    lanes e[LANES_A_BLOCK];
    for (size_t i = 0; i < LANES_A_BLOCK; i++) {
        const flags allowed = flags_of_word(mask_word(mask, i / 2), i % 2 ? LANES : 0);
        e[i] = lanes_keep(allowed, exponential(lanes_load(x + i * LANES), exponent).e);
    }
    return block_total(e);
}

static void exp_sums_masked(const float *x, const int32_t *mask, size_t n_blocks,
                            plk_exponent exponent, double *sums)
{
    const lanes_exponent lanes_of = exponent_set(exponent);
    lanes totals[LANES_FOLDS];
    size_t b = 0;
    for (; b + LANES_FOLDS <= n_blocks; b += LANES_FOLDS) {
        LANES_ROLLED
        for (size_t i = 0; i < LANES_FOLDS; i++)
            totals[i] = exponential_block_masked(x + (b + i) * PLK_BLOCK,
                                                 mask + (b + i) * WORDS_A_BLOCK, &lanes_of);
        lanes_fold(sums + b, totals);
    }
    if (b == n_blocks)
        return;
    for (size_t i = 0; i < LANES_FOLDS; i++)
        totals[i] = lanes_set(0.0f);
    for (size_t i = 0; b + i < n_blocks; i++)
        totals[i] = exponential_block_masked(x + (b + i) * PLK_BLOCK,
                                             mask + (b + i) * WORDS_A_BLOCK, &lanes_of);
    sums_store(sums + b, totals, n_blocks - b);
}

static size_t count_masked(const float *x, const int32_t *mask, size_t n_blocks, float threshold)
{
    const lanes least = lanes_set(threshold);
    size_t n = 0;
    for (size_t b = 0; b < n_blocks; b++, mask += WORDS_A_BLOCK) {
        uint64_t bits = 0;
        for (size_t i = 0; i < LANES_A_BLOCK; i++) {
            lanes v = lanes_load(x + b * PLK_BLOCK + i * LANES);
            bits |= (uint64_t)flags_bits(flags_at_least(v, least)) << (i * LANES);
        }
        n += bits_count(bits & ((uint64_t)mask_word(mask, 1) << WORD_BITS | mask_word(mask, 0)));
    }
    return n;
}

#endif
