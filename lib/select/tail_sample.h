/*
 * Where the tail of a distribution begins, by a sample.
 */
#ifndef PLK_TAIL_SAMPLE_H
#define PLK_TAIL_SAMPLE_H

#include "select/view.h"

/* For a dense view: a threshold below which all tokens together probably have at most the mass, in
 * units of exp(logit - max logit), and not much less. Whoever uses it has to check: the sample can
 * mislead. */
float plk_view_tail_below(const plk_view *view, double mass);

#endif
