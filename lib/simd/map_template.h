/*
 * Kernels that give every value a new one by a formula in double: part of kernels_template.h. Every
 * operation is one IEEE 754 operation of each value by itself, so that the bits are those of plain
 * C.
 */
#ifndef PLK_MAP_TEMPLATE_H
#define PLK_MAP_TEMPLATE_H

/*
 * Where cube is 0 its term is left out: it is a zero, and the sum with +0 at the end fixes the sign
 * of zeros. Without is_wild, d is known to be above -1e60, or -inf, whose result is not used, and y
 * to be at most FLT_MAX.
 */
LANES_INLINE void bend_values(const float *x, size_t n_blocks, const plk_bend *b, bool has_cube,
                              bool is_wild, float *out)
{
    const wides scale = wides_set(b->scale), max = wides_set(b->max);
    const wides square = wides_set(b->square), cube = wides_set(b->cube);
    const wides far = wides_set(-1e60), largest = wides_set((double)FLT_MAX);
    const lanes least = lanes_set(-FLT_MAX), banned = lanes_set(-INFINITY);
    for (size_t i = 0; i < n_blocks * PLK_BLOCK; i += LANES) {
        const lanes v = lanes_load(x + i);
        wides d = wides_sub(wides_mul(scale, wides_widen(v)), max);
        if (is_wild)
            d = wides_max(d, far);
        const wides dd = wides_mul(d, d);
        wides y = wides_mul(square, dd);
        if (has_cube)
            y = wides_add(y, wides_mul(cube, wides_mul(dd, d)));
        y = wides_add(y, max);
        if (is_wild)
            y = wides_min(y, largest);
        const lanes bent = lanes_add(lanes_max(wides_narrow(y), least), lanes_set(0.0f));
        lanes_store(out + i, lanes_select(flags_at_least(v, least), bent, banned));
    }
}

static void bend(const float *x, size_t n_blocks, plk_bend b, float *out)
{
    const double usual = 1e20; /* below it, scale x is far above -1e60 */
    const bool rises = b.square <= 0.0 && b.cube >= 0.0;
    if (!rises || b.scale > usual || b.max > (double)FLT_MAX)
        bend_values(x, n_blocks, &b, true, true, out);
    else if (b.cube > 0.0)
        bend_values(x, n_blocks, &b, true, false, out);
    else
        bend_values(x, n_blocks, &b, false, false, out);
}

/* The definition. */
LANES_INLINE lanes prefer_exactly(lanes weights, const plk_preference *of)
{
    const wides total = wides_set(of->total), aim = wides_set(of->aim), one = wides_set(1.0);
    const wides p = wides_div(wides_widen(weights), total);
    const wides apart = wides_max(wides_sub(p, aim), wides_sub(aim, p));
    const wides d = wides_div(apart, wides_set(0.3));
    const wides square = wides_mul(wides_mul(wides_set(10.0), d), d);
    return wides_narrow(wides_sub(wides_set(5.0), wides_div(square, wides_add(one, d))));
}

/*
 * Nearly all tokens have a probability p below 2^-16, and three divisions in double for each of
 * them are most of the cost. Far below aim y hardly depends on p: with u = p / 0.3, d0 = aim / 0.3
 * and w = 1 + d0, and since d^2 / (1 + d) = d - 1 + 1 / (1 + d),
 *
 *     y = y0 + 10 (1 - 1 / w^2) u - 10 / w^3 u^2 + r,   abs(r) < 10 u^3 / w^4 (1 + 2^-13),
 *
 * where y0 belongs to p = 0. It holds for aim = 0 too: then the middle term vanishes. With base the
 * float nearest to y0, the sum t of the other terms and of y0 - base is calculated in float. Its
 * error is below 2^-32. For u <= 2^-14.26, and the linear term is <= 2^-10.94 and has four
 * roundings of 2^-24, together 2^-32.94. Besides, r is below 2^-39, and the roundings of the
 * definition are below 2^-44. So y is base + t as a float, unless the exact sum lies within 2^-32
 * of the middle between two floats. How far it lies from the result is t - (result - base), without
 * rounding, because the result is in the binade of base. A group of 16 with a value that is not
 * sure goes by the definition.
 */
