/*
 * Writes JSON text into a caller's buffer, indented by two spaces, and numbers as JSON has them,
 * whatever the program's locale.
 */
#ifndef PLK_JSON_WRITE_H
#define PLK_JSON_WRITE_H

#include <pluck/base.h>

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
