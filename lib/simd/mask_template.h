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

#endif
