/*
 * The kernels, written once over 16 virtual lanes.
 *
 * A kernels_<isa>.c includes one vocabulary and then this file, and gets a set of static functions
 * and PL_KERNELS_TABLE(isa, name), the initialiser of a pl_kernels. Which float operations happen,
 * and in which order, is decided here and nowhere else; a vocabulary only says how one of them is
 * done for 16 lanes. Hence the same bits everywhere.
 *
 * What a vocabulary defines (a, b, c: lanes; all loads and stores at any alignment):
 *   lanes                       16 floats
 *   lanes_set(f)                f in every lane
 *   lanes_load(p)               lane i = i-th float at p (const void *)
 *   lanes_load_f16(p), _bf16    the same from 16 halves, exactly; a signalling f16 NaN turns quiet
 *   lanes_store(p, a)           16 floats to p (float *)
 *   lanes_add, _sub, _mul       one rounding each
 *   lanes_fma(a, b, c)          a * b + c, one rounding
 *   lanes_fms(a, b, c)          a * b - c, one rounding
 *   lanes_max(a, b)             a > b ? a : b, so b where either is NaN
 *   lanes_scale(a, s)           bits(a) + (bits(s) << 23) as integers: a * 2^n where s = magic + n
 *   flags                       16 truth values, whatever a comparison gives
 *   flags_at_least(a, b)        a >= b, false for NaN
 *   flags_unordered(a, b)       a or b is NaN
 *   flags_or(f, g), flags_any(f), flags_bits(f): the last has lane i in bit i of an unsigned
 *   bits_count(u)               number of set bits of a uint64_t
 *   lanes_keep(f, a)            a where f, else +0
 *   lanes_fold(a)               the lanes as doubles, lane j += lane j + 8, then + 4, + 2, + 1
 *   LANES_ROWS                  how many blocks' maxima are finished together
 *   row, row_of(a)              a as far reduced by lanes_max as costs nothing
 *   rows_max(rows)              the maximum of each of LANES_ROWS rows, in the first lanes
 *   row_store(p, m)             LANES_ROWS floats from what rows_max gives (a rows_maxima)
 *   lanes_compress(a, bits, first_id, ids, logits)
 *                               appends the lanes set in bits, and first_id + lane; returns how
 *                               many; may write 16 elements in all
 */
#ifndef PL_KERNELS_TEMPLATE_H
#define PL_KERNELS_TEMPLATE_H

#include <math.h>
#include <string.h>

enum { LANES = 16, LANES_A_BLOCK = PL_BLOCK / LANES };

/*
 * exp(beta d), d = x - origin <= 0.
 *
 * Cody and Waite's reduction: n = round(d * beta / ln 2), r = beta d - n ln 2, exp = 2^n exp(r).
 *   - n comes from adding 1.5 * 2^23, which leaves it in the low bits of the sum too, ready for
 *     lanes_scale. It may be off by one near a half; the polynomial has room for that.
 *   - ln 2 = LN2_HI + LN2_LO, LN2_HI of 15 bits, so that n * LN2_HI is exact for |n| < 512. The
 *     leading part of r is one fused operation; the trailing part c collects what beta_lo and
 *     LN2_LO contribute, each below 2^-10.
 *   - exp(r) = 1 + r + r^2 Q(r), Q of degree 4: the minimax polynomial for the relative error over
 *     |r| <= (1 + 2^-14) ln(2) / 2 (Remez), its coefficients rounded to float one at a time, lowest
 *     first, the others refitted each time. Its own error is 3.2e-9, 0.054 of 2^-24.
 * Error in ulps of the result: 1/2 for the last fma, 0.17 for the one before it, up to 0.18 for each
 * rounding of r, 0.05 for the polynomial; less than 1 in all. scripts/check-exponential measures it
 * over every float.
 *
 * The result is 0 unless t = d * beta_log2e >= -125. That holds 2^n normal, and it disposes of
 * d = -inf, of overflow in t, and of the NaNs that come of them, because a comparison with NaN is
 * false. A NaN in x gives 0 too.
 */
