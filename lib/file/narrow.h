/*
 * Rows of logits from one type to another.
 */
#ifndef PLK_NARROW_H
#define PLK_NARROW_H

#include <pluck/base.h>

/* The f32 that a half, or the upper half of an f32, stands for: exact. */
float plk_from_f16(uint16_t bits);
float plk_from_bf16(uint16_t bits);

/* The nearest half, ties to even; beyond the range an infinity. A NaN stays one. */
uint16_t plk_to_f16(float value);
uint16_t plk_to_bf16(float value);

/* n values of type from_type at from, in the byte order of this machine and at any alignment, as
 * to_type in little-endian bytes at to. Values of the same type keep their bits. */
void plk_store(const void *from, pluck_dtype from_type, size_t n, pluck_dtype to_type, uint8_t *to);

/* n values as doubles, exactly. */
void plk_widen_double(const void *from, pluck_dtype from_type, size_t n, double *to);

#endif
