/*
 * Losses and gradients are plain loops in double over what the softmax kernels give: sums in order
 * of index, so that they are the same bits everywhere. The gradient of a cross-entropy is beta (p -
 * y): p - 1 of a target is as exact as p is. Sources: C. M. Bishop, "Pattern Recognition and
 * Machine Learning", 2006, section 4.3; E. Jang, S. Gu, B. Poole, "Categorical reparameterization
 * with Gumbel-softmax", 2017.
 */
#include "softmax/softmax_on.h"

#include "base/error.h"
#include "base/scalar_math.h"

#include <math.h>

pluck_status plk_entropy_of_probs(const float *p, size_t n, double *nats, pluck_error *err)
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
                "pluck_entropy_of_probs: p[%zu] is %g; a probability must be finite and not "
                "negative",
                i, value);
        sum -= value > 0 ? value * plk_log(value) : 0;
    }
    *nats = sum;
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
            return plk_fail(
                err, isnan(y[i]) ? PLUCK_ERR_NAN : PLUCK_ERR_INVALID,
                "%s: y[%zu] is %g; it must be finite and not negative, and 0 where z is "
                "-inf",
                function, i, (double)y[i]);
        *total += (double)y[i];
        *cross += y[i] > 0 ? (double)y[i] * (max - (double)beta * (double)z[i]) : 0;
    }
    if (fabs(*total - 1) <= 1e-4)
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_INVALID, "%s: the sum of y is %g; it must be 1", function,
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
                        "%s: temperature is %g; it and its inverse must be above 0 and finite",
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

/*
 * alpha-entmax. With x = (alpha - 1) (l - max) <= 0 and q = 1 / (alpha - 1), tau solves S(tau) =
 * sum of [x - tau]+^q = 1. S decreases; it is at least 1 at tau = -1, where the largest entry alone
 * gives 1, and below 1 at 0. Only entries with x > -1 can have p > 0.
 *
 * For alpha <= 2, q >= 1 and S is convex: Newton's method from -1 rises to tau without passing it,
 * S being divided by e a step at first, then quadratically. For sparsemax S is linear between
 * entries, so that the last step is the closed form (sum of the support - 1) / its size, and none
 * of the entries has to be sorted. For alpha > 2 S is not convex, and tau is found by bisection.
 *
 * S is a compensated sum (Neumaier 1974), so that its error does not grow with n. x is exact: beta
 * z has 48 bits, and numbers so near to each other subtract exactly.
 */

typedef struct solver {
    const float *values;
    size_t n;
    double scale;
    double power; /* q */
    plk_entmax entmax;
} solver;

/* x^q for x > 0. */
static double raised(double x, double power)
{
    if (power == 1)
        return x;
    return power == 2 ? x * x : plk_exp(power * plk_log(x));
}

static double excess(const plk_entmax *entmax, double logit)
{
    return entmax->slope * (logit - entmax->max) - entmax->tau;
}

/* S at the present tau, and -S'. */
static double sum_up(const solver *s, double *slope)
{
    double sum = 0, lost = 0, steep = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (!(s->values[i] > -INFINITY))
            continue;
        double x = excess(&s->entmax, s->scale * (double)s->values[i]);
        if (!(x > 0))
            continue;
        double p = raised(x, s->power);
        double next = sum + p;
        lost += sum >= p ? (sum - next) + p : (p - next) + sum;
        sum = next;
        steep += s->power == 1 ? 1 : s->power * p / x;
    }
    *slope = steep;
    return sum + lost;
}

static void solve_by_newton(solver *s)
{
    enum { MAX_STEPS = 200 };
    double slope;
    for (int i = 0; i < MAX_STEPS; i++) {
        s->entmax.sum = sum_up(s, &slope);
        double step = (s->entmax.sum - 1) / slope;
        double next = s->entmax.tau + step;
        /* Below the rounding of S no step says anything. */
        if (!(next > s->entmax.tau) || s->entmax.sum - 1 <= 0x1p-51 || !(next < 0))
            return;
        s->entmax.tau = next;
    }
}

