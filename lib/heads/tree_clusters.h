/*
 * Trees from clustered vectors: pluck_tree_create_clustered() of head.h.
 */
#ifndef PLK_TREE_CLUSTERS_H
#define PLK_TREE_CLUSTERS_H

#include "heads/code_tree.h"

#endif
