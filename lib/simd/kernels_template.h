/*
 * The kernels, written once over 16 virtual lanes.
 *
 * A kernels_<isa>.c includes one vocabulary and then this file, and gets a set of static functions
 * and PLK_KERNELS_TABLE(isa, name), the initialiser of a plk_kernels. Which float operations
 * happen, and in which order, is decided here and nowhere else; a vocabulary only says how one of
 * them is done for 16 lanes. Hence the same bits everywhere.
 *
 * What a vocabulary defines (a, b, c: lanes; all loads and stores at any alignment):
 *   lanes                       16 floats
 *   lanes_set(f)                f in every lane
 *   lanes_load(p)               lane i = i-th float at p (const void *)
 *   lanes_load_once(p)          lanes_load for a value that is used more than once
 *   lanes_load_first(p, n)      the first n < 16 floats at p, nothing beyond them; then -inf
 *   lanes_load_f16(p), _bf16    the same from 16 halves, exactly; a signalling f16 NaN turns quiet
 *   lanes_load_items(p, i, f)   lane j = logit of the j-th plk_item at p; if some token is not
 *                               i + j, some flag of *f becomes set
 *   lanes_store(p, a)           16 floats to p (float *)
 *   lanes_add, _sub, _mul, _div one rounding each
 *   lanes_fma(a, b, c)          a * b + c, one rounding
 *   lanes_fms(a, b, c)          a * b - c, one rounding
 *   lanes_max(a, b)             a > b ? a : b, so b where either is NaN
 *   lanes_scale(f, a, s)        where f, bits(a) + (bits(s) << 23) as integers, which is a * 2^n
 *                               for s = 1.5 * 2^23 + n; else +0
 *   flags                       16 truth values, whatever a comparison gives
 *   flags_at_least(a, b)        a >= b, false for NaN
 *   flags_unordered(a, b)       a or b is NaN
 *   flags_or(f, g), flags_any(f), flags_bits(f): the last has lane i in bit i of an unsigned
 *   ints_equal(p, v)            bit i of an unsigned: the i-th of 16 int32_t at p is v
 *   flags_of_word(u, first)     lane i is bit first + i of a uint32_t; first is 0 or 16
 *   bits_count(u)               number of set bits of a uint64_t
 *   lanes_keep(f, a)            a where f, else +0
 *   lanes_ban(u, first, a)      a + -inf in the lanes i whose bit first + i in a uint32_t is 0,
 *                               else a, but for the sign of zero; first is 0 or 16
 *   lanes_mask(u, first, a)     -inf in these lanes, else a
 *   lanes_largest(a)            the largest lane, none of which is NaN
 *   lane_words                  16 integers of 32 bits
 *   words_set(w), words_count(w): w, or w + i, in lane i; words_xor(a, b, c): of all three
 *   words_mul(a, m, h)          the low halves of a * m; *h: the high halves
 *   words_rest(a)               the high 24 bits of UINT32_MAX - a, as a number
 *   lanes_bits(a)               the bits of a >= 0 as an integer, rounded to float
 *   LANES_FOLDS                 how many blocks' sums are finished together
 *   lanes_fold(p, v)            LANES_FOLDS doubles to p from as many lanes at v: the lanes of each
 *                               as doubles, lane j += lane j + 8, then + 4, + 2, + 1
 *   lanes_fold_one(a)           the same of one
 *   LANES_ROWS                  how many blocks' maxima are finished together
 *   row, row_of(a)              a as far reduced by lanes_max as costs nothing
 *   rows_max(rows)              the maximum of each of LANES_ROWS rows, as a rows_maxima; never -0
 *   rows_store(p, m, top)       LANES_ROWS floats to p; *top = the larger of *top and m
 *   rows_lowest(), rows_any_infinite(top): a top of -inf; whether +inf is in it
 *   lanes_compress(a, bits, first_id, ids, logits)
 *                               appends the lanes set in bits, and first_id + lane; returns how
 *                               many; may write 16 elements in all
 *   lanes_select(f, a, b)       a where f, else b
 *   wides                       16 doubles
 *   wides_set(x)                x in every one
 *   wides_widen(a), wides_narrow(w): of lanes, exactly; to lanes, rounded to nearest
 *   wides_add, _sub, _mul, _div one rounding each
 *   wides_max, _min (a, b)      a > b ? a : b and a < b ? a : b
 */
