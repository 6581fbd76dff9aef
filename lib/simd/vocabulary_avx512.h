/*
 * The vocabulary of kernels_template.h for AVX-512 F, BW, DQ and VL: lanes are one register, flags
 * a mask register.
 */
#ifndef PLK_VOCABULARY_AVX512_H
#define PLK_VOCABULARY_AVX512_H

#include "simd/lanes_inline.h"

#include <immintrin.h>
#include <math.h>

typedef __m512 lanes;
typedef __mmask16 flags;

LANES_INLINE lanes lanes_set(float x)
{
    return _mm512_set1_ps(x);
}

LANES_INLINE lanes lanes_load(const void *x)
{
    return _mm512_loadu_ps(x);
}

/* The empty assembly keeps gcc from loading the value again at every use. */
LANES_INLINE lanes lanes_load_once(const void *x)
{
    lanes a = lanes_load(x);
    __asm__("" : "+v"(a));
    return a;
}

/* The empty assembly hides where the values come from: clang 14 turns a comparison of two converted
 * vectors into comparisons of single halves, twenty times slower. */
LANES_INLINE lanes lanes_load_f16(const void *x)
{
    lanes wide = _mm512_cvtph_ps(_mm256_loadu_si256(x));
    __asm__("" : "+v"(wide));
    return wide;
}

LANES_INLINE lanes lanes_load_bf16(const void *x)
{
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(x));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

/*
 * The items are three registers: a with the tokens 0 to 5 in elements 0 3 6 9 12 15, b with 6 to 10
 * in 2 5 8 11 14, c with 11 to 15 in 1 4 7 10 13; the logits are one element further on, the sixth
 * in b. Blends bring together what is in different elements anyway, and one permutation puts the
 * logits in order.
 */
LANES_INLINE lanes lanes_load_items(const void *items, uint32_t first, flags *other)
{
    const unsigned char *bytes = items;
    __m512i a = _mm512_loadu_si512(bytes), b = _mm512_loadu_si512(bytes + 64);
    __m512i c = _mm512_loadu_si512(bytes + 128);
    __m512i token = _mm512_mask_blend_epi32(0x2492, _mm512_mask_blend_epi32(0x4924, a, b), c);
    __m512i logit = _mm512_mask_blend_epi32(0x4924, _mm512_mask_blend_epi32(0x9249, a, b), c);
    __m512i offsets = _mm512_setr_epi32(0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10, 5);
    __m512i expected = _mm512_add_epi32(_mm512_set1_epi32((int)first), offsets);
    *other = (flags)(*other | _mm512_cmpneq_epi32_mask(token, expected));
    __m512i order = _mm512_setr_epi32(1, 4, 7, 10, 13, 0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14);
    return _mm512_castsi512_ps(_mm512_permutexvar_epi32(order, logit));
}

LANES_INLINE lanes lanes_load_first(const void *x, size_t n)
{
    return _mm512_mask_loadu_ps(_mm512_set1_ps(-INFINITY), (__mmask16)((1u << n) - 1), x);
}

LANES_INLINE void lanes_store(float *x, lanes a)
{
    _mm512_storeu_ps(x, a);
}

LANES_INLINE lanes lanes_add(lanes a, lanes b)
{
    return _mm512_add_ps(a, b);
}

LANES_INLINE lanes lanes_sub(lanes a, lanes b)
{
    return _mm512_sub_ps(a, b);
}

LANES_INLINE lanes lanes_mul(lanes a, lanes b)
{
    return _mm512_mul_ps(a, b);
}

LANES_INLINE lanes lanes_div(lanes a, lanes b)
{
    return _mm512_div_ps(a, b);
}

LANES_INLINE lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return _mm512_fmadd_ps(a, b, c);
}

LANES_INLINE lanes lanes_fms(lanes a, lanes b, lanes c)
{
    return _mm512_fmsub_ps(a, b, c);
}

LANES_INLINE lanes lanes_max(lanes a, lanes b)
{
    return _mm512_max_ps(a, b);
}

LANES_INLINE lanes lanes_scale(flags f, lanes a, lanes shifted)
{
    __m512i n = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_maskz_add_epi32(f, _mm512_castps_si512(a), n));
}

LANES_INLINE flags flags_at_least(lanes a, lanes b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}

LANES_INLINE flags flags_unordered(lanes a, lanes b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q);
}

LANES_INLINE flags flags_or(flags f, flags g)
{
    return _kor_mask16(f, g);
}

LANES_INLINE unsigned flags_bits(flags f)
{
    return f;
}

LANES_INLINE bool flags_any(flags f)
{
    return f != 0;
}

LANES_INLINE unsigned ints_equal(const int32_t *x, int32_t value)
{
    return _mm512_cmpeq_epi32_mask(_mm512_loadu_si512(x), _mm512_set1_epi32(value));
}

LANES_INLINE size_t bits_count(uint64_t bits)
{
    return (size_t)__builtin_popcountll(bits);
}

LANES_INLINE lanes lanes_keep(flags f, lanes a)
{
    return _mm512_maskz_mov_ps(f, a);
}

