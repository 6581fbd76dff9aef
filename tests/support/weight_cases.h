/*
 * Weights to make stored distributions from: ordinary ones, and those that break implementations.
 */
#ifndef WEIGHT_CASES_H
#define WEIGHT_CASES_H

#include <stdint.h>

typedef enum weight_kind {
    WEIGHTS_UNIFORM,   /* between 0 and 1 */
    WEIGHTS_EQUAL,     /* all 3 */
    WEIGHTS_ZIPF,      /* 1 / (i + 1), in random order */
    WEIGHTS_SPIKE,     /* one 2^40, the others below 1 */
    WEIGHTS_MANY_ZERO, /* two thirds are 0, some of them -0 */
    WEIGHTS_ONE,       /* one positive, the others 0 */
    WEIGHTS_WIDE,      /* powers of 2 over the whole range of a double that sums allow */
    WEIGHTS_TINY,      /* subnormal */
    WEIGHTS_HUGE,      /* 1e300 / n and the like */
    WEIGHTS_FIBONACCI, /* the deepest Huffman tree, up to 60 of them; then 0 */
    WEIGHTS_KINDS
} weight_kind;

const char *weight_kind_name(weight_kind kind);

/* Writes n >= 1 weights, at least one positive. The same seed gives the same values. */
void weights_fill(weight_kind kind, uint64_t seed, uint32_t n, double *weights);

#endif