static void solve_by_bisection(solver *s)
{
    double low = -1, high = 0, slope;
    for (;;) {
        double middle = 0.5 * (low + high);
        if (!(low < middle && middle < high) || high - low < 1e-15 * -high)
            break;
        s->entmax.tau = middle;
        if (sum_up(s, &slope) >= 1)
            low = middle;
        else
            high = middle;
    }
    s->entmax.tau = low;
    s->entmax.sum = sum_up(s, &slope);
}

plk_entmax plk_entmax_solve(const float *values, size_t n, double scale, double alpha)
{
    solver s = {values, n, scale, 1 / (alpha - 1), {alpha - 1, -(double)INFINITY, -1, 1}};
    for (size_t i = 0; i < n; i++) {
        double logit = scale * (double)values[i];
        if (values[i] > -INFINITY && logit > s.entmax.max)
            s.entmax.max = logit;
    }
    if (alpha <= 2)
        solve_by_newton(&s);
    else
        solve_by_bisection(&s);
    return s.entmax;
}

double plk_entmax_log_probability(const plk_entmax *entmax, double logit)
{
    double x = excess(entmax, logit);
    return x > 0 ? plk_log(x) / entmax->slope : -(double)INFINITY;
}

static pluck_status check_alpha(const char *function, double alpha, pluck_error *err)
{
    if (alpha >= 1 && alpha <= 100)
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_INVALID, "%s: alpha = %g is outside [1, 100]", function, alpha);
}

/* Moves the values that can have p > 0 to the front of p, which is not z; *n_kept of them. */
static const float *candidates(const float *z, size_t n, double scale, double slope, double max,
                               float *p, size_t *n_kept)
{
    size_t kept = 0;
    if (p == z) {
        *n_kept = n;
        return z;
    }
    for (size_t i = 0; i < n; i++)
        if (z[i] > -INFINITY && slope * (scale * (double)z[i] - max) > -1)
            p[kept++] = z[i];
    *n_kept = kept;
    return p;
}

pluck_status plk_entmax_on(const plk_kernels *kernels, const char *function, const float *z,
                           size_t n, float beta, double alpha, float *p, pluck_error *err)
{
    pluck_status status = check_alpha(function, alpha, err);
    if (status != PLUCK_OK)
        return status;
    if (alpha == 1)
        return plk_softmax_on(kernels, z, n, beta, p, err);
    status = plk_softmax_check_on(kernels, function, z, n, beta, p, err);
    if (status != PLUCK_OK)
        return status;
    double scale = (double)beta;
    double max = -(double)INFINITY;
    for (size_t i = 0; i < n; i++)
        if (z[i] > -INFINITY && scale * (double)z[i] > max)
            max = scale * (double)z[i];
    size_t n_kept;
    const float *kept = candidates(z, n, scale, alpha - 1, max, p, &n_kept);
    plk_entmax entmax = plk_entmax_solve(kept, n_kept, scale, alpha);
    double power = 1 / entmax.slope;
    for (size_t i = 0; i < n; i++) {
        double x = z[i] > -INFINITY ? excess(&entmax, scale * (double)z[i]) : 0;
        p[i] = x > 0 ? (float)(raised(x, power) / entmax.sum) : 0;
    }
    return PLUCK_OK;
}

/* s_i = p_i^(2 - alpha) on the support. */
static double derivative(float p, double alpha)
{
    if (!(p > 0) || alpha == 2)
        return p > 0 ? 1 : 0;
    return alpha == 1 ? (double)p : plk_exp((2 - alpha) * plk_log((double)p));
}

pluck_status plk_entmax_jvp(const float *p, const float *v, size_t n, float beta, double alpha,
                            float *out, pluck_error *err)
{
    static const char function[] = "pluck_entmax_jvp";
    pluck_status status = check_alpha(function, alpha, err);
    if (status != PLUCK_OK)
        return status;
    if (!p || !v || !out || n == 0 || !isfinite(beta))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: a buffer is NULL, n is 0 or beta is not finite", function);
    double sum = 0, dot = 0;
    for (size_t i = 0; i < n; i++) {
        double s = derivative(p[i], alpha);
        sum += s;
        dot += s * (double)v[i];
    }
    double mean = sum > 0 ? dot / sum : 0;
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((double)beta * derivative(p[i], alpha) * ((double)v[i] - mean));
    return PLUCK_OK;
}
