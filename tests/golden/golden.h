/*
 * What the golden tests have in common: the text of the results, inputs made from integers alone,
 * and the groups of cases, each of which writes its lines in a fixed order.
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include "base/error.h"

#include <pluck/pluck.h>

#include <stddef.h>
#include <stdint.h>

/* Grows; the end of the program when memory runs out. */
typedef struct golden_text {
    char *chars;
    size_t n, capacity;
} golden_text;

void golden_add(golden_text *text, const char *format, ...) PLK_PRINTF(2, 3);

/* The bits of a float and of a double, for "%08" PRIx32 and "%016" PRIx64. */
uint32_t golden_float_bits(float x);
uint64_t golden_double_bits(double x);

/* FNV-1a over n_bytes of 32-bit words, low byte first; h is 0 or the hash of what came before. */
uint32_t golden_hash(uint32_t h, const void *words, size_t n_bytes);

/* Row number row of logits: sums of four integers below 2^11, over 256 (f32, within [-16, 16)) or,
 * for the short types, bit patterns of values between 2^-3 and 16 of both signs. */
void golden_row(uint64_t row, pluck_dtype dtype, uint32_t n, void *out);

/* The end of the program, with the message, unless status is PLUCK_OK. */
void golden_require(pluck_status status, const char *what, const pluck_error *err);

/* The groups. New cases go to the end of a table: the logits of a case follow from its index. */
void golden_flat_chains(golden_text *out, pluck_isa isa);
void golden_stage_chains(golden_text *out, pluck_isa isa);
void golden_states(golden_text *out, pluck_isa isa);
void golden_draws(golden_text *out, pluck_isa isa);
void golden_softmax(golden_text *out);
void golden_weighted(golden_text *out);
void golden_heads(golden_text *out, pluck_isa isa);

/* Fails the test unless every stage of the library is in a chain, and every stage, draw and mask of
 * a chain changes the distribution somewhere. */
void golden_chains_bite(void);

#endif
