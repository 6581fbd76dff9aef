/*
 * The vocabulary of kernels_template.h for AArch64 Advanced SIMD: lanes are four registers.
 */
#ifndef PLK_VOCABULARY_NEON_H
#define PLK_VOCABULARY_NEON_H

#include "simd/compress_table.h"
#include "simd/lanes_inline.h"

#include <arm_neon.h>
#include <math.h>
#include <string.h>

typedef struct lanes {
    float32x4_t q[4];
} lanes;

/* All ones where true. */
typedef struct flags {
    uint32x4_t q[4];
} flags;

/* One expression for each of the four registers i. */
#define LANES_OF(expression)                                                                       \
    lanes result;                                                                                  \
    for (int i = 0; i < 4; i++)                                                                    \
        result.q[i] = (expression);                                                                \
    return result
#define FLAGS_OF(expression)                                                                       \
    flags result;                                                                                  \
    for (int i = 0; i < 4; i++)                                                                    \
        result.q[i] = (expression);                                                                \
    return result

LANES_INLINE lanes lanes_set(float x)
{
    LANES_OF(vdupq_n_f32(x));
}

/* By bytes: the logits may have any alignment. */
LANES_INLINE lanes lanes_load(const void *x)
{
    const uint8_t *bytes = x;
    LANES_OF(vreinterpretq_f32_u8(vld1q_u8(bytes + 16 * i)));
}

LANES_INLINE lanes lanes_load_f16(const void *x)
{
    const uint8_t *bytes = x;
    LANES_OF(vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(bytes + 8 * i))));
}

LANES_INLINE lanes lanes_load_bf16(const void *x)
{
    const uint8_t *bytes = x;
    LANES_OF(vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(bytes + 8 * i)), 16)));
}

/*
 * Four items are three registers: a with the tokens 0 and 1 in elements 0 and 3, b with 2 in
 * element 2, c with 3 in element 1; the logits are one element further on. Selections bring
 * together what is in different elements anyway: tokens in the order 0 3 2 1, logits in 1 0 3 2.
 */
LANES_INLINE float32x4_t load_four_items(const uint8_t *bytes, uint32_t first, uint32x4_t *other)
{
    static const uint32_t token_offsets[4] = {0, 3, 2, 1};
    static const uint32_t token_a[4] = {~0u, 0, 0, ~0u}, token_b[4] = {0, 0, ~0u, 0};
    static const uint32_t logit_b[4] = {~0u, 0, 0, ~0u}, logit_c[4] = {0, 0, ~0u, 0};
    uint32x4_t a = vreinterpretq_u32_u8(vld1q_u8(bytes));
    uint32x4_t b = vreinterpretq_u32_u8(vld1q_u8(bytes + 16));
    uint32x4_t c = vreinterpretq_u32_u8(vld1q_u8(bytes + 32));
    uint32x4_t token = vbslq_u32(vld1q_u32(token_b), b, vbslq_u32(vld1q_u32(token_a), a, c));
    uint32x4_t logit = vbslq_u32(vld1q_u32(logit_b), b, vbslq_u32(vld1q_u32(logit_c), c, a));
    uint32x4_t expected = vaddq_u32(vdupq_n_u32(first), vld1q_u32(token_offsets));
    *other = vorrq_u32(*other, vmvnq_u32(vceqq_u32(token, expected)));
    return vrev64q_f32(vreinterpretq_f32_u32(logit));
}

LANES_INLINE lanes lanes_load_items(const void *items, uint32_t first, flags *other)
{
    const uint8_t *bytes = items;
    LANES_OF(load_four_items(bytes + 48 * i, first + 4 * (uint32_t)i, &other->q[i]));
}

LANES_INLINE lanes lanes_load_once(const void *x)
{
    return lanes_load(x);
}

LANES_INLINE lanes lanes_load_first(const void *x, size_t n)
{
    float values[16];
    for (size_t i = 0; i < 16; i++)
        values[i] = -INFINITY;
    memcpy(values, x, n * sizeof *values);
    return lanes_load(values);
}

LANES_INLINE void lanes_store(float *x, lanes a)
{
    uint8_t *bytes = (uint8_t *)x;
    for (int i = 0; i < 4; i++)
        vst1q_u8(bytes + 16 * i, vreinterpretq_u8_f32(a.q[i]));
}

LANES_INLINE lanes lanes_add(lanes a, lanes b)
{
    LANES_OF(vaddq_f32(a.q[i], b.q[i]));
}

