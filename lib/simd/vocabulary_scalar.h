/*
 * The vocabulary of kernels_template.h in plain C: lanes are an array, every operation a loop.
 * Slow, portable, and the definition of what the others must give.
 */
#ifndef PLK_VOCABULARY_SCALAR_H
#define PLK_VOCABULARY_SCALAR_H

#include "simd/fused.h"
#include "simd/lanes_inline.h"

#include <math.h>
#include <string.h>

typedef struct lanes {
    float v[16];
} lanes;

typedef struct flags {
    bool v[16];
} flags;

#define FOR_LANES(i) for (size_t i = 0; i < 16; i++)

LANES_INLINE uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

LANES_INLINE float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

LANES_INLINE lanes lanes_set(float x)
{
    lanes r;
    FOR_LANES(i)
    r.v[i] = x;
    return r;
}

LANES_INLINE lanes lanes_load(const void *x)
{
    lanes r;
    memcpy(r.v, x, sizeof r.v);
    return r;
}

LANES_INLINE lanes lanes_load_once(const void *x)
{
    return lanes_load(x);
}

LANES_INLINE lanes lanes_load_items(const void *items, uint32_t first, flags *other)
{
    plk_item item[16];
    lanes r;
    memcpy(item, items, sizeof item);
    FOR_LANES(i)
    {
        other->v[i] = other->v[i] || (uint32_t)item[i].token != first + (uint32_t)i;
        r.v[i] = item[i].logit;
    }
    return r;
}

LANES_INLINE lanes lanes_load_first(const void *x, size_t n)
{
    lanes r = lanes_set(-INFINITY);
    memcpy(r.v, x, n * sizeof *r.v);
    return r;
}

LANES_INLINE void lanes_store(float *x, lanes a)
{
    memcpy(x, a.v, sizeof a.v);
}

/* A subnormal half is an integer times 2^-24; the conversion and the product are exact. */
LANES_INLINE float float_of_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1Fu;
    uint32_t fraction = half & 0x3FFu;
    if (exponent == 0)
        return float_of_bits(sign | float_bits((float)fraction * 0x1p-24f));
    if (exponent == 0x1F) {
        uint32_t quiet = fraction ? 0x400000u : 0;
        return float_of_bits(sign | 0x7F800000u | quiet | fraction << 13);
    }
    return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

LANES_INLINE lanes lanes_load_f16(const void *x)
{
    uint16_t half[16];
    memcpy(half, x, sizeof half);
    lanes r;
    FOR_LANES(i)
    r.v[i] = float_of_f16(half[i]);
    return r;
}

/* Copied as bits: a float that passes through a register of another kind might lose the payload of
 * a signalling NaN. */
LANES_INLINE lanes lanes_load_bf16(const void *x)
{
    uint16_t half[16];
    memcpy(half, x, sizeof half);
    uint32_t bits[16];
    FOR_LANES(i)
    bits[i] = (uint32_t)half[i] << 16;
    lanes r;
    memcpy(r.v, bits, sizeof r.v);
    return r;
}

LANES_INLINE lanes lanes_add(lanes a, lanes b)
{
    FOR_LANES(i)
    a.v[i] += b.v[i];
    return a;
}

LANES_INLINE lanes lanes_sub(lanes a, lanes b)
{
    FOR_LANES(i)
    a.v[i] -= b.v[i];
    return a;
}

LANES_INLINE lanes lanes_mul(lanes a, lanes b)
{
    FOR_LANES(i)
    a.v[i] *= b.v[i];
    return a;
}

LANES_INLINE lanes lanes_div(lanes a, lanes b)
{
    FOR_LANES(i)
    a.v[i] /= b.v[i];
    return a;
}

LANES_INLINE lanes lanes_fma(lanes a, lanes b, lanes c)
{
    FOR_LANES(i)
    a.v[i] = plk_fused(a.v[i], b.v[i], c.v[i]);
    return a;
}

