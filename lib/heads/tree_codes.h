/*
 * A tree is made from codes by pluck_tree_create_from_codes(), which head.h declares; nothing
 * internal is shared.
 */
#ifndef PLK_TREE_CODES_H
#define PLK_TREE_CODES_H

#include "heads/code_tree.h"

#endif
