/*
 * A log-uniform draw inverts the cumulated proposal: P(k < K) = ln(K + 1) / ln(n + 1), so that k =
 * floor((n + 1)^u) - 1. Which tokens have come is a bit each, cleared after use through the list of
 * tokens, so that a draw costs what it yields and not n_vocab.
 *
 * -expm1(t log1p(-P)) is computed without expm1 and log1p, which the system's libm rounds as it
 * likes: log1p(-P) = ln w (-P) / (w - 1) with w = fl(1 - P), and expm1(x) = (v - 1) x / ln v with v
 * = fl(e^x) (W. Kahan; see N. Higham, "Accuracy and Stability of Numerical Algorithms", section
 * 1.14.1). Both are within a few ulps although w and v are rounded.
 */
#include <pluck/sampled_softmax.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"
#include "simd/fp_state.h"
#include "softmax/softmax_on.h"

#include <math.h>
#include <string.h>

struct pluck_candidate_sampler {
    pluck_allocator allocator;
    uint32_t n_vocab;
    double log_range; /* ln(n_vocab + 1) */
    uint64_t *seen;   /* one bit per token; all 0 between calls */
};

pluck_status pluck_candidate_sampler_create(pluck_candidate_sampler **out, uint32_t n_vocab,
                                            const pluck_allocator *allocator, pluck_error *err)
{
    static const char function[] = "pluck_candidate_sampler_create";
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: out must not be NULL", function);
    *out = NULL;
    if (n_vocab == 0 || n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: n_vocab = %u is outside [1, 2^24]", function,
                        n_vocab);
    pluck_allocator memory = plk_allocator_or_default(allocator);
    size_t n_words = ((size_t)n_vocab + 63) / 64;
    pluck_candidate_sampler *candidates = plk_alloc(&memory, 1, sizeof *candidates);
    uint64_t *seen = plk_alloc_zero(&memory, n_words, sizeof *seen);
    if (!candidates || !seen) {
        plk_free(&memory, candidates);
        plk_free(&memory, seen);
        return plk_fail_nomem(err, n_words * sizeof *seen);
    }
    plk_fp_state fp = plk_fp_enter();
    *candidates = (pluck_candidate_sampler){memory, n_vocab, plk_log((double)n_vocab + 1), seen};
    plk_fp_leave(fp);
    *out = candidates;
    return PLUCK_OK;
}

void pluck_candidate_sampler_destroy(pluck_candidate_sampler **candidates)
{
    if (!candidates || !*candidates)
        return;
    pluck_allocator allocator = (*candidates)->allocator;
    plk_free(&allocator, (*candidates)->seen);
    plk_free(&allocator, *candidates);
    *candidates = NULL;
}

/* Whether the token had not been marked. */
static bool mark(pluck_candidate_sampler *candidates, pluck_token token)
{
    uint64_t *word = &candidates->seen[(uint32_t)token / 64];
    uint64_t bit = (uint64_t)1 << (uint32_t)token % 64;
    bool is_new = !(*word & bit);
    *word |= bit;
    return is_new;
}

static void clear_marks(pluck_candidate_sampler *candidates, const pluck_token *tokens, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        candidates->seen[(uint32_t)tokens[i] / 64] = 0;
}

pluck_status pluck_candidate_sampler_draw(pluck_candidate_sampler *candidates, pluck_pcg64 *rng,
                                          uint32_t n, bool unique, pluck_token *tokens,
                                          uint64_t *n_tries, pluck_error *err)
{
    static const char function[] = "pluck_candidate_sampler_draw";
    if (!candidates || !rng || !tokens || !n_tries)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: sampler, rng, tokens and n_tries must not be NULL", function);
    if (n == 0 || (unique && n > candidates->n_vocab))
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: n is %u; it must be from 1 to %s", function, n,
                        unique ? "n_vocab" : "2^32 - 1");
    plk_fp_state fp = plk_fp_enter();
    double last = (double)(candidates->n_vocab - 1);
    uint64_t tries = 0;
    for (uint32_t done = 0; done < n; tries++) {
        double value = floor(plk_exp(pluck_pcg64_uniform(rng) * candidates->log_range)) - 1;
        pluck_token token = (pluck_token)(value < 0 ? 0 : value > last ? last : value);
        if (!unique || mark(candidates, token))
            tokens[done++] = token;
    }
    if (unique)
        clear_marks(candidates, tokens, n);
    *n_tries = tries;
    plk_fp_leave(fp);
    return PLUCK_OK;
}

static pluck_status check_token(const pluck_candidate_sampler *candidates, const char *function,
                                pluck_token token, const double *out, pluck_error *err)
{
    if (!candidates || !out)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: sampler and the output must not be NULL",
                        function);
    if (token < 0 || (uint32_t)token >= candidates->n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: token %d is outside [0, %u]", function,
                        (int)token, candidates->n_vocab - 1);
    return PLUCK_OK;
}

/* ln(1 + x), |x| < 1. */
static double log_1_plus(double x)
{
    double w = 1 + x;
    return w == 1 ? x : plk_log(w) * x / (w - 1);
}

