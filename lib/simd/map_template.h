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

#endif
