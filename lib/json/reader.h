/*
 * Is a text JSON? One pass without recursion, before anything is allocated, so that hostile text is
 * refused cheaply and at the right place.
 */
#ifndef PLK_JSON_CHECK_H
#define PLK_JSON_CHECK_H

#include "json/json_number.h"
#include <stdbool.h>
#include <stddef.h>

enum {
    PLK_JSON_MAX_DEPTH = 64,                   /* arrays and objects inside each other */
    PLK_JSON_MAX_NUMBER = PLK_NUMBER_MAX_TEXT, /* characters of one number */
    PLK_JSON_MAX_BYTES = 1 << 30 /* the largest bias map needs 0.7 of it when written */
};

typedef struct plk_json_problem {
    size_t at;        /* the byte where it is */
    const char *what; /* static storage */
} plk_json_problem;

/* Strings may hold the character \u0000, which C strings cannot: plk_json_string() reads them. */
enum { PLK_JSON_NUL = 1 };

/* RFC 8259, and strictly valid UTF-8, no NUL character in a string unless flags has
 * PLK_JSON_NUL, no unpaired surrogate, and the limits above. false: *problem says what is wrong. */
bool plk_json_check(const char *text, size_t size_bytes, unsigned flags, plk_json_problem *problem);

/* The bytes of the UTF-8 character that starts at text[at]; 0 if it is not valid. */
size_t plk_utf8_length(const char *text, size_t size_bytes, size_t at);

#endif