LANES_INLINE lanes lanes_sub(lanes a, lanes b)
{
    LANES_OF(vsubq_f32(a.q[i], b.q[i]));
}

LANES_INLINE lanes lanes_mul(lanes a, lanes b)
{
    LANES_OF(vmulq_f32(a.q[i], b.q[i]));
}

LANES_INLINE lanes lanes_div(lanes a, lanes b)
{
    LANES_OF(vdivq_f32(a.q[i], b.q[i]));
}

LANES_INLINE lanes lanes_fma(lanes a, lanes b, lanes c)
{
    LANES_OF(vfmaq_f32(c.q[i], a.q[i], b.q[i]));
}

LANES_INLINE lanes lanes_fms(lanes a, lanes b, lanes c)
{
    LANES_OF(vfmaq_f32(vnegq_f32(c.q[i]), a.q[i], b.q[i]));
}

/* Not vmaxq_f32, which gives NaN where one operand is NaN. */
LANES_INLINE lanes lanes_max(lanes a, lanes b)
{
    LANES_OF(vbslq_f32(vcgtq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]));
}

LANES_INLINE uint32x4_t scale_four(float32x4_t a, float32x4_t shifted)
{
    return vaddq_u32(vreinterpretq_u32_f32(a), vshlq_n_u32(vreinterpretq_u32_f32(shifted), 23));
}

LANES_INLINE lanes lanes_scale(flags f, lanes a, lanes shifted)
{
    LANES_OF(vreinterpretq_f32_u32(vandq_u32(f.q[i], scale_four(a.q[i], shifted.q[i]))));
}

LANES_INLINE flags flags_at_least(lanes a, lanes b)
{
    FLAGS_OF(vcgeq_f32(a.q[i], b.q[i]));
}

/* A value that is not equal to itself is NaN. */
LANES_INLINE flags flags_unordered(lanes a, lanes b)
{
    FLAGS_OF(vmvnq_u32(vandq_u32(vceqq_f32(a.q[i], a.q[i]), vceqq_f32(b.q[i], b.q[i]))));
}

LANES_INLINE flags flags_or(flags f, flags g)
{
    FLAGS_OF(vorrq_u32(f.q[i], g.q[i]));
}

LANES_INLINE bool flags_any(flags f)
{
    uint32x4_t any = vorrq_u32(vorrq_u32(f.q[0], f.q[1]), vorrq_u32(f.q[2], f.q[3]));
    return vmaxvq_u32(any) != 0;
}

/* Each lane narrowed to a byte that holds its own bit, and the bytes of each half added up. */
LANES_INLINE unsigned flags_bits(flags f)
{
    const uint8x16_t bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint16x8_t low = vcombine_u16(vmovn_u32(f.q[0]), vmovn_u32(f.q[1]));
    uint16x8_t high = vcombine_u16(vmovn_u32(f.q[2]), vmovn_u32(f.q[3]));
    uint8x16_t bits = vandq_u8(vcombine_u8(vmovn_u16(low), vmovn_u16(high)), bit);
    return (unsigned)vaddv_u8(vget_low_u8(bits)) | (unsigned)vaddv_u8(vget_high_u8(bits)) << 8;
}

LANES_INLINE unsigned ints_equal(const int32_t *x, int32_t value)
{
    flags f;
    for (int i = 0; i < 4; i++)
        f.q[i] = vceqq_s32(vld1q_s32(x + 4 * i), vdupq_n_s32(value));
    return flags_bits(f);
}

LANES_INLINE size_t bits_count(uint64_t bits)
{
    return (size_t)__builtin_popcountll(bits);
}

LANES_INLINE lanes lanes_keep(flags f, lanes a)
{
    LANES_OF(vreinterpretq_f32_u32(vandq_u32(f.q[i], vreinterpretq_u32_f32(a.q[i]))));
}

/* All ones in lane i if bit i is 1, i < 4. */
LANES_INLINE uint32x4_t allowed_four(uint32_t bits)
{
    const uint32x4_t bit = {1, 2, 4, 8};
    return vtstq_u32(vdupq_n_u32(bits), bit);
}

LANES_INLINE lanes lanes_ban(uint32_t word, unsigned first, lanes a)
{
    float32x4_t banned = vdupq_n_f32(-INFINITY), zero = vdupq_n_f32(0.0f);
    LANES_OF(vaddq_f32(a.q[i],
                       vbslq_f32(allowed_four(word >> (first + 4 * (unsigned)i)), zero, banned)));
}

