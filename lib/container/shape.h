/*
 * The shape of an array in a file.
 */
#ifndef PL_SHAPE_H
#define PL_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PL_MAX_AXES = 64, PL_SHAPE_TEXT_BYTES = 80 };

typedef struct pl_shape {
    size_t n_axes;
    uint64_t axes[PL_MAX_AXES];
} pl_shape;

/* "(64, 50257)"; a long one ends in "...". */
const char *pl_shape_text(const pl_shape *shape, char text[PL_SHAPE_TEXT_BYTES]);

/* The same shape without the axes of length 1. */
pl_shape pl_shape_squeezed(const pl_shape *shape);

/* Whether two arrays of the same number of elements have them in the same places: their shapes are
 * the same apart from axes of length 1, or at least one of them has at most one axis that is
 * longer. */
bool pl_shapes_agree(const pl_shape *a, const pl_shape *b);

/* *product = a * b; false, and nothing written, on overflow. */
bool pl_mul_u64(uint64_t a, uint64_t b, uint64_t *product);

#endif