/* Bit first + i of a word, where it stands, in lane i. Testing a broadcast word is faster than
 * moving its bits to mask registers. */
LANES_INLINE __m512i bits_from(unsigned first)
{
    const __m512i bit = _mm512_setr_epi32(1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200, 0x400,
                                          0x800, 0x1000, 0x2000, 0x4000, 0x8000);
    return _mm512_slli_epi32(bit, first);
}

LANES_INLINE lanes lanes_ban(uint32_t word, unsigned first, lanes a)
{
    __mmask16 banned = _mm512_testn_epi32_mask(_mm512_set1_epi32((int)word), bits_from(first));
    return _mm512_mask_add_ps(a, banned, a, _mm512_set1_ps(-INFINITY));
}

LANES_INLINE flags flags_of_word(uint32_t word, unsigned first)
{
    return _mm512_test_epi32_mask(_mm512_set1_epi32((int)word), bits_from(first));
}

LANES_INLINE lanes lanes_mask(uint32_t word, unsigned first, lanes a)
{
    return _mm512_mask_mov_ps(_mm512_set1_ps(-INFINITY), flags_of_word(word, first), a);
}

LANES_INLINE float lanes_largest(lanes a)
{
    return _mm512_reduce_max_ps(a);
}

/* The words of the even and of the odd lanes, in the low halves of 64 bits; the high halves are of
 * no account. So products need no packing. */
typedef struct lane_words {
    __m512i even, odd;
} lane_words;

LANES_INLINE lane_words words_set(uint32_t w)
{
    return (lane_words){_mm512_set1_epi32((int)w), _mm512_set1_epi32((int)w)};
}

LANES_INLINE lane_words words_count(uint32_t first)
{
    __m512i even =
        _mm512_add_epi32(_mm512_set1_epi64(first), _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14));
    return (lane_words){even, _mm512_add_epi32(even, _mm512_set1_epi64(1))};
}

LANES_INLINE lane_words words_xor(lane_words a, lane_words b, lane_words c)
{
    return (lane_words){_mm512_ternarylogic_epi64(a.even, b.even, c.even, 0x96),
                        _mm512_ternarylogic_epi64(a.odd, b.odd, c.odd, 0x96)};
}

LANES_INLINE lane_words words_mul(lane_words a, uint32_t m, lane_words *high)
{
    __m512i factor = _mm512_set1_epi32((int)m);
    lane_words low = {_mm512_mul_epu32(a.even, factor), _mm512_mul_epu32(a.odd, factor)};
    *high = (lane_words){_mm512_srli_epi64(low.even, 32), _mm512_srli_epi64(low.odd, 32)};
    return low;
}

/* The high 24 bits of the complement. */
LANES_INLINE lanes words_rest(lane_words a)
{
    __m512i words = _mm512_mask_blend_epi32(0xAAAA, a.even, _mm512_slli_epi64(a.odd, 32));
    words = _mm512_srli_epi32(_mm512_xor_si512(words, _mm512_set1_epi32(-1)), 8);
    return _mm512_cvtepi32_ps(words);
}

LANES_INLINE lanes lanes_bits(lanes a)
{
    return _mm512_cvtepi32_ps(_mm512_castps_si512(a));
}

enum { LANES_FOLDS = 8, LANES_ROWS = 16 };

/* Lane i + lane i + 8. */
LANES_INLINE __m512d fold_eight(lanes a)
{
    return _mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(a)),
                         _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)));
}

/* Of two: the sum of the halves of each, a in the low half of the result. */
LANES_INLINE __m512d fold_halves(__m512d a, __m512d b)
{
    return _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x44), _mm512_shuffle_f64x2(a, b, 0xEE));
}

/* Of four: two doubles of each, in the order of the arguments. */
LANES_INLINE __m512d fold_four(lanes a, lanes b, lanes c, lanes d)
{
    __m512d ab = fold_halves(fold_eight(a), fold_eight(b));
    __m512d cd = fold_halves(fold_eight(c), fold_eight(d));
    return _mm512_add_pd(_mm512_shuffle_f64x2(ab, cd, 0x88), _mm512_shuffle_f64x2(ab, cd, 0xDD));
}

/* A transposing reduction, so that every addition serves eight results. */
LANES_INLINE void lanes_fold(double *folded, const lanes *v)
{
    __m512d even = fold_four(v[0], v[2], v[4], v[6]);
    __m512d odd = fold_four(v[1], v[3], v[5], v[7]);
    _mm512_storeu_pd(folded,
                     _mm512_add_pd(_mm512_unpacklo_pd(even, odd), _mm512_unpackhi_pd(even, odd)));
}

