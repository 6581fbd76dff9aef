/*
 * Reading JSON in place: a value is the piece of text that it is, so that numbers keep all their
 * digits and a part can be handed on as it was written. The text has passed plk_json_check().
 */
#ifndef CLI_JSON_SPAN_H
#define CLI_JSON_SPAN_H

#include <pluck/base.h>

typedef struct json_span {
    const char *text;
    size_t n;
} json_span;

typedef enum json_lookup { JSON_FOUND, JSON_MISSING, JSON_TWICE } json_lookup;

/* The member of an object, compared byte by byte as it is written. MISSING if the value is no
 * object. */
json_lookup json_member(json_span object, const char *name, json_span *value);

/* Whether the value is an array; *rest is then what json_next() takes its elements from. */
bool json_array(json_span value, json_span *rest);
bool json_next(json_span *rest, json_span *element);

/* A whole number in [0, max], without a fraction or an exponent. */
bool json_count(json_span value, uint64_t max, uint64_t *count);

/* A number, to the nearest double. */
bool json_double(json_span value, double *number);

/* "0x" and 16 hexadecimal digits, in quotes. */
bool json_word(json_span value, uint64_t *word);

/* Whether it is this string; expected needs no escapes. */
bool json_is(json_span value, const char *expected);

#endif
