/*
 * A chunk of 1,024 values at a time, as floats. One pass over each row finds its largest value and
 * what is wrong with it, one the sum of its exponentials; a pass over both asks whether anything
 * will be left, and the last one combines them in double.
 *
 * The normalisers are those of the kernels: exponentials within 1 ulp of exp of a difference that
 * is rounded to float, so that ln Z is off by 2^-24 times the mean of max - x under the
 * distribution (at most ln n + 1 < 18) and 5e-7 for exponentials and sums: below 2e-6. They move
 * all results of a row alike.
 */
#include "softmax/softmax_on.h"

#include "base/error.h"
#include "base/scalar_math.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { CHUNK_BLOCKS = 16, CHUNK = CHUNK_BLOCKS * PLK_BLOCK };

typedef struct row {
    const plk_kernels *kernels;
    const char *name;
    pluck_logits logits;
    float max;
    double log_sum; /* ln of the sum of exp(x - max) */
} row;

/* The values from first on, at most a chunk, padded with -inf to whole blocks; returns how many. */
static uint32_t read_chunk(const row *r, uint32_t first, float buffer[CHUNK])
{
    uint32_t left = r->logits.n_vocab - first, n = left < CHUNK ? left : CHUNK;
    const char *from =
        (const char *)r->logits.data + first * pluck_dtype_size_bytes(r->logits.dtype);
    if (r->logits.dtype == PLUCK_F16)
        r->kernels->widen_f16(from, n, buffer);
    else if (r->logits.dtype == PLUCK_BF16)
        r->kernels->widen_bf16(from, n, buffer);
    else
        memcpy(buffer, from, n * sizeof *buffer);
    for (uint32_t i = n; i % PLK_BLOCK != 0; i++)
        buffer[i] = -INFINITY;
    return n;
}

static pluck_status find_max(row *r, pluck_error *err)
{
    r->max = -INFINITY;
    for (uint32_t first = 0; first < r->logits.n_vocab; first += CHUNK) {
        float x[CHUNK];
        uint32_t n = read_chunk(r, first, x);
        for (uint32_t i = 0; i < n; i++) {
            if (!(x[i] < INFINITY))
                return plk_fail(err, PLUCK_ERR_NAN, "%s: the logit of token %u is %s", r->name,
                                first + i, isnan(x[i]) ? "NaN" : "+inf");
            if (x[i] > r->max)
                r->max = x[i];
        }
    }
    if (r->max == -INFINITY)
        return plk_fail(err, PLUCK_ERR_EMPTY, "%s: every logit is -inf", r->name);
    return PLUCK_OK;
}

static void normalise(row *r)
{
    plk_exponent exponent = plk_exponent_make(r->max, 1.0);
    double sum = 0.0;
    for (uint32_t first = 0; first < r->logits.n_vocab; first += CHUNK) {
        float x[CHUNK];
        double sums[CHUNK_BLOCKS];
        size_t n_blocks = (read_chunk(r, first, x) + PLK_BLOCK - 1) / PLK_BLOCK;
        r->kernels->exp_sums(x, n_blocks, exponent, sums);
        for (size_t b = 0; b < n_blocks; b++)
            sum += sums[b];
    }
    r->log_sum = plk_log(sum);
}

static pluck_status open_rows(row *a, row *b, const float *out, pluck_error *err)
{
    row *const rows[] = {a, b};
    for (int i = 0; i < 2; i++) {
        pluck_logits logits = rows[i]->logits;
        if (!logits.data || !out)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "out and the logits of both rows must not be NULL");
        if (!plk_is_logit_dtype(logits.dtype))
            return plk_fail(err, PLUCK_ERR_INVALID, "dtype %d is not a pluck_dtype",
                            (int)logits.dtype);
        if (logits.n_vocab < 1 || logits.n_vocab > PLUCK_MAX_VOCAB)
            return plk_fail(err, PLUCK_ERR_INVALID, "n_vocab = %u is outside [1, %u]",
                            logits.n_vocab, PLUCK_MAX_VOCAB);
    }
    if (a->logits.n_vocab != b->logits.n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s has %u logits, %s has %u; expected the same number", a->name,
                        a->logits.n_vocab, b->name, b->logits.n_vocab);
    for (int i = 0; i < 2; i++) {
        pluck_status status = find_max(rows[i], err);
        if (status != PLUCK_OK)
            return status;
        normalise(rows[i]);
    }
    return PLUCK_OK;
}

