/*
 * One loop a width. Values move as integers through memcpy, so that no alignment is assumed and a
 * signalling NaN keeps its bits; only f64 is ever handled as a floating-point number. Its
 * conversion to f32 is the C one: IEC 60559 (C11, Annex F) rounds it to the nearest value, ties to
 * even, and gives infinities beyond the range.
 */
#include "file/convert.h"

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

static uint16_t swap_16(uint16_t x)
{
    return (uint16_t)((uint16_t)(x >> 8) | (uint16_t)(x << 8));
}

static uint32_t swap_32(uint32_t x)
{
    return (x >> 24) | ((x >> 8) & 0xFF00u) | ((x << 8) & 0xFF0000u) | (x << 24);
}

static uint64_t swap_64(uint64_t x)
{
    return (uint64_t)swap_32((uint32_t)(x >> 32)) | ((uint64_t)swap_32((uint32_t)x) << 32);
}

static void convert_16(const uint8_t *from, size_t stride, size_t n, bool swapped, uint8_t *to)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, from + i * stride, sizeof bits);
        if (swapped)
            bits = swap_16(bits);
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
            bits = swap_64(bits);
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
