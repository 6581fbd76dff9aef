/*
 * Writes JSON text into a caller's buffer, indented by two spaces.
 */
#ifndef PL_JSON_WRITE_H
#define PL_JSON_WRITE_H

#include <pluck/base.h>

/* Nothing here fails: text beyond the capacity is counted and dropped. Start with {text,
 * capacity_bytes}, and end with pl_write_end(). */
typedef struct pl_writer {
    char *text;
    size_t capacity_bytes;
    size_t size_bytes; /* of all the text so far */
    unsigned depth;
    unsigned inline_depth; /* > 0: inside a container that stays on one line */
    bool has_items;        /* the innermost container has any */
} pl_writer;

typedef enum pl_layout { PL_LINES, PL_ONE_LINE } pl_layout;

/* bracket is '{' or '['; everything inside a PL_ONE_LINE container stays on its line. */
void pl_write_open(pl_writer *writer, char bracket, pl_layout layout);
void pl_write_close(pl_writer *writer, char bracket);

/* Starts a member of an object or an item of an array; its value comes next. */
void pl_write_key(pl_writer *writer, const char *key);
void pl_write_item(pl_writer *writer);

void pl_write_string(pl_writer *writer, const char *text);
void pl_write_number(pl_writer *writer, double value); /* finite */
void pl_write_integer(pl_writer *writer, int64_t value);
void pl_write_unsigned(pl_writer *writer, uint64_t value);
void pl_write_word(pl_writer *writer, const char *word); /* true, false, null */

/* Key and value at once. */
void pl_write_key_string(pl_writer *writer, const char *key, const char *text);
void pl_write_key_word(pl_writer *writer, const char *key, const char *word);

/* The final newline and NUL. PLUCK_ERR_INVALID if the text did not fit; *size_bytes is set in
 * either case. */
pluck_status pl_write_end(pl_writer *writer, size_t *size_bytes, pluck_error *err);

#endif
