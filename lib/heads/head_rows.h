/*
 * Many rows at once: the functions of head.h that end in _rows.
 */
#ifndef PLK_HEAD_ROWS_H
#define PLK_HEAD_ROWS_H

#include "heads/heads.h"

#endif
