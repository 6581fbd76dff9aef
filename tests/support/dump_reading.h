/*
 * Reading dumps in tests that want logits, or one fact about the dump.
 */
#ifndef DUMP_READING_H
#define DUMP_READING_H

#include <pluck/dump.h>

/* All zero if it fails. */
pluck_dump_info info_of_dump(const pluck_dump *dump);

/* pluck_dump_read() without the target. On failure *logits is unchanged. */
pluck_status read_logits(pluck_dump *dump, uint64_t row, float *scratch, pluck_logits *logits,
                         pluck_error *err);

#endif
