/*
 * From rows to examples of nodes.
 */
#ifndef PLK_TRAIN_EXAMPLES_H
#define PLK_TRAIN_EXAMPLES_H

#include "heads/train/trainer_impl.h"

/* Appends the examples of the row at place place of the step to the list of the worker, and says in
 * row_visits where they are. */
pluck_status plk_train_visit_row(pluck_trainer *trainer, uint32_t worker, size_t place,
                                 pluck_error *err);

#endif