LANES_INLINE lanes lanes_fms(lanes a, lanes b, lanes c)
{
    FOR_LANES(i)
    a.v[i] = plk_fused(a.v[i], b.v[i], -c.v[i]);
    return a;
}

LANES_INLINE lanes lanes_max(lanes a, lanes b)
{
    FOR_LANES(i)
    a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
    return a;
}

LANES_INLINE lanes lanes_scale(flags f, lanes a, lanes shifted)
{
    FOR_LANES(i)
    {
        uint32_t bits = float_bits(a.v[i]) + (float_bits(shifted.v[i]) << 23);
        a.v[i] = f.v[i] ? float_of_bits(bits) : 0.0f;
    }
    return a;
}

LANES_INLINE flags flags_at_least(lanes a, lanes b)
{
    flags r;
    FOR_LANES(i)
    r.v[i] = a.v[i] >= b.v[i];
    return r;
}

LANES_INLINE flags flags_unordered(lanes a, lanes b)
{
    flags r;
    FOR_LANES(i)
    r.v[i] = isunordered(a.v[i], b.v[i]);
    return r;
}

LANES_INLINE flags flags_or(flags f, flags g)
{
    FOR_LANES(i)
    f.v[i] = f.v[i] || g.v[i];
    return f;
}

LANES_INLINE unsigned flags_bits(flags f)
{
    unsigned bits = 0;
    FOR_LANES(i)
    bits |= (unsigned)f.v[i] << i;
    return bits;
}

LANES_INLINE bool flags_any(flags f)
{
    return flags_bits(f) != 0;
}

LANES_INLINE unsigned ints_equal(const int32_t *x, int32_t value)
{
    unsigned bits = 0;
    FOR_LANES(i)
    bits |= (unsigned)(x[i] == value) << i;
    return bits;
}

LANES_INLINE size_t bits_count(uint64_t bits)
{
    size_t n = 0;
    for (; bits; bits &= bits - 1)
        n++;
    return n;
}

LANES_INLINE lanes lanes_keep(flags f, lanes a)
{
    FOR_LANES(i)
    a.v[i] = f.v[i] ? a.v[i] : 0.0f;
    return a;
}

LANES_INLINE lanes lanes_mask(uint32_t word, unsigned first, lanes a)
{
    FOR_LANES(i)
    a.v[i] = word >> (first + i) & 1u ? a.v[i] : -INFINITY;
    return a;
}

LANES_INLINE lanes lanes_ban(uint32_t word, unsigned first, lanes a)
{
    FOR_LANES(i)
    a.v[i] = word >> (first + i) & 1u ? a.v[i] : a.v[i] + -INFINITY;
    return a;
}

LANES_INLINE flags flags_of_word(uint32_t word, unsigned first)
{
    flags r;
    FOR_LANES(i)
    r.v[i] = (word >> (first + i) & 1u) != 0;
    return r;
}

LANES_INLINE float lanes_largest(lanes a)
{
    float max = a.v[0];
    FOR_LANES(i)
    max = a.v[i] > max ? a.v[i] : max;
    return max;
}

typedef struct lane_words {
    uint32_t w[16];
} lane_words;

LANES_INLINE lane_words words_set(uint32_t w)
{
    lane_words a;
    FOR_LANES(i)
    a.w[i] = w;
    return a;
}

LANES_INLINE lane_words words_count(uint32_t first)
{
    lane_words a;
    FOR_LANES(i)
    a.w[i] = first + (uint32_t)i;
    return a;
}

LANES_INLINE lane_words words_xor(lane_words a, lane_words b, lane_words c)
{
    FOR_LANES(i)
    a.w[i] ^= b.w[i] ^ c.w[i];
    return a;
}

LANES_INLINE lane_words words_mul(lane_words a, uint32_t m, lane_words *high)
{
    FOR_LANES(i)
    {
        uint64_t product = (uint64_t)a.w[i] * m;
        high->w[i] = (uint32_t)(product >> 32);
        a.w[i] = (uint32_t)product;
    }
    return a;
}

