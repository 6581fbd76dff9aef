/*
 * The softmax family, a chunk of 1,024 values at a time.
 *
 * With y = factor z and m = max y, every function needs Z = sum of exp(beta' (y - m)) over all
 * entries, 1 <= Z <= n. factor is -1 for beta < 0, so that beta' > 0; for |beta| < 2^-60 it is
 * 2^-64 besides, so that y - m cannot overflow where beta (z - m) is small. For beta' > 2^64 the
 * difference is scaled up instead, so that beta' stays within the range of the kernels; what
 * overflows then is an exponential of 0. All factors are powers of two.
 *
 * The kernels round y - m to float (d). For one probability that error is within its bound, which
 * grows with |ln p|; but in Z such errors can add up when many entries are equal. The sum of e
 * beta' (y - m - d), where the parenthesis is the exact rounding error of the subtraction (Knuth's
 * two-sum), takes them out: Z is left with the errors of the exponentials (1 ulp, 2^-23) and of the
 * kernels' sums (2^-23), below 2.4e-7 relative.
 */
#include "softmax/softmax_on.h"

#include "base/error.h"
#include "base/scalar_math.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { CHUNK_BLOCKS = 16, CHUNK = CHUNK_BLOCKS * PLK_BLOCK, N_LANES = 16 };

typedef struct softmax_input {
    const char *function; /* for messages */
    const plk_kernels *kernels;
    const float *z;
    size_t n;
    double beta;      /* as given */
    float factor;     /* y = factor z */
    double beta_y;    /* beta' = beta / factor, > 0 */
    float spread;     /* the kernels see spread (y - m) if this is not 1 */
    float max;        /* m */
    size_t max_chunk; /* first index of the chunk where m first occurs */
    plk_exponent exponent;
} softmax_input;

/* Values first .. of y, padded with -inf to whole blocks: in z itself or in buffer (CHUNK floats).
 * NaN stays NaN, and the infinities stay what they are. */
static const float *chunk_of(const softmax_input *input, size_t first, size_t *n_blocks,
                             float *buffer)
{
    size_t left = input->n - first;
    size_t n = left < CHUNK ? left : CHUNK;
    const float *z = input->z + first;
    *n_blocks = (n + PLK_BLOCK - 1) / PLK_BLOCK;
    if (n % PLK_BLOCK == 0 && input->factor == 1)
        return z;
    for (size_t i = 0; i < n; i++)
        buffer[i] = isinf(z[i]) ? z[i] : input->factor * z[i];
    for (size_t i = n; i < *n_blocks * PLK_BLOCK; i++)
        buffer[i] = -INFINITY;
    return buffer;
}

/* Finds m, and refuses NaN, +inf, and nothing but -inf. */
static pluck_status find_max(softmax_input *input, pluck_error *err)
{
    float buffer[CHUNK], maxima[CHUNK_BLOCKS];
    for (size_t first = 0; first < input->n; first += CHUNK) {
        size_t n_blocks;
        const float *y = chunk_of(input, first, &n_blocks, buffer);
        if (input->kernels->scan_f32(y, n_blocks, maxima)) {
            size_t i = first;
            while (input->z[i] < INFINITY)
                i++;
            return plk_fail(err, PLUCK_ERR_NAN, "%s: z[%zu] is %s; entries must be finite or -inf",
                            input->function, i, isnan(input->z[i]) ? "NaN" : "+inf");
        }
        for (size_t b = 0; b < n_blocks; b++) {
            if (maxima[b] > input->max) {
                input->max = maxima[b];
                input->max_chunk = first;
            }
        }
    }
    if (input->max == -INFINITY)
        return plk_fail(err, PLUCK_ERR_EMPTY,
                        "%s: every entry is -inf; at least one must be finite", input->function);
    return PLUCK_OK;
}

