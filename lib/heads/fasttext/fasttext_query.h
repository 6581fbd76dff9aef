/*
 * Queries of fastText models: the functions of fasttext.h that take a pluck_fasttext_query.
 */
#ifndef PLK_FASTTEXT_QUERY_H
#define PLK_FASTTEXT_QUERY_H

#include "heads/fasttext/fasttext_impl.h"

#endif
