/*
 * The kernel table: every loop over logits that has one version an instruction set.
 *
 * The algorithms are written once, in kernels_template.h, over a vocabulary of operations on 16
 * virtual lanes; each kernels_<isa>.c includes one vocabulary and the template. Every kernel gives
 * the same bits on every instruction set: the order of its floating-point operations is fixed by
 * the template, fused multiply-adds are explicit, and none is left to the compiler.
 *
 * Blocks: the unit of work is PLK_BLOCK = 64 consecutive floats. A kernel that takes n_blocks reads
 * 64 * n_blocks values; the caller pads a partial block with -inf (plk_view_block does).
 */
#ifndef PLK_KERNELS_H
#define PLK_KERNELS_H

#include "simd/fp_state.h"

#include <pluck/base.h>

enum {
    PLK_BLOCK = 64,
    PLK_MOMENTS_BLOCKS = 32,
    PLK_SLACK = 16 /* elements that gather may write beyond the last one it reports */
};

/* Multipliers and increments of Philox4x32. */
#define PLK_PHILOX_M0 UINT32_C(0xD2511F53)
#define PLK_PHILOX_M1 UINT32_C(0xCD9E8D57)
#define PLK_PHILOX_W0 UINT32_C(0x9E3779B9)
#define PLK_PHILOX_W1 UINT32_C(0xBB67AE85)

/* An element of an array of candidates as llama.cpp has it: a token, its logit, a probability. */
typedef struct plk_item {
    int32_t token;
    float logit, prob;
} plk_item;

/*
 * The argument of an exponential: e(x) = exp(beta (x - origin)), 0 < beta <= 1e38, with x - origin
 * rounded to float and beta / ln 2 carried as a sum of two floats. Requires x <= origin. e is at
 * most 1 ulp off exp of the exact product beta * fl(x - origin). (For beta < 2^-100 the second
 * float is subnormal; if |x - origin| > 2^100 too, it may be 4 ulp.) Below 2^-125 e is 0. x = -inf
 * or NaN gives 0.
 */
typedef struct plk_exponent {
    float origin;
    float rate_hi, rate_lo; /* beta / ln 2 */
} plk_exponent;

/* beta > 0; above 1e38 it is taken as 1e38, below 2^-126 as 2^-126. */
plk_exponent plk_exponent_make(float origin, double beta);

/*
 * A polynomial of a logit's distance from the largest one, as the smoothing stage has it: with d =
 * scale x - max, at least -1e60, y(x) = (square (d d) + cube ((d d) d)) + max, each operation
 * rounded to double, and y as the nearest float, at most FLT_MAX in magnitude, never -0. -inf stays
 * -inf. scale x has to be finite for every x above -inf, and square 1e120 and cube 1e180 too.
 */
typedef struct plk_bend {
    double scale, max, square, cube;
} plk_bend;

/* What random numbers that are addressed by place depend on, besides the place: see
 * simd/philox.h. */
typedef struct plk_noise {
    uint32_t key[2], position[2]; /* low halves first */
} plk_noise;

/* What scores in a race are made of: rate * (x - origin) - log2(base + share * E), with the noise's
 * E; rate, base, share >= 0. */
typedef struct plk_race_terms {
    plk_noise noise;
    float origin, rate;
    float base, share;
} plk_race_terms;

/*
 * What adaptive_p makes of a probability p = w / total: with d = abs(p - aim) / 0.3, y = 5 - ((10
 * d) d) / (1 + d), each operation rounded to double, and y as the nearest float. 0 <= w <= total,
 * total >= 1, 0 <= aim <= 1.
 */
typedef struct plk_preference {
    double total, aim;
} plk_preference;

/* Of some values: how many there are, one of them, and the sums of their differences to it and of
 * the squares of these. */
typedef struct plk_spread {
    double n, origin, sum, square;
} plk_spread;

