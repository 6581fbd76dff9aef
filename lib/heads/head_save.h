/*
 * Writing heads: pluck_head_save() of head.h.
 */
#ifndef PLK_HEAD_SAVE_H
#define PLK_HEAD_SAVE_H

#include "heads/heads.h"

#endif
