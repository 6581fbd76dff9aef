/*
 * One small function a kernel. A kernel that is added to plk_kernels changes the size of the table,
 * and the assertion below then asks for its case.
 */
#include "kernel_cases.h"

#include "support/bench_rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_KERNELS = 33 };
_Static_assert(sizeof(plk_kernels) - offsetof(plk_kernels, scan_f32) == N_KERNELS * sizeof(void *),
               "plk_kernels has changed: give each kernel a case here, then adapt N_KERNELS");

static void run_scan_f32(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_values = in->n / PLK_BLOCK;
    out->result = kernels->scan_f32(in->f32, in->n / PLK_BLOCK, out->values);
}

static void run_scan_f16(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_values = in->n / PLK_BLOCK;
    out->result = kernels->scan_f16(in->f16, in->n / PLK_BLOCK, out->values);
}

static void run_scan_bf16(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_values = in->n / PLK_BLOCK;
    out->result = kernels->scan_bf16(in->bf16, in->n / PLK_BLOCK, out->values);
}

/* Blocks one at a time: a kernel for the last one of a row, which need not be whole. */
static void run_scan_part(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_values = in->n / PLK_BLOCK;
    out->result = 0;
    for (size_t b = 0; b < out->n_values; b++)
        out->result |= kernels->scan_part(in->f32 + b * PLK_BLOCK, PLK_BLOCK - 1, out->values + b);
}

static void run_scan_masked_f32(const plk_kernels *kernels, const kernel_input *in,
                                kernel_output *out)
{
    size_t n_blocks = in->n / PLK_BLOCK, n_allowed = 0;
    out->n_values = n_blocks;
    bool bad = kernels->scan_masked_f32(in->f32, in->mask, n_blocks, out->values, &n_allowed);
    out->result = n_allowed + bad;
}

static void run_scan_masked_f16(const plk_kernels *kernels, const kernel_input *in,
                                kernel_output *out)
{
    size_t n_blocks = in->n / PLK_BLOCK, n_allowed = 0;
    out->n_values = n_blocks;
    bool bad = kernels->scan_masked_f16(in->f16, in->mask, n_blocks, out->values, &n_allowed);
    out->result = n_allowed + bad;
}

static void run_scan_masked_bf16(const plk_kernels *kernels, const kernel_input *in,
                                 kernel_output *out)
{
    size_t n_blocks = in->n / PLK_BLOCK, n_allowed = 0;
    out->n_values = n_blocks;
    bool bad = kernels->scan_masked_bf16(in->bf16, in->mask, n_blocks, out->values, &n_allowed);
    out->result = n_allowed + bad;
}

static void run_mask_values(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_values = in->n;
    kernels->mask_values(in->f32, in->mask, in->n / PLK_BLOCK, out->values);
}

static void run_gather_masked(const plk_kernels *kernels, const kernel_input *in,
                              kernel_output *out)
{
    out->result = out->n_values = out->n_ids =
        kernels->gather_masked(in->f32, in->mask, in->n / PLK_BLOCK, 7, out->ids, out->values);
}

static void run_widen_f16(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_values = in->n;
    kernels->widen_f16(in->f16, in->n, out->values);
}

static void run_widen_bf16(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_values = in->n;
    kernels->widen_bf16(in->bf16, in->n, out->values);
}

static void run_max(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_values = 1;
    out->values[0] = kernels->max(in->f32, in->n / PLK_BLOCK);
}

static void run_find_max(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    uint32_t place;
    out->n_values = 1;
    out->values[0] = kernels->find_max(in->f32, in->n / PLK_BLOCK, &place);
    out->result = place;
}

static void run_exp_values(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_values = in->n;
    kernels->exp_values(in->f32, in->n / PLK_BLOCK, plk_exponent_make(in->largest, 1.25),
                        out->values);
}

static void run_exp_sums(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_sums = in->n / PLK_BLOCK;
    kernels->exp_sums(in->f32, in->n / PLK_BLOCK, plk_exponent_make(in->largest, 1.25), out->sums);
}

