/*
 * Every kernel of a table on hostile values, which are made from integers, so that the results are
 * compared with those of other machines, and not only with the scalar table of this one. A line is:
 * kernel, number of the first case, and a hash of what the cases from there on give. tests/kernels
 * compares the results with definitions; here it counts that they are the same.
 *
 * NaN counts as one value, because not every machine defines its bits, and -0 as 0, because the
 * sign of a zero maximum is not defined.
 */
#include "golden/golden.h"

#include "simd/kernels.h"
#include "support/random.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MAX_BLOCKS = 36, N_VALUES = MAX_BLOCKS * PLK_BLOCK, N_CASES = 120, N_PER_LINE = 40 };

/* The values of a case: n of them, and up to the end of their last block too. */
typedef struct values {
    float x[N_VALUES];
    int32_t mask[N_VALUES / 32];
    size_t n, n_blocks;
    float max, threshold;
    plk_exponent exponent;
    test_random random;
} values;

/* What the kernels write; large enough for every one of them. */
static float floats[N_VALUES + PLK_SLACK], more_floats[N_VALUES + PLK_SLACK];
static uint32_t ids[N_VALUES + PLK_SLACK];
static double doubles[MAX_BLOCKS], more_doubles[MAX_BLOCKS];

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Finite or -inf. */
static float hostile_float(test_random *random, size_t kind)
{
    uint64_t bits = test_random_bits(random);
    uint32_t word = (uint32_t)(bits >> 32), sign = word & 0x80000000u;
    float small = ((float)(bits % 8192) - 4096.0f) * 0x1p-8f;
    switch (kind) {
    case 0: /* as logits are */
        return small;
    case 1: /* any bits */
        return (word & 0x7F800000u) == 0x7F800000u ? -INFINITY : float_of(word);
    case 2: /* subnormal */
        return float_of(word & 0x807FFFFFu);
    case 3: /* few values, some banned */
        return word % 7 == 0 ? -INFINITY : (float)(word % 5) * 0.5f;
    case 4: /* exponentials down to below the smallest float */
        return -(float)(word % 153600) * 0x1p-10f;
    case 5: /* around powers of two */
        return float_of((sign | (100 + word % 50) << 23) + (uint32_t)(bits % 5) - 2);
    case 6: /* the largest ones */
        return float_of(sign | (0x7F7FFFFFu - word % 0x1000000u));
    default: /* one value stands out */
        return word % 600 == 0 ? 60.0f : small * 0x1p-4f;
    }
}
enum { N_KINDS = 8 };

/* Exact in double, so that no compiler can round them. */
static const double betas[] = {1, 1.25, 0.6875, 33, 0x1p-10, 0x1p-100, 0x1.8p126, 3};

static void make_values(values *v, uint64_t number)
{
    v->random = test_random_make(500000 + number);
    test_random *random = &v->random;
    size_t kind = test_random_below(random, N_KINDS);
    size_t limit = test_random_below(random, 4) == 0 ? MAX_BLOCKS : 5;
    v->n_blocks = test_random_below(random, limit) + 1;
    v->n = v->n_blocks * PLK_BLOCK - test_random_below(random, PLK_BLOCK);
    v->max = -INFINITY;
    for (size_t i = 0; i < v->n_blocks * PLK_BLOCK; i++) {
        v->x[i] = hostile_float(random, kind);
        v->max = v->x[i] > v->max ? v->x[i] : v->max;
    }
    v->threshold = v->x[test_random_below(random, v->n)];
    if (v->threshold == -INFINITY)
        v->threshold = -1;
    if (v->max == -INFINITY)
        v->max = v->x[0] = 0;
    for (size_t w = 0; w < v->n_blocks * 2; w++) {
        uint32_t word = (uint32_t)test_random_bits(random);
        word = word % 4 == 0 ? 0 : word % 4 == 1 ? UINT32_MAX : word;
        memcpy(v->mask + w, &word, sizeof word);
    }
    v->exponent =
        plk_exponent_make(v->max, betas[test_random_below(random, sizeof betas / sizeof *betas)]);
}

static uint32_t hash_doubles(uint32_t h, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits = isnan(x[i]) ? UINT64_C(0x7FF8) << 48 : golden_double_bits(x[i] + 0.0);
        uint32_t words[2] = {(uint32_t)bits, (uint32_t)(bits >> 32)};
        h = golden_hash(h, words, sizeof words);
    }
    return h;
}

