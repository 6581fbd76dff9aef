/*
 * What the command writes: messages and the exit status that goes with them, results, tables,
 * progress, charts.
 *
 * A function of the command that returns an int returns an exit code, and has called complain() if
 * that is not EXIT_DONE, unless its comment says something else.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "base/error.h"
#include "base/text.h"
#include "file/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EXIT_DONE = 0,
    EXIT_NEGATIVE = 1, /* a negative answer: a comparison differs */
    EXIT_USAGE = 2,    /* the command line cannot be understood */
    EXIT_DATA = 3,     /* bad input data or configuration */
    EXIT_SYSTEM = 4    /* the system failed: files, memory */
};

/*
 * Messages go to standard error. A message is always one line: control characters in it (from a
 * file name, say) are escaped (PLK_PLAIN).
 */

/* From now on messages begin with "pluck sample", say, and before that with "pluck". */
void message_start(const char *command, bool is_quiet);
const char *message_who(void);

/* From now on nothing more is said: the work of this process is done. */
void message_end(void);

/* Takes a message, a whole line of fewer bytes than this. is_complaint: it is of complain(). */
enum { MESSAGE_LINE_BYTES = 4096 + 1024 + 128 };
typedef struct message_sink {
    void (*take)(void *user, const char *line, bool is_complaint); /* NULL: standard error does */
    void *user;
} message_sink;

/* From now on messages go to this one; returns where they went before. */
message_sink message_divert(message_sink sink);
bool message_is_quiet(void);

/* Writes "who: message" as one line to standard error; returns code, so that a caller can return
 * it. */
int complain(int code, const char *format, ...) PLK_PRINTF(2, 3);

/* complain() of "name: what: ", or "name: " if what is NULL, and what the system says. */
int complain_system(const char *name, const char *what, int code);

/* complain() about memory. */
int complain_memory(void);

/* The same without a code, unless --quiet is given. */
void note(const char *format, ...) PLK_PRINTF(1, 2);

/* The same with another beginning, in any case. */
void say(const char *head, const char *format, ...) PLK_PRINTF(2, 3);

/* A copy from malloc(). NULL: memory ran out. */
char *copy_text(const char *text);

/* Makes room for n items of size_bytes as plk_grow() does, of malloc(). false: memory ran out. */
bool grow(void *items, size_t *capacity, size_t n, size_t size_bytes);

/* The exit status that belongs to a status of the library. */
int exit_code_of(pluck_status status);

/* The same after complain() with the message of err, for another status than PLUCK_OK; about: a
 * subject comes before it. */
int complain_error(pluck_status status, const pluck_error *err);
int complain_about(const char *subject, pluck_status status, const pluck_error *err);

/*
 * Where results go: standard output, or a file that appears under its name only when it is
 * complete. Writing never fails on the spot: the first error is kept, later writes do nothing, and
 * output_close() tells.
 */

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

/* Takes what is written to an output in the place of its file, in pieces of up to 64 KiB. false: it
 * failed, and will not be called again. */
typedef struct output_sink {
    bool (*take)(void *user, uint32_t stream, const char *bytes, size_t n);
    void *user;
    uint32_t stream;
    bool has_failed;
    size_t n;
    char bytes[1 << 16];
} output_sink;

/* All zero: closed. */
typedef struct output {
    const char *name; /* what messages call it */
    plk_new_file file;
    int unfinished; /* see run_files.h */
    bool is_open, is_terminal;
    bool is_nothing;   /* this process writes no results, and no file is open */
    output_sink *sink; /* the caller's */
    wrapped_line line;
    char last;       /* what was written last */
    int error;       /* errno of the first failure, or 0 */
    pluck_error err; /* and what the writer said, if it was the writer */
} output;

/* Opens path, or standard output if path is NULL or "-"; whether path may be written to was decided
 * before the command ran, see run_files.h. If it fails nothing is open. In a process that writes no
 * results (ranks_writes()) opens nothing, which is a success. */
int output_open(output *out, const char *path);

/* The same in every process. */
int output_open_file(output *out, const char *path);

/* From now on what is written goes to sink; NULL: what is left goes there, and then to the file
 * again. Returns whether the last sink took everything. */
bool output_divert(output *out, output_sink *sink);

/* Writes what a sink has taken, as it is, to the file: also while the output is diverted. */
void output_replay(output *out, const char *bytes, size_t n);

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

/* The same at the end of a command whose exit code is this so far: keeps the file for EXIT_DONE.
 * Returns code, or for EXIT_DONE what output_close() returns. */
int output_finish(output *out, int code);
int outputs_finish(output *outs, size_t n, int code);

/* The same for all the outputs of a command: none gets its name before all are written. When one
 * fails the message says which were completed all the same. */
int outputs_close(output *outs, size_t n, bool keep);

void output_write(output *out, const char *data, size_t n);
void output_text(output *out, const char *text);
void output_char(output *out, char c);
void output_printf(output *out, const char *format, ...) PLK_PRINTF(2, 3);

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

/* JSON. Everything that follows a name, or with NULL is an item of an array, has a comma before it
 * where there is one before it. */
