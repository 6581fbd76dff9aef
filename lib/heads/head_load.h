/*
 * Reading heads: pluck_head_load() of head.h.
 */
#ifndef PL_HEAD_LOAD_H
#define PL_HEAD_LOAD_H

#include "heads/head_impl.h"

#endif