static void run_exp_block(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_values = in->n;
    out->n_sums = in->n / PLK_BLOCK;
    plk_exponent exponent = plk_exponent_make(in->largest, 1.25);
    for (size_t b = 0; b < out->n_sums; b++)
        out->sums[b] = kernels->exp_block(in->f32 + b * PLK_BLOCK, PLK_BLOCK, exponent,
                                          out->values + b * PLK_BLOCK);
}

static void run_exp_dots(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_sums = out->n_dots = in->n / PLK_BLOCK;
    kernels->exp_dots(in->f32, in->n / PLK_BLOCK, plk_exponent_make(in->largest, 1.25), out->sums,
                      out->dots);
}

static void run_exp_sums_from(const plk_kernels *kernels, const kernel_input *in,
                              kernel_output *out)
{
    out->n_sums = in->n / PLK_BLOCK;
    kernels->exp_sums_from(in->f32, in->n / PLK_BLOCK, plk_exponent_make(in->largest, 1.25),
                           in->threshold_many, out->sums);
}

static void run_exp_sums_masked(const plk_kernels *kernels, const kernel_input *in,
                                kernel_output *out)
{
    out->n_sums = in->n / PLK_BLOCK;
    kernels->exp_sums_masked(in->f32, in->mask, in->n / PLK_BLOCK,
                             plk_exponent_make(in->largest, 1.25), out->sums);
}

static void run_moments(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    enum { GROUPS = 16, BLOCKS = GROUPS * PLK_MOMENTS_BLOCKS };
    size_t n_blocks = in->n / PLK_BLOCK;
    plk_spread groups[GROUPS];
    out->n_sums = out->n_dots = 0;
    for (size_t b = 0; b < n_blocks; b += BLOCKS) {
        size_t n = n_blocks - b < BLOCKS ? n_blocks - b : BLOCKS;
        kernels->moments(in->f32 + b * PLK_BLOCK, n, groups);
        for (size_t g = 0; g * PLK_MOMENTS_BLOCKS < n; g++) {
            out->sums[out->n_sums++] = groups[g].sum;
            out->dots[out->n_dots++] = groups[g].square;
        }
    }
}

static void run_dot_f32(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_sums = 1;
    out->sums[0] = kernels->dot_f32(in->f32, in->f32, in->n);
}

static void run_dot_f16(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_sums = 1;
    out->sums[0] = kernels->dot_f16(in->f32, in->f16, in->n);
}

static void run_dot_bf16(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_sums = 1;
    out->sums[0] = kernels->dot_bf16(in->f32, in->bf16, in->n);
}

static void gather(const plk_kernels *kernels, const kernel_input *in, float threshold,
                   kernel_output *out)
{
    size_t n = kernels->gather(in->f32, in->n, threshold, INFINITY, 7, out->ids, out->values);
    out->result = out->n_values = out->n_ids = n;
}

static void run_gather_few(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    gather(kernels, in, in->threshold_few, out);
}

static void run_gather_many(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    gather(kernels, in, in->threshold_many, out);
}

static void run_gather_all(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    gather(kernels, in, -3e38f, out);
}

/* Every third block. */
static void run_gather_blocks(const plk_kernels *kernels, const kernel_input *in,
                              kernel_output *out)
{
    uint32_t step = 3;
    uint32_t *blocks = out->blocks;
    size_t n = 0;
    for (uint32_t b = 0; b < in->n / PLK_BLOCK; b += step)
        blocks[n++] = b;
    out->result = out->n_values = out->n_ids =
        kernels->gather_blocks(in->f32, blocks, n, in->threshold_many, out->ids, out->values);
}

/* A value that is nowhere: words of the mask are never 0. */
static void run_find_last(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    uint64_t bits;
    out->result = kernels->find_last(in->mask, in->n / 32, 0, &bits);
    out->result += bits;
}

static void run_count(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->result = kernels->count(in->f32, in->n / PLK_BLOCK, in->threshold_many);
}

static void run_copy_items(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->result = out->n_values = kernels->copy_items(in->items, in->n, out->values);
}