/* The high 24 bits of the complement. */
LANES_INLINE lanes words_rest(lane_words a)
{
    lanes unit;
    FOR_LANES(i)
    unit.v[i] = (float)(~a.w[i] >> 8);
    return unit;
}

LANES_INLINE lanes lanes_bits(lanes a)
{
    FOR_LANES(i)
    a.v[i] = (float)(int32_t)float_bits(a.v[i]);
    return a;
}

enum { LANES_FOLDS = 1, LANES_ROWS = 1 };

LANES_INLINE void lanes_fold(double *folded, const lanes *v)
{
    double sum[16];
    FOR_LANES(i)
    sum[i] = (double)v->v[i];
    for (size_t half = 8; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++)
            sum[i] += sum[i + half];
    }
    *folded = sum[0];
}

LANES_INLINE double lanes_fold_one(lanes a)
{
    double sum;
    lanes_fold(&sum, &a);
    return sum;
}

typedef lanes row;
typedef float rows_maxima;

LANES_INLINE row row_of(lanes a)
{
    return a;
}

/* The sum with +0 turns -0 into +0. */
LANES_INLINE rows_maxima rows_max(const row *rows)
{
    float max = rows[0].v[0];
    FOR_LANES(i)
    max = rows[0].v[i] > max ? rows[0].v[i] : max;
    return max + 0.0f;
}

LANES_INLINE void rows_store(float *x, rows_maxima maxima, rows_maxima *top)
{
    *x = maxima;
    *top = maxima > *top ? maxima : *top;
}

LANES_INLINE rows_maxima rows_lowest(void)
{
    return -INFINITY;
}

LANES_INLINE bool rows_any_infinite(rows_maxima top)
{
    return top == INFINITY;
}

LANES_INLINE size_t lanes_compress(lanes a, unsigned bits, uint32_t first_id, uint32_t *ids,
                                   float *logits)
{
    size_t n = 0;
    FOR_LANES(i)
    {
        if (bits >> i & 1u) {
            ids[n] = first_id + (uint32_t)i;
            logits[n++] = a.v[i];
        }
    }
    return n;
}

typedef struct wides {
    double v[16];
} wides;

LANES_INLINE wides wides_set(double x)
{
    wides r;
    FOR_LANES(i)
    r.v[i] = x;
    return r;
}

LANES_INLINE wides wides_widen(lanes a)
{
    wides r;
    FOR_LANES(i)
    r.v[i] = (double)a.v[i];
    return r;
}

LANES_INLINE lanes wides_narrow(wides a)
{
    lanes r;
    FOR_LANES(i)
    r.v[i] = (float)a.v[i];
    return r;
}

LANES_INLINE wides wides_add(wides a, wides b)
{
    FOR_LANES(i)
    a.v[i] += b.v[i];
    return a;
}

LANES_INLINE wides wides_sub(wides a, wides b)
{
    FOR_LANES(i)
    a.v[i] -= b.v[i];
    return a;
}

LANES_INLINE wides wides_mul(wides a, wides b)
{
    FOR_LANES(i)
    a.v[i] *= b.v[i];
    return a;
}

LANES_INLINE wides wides_div(wides a, wides b)
{
    FOR_LANES(i)
    a.v[i] /= b.v[i];
    return a;
}

LANES_INLINE wides wides_max(wides a, wides b)
{
    FOR_LANES(i)
    a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
    return a;
}

LANES_INLINE wides wides_min(wides a, wides b)
{
    FOR_LANES(i)
    a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
    return a;
}

LANES_INLINE lanes lanes_select(flags f, lanes a, lanes b)
{
    FOR_LANES(i)
    a.v[i] = f.v[i] ? a.v[i] : b.v[i];
    return a;
}

#endif
