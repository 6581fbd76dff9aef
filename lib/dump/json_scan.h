/*
 * JSON read from front to back, without a tree: the words of RFC 8259, and -Infinity, Infinity and
 * NaN of Python's json module as values.
 */
#ifndef PLK_JSON_SCAN_H
#define PLK_JSON_SCAN_H

#include <pluck/base.h>

#define PLK_JSON_NO_ROW UINT64_MAX

typedef struct plk_json_scan {
    const uint8_t *begin, *at, *end;
    const char *where; /* for messages */
    uint64_t number;   /* of the row, or PLK_JSON_NO_ROW: messages count bytes then */
    pluck_error *err;
} plk_json_scan;

/* PLUCK_ERR_FORMAT: what was expected and what is there. */
pluck_status plk_json_fail_expected(const plk_json_scan *r, const char *expected);

void plk_json_skip_space(plk_json_scan *r);
bool plk_json_next_is(const plk_json_scan *r, char c);

/* Takes c and the white space around it; false, and only white space taken, if it is not there. */
bool plk_json_take(plk_json_scan *r, char c);
bool plk_json_take_word(plk_json_scan *r, const char *word);

/* Takes a string; *begin and *length are what is between its quotes, escapes as they are: for
 * plk_json_unescape(). */
pluck_status plk_json_take_string(plk_json_scan *r, const uint8_t **begin, size_t *length);
pluck_status plk_json_take_number(plk_json_scan *r, double *value);

/* A number rounded to the nearest double and then to the nearest float, or null, which is -inf. */
pluck_status plk_json_take_value(plk_json_scan *r, float *value);

/* Any value, which is inside of depth others. */
pluck_status plk_json_skip_value(plk_json_scan *r, unsigned depth);

#endif
