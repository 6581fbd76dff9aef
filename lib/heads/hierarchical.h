/*
 * Hierarchical heads: plk_head_hierarchical, the functions of a plk_head_ops.
 */
#ifndef PLK_HIERARCHICAL_H
#define PLK_HIERARCHICAL_H

#include "heads/heads.h"

#endif
