/*
 * The weights that stored distributions are made from.
 */
#ifndef PLK_WEIGHTS_H
#define PLK_WEIGHTS_H

#include <pluck/weighted.h>

/* Weight i as a double, exactly. */
double plk_weight_at(pluck_weights weights, uint32_t i);

/* Refuses what <pluck/weighted.h> says weights must not be; function begins the messages. *total
 * is their sum, within 2^-52 of it; *n_positive is how many are above 0. */
pluck_status plk_weights_check(pluck_weights weights, const char *function, double *total,
                               uint32_t *n_positive, pluck_error *err);

/* PLUCK_ERR_INVALID unless index < n. */
pluck_status plk_weights_check_index(const char *function, uint32_t index, uint32_t n,
                                     pluck_error *err);

/* The power of two by which a draw multiplies weights with this total: 1, unless the product of
 * total and random number could be subnormal, which would round the ratios of weights away. */
double plk_weights_scale(double total);

#endif
