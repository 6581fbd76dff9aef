/*
 * Hierarchical heads: pl_head_hierarchical, the functions of a pl_head_ops.
 */
#ifndef PL_HIERARCHICAL_H
#define PL_HIERARCHICAL_H

#include "heads/head_impl.h"

#endif
