/*
 * The vocabulary of kernels_template.h in the vector extension of gcc and clang: lanes are four
 * vectors of 16 bytes. Three tables are compiled from it. "sse2" and "wasm" are for processors
 * without a fused multiply-add, and have the few operations as intrinsics that the extension does
 * not express. "vector" is for processors that have the instruction, and vectors, but no vocabulary
 * of their own.
 *
 * Without the instruction a fused multiply-add is made of double arithmetic, and is exact. For
 * floats a, b, c the product p = a b is exact in double: 24 + 24 bits are not more than 53. The sum
 * s = p + c is rounded to 53 bits, and narrowing s rounds a second time. A second rounding is wrong
 * only where s is inexact and also the middle of two neighbouring floats. Elsewhere s and the exact
 * sum are on the same side of every middle, since a middle is a double and rounding is monotonic.
 *   1. In the normal range s is a middle if its low 29 bits are 1 0 ... 0.
 *   2. Subnormal floats have fewer bits and other middles. So each result of at most 2^-126 is
 *      suspect; at 2^-126 itself, because a value just below it may have been rounded up to it.
 * If one of 16 lanes is suspect, all 16 are computed again with s rounded to odd, which is right in
 * every case (simd/fused.h has the proof's source). On data without structure that happens to one
 * value in 2^29.
 *
 * Compile with -O3: at -O2 gcc 12 leaves the loops over four vectors rolled and the lanes in
 * memory, and the exponential takes twice as long.
 */
#ifndef PLK_VOCABULARY_VECTOR_H
#define PLK_VOCABULARY_VECTOR_H

#include "simd/fused.h"
#include "simd/lanes_inline.h"

#include <math.h>
#include <string.h>
#if defined(__SSE2__)
#    include <emmintrin.h>
#elif defined(__wasm_simd128__)
#    include <wasm_simd128.h>
#endif

typedef float float4 __attribute__((vector_size(16)));
typedef uint32_t uint4 __attribute__((vector_size(16)));
typedef int32_t int4 __attribute__((vector_size(16)));
typedef double double2 __attribute__((vector_size(16)));
typedef uint64_t ulong2 __attribute__((vector_size(16)));

typedef struct lanes {
    float4 q[4];
} lanes;

/* All ones where true. */
typedef struct flags {
    uint4 q[4];
} flags;

/* One expression for each of the four vectors i. */
#define LANES_OF(expression)                                                                       \
    lanes result;                                                                                  \
    for (int i = 0; i < 4; i++)                                                                    \
        result.q[i] = (expression);                                                                \
    return result
#define FLAGS_OF(expression)                                                                       \
    flags result;                                                                                  \
    for (int i = 0; i < 4; i++)                                                                    \
        result.q[i] = (uint4)(expression);                                                         \
    return result

LANES_INLINE float4 float4_set(float x)
{
    return (float4){x, x, x, x};
}

LANES_INLINE uint4 uint4_set(uint32_t x)
{
    return (uint4){x, x, x, x};
}

LANES_INLINE uint4 uint4_load(const unsigned char *x)
{
    uint4 r;
    memcpy(&r, x, sizeof r);
    return r;
}

LANES_INLINE float4 select4(uint4 f, float4 a, float4 b)
{
    return (float4)((f & (uint4)a) | (~f & (uint4)b));
}

/* The elements i, j, k, l of the eight that a and b have. */
#if defined(__clang__)
#    define SHUFFLE4(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#    define SHUFFLE4(a, b, i, j, k, l) __builtin_shuffle(a, b, (int4){i, j, k, l})
#endif

/* a > b ? a : b, so b where either is NaN. The operands of WebAssembly's pmax are the other way
 * round. */
LANES_INLINE float4 max4(float4 a, float4 b)
{
#if defined(__SSE2__)
    return _mm_max_ps(a, b);
#elif defined(__wasm_simd128__)
    return (float4)wasm_f32x4_pmax((v128_t)b, (v128_t)a);
#else
    return select4((uint4)(a > b), a, b);
#endif
}

