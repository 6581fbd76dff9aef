/*
 * Queries: pluck_head_query of head.h.
 */
#ifndef PL_HEAD_QUERY_H
#define PL_HEAD_QUERY_H

#include "heads/head_impl.h"

#endif
