/*
 * A progress bar on standard error for work that lasts over a second, if that is a terminal.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "output.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct progress {
    bool is_enabled, is_shown;
    uint64_t total;   /* 0: not known */
    const char *unit; /* what is counted; NULL: draws */
    double start, shown_at;
} progress;

/* Nothing is shown with --quiet, nor if results that are printed meanwhile go to a terminal: out,
 * or NULL if results come after the work. */
void progress_start(progress *p, uint64_t total, const output *out);

/* done of total is done. */
void progress_update(progress *p, uint64_t done);

/* Takes the bar away: before messages and at the end. */
void progress_clear(progress *p);

#endif