/* e^x - 1, x <= 0. */
static double exp_minus_1(double x)
{
    double v = plk_exp(x);
    if (v == 1)
        return x;
    return v - 1 == -1 ? -1 : (v - 1) * x / plk_log(v);
}

/* ln((k + 2) / (k + 1)) = ln(1 + 1 / (k + 1)). */
static double proposal(const pluck_candidate_sampler *candidates, pluck_token token)
{
    double next = (double)token + 1;
    double log_ratio = token == 0 ? plk_log(2) : log_1_plus(1 / next);
    return log_ratio / candidates->log_range;
}

pluck_status pluck_candidate_sampler_probability(const pluck_candidate_sampler *candidates,
                                                 pluck_token token, double *probability,
                                                 pluck_error *err)
{
    pluck_status status =
        check_token(candidates, "pluck_candidate_sampler_probability", token, probability, err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter();
    *probability = proposal(candidates, token);
    plk_fp_leave(fp);
    return PLUCK_OK;
}

pluck_status pluck_candidate_sampler_expected(const pluck_candidate_sampler *candidates,
                                              pluck_token token, uint64_t n_tries, bool unique,
                                              double *expected, pluck_error *err)
{
    static const char function[] = "pluck_candidate_sampler_expected";
    pluck_status status = check_token(candidates, function, token, expected, err);
    if (status == PLUCK_OK && n_tries == 0)
        status = plk_fail(err, PLUCK_ERR_INVALID, "%s: n_tries must be at least 1", function);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter();
    double p = proposal(candidates, token), tries = (double)n_tries;
    if (!unique)
        *expected = tries * p;
    else /* a vocabulary of one: P = 1 */
        *expected = p >= 1 ? 1 : -exp_minus_1(tries * log_1_plus(-p));
    plk_fp_leave(fp);
    return PLUCK_OK;
}

pluck_status pluck_candidate_sampler_partition(pluck_candidate_sampler *candidates,
                                               const pluck_token *targets, size_t n_targets,
                                               uint32_t max_unique, pluck_token *tokens,
                                               uint32_t *n_unique, size_t *n_used, pluck_error *err)
{
    static const char function[] = "pluck_candidate_sampler_partition";
    if (!candidates || !targets || !tokens || !n_unique || !n_used)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: sampler, targets, tokens, n_unique and n_used must not be NULL",
                        function);
    if (max_unique == 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: max_unique must be at least 1", function);
    uint32_t n = 0;
    size_t used = 0;
    bool is_good = true;
    for (; used < n_targets; used++) {
        is_good = targets[used] >= 0 && (uint32_t)targets[used] < candidates->n_vocab;
        if (!is_good)
            break;
        uint64_t word = candidates->seen[(uint32_t)targets[used] / 64];
        if (word >> (uint32_t)targets[used] % 64 & 1)
            continue;
        if (n == max_unique)
            break;
        (void)mark(candidates, targets[used]);
        tokens[n++] = targets[used];
    }
    clear_marks(candidates, tokens, n);
    if (!is_good)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: targets[%zu] = %d is outside [0, %u]",
                        function, used, (int)targets[used], candidates->n_vocab - 1);
    *n_unique = n;
    *n_used = used;
    return PLUCK_OK;
}

static pluck_status check_inputs(const plk_kernels *kernels, const float *logits,
                                 const double *expected, const pluck_token *tokens, size_t n,
                                 const float *gradient, pluck_error *err)
{
    static const char function[] = "pluck_sampled_softmax";
    if (!expected || !tokens)
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: expected and tokens must not be NULL",
                        function);
    pluck_status status = plk_softmax_check_on(kernels, function, logits, n, 1, gradient, err);
    if (status != PLUCK_OK)
        return status;
    if (!(logits[0] > -INFINITY))
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: logits[0], of the target, must not be -inf",
                        function);
    for (size_t i = 0; i < n; i++)
        if (!(expected[i] > 0 && isfinite(expected[i])))
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "%s: expected[%zu] is %g; it must be above 0 and finite", function, i,
                            expected[i]);
    return PLUCK_OK;
}

pluck_status pluck_sampled_softmax(const float *logits, const double *expected,
                                   const pluck_token *tokens, size_t n, double *loss,
                                   float *gradient, pluck_error *err)
{
    const plk_kernels *kernels = plk_kernels_get(PLUCK_ISA_BEST);
    if (!loss)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_sampled_softmax: loss must not be NULL");
    plk_fp_state fp = plk_fp_enter();
    pluck_status status = check_inputs(kernels, logits, expected, tokens, n, gradient, err);
    if (status == PLUCK_OK) {
        for (size_t i = 0; i < n; i++) {
            bool is_hit = i > 0 && tokens[i] == tokens[0];
            gradient[i] = is_hit ? -INFINITY : (float)((double)logits[i] - plk_log(expected[i]));
        }
        status = plk_cross_entropy_on(kernels, gradient, n, 1, 0, loss, gradient, err);
    }
    plk_fp_leave(fp);
    return status;
}
