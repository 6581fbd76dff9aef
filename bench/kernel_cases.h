/*
 * Every kernel of lib/simd/kernels.h as something that can be run, timed and compared: its inputs
 * prepared, its outputs in one place.
 */
#ifndef BENCH_KERNEL_CASES_H
#define BENCH_KERNEL_CASES_H

#include "simd/kernels.h"

/* n values, a multiple of PLK_BLOCK, in the three types, rounded from the same numbers. */
typedef struct kernel_input {
    size_t n;
    float *f32;
    uint16_t *f16, *bf16;
    plk_item *items; /* the f32 as logits */
    int32_t *mask;   /* n / 32 words; half of the bits are 1 */
    float *weights;  /* exp(f32 - largest) */
    float largest;
    float threshold_few, threshold_many; /* about 64 values, and n / 8 values, are at least it */
} kernel_input;

/* What a kernel wrote: as many of each as it reported. */
typedef struct kernel_output {
    size_t n_values, n_ids, n_sums, n_dots;
    float *values; /* room for n + PLK_SLACK */
    uint32_t *ids; /* room for n + PLK_SLACK */
    double *sums, *dots;
    uint32_t *blocks; /* scratch */
    uint64_t result;  /* of a kernel that returns something */
} kernel_output;

typedef struct kernel_case {
    const char *name;
    double bytes_a_value; /* read and written */
    void (*run)(const plk_kernels *kernels, const kernel_input *in, kernel_output *out);
} kernel_case;

size_t kernel_case_count(void);
const kernel_case *kernel_case_at(size_t index);

/* On failure (no memory) false, and nothing to free. */
bool kernel_input_create(kernel_input *in, const char *kind, size_t n);
void kernel_input_destroy(kernel_input *in);
bool kernel_output_create(kernel_output *out, size_t n);
void kernel_output_destroy(kernel_output *out);

/* Whether both hold the same bits; zeros among the floats may differ in sign. */
bool kernel_output_same(const kernel_output *a, const kernel_output *b);

#endif
