/*
 * Bars and sparklines in the terminal, of block characters where the locale has them.
 */
#ifndef CLI_BARS_H
#define CLI_BARS_H

#include "output.h"

#include <stddef.h>

/* Whether the locale has block characters. */
bool bars_have_blocks(void);

/* A bar of share, in [0, 1], of so many columns, in eighths of a column or '#'. */
void bar_write(output *out, bool has_blocks, unsigned columns, double share);

/* A column a value, the smallest lowest and the largest highest; a value that is not finite is a
 * blank. */
void spark_write(output *out, bool has_blocks, const double *values, size_t n);

#endif
