/*
 * fastText's own arithmetic: plk_fasttext_compat() of fasttext_impl.h.
 */
#ifndef PLK_FASTTEXT_COMPAT_H
#define PLK_FASTTEXT_COMPAT_H

#include "heads/fasttext/fasttext_impl.h"

#endif
