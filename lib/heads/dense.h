/*
 * Dense heads: pl_head_dense, the functions of a pl_head_ops, and its logits for those who want no
 * softmax of them.
 */
#ifndef PL_DENSE_H
#define PL_DENSE_H

#include "heads/head_impl.h"

/* query->scores = W h + b. */
pluck_status pl_dense_logits(pluck_head_query *query, const float *hidden, pluck_error *err);

#endif
