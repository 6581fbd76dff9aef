/*
 * JSON from front to back. Whoever reads pulls one event after the other; nothing is allocated, and
 * nothing recurses, so hostile text is refused cheaply and at the right place.
 */
#ifndef PLK_JSON_READER_H
#define PLK_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PLK_JSON_MAX_DEPTH = 64,     /* arrays and objects inside each other */
    PLK_NUMBER_MAX_TEXT = 127,   /* characters of one number */
    PLK_JSON_MAX_BYTES = 1 << 30 /* the largest bias map needs 0.7 of it when written */
};

typedef struct plk_json_problem {
    size_t at;        /* the byte where it is */
    const char *what; /* static storage */
} plk_json_problem;

/* Strings may hold the character \u0000, which C strings cannot: plk_json_string() reads them. */
enum { PLK_JSON_NUL = 1 };

typedef enum plk_json_kind {
    PLK_JSON_NULL,
    PLK_JSON_FALSE,
    PLK_JSON_TRUE,
    PLK_JSON_NUMBER,
    PLK_JSON_STRING,
    PLK_JSON_ARRAY,  /* of events: its opening bracket */
    PLK_JSON_OBJECT, /* likewise */
    PLK_JSON_KEY,    /* the value comes next */
    PLK_JSON_CLOSE,  /* of the innermost array or object */
    PLK_JSON_END     /* of the text */
} plk_json_kind;

typedef struct plk_json_event {
    plk_json_kind kind;
    size_t at, length; /* of the source text; strings and keys with their quotes */
} plk_json_event;

typedef struct plk_json_reader {
    const char *text;
    size_t size_bytes, at; /* at: where the last event ends */
    unsigned depth;        /* arrays and objects that are open */
    unsigned flags, state;
    uint64_t objects; /* bit 0: the innermost of them is an object; and so on outwards */
    plk_json_problem problem;
} plk_json_reader;

/* The text is borrowed; no byte order mark is skipped. */
plk_json_reader plk_json_reader_init(const char *text, size_t size_bytes, unsigned flags);

/* The next event. false: the text is not JSON here, and reader->problem says why. JSON is RFC 8259,
 * with strictly valid UTF-8, no NUL character in a string unless flags has PLK_JSON_NUL, no
 * unpaired surrogate, and the limits above. */
bool plk_json_next(plk_json_reader *reader, plk_json_event *event);

/* Reads to the end. false: *problem says what is wrong. */
bool plk_json_check(const char *text, size_t size_bytes, unsigned flags, plk_json_problem *problem);

/* The bytes that a string's text between its quotes stands for, in out, of which there are at most
 * length; returns how many. Of a text that was not checked, an unknown escape is the character
 * after the backslash, and half of a surrogate pair is U+FFFD. */
size_t plk_json_unescape(const char *string, size_t length, char *out);

typedef enum plk_number_fault {
    PLK_NUMBER_VALID,
    PLK_NUMBER_NO_DIGIT,
    PLK_NUMBER_LEADING_ZERO,
    PLK_NUMBER_NO_FRACTION, /* no digit after the point */
    PLK_NUMBER_NO_EXPONENT, /* no digit in the exponent */
    PLK_NUMBER_TOO_LONG
} plk_number_fault;

/* The number at the start of a text: its length, and in *value, if that is not NULL, the nearest
 * double, which is infinite if the number is too large for one. The locale does not matter. After a
 * fault *length is where it shows, and *value is not set. */
plk_number_fault plk_number_scan(const char *text, size_t size_bytes, size_t *length,
                                 double *value);

/* The nearest double of a number of at most PLK_NUMBER_MAX_TEXT characters, whatever the program's
 * rounding mode and locale. */
double plk_number_read(const char *text, size_t length);

typedef enum plk_whole {
    PLK_WHOLE,          /* sign and magnitude are exact */
    PLK_WHOLE_FRACTION, /* not a whole number */
    PLK_WHOLE_TOO_LARGE /* whole, its magnitude above 2^64 - 1 */
} plk_whole;

/* Reads the decimal text exactly: 40, 40.0 and 4e1 are the whole number 40, and 2^64 - 1 loses no
 * bit. */
plk_whole plk_number_whole(const char *text, size_t length, bool *negative, uint64_t *magnitude);

#endif
