/*
 * Exact draws from a code tree at any temperature.
 */
#ifndef PL_TREE_DRAW_H
#define PL_TREE_DRAW_H

#include "heads/head_impl.h"

/* pl_head_ops.sample */
pluck_status pl_tree_sample(pluck_head_query *query, const float *hidden, pl_sampling *sampling,
                            pluck_pcg64 *rng, pluck_error *err);

#endif
