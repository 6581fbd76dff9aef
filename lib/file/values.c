/*
 * Conversion: one loop per width. Values move as integers through memcpy, so that no alignment is
 * assumed and a signalling NaN keeps its bits; only f64 is ever handled as a floating-point number.
 * Its conversion to f32 is the C one: IEC 60559 (C11, Annex F) rounds it to the nearest value, ties
 * to even, and gives infinities beyond the range.
 */
#include "file/array_file.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

size_t plk_stored_size_bytes(plk_stored_type type)
{
    static const size_t sizes[] = {4, 2, 2, 8};
    return sizes[type];
}

pluck_dtype plk_stored_dtype(plk_stored_type type)
{
    static const pluck_dtype dtypes[] = {PLUCK_F32, PLUCK_F16, PLUCK_BF16, PLUCK_F32};
    return dtypes[type];
}

bool plk_is_swapped(bool little_endian)
{
    uint16_t one = 1;
    uint8_t first = 0;
    memcpy(&first, &one, 1);
    return (first == 1) != little_endian;
}

static uint32_t swap_32(uint32_t x)
{
    return (x >> 24) | ((x >> 8) & 0xFF00u) | ((x << 8) & 0xFF0000u) | (x << 24);
}

static void convert_16(const uint8_t *from, size_t stride, size_t n, bool swapped, uint8_t *to)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, from + i * stride, sizeof bits);
        if (swapped)
            bits = (uint16_t)((uint16_t)(bits >> 8) | (uint16_t)(bits << 8));
        memcpy(to + i * sizeof bits, &bits, sizeof bits);
    }
}

static void convert_32(const uint8_t *from, size_t stride, size_t n, bool swapped, uint8_t *to)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, from + i * stride, sizeof bits);
        if (swapped)
            bits = swap_32(bits);
        memcpy(to + i * sizeof bits, &bits, sizeof bits);
    }
}

static void convert_64(const uint8_t *from, size_t stride, size_t n, bool swapped, uint8_t *to)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, from + i * stride, sizeof bits);
        if (swapped)
            bits = (uint64_t)swap_32((uint32_t)(bits >> 32)) |
                   ((uint64_t)swap_32((uint32_t)bits) << 32);
        double value;
        memcpy(&value, &bits, sizeof value);
        float rounded = (float)value;
        memcpy(to + i * sizeof rounded, &rounded, sizeof rounded);
    }
}

void plk_convert(const uint8_t *from, uint64_t stride_bytes, size_t n, plk_stored_type type,
                 bool swapped, void *to)
{
    switch (type) {
    case PLK_STORED_F16:
    case PLK_STORED_BF16:
        convert_16(from, (size_t)stride_bytes, n, swapped, to);
        break;
    case PLK_STORED_F32:
        convert_32(from, (size_t)stride_bytes, n, swapped, to);
        break;
    case PLK_STORED_F64:
        convert_64(from, (size_t)stride_bytes, n, swapped, to);
        break;
    }
}

/*
 * Narrowing: integer arithmetic on the bits, so that no rounding mode and no flag of the processor
 * matters. A half has 10 bits of mantissa where an f32 has 23: 13 are dropped, and half of what the
 * last one stands for, less one if it is even, is added before (round to nearest, ties to even); a
 * carry into the exponent is right as it is. Below 2^-14 halves are subnormal: multiples of 2^-24.
 */

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float plk_from_bf16(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

float plk_from_f16(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    uint32_t exponent = bits >> 10 & 31u, mantissa = bits & 0x3FFu;
    if (exponent == 31)
        return float_of(sign | 0x7F800000u | mantissa << 13);
    if (exponent == 0) {
        float magnitude = (float)mantissa * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
}

uint16_t plk_to_bf16(float value)
{
    uint32_t bits = bits_of(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

uint16_t plk_to_f16(float value)
{
    uint32_t bits = bits_of(value), magnitude = bits & 0x7FFFFFFFu;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    if (magnitude > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u | (magnitude >> 13 & 0x1FFu));
    if (magnitude >= 0x47800000u) /* 2^16 */
        return (uint16_t)(sign | 0x7C00u);
    if (magnitude >= 0x38800000u) /* 2^-14 */
        return (uint16_t)(sign |
                          ((magnitude - 0x38000000u + 0xFFFu + (magnitude >> 13 & 1u)) >> 13));
    /* The mantissa with its leading one, shifted so that its last bit is 2^-24. */
    uint32_t exponent = magnitude >> 23;
    if (exponent < 102)
        return sign;
    uint32_t whole = (magnitude & 0x7FFFFFu) | 0x800000u, shift = 126 - exponent;
    uint32_t half = (uint32_t)1 << (shift - 1);
    uint32_t rounded = (whole + half - 1 + (whole >> shift & 1u)) >> shift;
    return (uint16_t)(sign | rounded);
}

static float value_at(const uint8_t *from, pluck_dtype type, size_t i)
{
    if (type == PLUCK_F32) {
        float value;
        memcpy(&value, from + 4 * i, sizeof value);
        return value;
    }
    uint16_t bits;
    memcpy(&bits, from + 2 * i, sizeof bits);
    return type == PLUCK_F16 ? plk_from_f16(bits) : plk_from_bf16(bits);
}

void plk_store(const void *from, pluck_dtype from_type, size_t n, pluck_dtype to_type, uint8_t *to)
{
    size_t size_bytes = pluck_dtype_size_bytes(to_type);
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = 0;
        if (from_type == to_type && to_type != PLUCK_F32) {
            uint16_t half;
            memcpy(&half, (const uint8_t *)from + 2 * i, sizeof half);
            bits = half;
        } else if (to_type == PLUCK_F32 && from_type == PLUCK_F32) {
            memcpy(&bits, (const uint8_t *)from + 4 * i, sizeof bits);
        } else {
            float value = value_at(from, from_type, i);
            bits = to_type == PLUCK_F32   ? bits_of(value)
                   : to_type == PLUCK_F16 ? plk_to_f16(value)
                                          : plk_to_bf16(value);
        }
        for (size_t k = 0; k < size_bytes; k++)
            *to++ = (uint8_t)(bits >> (8 * k));
    }
}

void plk_widen_double(const void *from, pluck_dtype from_type, size_t n, double *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (double)value_at(from, from_type, i);
}

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

bool plk_count_values(const uint64_t *axes, size_t n_axes, uint64_t each, uint64_t *n)
{
    bool fits = true;
    *n = each;
    for (size_t i = 0; i < n_axes && fits; i++)
        fits = plk_mul_u64(*n, axes[i], n);
    return fits;
}

uint64_t plk_read_little(const void *bytes, size_t n_bytes)
{
    uint64_t value = 0;
    for (size_t i = n_bytes; i-- > 0;)
        value = value << 8 | ((const uint8_t *)bytes)[i];
    return value;
}

void plk_write_little(void *bytes, uint64_t value, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)(value >> 8 * i);
}