static pluck_status open_input(softmax_input *input, const char *function,
                               const plk_kernels *kernels, const float *z, size_t n, double beta,
                               const void *output, pluck_error *err)
{
    if (!z || !output)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: input and output must not be NULL", function);
    if (n == 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: n is 0; at least one entry is needed",
                        function);
    if (!isfinite(beta))
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: beta is %g; it must be finite", function,
                        beta);
    *input = (softmax_input){function, kernels, z, n, .beta = beta, .spread = 1, .max = -INFINITY};
    input->factor = fabs(input->beta) < 0x1p-60 ? 0x1p-64f : 1;
    if (beta < 0)
        input->factor = -input->factor;
    input->beta_y = input->beta / (double)input->factor;
    pluck_status status = find_max(input, err);
    if (status != PLUCK_OK)
        return status;
    if (input->beta_y > 0x1p64) {
        input->spread = 0x1p64f;
        input->exponent = plk_exponent_make(0, input->beta_y * 0x1p-64);
    } else {
        input->exponent = plk_exponent_make(input->max, input->beta_y);
    }
    return PLUCK_OK;
}

/* What the kernels take exponentials of: y, or the spread differences in buffer, which may be y. */
static const float *arguments_of(const softmax_input *input, const float *y, size_t n_blocks,
                                 float *buffer)
{
    if (input->spread == 1)
        return y;
    for (size_t i = 0; i < n_blocks * PLK_BLOCK; i++)
        buffer[i] = (y[i] - input->max) * input->spread;
    return buffer;
}

/* Sums over all entries, in N_LANES partial sums so that the order of additions is fixed. */
typedef struct partial_sums {
    double e[N_LANES];    /* of the exponentials */
    double loss[N_LANES]; /* of the exponentials times what y - m lost to rounding */
} partial_sums;

static float lane_sum(const float *v)
{
    return (v[0] + v[N_LANES]) + (v[2 * N_LANES] + v[3 * N_LANES]);
}

/* An exponential below 2^-60 cannot lose anything that matters; its y may even be -inf. Separate
 * short loops, because compilers turn these into vector code. */
static void add_block(const softmax_input *input, const float *y, const float *e,
                      partial_sums *sums)
{
    float m = input->max;
    float losses[PLK_BLOCK];
    for (size_t i = 0; i < PLK_BLOCK; i++) {
        float d = y[i] - m;
        float back = d - y[i];
        losses[i] = ((y[i] - (d - back)) - (m + back)) * e[i];
    }
    for (size_t i = 0; i < PLK_BLOCK; i++)
        losses[i] = e[i] > 0x1p-60f ? losses[i] : 0;
    for (size_t k = 0; k < N_LANES; k++)
        sums->e[k] += (double)lane_sum(e + k);
    for (size_t k = 0; k < N_LANES; k++)
        sums->loss[k] += (double)lane_sum(losses + k);
}

static double total(const double *lanes)
{
    double sum = 0;
    for (size_t k = 0; k < N_LANES; k++)
        sum += lanes[k];
    return sum;
}

/* Z; the exponentials of the entries go to e, which may be z, unless it is NULL. */
static double sum_exponentials(const softmax_input *input, float *e)
{
    float buffer[CHUNK], values[CHUNK];
    partial_sums sums = {{0}, {0}};
    for (size_t first = 0; first < input->n; first += CHUNK) {
        size_t n_blocks;
        const float *y = chunk_of(input, first, &n_blocks, buffer);
        const float *x = arguments_of(input, y, n_blocks, values);
        input->kernels->exp_values(x, n_blocks, input->exponent, values);
        for (size_t i = 0; i < n_blocks * PLK_BLOCK; i += PLK_BLOCK)
            add_block(input, y + i, values + i, &sums);
        size_t left = input->n - first;
        if (e)
            memcpy(e + first, values, (left < CHUNK ? left : CHUNK) * sizeof *e);
    }
    return fmax(1, total(sums.e) + input->beta_y * total(sums.loss));
}

/* How many entries are above -inf: Z at beta = 0. */
static size_t count_allowed(const softmax_input *input)
{
    size_t n = 0;
    for (size_t i = 0; i < input->n; i++)
        n += input->z[i] > -INFINITY;
    return n;
}

static pluck_status softmax(const char *function, const plk_kernels *kernels, const float *z,
                            size_t n, double beta, float *p, pluck_error *err)
{
    softmax_input input = {0};
    pluck_status status = open_input(&input, function, kernels, z, n, beta, p, err);
    if (status != PLUCK_OK)
        return status;
    if (beta == 0) {
        float share = (float)(1 / (double)count_allowed(&input));
        for (size_t i = 0; i < n; i++)
            p[i] = z[i] > -INFINITY ? share : 0;
        return PLUCK_OK;
    }
    float sum = (float)sum_exponentials(&input, p);
    for (size_t i = 0; i < n; i++)
        p[i] /= sum;
    return PLUCK_OK;
}