#define EXP_MAGIC  0x1.8p23f
#define EXP_FLUSH  (-125.0f)
#define EXP_LN2_HI 0x1.62e4p-1f
#define EXP_LN2_LO 0x1.7f7d1cp-20f
#define EXP_C2     0x1.fffffcp-2f
#define EXP_C3     0x1.55548cp-3f
#define EXP_C4     0x1.555858p-5f
#define EXP_C5     0x1.123dep-7f
#define EXP_C6     0x1.6ac74ep-10f

typedef struct lanes_exponent {
    lanes origin, beta_hi, beta_lo, beta_log2e;
} lanes_exponent;

/* The exponential; d, and where it is not flushed, for those who need more than e. */
typedef struct lanes_exponential {
    lanes e, d;
    flags kept;
} lanes_exponential;

LANES_INLINE lanes_exponent exponent_set(pl_exponent exponent)
{
    return (lanes_exponent){lanes_set(exponent.origin), lanes_set(exponent.beta_hi),
                            lanes_set(exponent.beta_lo), lanes_set(exponent.beta_log2e)};
}

LANES_INLINE lanes_exponential exponential(lanes x, const lanes_exponent *exponent)
{
    lanes d = lanes_sub(x, exponent->origin);
    lanes t = lanes_mul(d, exponent->beta_log2e);
    lanes shifted = lanes_add(t, lanes_set(EXP_MAGIC));
    lanes n = lanes_sub(shifted, lanes_set(EXP_MAGIC));
    lanes r = lanes_fms(d, exponent->beta_hi, lanes_mul(n, lanes_set(EXP_LN2_HI)));
    lanes c = lanes_fma(n, lanes_set(-EXP_LN2_LO), lanes_mul(d, exponent->beta_lo));
    r = lanes_add(r, c);
    lanes p = lanes_fma(lanes_set(EXP_C6), r, lanes_set(EXP_C5));
    p = lanes_fma(p, r, lanes_set(EXP_C4));
    p = lanes_fma(p, r, lanes_set(EXP_C3));
    p = lanes_fma(p, r, lanes_set(EXP_C2));
    p = lanes_fma(p, r, lanes_set(1.0f));
    p = lanes_fma(p, r, lanes_set(1.0f));
    flags kept = flags_at_least(t, lanes_set(EXP_FLUSH));
    return (lanes_exponential){lanes_keep(kept, lanes_scale(p, shifted)), d, kept};
}

static void exp_values(const float *x, size_t n_blocks, pl_exponent exponent, float *e)
{
    const lanes_exponent lanes_of = exponent_set(exponent);
    for (size_t i = 0; i < n_blocks * PL_BLOCK; i += LANES)
        lanes_store(e + i, exponential(lanes_load(x + i), &lanes_of).e);
}

/* (v0 + v1) + (v2 + v3) in each lane, then the fold of the lanes. */
LANES_INLINE double block_sum(const lanes *v)
{
    return lanes_fold(lanes_add(lanes_add(v[0], v[1]), lanes_add(v[2], v[3])));
}

static void exp_sums(const float *x, size_t n_blocks, pl_exponent exponent, double *sums)
{
    const lanes_exponent lanes_of = exponent_set(exponent);
    for (size_t b = 0; b < n_blocks; b++) {
        lanes e[LANES_A_BLOCK];
        for (size_t i = 0; i < LANES_A_BLOCK; i++)
            e[i] = exponential(lanes_load(x + b * PL_BLOCK + i * LANES), &lanes_of).e;
        sums[b] = block_sum(e);
    }
}

static void exp_dots(const float *x, size_t n_blocks, pl_exponent exponent, double *sums,
                     double *dots)
{
    const lanes_exponent lanes_of = exponent_set(exponent);
    for (size_t b = 0; b < n_blocks; b++) {
        lanes e[LANES_A_BLOCK], dot[LANES_A_BLOCK];
        for (size_t i = 0; i < LANES_A_BLOCK; i++) {
            const lanes_exponential value =
                exponential(lanes_load(x + b * PL_BLOCK + i * LANES), &lanes_of);
            e[i] = value.e;
            dot[i] = lanes_keep(value.kept, lanes_mul(value.e, value.d));
        }
        sums[b] = block_sum(e);
        dots[b] = block_sum(dot);
    }
}