static uint32_t hash_size(uint32_t h, size_t n)
{
    uint32_t word = (uint32_t)n;
    return golden_hash(h, &word, sizeof word);
}

typedef uint32_t kernel_function(uint32_t h, const plk_kernels *k, values *v);

/* Any bits of the type; the larger half of the cases has neither NaN nor +inf. */
static void *hostile_row(values *v, pluck_dtype dtype)
{
    static uint32_t row[N_VALUES];
    bool is_clean = test_random_below(&v->random, 3) > 0;
    uint32_t infinity = dtype == PLUCK_F32 ? 0x7F800000u : dtype == PLUCK_F16 ? 0x7C00u : 0x7F80u;
    for (size_t i = 0; i < v->n_blocks * PLK_BLOCK; i++) {
        uint32_t word = (uint32_t)test_random_bits(&v->random);
        uint16_t half = (uint16_t)word;
        if (dtype == PLUCK_F32) {
            bool is_special = (word & infinity) == infinity;
            word = is_special && (is_clean || i % 97 != 0) ? 0xFF800000u : word;
            memcpy((char *)row + i * sizeof word, &word, sizeof word);
        } else {
            bool is_special = (half & infinity) == infinity;
            half = is_special && is_clean ? (uint16_t)(infinity | 0x8000u) : half;
            memcpy((char *)row + i * sizeof half, &half, sizeof half);
        }
    }
    return row;
}

static uint32_t hash_scan(uint32_t h, bool is_bad, const float *max, size_t n)
{
    h = hash_size(h, is_bad);
    return is_bad ? h : golden_hash_floats(h, max, n);
}

