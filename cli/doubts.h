/*
 * What makes the input of a command doubtful although it can be read: rows that are not logits, and
 * targets that do not belong to their rows. Each function writes a sentence without its full stop
 * into text, at most DOUBT_BYTES with the final zero.
 */
#ifndef CLI_DOUBTS_H
#define CLI_DOUBTS_H

#include "input.h"

#include <pluck/config.h>

enum { DOUBT_BYTES = 320 };

/* Looks at up to 32 of the rows first .. end - 1. true: they are probabilities, or negated
 * logarithms of probabilities; or logarithms, and config (or NULL), which is to run on them, looks
 * at their sign. False for a stream, of which no row may be read ahead. */
bool doubt_rows(const source *src, const pluck_config *config, uint64_t first, uint64_t end,
                char text[DOUBT_BYTES]);

/* Writes what doubt_rows() says of this dump to standard error. */
void warn_of_rows(const char *name, const source *src, const pluck_config *config, uint64_t first,
                  uint64_t end);

/* Means over rows with a target, at T = 1. */
typedef struct target_facts {
    uint64_t rows;
    uint32_t n_vocab;
    double nll, confidence, accuracy; /* confidence NaN: not known, like accuracy */
} target_facts;

/* true: these targets are worse than chance, or correct far less often than the rows say. */
bool doubt_targets(const target_facts *facts, char text[DOUBT_BYTES]);

/* doubt_targets() of a loss, to standard error; name: of the targets. */
void warn_of_loss(const char *name, uint64_t rows, uint32_t n_vocab, double loss);

/* Adds to the sentence of doubt_targets() what a shift of the targets by one would change, as seen
 * in up to 256 of the rows first .. end - 1. Not for streams. */
void doubt_add_shift(const source *src, const targets *truth, uint64_t first, uint64_t end,
                     char text[DOUBT_BYTES]);

#endif
