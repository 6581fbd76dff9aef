/*
 * Row ranges as Python writes them: "3", "3:7", "3:", ":7", "-2:", ":".
 */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "message.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct row_range {
    bool is_single;
    bool has_first, has_end;
    int64_t first, end; /* negative: from the end */
} row_range;

/* NULL is every row. false: text is no range. */
bool rows_parse(const char *text, row_range *range);

/* The rows of a dump with n_rows rows (PLUCK_DUMP_ROWS_UNKNOWN for a stream) that the range means:
 * *first .. *end - 1. A range is clipped, as in Python; a single row must exist. Returns an exit
 * code, after complain() about path if it is not EXIT_DONE. */
int rows_resolve(const row_range *range, uint64_t n_rows, const char *who, const char *path,
                 uint64_t *first, uint64_t *end);

#endif