/* Bit i: the sign of element i. */
LANES_INLINE unsigned bits4(uint4 m)
{
#if defined(__SSE2__)
    return (unsigned)_mm_movemask_ps((__m128)m);
#elif defined(__wasm_simd128__)
    return (unsigned)wasm_i32x4_bitmask((v128_t)m);
#else
    uint4 b = m & (uint4){1, 2, 4, 8};
    return b[0] | b[1] | b[2] | b[3];
#endif
}

/* Some element of flags is true. */
LANES_INLINE bool any4(uint4 m)
{
#if defined(__SSE2__)
    return bits4(m) != 0;
#elif defined(__wasm_simd128__)
    return wasm_v128_any_true((v128_t)m);
#else
    ulong2 b = (ulong2)m;
    return (b[0] | b[1]) != 0;
#endif
}

LANES_INLINE double2 low2(float4 a)
{
#if defined(__SSE2__)
    return _mm_cvtps_pd(a);
#elif defined(__wasm_simd128__)
    return (double2)wasm_f64x2_promote_low_f32x4((v128_t)a);
#else
    return (double2){(double)a[0], (double)a[1]};
#endif
}

LANES_INLINE double2 high2(float4 a)
{
    return low2(SHUFFLE4(a, a, 2, 3, 2, 3));
}

LANES_INLINE float4 narrow4(double2 low, double2 high)
{
#if defined(__SSE2__)
    return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
#elif defined(__wasm_simd128__)
    return SHUFFLE4((float4)wasm_f32x4_demote_f64x2_zero((v128_t)low),
                    (float4)wasm_f32x4_demote_f64x2_zero((v128_t)high), 0, 1, 4, 5);
#else
    return (float4){(float)low[0], (float)low[1], (float)high[0], (float)high[1]};
#endif
}

#if defined(PLK_HARDWARE_FMAF)

LANES_INLINE float4 fused4(float4 a, float4 b, float4 c)
{
    return (float4){plk_fused(a[0], b[0], c[0]), plk_fused(a[1], b[1], c[1]),
                    plk_fused(a[2], b[2], c[2]), plk_fused(a[3], b[3], c[3])};
}

LANES_INLINE lanes lanes_fma(lanes a, lanes b, lanes c)
{
    LANES_OF(fused4(a.q[i], b.q[i], c.q[i]));
}

#else

/* p + c rounded to odd, as in plk_fused(). */
LANES_INLINE double2 add_to_odd(double2 p, double2 c)
{
    const double2 zero = {0, 0};
    double2 s = p + c, t = s - p, e = (p - (s - t)) + (c - t);
    ulong2 below = (ulong2)(e < zero), inexact = (ulong2)(e > zero) | below;
    ulong2 step = (below ^ (ulong2)(s < zero)) | 1; /* 1 or -1 */
    ulong2 even = ((ulong2)s & 1) - 1;
    return (double2)((ulong2)s + (step & inexact & even));
}

static __attribute__((noinline, cold)) void fuse_to_odd(lanes *r, const lanes *a, const lanes *b,
                                                        const lanes *c)
{
    for (int i = 0; i < 4; i++)
        r->q[i] = narrow4(add_to_odd(low2(a->q[i]) * low2(b->q[i]), low2(c->q[i])),
                          add_to_odd(high2(a->q[i]) * high2(b->q[i]), high2(c->q[i])));
}

