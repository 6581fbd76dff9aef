/*
 * Random configurations made from the stages' public tables alone, so that a new stage or parameter
 * takes part in every test that uses them without a word about it.
 */
#ifndef STAGE_CASES_H
#define STAGE_CASES_H

#include "base/error.h"
#include "support/random.h"

#include <pluck/stage.h>

/* JSON text that grows; cut off, and the end of the program, at its capacity. */
typedef struct stage_text {
    char text[8192];
    size_t n;
} stage_text;

void stage_text_add(stage_text *json, const char *format, ...) PLK_PRINTF(2, 3);

typedef enum stage_values {
    STAGE_ANY,      /* anything in the range: ends, defaults, neutral values, magnitudes between */
    STAGE_MODERATE, /* near the defaults: an ordinary use */
    STAGE_NEUTRAL   /* every parameter that has a neutral value at it; the others anything */
} stage_values;

/* How token ids are written: token i as rename[i]; NULL: as they are. */
typedef struct stage_tokens {
    uint32_t n_vocab;
    const uint32_t *rename;
} stage_tokens;

/* Appends {"type": …, parameters}. The same random state gives the same values, whatever rename
 * is. */
void stage_add_random(stage_text *json, const pluck_stage *stage, stage_values values,
                      stage_tokens tokens, test_random *random);

/* Appends up to n_most random stages. Returns the draw that came up on the way, or NULL. */
const pluck_stage *stage_add_chain(stage_text *json, size_t n_most, stage_values values,
                                   stage_tokens tokens, test_random *random);

/* A whole configuration of these stages, draws left out, with this draw ("categorical" if NULL). */
void stage_begin(stage_text *json, uint64_t seed);
void stage_end(stage_text *json, const pluck_stage *draw);

#endif
