/*
 * Stored distributions in .safetensors files; <pluck/weighted.h> has the layouts.
 */
#ifndef PL_WEIGHTED_FILE_H
#define PL_WEIGHTED_FILE_H

#include "container/source.h"

#include <pluck/weighted.h>

/* The load functions on bytes that are there: source is not closed. */
pluck_status pl_alias_read(pluck_alias **out, const pl_source *source,
                           const pluck_allocator *allocator, pluck_error *err);
pluck_status pl_sum_tree_read(pluck_sum_tree **out, const pl_source *source,
                              const pluck_allocator *allocator, pluck_error *err);
pluck_status pl_huffman_read(pluck_huffman **out, const pl_source *source,
                             const pluck_allocator *allocator, pluck_error *err);

#endif
