/*
 * Queries: pluck_head_query of head.h.
 */
#ifndef PLK_HEAD_QUERY_H
#define PLK_HEAD_QUERY_H

#include "heads/heads.h"

#endif
