/*
 * Best-first search in a code tree, and the evaluation of a node that all walks share.
 */
#ifndef PLK_TREE_SEARCH_H
#define PLK_TREE_SEARCH_H

#include "heads/heads.h"
#include "heads/log_sigmoid.h"

/* u . h + b of an inner node, turned so that its sigmoid is the probability of the right child.
 * Counts the dot product. PLUCK_ERR_NAN if it is NaN. */
pluck_status plk_tree_logit(pluck_head_query *query, const float *hidden, uint32_t node,
                            double *logit, pluck_error *err);

/* Allowed leaves at or below a node. */
uint32_t plk_tree_n_allowed(const pluck_head_query *query, uint32_t node);

/* plk_head_ops.select */
pluck_status plk_tree_select(pluck_head_query *query, const float *hidden, plk_selection *selection,
                             pluck_error *err);

#endif
