/*
 * The files that one run reads and writes, known from its words and from the flags of the types
 * FLAG_INPUT and FLAG_OUTPUT.
 */
#ifndef CLI_RUN_FILES_H
#define CLI_RUN_FILES_H

#include "flags.h"
#include "output.h"

/* Refuses outputs that would destroy something, before anything is read: one that is an input or
 * another output too, whatever their paths are, a directory, a folder that cannot be written to.
 * more is the path of an output that has no flag, or NULL. Returns an exit code, after complain()
 * if it is not EXIT_DONE. Tells shortened.h the inputs. */
int run_files_check(const call *c, const char *more);

/* Opens standard output for the results of a command, or standard error if a file that a flag names
 * goes to standard output. */
int run_files_open_results(output *out, const call *c);

#endif