typedef struct plk_kernels {
    pluck_isa isa;
    const char *name;

    /* block_max[b] = largest of block b of x (dtype by name; any alignment). Returns true if some
     * value is NaN or +inf (block_max is then unspecified). A zero maximum may have either sign. */
    bool (*scan_f32)(const void *x, size_t n_blocks, float *block_max);
    bool (*scan_f16)(const void *x, size_t n_blocks, float *block_max);
    bool (*scan_bf16)(const void *x, size_t n_blocks, float *block_max);

    /* The same of 1 <= n <= 64 values, f32, of any alignment; reads nothing beyond them. */
    bool (*scan_part)(const float *x, size_t n, float *max);

    /*
     * The scan under a mask: block_max[b] = the largest value of block b whose bit in the mask is
     * 1, or -inf. The result is that of the scan: banned values count. Bit i % 32 of word i / 32 is
     * value i. Adds the number of bits that are 1 to *n_allowed.
     */
    bool (*scan_masked_f32)(const void *x, const int32_t *mask, size_t n_blocks, float *block_max,
                            size_t *n_allowed);
    bool (*scan_masked_f16)(const void *x, const int32_t *mask, size_t n_blocks, float *block_max,
                            size_t *n_allowed);
    bool (*scan_masked_bf16)(const void *x, const int32_t *mask, size_t n_blocks, float *block_max,
                             size_t *n_allowed);

    /* out[i] = x[i] where the mask's bit is 1, else -inf; out may be x. */
    void (*mask_values)(const float *x, const int32_t *mask, size_t n_blocks, float *out);

    /* out[i] = x[i] as float, exactly, for any n and any alignment of x and out. NaN stays NaN. */
    void (*widen_f16)(const void *x, size_t n, float *out);
    void (*widen_bf16)(const void *x, size_t n, float *out);

    /* The largest of 64 * n_blocks values, n_blocks >= 1, none of which is NaN. */
    float (*max)(const float *x, size_t n_blocks);

    /* e[i] = exponential of x[i]; e may be x. */
    void (*exp_values)(const float *x, size_t n_blocks, plk_exponent exponent, float *e);

    /*
     * sums[b] = sum over block b of the exponentials. In each of 16 lanes (e0 + e1) + (e2 + e3) in
     * float, element i of the block in lane i % 16; the lanes are then widened to double and
     * folded: lane j += lane j + 8, then + 4, + 2, + 1. Relative error at most 2 * 2^-24 beyond
     * that of the exponentials.
     */
    void (*exp_sums)(const float *x, size_t n_blocks, plk_exponent exponent, double *sums);

    /* Of one block whose first n values are x and whose others are -inf, n >= 1: writes all 64
     * exponentials to e, returns the sum as exp_sums gives it. Reads nothing beyond x[n - 1]. */
    double (*exp_block)(const float *x, size_t n, plk_exponent exponent, float *e);

    /* exp_sums, and dots[b] = sum of e * d over block b with d = fl(x - origin): in each lane e0
     * d0, the next three added by fused multiply-adds in order, then folded the same way. Where e
     * = 0 the term is 0. */
    void (*exp_dots)(const float *x, size_t n_blocks, plk_exponent exponent, double *sums,
                     double *dots);

    /* exp_sums over the x[i] >= threshold alone: the others count as 0. */
    void (*exp_sums_from)(const float *x, size_t n_blocks, plk_exponent exponent, float threshold,
                          double *sums);

    /* exp_sums over the x[i] whose bit in the mask is 1: the others count as 0. */
    void (*exp_sums_masked)(const float *x, const int32_t *mask, size_t n_blocks,
                            plk_exponent exponent, double *sums);

    /*
     * groups[g]: of the values above -inf of the g-th PLK_MOMENTS_BLOCKS blocks of x, of which the
     * last group may have fewer. The origin is the first of these values; 0 if there is none. sum
     * is that of d = fl(x - origin), square that of d * d: in each of 64 columns the d are added in
     * float, one block after another, the squares by fma; the columns and then the lanes as in
     * exp_sums. Relative error of a sum of magnitudes at most 34 * 2^-24, usually far less.
     */
    void (*moments)(const float *x, size_t n_blocks, plk_spread *groups);

    /* Copies the x[i] with low <= x[i] < high, i ascending, to logits[0 ..] and first_id + i to
     * ids[0 ..]; returns how many. low > -inf. n any number; logits may be x. May write PLK_SLACK
     * elements beyond the last one reported. */
    size_t (*gather)(const float *x, size_t n, float low, float high, uint32_t first_id,
                     uint32_t *ids, float *logits);

    /* Copies the values >= low (> -inf) of some blocks of x, by their ascending numbers, to logits
     * and their places in x to ids; returns how many. Slack as for gather. */
    size_t (*gather_blocks)(const float *x, const uint32_t *blocks, size_t n_blocks, float low,
                            uint32_t *ids, float *logits);

    /* Copies the logits of the leading items whose token is their index to out[0 ..], bit for bit,
     * and returns how many items those are. items (plk_item) at any alignment; n any number; out
     * has room for n values, and those beyond the result are unspecified. */
    size_t (*copy_items)(const void *items, size_t n, float *out);
    /* Copies the values above -inf whose bit in the mask is 1, ascending by place, to logits, and
     * first_id + place to ids; returns how many. Slack as for gather. */
    size_t (*gather_masked)(const float *x, const int32_t *mask, size_t n_blocks, uint32_t first_id,
                            uint32_t *ids, float *logits);

    /* Looks for a value from the end on, 64 places at a time: returns where the last 64 places
     * begin of which one has it, bit i of *bits saying whether place i from there has. *bits = 0:
     * none has. Of the first places there may be fewer than 64. n any number. */
    size_t (*find_last)(const int32_t *x, size_t n, int32_t value, uint64_t *bits);

    /*
     * Bounds of scores in a race, as logarithms to the base 2: bounds[i] + 2^-15 is at least rate *
     * (x[i] - origin) - log2(base + share * E), where E = -ln u for any u whose high word is that
     * of place 64 first_block + i for this purpose (plk_noise_word()); wherever that is above -100.
     * tops[16 b + i], i < 16: the largest of the bounds i, i + 16, i + 32 and i + 48 of block b.
     * x[i] <= origin; bounds may be x.
     */
    void (*race_bounds)(const plk_race_terms *terms, uint32_t purpose, uint32_t first_block,
                        size_t n_blocks, const float *x, float *bounds, float *tops);

    /* max, and the first place that has it. */
    float (*find_max)(const float *x, size_t n_blocks, uint32_t *place);

    /* How many of 64 * n_blocks values are >= threshold. */
    size_t (*count)(const float *x, size_t n_blocks, float threshold);

    /* How many of them have a bit in the mask that is 1, too. */
    size_t (*count_masked)(const float *x, const int32_t *mask, size_t n_blocks, float threshold);

    /*
     * Sum of x[i] * w[i], w of the dtype in the name; n any number, 0 included; any alignment.
     * Element i goes by a fused multiply-add into lane i % 16 of accumulator i / 16 % 4; then (a0 +
     * a1) + (a2 + a3) in float, and the lanes are folded in double as in exp_sums. Error at most
     * (n / 64 + 3) * 2^-24 of the sum of |x[i] * w[i]|, plus (n / 64 + 3) * 2^-149.
     */
    double (*dot_f32)(const float *x, const void *w, size_t n);
    double (*dot_f16)(const float *x, const void *w, size_t n);
    double (*dot_bf16)(const float *x, const void *w, size_t n);

    /* out[i] = y(x[i]); out may be x. */
    void (*bend)(const float *x, size_t n_blocks, plk_bend bend, float *out);

    /* exp_values and exp_sums in one pass. */
    void (*exp_both)(const float *x, size_t n_blocks, plk_exponent exponent, float *e,
                     double *sums);

    /* out[i] = y for w = weights[i]; out may be weights. Returns the largest; -inf if there is
     * none. */
    float (*prefer)(const float *weights, size_t n_blocks, plk_preference preference, float *out);
} plk_kernels;

/* The table of a supported instruction set (PLUCK_ISA_BEST: the fastest one), or NULL. Constant
 * data; any thread. */
const plk_kernels *plk_kernels_get(pluck_isa isa);

#endif
