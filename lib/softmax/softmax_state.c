/*
 * (m, s) (+) (m', s') = (M, s e^(m - M) + s' e^(m' - M)), M = max(m, m'): of the two exponentials
 * one is exactly 1, so a merge rounds three times.
 *
 * The mean is kept normalised. It takes in entries a chunk at a time: the chunk's largest score
 * becomes the maximum if it is larger, the old mean is weighed by its share of the old sum, the
 * rows of the chunk are added with their exponentials, and all is divided by the new sum. Scores
 * and rows are read once. Exponentials are those of scalar_math.h: a row of values costs more than
 * one of them, and the additions of a row are independent, so that compilers make vector code of
 * them without changing a bit.
 */
#include "softmax/softmax_state.h"

#include "base/error.h"
#include "simd/scalar_math.h"
#include "softmax/softmax_on.h"

#include <math.h>

static pluck_status check_state(const char *function, const pluck_softmax_state *state,
                                pluck_error *err)
{
    if (!state)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: state is NULL", function);
    if (state->sum == 0 || (state->sum >= 1 && isfinite(state->sum) && isfinite(state->max)))
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_INVALID,
                    "%s: a state with max %g and sum %g is none: sum is 0 or at least 1, both are "
                    "finite",
                    function, state->max, state->sum);
}

static pluck_softmax_state merged(pluck_softmax_state a, pluck_softmax_state b)
{
    if (a.sum == 0 || b.sum == 0)
        return a.sum == 0 ? b : a;
    double max = a.max > b.max ? a.max : b.max;
    return (pluck_softmax_state){max, a.sum * plk_exp(a.max - max) + b.sum * plk_exp(b.max - max)};
}

pluck_status plk_softmax_state_add_on(const plk_kernels *kernels, pluck_softmax_state *state,
                                      const float *z, size_t n, float beta, pluck_error *err)
{
    static const char function[] = "pluck_softmax_state_add";
    pluck_softmax_state part = {0, 0};
    pluck_status status = check_state(function, state, err);
    if (status != PLUCK_OK || (n == 0 && isfinite(beta)))
        return status;
    pluck_error why = {.status = PLUCK_OK};
    status = plk_softmax_parts_on(kernels, function, z, n, beta, &part.max, &part.sum, &why);
    if (status == PLUCK_ERR_EMPTY)
        return PLUCK_OK;
    if (status != PLUCK_OK)
        return plk_fail(err, status, "%s", why.message);
    *state = merged(*state, part);
    return PLUCK_OK;
}

pluck_status plk_softmax_state_merge(pluck_softmax_state *state, const pluck_softmax_state *other,
                                     pluck_error *err)
{
    pluck_status status = check_state("pluck_softmax_state_merge", state, err);
    if (status == PLUCK_OK)
        status = check_state("pluck_softmax_state_merge", other, err);
    if (status == PLUCK_OK)
        *state = merged(*state, *other);
    return status;
}

pluck_status plk_softmax_state_logsumexp(const pluck_softmax_state *state, double *lse,
                                         pluck_error *err)
{
    pluck_status status = check_state("pluck_softmax_state_logsumexp", state, err);
    if (status != PLUCK_OK)
        return status;
    if (!lse)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_softmax_state_logsumexp: lse is NULL");
    if (state->sum == 0)
        return plk_fail(err, PLUCK_ERR_EMPTY,
                        "pluck_softmax_state_logsumexp: the state has no entries");
    *lse = state->max + plk_log(state->sum);
    return PLUCK_OK;
}

/* The checks of z; entries that are all banned are none. */
static pluck_status check_entries(const plk_kernels *kernels, const char *function, const float *z,
                                  size_t n, float beta, const void *output, bool *any,
                                  pluck_error *err)
{
    pluck_error why = {.status = PLUCK_OK};
    pluck_status status = plk_softmax_check_on(kernels, function, z, n, beta, output, &why);
    *any = status == PLUCK_OK;
    if (status == PLUCK_OK || status == PLUCK_ERR_EMPTY)
        return PLUCK_OK;
    return plk_fail(err, status, "%s", why.message);
}

static double scaled(float beta, float z)
{
    return (double)beta * (double)z;
}