#ifndef PLK_KERNELS_TEMPLATE_H
#define PLK_KERNELS_TEMPLATE_H

#include <float.h>
#include <math.h>
#include <string.h>

enum { LANES = 16, LANES_A_BLOCK = PLK_BLOCK / LANES };

/*
 * exp(beta d) = 2^(rate d), d = x - origin <= 0, rate = beta / ln 2 = rate_hi + rate_lo.
 *
 * Reduction after Cody and Waite, in base 2, where it is exact: t + t_lo = rate d in two floats
 * (the error of a product is a fused multiply-add away), n = round(t), t - n without error, and
 * one rounding in r = (t - n) + t_lo. |r| <= 1/2, or little more.
 *   - n comes from adding 1.5 * 2^23, which leaves it in the low bits of the sum too, ready for
 *     lanes_scale.
 *   - 2^r = 1 + r P(r), P of degree 5: the polynomial that is minimax in the relative error over
 *     |r| <= (1 + 2^-14) / 2, found by iteratively reweighted least squares (Lawson) for given 1
 *     and EXP_C1 = fl(ln 2), its other coefficients rounded to float one at a time, lowest first,
 *     the rest refitted each time. Its own error is 3.0e-9, 0.05 of 2^-24.
 * Error in ulps of the result: 1/2 for the last fma, 1/4 for the one before it, 1/8 for r, 0.05 for
 * the polynomial, 0.02 for the rounding of the fmas further in; less than 1 in all.
 * scripts/check-exponential measures it over every float.
 *
 * The result is 0 unless t >= -125. That keeps 2^n normal, and it disposes of d = -inf, of overflow
 * in t, and of the NaNs that come of them, because a comparison with NaN is false. A NaN in x gives
 * 0 too.
 */
#define EXP_MAGIC 0x1.8p23f
#define EXP_FLUSH (-125.0f)
#define EXP_C1    0x1.62e43p-1f
#define EXP_C2    0x1.ebfbdcp-3f
#define EXP_C3    0x1.c6af7cp-5f
#define EXP_C4    0x1.3b2dep-7f
#define EXP_C5    0x1.5f0832p-10f
#define EXP_C6    0x1.416b5ep-13f

typedef struct lanes_exponent {
    lanes origin, rate_hi, rate_lo;
} lanes_exponent;

/* The exponential; and d, for those who need more than e. */
typedef struct lanes_exponential {
    lanes e, d;
} lanes_exponential;

LANES_INLINE lanes_exponent exponent_set(plk_exponent exponent)
{
    return (lanes_exponent){lanes_set(exponent.origin), lanes_set(exponent.rate_hi),
                            lanes_set(exponent.rate_lo)};
}

LANES_INLINE lanes_exponential exponential(lanes x, const lanes_exponent *exponent)
{
    lanes d = lanes_sub(x, exponent->origin);
    lanes t = lanes_mul(d, exponent->rate_hi);
    lanes t_lo = lanes_fma(d, exponent->rate_lo, lanes_fms(d, exponent->rate_hi, t));
    lanes shifted = lanes_add(t, lanes_set(EXP_MAGIC));
    lanes n = lanes_sub(shifted, lanes_set(EXP_MAGIC));
    lanes r = lanes_add(lanes_sub(t, n), t_lo);
    lanes p = lanes_fma(lanes_set(EXP_C6), r, lanes_set(EXP_C5));
    p = lanes_fma(p, r, lanes_set(EXP_C4));
    p = lanes_fma(p, r, lanes_set(EXP_C3));
    p = lanes_fma(p, r, lanes_set(EXP_C2));
    p = lanes_fma(p, r, lanes_set(EXP_C1));
    p = lanes_fma(p, r, lanes_set(1.0f));
    flags kept = flags_at_least(t, lanes_set(EXP_FLUSH));
    return (lanes_exponential){lanes_scale(kept, p, shifted), d};
}

