/*
 * Dot products: the part of the kernels' template that heads need. kernels_template.h includes it
 * and says what a vocabulary defines.
 */
#ifndef PLK_DOT_TEMPLATE_H
#define PLK_DOT_TEMPLATE_H

/* What is left after the last 16 values, filled up with zeros, which change no accumulator. */
LANES_INLINE lanes dot_rest(const float *x, const unsigned char *w, size_t value_bytes,
                            lanes (*load)(const void *), size_t n, lanes sum)
{
    float x_rest[LANES] = {0};
    unsigned char w_rest[LANES * sizeof(float)] = {0};
    memcpy(x_rest, x, n * sizeof *x);
    memcpy(w_rest, w, n * value_bytes);
    return lanes_fma(lanes_load(x_rest), load(w_rest), sum);
}

LANES_INLINE double dot(const float *x, const unsigned char *w, size_t value_bytes,
                        lanes (*load)(const void *), size_t n)
{
    size_t step = LANES * value_bytes;
    lanes zero = lanes_set(0.0f);
    lanes sum[LANES_A_BLOCK] = {zero, zero, zero, zero};
    size_t i = 0;
    for (; i + PLK_BLOCK <= n; i += PLK_BLOCK) {
        for (size_t k = 0; k < LANES_A_BLOCK; k++)
            sum[k] = lanes_fma(lanes_load(x + i + k * LANES), load(w + i * value_bytes + k * step),
                               sum[k]);
    }
    size_t k = 0;
    for (; i + LANES <= n; i += LANES, k++)
        sum[k] = lanes_fma(lanes_load(x + i), load(w + i * value_bytes), sum[k]);
    if (i < n)
        sum[k] = dot_rest(x + i, w + i * value_bytes, value_bytes, load, n - i, sum[k]);
    double folded[LANES_FOLDS];
    lanes totals[LANES_FOLDS];
    totals[0] = block_total(sum);
    for (size_t f = 1; f < LANES_FOLDS; f++)
        totals[f] = zero;
    lanes_fold(folded, totals);
    return folded[0];
}

static double dot_f32(const float *x, const void *w, size_t n)
{
    return dot(x, w, sizeof(float), lanes_load, n);
}

static double dot_f16(const float *x, const void *w, size_t n)
{
    return dot(x, w, sizeof(uint16_t), lanes_load_f16, n);
}

static double dot_bf16(const float *x, const void *w, size_t n)
{
    return dot(x, w, sizeof(uint16_t), lanes_load_bf16, n);
}

#endif
