/*
 * The parts of trainers that their files share; the public functions are in train.h.
 */
#ifndef PL_TRAINER_H
#define PL_TRAINER_H

#include "heads/trainer_impl.h"

/* The order of the rows in the present epoch. */
void pl_trainer_shuffle(pluck_trainer *trainer);

#endif
