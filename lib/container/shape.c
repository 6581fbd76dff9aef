/*
 * Shapes of arrays in files, and products of their axes that cannot overflow unnoticed.
 */
#include "container/shape.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *pl_shape_text(const pl_shape *shape, char text[PL_SHAPE_TEXT_BYTES])
{
    static const char cut[] = ", ...)";
    size_t used = 1;
    memcpy(text, "(", 2);
    for (size_t i = 0; i < shape->n_axes; i++) {
        char axis[32];
        int length = snprintf(axis, sizeof axis, "%s%" PRIu64, i ? ", " : "", shape->axes[i]);
        if (used + (size_t)length + sizeof cut > PL_SHAPE_TEXT_BYTES) {
            memcpy(text + used, cut, sizeof cut);
            return text;
        }
        memcpy(text + used, axis, (size_t)length + 1);
        used += (size_t)length;
    }
    memcpy(text + used, shape->n_axes == 1 ? ",)" : ")", shape->n_axes == 1 ? 3 : 2);
    return text;
}

bool pl_mul_u64(uint64_t a, uint64_t b, uint64_t *product)
{
    if (b != 0 && a > UINT64_MAX / b)
        return false;
    *product = a * b;
    return true;
}