static void run_bend(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    plk_bend bend = {
        .scale = 1.25, .max = 1.25 * (double)in->largest, .square = -0.15, .cube = 0.05};
    out->n_values = in->n;
    kernels->bend(in->f32, in->n / PLK_BLOCK, bend, out->values);
}

static void run_race_bounds(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    plk_race_terms terms = {
        .noise = {{7, 0}, {1, 0}}, .origin = in->largest, .rate = 1.0f, .share = 1.0f};
    out->n_values = in->n;
    out->n_ids = in->n / 4; /* the bits of floats */
    kernels->race_bounds(&terms, 1, 0, in->n / PLK_BLOCK, in->f32, out->values,
                         (float *)(void *)out->ids);
}

static void run_exp_both(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_values = in->n;
    out->n_sums = in->n / PLK_BLOCK;
    kernels->exp_both(in->f32, in->n / PLK_BLOCK, plk_exponent_make(in->largest, 1.25), out->values,
                      out->sums);
}

static void run_prefer(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->n_values = in->n;
    kernels->exp_values(in->f32, in->n / PLK_BLOCK, plk_exponent_make(in->largest, 1.25),
                        out->values);
    plk_preference preference = {.total = 10.5, .aim = 0.4};
    kernels->prefer(out->values, in->n / PLK_BLOCK, preference, out->values);
}

static void run_count_masked(const plk_kernels *kernels, const kernel_input *in, kernel_output *out)
{
    out->result = kernels->count_masked(in->f32, in->mask, in->n / PLK_BLOCK, in->threshold_many);
}

static const kernel_case cases[] = {
    {"scan_f32", 4 + 4.0 / PLK_BLOCK, run_scan_f32},
    {"scan_f16", 2 + 4.0 / PLK_BLOCK, run_scan_f16},
    {"scan_bf16", 2 + 4.0 / PLK_BLOCK, run_scan_bf16},
    {"scan_part", 4 + 4.0 / PLK_BLOCK, run_scan_part},
    {"scan_masked_f32", 4 + 12.0 / PLK_BLOCK, run_scan_masked_f32},
    {"scan_masked_f16", 2 + 12.0 / PLK_BLOCK, run_scan_masked_f16},
    {"scan_masked_bf16", 2 + 12.0 / PLK_BLOCK, run_scan_masked_bf16},
    {"mask_values", 8 + 8.0 / PLK_BLOCK, run_mask_values},
    {"gather_masked 1 in 2", 8, run_gather_masked},
    {"widen_f16", 6, run_widen_f16},
    {"widen_bf16", 6, run_widen_bf16},
    {"max", 4, run_max},
    {"find_max", 4, run_find_max},
    {"exp_values", 8, run_exp_values},
    {"exp_sums", 4 + 8.0 / PLK_BLOCK, run_exp_sums},
    {"exp_block", 8 + 8.0 / PLK_BLOCK, run_exp_block},
    {"exp_dots", 4 + 16.0 / PLK_BLOCK, run_exp_dots},
    {"exp_sums_from", 4 + 8.0 / PLK_BLOCK, run_exp_sums_from},
    {"exp_sums_masked", 4 + 16.0 / PLK_BLOCK, run_exp_sums_masked},
    {"moments", 4, run_moments},
    {"gather few", 4, run_gather_few},
    {"gather 1 in 8", 5, run_gather_many},
    {"gather all", 12, run_gather_all},
    {"gather_blocks 1 in 3", 5.0 / 3, run_gather_blocks},
    {"copy_items", 16, run_copy_items},
    {"find_last", 1.0 / 8, run_find_last},
    {"race_bounds", 8, run_race_bounds},
    {"count", 4, run_count},
    {"count_masked", 4 + 8.0 / PLK_BLOCK, run_count_masked},
    {"bend", 8, run_bend},
    {"exp_both", 8 + 8.0 / PLK_BLOCK, run_exp_both},
    {"exp_values, prefer", 16, run_prefer},
    {"dot_f32", 8, run_dot_f32},
    {"dot_f16", 6, run_dot_f16},
    {"dot_bf16", 6, run_dot_bf16},
};

