/*
 * Writing heads: pluck_head_save() of head.h.
 */
#ifndef PL_HEAD_SAVE_H
#define PL_HEAD_SAVE_H

#include "heads/head_impl.h"

#endif
