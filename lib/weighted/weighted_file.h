/*
 * Stored distributions in .safetensors files; <pluck/weighted.h> has the layouts.
 */
#ifndef PLK_WEIGHTED_FILE_H
#define PLK_WEIGHTED_FILE_H

#include "file/source.h"

#include <pluck/weighted.h>

/* The load functions on bytes that are there: source is not closed. */
pluck_status plk_alias_read(pluck_alias **out, const plk_source *source,
                            const pluck_allocator *allocator, pluck_error *err);
pluck_status plk_sum_tree_read(pluck_sum_tree **out, const plk_source *source,
                               const pluck_allocator *allocator, pluck_error *err);
pluck_status plk_huffman_read(pluck_huffman **out, const plk_source *source,
                              const pluck_allocator *allocator, pluck_error *err);

#endif
