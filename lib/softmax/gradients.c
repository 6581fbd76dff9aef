/*
 * Plain loops in double over what the softmax kernels give: sums in order of index, so that they
 * are the same bits everywhere. The gradient of a cross-entropy is beta (p - y): p - 1 of a target
 * is as exact as p is. Sources: C. M. Bishop, "Pattern Recognition and Machine Learning", 2006,
 * section 4.3; E. Jang, S. Gu, B. Poole, "Categorical reparameterization with Gumbel-softmax",
 * 2017.
 */
#include "softmax/gradients.h"

#include "base/error.h"
#include "simd/scalar_math.h"
#include "softmax/softmax_on.h"

#include <math.h>

pluck_status plk_entropy_of(const float *p, size_t n, double *nats, pluck_error *err)
{
    double sum = 0;
    if (!p || !nats || n == 0)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_entropy_of_probs: a pointer is NULL or n is 0");
    for (size_t i = 0; i < n; i++) {
        double value = (double)p[i];
        if (!(value >= 0 && value < (double)INFINITY))
            return plk_fail(
                err, isnan(p[i]) ? PLUCK_ERR_NAN : PLUCK_ERR_INVALID,
                "pluck_entropy_of_probs: p[%zu] = %g, a probability must be finite and not "
                "negative",
                i, value);
        sum -= value > 0 ? value * plk_log(value) : 0;
    }
    *nats = sum;
    return PLUCK_OK;
}

pluck_status plk_softmax_jvp(const float *p, const float *v, size_t n, float beta, float *out,
                             pluck_error *err)
{
    double dot = 0;
    if (!p || !v || !out || n == 0 || !isfinite(beta))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_softmax_jvp: a buffer is NULL, n is 0 or beta is not finite");
    for (size_t i = 0; i < n; i++)
        dot += (double)p[i] * (double)v[i];
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((double)beta * (double)p[i] * ((double)v[i] - dot));
    return PLUCK_OK;
}

pluck_status plk_cross_entropy_on(const plk_kernels *kernels, const float *z, size_t n, float beta,
                                  size_t target, double *loss, float *gradient, pluck_error *err)
{
    static const char function[] = "pluck_cross_entropy";
    double max, sum;
    pluck_status status = plk_softmax_check_on(kernels, function, z, n, beta, loss, err);
    if (status != PLUCK_OK)
        return status;
    if (target >= n || !(z[target] > -INFINITY))
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: target %zu is %s", function, target,
                        target >= n ? "not below n" : "banned");
    status = plk_softmax_parts_on(kernels, function, z, n, beta, &max, &sum, err);
    if (status != PLUCK_OK)
        return status;
    *loss = plk_log(sum) + (max - (double)beta * (double)z[target]);
    if (!gradient)
        return PLUCK_OK;
    status = plk_softmax_on(kernels, z, n, beta, gradient, err);
    for (size_t i = 0; i < n && status == PLUCK_OK; i++)
        gradient[i] = beta * (gradient[i] - (i == target ? 1.0f : 0.0f));
    return status;
}

/* *total and *cross = sum of y (max - beta z), for the loss. */
static pluck_status check_targets(const char *function, const float *z, size_t n, float beta,
                                  const float *y, double max, double *total, double *cross,
                                  pluck_error *err)
{
    *total = *cross = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(y[i] >= 0 && y[i] < INFINITY) || (y[i] > 0 && !(z[i] > -INFINITY)))
            return plk_fail(err, isnan(y[i]) ? PLUCK_ERR_NAN : PLUCK_ERR_INVALID,
                            "%s: y[%zu] = %g, it must be finite and not negative, and 0 where z is "
                            "-inf",
                            function, i, (double)y[i]);
        *total += (double)y[i];
        *cross += y[i] > 0 ? (double)y[i] * (max - (double)beta * (double)z[i]) : 0;
    }
    if (fabs(*total - 1) <= 1e-4)
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_INVALID, "%s: the sum of y is %g, it must be 1", function,
                    *total);
}

pluck_status plk_cross_entropy_soft_on(const plk_kernels *kernels, const float *z, size_t n,
                                       float beta, const float *y, double *loss, float *gradient,
                                       pluck_error *err)
{
    static const char function[] = "pluck_cross_entropy_soft";
    double max, sum, total, cross;
    if (!y || !loss)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: y and loss must not be NULL", function);
    pluck_status status = plk_softmax_parts_on(kernels, function, z, n, beta, &max, &sum, err);
    if (status == PLUCK_OK)
        status = check_targets(function, z, n, beta, y, max, &total, &cross, err);
    if (status != PLUCK_OK)
        return status;
    *loss = total * plk_log(sum) + cross;
    if (!gradient)
        return PLUCK_OK;
    status = plk_softmax_on(kernels, z, n, beta, gradient, err);
    for (size_t i = 0; i < n && status == PLUCK_OK; i++)
        gradient[i] = (float)((double)beta * ((double)gradient[i] * total - (double)y[i]));
    return status;
}

/* 52 bits and a half: in (0, 1), both ends excluded. */
static double gumbel(pluck_pcg64 *rng)
{
    double u = ((double)(pluck_pcg64_next(rng) >> 12) + 0.5) * 0x1p-52;
    return -plk_log(-plk_log(u));
}

pluck_status plk_gumbel_softmax_on(const plk_kernels *kernels, const float *z, size_t n,
                                   float temperature, pluck_pcg64 *rng, float *soft, size_t *index,
                                   pluck_error *err)
{
    static const char function[] = "pluck_gumbel_softmax";
    if (!rng || !index)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: rng and index must not be NULL", function);
    if (!(temperature > 0 && 1 / temperature > 0 && isfinite(1 / temperature)))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: temperature = %g, it and its inverse must be above 0 and finite",
                        function, (double)temperature);
    pluck_status status = plk_softmax_check_on(kernels, function, z, n, 1, soft, err);
    if (status != PLUCK_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        soft[i] = (float)((double)z[i] + gumbel(rng));
    status = plk_argmax_on(kernels, soft, n, index, err);
    return status == PLUCK_OK ? plk_softmax_on(kernels, soft, n, 1 / temperature, soft, err)
                              : status;
}
