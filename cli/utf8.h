/*
 * Text that may hold any bytes, as token texts do.
 */
#ifndef CLI_UTF8_H
#define CLI_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes of the character at text[0] .. text[n - 1], n >= 1, and its number in *code_point; 0 if
 * no valid character starts there (over-long forms, surrogates and numbers above U+10FFFF are not
 * valid). */
size_t utf8_decode(const char *text, size_t n, uint32_t *code_point);

/* Whether text[0] .. text[n - 1] is the start of a longer character that may be valid. */
bool utf8_is_cut(const char *text, size_t n);

/* Whether a terminal may take this character for a command or show the text around it in another
 * order: control characters, line and paragraph separators, directional marks. */
bool utf8_is_control(uint32_t code_point);

/* Columns that a terminal uses for it: 0 for combining marks, 2 for East Asian wide and emoji, 1
 * for the rest. */
unsigned utf8_width(uint32_t code_point);

#endif