size_t kernel_case_count(void)
{
    return sizeof cases / sizeof *cases;
}

const kernel_case *kernel_case_at(size_t index)
{
    return &cases[index];
}

static int descending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* Row 0 of the kind in one type; the caller frees it. */
static void *make_row(const char *kind, size_t n, pluck_dtype dtype)
{
    bench_rows rows;
    if (!bench_rows_open(&rows, kind, (uint32_t)n, dtype))
        return NULL;
    if (rows.n_vocab != n) {
        bench_rows_close(&rows);
        return NULL;
    }
    return rows.data;
}

/* Half of the bits are 1, without order. */
static int32_t *make_mask(size_t n)
{
    uint32_t *mask = malloc(n / 32 * sizeof *mask), mixed = 1;
    for (size_t i = 0; mask && i < n / 32; i++) {
        mixed ^= mixed << 13;
        mixed ^= mixed >> 17;
        mixed ^= mixed << 5;
        mask[i] = mixed;
    }
    return (int32_t *)mask;
}

bool kernel_input_create(kernel_input *in, const char *kind, size_t n)
{
    *in = (kernel_input){
        .n = n,
        .f32 = make_row(kind, n, PLUCK_F32),
        .f16 = make_row(kind, n, PLUCK_F16),
        .bf16 = make_row(kind, n, PLUCK_BF16),
        .mask = make_mask(n),
    };
    in->items = malloc(n * sizeof *in->items);
    in->weights = malloc(n * sizeof *in->weights);
    float *sorted = malloc(n * sizeof *sorted);
    bool done = in->f32 && in->f16 && in->bf16 && in->mask && in->items && in->weights && sorted;
    if (done) {
        for (size_t i = 0; i < n; i++)
            in->items[i] = (plk_item){(int32_t)i, in->f32[i], 0.0f};
        memcpy(sorted, in->f32, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, descending);
        in->largest = sorted[0];
        for (size_t i = 0; i < n; i++)
            in->weights[i] = expf(in->f32[i] - in->largest);
        in->threshold_few = sorted[n > 64 ? 63 : n - 1];
        in->threshold_many = sorted[n / 8];
    } else {
        kernel_input_destroy(in);
    }
    free(sorted);
    return done;
}

void kernel_input_destroy(kernel_input *in)
{
    free(in->f32);
    free(in->f16);
    free(in->bf16);
    free(in->items);
    free(in->mask);
    free(in->weights);
    *in = (kernel_input){0};
}

bool kernel_output_create(kernel_output *out, size_t n)
{
    size_t n_blocks = n / PLK_BLOCK;
    *out = (kernel_output){
        .values = malloc((n + PLK_SLACK) * sizeof(float)),
        .ids = malloc((n + PLK_SLACK) * sizeof(uint32_t)),
        .sums = malloc(n_blocks * sizeof(double)),
        .dots = malloc(n_blocks * sizeof(double)),
        .blocks = malloc(n_blocks * sizeof(uint32_t)),
    };
    if (out->values && out->ids && out->sums && out->dots && out->blocks)
        return true;
    kernel_output_destroy(out);
    return false;
}

void kernel_output_destroy(kernel_output *out)
{
    free(out->values);
    free(out->ids);
    free(out->sums);
    free(out->blocks);
    free(out->dots);
    *out = (kernel_output){0};
}

/* The same bits, or both zero. */
static bool same_floats(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && !(a[i] == 0 && b[i] == 0))
            return false;
    }
    return true;
}

bool kernel_output_same(const kernel_output *a, const kernel_output *b)
{
    return a->result == b->result && a->n_values == b->n_values && a->n_ids == b->n_ids &&
           a->n_sums == b->n_sums && a->n_dots == b->n_dots &&
           same_floats(a->values, b->values, a->n_values) &&
           memcmp(a->ids, b->ids, a->n_ids * sizeof *a->ids) == 0 &&
           memcmp(a->sums, b->sums, a->n_sums * sizeof *a->sums) == 0 &&
           memcmp(a->dots, b->dots, a->n_dots * sizeof *a->dots) == 0;
}
