/*
 * Truncation to a band of logits: the tokens nearest to a given logit.
 */
#ifndef PLK_NEAREST_H
#define PLK_NEAREST_H

#include "select/view.h"

/*
 * Keeps the shortest prefix of the tokens, nearest to the stored logit max + center first, whose
 * probability is > p, and at least min_keep tokens. Between equal distances the larger logit comes
 * first, between equal logits the lower token. normaliser: of the view. center <= 0.
 */
void plk_view_keep_nearest(plk_view *view, double center, double normaliser, double p,
                           uint32_t min_keep);

#endif
