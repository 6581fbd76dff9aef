/*
 * Adaptive heads: plk_head_adaptive, the functions of a plk_head_ops.
 */
#ifndef PLK_ADAPTIVE_H
#define PLK_ADAPTIVE_H

#include "heads/heads.h"

#endif
