/*
 * Texts that are not JSON, as JSON: for plk_importer.convert.
 */
#ifndef PLK_IMPORT_TEXT_H
#define PLK_IMPORT_TEXT_H

#include <pluck/base.h>

pluck_status plk_import_modelfile(const char *text, size_t n, const pluck_allocator *allocator,
                                  char **json, pluck_error *err);
pluck_status plk_import_yaml(const char *text, size_t n, const pluck_allocator *allocator,
                             char **json, pluck_error *err);

#endif
