/*
 * Queries of fastText models: the functions of fasttext.h that take a pluck_fasttext_query.
 */
#ifndef PL_FASTTEXT_QUERY_H
#define PL_FASTTEXT_QUERY_H

#include "heads/fasttext_impl.h"

#endif
