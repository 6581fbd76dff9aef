/*
 * Rows of logits made to break samplers, beyond those of test_vectors.h, and the memory they lie
 * in: any type, any alignment, ending where an inaccessible page begins.
 */
#ifndef LOGIT_CASES_H
#define LOGIT_CASES_H

#include "support/guard_buffer.h"
#include "support/vectors.h"

#include <pluck/base.h>

typedef enum logit_kind {
    LOGITS_ASCENDING = TEST_VECTOR_KINDS, /* before it: the kinds of test_vectors.h */
    LOGITS_DESCENDING,
    LOGITS_BLOCK_PEAKS, /* one large value in every block of 64: its maximum says little about it */
    LOGITS_ONE_BLOCK,   /* all large values in one block */
    LOGITS_PLATEAU,     /* a few large values over a vocabulary of equal ones */
    LOGITS_SIGNED_ZEROS, /* -0 and +0 over smaller values */
    LOGITS_EXTREMES,     /* the largest floats of both signs, zero and tiny values */
    LOGITS_MOSTLY_BANNED,
    LOGITS_GRID, /* multiples of 1/8 between -16 and 16: sums with small integers are exact */
    LOGITS_KINDS
} logit_kind;

const char *logit_kind_name(logit_kind kind);

/* Writes n >= 1 values, none NaN or +inf, at least one above -inf. */
void logit_fill(logit_kind kind, uint64_t seed, uint32_t n, float *x);

/* One row as the library sees it, and its exact value. */
typedef struct logit_row {
    guard_buffer memory;
    pluck_logits logits;
    float *exact; /* what the stored values are */
} logit_row;

/* Stores x, rounded to dtype (finite values stay finite). The row ends skew bytes before an
 * inaccessible page. */
logit_row logit_row_make(const float *x, uint32_t n, pluck_dtype dtype, size_t skew);
void logit_row_destroy(logit_row *row);

/* Changes one value in place. NaN and infinities are stored as such. */
void logit_row_set(logit_row *row, uint32_t token, float value);

#endif