void json_key(output *out, const char *name);
void json_open(output *out, const char *name, char bracket);
void json_count(output *out, const char *name, uint64_t value);
void json_token(output *out, const char *name, int32_t token);
void json_word64(output *out, const char *name, uint64_t word); /* "0x0123456789abcdef" */
void json_bool(output *out, const char *name, bool value);
void json_string(output *out, const char *name, const char *text); /* NULL: null */
void json_double(output *out, const char *name, double value);
void json_float(output *out, const char *name, double value);

/* A number as JSON: in as few of 15 to 17 digits as read back to the same double; or one that reads
 * back to the same float, and is never "-0". NaN and infinities are null. */
void output_double(output *out, double value);
void output_float(output *out, double value);

/* The same for a CSV field, with inf, -inf and nan. */
void output_csv_number(output *out, double value, bool is_double);

/* Running text for a terminal (PLK_SCREEN), given in pieces that may cut a character in two. Starts
 * as all zero; a final piece with text NULL writes what is pending. */
typedef struct screen_text {
    char pending[4];
    size_t n;
} screen_text;

void output_screen(output *out, screen_text *state, const char *text, size_t n);

/*
 * Tables: the columns are declared once, and rows are given cell by cell. Text has padded columns
 * with a heading, CSV has commas and numbers that read back to the same value.
 */

typedef struct table_column {
    const char *title;  /* also the name in CSV */
    int width;          /* of text, negative: left-aligned, 0: as long as it is */
    const char *format; /* of numbers, "%.6f"; NULL: "%g" */
    unsigned gap;       /* spaces before it in addition to one */
    bool is_double;     /* CSV: as exact as a double, and nothing for NaN; else as a float */
} table_column;

typedef struct table {
    output *out;
    const table_column *columns;
    size_t n;  /* of the columns; the last ones may be left out of a row */
    size_t at; /* the column of the next cell */
    bool is_csv;
} table;

/* Prints the heading; of text between head and off, terminal codes or "". */
table table_begin(output *out, const table_column *columns, size_t n, const char *head,
                  const char *off);
table table_begin_csv(output *out, const table_column *columns, size_t n);

void table_word(table *t, const char *word);
void table_count(table *t, uint64_t value);
void table_token(table *t, int32_t token);
void table_number(table *t, double value);

/* Text of any bytes, cut to that number of columns in text. */
void table_text(table *t, const char *text, size_t n, unsigned columns);

void table_end_row(table *t);

/*
 * A progress bar on standard error for work that lasts over a second, if that is a terminal. Under
 * a launcher of many processes it is a line, once a minute.
 */

typedef struct progress {
    bool is_enabled, is_shown;
    bool has_lines; /* in the place of a bar, one in line_seconds */
    double line_seconds;
    uint64_t total;   /* 0: not known */
    const char *unit; /* what is counted; NULL: draws */
    double start, shown_at;
} progress;

/* Nothing is shown with --quiet, nor if results that are printed meanwhile go to a terminal: out,
 * or NULL if results come after the work. */
void progress_start(progress *p, uint64_t total, const output *out);

/* done of total is done. */
void progress_update(progress *p, uint64_t done);

/* Takes the bar away: before messages and at the end. */
void progress_clear(progress *p);

/*
 * Small line charts as SVG: for papers, and inside the report, whose style sheet colours them.
 *
 * Bars and sparklines in the terminal, of block characters where the locale has them.
 */

enum { CHART_WIDTH = 360, CHART_HEIGHT = 250, CHART_SERIES_MAX = 4, CHART_FEW_ROWS = 10 };

typedef struct chart_series {
    const char *name; /* in the legend; NULL: not there */
    const double *x, *y;
    size_t n; /* points whose y is not finite are left out */

    /* How many rows each point stands for, or NULL: points of fewer than CHART_FEW_ROWS are drawn
     * as rings with their number, and their lines are faint. */
    const uint64_t *rows;
    bool has_line, has_dots;
} chart_series;

typedef struct chart {
    const char *title, *x_label, *y_label;
    bool is_log_x, is_log_y;
    bool has_diagonal;    /* from corner to corner */
    double x_low, x_high; /* both 0: what the series span */
    double y_low, y_high; /* alike */
    bool has_mark;        /* a vertical line at mark_x with mark_text */
    double mark_x;
    char mark_text[32];
    chart_series series[CHART_SERIES_MAX];
    size_t n_series;
} chart;

/* One <svg> element with a title that names it for those who do not see it. */
void chart_write(output *out, const chart *c);

/* A file of n charts side by side, with their colours. */
void chart_write_file(output *out, const chart *charts, size_t n);

/* Whether the locale has block characters. */
bool bars_have_blocks(void);

/* A bar of share, in [0, 1], of up to that many columns, in eighths of a column or '#'. */
void bar_write(output *out, bool has_blocks, unsigned columns, double share);

/* A column a value, the smallest lowest and the largest highest; a value that is not finite is a
 * blank. */
void spark_write(output *out, bool has_blocks, const double *values, size_t n);

#endif
