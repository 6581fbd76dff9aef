/*
 * Input files that become shorter while they are mapped.
 */
#ifndef CLI_SHORTENED_H
#define CLI_SHORTENED_H

#include <stddef.h>

/* From now on, reading past the new end of a mapped file ends the process with EXIT_DATA and one
 * line that names the file, and removes unfinished outputs. Called once, at the start. */
void shortened_watch_signal(void);

/* The input files of the run, as long as they are now. The paths must stay valid; paths itself need
 * not. Replaces what was told before. */
void shortened_watch_files(const char *who, const char *const *paths, size_t n);

#endif
