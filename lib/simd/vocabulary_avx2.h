/*
 * The vocabulary of kernels_template.h for AVX2, FMA and F16C: lanes are two registers.
 */
#ifndef PLK_VOCABULARY_AVX2_H
#define PLK_VOCABULARY_AVX2_H

#include "simd/compress_table.h"
#include "simd/lanes_inline.h"

#include <immintrin.h>
#include <math.h>

typedef struct lanes {
    __m256 low, high; /* lanes 0 to 7, 8 to 15 */
} lanes;

/* All ones where true. */
typedef struct flags {
    __m256 low, high;
} flags;

LANES_INLINE lanes lanes_set(float x)
{
    return (lanes){_mm256_set1_ps(x), _mm256_set1_ps(x)};
}

LANES_INLINE lanes lanes_load(const void *x)
{
    const float *values = x;
    return (lanes){_mm256_loadu_ps(values), _mm256_loadu_ps(values + 8)};
}

/* The empty assembly keeps gcc from loading the value again at every use. */
LANES_INLINE lanes lanes_load_once(const void *x)
{
    lanes a = lanes_load(x);
    __asm__("" : "+x"(a.low), "+x"(a.high));
    return a;
}

/* The empty assembly hides where the values come from: clang 14 turns a comparison of two converted
 * vectors into comparisons of single halves, twenty times slower. */
LANES_INLINE __m256 widen_f16_eight(__m128i halves)
{
    __m256 wide = _mm256_cvtph_ps(halves);
    __asm__("" : "+x"(wide));
    return wide;
}

LANES_INLINE lanes lanes_load_f16(const void *x)
{
    const __m128i *halves = x;
    return (lanes){widen_f16_eight(_mm_loadu_si128(halves)),
                   widen_f16_eight(_mm_loadu_si128(halves + 1))};
}

LANES_INLINE __m256 widen_bf16_eight(__m128i halves)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}

LANES_INLINE lanes lanes_load_bf16(const void *x)
{
    const __m128i *halves = x;
    return (lanes){widen_bf16_eight(_mm_loadu_si128(halves)),
                   widen_bf16_eight(_mm_loadu_si128(halves + 1))};
}

/*
 * Eight items are three registers: a with the tokens 0 1 2 in elements 0 3 6, b with 3 4 5 in 1 4
 * 7, c with 6 7 in 2 5; the logits are one element further on. Blends bring together what is in
 * different elements anyway, and one permutation puts the logits in order.
 */
LANES_INLINE __m256 load_eight_items(const void *items, uint32_t first, __m256 *other)
{
    const __m256i *eight = items;
    __m256i a = _mm256_loadu_si256(eight), b = _mm256_loadu_si256(eight + 1);
    __m256i c = _mm256_loadu_si256(eight + 2);
    __m256i token = _mm256_blend_epi32(_mm256_blend_epi32(a, b, 0x92), c, 0x24);
    __m256i logit = _mm256_blend_epi32(_mm256_blend_epi32(b, c, 0x49), a, 0x92);
    __m256i expected =
        _mm256_add_epi32(_mm256_set1_epi32((int)first), _mm256_setr_epi32(0, 3, 6, 1, 4, 7, 2, 5));
    __m256i same = _mm256_cmpeq_epi32(token, expected);
    __m256i differs = _mm256_xor_si256(same, _mm256_set1_epi32(-1));
    *other = _mm256_or_ps(*other, _mm256_castsi256_ps(differs));
    return _mm256_castsi256_ps(
        _mm256_permutevar8x32_epi32(logit, _mm256_setr_epi32(1, 4, 7, 2, 5, 0, 3, 6)));
}

LANES_INLINE lanes lanes_load_items(const void *items, uint32_t first, flags *other)
{
    const unsigned char *bytes = items;
    return (lanes){load_eight_items(bytes, first, &other->low),
                   load_eight_items(bytes + 8 * sizeof(plk_item), first + 8, &other->high)};
}

