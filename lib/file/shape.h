/*
 * The shape of an array in a file.
 */
#ifndef PLK_SHAPE_H
#define PLK_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLK_MAX_AXES = 64, PLK_SHAPE_TEXT_BYTES = 80 };

typedef struct plk_shape {
    size_t n_axes;
    uint64_t axes[PLK_MAX_AXES];
} plk_shape;

/* "(64, 50257)"; a long one ends in "...". */
const char *plk_shape_text(const plk_shape *shape, char text[PLK_SHAPE_TEXT_BYTES]);

/* The same shape without the axes of length 1. */
plk_shape plk_shape_squeezed(const plk_shape *shape);

/* Whether two arrays of the same number of elements have them in the same places: their shapes are
 * the same apart from axes of length 1, or at least one of them has at most one axis that is
 * longer. */
bool plk_shapes_agree(const plk_shape *a, const plk_shape *b);

/* *product = a * b; false, and nothing written, on overflow. */
bool plk_mul_u64(uint64_t a, uint64_t b, uint64_t *product);

#endif