LANES_INLINE lanes lanes_mask(uint32_t word, unsigned first, lanes a)
{
    float32x4_t banned = vdupq_n_f32(-INFINITY);
    LANES_OF(vbslq_f32(allowed_four(word >> (first + 4 * (unsigned)i)), a.q[i], banned));
}

LANES_INLINE flags flags_of_word(uint32_t word, unsigned first)
{
    FLAGS_OF(allowed_four(word >> (first + 4 * (unsigned)i)));
}

LANES_INLINE float lanes_largest(lanes a)
{
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.q[0], a.q[1]), vmaxq_f32(a.q[2], a.q[3])));
}

/* Lanes i and i + 8 as doubles, for the two i of each operand. */
LANES_INLINE float64x2_t add_low(float32x4_t a, float32x4_t b)
{
    return vaddq_f64(vcvt_f64_f32(vget_low_f32(a)), vcvt_f64_f32(vget_low_f32(b)));
}

LANES_INLINE float64x2_t add_high(float32x4_t a, float32x4_t b)
{
    return vaddq_f64(vcvt_high_f64_f32(a), vcvt_high_f64_f32(b));
}

typedef struct lane_words {
    uint32x4_t q[4];
} lane_words;

LANES_INLINE lane_words words_set(uint32_t w)
{
    lane_words result;
    for (int i = 0; i < 4; i++)
        result.q[i] = vdupq_n_u32(w);
    return result;
}

LANES_INLINE lane_words words_count(uint32_t first)
{
    static const uint32_t lane[4] = {0, 1, 2, 3};
    lane_words result;
    for (uint32_t i = 0; i < 4; i++)
        result.q[i] = vaddq_u32(vdupq_n_u32(first + 4 * i), vld1q_u32(lane));
    return result;
}

LANES_INLINE lane_words words_xor(lane_words a, lane_words b, lane_words c)
{
    for (int i = 0; i < 4; i++)
        a.q[i] = veorq_u32(veorq_u32(a.q[i], b.q[i]), c.q[i]);
    return a;
}

LANES_INLINE lane_words words_mul(lane_words a, uint32_t m, lane_words *high)
{
    uint32x4_t factor = vdupq_n_u32(m);
    for (int i = 0; i < 4; i++) {
        uint32x4_t front =
            vreinterpretq_u32_u64(vmull_u32(vget_low_u32(a.q[i]), vget_low_u32(factor)));
        uint32x4_t back = vreinterpretq_u32_u64(vmull_high_u32(a.q[i], factor));
        high->q[i] = vuzp2q_u32(front, back);
        a.q[i] = vuzp1q_u32(front, back);
    }
    return a;
}

/* The high 24 bits of the complement. */
LANES_INLINE lanes words_rest(lane_words a)
{
    LANES_OF(vcvtq_f32_u32(vshrq_n_u32(vmvnq_u32(a.q[i]), 8)));
}

LANES_INLINE lanes lanes_bits(lanes a)
{
    LANES_OF(vcvtq_f32_s32(vreinterpretq_s32_f32(a.q[i])));
}

enum { LANES_FOLDS = 1, LANES_ROWS = 4 };

LANES_INLINE void lanes_fold(double *folded, const lanes *v)
{
    const float32x4_t *q = v->q;
    float64x2_t low = vaddq_f64(add_low(q[0], q[2]), add_low(q[1], q[3]));
    float64x2_t high = vaddq_f64(add_high(q[0], q[2]), add_high(q[1], q[3]));
    *folded = vaddvq_f64(vaddq_f64(low, high));
}

LANES_INLINE double lanes_fold_one(lanes a)
{
    double sum;
    lanes_fold(&sum, &a);
    return sum;
}

typedef float32x4_t row;
typedef float32x4_t rows_maxima;

LANES_INLINE row row_of(lanes a)
{
    return vmaxq_f32(vmaxq_f32(a.q[0], a.q[1]), vmaxq_f32(a.q[2], a.q[3]));
}

/* Maxima of neighbouring pairs, twice. The sum with +0 turns -0 into +0. */
LANES_INLINE rows_maxima rows_max(const row *r)
{
    row max = vpmaxq_f32(vpmaxq_f32(r[0], r[1]), vpmaxq_f32(r[2], r[3]));
    return vaddq_f32(max, vdupq_n_f32(0.0f));
}