static void exp_values(const float *x, size_t n_blocks, plk_exponent exponent, float *e)
{
    const lanes_exponent lanes_of = exponent_set(exponent);
    for (size_t i = 0; i < n_blocks * PLK_BLOCK; i += LANES)
        lanes_store(e + i, exponential(lanes_load(x + i), &lanes_of).e);
}

/* Where the sums of the last incomplete group of blocks go first. */
LANES_INLINE void sums_store(double *sums, const lanes *totals, size_t n)
{
    double group[LANES_FOLDS];
    lanes_fold(group, totals);
    for (size_t i = 0; i < n; i++)
        sums[i] = group[i];
}

LANES_INLINE lanes block_total(const lanes *v)
{
    return lanes_add(lanes_add(v[0], v[1]), lanes_add(v[2], v[3]));
}

/* The total of one block in each lane; dots may be NULL. */
LANES_INLINE lanes exponential_block(const float *x, const lanes_exponent *exponent, lanes *dots)
{
    lanes e[LANES_A_BLOCK];
    for (size_t i = 0; i < LANES_A_BLOCK; i++) {
        const lanes_exponential value = exponential(lanes_load(x + i * LANES), exponent);
        e[i] = value.e;
        if (!dots)
            continue;
        /* d may be -inf where e is 0: any finite number makes the product 0. */
        const lanes d = lanes_max(value.d, lanes_set(-FLT_MAX));
        *dots = i == 0 ? lanes_mul(e[i], d) : lanes_fma(e[i], d, *dots);
    }
    return block_total(e);
}

static void exp_sums(const float *x, size_t n_blocks, plk_exponent exponent, double *sums)
{
    const lanes_exponent lanes_of = exponent_set(exponent);
    lanes totals[LANES_FOLDS];
    size_t b = 0;
    for (; b + LANES_FOLDS <= n_blocks; b += LANES_FOLDS) {
        LANES_ROLLED
        for (size_t i = 0; i < LANES_FOLDS; i++)
            totals[i] = exponential_block(x + (b + i) * PLK_BLOCK, &lanes_of, NULL);
        lanes_fold(sums + b, totals);
    }
    if (b == n_blocks)
        return;
    for (size_t i = 0; i < LANES_FOLDS; i++)
        totals[i] = lanes_set(0.0f);
    for (size_t i = 0; b + i < n_blocks; i++)
        totals[i] = exponential_block(x + (b + i) * PLK_BLOCK, &lanes_of, NULL);
    sums_store(sums + b, totals, n_blocks - b);
}

/* n = 64 or less. */
static double exp_block(const float *x, size_t n, plk_exponent exponent, float *e)
{
    const lanes_exponent lanes_of = exponent_set(exponent);
    lanes v[LANES_A_BLOCK];
    if (n == PLK_BLOCK) {
        for (size_t i = 0; i < LANES_A_BLOCK; i++)
            v[i] = exponential(lanes_load(x + i * LANES), &lanes_of).e;
    } else {
        for (size_t i = 0; i < LANES_A_BLOCK; i++)
            v[i] = lanes_set(0.0f);
        size_t i = 0;
        for (; (i + 1) * LANES <= n; i++)
            v[i] = exponential(lanes_load(x + i * LANES), &lanes_of).e;
        if (i * LANES < n)
            v[i] = exponential(lanes_load_first(x + i * LANES, n - i * LANES), &lanes_of).e;
    }
    for (size_t i = 0; i < LANES_A_BLOCK; i++)
        lanes_store(e + i * LANES, v[i]);
    return lanes_fold_one(block_total(v));
}