/* Eight lanes that are -inf where the place, from first on, is not below n. */
LANES_INLINE __m256 load_first_eight(const float *x, int n, int first)
{
    const __m256i place = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i inside = _mm256_cmpgt_epi32(_mm256_set1_epi32(n - first), place);
    return _mm256_blendv_ps(_mm256_set1_ps(-INFINITY), _mm256_maskload_ps(x + first, inside),
                            _mm256_castsi256_ps(inside));
}

LANES_INLINE lanes lanes_load_first(const void *x, size_t n)
{
    return (lanes){load_first_eight(x, (int)n, 0), load_first_eight(x, (int)n, 8)};
}

LANES_INLINE void lanes_store(float *x, lanes a)
{
    _mm256_storeu_ps(x, a.low);
    _mm256_storeu_ps(x + 8, a.high);
}

LANES_INLINE lanes lanes_add(lanes a, lanes b)
{
    return (lanes){_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}

LANES_INLINE lanes lanes_sub(lanes a, lanes b)
{
    return (lanes){_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}

LANES_INLINE lanes lanes_mul(lanes a, lanes b)
{
    return (lanes){_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}

LANES_INLINE lanes lanes_div(lanes a, lanes b)
{
    return (lanes){_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}

LANES_INLINE lanes lanes_fma(lanes a, lanes b, lanes c)
{
    return (lanes){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}

LANES_INLINE lanes lanes_fms(lanes a, lanes b, lanes c)
{
    return (lanes){_mm256_fmsub_ps(a.low, b.low, c.low), _mm256_fmsub_ps(a.high, b.high, c.high)};
}

LANES_INLINE lanes lanes_max(lanes a, lanes b)
{
    return (lanes){_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}

LANES_INLINE flags flags_at_least(lanes a, lanes b)
{
    return (flags){_mm256_cmp_ps(a.low, b.low, _CMP_GE_OQ),
                   _mm256_cmp_ps(a.high, b.high, _CMP_GE_OQ)};
}

/* The empty assembly keeps clang 14 from packing the flags into narrower integers when they are
 * combined. */
LANES_INLINE __m256 unordered_eight(__m256 a, __m256 b)
{
    __m256 unordered = _mm256_cmp_ps(a, b, _CMP_UNORD_Q);
    __asm__("" : "+x"(unordered));
    return unordered;
}

LANES_INLINE flags flags_unordered(lanes a, lanes b)
{
    return (flags){unordered_eight(a.low, b.low), unordered_eight(a.high, b.high)};
}

LANES_INLINE flags flags_or(flags f, flags g)
{
    return (flags){_mm256_or_ps(f.low, g.low), _mm256_or_ps(f.high, g.high)};
}

LANES_INLINE unsigned flags_bits(flags f)
{
    return (unsigned)_mm256_movemask_ps(f.low) | (unsigned)_mm256_movemask_ps(f.high) << 8;
}

LANES_INLINE bool flags_any(flags f)
{
    return _mm256_movemask_ps(_mm256_or_ps(f.low, f.high)) != 0;
}

LANES_INLINE unsigned ints_equal(const int32_t *x, int32_t value)
{
    const __m256i *eight = (const __m256i *)(const void *)x;
    const __m256i all = _mm256_set1_epi32(value);
    __m256i low = _mm256_cmpeq_epi32(_mm256_loadu_si256(eight), all);
    __m256i high = _mm256_cmpeq_epi32(_mm256_loadu_si256(eight + 1), all);
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(low)) |
           (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(high)) << 8;
}

LANES_INLINE size_t bits_count(uint64_t bits)
{
    return (size_t)__builtin_popcountll(bits);
}

LANES_INLINE lanes lanes_keep(flags f, lanes a)
{
    return (lanes){_mm256_and_ps(f.low, a.low), _mm256_and_ps(f.high, a.high)};
}

/* For every byte of a mask the eight floats that are added: 0 where the bit is 1, -inf where it is
 * 0. */
#define BAN(byte, bit) ((byte) >> (bit)&1 ? 0.0f : -INFINITY)
#define BANS(byte)                                                                                 \
    {                                                                                              \
        BAN(byte, 0), BAN(byte, 1), BAN(byte, 2), BAN(byte, 3), BAN(byte, 4), BAN(byte, 5),        \
            BAN(byte, 6), BAN(byte, 7)                                                             \
    }
#define BANS_4(byte)  BANS(byte), BANS((byte) + 1), BANS((byte) + 2), BANS((byte) + 3)
#define BANS_16(byte) BANS_4(byte), BANS_4((byte) + 4), BANS_4((byte) + 8), BANS_4((byte) + 12)
#define BANS_64(byte)                                                                              \
    BANS_16(byte), BANS_16((byte) + 16), BANS_16((byte) + 32), BANS_16((byte) + 48)

static const _Alignas(32) float ban_table[256][8] = {BANS_64(0), BANS_64(64), BANS_64(128),
                                                     BANS_64(192)};

/* One load instead of spreading the bits of the byte. */
LANES_INLINE __m256 ban_eight(uint32_t byte, __m256 a)
{
    return _mm256_add_ps(a, _mm256_load_ps(ban_table[byte & 0xFFu]));
}

/* The sign of what is to be added says the same. */
LANES_INLINE __m256 mask_eight(uint32_t byte, __m256 a)
{
    __m256 bans = _mm256_load_ps(ban_table[byte & 0xFFu]);
    return _mm256_blendv_ps(a, bans, bans);
}

LANES_INLINE lanes lanes_mask(uint32_t word, unsigned first, lanes a)
{
    return (lanes){mask_eight(word >> first, a.low), mask_eight(word >> (first + 8), a.high)};
}

LANES_INLINE lanes lanes_ban(uint32_t word, unsigned first, lanes a)
{
    return (lanes){ban_eight(word >> first, a.low), ban_eight(word >> (first + 8), a.high)};
}

/* Where nothing is added. */
LANES_INLINE __m256 allowed_eight(uint32_t byte)
{
    return _mm256_cmp_ps(_mm256_load_ps(ban_table[byte & 0xFFu]), _mm256_setzero_ps(), _CMP_EQ_OQ);
}

LANES_INLINE flags flags_of_word(uint32_t word, unsigned first)
{
    return (flags){allowed_eight(word >> first), allowed_eight(word >> (first + 8))};
}

LANES_INLINE float lanes_largest(lanes a)
{
    __m256 eight = _mm256_max_ps(a.low, a.high);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

LANES_INLINE __m256 scale_eight(__m256 a, __m256 shifted)
{
    __m256i n = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), n));
}

LANES_INLINE lanes lanes_scale(flags f, lanes a, lanes shifted)
{
    return lanes_keep(f,
                      (lanes){scale_eight(a.low, shifted.low), scale_eight(a.high, shifted.high)});
}

/* The words of even and odd lanes of the low and the high eight, in the low halves of 64 bits; the
 * high halves are of no account. So products need no packing. */
typedef struct lane_words {
    __m256i q[4];
} lane_words;

LANES_INLINE lane_words words_set(uint32_t w)
{
    __m256i all = _mm256_set1_epi32((int)w);
    return (lane_words){{all, all, all, all}};
}

LANES_INLINE lane_words words_count(uint32_t first)
{
    __m256i even = _mm256_add_epi32(_mm256_set1_epi64x(first), _mm256_setr_epi64x(0, 2, 4, 6));
    __m256i high = _mm256_add_epi32(even, _mm256_set1_epi64x(8)), one = _mm256_set1_epi64x(1);
    return (lane_words){{even, _mm256_add_epi32(even, one), high, _mm256_add_epi32(high, one)}};
}

LANES_INLINE lane_words words_xor(lane_words a, lane_words b, lane_words c)
{
    for (int i = 0; i < 4; i++)
        a.q[i] = _mm256_xor_si256(_mm256_xor_si256(a.q[i], b.q[i]), c.q[i]);
    return a;
}

LANES_INLINE lane_words words_mul(lane_words a, uint32_t m, lane_words *high)
{
    __m256i factor = _mm256_set1_epi32((int)m);
    for (int i = 0; i < 4; i++) {
        a.q[i] = _mm256_mul_epu32(a.q[i], factor);
        high->q[i] = _mm256_srli_epi64(a.q[i], 32);
    }
    return a;
}

LANES_INLINE __m256 unit_eight(__m256i even, __m256i odd)
{
    __m256i words = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
    words = _mm256_srli_epi32(_mm256_xor_si256(words, _mm256_set1_epi32(-1)), 8);
    return _mm256_cvtepi32_ps(words);
}

/* The high 24 bits of the complement. */
LANES_INLINE lanes words_rest(lane_words a)
{
    return (lanes){unit_eight(a.q[0], a.q[1]), unit_eight(a.q[2], a.q[3])};
}

LANES_INLINE lanes lanes_bits(lanes a)
{
    return (lanes){_mm256_cvtepi32_ps(_mm256_castps_si256(a.low)),
                   _mm256_cvtepi32_ps(_mm256_castps_si256(a.high))};
}

enum { LANES_FOLDS = 4, LANES_ROWS = 4 };

/* Lanes i and i + 8 for four i. */
LANES_INLINE __m256d add_four(__m128 a, __m128 b)
{
    return _mm256_add_pd(_mm256_cvtps_pd(a), _mm256_cvtps_pd(b));
}

/* Four doubles: lanes i, i + 4, i + 8 and i + 12. */
LANES_INLINE __m256d fold_four(lanes a)
{
    __m256d first = add_four(_mm256_castps256_ps128(a.low), _mm256_castps256_ps128(a.high));
    __m256d second = add_four(_mm256_extractf128_ps(a.low, 1), _mm256_extractf128_ps(a.high, 1));
    return _mm256_add_pd(first, second);
}

/* Of two: the sum of the halves of each, a in the low half of the result. */
LANES_INLINE __m256d fold_halves(__m256d a, __m256d b)
{
    return _mm256_add_pd(_mm256_permute2f128_pd(a, b, 0x20), _mm256_permute2f128_pd(a, b, 0x31));
}

/* A transposing reduction, so that every addition serves four results. */
LANES_INLINE void lanes_fold(double *folded, const lanes *v)
{
    __m256d even = fold_halves(fold_four(v[0]), fold_four(v[2]));
    __m256d odd = fold_halves(fold_four(v[1]), fold_four(v[3]));
    _mm256_storeu_pd(folded,
                     _mm256_add_pd(_mm256_unpacklo_pd(even, odd), _mm256_unpackhi_pd(even, odd)));
}

LANES_INLINE double lanes_fold_one(lanes a)
{
    __m256d four = fold_four(a);
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

typedef __m256 row;
typedef __m128 rows_maxima;

LANES_INLINE row row_of(lanes a)
{
    return _mm256_max_ps(a.low, a.high);
}

/*
 * The transposing reduction: each step takes the maximum of halves of two registers and leaves both
 * results in one. A blend and one shuffle bring the halves face to face; where the order of the
 * result matters, two shuffles do. The comments name the elements of each half.
 */
LANES_INLINE row rows_pairs(row a, row b)
{
    row mixed = _mm256_blend_ps(a, b, 0xCC);                        /* a0 a1 b2 b3 */
    row crossed = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(1, 0, 3, 2)); /* a2 a3 b0 b1 */
    return _mm256_max_ps(mixed, crossed);
}

LANES_INLINE row rows_singles(row a, row b)
{
    row even = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)); /* a0 a2 b0 b2 */
    row odd = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1));  /* a1 a3 b1 b3 */
    return _mm256_max_ps(even, odd);
}