LANES_INLINE lanes lanes_fma(lanes a, lanes b, lanes c)
{
    uint4 middle = uint4_set(0);
    float4 smallest = float4_set(1.0f);
    lanes r;
    for (int i = 0; i < 4; i++) {
        double2 low = low2(a.q[i]) * low2(b.q[i]) + low2(c.q[i]);
        double2 high = high2(a.q[i]) * high2(b.q[i]) + high2(c.q[i]);
        uint4 low_words = SHUFFLE4((uint4)low, (uint4)high, 0, 2, 4, 6);
        r.q[i] = narrow4(low, high);
        middle |= (uint4)((low_words << 3) == uint4_set(0x80000000u));
        float4 size = (float4)((uint4)r.q[i] & 0x7FFFFFFFu);
#    if defined(__SSE2__)
        smallest = _mm_min_ps(size, smallest);
#    else
        smallest = (float4)wasm_f32x4_pmin((v128_t)smallest, (v128_t)size);
#    endif
    }
    if (__builtin_expect(any4(middle | (uint4)(smallest <= float4_set(0x1p-126f))), 0)) {
        /* Copies: if the operands had addresses themselves, gcc would keep all lanes in memory. */
        lanes a_copy = a, b_copy = b, c_copy = c, exact;
        fuse_to_odd(&exact, &a_copy, &b_copy, &c_copy);
        return exact;
    }
    return r;
}

#endif

LANES_INLINE lanes lanes_fms(lanes a, lanes b, lanes c)
{
    for (int i = 0; i < 4; i++)
        c.q[i] = -c.q[i];
    return lanes_fma(a, b, c);
}

LANES_INLINE lanes lanes_set(float x)
{
    LANES_OF(float4_set(x));
}

LANES_INLINE lanes lanes_load(const void *x)
{
    const unsigned char *bytes = x;
    LANES_OF((float4)uint4_load(bytes + 16 * i));
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
    memcpy(x, &a, sizeof a);
}

LANES_INLINE uint4 halves_load(const unsigned char *x)
{
#if defined(__SSE2__)
    __m128i halves = _mm_loadl_epi64((const __m128i *)(const void *)x);
    return (uint4)_mm_unpacklo_epi16(halves, _mm_setzero_si128());
#elif defined(__wasm_simd128__)
    return (uint4)wasm_u32x4_load16x4(x);
#else
    uint16_t h[4];
    memcpy(h, x, sizeof h);
    return (uint4){h[0], h[1], h[2], h[3]};
#endif
}

/* A subnormal half is an integer times 2^-24. */
LANES_INLINE float4 float4_of_f16(uint4 half)
{
    uint4 sign = (half & 0x8000u) << 16, rest = half & 0x7FFFu;
    float4 small = __builtin_convertvector((int4)rest, float4) * float4_set(0x1p-24f);
    uint4 is_small = (uint4)((int4)rest < 0x400), is_nan = (uint4)((int4)rest > 0x7C00);
    uint4 is_special = (uint4)((int4)rest > 0x7BFF);
    uint4 normal = (rest << 13) + (112u << 23) + (is_special & (112u << 23));
    return (float4)(sign | (uint4)select4(is_small, small, (float4)normal) | (is_nan & 0x400000u));
}

LANES_INLINE lanes lanes_load_f16(const void *x)
{
    const unsigned char *bytes = x;
    LANES_OF(float4_of_f16(halves_load(bytes + 8 * i)));
}

LANES_INLINE lanes lanes_load_bf16(const void *x)
{
    const unsigned char *bytes = x;
    LANES_OF((float4)(halves_load(bytes + 8 * i) << 16));
}

/*
 * Four items are three vectors: a with the tokens 0 and 1 in elements 0 and 3, b with 2 in element
 * 2, c with 3 in element 1; the logits are one element further on. Selections bring together what
 * is in different elements anyway: tokens in the order 0 3 2 1, logits in 1 0 3 2.
 */
LANES_INLINE float4 load_four_items(const unsigned char *bytes, uint32_t first, uint4 *other)
{
    const uint4 outer = {~0u, 0, 0, ~0u}, third = {0, 0, ~0u, 0}, offsets = {0, 3, 2, 1};
    uint4 a = uint4_load(bytes), b = uint4_load(bytes + 16), c = uint4_load(bytes + 32);
    uint4 token = (third & b) | (outer & a) | (~(third | outer) & c);
    uint4 logit = (outer & b) | (third & c) | (~(third | outer) & a);
    *other |= (uint4)(token != uint4_set(first) + offsets);
    return (float4)SHUFFLE4(logit, logit, 1, 0, 3, 2);
}

