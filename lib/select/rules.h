/*
 * The rules of truncation that several parts apply, each to data of its own: the stages to views,
 * heads to scores and trees, tuning to sorted rows. The loops are theirs, and what compares two
 * masses or tokens is here, once.
 *
 * Top-p keeps the shortest prefix of the tokens, best first, whose probability is at least p: a
 * token stays if the mass of the tokens before it has not reached p of the total.
 *
 * Min-p keeps the tokens whose probability is at least p times that of the best one: whose logit is
 * at least the largest one + ln p.
 *
 * Order: a token is better than another if its logit is larger, or if the logits are equal and it
 * is the lower token. Where a limit falls among equal tokens, the lower ones stay. Four places have
 * this order in another form, because they do not compare two tokens: the integer key of order.h,
 * the candidates in ascending order of keep.c and membership.c, and the counts of rank.c.
 */
#ifndef PLK_RULES_H
#define PLK_RULES_H

#include "base/scalar_math.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* Logits are floats. A probability that misses a limit by no more than the rounding of the logits
 * reaches it. */
static const double plk_logit_rounding = 0x1p-22;

/* What a comparison of two sums of exponentials can be wrong by: above their relative rounding
 * errors, 2 * 4 * 2^-24, and plk_logit_rounding together. */
static const double plk_mass_margin = 1e-6;

/* The sums that the trees and tables of heads make of floats differ from those of their picking by
 * less than this. */
static const double plk_head_mass_margin = 1e-5;

/* The mass that the prefix has to reach, less the margin, a part of it that the caller's rounding
 * may cost; a negative margin adds. total is the mass of all tokens. */
static inline double plk_top_p_mass(double p, double total, double margin)
{
    return p * total * (1.0 - margin);
}

static inline bool plk_top_p_reached(double mass, double p, double total, double margin)
{
    return mass >= plk_top_p_mass(p, total, margin);
}

/* The lowest logit that is kept, relative to the largest one; p 0 keeps all. */
static inline double plk_min_p_offset(double p)
{
    return p > 0.0 ? plk_log(p) : -HUGE_VAL;
}

static inline bool plk_min_p_keeps(double logit, double max, double p)
{
    return logit >= max + plk_min_p_offset(p);
}

static inline bool plk_is_better(double logit, uint32_t token, double than_logit,
                                 uint32_t than_token)
{
    return logit > than_logit || (logit == than_logit && token < than_token);
}

#endif