#define SCAN(type, dtype)                                                                          \
    static uint32_t scan_##type(uint32_t h, const plk_kernels *k, values *v)                       \
    {                                                                                              \
        size_t n_allowed = 0;                                                                      \
        const void *row = hostile_row(v, dtype);                                                   \
        h = hash_scan(h, k->scan_##type(row, v->n_blocks, floats), floats, v->n_blocks);           \
        bool is_bad = k->scan_masked_##type(row, v->mask, v->n_blocks, floats, &n_allowed);        \
        h = hash_scan(h, is_bad, floats, v->n_blocks);                                             \
        return hash_size(h, n_allowed);                                                            \
    }
SCAN(f32, PLUCK_F32)
SCAN(f16, PLUCK_F16)
SCAN(bf16, PLUCK_BF16)

static uint32_t scan_part(uint32_t h, const plk_kernels *k, values *v)
{
    size_t n = v->n % PLK_BLOCK + 1;
    float max = 0;
    return hash_scan(h, k->scan_part(hostile_row(v, PLUCK_F32), n, &max), &max, 1);
}

static uint32_t mask_values(uint32_t h, const plk_kernels *k, values *v)
{
    k->mask_values(v->x, v->mask, v->n_blocks, floats);
    return golden_hash_floats(h, floats, v->n_blocks * PLK_BLOCK);
}

static uint32_t widen(uint32_t h, const plk_kernels *k, values *v)
{
    k->widen_f16(hostile_row(v, PLUCK_F16), v->n, floats);
    h = golden_hash_floats(h, floats, v->n);
    k->widen_bf16(hostile_row(v, PLUCK_BF16), v->n, floats);
    return golden_hash_floats(h, floats, v->n);
}

static uint32_t largest(uint32_t h, const plk_kernels *k, values *v)
{
    uint32_t place = 0;
    floats[0] = k->max(v->x, v->n_blocks);
    floats[1] = k->find_max(v->x, v->n_blocks, &place);
    return hash_size(golden_hash_floats(h, floats, 2), place);
}

static uint32_t exp_values(uint32_t h, const plk_kernels *k, values *v)
{
    k->exp_values(v->x, v->n_blocks, v->exponent, floats);
    return golden_hash_floats(h, floats, v->n_blocks * PLK_BLOCK);
}

static uint32_t exp_sums(uint32_t h, const plk_kernels *k, values *v)
{
    k->exp_sums(v->x, v->n_blocks, v->exponent, doubles);
    h = hash_doubles(h, doubles, v->n_blocks);
    k->exp_sums_from(v->x, v->n_blocks, v->exponent, v->threshold, doubles);
    h = hash_doubles(h, doubles, v->n_blocks);
    k->exp_sums_masked(v->x, v->mask, v->n_blocks, v->exponent, doubles);
    return hash_doubles(h, doubles, v->n_blocks);
}

static uint32_t exp_both(uint32_t h, const plk_kernels *k, values *v)
{
    k->exp_both(v->x, v->n_blocks, v->exponent, floats, doubles);
    h = golden_hash_floats(h, floats, v->n_blocks * PLK_BLOCK);
    h = hash_doubles(h, doubles, v->n_blocks);
    doubles[0] = k->exp_block(v->x, v->n % PLK_BLOCK + 1, v->exponent, floats);
    return golden_hash_floats(hash_doubles(h, doubles, 1), floats, PLK_BLOCK);
}

static uint32_t exp_dots(uint32_t h, const plk_kernels *k, values *v)
{
    k->exp_dots(v->x, v->n_blocks, v->exponent, doubles, more_doubles);
    return hash_doubles(hash_doubles(h, doubles, v->n_blocks), more_doubles, v->n_blocks);
}

static uint32_t moments(uint32_t h, const plk_kernels *k, values *v)
{
    plk_spread groups[MAX_BLOCKS / PLK_MOMENTS_BLOCKS + 1];
    k->moments(v->x, v->n_blocks, groups);
    for (size_t g = 0; g * PLK_MOMENTS_BLOCKS < v->n_blocks; g++) {
        double numbers[] = {groups[g].n, groups[g].origin, groups[g].sum, groups[g].square};
        h = hash_doubles(h, numbers, 4);
    }
    return h;
}

static uint32_t hash_gathered(uint32_t h, size_t n)
{
    h = hash_size(h, n);
    h = golden_hash(h, ids, n * sizeof *ids);
    return golden_hash_floats(h, floats, n);
}

static uint32_t gather(uint32_t h, const plk_kernels *k, values *v)
{
    uint32_t blocks[MAX_BLOCKS];
    size_t n_blocks = 0;
    for (uint32_t b = 0; b < v->n_blocks; b++)
        if (test_random_below(&v->random, 2) == 0)
            blocks[n_blocks++] = b;
    float high = v->threshold < 1 ? INFINITY : v->threshold, low = v->threshold - 1;
    h = hash_gathered(h, k->gather(v->x, v->n, low, high, 17, ids, floats));
    h = hash_gathered(h, k->gather_blocks(v->x, blocks, n_blocks, v->threshold, ids, floats));
    return hash_gathered(h, k->gather_masked(v->x, v->mask, v->n_blocks, 5, ids, floats));
}

static uint32_t copy_items(uint32_t h, const plk_kernels *k, values *v)
{
    static plk_item items[N_VALUES];
    for (size_t i = 0; i < v->n; i++)
        items[i] = (plk_item){(int32_t)i, v->x[i], 0};
    items[test_random_below(&v->random, v->n)].token -= (int32_t)test_random_below(&v->random, 2);
    size_t n = k->copy_items(items, v->n, floats);
    return golden_hash_floats(hash_size(h, n), floats, n);
}

static uint32_t find_last(uint32_t h, const plk_kernels *k, values *v)
{
    static int32_t tokens[N_VALUES];
    uint64_t bits = 0;
    for (size_t i = 0; i < v->n; i++)
        tokens[i] = (int32_t)test_random_below(&v->random, 300);
    h = hash_size(h, k->find_last(tokens, v->n, 7, &bits));
    return hash_size(hash_size(h, (size_t)(bits & UINT32_MAX)), (size_t)(bits >> 32));
}

static uint32_t race_bounds(uint32_t h, const plk_kernels *k, values *v)
{
    plk_race_terms terms = {.noise = {{17, 4}, {(uint32_t)v->n, 0}},
                            .origin = v->max,
                            .rate = 1.25f,
                            .base = v->n % 3 == 0 ? 0.0f : 0.125f,
                            .share = 1};
    k->race_bounds(&terms, 3, 100, v->n_blocks, v->x, floats, more_floats);
    h = golden_hash_floats(h, floats, v->n_blocks * PLK_BLOCK);
    return golden_hash_floats(h, more_floats, v->n_blocks * 16);
}

static uint32_t count(uint32_t h, const plk_kernels *k, values *v)
{
    h = hash_size(h, k->count(v->x, v->n_blocks, v->threshold));
    return hash_size(h, k->count_masked(v->x, v->mask, v->n_blocks, v->threshold));
}

static uint32_t dot(uint32_t h, const plk_kernels *k, values *v)
{
    doubles[0] = k->dot_f32(v->x, hostile_row(v, PLUCK_F32), v->n);
    doubles[1] = k->dot_f16(v->x, hostile_row(v, PLUCK_F16), v->n);
    doubles[2] = k->dot_bf16(v->x, hostile_row(v, PLUCK_BF16), v->n);
    return hash_doubles(h, doubles, 3);
}

static uint32_t bend(uint32_t h, const plk_kernels *k, values *v)
{
    static const double scales[] = {1, 1.4375, 0.25, 0x1p-10}, factors[] = {0.3125, 1, 30, 0x1p-9};
    double scale = scales[test_random_below(&v->random, 4)];
    double factor = factors[test_random_below(&v->random, 4)];
    plk_bend map = {scale, scale * (double)v->max, -factor, factor * 0.25};
    k->bend(v->x, v->n_blocks, map, floats);
    return golden_hash_floats(h, floats, v->n_blocks * PLK_BLOCK);
}

static uint32_t prefer(uint32_t h, const plk_kernels *k, values *v)
{
    static const double aims[] = {0, 0x1p-8, 0.11105, 0.3, 0.45, 1};
    for (size_t i = 0; i < v->n_blocks * PLK_BLOCK; i++) {
        uint32_t word = (uint32_t)test_random_bits(&v->random);
        v->x[i] = float_of((0x3F7FFFFFu - word % 0x800000u) - (word >> 27) * 0x800000u);
    }
    plk_preference of = {1.0 + (double)(v->n % 50), aims[test_random_below(&v->random, 6)]};
    more_floats[0] = k->prefer(v->x, v->n_blocks, of, floats);
    h = golden_hash_floats(h, more_floats, 1);
    return golden_hash_floats(h, floats, v->n_blocks * PLK_BLOCK);
}

/* The number of functions of the table that each calls. */
static const struct {
    const char *name;
    kernel_function *run;
    int n_functions;
} kernels[] = {
    {"scan_f32", scan_f32, 2},   {"scan_f16", scan_f16, 2},
    {"scan_bf16", scan_bf16, 2}, {"scan_part", scan_part, 1},
    {"mask", mask_values, 1},    {"widen", widen, 2},
    {"max", largest, 2},         {"exp", exp_values, 1},
    {"exp_sums", exp_sums, 3},   {"exp_both", exp_both, 2},
    {"exp_dots", exp_dots, 1},   {"moments", moments, 1},
    {"gather", gather, 3},       {"items", copy_items, 1},
    {"find_last", find_last, 1}, {"race_bounds", race_bounds, 1},
    {"count", count, 2},         {"dot", dot, 3},
    {"bend", bend, 1},           {"prefer", prefer, 1},
};
enum { N_FUNCTIONS = 33, N_KERNELS = sizeof kernels / sizeof *kernels };
_Static_assert(sizeof(plk_kernels) == (2 + N_FUNCTIONS) * sizeof(void (*)(void)),
               "a kernel that is new is to be compared here too");

void golden_kernels(golden_text *out, pluck_isa isa, const char *folder)
{
    (void)folder;
    static values v;
    const plk_kernels *table = plk_kernels_get(isa);
    int n_functions = 0;
    for (size_t i = 0; i < N_KERNELS; i++) {
        n_functions += kernels[i].n_functions;
        for (uint64_t first = 0; first < N_CASES; first += N_PER_LINE) {
            uint32_t h = 0;
            for (uint64_t number = first; number < first + N_PER_LINE; number++) {
                make_values(&v, number * N_KERNELS + i);
                h = kernels[i].run(h, table, &v);
                out->n_results += v.n;
            }
            golden_add(out, "kernel_%s %" PRIu64 " %08" PRIx32 "\n", kernels[i].name, first, h);
        }
    }
    if (n_functions != N_FUNCTIONS)
        golden_add(out, "kernels %d functions\n", n_functions);
}
