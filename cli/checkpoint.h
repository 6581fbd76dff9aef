/*
 * The checkpoint of a training: which file it is, when it may be replaced, and signals that write
 * it.
 */
#ifndef CLI_CHECKPOINT_H
#define CLI_CHECKPOINT_H

#include "options.h"

#include <pluck/head.h>

/* All zero: none. */
typedef struct checkpoint {
    const arguments *args;
    const char *path; /* NULL: there is none, since the head is written in place */
    char *memory;     /* of path, if the output named it */
    char *target;     /* behind all links: what is removed in the end */
    bool output_is_file;
    bool is_own; /* this run has written it or goes on from it */
} checkpoint;

/* Names the checkpoint, and refuses one that is there unless --resume or --overwrite is given, or
 * that is not a file. Returns an exit code, after complain() if it is not EXIT_DONE. */
int checkpoint_check(checkpoint *c, const arguments *args);
void checkpoint_free(checkpoint *c);

/* With --resume, puts the trainer where the checkpoint is. */
int checkpoint_resume(checkpoint *c, pluck_trainer *trainer);
int checkpoint_save(checkpoint *c, const pluck_trainer *trainer);

/* Removes what this run has written: its work is in the head now. */
int checkpoint_remove(checkpoint *c);

/* From now on SIGINT, SIGTERM and SIGHUP only make checkpoint_signal() their number, the first
 * time; unless there is no checkpoint. */
void checkpoint_watch_signals(const checkpoint *c);
int checkpoint_signal(void);

/* Ends the process by the signal that was caught, as its parent expects. */
void checkpoint_end_by_signal(void);

#endif
