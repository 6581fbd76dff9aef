/*
 * How far the logits spread.
 */
#ifndef PL_DEVIATION_H
#define PL_DEVIATION_H

#include "select/view.h"

/* The population standard deviation of the stored logits above -inf. */
double pl_view_deviation(const pl_view *view);

#endif
