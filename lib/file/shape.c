/*
 * Shapes of arrays in files, and products of their axes that cannot overflow unnoticed.
 */
#include "file/shape.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

const char *plk_shape_text(const plk_shape *shape, char text[PLK_SHAPE_TEXT_BYTES])
{
    static const char cut[] = ", ...)";
    size_t used = 1;
    memcpy(text, "(", 2);
    for (size_t i = 0; i < shape->n_axes; i++) {
        char axis[32];
        int length = snprintf(axis, sizeof axis, "%s%llu", i != 0 ? ", " : "",
                              (unsigned long long)shape->axes[i]);
        if (used + (size_t)length + sizeof cut > PLK_SHAPE_TEXT_BYTES) {
            memcpy(text + used, cut, sizeof cut);
            return text;
        }
        memcpy(text + used, axis, (size_t)length + 1);
        used += (size_t)length;
    }
    memcpy(text + used, shape->n_axes == 1 ? ",)" : ")", shape->n_axes == 1 ? 3 : 2);
    return text;
}

plk_shape plk_shape_squeezed(const plk_shape *shape)
{
    plk_shape squeezed = {.n_axes = 0};
    for (size_t i = 0; i < shape->n_axes; i++)
        if (shape->axes[i] != 1)
            squeezed.axes[squeezed.n_axes++] = shape->axes[i];
    return squeezed;
}

bool plk_shapes_agree(const plk_shape *a, const plk_shape *b)
{
    plk_shape x = plk_shape_squeezed(a), y = plk_shape_squeezed(b);
    if (x.n_axes <= 1 || y.n_axes <= 1)
        return true;
    return x.n_axes == y.n_axes && memcmp(x.axes, y.axes, x.n_axes * sizeof *x.axes) == 0;
}

bool plk_mul_u64(uint64_t a, uint64_t b, uint64_t *product)
{
    if (b != 0 && a > UINT64_MAX / b)
        return false;
    *product = a * b;
    return true;
}
