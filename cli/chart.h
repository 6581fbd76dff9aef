/*
 * Small line charts as SVG: for papers, and inside the report, whose style sheet colours them.
 *
 * Bars and sparklines in the terminal, of block characters where the locale has them.
 */
#ifndef CLI_CHART_H
#define CLI_CHART_H

#include "output.h"

#include <stddef.h>
#include <stdint.h>

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