LANES_INLINE lanes lanes_load_items(const void *items, uint32_t first, flags *other)
{
    const unsigned char *bytes = items;
    LANES_OF(load_four_items(bytes + 48 * i, first + 4 * (uint32_t)i, &other->q[i]));
}

LANES_INLINE lanes lanes_add(lanes a, lanes b)
{
    LANES_OF(a.q[i] + b.q[i]);
}

LANES_INLINE lanes lanes_sub(lanes a, lanes b)
{
    LANES_OF(a.q[i] - b.q[i]);
}

LANES_INLINE lanes lanes_mul(lanes a, lanes b)
{
    LANES_OF(a.q[i] * b.q[i]);
}

LANES_INLINE lanes lanes_div(lanes a, lanes b)
{
    LANES_OF(a.q[i] / b.q[i]);
}

LANES_INLINE lanes lanes_max(lanes a, lanes b)
{
    LANES_OF(max4(a.q[i], b.q[i]));
}

LANES_INLINE lanes lanes_scale(flags f, lanes a, lanes shifted)
{
    LANES_OF((float4)(f.q[i] & ((uint4)a.q[i] + ((uint4)shifted.q[i] << 23))));
}

LANES_INLINE flags flags_at_least(lanes a, lanes b)
{
    FLAGS_OF(a.q[i] >= b.q[i]);
}

LANES_INLINE flags flags_unordered(lanes a, lanes b)
{
#if defined(__SSE2__)
    FLAGS_OF(_mm_cmpunord_ps(a.q[i], b.q[i]));
#else
    FLAGS_OF((a.q[i] != a.q[i]) | (b.q[i] != b.q[i]));
#endif
}

LANES_INLINE flags flags_or(flags f, flags g)
{
    FLAGS_OF(f.q[i] | g.q[i]);
}

LANES_INLINE bool flags_any(flags f)
{
    return any4((f.q[0] | f.q[1]) | (f.q[2] | f.q[3]));
}

LANES_INLINE unsigned flags_bits(flags f)
{
#if defined(__SSE2__)
    __m128i low = _mm_packs_epi32((__m128i)f.q[0], (__m128i)f.q[1]);
    __m128i high = _mm_packs_epi32((__m128i)f.q[2], (__m128i)f.q[3]);
    return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(low, high));
#elif defined(__wasm_simd128__)
    v128_t low = wasm_i16x8_narrow_i32x4((v128_t)f.q[0], (v128_t)f.q[1]);
    v128_t high = wasm_i16x8_narrow_i32x4((v128_t)f.q[2], (v128_t)f.q[3]);
    return (unsigned)wasm_i8x16_bitmask(wasm_i8x16_narrow_i16x8(low, high));
#else
    return bits4(f.q[0]) | bits4(f.q[1]) << 4 | bits4(f.q[2]) << 8 | bits4(f.q[3]) << 12;
#endif
}

LANES_INLINE unsigned ints_equal(const int32_t *x, int32_t value)
{
    const unsigned char *bytes = (const unsigned char *)x;
    flags f;
    for (int i = 0; i < 4; i++)
        f.q[i] = (uint4)(uint4_load(bytes + 16 * i) == uint4_set((uint32_t)value));
    return flags_bits(f);
}

/* By sums of neighbouring fields: without an instruction for it the compiler's built-in function is
 * a call. */
