/*
 * Many rows at once: the functions of head.h that end in _rows.
 */
#ifndef PL_HEAD_ROWS_H
#define PL_HEAD_ROWS_H

#include "heads/head_impl.h"

#endif
