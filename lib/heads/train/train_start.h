/*
 * What the nodes of a trainer begin with.
 */
#ifndef PLK_TRAIN_START_H
#define PLK_TRAIN_START_H

#include "heads/train/trainer_impl.h"

/* Of a hierarchical head of the same tree: INVALID if it is not. */
pluck_status plk_train_start_from_head(pluck_trainer *trainer, const pluck_head *head,
                                       pluck_error *err);

/* The tangent of a dense teacher. */
pluck_status plk_train_start_from_dense(pluck_trainer *trainer, pluck_error *err);

#endif
