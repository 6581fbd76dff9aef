/*
 * What a report shows of its dumps, and the page that shows it.
 *
 * The style sheet and the script of the report, compiled in by cli/embed_files.c: the same bytes as
 * the files in cli/report/.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "tuning.h"

#include <stddef.h>

typedef struct report_flags {
    tuning_flags tuning;
    vocab_flags vocab;
    uint64_t explore;
    const char *output;
} report_flags;

enum {
    REPORT_POINTS = 200,         /* of a chart over rows */
    REPORT_CUTS = 2,             /* truncations whose survivors are counted */
    REPORT_ROWS_DEFAULT = 12,    /* in the explorer */
    REPORT_LOGIT_BYTES = 1300000 /* of all rows of the explorer, in the page */
};

/* Rows first .. first + n - 1 as points of charts: means over consecutive rows if there are more
 * than points. */
typedef struct report_series {
    size_t n;
    uint64_t rows[REPORT_POINTS]; /* of a point */
    double x[REPORT_POINTS];
    double entropy[2][REPORT_POINTS], effective[2][REPORT_POINTS]; /* T = 1, fitted */
    double nucleus[REPORT_CUTS][REPORT_POINTS]; /* tokens that survive min_p 0.05, top_p 0.95 */
} report_series;

typedef struct report_dump {
    tuning t; /* without targets only src, data and stats[0] */
    report_series series;
    size_t n_explored; /* rows in the explorer, evenly spread */
} report_dump;

typedef struct report {
    const report_flags *flags;
    report_dump *dumps;
    size_t n_dumps;
    size_t n_explored; /* of all dumps */
    uint64_t n_rows;   /* alike */
    token_texts texts;
} report;

/* The whole page. */
int report_write(const report *r, output *out);

/* The data of the explorer: the contents of a JSON script element. */
int report_write_rows(const report *r, output *out);

/* Which row of the dump is number i of the explorer. */
uint64_t report_row(const report_dump *d, size_t i);

typedef struct report_asset {
    const char *name; /* the file's name up to its dot */
    const char *text; /* NUL-terminated */
    size_t size_bytes;
} report_asset;

enum { REPORT_CSS, REPORT_JS };

extern const report_asset report_assets[]; /* in the order above */

#endif
