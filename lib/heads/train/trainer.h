/*
 * The parts of trainers that their files share; the public functions are in head.h.
 */
#ifndef PLK_TRAINER_H
#define PLK_TRAINER_H

#include "heads/train/trainer_impl.h"

/* The order of the rows in the present epoch. */
void plk_trainer_shuffle(pluck_trainer *trainer);

#endif
