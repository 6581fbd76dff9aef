/*
 * One step of training: some rows, all their examples, all nodes that have some.
 */
#ifndef PLK_TRAIN_STEP_H
#define PLK_TRAIN_STEP_H

#include "heads/train/trainer_impl.h"

/* What steps need beside the nodes. On failure plk_train_step_free() frees what there is. */
pluck_status plk_train_step_open(pluck_trainer *trainer, pluck_error *err);
void plk_train_step_free(pluck_trainer *trainer);

/* The square of the length of a hidden state. In double, and in order: no float overflows, and
 * h 2^k has exactly 4^k times the square. */
double plk_train_square(const pluck_train_data *data, size_t row);

/* Rows first_row .. first_row + n_rows - 1 of the order of the epoch. */
pluck_status plk_train_step_run(pluck_trainer *trainer, size_t n_rows, pluck_error *err);

#endif
