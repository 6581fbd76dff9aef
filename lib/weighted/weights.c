/*
 * One pass with a compensated sum (A. Neumaier, "Rundungsfehleranalyse einiger Verfahren zur
 * Summation endlicher Summen", ZAMM 54, 1974): what each addition loses is added up on its own.
 * For terms of one sign the result is off by at most 2^-53 + n^2 2^-106 relative, below 2^-52 for
 * n <= 2^26 and in practice for any n.
 */
#include "weighted/weights.h"

#include "base/error.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

double plk_weight_at(pluck_weights weights, uint32_t i)
{
    const unsigned char *data = weights.data;
    if (weights.type == PLUCK_WEIGHTS_F64) {
        double value;
        memcpy(&value, data + (size_t)i * sizeof value, sizeof value);
        return value;
    }
    float value;
    memcpy(&value, data + (size_t)i * sizeof value, sizeof value);
    return (double)value;
}

static pluck_status fail_weight(const char *function, uint32_t i, double weight, pluck_error *err)
{
    if (isfinite(weight))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: weight %u is %g, a weight must not be negative", function, (unsigned)i,
                        weight);
    return plk_fail(err, PLUCK_ERR_NAN, "%s: weight %u is %s, a weight must be finite", function,
                    (unsigned)i, isnan(weight) ? "NaN" : "infinite");
}

pluck_status plk_weights_check(pluck_weights weights, const char *function, double *total,
                               uint32_t *n_positive, pluck_error *err)
{
    if (!weights.data)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: weights.data is NULL", function);
    if (weights.type != PLUCK_WEIGHTS_F32 && weights.type != PLUCK_WEIGHTS_F64)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: weights.type %d is not a pluck_weights_type",
                        function, (int)weights.type);
    if (weights.n == 0 || weights.n > PLUCK_MAX_WEIGHTS)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: %u weights, there must be from 1 to 2^30",
                        function, (unsigned)weights.n);
    double sum = 0, lost = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < weights.n; i++) {
        double weight = plk_weight_at(weights, i);
        if (!(weight >= 0 && weight < (double)INFINITY))
            return fail_weight(function, i, weight, err);
        double next = sum + weight;
        lost += sum >= weight ? (sum - next) + weight : (weight - next) + sum;
        sum = next;
        n += weight > 0;
    }
    if (!isfinite(sum))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: the sum of the weights overflows a double, scale them down", function);
    if (n == 0)
        return plk_fail(err, PLUCK_ERR_EMPTY,
                        "%s: all weights are 0, at least one must be positive", function);
    *total = sum + lost;
    *n_positive = n;
    return PLUCK_OK;
}

double plk_weights_scale(double total)
{
    return total < 0x1p-960 ? 0x1p200 : 1.0;
}

pluck_status plk_weights_check_index(const char *function, uint32_t index, uint32_t n,
                                     pluck_error *err)
{
    if (index < n)
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_INVALID, "%s: index %u is outside of the %u entries", function,
                    (unsigned)index, (unsigned)n);
}
