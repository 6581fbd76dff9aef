/*
 * pluck_trainer_save() and pluck_trainer_restore(); nothing here is for other files.
 */
#ifndef PLK_TRAIN_CHECKPOINT_H
#define PLK_TRAIN_CHECKPOINT_H

#include "heads/train/trainer.h"

#endif