/* In each half the rows' results a, b, c, d side by side. */
LANES_INLINE row rows_four(row a, row b, row c, row d)
{
    return rows_singles(rows_pairs(a, b), rows_pairs(c, d));
}

/* The sum with +0 turns -0 into +0. */
LANES_INLINE rows_maxima rows_max(const row *r)
{
    row four = rows_four(r[0], r[1], r[2], r[3]);
    __m128 max = _mm_max_ps(_mm256_castps256_ps128(four), _mm256_extractf128_ps(four, 1));
    return _mm_add_ps(max, _mm_setzero_ps());
}

LANES_INLINE void rows_store(float *x, rows_maxima maxima, rows_maxima *top)
{
    *top = _mm_max_ps(maxima, *top);
    _mm_storeu_ps(x, maxima);
}

LANES_INLINE rows_maxima rows_lowest(void)
{
    return _mm_set1_ps(-INFINITY);
}

LANES_INLINE bool rows_any_infinite(rows_maxima top)
{
    return _mm_movemask_ps(_mm_cmpeq_ps(top, _mm_set1_ps(INFINITY))) != 0;
}

/* Eight lanes through the permutation that compress_table gives for bits. */
LANES_INLINE size_t compress_eight(__m256 a, unsigned bits, uint32_t first_id, uint32_t *ids,
                                   float *logits)
{
    __m256i order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)compress_table[bits]));
    __m256i id = _mm256_add_epi32(order, _mm256_set1_epi32((int)first_id));
    _mm256_storeu_si256((__m256i *)ids, id);
    _mm256_storeu_ps(logits, _mm256_permutevar8x32_ps(a, order));
    return bits_count(bits);
}