LANES_INLINE double lanes_fold_one(lanes a)
{
    __m512d eight = fold_eight(a);
    __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

typedef __m512 row;
typedef __m512 rows_maxima;

LANES_INLINE row row_of(lanes a)
{
    return a;
}

/*
 * The transposing reduction: each step takes the maximum of halves of two registers and leaves both
 * results in one. A blend and one shuffle bring the halves face to face; where the order of the
 * result matters, two shuffles do. The comments name the quarters of a and b, or the elements of
 * each quarter.
 */
LANES_INLINE row rows_halves(row a, row b)
{
    row mixed = _mm512_mask_blend_ps(0xFF00, a, b); /* a0 a1 b2 b3, in quarters */
    row crossed = _mm512_shuffle_f32x4(a, b, 0x4E); /* a2 a3 b0 b1 */
    return _mm512_max_ps(mixed, crossed);
}

LANES_INLINE row rows_quarters(row a, row b)
{
    row even = _mm512_shuffle_f32x4(a, b, 0x88); /* a0 a2 b0 b2 */
    row odd = _mm512_shuffle_f32x4(a, b, 0xDD);  /* a1 a3 b1 b3 */
    return _mm512_max_ps(even, odd);
}

LANES_INLINE row rows_pairs(row a, row b)
{
    row mixed = _mm512_mask_blend_ps(0xCCCC, a, b);                 /* a0 a1 b2 b3 */
    row crossed = _mm512_shuffle_ps(a, b, _MM_SHUFFLE(1, 0, 3, 2)); /* a2 a3 b0 b1 */
    return _mm512_max_ps(mixed, crossed);
}

LANES_INLINE row rows_singles(row a, row b)
{
    row even = _mm512_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)); /* a0 a2 b0 b2 */
    row odd = _mm512_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1));  /* a1 a3 b1 b3 */
    return _mm512_max_ps(even, odd);
}

/* The 16 maxima of four rows: in each quarter the rows' results a, b, c, d side by side. */
LANES_INLINE row rows_four(row a, row b, row c, row d)
{
    return rows_singles(rows_pairs(a, b), rows_pairs(c, d));
}

/* The sum with +0 turns -0 into +0. */
LANES_INLINE rows_maxima rows_max(const row *r)
{
    row low = rows_halves(rows_four(r[0], r[1], r[2], r[3]), rows_four(r[4], r[5], r[6], r[7]));
    row high =
        rows_halves(rows_four(r[8], r[9], r[10], r[11]), rows_four(r[12], r[13], r[14], r[15]));
    return _mm512_add_ps(rows_quarters(low, high), _mm512_setzero_ps());
}

LANES_INLINE void rows_store(float *x, rows_maxima maxima, rows_maxima *top)
{
    *top = _mm512_max_ps(maxima, *top);
    _mm512_storeu_ps(x, maxima);
}

LANES_INLINE rows_maxima rows_lowest(void)
{
    return _mm512_set1_ps(-INFINITY);
}

LANES_INLINE bool rows_any_infinite(rows_maxima top)
{
    return _mm512_cmp_ps_mask(top, _mm512_set1_ps(INFINITY), _CMP_EQ_OQ) != 0;
}

/* Compressed into a register, then stored whole: a compressing store to memory is far slower on
 * some processors (Zen 4). */
LANES_INLINE size_t lanes_compress(lanes a, unsigned bits, uint32_t first_id, uint32_t *ids,
                                   float *logits)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512i id = _mm512_add_epi32(lane, _mm512_set1_epi32((int)first_id));
    _mm512_storeu_si512(ids, _mm512_maskz_compress_epi32((__mmask16)bits, id));
    _mm512_storeu_ps(logits, _mm512_maskz_compress_ps((__mmask16)bits, a));
    return bits_count(bits);
}

typedef struct wides {
    __m512d low, high; /* values 0 to 7, 8 to 15 */
} wides;

LANES_INLINE wides wides_set(double x)
{
    return (wides){_mm512_set1_pd(x), _mm512_set1_pd(x)};
}

LANES_INLINE wides wides_widen(lanes a)
{
    return (wides){_mm512_cvtps_pd(_mm512_castps512_ps256(a)),
                   _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1))};
}

LANES_INLINE lanes wides_narrow(wides a)
{
    __m512 low = _mm512_castps256_ps512(_mm512_cvtpd_ps(a.low));
    return _mm512_insertf32x8(low, _mm512_cvtpd_ps(a.high), 1);
}

LANES_INLINE wides wides_add(wides a, wides b)
{
    return (wides){_mm512_add_pd(a.low, b.low), _mm512_add_pd(a.high, b.high)};
}

LANES_INLINE wides wides_sub(wides a, wides b)
{
    return (wides){_mm512_sub_pd(a.low, b.low), _mm512_sub_pd(a.high, b.high)};
}

LANES_INLINE wides wides_mul(wides a, wides b)
{
    return (wides){_mm512_mul_pd(a.low, b.low), _mm512_mul_pd(a.high, b.high)};
}

LANES_INLINE wides wides_div(wides a, wides b)
{
    return (wides){_mm512_div_pd(a.low, b.low), _mm512_div_pd(a.high, b.high)};
}

LANES_INLINE wides wides_max(wides a, wides b)
{
    return (wides){_mm512_max_pd(a.low, b.low), _mm512_max_pd(a.high, b.high)};
}

LANES_INLINE wides wides_min(wides a, wides b)
{
    return (wides){_mm512_min_pd(a.low, b.low), _mm512_min_pd(a.high, b.high)};
}

LANES_INLINE lanes lanes_select(flags f, lanes a, lanes b)
{
    return _mm512_mask_blend_ps(f, b, a);
}

#endif
