/*
 * The files that one run reads and writes, known from its words and from the flags of the types
 * FLAG_INPUT and FLAG_OUTPUT.
 */
#ifndef CLI_RUN_FILES_H
#define CLI_RUN_FILES_H

#include "flags.h"

/* Refuses outputs that would destroy something, before anything is read: one that is an input or
 * another output too, whatever their paths are, a directory, a folder that cannot be written to.
 * more is the path of an output that has no flag, or NULL. Tells shortened_watch_files() the
 * inputs. */
int run_files_check(const call *c, const char *more);

/* From now on these files are inputs of the run too. */
void run_files_also_read(const char *const *paths, size_t n);

/* Opens standard output for the results of a command, or standard error if a file that a flag names
 * goes to standard output. */
int run_files_open_results(output *out, const call *c);

/*
 * Files that are removed when a signal ends the command.
 *
 * Input files that become shorter while they are mapped.
 */

/* From now on a signal that ends the process removes the unfinished files first. Reading past the
 * new end of a mapped file ends it with EXIT_DATA and one line that names the file. Called once, at
 * the start. plk_signals_hold() lets signals wait around making a file and adding it, and around
 * calls of the library that make and finish one. */
void signals_watch(void);

/* Adds the path of an unfinished file. Returns its number, or -1 if it cannot be remembered. */
int unfinished_add(const char *path);

/* The file is finished or gone. -1 is allowed. */
void unfinished_remove(int number);

/* The input files of the run, as long as they are now. The paths must stay valid; paths itself need
 * not. Replaces what was told before. */
void shortened_watch_files(const char *const *paths, size_t n);

#endif