/* What is left where both logits are finite: the first row's at least threshold, and what the two
 * log-probabilities are to give. */
typedef struct combination {
    double least; /* of a's logit minus its largest */
    double a, b;  /* factors of the log-probabilities */
} combination;

static bool is_kept(const combination *c, const row *a, float x, float y)
{
    return x > -INFINITY && y > -INFINITY && (double)x - (double)a->max >= c->least;
}

static float in_range(double x)
{
    if (x > (double)FLT_MAX)
        return FLT_MAX;
    return x < -(double)FLT_MAX ? -FLT_MAX : (float)x;
}

static bool any_is_kept(const combination *c, const row *a, const row *b)
{
    for (uint32_t first = 0; first < a->logits.n_vocab; first += CHUNK) {
        float x[CHUNK], y[CHUNK];
        uint32_t n = read_chunk(a, first, x);
        read_chunk(b, first, y);
        for (uint32_t i = 0; i < n; i++)
            if (is_kept(c, a, x[i], y[i]))
                return true;
    }
    return false;
}

static pluck_status combine(const combination *c, const row *a, const row *b, float *out,
                            pluck_error *err)
{
    if (!any_is_kept(c, a, b))
        return plk_fail(err, PLUCK_ERR_EMPTY, "no token is above -inf in both rows");
    for (uint32_t first = 0; first < a->logits.n_vocab; first += CHUNK) {
        float x[CHUNK], y[CHUNK];
        uint32_t n = read_chunk(a, first, x);
        read_chunk(b, first, y);
        for (uint32_t i = 0; i < n; i++) {
            double p = (double)x[i] - (double)a->max - a->log_sum;
            double q = (double)y[i] - (double)b->max - b->log_sum;
            x[i] = is_kept(c, a, x[i], y[i]) ? in_range(c->a * p + c->b * q) : -INFINITY;
        }
        memcpy(out + first, x, n * sizeof *out);
    }
    return PLUCK_OK;
}

pluck_status plk_guidance_combine_on(const plk_kernels *kernels, pluck_logits conditional,
                                     pluck_logits unconditional, double scale, float *out,
                                     pluck_error *err)
{
    row a = {.kernels = kernels, .name = "conditional", .logits = conditional};
    row b = {.kernels = kernels, .name = "unconditional", .logits = unconditional};
    combination c = {.least = -(double)INFINITY, .a = scale, .b = 1.0 - scale};
    if (!isfinite(scale))
        return plk_fail(err, PLUCK_ERR_INVALID, "scale is not finite");
    pluck_status status = open_rows(&a, &b, out, err);
    return status == PLUCK_OK ? combine(&c, &a, &b, out, err) : status;
}

pluck_status plk_guidance_contrast_on(const plk_kernels *kernels, pluck_logits expert,
                                      pluck_logits amateur, double alpha, float *out,
                                      pluck_error *err)
{
    row a = {.kernels = kernels, .name = "expert", .logits = expert};
    row b = {.kernels = kernels, .name = "amateur", .logits = amateur};
    combination c = {.least = plk_log(alpha), .a = 1.0, .b = -1.0};
    if (!(alpha >= 0.0) || alpha > 1.0)
        return plk_fail(err, PLUCK_ERR_INVALID, "alpha = %g is outside [0, 1]", alpha);
    pluck_status status = open_rows(&a, &b, out, err);
    return status == PLUCK_OK ? combine(&c, &a, &b, out, err) : status;
}