pluck_status plk_softmax_on(const plk_kernels *kernels, const float *z, size_t n, float beta,
                            float *p, pluck_error *err)
{
    return softmax("pluck_softmax", kernels, z, n, (double)beta, p, err);
}

/* ln Z. */
static double log_sum(const softmax_input *input)
{
    return plk_log(input->beta == 0 ? (double)count_allowed(input) : sum_exponentials(input, NULL));
}

/* m in units of z. */
static double max_of_z(const softmax_input *input)
{
    return (double)input->max / (double)input->factor;
}

pluck_status plk_log_softmax_on(const plk_kernels *kernels, const float *z, size_t n, float beta,
                                float *logprob, pluck_error *err)
{
    softmax_input input = {0};
    pluck_status status =
        open_input(&input, "pluck_log_softmax", kernels, z, n, (double)beta, logprob, err);
    if (status != PLUCK_OK)
        return status;
    double log_z = log_sum(&input);
    double max = max_of_z(&input);
    for (size_t i = 0; i < n; i++) {
        double value = input.beta * ((double)z[i] - max) - log_z;
        double bounded = value < -(double)FLT_MAX ? -(double)FLT_MAX : value;
        logprob[i] = z[i] > -INFINITY ? (float)bounded : -INFINITY;
    }
    return PLUCK_OK;
}

pluck_status plk_logsumexp_on(const plk_kernels *kernels, const float *z, size_t n, float beta,
                              double *lse, pluck_error *err)
{
    softmax_input input = {0};
    pluck_status status =
        open_input(&input, "pluck_logsumexp", kernels, z, n, (double)beta, lse, err);
    if (status != PLUCK_OK)
        return status;
    *lse = input.beta * max_of_z(&input) + log_sum(&input);
    return PLUCK_OK;
}

/*
 * -sum of p ln p = ln Z - beta' (sum of e d) / Z. Here the rounding of y - m stays in: the result
 * is the entropy of entries that differ from z by 2^-24 |beta (z - max z)| at most.
 */
pluck_status plk_entropy_on(const plk_kernels *kernels, const float *z, size_t n, float beta,
                            double *nats, pluck_error *err)
{
    softmax_input input = {0};
    pluck_status status =
        open_input(&input, "pluck_entropy", kernels, z, n, (double)beta, nats, err);
    if (status != PLUCK_OK)
        return status;
    if (beta == 0) {
        *nats = log_sum(&input);
        return PLUCK_OK;
    }
    float buffer[CHUNK];
    double sums[CHUNK_BLOCKS], dots[CHUNK_BLOCKS];
    double sum = 0, dot = 0;
    for (size_t first = 0; first < n; first += CHUNK) {
        size_t n_blocks;
        const float *y = chunk_of(&input, first, &n_blocks, buffer);
        const float *x = arguments_of(&input, y, n_blocks, buffer);
        kernels->exp_dots(x, n_blocks, input.exponent, sums, dots);
        for (size_t b = 0; b < n_blocks; b++) {
            sum += sums[b];
            dot += dots[b];
        }
    }
    double entropy = plk_log(sum) - input.beta_y / (double)input.spread * dot / sum;
    *nats = fmin(fmax(entropy, 0), plk_log((double)n));
    return PLUCK_OK;
}

pluck_status plk_argmax_on(const plk_kernels *kernels, const float *z, size_t n, size_t *index,
                           pluck_error *err)
{
    softmax_input input = {0};
    pluck_status status = open_input(&input, "pluck_argmax", kernels, z, n, 1, index, err);
    if (status != PLUCK_OK)
        return status;
    size_t i = input.max_chunk;
    while (z[i] != input.max)
        i++;
    *index = i;
    return PLUCK_OK;
}

