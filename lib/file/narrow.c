/*
 * Integer arithmetic on the bits, so that no rounding mode and no flag of the processor matters. A
 * half has 10 bits of mantissa where an f32 has 23: 13 are dropped, and half of what the last
 * one stands for, less one if it is even, is added before (round to nearest, ties to even); a carry
 * into the exponent is right as it is. Below 2^-14 halves are subnormal: multiples of 2^-24.
 */
#include "file/narrow.h"

#include <string.h>

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
        for (size_t k = 0; k < pluck_dtype_size_bytes(to_type); k++)
            *to++ = (uint8_t)(bits >> (8 * k));
    }
}

void plk_widen_double(const void *from, pluck_dtype from_type, size_t n, double *to)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (double)value_at(from, from_type, i);
}
