/*
 * fastText's own arithmetic: pl_fasttext_compat() of fasttext_impl.h.
 */
#ifndef PL_FASTTEXT_COMPAT_H
#define PL_FASTTEXT_COMPAT_H

#include "heads/fasttext_impl.h"

#endif
