/*
 * With e = exp(-|x|) <= 1, ln sigmoid(|x|) = -ln(1 + e) and ln sigmoid(-|x|) = -|x| - ln(1 + e):
 * sums of terms of one sign, so nothing cancels, however near to 0 or 1 the sigmoid is.
 *
 * ln(1 + y): with u = fl(1 + y), ln(u) y / (u - 1) corrects for what u lost (W. Kahan; D. Goldberg,
 * "What every computer scientist should know about floating-point arithmetic", ACM Computing
 * Surveys 23(1), 1991, theorem 4: within 5 ulps).
 */
#include "heads/heads.h"

#include "simd/scalar_math.h"

#include <math.h>

double plk_log1p(double y)
{
    double u = 1.0 + y;
    return u > 1.0 ? plk_log(u) * (y / (u - 1.0)) : y;
}

plk_log_sigmoid plk_log_sigmoid_of(double x)
{
    double magnitude = fabs(x);
    double rest = plk_log1p(plk_exp(-magnitude));
    double large = -rest, small = -magnitude - rest;
    return x < 0 ? (plk_log_sigmoid){small, large} : (plk_log_sigmoid){large, small};
}

double plk_sigmoid(double x)
{
    double e = plk_exp(-fabs(x));
    return (x < 0 ? e : 1.0) / (1.0 + e);
}

double plk_log_add(double a, double b)
{
    double larger = a > b ? a : b, smaller = a > b ? b : a;
    return larger == -HUGE_VAL ? larger : larger + plk_log1p(plk_exp(smaller - larger));
}
