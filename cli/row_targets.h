/*
 * The tokens that really followed: --targets FILE, or what the dump itself holds.
 */
#ifndef CLI_ROW_TARGETS_H
#define CLI_ROW_TARGETS_H

#include "setup.h"

typedef struct targets {
    const arguments *args;
    const char *name; /* of the file, or of the dump, in messages */
    pluck_targets *file;
    uint32_t n_vocab;
    bool is_known; /* there are targets, of a file or of the dump */
} targets;

/* Opens args->targets if it is given (then the file must have one target for each row of src, if
 * their number is known), else takes those of the dump, if it has any; else t->is_known is false.
 * dump_name stands for src in messages. Returns an exit code, after complain() if it is not
 * EXIT_DONE. */
int targets_open(targets *t, const arguments *args, const source *src, const char *dump_name);
void targets_close(targets *t);

/* The target of row number row, which has been read as read, in *token: PLUCK_NO_TOKEN where there
 * is none. Returns an exit code, after complain() if it is not EXIT_DONE. Many threads may ask. */
int targets_get(const targets *t, uint64_t row, const pluck_dump_row *read, pluck_token *token);

#endif