LANES_INLINE size_t lanes_compress(lanes a, unsigned bits, uint32_t first_id, uint32_t *ids,
                                   float *logits)
{
    size_t n = compress_eight(a.low, bits & 0xFFu, first_id, ids, logits);
    return n + compress_eight(a.high, bits >> 8, first_id + 8, ids + n, logits + n);
}

typedef struct wides {
    __m256d q[4]; /* values 4 i to 4 i + 3 */
} wides;

LANES_INLINE wides wides_set(double x)
{
    __m256d all = _mm256_set1_pd(x);
    return (wides){{all, all, all, all}};
}

LANES_INLINE wides wides_widen(lanes a)
{
    return (wides){{_mm256_cvtps_pd(_mm256_castps256_ps128(a.low)),
                    _mm256_cvtps_pd(_mm256_extractf128_ps(a.low, 1)),
                    _mm256_cvtps_pd(_mm256_castps256_ps128(a.high)),
                    _mm256_cvtps_pd(_mm256_extractf128_ps(a.high, 1))}};
}

LANES_INLINE __m256 narrow_eight(__m256d a, __m256d b)
{
    return _mm256_set_m128(_mm256_cvtpd_ps(b), _mm256_cvtpd_ps(a));
}

LANES_INLINE lanes wides_narrow(wides a)
{
    return (lanes){narrow_eight(a.q[0], a.q[1]), narrow_eight(a.q[2], a.q[3])};
}

