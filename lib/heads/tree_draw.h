/*
 * Exact draws from a code tree at any temperature.
 */
#ifndef PLK_TREE_DRAW_H
#define PLK_TREE_DRAW_H

#include "heads/heads.h"

/* plk_head_ops.sample */
pluck_status plk_tree_sample(pluck_head_query *query, const float *hidden, plk_sampling *sampling,
                             pluck_pcg64 *rng, pluck_error *err);

#endif