typedef struct small_weights {
    lanes base, rest, linear, square; /* t = (square w + linear) w + rest */
    lanes most;                       /* the largest weight that may go this way; below 0: none */
    lanes sure;                       /* half the distance of floats, less the error */
} small_weights;

LANES_INLINE small_weights small_weights_of(const plk_preference *of)
{
    const double d = of->aim / 0.3, w = 1.0 + d, unit = 0.3 * of->total;
    const double start = 5.0 - 10.0 * d * d / (1.0 + d);
    const float base = (float)start;
    const double size = base < 0.0f ? -(double)base : (double)base;
    double binade = 32.0;
    while (binade > size && binade > 0x1p-6)
        binade /= 2.0;
    const double reach = 0x1p-10; /* t is smaller */
    const bool usable = (of->aim == 0.0 || of->aim >= 0x1p-8) && size - binade >= reach &&
                        2.0 * binade - size >= reach;
    return (small_weights){.base = lanes_set(base),
                           .rest = lanes_set((float)(start - (double)base)),
                           .linear = lanes_set((float)(10.0 * (1.0 - 1.0 / (w * w)) / unit)),
                           .square = lanes_set((float)(-10.0 / (w * w * w * unit * unit))),
                           .most = lanes_set(usable ? (float)(of->total * 0x1p-16) : -1.0f),
                           .sure = lanes_set((float)(binade * 0x1p-24 - 0x1p-32))};
}

/* True if all results are sure. */
LANES_INLINE bool prefer_small(lanes weights, const small_weights *of, lanes *result)
{
    const lanes slope = lanes_add(lanes_mul(of->square, weights), of->linear);
    const lanes t = lanes_add(lanes_mul(slope, weights), of->rest);
    *result = lanes_add(of->base, t);
    const lanes error = lanes_sub(t, lanes_sub(*result, of->base));
    const lanes size = lanes_max(error, lanes_sub(lanes_set(0.0f), error));
    const unsigned all = (1u << LANES) - 1;
    return (flags_bits(flags_at_least(of->sure, size)) &
            flags_bits(flags_at_least(of->most, weights))) == all;
}

static float prefer(const float *weights, size_t n_blocks, plk_preference preference, float *out)
{
    const small_weights small = small_weights_of(&preference);
    lanes top = lanes_set(-INFINITY);
    for (size_t i = 0; i < n_blocks * PLK_BLOCK; i += LANES) {
        const lanes v = lanes_load(weights + i);
        lanes result;
        if (!prefer_small(v, &small, &result))
            result = prefer_exactly(v, &preference);
        top = lanes_max(result, top);
        lanes_store(out + i, result);
    }
    float tops[LANES], max = -INFINITY;
    lanes_store(tops, top);
    for (size_t i = 0; i < LANES; i++)
        max = tops[i] > max ? tops[i] : max;
    return max;
}

/* exp_sums that keeps the exponentials. */
LANES_INLINE lanes exponential_block_to(const float *x, const lanes_exponent *exponent, float *to)
{
    lanes e[LANES_A_BLOCK];
    for (size_t i = 0; i < LANES_A_BLOCK; i++) {
        e[i] = exponential(lanes_load(x + i * LANES), exponent).e;
        lanes_store(to + i * LANES, e[i]);
    }
    return block_total(e);
}

static void exp_both(const float *x, size_t n_blocks, plk_exponent exponent, float *e, double *sums)
{
    const lanes_exponent lanes_of = exponent_set(exponent);
    lanes totals[LANES_FOLDS];
    for (size_t b = 0; b < n_blocks; b += LANES_FOLDS) {
        const size_t n = n_blocks - b < LANES_FOLDS ? n_blocks - b : LANES_FOLDS;
        LANES_ROLLED
        for (size_t i = 0; i < n; i++)
            totals[i] =
                exponential_block_to(x + (b + i) * PLK_BLOCK, &lanes_of, e + (b + i) * PLK_BLOCK);
        for (size_t i = n; i < LANES_FOLDS; i++)
            totals[i] = lanes_set(0.0f);
        sums_store(sums + b, totals, n);
    }
}

#endif