/* The wides made of expression for each i. */
#define WIDES_OF(expression)                                                                       \
    wides result;                                                                                  \
    for (int i = 0; i < 4; i++)                                                                    \
        result.q[i] = (expression);                                                                \
    return result

LANES_INLINE wides wides_add(wides a, wides b)
{
    WIDES_OF(_mm256_add_pd(a.q[i], b.q[i]));
}

LANES_INLINE wides wides_sub(wides a, wides b)
{
    WIDES_OF(_mm256_sub_pd(a.q[i], b.q[i]));
}

LANES_INLINE wides wides_mul(wides a, wides b)
{
    WIDES_OF(_mm256_mul_pd(a.q[i], b.q[i]));
}

LANES_INLINE wides wides_div(wides a, wides b)
{
    WIDES_OF(_mm256_div_pd(a.q[i], b.q[i]));
}

LANES_INLINE wides wides_max(wides a, wides b)
{
    WIDES_OF(_mm256_max_pd(a.q[i], b.q[i]));
}

LANES_INLINE wides wides_min(wides a, wides b)
{
    WIDES_OF(_mm256_min_pd(a.q[i], b.q[i]));
}

LANES_INLINE lanes lanes_select(flags f, lanes a, lanes b)
{
    return (lanes){_mm256_blendv_ps(b.low, a.low, f.low), _mm256_blendv_ps(b.high, a.high, f.high)};
}

#endif
