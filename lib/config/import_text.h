/*
 * Texts that are not JSON, as JSON: for pl_importer.convert.
 */
#ifndef PL_IMPORT_TEXT_H
#define PL_IMPORT_TEXT_H

#include <pluck/base.h>

pluck_status pl_import_modelfile(const char *text, size_t n, const pluck_allocator *allocator,
                                 char **json, pluck_error *err);
pluck_status pl_import_yaml(const char *text, size_t n, const pluck_allocator *allocator,
                            char **json, pluck_error *err);

#endif
