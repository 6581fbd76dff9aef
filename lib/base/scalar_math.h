/*
 * Scalar logarithm and exponential in double, the same bits on every machine: the system's libm
 * differs in the last bit between versions, and results may depend on neither.
 */
#ifndef PLK_SCALAR_MATH_H
#define PLK_SCALAR_MATH_H

/* ln x for x > 0, subnormal x included; plk_log(0) = -inf, plk_log(inf) = inf, NaN for x < 0 or
 * NaN. Error below 1 ulp (of double). */
double plk_log(double x);

/* exp x over the whole range of double, subnormal results included; error below 1 ulp. exp(-inf) =
 * 0, exp(inf) = inf. */
double plk_exp(double x);

#endif
