/*
 * Vectors of numbers as people type them.
 */
#ifndef CLI_NUMBERS_H
#define CLI_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct number_list {
    float *values;
    size_t n, capacity;
} number_list;

/* A number that fits a float, or -inf. If not, *problem says why. */
bool parse_float(const char *text, float *value, const char **problem);

/* A finite double. */
bool parse_double(const char *text, double *value);

/* Appends the numbers of text up to a line end that is given back in *end, or to its NUL; whole:
 * line ends separate numbers only. Blanks, commas and brackets separate numbers. *line counts from
 * 1 and moves with the text. Returns an exit code, after complain() with line and column if it is
 * not EXIT_DONE. */
int numbers_parse(number_list *list, const char *who, const char *text, bool whole, size_t *line,
                  const char **end);

/* Returns false when memory ran out. */
bool numbers_add(number_list *list, float value);
void numbers_free(number_list *list);

#endif
