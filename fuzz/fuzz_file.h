/*
 * For targets whose functions take a path: a file in memory that has one. For all: a check.
 */
#ifndef FUZZ_FILE_H
#define FUZZ_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FUZZ_PATH_BYTES = 64 };

/* Makes the file hold these bytes and writes its path; aborts if that cannot be done. The next call
 * replaces the bytes. */
void fuzz_file(const uint8_t *data, size_t size, char path[FUZZ_PATH_BYTES]);

/* Aborts with a message that says what is violated, unless it holds. */
void fuzz_require(bool holds, const char *what);

#endif
