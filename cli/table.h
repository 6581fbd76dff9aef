/*
 * Tables: the columns are declared once, and rows are given cell by cell. Text has padded columns
 * with a heading, CSV has commas and numbers that read back to the same value.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "output.h"

#include <stdint.h>

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

#endif
