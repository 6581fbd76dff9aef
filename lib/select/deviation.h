/*
 * How far the logits spread.
 */
#ifndef PLK_DEVIATION_H
#define PLK_DEVIATION_H

#include "select/view.h"

/* The population standard deviation of the stored logits above -inf. */
double plk_view_deviation(const plk_view *view);

#endif
