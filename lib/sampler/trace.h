/*
 * What each stage did: the inside of pluck_sampler_trace().
 */
#ifndef PL_TRACE_H
#define PL_TRACE_H

#include "sampler/draw.h"

/* Fills in probs[token] = exp(logit - max logit) for every token of the view, 0 for the others, and
 * returns their sum. */
double pl_trace_weights(const pl_view *view, float *weights);

/* The sum of weights over the tokens that the view still has. */
double pl_trace_kept(const pl_view *view, const float *weights);

#endif
