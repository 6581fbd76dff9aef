/*
 * The style sheet and the script of the report, compiled in by cli/embed_files.c: the same bytes as
 * the files in cli/report/.
 */
#ifndef CLI_REPORT_ASSETS_H
#define CLI_REPORT_ASSETS_H

#include <stddef.h>

typedef struct report_asset {
    const char *name; /* the file's name up to its dot */
    const char *text; /* NUL-terminated */
    size_t size_bytes;
} report_asset;

enum { REPORT_CSS, REPORT_JS };

extern const report_asset report_assets[]; /* in the order above */

#endif
