/*
 * A run that keeps a partial of each finished shard in a folder (--partials). When it is started
 * again, it does only the shards whose partials are missing.
 */
#ifndef CLI_RESUME_H
#define CLI_RESUME_H

#include "partial.h"
#include "run_ranks.h"

/* Makes the folder if it does not exist. Each pass is divided into n_shards (0: 64). head: the
 * facts of the run, which must be complete before its first pass and outlive the run. */
int resume_start(const char *folder, uint32_t n_shards, const partial_head *head);

/* A pass, of the command and of the library. */
int resume_pass(const row_pass *pass);
const pluck_ranks *resume_ranks(void);

#endif
