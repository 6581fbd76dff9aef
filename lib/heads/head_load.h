/*
 * Reading heads: pluck_head_open() of head.h.
 */
#ifndef PLK_HEAD_LOAD_H
#define PLK_HEAD_LOAD_H

#include "heads/heads.h"

#endif
