/*
 * JSON from front to back. Whoever reads pulls one event after the other; nothing is allocated, and
 * nothing recurses, so hostile text is refused cheaply and at the right place.
 */
#ifndef PLK_JSON_H
#define PLK_JSON_H

#include "base/alloc.h"
#include "base/error.h"

#include <pluck/base.h>

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

enum {
    PLK_JSON_NUL = 1, /* strings may hold \u0000, which C strings cannot: plk_json_string() does */
    PLK_JSON_OWN = 2  /* this library wrote the text: it is read even without JSON */
};

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

/*
 * JSON text as a tree that knows where each value stands, and errors that say so.
 *
 * The tree is cJSON's, built from the events of the reader. A library built without JSON has trees
 * for the values of typed setters only.
 */

/* PLUCK_ERR_CONFIG in a library built without JSON. */
pluck_status plk_json_available(pluck_error *err);

/* A value: of kind NULL to OBJECT. */
typedef struct plk_json_node plk_json_node;

typedef struct plk_json {
    const char *text; /* borrowed; starts after a byte order mark */
    size_t size_bytes;
    const char *label; /* what messages call the text, e.g. "top_p"; NULL: by line and column */
    const plk_json_node *root;
    char *strings; /* of all nodes */
    pluck_allocator allocator;
} plk_json;

/* The tree of a text; a byte order mark in front is skipped. PLUCK_ERR_FORMAT, and *problem instead
 * of *err, if the reader refuses it with these flags. PLUCK_ERR_CONFIG without JSON, unless flags
 * has PLK_JSON_OWN. PLUCK_ERR_INVALID if the program was linked with a cJSON of another version or
 * layout. The strings come from the allocator, cJSON's nodes
 * from malloc. On failure there is nothing to close. Messages and functions that take a plk_json
 * read the text again; those that take a node alone do not. */
pluck_status plk_json_parse(plk_json *json, const char *text, size_t size_bytes, unsigned flags,
                            const pluck_allocator *allocator, plk_json_problem *problem,
                            pluck_error *err);

/* The same for a configuration: PLUCK_ERR_CONFIG, and a message with the position, if it is not
 * JSON or repeats a key in an object. */
pluck_status plk_json_open(plk_json *json, const char *text, size_t size_bytes, unsigned flags,
                           const char *label, const pluck_allocator *allocator, pluck_error *err);
void plk_json_close(plk_json *json);

plk_json_kind plk_json_kind_of(const plk_json_node *node);

/* Whether there is a node and it is of this kind. */
bool plk_json_is(const plk_json_node *node, plk_json_kind kind);

bool plk_json_is_bool(const plk_json_node *node);

/* "a number", "an object" … */
const char *plk_json_kind_name(const plk_json_node *node);

/* The first value of an array or object; NULL if it is empty, if node is of another kind or NULL.
 * Then the one after it; NULL at the end. */
const plk_json_node *plk_json_child(const plk_json_node *node);
const plk_json_node *plk_json_sibling(const plk_json_node *node);

/* The first member of an object with this key; NULL if there is none, or if object is NULL or
 * something else. */
const plk_json_node *plk_json_member(const plk_json_node *object, const char *key);

/* The key of a member; NULL of other nodes. */
const char *plk_json_key(const plk_json_node *node);

/* The value of a string node; NULL of other nodes, and of NULL. */
const char *plk_json_string(const plk_json_node *node);

/* The nearest double of a number node; infinite if the number is too large for one. */
double plk_json_number(const plk_json_node *node);

/* The size of what plk_json_string() and plk_json_key() give, where NUL may be among the bytes. */
size_t plk_json_string_bytes(const plk_json_node *node);
size_t plk_json_key_bytes(const plk_json_node *node);

/* The source text of a value; *length is its size. */
const char *plk_json_source(const plk_json *json, const plk_json_node *node, size_t *length);

/* PLUCK_ERR_CONFIG, "line 1, column 11: $.top_p: " and the formatted message; the position is that
 * of the node's value. */
pluck_status plk_json_fail(const plk_json *json, const plk_json_node *node, pluck_error *err,
                           const char *format, ...) PLK_PRINTF(4, 5);

/* The same: "expected ", what, and what is there instead. */
pluck_status plk_json_fail_kind(const plk_json *json, const plk_json_node *node, pluck_error *err,
                                const char *expected);

/* The same at the node's key. */
pluck_status plk_json_fail_key(const plk_json *json, const plk_json_node *node, pluck_error *err,
                               const char *format, ...) PLK_PRINTF(4, 5);

enum { PLK_QUOTE_BYTES = 48 };

/* text, or the source text of a value, cut to what a message can bear; returns quoted. */
const char *plk_quote(char quoted[PLK_QUOTE_BYTES], const char *text, size_t length);
const char *plk_json_quote(char quoted[PLK_QUOTE_BYTES], const plk_json *json,
                           const plk_json_node *node);

/*
 * Writes JSON text into a caller's buffer, indented by two spaces, and numbers as JSON has them,
 * whatever the program's locale.
 */

/* Nothing here fails: text beyond the capacity is counted and dropped. Start with {text,
 * capacity_bytes}, and end with plk_write_end(). */
typedef struct plk_writer {
    char *text;
    size_t capacity_bytes;
    size_t size_bytes; /* of all the text so far */
    unsigned depth;
    unsigned inline_depth; /* > 0: inside a container that stays on one line */
    bool has_items;        /* the innermost container has any */
} plk_writer;

typedef enum plk_layout { PLK_LINES, PLK_ONE_LINE } plk_layout;

/* bracket is '{' or '['; everything inside a PLK_ONE_LINE container stays on its line. */
void plk_write_open(plk_writer *writer, char bracket, plk_layout layout);
void plk_write_close(plk_writer *writer, char bracket);

/* Starts a member of an object or an item of an array; its value comes next. */
void plk_write_key(plk_writer *writer, const char *key);
void plk_write_item(plk_writer *writer);

void plk_write_string(plk_writer *writer, const char *text);
void plk_write_number(plk_writer *writer, double value); /* finite */
void plk_write_integer(plk_writer *writer, int64_t value);
void plk_write_unsigned(plk_writer *writer, uint64_t value);
void plk_write_word(plk_writer *writer, const char *word); /* true, false, null */

/* Key and value at once. */
void plk_write_key_string(plk_writer *writer, const char *key, const char *text);
void plk_write_key_word(plk_writer *writer, const char *key, const char *word);

/*
 * Writes a piece of JSON as a template has it. ' stands for the quotes of strings, which have no
 * escapes and less than 256 bytes; % is the next argument, a text, as a string. A bracket that a
 * space follows opens a container that stays on one line. Brackets need not match: what one piece
 * opens, other calls fill and close. A piece that ends with ',' or '[' starts an item; one that
 * begins with a value writes the value of a key or item that was started.
 */
void plk_write_template(plk_writer *writer, const char *template, ...);

/* The final newline and NUL. PLUCK_ERR_SPACE if the text did not fit, unless text is NULL, which
 * only asks for the size. *needed_bytes is set in any case and counts the NUL. */
pluck_status plk_write_end(plk_writer *writer, size_t *needed_bytes, pluck_error *err);

enum { PLK_NUMBER_TEXT_BYTES = 32 };

/* The shortest of 15, 16 and 17 digits that reads back as the same bits; value is finite. */
void plk_number_write(double value, char text[PLK_NUMBER_TEXT_BYTES]);

/* The shortest of 6 to 9 digits whose nearest double is rounded to the same float; value is
 * finite. */
void plk_number_write_float(float value, char text[PLK_NUMBER_TEXT_BYTES]);

#endif
