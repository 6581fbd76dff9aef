/*
 * Where results go: standard output, or a file that appears under its name only when it is
 * complete. Writing never fails on the spot: the first error is kept, later writes do nothing, and
 * output_close() tells.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "message.h"

#include "base/text.h"
#include "file/file.h"

#include <stdbool.h>
#include <stddef.h>

/* What is not written yet of a line that is being wrapped. */
typedef struct wrapped_line {
    unsigned width;        /* of a line; 0: lines are as long as they are */
    unsigned column;       /* after what is written */
    size_t n_spaces;       /* after that */
    char word[1024];       /* after these */
    size_t n;              /* bytes of it */
    unsigned word_columns; /* of it */
    bool is_code;          /* in the middle of a terminal code */
    bool is_cell;          /* spaces belong to the word */
} wrapped_line;

/* All zero: closed. */
typedef struct output {
    const char *name; /* what messages call it */
    plk_new_file file;
    int unfinished; /* see unfinished.h */
    bool is_open, is_terminal;
    wrapped_line line;
    int error;       /* errno of the first failure, or 0 */
    pluck_error err; /* and what the writer said, if it was the writer */
} output;

/* Opens path, or standard output if path is NULL or "-"; whether path may be written to was decided
 * before the command ran, see run_files.h. Returns an exit code, after complain() if it is not
 * EXIT_DONE; then nothing is open. */
int output_open(output *out, const char *path);

/* The width of the screen: COLUMNS, else what the terminal says, else otherwise. */
unsigned output_width(const output *out, unsigned otherwise);

/* From now on, lines that are longer than the screen is wide are broken between words, and go on
 * with an indent: for tables and other text for people. A table whose columns are padded stays one,
 * because its lines are broken at the same columns. Without a screen lines stay as they are. */
void output_wrap(output *out);

/* How many of the columns that a cell would like there are in this line, or else in the next. */
unsigned output_room(const output *out, unsigned columns);

/* Standard error, for results when a file of the user's takes standard output. */
int output_open_error(output *out);

/* Writes what is left; then, if keep, gives a file its name, else removes it. Returns EXIT_SYSTEM
 * after complain() if anything could not be written, and then nothing is left of the file; else
 * EXIT_DONE. */
int output_close(output *out, bool keep);

/* The same for all the outputs of a command: none gets its name before all are written. When one
 * fails the message says which were completed all the same. */
int outputs_close(output *outs, size_t n, bool keep);

void output_write(output *out, const char *data, size_t n);
void output_text(output *out, const char *text);
void output_char(output *out, char c);
void output_printf(output *out, const char *format, ...) CLI_PRINTF(2, 3);

/* Hands what is buffered to the system. */
void output_flush(output *out);

/* Text of any bytes, in a notation in which nothing acts on a terminal; without quotes. */
void output_shown(output *out, plk_notation notation, const char *text, size_t n);

/* The same with quotes around it: a JSON string, a CSV field (RFC 4180), and text for people. */
void output_json_string(output *out, const char *text, size_t n);
void output_csv_string(output *out, const char *text, size_t n);
void output_quoted(output *out, const char *text, size_t n);

/* A JSON string in a script element of a page, for people: cut to a number of columns, and then an
 * ellipsis at its end. */
void output_script_string(output *out, const char *text, size_t n, unsigned columns);

/* output_quoted() for a table: cut to a number of columns, and then '>' after it. Returns how many
 * columns it takes. */
unsigned output_cell(output *out, const char *text, size_t n, unsigned columns);

/* Columns of a cell among others, and of one that ends a line. */
enum { OUTPUT_CELL_COLUMNS = 22, OUTPUT_TEXT_COLUMNS = 72 };

/* A number as JSON: in as few of 15 to 17 digits as read back to the same double; or one that reads
 * back to the same float, and is never "-0". NaN and infinities are null. */
void output_double(output *out, double value);
void output_float(output *out, double value);

/* The same for a CSV field, with inf, -inf and nan. */
void output_csv_double(output *out, double value);
void output_csv_float(output *out, double value);

/* Running text for a terminal (PLK_SCREEN), given in pieces that may cut a character in two. Starts
 * as all zero; a final piece with text NULL writes what is pending. */
typedef struct screen_text {
    char pending[4];
    size_t n;
} screen_text;

void output_screen(output *out, screen_text *state, const char *text, size_t n);

#endif
