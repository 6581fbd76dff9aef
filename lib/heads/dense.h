/*
 * Dense heads: plk_head_dense, the functions of a plk_head_ops, and its logits for those who want
 * no softmax of them.
 */
#ifndef PLK_DENSE_H
#define PLK_DENSE_H

#include "heads/heads.h"

/* query->scores = W h + b. */
pluck_status plk_dense_logits(pluck_head_query *query, const float *hidden, pluck_error *err);

#endif