LANES_INLINE lanes exponential_block_from(const float *x, const lanes_exponent *exponent,
                                          lanes threshold)
{
    lanes e[LANES_A_BLOCK];
    for (size_t i = 0; i < LANES_A_BLOCK; i++) {
        const lanes values = lanes_load(x + i * LANES);
        const lanes_exponential value = exponential(values, exponent);
        e[i] = lanes_keep(flags_at_least(values, threshold), value.e);
    }
    return block_total(e);
}

static void exp_sums_from(const float *x, size_t n_blocks, plk_exponent exponent, float threshold,
                          double *sums)
{
    const lanes_exponent lanes_of = exponent_set(exponent);
    const lanes from = lanes_set(threshold);
    lanes totals[LANES_FOLDS];
    for (size_t b = 0; b < n_blocks; b += LANES_FOLDS) {
        const size_t n = n_blocks - b < LANES_FOLDS ? n_blocks - b : LANES_FOLDS;
        for (size_t i = 0; i < LANES_FOLDS; i++)
            totals[i] = i < n ? exponential_block_from(x + (b + i) * PLK_BLOCK, &lanes_of, from)
                              : lanes_set(0.0f);
        sums_store(sums + b, totals, n);
    }
}

static void exp_dots(const float *x, size_t n_blocks, plk_exponent exponent, double *sums,
                     double *dots)
{
    const lanes_exponent lanes_of = exponent_set(exponent);
    lanes totals[LANES_FOLDS], dot_totals[LANES_FOLDS];
    size_t b = 0;
    for (; b + LANES_FOLDS <= n_blocks; b += LANES_FOLDS) {
        LANES_ROLLED
        for (size_t i = 0; i < LANES_FOLDS; i++)
            totals[i] = exponential_block(x + (b + i) * PLK_BLOCK, &lanes_of, dot_totals + i);
        lanes_fold(sums + b, totals);
        lanes_fold(dots + b, dot_totals);
    }
    if (b == n_blocks)
        return;
    for (size_t i = 0; i < LANES_FOLDS; i++)
        totals[i] = dot_totals[i] = lanes_set(0.0f);
    for (size_t i = 0; b + i < n_blocks; i++)
        totals[i] = exponential_block(x + (b + i) * PLK_BLOCK, &lanes_of, dot_totals + i);
    sums_store(sums + b, totals, n_blocks - b);
    sums_store(dots + b, dot_totals, n_blocks - b);
}

/* The first of n values above -inf; 0 if there is none. x has any alignment. */
LANES_INLINE float moments_origin(const float *x, size_t n)
{
    float origin = -INFINITY;
    for (size_t i = 0; i < n && !(origin > -INFINITY); i++)
        memcpy(&origin, x + i, sizeof origin);
    return origin > -INFINITY ? origin : 0.0f;
}

typedef struct moments_state {
    lanes sum, square;
    size_t n;
} moments_state;

/* The sums of one group in each lane, of -d and d * d: origin - x is an operation with an operand
 * in memory. Where some value is -inf they come out infinite or NaN. */
LANES_INLINE moments_state moments_group(const float *x, size_t n_blocks, lanes origin)
{
    lanes sums[LANES_A_BLOCK], squares[LANES_A_BLOCK];
    for (size_t i = 0; i < LANES_A_BLOCK; i++)
        sums[i] = squares[i] = lanes_set(0.0f);
    for (size_t b = 0; b < n_blocks; b++) {
        for (size_t i = 0; i < LANES_A_BLOCK; i++) {
            const lanes d = lanes_sub(origin, lanes_load(x + b * PLK_BLOCK + i * LANES));
            sums[i] = lanes_add(sums[i], d);
            squares[i] = lanes_fma(d, d, squares[i]);
        }
    }
    return (moments_state){block_total(sums), block_total(squares), n_blocks * PLK_BLOCK};
}

