/*
 * A run that leaves partials in a folder as it goes (--partials), and when it is started again does
 * only those that are not there.
 */
#ifndef CLI_RESUME_H
#define CLI_RESUME_H

#include "partial.h"
#include "run_ranks.h"

/* Makes the folder unless it is there. Each pass is divided into n_shards (0: 64). head: what the
 * run is, which must be complete before its first pass and outlive the run. */
int resume_start(const char *folder, uint32_t n_shards, const partial_head *head);

/* A pass, of the command and of the library. */
int resume_pass(const row_pass *pass);
const pluck_ranks *resume_ranks(void);

#endif
