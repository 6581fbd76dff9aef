/*
 * Numbers as JSON writes them, whatever the program's locale.
 */
#ifndef PLK_JSON_NUMBER_H
#define PLK_JSON_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PLK_NUMBER_MAX_TEXT = 127 };

/* The nearest double of a JSON number of at most PLK_NUMBER_MAX_TEXT characters; infinite if it is
 * too large for one. */
double plk_number_read(const char *text, size_t length);

typedef enum plk_whole {
    PLK_WHOLE,          /* sign and magnitude are exact */
    PLK_WHOLE_FRACTION, /* not a whole number */
    PLK_WHOLE_TOO_LARGE /* whole, its magnitude above 2^64 - 1 */
} plk_whole;

/* Reads the decimal text exactly: 40, 40.0 and 4e1 are the whole number 40, and 2^64 - 1 loses no
 * bit. */
plk_whole plk_number_whole(const char *text, size_t length, bool *negative, uint64_t *magnitude);

enum { PLK_NUMBER_TEXT_BYTES = 32 };

/* The shortest of 15, 16 and 17 digits that reads back as the same bits; value is finite. */
void plk_number_write(double value, char text[PLK_NUMBER_TEXT_BYTES]);

/* The shortest of 6 to 9 digits whose nearest double is rounded to the same float; value is
 * finite. */
void plk_number_write_float(float value, char text[PLK_NUMBER_TEXT_BYTES]);

#endif
