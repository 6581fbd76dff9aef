/*
 * Reading whole small files: configurations and vocabularies.
 */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include <stddef.h>

/* Reads path ("-": standard input) of at most limit bytes; the text is freed by the caller and is
 * followed by a NUL that *n does not count. Returns an exit code, after complain() if it is not
 * EXIT_DONE; then *text is NULL. */
int read_file(const char *who, const char *path, size_t limit, char **text, size_t *n);

#endif