LANES_INLINE void rows_store(float *x, rows_maxima maxima, rows_maxima *top)
{
    *top = vmaxq_f32(maxima, *top);
    vst1q_f32(x, maxima);
}

LANES_INLINE rows_maxima rows_lowest(void)
{
    return vdupq_n_f32(-INFINITY);
}

LANES_INLINE bool rows_any_infinite(rows_maxima top)
{
    return vmaxvq_f32(top) == INFINITY;
}

/* Eight lanes through the byte permutation that compress_table gives for bits: lane k of the result
 * is the four bytes 4 order[k] .. 4 order[k] + 3. */
LANES_INLINE size_t compress_eight(float32x4_t a, float32x4_t b, unsigned bits, uint32_t first_id,
                                   uint32_t *ids, float *logits)
{
    const uint8x16x2_t source = {{vreinterpretq_u8_f32(a), vreinterpretq_u8_f32(b)}};
    uint16x8_t order = vmovl_u8(vcreate_u8(compress_table[bits]));
    uint32x4_t lane[2] = {vmovl_u16(vget_low_u16(order)), vmovl_u16(vget_high_u16(order))};
    for (int i = 0; i < 2; i++) {
        uint32x4_t bytes = vmlaq_n_u32(vdupq_n_u32(0x03020100u), lane[i], 0x04040404u);
        uint8x16_t picked = vqtbl2q_u8(source, vreinterpretq_u8_u32(bytes));
        vst1q_f32(logits + 4 * i, vreinterpretq_f32_u8(picked));
        vst1q_u32(ids + 4 * i, vaddq_u32(lane[i], vdupq_n_u32(first_id)));
    }
    return bits_count(bits);
}

LANES_INLINE size_t lanes_compress(lanes a, unsigned bits, uint32_t first_id, uint32_t *ids,
                                   float *logits)
{
    size_t n = compress_eight(a.q[0], a.q[1], bits & 0xFFu, first_id, ids, logits);
    return n + compress_eight(a.q[2], a.q[3], bits >> 8, first_id + 8, ids + n, logits + n);
}

typedef struct wides {
    float64x2_t q[8]; /* values 2 i and 2 i + 1 */
} wides;

/* The wides made of expression for each i. */
#define WIDES_OF(expression)                                                                       \
    wides result;                                                                                  \
    for (int i = 0; i < 8; i++)                                                                    \
        result.q[i] = (expression);                                                                \
    return result

LANES_INLINE wides wides_set(double x)
{
    WIDES_OF(vdupq_n_f64(x));
}

LANES_INLINE wides wides_widen(lanes a)
{
    WIDES_OF(vcvt_f64_f32(i % 2 ? vget_high_f32(a.q[i / 2]) : vget_low_f32(a.q[i / 2])));
}

LANES_INLINE lanes wides_narrow(wides a)
{
    LANES_OF(vcombine_f32(vcvt_f32_f64(a.q[2 * i]), vcvt_f32_f64(a.q[2 * i + 1])));
}

LANES_INLINE wides wides_add(wides a, wides b)
{
    WIDES_OF(vaddq_f64(a.q[i], b.q[i]));
}

LANES_INLINE wides wides_sub(wides a, wides b)
{
    WIDES_OF(vsubq_f64(a.q[i], b.q[i]));
}

LANES_INLINE wides wides_mul(wides a, wides b)
{
    WIDES_OF(vmulq_f64(a.q[i], b.q[i]));
}

LANES_INLINE wides wides_div(wides a, wides b)
{
    WIDES_OF(vdivq_f64(a.q[i], b.q[i]));
}

/* Not vmaxq_f64 and vminq_f64, which give NaN where one operand is NaN. */
LANES_INLINE wides wides_max(wides a, wides b)
{
    WIDES_OF(vbslq_f64(vcgtq_f64(a.q[i], b.q[i]), a.q[i], b.q[i]));
}

LANES_INLINE wides wides_min(wides a, wides b)
{
    WIDES_OF(vbslq_f64(vcltq_f64(a.q[i], b.q[i]), a.q[i], b.q[i]));
}

LANES_INLINE lanes lanes_select(flags f, lanes a, lanes b)
{
    LANES_OF(vbslq_f32(f.q[i], a.q[i], b.q[i]));
}

#endif