/*
 * The scan. Two values are tested for NaN by one comparison; +inf shows as the largest maximum. The
 * maxima over 16 lanes, which would cost more than everything else, are taken for LANES_ROWS blocks
 * at once by a transposing reduction.
 */
typedef struct scan_state {
    flags nan;
    lanes top; /* the largest values so far */
} scan_state;

LANES_INLINE row scan_block(const unsigned char *x, size_t value_bytes, lanes (*load)(const void *),
                            scan_state *state)
{
    const size_t step = LANES * value_bytes;
    lanes x0 = load(x), x1 = load(x + step), x2 = load(x + 2 * step), x3 = load(x + 3 * step);
    flags nan = flags_or(flags_unordered(x0, x1), flags_unordered(x2, x3));
    lanes max = lanes_max(lanes_max(x0, x1), lanes_max(x2, x3));
    state->nan = flags_or(state->nan, nan);
    state->top = lanes_max(state->top, max);
    return row_of(max);
}

LANES_INLINE bool scan(const unsigned char *x, size_t value_bytes, lanes (*load)(const void *),
                       size_t n_blocks, float *block_max)
{
    const lanes lowest = lanes_set(-INFINITY);
    const size_t block_bytes = PL_BLOCK * value_bytes;
    scan_state state = {flags_unordered(lowest, lowest), lowest};
    row rows[LANES_ROWS];
    size_t b = 0;
    for (; b + LANES_ROWS <= n_blocks; b += LANES_ROWS) {
        for (size_t i = 0; i < LANES_ROWS; i++)
            rows[i] = scan_block(x + (b + i) * block_bytes, value_bytes, load, &state);
        row_store(block_max + b, rows_max(rows));
    }
    if (b < n_blocks) {
        float last[LANES_ROWS];
        for (size_t i = 0; i < LANES_ROWS; i++)
            rows[i] = row_of(lowest);
        for (size_t i = 0; b + i < n_blocks; i++)
            rows[i] = scan_block(x + (b + i) * block_bytes, value_bytes, load, &state);
        row_store(last, rows_max(rows));
        memcpy(block_max + b, last, (n_blocks - b) * sizeof *last);
    }
    return flags_any(state.nan) || flags_any(flags_at_least(state.top, lanes_set(INFINITY)));
}

static bool scan_f32(const void *x, size_t n_blocks, float *block_max)
{
    return scan(x, sizeof(float), lanes_load, n_blocks, block_max);
}

static bool scan_f16(const void *x, size_t n_blocks, float *block_max)
{
    return scan(x, sizeof(uint16_t), lanes_load_f16, n_blocks, block_max);
}

static bool scan_bf16(const void *x, size_t n_blocks, float *block_max)
{
    return scan(x, sizeof(uint16_t), lanes_load_bf16, n_blocks, block_max);
}

LANES_INLINE void widen(const unsigned char *x, size_t n, float *out, lanes (*load)(const void *))
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        lanes_store(out + i, load(x + i * sizeof(uint16_t)));
    if (i < n) {
        uint16_t narrow[LANES] = {0};
        float wide[LANES];
        memcpy(narrow, x + i * sizeof *narrow, (n - i) * sizeof *narrow);
        lanes_store(wide, load(narrow));
        memcpy(out + i, wide, (n - i) * sizeof *wide);
    }
}

static void widen_f16(const void *x, size_t n, float *out)
{
    widen(x, n, out, lanes_load_f16);
}

static void widen_bf16(const void *x, size_t n, float *out)
{
    widen(x, n, out, lanes_load_bf16);
}

static float max_value(const float *x, size_t n_blocks)
{
    lanes m[LANES_A_BLOCK];
    for (size_t i = 0; i < LANES_A_BLOCK; i++)
        m[i] = lanes_load(x + i * LANES);
    for (size_t b = 1; b < n_blocks; b++) {
        for (size_t i = 0; i < LANES_A_BLOCK; i++)
            m[i] = lanes_max(m[i], lanes_load(x + b * PL_BLOCK + i * LANES));
    }
    row rows[LANES_ROWS];
    float maxima[LANES_ROWS];
    for (size_t i = 0; i < LANES_ROWS; i++)
        rows[i] = row_of(lanes_max(lanes_max(m[0], m[1]), lanes_max(m[2], m[3])));
    row_store(maxima, rows_max(rows));
    return maxima[0];
}