LANES_INLINE size_t bits_count(uint64_t bits)
{
    bits -= bits >> 1 & UINT64_C(0x5555555555555555);
    bits = (bits & UINT64_C(0x3333333333333333)) + (bits >> 2 & UINT64_C(0x3333333333333333));
    bits = (bits + (bits >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    return (size_t)(bits * UINT64_C(0x0101010101010101) >> 56);
}

LANES_INLINE lanes lanes_keep(flags f, lanes a)
{
    LANES_OF((float4)(f.q[i] & (uint4)a.q[i]));
}

/* All ones in element i if bit i is 1, i < 4. */
LANES_INLINE uint4 allowed_four(uint32_t bits)
{
    const uint4 bit = {1, 2, 4, 8};
    return (uint4)((uint4_set(bits) & bit) == bit);
}

LANES_INLINE lanes lanes_ban(uint32_t word, unsigned first, lanes a)
{
    const uint4 banned = (uint4)float4_set(-INFINITY);
    LANES_OF(a.q[i] + (float4)(banned & ~allowed_four(word >> (first + 4 * (unsigned)i))));
}

LANES_INLINE lanes lanes_mask(uint32_t word, unsigned first, lanes a)
{
    LANES_OF(
        select4(allowed_four(word >> (first + 4 * (unsigned)i)), a.q[i], float4_set(-INFINITY)));
}

LANES_INLINE flags flags_of_word(uint32_t word, unsigned first)
{
    FLAGS_OF(allowed_four(word >> (first + 4 * (unsigned)i)));
}

LANES_INLINE lanes lanes_select(flags f, lanes a, lanes b)
{
    LANES_OF(select4(f.q[i], a.q[i], b.q[i]));
}

typedef struct lane_words {
    uint4 q[4];
} lane_words;

LANES_INLINE lane_words words_set(uint32_t w)
{
    return (lane_words){{uint4_set(w), uint4_set(w), uint4_set(w), uint4_set(w)}};
}

LANES_INLINE lane_words words_count(uint32_t first)
{
    lane_words r;
    for (uint32_t i = 0; i < 4; i++)
        r.q[i] = uint4_set(first + 4 * i) + (uint4){0, 1, 2, 3};
    return r;
}

LANES_INLINE lane_words words_xor(lane_words a, lane_words b, lane_words c)
{
    for (int i = 0; i < 4; i++)
        a.q[i] ^= b.q[i] ^ c.q[i];
    return a;
}

/* The low halves of x times m. */
LANES_INLINE ulong2 product2(ulong2 x, uint32_t m)
{
#if defined(__SSE2__)
    return (ulong2)_mm_mul_epu32((__m128i)x, _mm_set1_epi32((int)m));
#else
    return (x & UINT32_MAX) * (uint64_t)m;
#endif
}

/* Two words of 32 bits are one of 64: the products of the low and of the high ones. Which of them
 * is first in memory makes no difference. */
LANES_INLINE lane_words words_mul(lane_words a, uint32_t m, lane_words *high)
{
    const ulong2 half = {UINT32_MAX, UINT32_MAX};
    for (int i = 0; i < 4; i++) {
        ulong2 of_low = product2((ulong2)a.q[i], m), of_high = product2((ulong2)a.q[i] >> 32, m);
        high->q[i] = (uint4)((of_low >> 32) | (of_high & ~half));
        a.q[i] = (uint4)((of_low & half) | (of_high << 32));
    }
    return a;
}

/* The high 24 bits of the complement. */
LANES_INLINE lanes words_rest(lane_words a)
{
    LANES_OF(__builtin_convertvector((int4)(~a.q[i] >> 8), float4));
}

LANES_INLINE lanes lanes_bits(lanes a)
{
    LANES_OF(__builtin_convertvector((int4)a.q[i], float4));
}

enum { LANES_FOLDS = 1, LANES_ROWS = 4 };

LANES_INLINE double lanes_fold_one(lanes a)
{
    double2 low = (low2(a.q[0]) + low2(a.q[2])) + (low2(a.q[1]) + low2(a.q[3]));
    double2 high = (high2(a.q[0]) + high2(a.q[2])) + (high2(a.q[1]) + high2(a.q[3]));
    double2 sum = low + high;
    return sum[0] + sum[1];
}

LANES_INLINE void lanes_fold(double *folded, const lanes *v)
{
    *folded = lanes_fold_one(*v);
}

typedef float4 row;
typedef float4 rows_maxima;

LANES_INLINE row row_of(lanes a)
{
    return max4(max4(a.q[0], a.q[1]), max4(a.q[2], a.q[3]));
}

LANES_INLINE float lanes_largest(lanes a)
{
    float4 four = row_of(a), two = max4(four, SHUFFLE4(four, four, 2, 3, 0, 1));
    return max4(two, SHUFFLE4(two, two, 1, 0, 3, 2))[0];
}

/* A transposing reduction. The sum with +0 turns -0 into +0. */
LANES_INLINE rows_maxima rows_max(const row *r)
{
    row a = max4(SHUFFLE4(r[0], r[1], 0, 4, 1, 5), SHUFFLE4(r[0], r[1], 2, 6, 3, 7));
    row b = max4(SHUFFLE4(r[2], r[3], 0, 4, 1, 5), SHUFFLE4(r[2], r[3], 2, 6, 3, 7));
    return max4(SHUFFLE4(a, b, 0, 1, 4, 5), SHUFFLE4(a, b, 2, 3, 6, 7)) + float4_set(0.0f);
}

LANES_INLINE void rows_store(float *x, rows_maxima maxima, rows_maxima *top)
{
    *top = max4(maxima, *top);
    memcpy(x, &maxima, sizeof maxima);
}

LANES_INLINE rows_maxima rows_lowest(void)
{
    return float4_set(-INFINITY);
}

LANES_INLINE bool rows_any_infinite(rows_maxima top)
{
    return any4((uint4)(top == float4_set(INFINITY)));
}

LANES_INLINE size_t lanes_compress(lanes a, unsigned bits, uint32_t first_id, uint32_t *ids,
                                   float *logits)
{
    float values[16];
    size_t n = 0;
    lanes_store(values, a);
    for (; bits != 0; bits &= bits - 1) {
        uint32_t i = (uint32_t)__builtin_ctz(bits);
        ids[n] = first_id + i;
        logits[n++] = values[i];
    }
    return n;
}

typedef struct wides {
    double2 q[8]; /* values 2 i and 2 i + 1 */
} wides;

/* The wides made of expression for each i. */
#define WIDES_OF(expression)                                                                       \
    wides result;                                                                                  \
    for (int i = 0; i < 8; i++)                                                                    \
        result.q[i] = (expression);                                                                \
    return result

LANES_INLINE double2 select2(ulong2 f, double2 a, double2 b)
{
    return (double2)((f & (ulong2)a) | (~f & (ulong2)b));
}

LANES_INLINE wides wides_set(double x)
{
    WIDES_OF(((double2){x, x}));
}

LANES_INLINE wides wides_widen(lanes a)
{
    WIDES_OF(i % 2 ? high2(a.q[i / 2]) : low2(a.q[i / 2]));
}

LANES_INLINE lanes wides_narrow(wides a)
{
    LANES_OF(narrow4(a.q[2 * i], a.q[2 * i + 1]));
}

LANES_INLINE wides wides_add(wides a, wides b)
{
    WIDES_OF(a.q[i] + b.q[i]);
}

LANES_INLINE wides wides_sub(wides a, wides b)
{
    WIDES_OF(a.q[i] - b.q[i]);
}

LANES_INLINE wides wides_mul(wides a, wides b)
{
    WIDES_OF(a.q[i] * b.q[i]);
}

LANES_INLINE wides wides_div(wides a, wides b)
{
    WIDES_OF(a.q[i] / b.q[i]);
}

LANES_INLINE wides wides_max(wides a, wides b)
{
    WIDES_OF(select2((ulong2)(a.q[i] > b.q[i]), a.q[i], b.q[i]));
}

LANES_INLINE wides wides_min(wides a, wides b)
{
    WIDES_OF(select2((ulong2)(a.q[i] < b.q[i]), a.q[i], b.q[i]));
}

#endif