pluck_status plk_softmax_with_on(const plk_kernels *kernels, const pluck_softmax_state *state,
                                 const float *z, size_t n, float beta, float *p, pluck_error *err)
{
    static const char function[] = "pluck_softmax_state_probs";
    bool any = false;
    pluck_status status = check_state(function, state, err);
    if (status == PLUCK_OK)
        status = check_entries(kernels, function, z, n, beta, p, &any, err);
    if (status != PLUCK_OK)
        return status;
    for (size_t i = 0; any && i < n; i++)
        if (z[i] > -INFINITY && !(state->sum > 0 && scaled(beta, z[i]) <= state->max))
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "%s: entry %zu is larger than any that the state has taken in",
                            function, i);
    for (size_t i = 0; i < n; i++) {
        bool banned = !(z[i] > -INFINITY);
        p[i] = banned ? 0 : (float)(plk_exp(scaled(beta, z[i]) - state->max) / state->sum);
    }
    return PLUCK_OK;
}

enum { CHUNK = 256 };

/* The state with the n entries, of which n_allowed are above -inf, and their exponentials. */
static pluck_softmax_state weigh_chunk(pluck_softmax_state state, const float *z, size_t n,
                                       float beta, double *weights)
{
    double max = -(double)INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        if (z[i] > -INFINITY && scaled(beta, z[i]) > max)
            max = scaled(beta, z[i]);
    if (state.sum > 0 && state.max > max)
        max = state.max;
    for (size_t i = 0; i < n; i++) {
        weights[i] = z[i] > -INFINITY ? plk_exp(scaled(beta, z[i]) - max) : 0;
        sum += weights[i];
    }
    if (state.sum > 0)
        sum += state.sum * plk_exp(state.max - max);
    return sum > 0 ? (pluck_softmax_state){max, sum} : state;
}

static void add_rows(double *mean, const double *weights, size_t n, const float *v, size_t dim)
{
    for (size_t i = 0; i < n; i++) {
        const float *row = v + i * dim;
        if (weights[i] == 0)
            continue;
        for (size_t j = 0; j < dim; j++)
            mean[j] += weights[i] * (double)row[j];
    }
}

/* mean becomes mean times the part that it has of the sum now; undefined content is not read. */
static void rescale(pluck_softmax_state before, pluck_softmax_state after, double *mean, size_t dim)
{
    double factor = before.sum > 0 ? before.sum * plk_exp(before.max - after.max) : 0;
    for (size_t j = 0; j < dim; j++)
        mean[j] = before.sum > 0 ? mean[j] * factor : 0;
}

pluck_status plk_softmax_mean_add_on(const plk_kernels *kernels, pluck_softmax_state *state,
                                     double *mean, const float *z, size_t n, float beta,
                                     const float *v, size_t dim, pluck_error *err)
{
    static const char function[] = "pluck_softmax_mean_add";
    bool any = false;
    double weights[CHUNK];
    pluck_status status = check_state(function, state, err);
    if (status != PLUCK_OK)
        return status;
    if (!mean || dim == 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: mean is NULL or dim is 0", function);
    if (n == 0 && isfinite(beta))
        return PLUCK_OK;
    status = check_entries(kernels, function, z, n, beta, v, &any, err);
    if (status != PLUCK_OK || !any)
        return status;
    for (size_t first = 0; first < n; first += CHUNK) {
        size_t n_chunk = n - first < CHUNK ? n - first : CHUNK;
        pluck_softmax_state before = *state;
        pluck_softmax_state after = weigh_chunk(before, z + first, n_chunk, beta, weights);
        if (after.sum == 0)
            continue;
        rescale(before, after, mean, dim);
        add_rows(mean, weights, n_chunk, v + first * dim, dim);
        for (size_t j = 0; j < dim; j++)
            mean[j] /= after.sum;
        *state = after;
    }
    return PLUCK_OK;
}

pluck_status plk_softmax_mean_merge(pluck_softmax_state *state, double *mean,
                                    const pluck_softmax_state *other, const double *other_mean,
                                    size_t dim, pluck_error *err)
{
    static const char function[] = "pluck_softmax_mean_merge";
    pluck_status status = check_state(function, state, err);
    if (status == PLUCK_OK)
        status = check_state(function, other, err);
    if (status != PLUCK_OK)
        return status;
    if (!mean || !other_mean || dim == 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: a mean is NULL or dim is 0", function);
    if (other->sum == 0)
        return PLUCK_OK;
    pluck_softmax_state all = merged(*state, *other);
    double weight = other->sum * plk_exp(other->max - all.max);
    rescale(*state, all, mean, dim);
    for (size_t j = 0; j < dim; j++)
        mean[j] = (mean[j] + weight * other_mean[j]) / all.sum;
    *state = all;
    return PLUCK_OK;
}
