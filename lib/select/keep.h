/*
 * Truncation by rank and by logit, and the best tokens in order.
 */
#ifndef PL_KEEP_H
#define PL_KEEP_H

#include "select/view.h"

/* Keeps the k best tokens, exactly k of them if there are as many; k >= 1. */
void pl_view_keep_top(pl_view *view, uint32_t k);

/* Keeps the tokens whose logit is >= max logit + offset, offset <= 0; the min_keep best if those
 * are more. */
void pl_view_keep_near_max(pl_view *view, double offset, uint32_t min_keep);

/* The same for a threshold on the probability, which may be above the maximum: then the min_keep best
 * stay. */
void pl_view_keep_probable(pl_view *view, double offset, uint32_t min_keep);

/* The best min(k, number of tokens) tokens, best first, in the workspace's keys; returns how many.
 * The view stays as it is, but a dense one loses the workspace's candidate arrays. */
uint32_t pl_view_best(const pl_view *view, uint32_t k);

/* The smallest float t such that l >= t exactly when the logit of stored l is >= max logit + offset;
 * at least -FLT_MAX. */
float pl_view_threshold(const pl_view *view, double offset);

/* Copies the tokens of a dense view whose stored logit is >= threshold (> -inf) to ids and values,
 * ascending by token; returns how many. The view stays dense. */
uint32_t pl_view_gather(const pl_view *view, float threshold);

/* The keys of the first n candidates in ids and values, to keys. */
void pl_candidate_keys(const pl_view *view, uint32_t n);

/* Removes, of the first n candidates in ids and values, those with a key below lowest, and makes the
 * view compact. */
void pl_view_keep_from(pl_view *view, uint32_t n, pl_key lowest);

#endif
