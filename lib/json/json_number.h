/*
 * Numbers as JSON writes them, whatever the program's locale.
 */
#ifndef PL_JSON_NUMBER_H
#define PL_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PL_NUMBER_MAX_TEXT = 127 };

/* The nearest double of a JSON number of at most PL_NUMBER_MAX_TEXT characters; infinite if it is
 * too large for one. */
double pl_number_read(const char *text, size_t length);

typedef enum pl_whole {
    PL_WHOLE,          /* sign and magnitude are exact */
    PL_WHOLE_FRACTION, /* not a whole number */
    PL_WHOLE_TOO_LARGE /* whole, its magnitude above 2^64 - 1 */
} pl_whole;

/* Reads the decimal text exactly: 40, 40.0 and 4e1 are the whole number 40, and 2^64 - 1 loses no
 * bit. */
pl_whole pl_number_whole(const char *text, size_t length, bool *negative, uint64_t *magnitude);

enum { PL_NUMBER_TEXT_BYTES = 32 };

/* The shortest of 15, 16 and 17 digits that reads back as the same bits; value is finite. */
void pl_number_write(double value, char text[PL_NUMBER_TEXT_BYTES]);

/* The shortest of 6 to 9 digits whose nearest double is rounded to the same float; value is
 * finite. */
void pl_number_write_float(float value, char text[PL_NUMBER_TEXT_BYTES]);

#endif