/*
 * The gather looks at a block at a time, because nearly all blocks hold nothing. The maximum starts
 * from -inf and keeps its second operand at a NaN, so a NaN hides no other value.
 */
typedef struct gather_state {
    lanes threshold;
    uint32_t *ids;
    float *logits;
    size_t n;
} gather_state;

LANES_INLINE void gather_lanes(lanes x, uint32_t first_id, gather_state *state)
{
    unsigned bits = flags_bits(flags_at_least(x, state->threshold));
    if (bits)
        state->n +=
            lanes_compress(x, bits, first_id, state->ids + state->n, state->logits + state->n);
}

static size_t gather(const float *x, size_t n, float threshold, uint32_t first_id, uint32_t *ids,
                     float *logits)
{
    gather_state state = {lanes_set(threshold), ids, logits, 0};
    size_t i = 0;
    for (; i + PL_BLOCK <= n; i += PL_BLOCK) {
        lanes v[LANES_A_BLOCK];
        lanes max = lanes_set(-INFINITY);
        for (size_t k = 0; k < LANES_A_BLOCK; k++) {
            v[k] = lanes_load(x + i + k * LANES);
            max = lanes_max(v[k], max);
        }
        if (!flags_any(flags_at_least(max, state.threshold)))
            continue;
        for (size_t k = 0; k < LANES_A_BLOCK; k++)
            gather_lanes(v[k], first_id + (uint32_t)(i + k * LANES), &state);
    }
    for (; i < n; i += LANES) {
        float last[LANES];
        for (size_t k = 0; k < LANES; k++)
            last[k] = i + k < n ? x[i + k] : -INFINITY;
        gather_lanes(lanes_load(last), first_id + (uint32_t)i, &state);
    }
    return state.n;
}

static size_t count(const float *x, size_t n_blocks, float threshold)
{
    const lanes least = lanes_set(threshold);
    size_t n = 0;
    for (size_t b = 0; b < n_blocks; b++) {
        uint64_t bits = 0;
        for (size_t i = 0; i < LANES_A_BLOCK; i++) {
            lanes v = lanes_load(x + b * PL_BLOCK + i * LANES);
            bits |= (uint64_t)flags_bits(flags_at_least(v, least)) << (i * LANES);
        }
        n += bits_count(bits);
    }
    return n;
}

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
    const size_t step = LANES * value_bytes;
    const lanes zero = lanes_set(0.0f);
    lanes sum[LANES_A_BLOCK] = {zero, zero, zero, zero};
    size_t i = 0;
    for (; i + PL_BLOCK <= n; i += PL_BLOCK) {
        for (size_t k = 0; k < LANES_A_BLOCK; k++)
            sum[k] = lanes_fma(lanes_load(x + i + k * LANES), load(w + i * value_bytes + k * step),
                               sum[k]);
    }
    size_t k = 0;
    for (; i + LANES <= n; i += LANES, k++)
        sum[k] = lanes_fma(lanes_load(x + i), load(w + i * value_bytes), sum[k]);
    if (i < n)
        sum[k] = dot_rest(x + i, w + i * value_bytes, value_bytes, load, n - i, sum[k]);
    return block_sum(sum);
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

#define PL_KERNELS_TABLE(isa_value, isa_name)                                                      \
    {                                                                                              \
        .isa = (isa_value), .name = (isa_name), .scan_f32 = scan_f32, .scan_f16 = scan_f16,        \
        .scan_bf16 = scan_bf16, .widen_f16 = widen_f16, .widen_bf16 = widen_bf16,                  \
        .max = max_value, .exp_values = exp_values, .exp_sums = exp_sums, .exp_dots = exp_dots,    \
        .gather = gather, .count = count, .dot_f32 = dot_f32, .dot_f16 = dot_f16,                  \
        .dot_bf16 = dot_bf16                                                                       \
    }

#endif