/* The same where some values are -inf. */
LANES_INLINE moments_state moments_of_finite(const float *x, size_t n_blocks, lanes origin)
{
    const lanes least = lanes_set(-FLT_MAX);
    lanes sums[LANES_A_BLOCK], squares[LANES_A_BLOCK];
    size_t n = 0;
    for (size_t i = 0; i < LANES_A_BLOCK; i++)
        sums[i] = squares[i] = lanes_set(0.0f);
    for (size_t b = 0; b < n_blocks; b++) {
        uint64_t bits = 0;
        for (size_t i = 0; i < LANES_A_BLOCK; i++) {
            const lanes v = lanes_load(x + b * PLK_BLOCK + i * LANES);
            const flags finite = flags_at_least(v, least);
            const lanes d = lanes_keep(finite, lanes_sub(origin, v));
            sums[i] = lanes_add(sums[i], d);
            squares[i] = lanes_fma(d, d, squares[i]);
            bits |= (uint64_t)flags_bits(finite) << (i * LANES);
        }
        n += bits_count(bits);
    }
    return (moments_state){block_total(sums), block_total(squares), n};
}

static void moments(const float *x, size_t n_blocks, plk_spread *groups)
{
    const lanes most = lanes_set(FLT_MAX);
    lanes sums[LANES_FOLDS], squares[LANES_FOLDS];
    for (size_t i = 0; i < LANES_FOLDS; i++)
        sums[i] = squares[i] = lanes_set(0.0f);
    for (size_t b = 0, k = 0; b < n_blocks; b += PLK_MOMENTS_BLOCKS) {
        const size_t left = n_blocks - b;
        const size_t n = left < PLK_MOMENTS_BLOCKS ? left : PLK_MOMENTS_BLOCKS;
        const float *at = x + b * PLK_BLOCK, origin = moments_origin(at, n * PLK_BLOCK);
        moments_state state = moments_group(at, n, lanes_set(origin));
        if (flags_bits(flags_at_least(most, state.sum)) != (1u << LANES) - 1)
            state = moments_of_finite(at, n, lanes_set(origin));
        groups[k] = (plk_spread){.n = (double)state.n, .origin = (double)origin};
        sums[k] = state.sum;
        squares[k++] = state.square;
        if (k < LANES_FOLDS && left > PLK_MOMENTS_BLOCKS)
            continue;
        double folded[LANES_FOLDS], folded_squares[LANES_FOLDS];
        lanes_fold(folded, sums);
        lanes_fold(folded_squares, squares);
        for (size_t i = 0; i < k; i++) {
            groups[i].sum = 0.0 - folded[i];
            groups[i].square = folded_squares[i];
        }
        groups += k;
        k = 0;
    }
}

/*
 * The scan. Two values are tested for NaN by one comparison; +inf shows as the largest maximum. The
 * maxima over 16 lanes, which would cost more than everything else, are taken for LANES_ROWS blocks
 * at once by a transposing reduction.
 *
 * Under a mask -inf is added to what is banned: it becomes -inf, or NaN if it was NaN or +inf. So
 * the same comparisons find every bad value, banned or not.
 */
enum { WORD_BITS = 32, WORDS_A_BLOCK = PLK_BLOCK / WORD_BITS };

/* A mask's words may have any alignment. */
LANES_INLINE uint32_t mask_word(const int32_t *mask, size_t index)
{
    uint32_t word;
    memcpy(&word, (const unsigned char *)mask + index * sizeof word, sizeof word);
    return word;
}

typedef struct scan_state {
    flags nan;
    size_t n_allowed;
} scan_state;

