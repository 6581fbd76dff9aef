/*
 * Is a text JSON? One pass without recursion, before anything is allocated, so that hostile text is
 * refused cheaply and at the right place.
 */
#ifndef PL_JSON_CHECK_H
#define PL_JSON_CHECK_H

#include "json/json_number.h"
#include <stdbool.h>
#include <stddef.h>

enum {
    PL_JSON_MAX_DEPTH = 64,                  /* arrays and objects inside each other */
    PL_JSON_MAX_NUMBER = PL_NUMBER_MAX_TEXT, /* characters of one number */
    PL_JSON_MAX_BYTES = 1 << 30              /* the largest bias map needs 0.7 of it when written */
};

typedef struct pl_json_problem {
    size_t at;        /* the byte where it is */
    const char *what; /* static storage */
} pl_json_problem;

/* Strings may hold the character \u0000, which C strings cannot: pl_json_string() reads them. */
enum { PL_JSON_NUL = 1 };

/* RFC 8259, and strictly valid UTF-8, no NUL character in a string unless flags has PL_JSON_NUL, no
 * unpaired surrogate, and the limits above. false: *problem says what is wrong. */
bool pl_json_check(const char *text, size_t size_bytes, unsigned flags, pl_json_problem *problem);

/* The bytes of the UTF-8 character that starts at text[at]; 0 if it is not valid. */
size_t pl_utf8_length(const char *text, size_t size_bytes, size_t at);

#endif
