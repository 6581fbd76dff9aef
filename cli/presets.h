/*
 * The configurations of configs/, compiled in by cli/embed_files.c: the same bytes as the files.
 */
#ifndef CLI_PRESETS_H
#define CLI_PRESETS_H

#include <stddef.h>

typedef struct preset {
    const char *name; /* "balanced": the file's name without ".json" */
    const char *json; /* NUL-terminated */
    size_t size_bytes;
} preset;

extern const preset presets[]; /* ends with a NULL name */

/* The preset with this name, or NULL. */
const preset *preset_find(const char *name);

/* The nearest preset name to a misspelt one, or NULL. */
const char *preset_nearest(const char *name);

#endif