/* mask: the words of the block, if masked. */
LANES_INLINE row scan_block(const unsigned char *x, size_t value_bytes, lanes (*load)(const void *),
                            bool masked, const int32_t *mask, scan_state *state)
{
    const size_t step = LANES * value_bytes;
    lanes x0 = load(x), x1 = load(x + step), x2 = load(x + 2 * step), x3 = load(x + 3 * step);
    if (masked) {
        const uint32_t low = mask_word(mask, 0), high = mask_word(mask, 1);
        x0 = lanes_ban(low, 0, x0);
        x1 = lanes_ban(low, LANES, x1);
        x2 = lanes_ban(high, 0, x2);
        x3 = lanes_ban(high, LANES, x3);
        state->n_allowed += bits_count((uint64_t)high << WORD_BITS | low);
    }
    flags here = flags_or(flags_unordered(x0, x1), flags_unordered(x2, x3));
    state->nan = flags_or(state->nan, here);
    return row_of(lanes_max(lanes_max(x0, x1), lanes_max(x2, x3)));
}

/* mask and n_allowed: only if masked. */
LANES_INLINE bool scan(const unsigned char *x, size_t value_bytes, lanes (*load)(const void *),
                       bool masked, const int32_t *mask, size_t n_blocks, float *block_max,
                       size_t *n_allowed)
{
    const size_t block_bytes = PLK_BLOCK * value_bytes;
    const size_t words = masked ? WORDS_A_BLOCK : 0;
    scan_state state = {.nan = flags_unordered(lanes_set(0.0f), lanes_set(0.0f))};
    rows_maxima top = rows_lowest();
    row rows[LANES_ROWS];
    size_t b = 0;
    for (; b + LANES_ROWS <= n_blocks; b += LANES_ROWS) {
        for (size_t i = 0; i < LANES_ROWS; i++)
            rows[i] = scan_block(x + (b + i) * block_bytes, value_bytes, load, masked,
                                 mask + (b + i) * words, &state);
        rows_store(block_max + b, rows_max(rows), &top);
    }
    if (b < n_blocks) {
        float last[LANES_ROWS];
        for (size_t i = 0; i < LANES_ROWS; i++)
            rows[i] = row_of(lanes_set(-INFINITY));
        for (size_t i = 0; b + i < n_blocks; i++)
            rows[i] = scan_block(x + (b + i) * block_bytes, value_bytes, load, masked,
                                 mask + (b + i) * words, &state);
        rows_store(last, rows_max(rows), &top);
        memcpy(block_max + b, last, (n_blocks - b) * sizeof *last);
    }
    if (masked)
        *n_allowed += state.n_allowed;
    return flags_any(state.nan) || rows_any_infinite(top);
}

static const int32_t no_mask;

static bool scan_f32(const void *x, size_t n_blocks, float *block_max)
{
    return scan(x, sizeof(float), lanes_load_once, false, &no_mask, n_blocks, block_max, NULL);
}

static bool scan_f16(const void *x, size_t n_blocks, float *block_max)
{
    return scan(x, sizeof(uint16_t), lanes_load_f16, false, &no_mask, n_blocks, block_max, NULL);
}

static bool scan_bf16(const void *x, size_t n_blocks, float *block_max)
{
    return scan(x, sizeof(uint16_t), lanes_load_bf16, false, &no_mask, n_blocks, block_max, NULL);
}