pluck_status plk_softmax_limit_on(const plk_kernels *kernels, const float *z, size_t n,
                                  bool largest, float *p, pluck_error *err)
{
    softmax_input input = {0};
    pluck_status status =
        open_input(&input, "pluck_softmax_limit", kernels, z, n, largest ? 1 : -1, p, err);
    if (status != PLUCK_OK)
        return status;
    float chosen = largest ? input.max : -input.max;
    size_t n_chosen = 0;
    for (size_t i = 0; i < n; i++)
        n_chosen += z[i] == chosen;
    for (size_t i = 0; i < n; i++)
        p[i] = z[i] == chosen ? (float)(1 / (double)n_chosen) : 0;
    return PLUCK_OK;
}

pluck_status plk_softmax_check_on(const plk_kernels *kernels, const char *function, const float *z,
                                  size_t n, float beta, const void *output, pluck_error *err)
{
    softmax_input input = {0};
    return open_input(&input, function, kernels, z, n, (double)beta, output, err);
}

pluck_status plk_softmax_parts_on(const plk_kernels *kernels, const char *function, const float *z,
                                  size_t n, float beta, double *max, double *sum, pluck_error *err)
{
    softmax_input input = {0};
    pluck_status status = open_input(&input, function, kernels, z, n, (double)beta, sum, err);
    if (status != PLUCK_OK)
        return status;
    *max = input.beta * max_of_z(&input);
    /* A small factor may round subnormal entries: too little to matter, but for which is larger. */
    for (size_t i = 0; i < n && fabsf(input.factor) != 1; i++)
        if (z[i] > -INFINITY && input.beta * (double)z[i] > *max)
            *max = input.beta * (double)z[i];
    *sum = beta == 0 ? (double)count_allowed(&input) : sum_exponentials(&input, NULL);
    return PLUCK_OK;
}

/*
 * In parts: (m, s) (+) (m', s') = (M, s e^(m - M) + s' e^(m' - M)), M = max(m, m'): of the two
 * exponentials one is exactly 1, so a merge rounds three times.
 *
 * The mean is kept normalised. It takes in entries a chunk at a time: the chunk's largest score
 * becomes the maximum if it is larger, the old mean is weighed by its share of the old sum, the
 * rows of the chunk are added with their exponentials, and all is divided by the new sum. Scores
 * and rows are read once. Exponentials are those of scalar_math.h: a row of values costs more than
 * one of them, and the additions of a row are independent, so that compilers make vector code of
 * them without changing a bit.
 */

static pluck_status check_state(const char *function, const pluck_softmax_state *state,
                                pluck_error *err)
{
    if (!state)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: state is NULL", function);
    if (state->sum == 0 || (state->sum >= 1 && isfinite(state->sum) && isfinite(state->max)))
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_INVALID,
                    "%s: max %g and sum %g are not a state; sum must be 0 or at least 1, and both "
                    "must be finite",
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

pluck_status plk_softmax_state_probs_on(const plk_kernels *kernels,
                                        const pluck_softmax_state *state, const float *z, size_t n,
                                        float beta, float *p, pluck_error *err)
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
                            "%s: entry %zu is larger than every entry of the state", function, i);
    for (size_t i = 0; i < n; i++) {
        bool banned = !(z[i] > -INFINITY);
        p[i] = banned ? 0 : (float)(plk_exp(scaled(beta, z[i]) - state->max) / state->sum);
    }
    return PLUCK_OK;
}

enum { MEAN_CHUNK = 256 };

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

pluck_status plk_softmax_state_add_mean_on(const plk_kernels *kernels, pluck_softmax_state *state,
                                           double *mean, const float *z, size_t n, float beta,
                                           const float *v, size_t dim, pluck_error *err)
{
    static const char function[] = "pluck_softmax_state_add_mean";
    bool any = false;
    double weights[MEAN_CHUNK];
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
    for (size_t first = 0; first < n; first += MEAN_CHUNK) {
        size_t n_chunk = n - first < MEAN_CHUNK ? n - first : MEAN_CHUNK;
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

pluck_status plk_softmax_state_merge_mean(pluck_softmax_state *state, double *mean,
                                          const pluck_softmax_state *other,
                                          const double *other_mean, size_t dim, pluck_error *err)
{
    static const char function[] = "pluck_softmax_state_merge_mean";
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
