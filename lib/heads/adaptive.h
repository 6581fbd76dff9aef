/*
 * Adaptive heads: pl_head_adaptive, the functions of a pl_head_ops.
 */
#ifndef PL_ADAPTIVE_H
#define PL_ADAPTIVE_H

#include "heads/head_impl.h"

#endif