static bool scan_part(const float *x, size_t n, float *max)
{
    flags nan = flags_unordered(lanes_set(0.0f), lanes_set(0.0f));
    lanes largest = lanes_set(-INFINITY);
    for (size_t i = 0; i < n; i += LANES) {
        const lanes v = n - i < LANES ? lanes_load_first(x + i, n - i) : lanes_load(x + i);
        nan = flags_or(nan, flags_unordered(v, v));
        largest = lanes_max(v, largest);
    }
    *max = lanes_largest(largest) + 0.0f;
    return flags_any(nan) || *max == INFINITY;
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

/* The largest of each lane. */
LANES_INLINE lanes max_of_lanes(const float *x, size_t n_blocks)
{
    lanes m[LANES_A_BLOCK];
    for (size_t i = 0; i < LANES_A_BLOCK; i++)
        m[i] = lanes_load(x + i * LANES);
    for (size_t b = 1; b < n_blocks; b++) {
        for (size_t i = 0; i < LANES_A_BLOCK; i++)
            m[i] = lanes_max(m[i], lanes_load(x + b * PLK_BLOCK + i * LANES));
    }
    return lanes_max(lanes_max(m[0], m[1]), lanes_max(m[2], m[3]));
}

static float max_value(const float *x, size_t n_blocks)
{
    row rows[LANES_ROWS];
    float maxima[LANES_ROWS];
    rows_maxima top = rows_lowest();
    const lanes m = max_of_lanes(x, n_blocks);
    for (size_t i = 0; i < LANES_ROWS; i++)
        rows[i] = row_of(m);
    rows_store(maxima, rows_max(rows), &top);
    return maxima[0];
}

static float find_max(const float *x, size_t n_blocks, uint32_t *place)
{
    const float max = lanes_largest(max_of_lanes(x, n_blocks));
    const lanes all = lanes_set(max);
    uint64_t bits = 0;
    size_t b = 0;
    for (; bits == 0; b++) {
        for (size_t i = 0; i < LANES_A_BLOCK; i++) {
            lanes v = lanes_load(x + b * PLK_BLOCK + i * LANES);
            bits |= (uint64_t)flags_bits(flags_at_least(v, all)) << (i * LANES);
        }
    }
    *place = (uint32_t)((b - 1) * PLK_BLOCK + bits_count(~bits & (bits - 1)));
    return max;
}

/*
 * The gather looks at a block at a time, because nearly all blocks hold nothing. In a block that
 * holds something no branch is worth its mispredictions: empty groups of lanes are compressed too.
 * The maximum starts from -inf and keeps its second operand at a NaN, so a NaN hides no other
 * value.
 */
typedef struct gather_state {
    lanes low, high;
    uint32_t *ids;
    float *logits;
    size_t n;
} gather_state;

LANES_INLINE void gather_lanes(lanes x, uint32_t first_id, gather_state *state)
{
    unsigned bits =
        flags_bits(flags_at_least(x, state->low)) & ~flags_bits(flags_at_least(x, state->high));
    state->n += lanes_compress(x, bits, first_id, state->ids + state->n, state->logits + state->n);
}

static size_t gather(const float *x, size_t n, float low, float high, uint32_t first_id,
                     uint32_t *ids, float *logits)
{
    gather_state state = {lanes_set(low), lanes_set(high), ids, logits, 0};
    size_t i = 0;
    for (; i + PLK_BLOCK <= n; i += PLK_BLOCK) {
        lanes v[LANES_A_BLOCK];
        lanes max = lanes_set(-INFINITY);
        for (size_t k = 0; k < LANES_A_BLOCK; k++) {
            v[k] = lanes_load(x + i + k * LANES);
            max = lanes_max(v[k], max);
        }
        if (!flags_any(flags_at_least(max, state.low)))
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

/* All blocks may be wanted, every value of them: those are copied. */
static size_t gather_blocks(const float *x, const uint32_t *blocks, size_t n_blocks, float low,
                            uint32_t *ids, float *logits)
{
    const lanes least = lanes_set(low);
    size_t n = 0;
    for (size_t b = 0; b < n_blocks; b++) {
        const uint32_t first = blocks[b] * PLK_BLOCK;
        lanes v[LANES_A_BLOCK];
        unsigned bits[LANES_A_BLOCK], common = (1u << LANES) - 1;
        for (uint32_t k = 0; k < LANES_A_BLOCK; k++) {
            v[k] = lanes_load(x + first + k * LANES);
            bits[k] = flags_bits(flags_at_least(v[k], least));
            common &= bits[k];
        }
        if (common == (1u << LANES) - 1) {
            for (uint32_t k = 0; k < LANES_A_BLOCK; k++)
                lanes_store(logits + n + k * LANES, v[k]);
            for (uint32_t i = 0; i < PLK_BLOCK; i++)
                ids[n + i] = first + i;
            n += PLK_BLOCK;
            continue;
        }
        for (uint32_t k = 0; k < LANES_A_BLOCK; k++)
            n += lanes_compress(v[k], bits[k], first + k * LANES, ids + n, logits + n);
    }
    return n;
}

static size_t copy_items(const void *items, size_t n, float *out)
{
    const unsigned char *bytes = items;
    size_t i = 0;
    for (; i + PLK_BLOCK <= n; i += PLK_BLOCK) {
        flags other = flags_unordered(lanes_set(0.0f), lanes_set(0.0f));
        for (size_t k = i; k < i + PLK_BLOCK; k += LANES)
            lanes_store(out + k,
                        lanes_load_items(bytes + k * sizeof(plk_item), (uint32_t)k, &other));
        if (flags_any(other))
            break;
    }
    for (; i < n; i++) {
        plk_item item;
        memcpy(&item, bytes + i * sizeof item, sizeof item);
        if ((uint32_t)item.token != i)
            break;
        out[i] = item.logit;
    }
    return i;
}

static size_t find_last(const int32_t *x, size_t n, int32_t value, uint64_t *bits)
{
    *bits = 0;
    while (n > 0 && *bits == 0) {
        const size_t begin = n > PLK_BLOCK ? n - PLK_BLOCK : 0;
        size_t i = 0;
        for (; begin + i + LANES <= n; i += LANES)
            *bits |= (uint64_t)ints_equal(x + begin + i, value) << i;
        for (; begin + i < n; i++)
            *bits |= (uint64_t)(x[begin + i] == value) << i;
        n = begin;
    }
    return n;
}

static size_t count(const float *x, size_t n_blocks, float threshold)
{
    const lanes least = lanes_set(threshold);
    size_t n = 0;
    for (size_t b = 0; b < n_blocks; b++) {
        uint64_t bits = 0;
        for (size_t i = 0; i < LANES_A_BLOCK; i++) {
            lanes v = lanes_load(x + b * PLK_BLOCK + i * LANES);
            bits |= (uint64_t)flags_bits(flags_at_least(v, least)) << (i * LANES);
        }
        n += bits_count(bits);
    }
    return n;
}

#include "simd/dot_template.h"
#include "simd/map_template.h"
#include "simd/mask_template.h"
#include "simd/race_template.h"

#define PLK_KERNELS_TABLE(isa_value, isa_name)                                                     \
    {                                                                                              \
        .isa = (isa_value), .name = (isa_name), .scan_f32 = scan_f32, .scan_f16 = scan_f16,        \
        .scan_bf16 = scan_bf16, .scan_part = scan_part, .scan_masked_f32 = scan_masked_f32,        \
        .scan_masked_f16 = scan_masked_f16, .scan_masked_bf16 = scan_masked_bf16,                  \
        .widen_f16 = widen_f16, .widen_bf16 = widen_bf16, .max = max_value,                        \
        .exp_values = exp_values, .exp_sums = exp_sums, .exp_dots = exp_dots,                      \
        .exp_block = exp_block, .exp_sums_masked = exp_sums_masked,                                \
        .exp_sums_from = exp_sums_from, .moments = moments, .gather = gather,                      \
        .gather_blocks = gather_blocks, .gather_masked = gather_masked,                            \
        .mask_values = mask_values, .copy_items = copy_items, .find_last = find_last,              \
        .count = count, .count_masked = count_masked, .dot_f32 = dot_f32, .dot_f16 = dot_f16,      \
        .dot_bf16 = dot_bf16, .bend = bend, .race_bounds = race_bounds, .find_max = find_max,      \
        .exp_both = exp_both, .prefer = prefer                                                     \
    }

#endif
