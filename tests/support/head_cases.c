/*
 * Random heads. Weights are multiples of 1/64 of small size, exact in all three types, so that one
 * matrix of floats is what the reference reads and what every type stores.
 */
#include "support/head_cases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float random_weight(test_random *random, double scale)
{
    const double value = rint(test_random_normal(random) * scale * 64) / 64;
    return (float)fmax(-3.5, fmin(3.5, value));
}

/* A float of 8 significant bits at most, as f16 or bf16. */
static uint16_t narrow(float x, pluck_dtype dtype)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (dtype == PLUCK_BF16)
        return (uint16_t)(bits >> 16);
    if (x == 0)
        return 0;
    const uint32_t exponent = (bits >> 23 & 0xFF) - 127 + 15;
    return (uint16_t)((bits >> 16 & 0x8000) | exponent << 10 | (bits >> 13 & 0x3FF));
}

static float widened(const head_case *c, size_t i)
{
    float x;
    if (c->dtype == PLUCK_F32) {
        memcpy(&x, (const char *)c->weights + i * 4, sizeof x);
        return x;
    }
    uint16_t half;
    memcpy(&half, (const char *)c->weights + i * 2, sizeof half);
    uint32_t bits = (uint32_t)half << 16;
    if (c->dtype == PLUCK_F16)
        bits = half == 0
                   ? 0
                   : ((uint32_t)half & 0x8000) << 16 | ((uint32_t)(half >> 10 & 0x1F) + 112) << 23 |
                         ((uint32_t)half & 0x3FF) << 13;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void make_weights(head_case *c, test_random *random, size_t n, double scale)
{
    const size_t bytes = pluck_dtype_size_bytes(c->dtype);
    c->weights = malloc((n + 1) * bytes);
    for (size_t i = 0; i < n; i++) {
        const float value = random_weight(random, scale);
        const uint16_t half = narrow(value, c->dtype);
        memcpy((char *)c->weights + i * bytes, c->dtype == PLUCK_F32 ? (const void *)&value : &half,
               bytes);
    }
}

static void make_bias(head_case *c, test_random *random, size_t n)
{
    if (test_random_below(random, 2))
        return;
    c->bias = malloc((n + 1) * sizeof *c->bias);
    for (size_t i = 0; i < n; i++)
        c->bias[i] = random_weight(random, 0.5);
}

static pluck_status make_hierarchical(head_case *c, test_random *random, pluck_error *err)
{
    const uint32_t n = c->n_vocab;
    int64_t *counts = malloc(n * sizeof *counts);
    for (uint32_t t = 0; t < n; t++)
        counts[t] = 1000 / (1 + (int64_t)test_random_below(random, 300));
    pluck_status status = pluck_tree_huffman(&c->tree, counts, n, NULL, err);
    free(counts);
    if (status)
        return status;
    make_weights(c, random, (size_t)(n - 1) * c->dim, 1.2 / sqrt(c->dim));
    make_bias(c, random, n - 1);
    c->sign = (pluck_tree_sign)test_random_below(random, 2);
    const pluck_matrix nodes = {c->weights, c->dtype, n - 1, c->dim};
    return pluck_head_create_hierarchical(&c->head, c->tree, &nodes, c->bias, c->sign, NULL, err);
}

static pluck_status make_dense(head_case *c, test_random *random, pluck_error *err)
{
    make_weights(c, random, (size_t)c->n_vocab * c->dim, 2 / sqrt(c->dim));
    make_bias(c, random, c->n_vocab);
    const pluck_matrix weights = {c->weights, c->dtype, c->n_vocab, c->dim};
    return pluck_head_create_dense(&c->head, &weights, c->bias, NULL, err);
}

head_case head_case_make(pluck_head_kind kind, uint64_t seed, uint32_t n_vocab, uint32_t dim)
{
    test_random random = test_random_make(seed);
    head_case c = {.kind = kind, .seed = seed, .n_vocab = n_vocab, .dim = dim};
    pluck_error err;
    c.dtype = (pluck_dtype)test_random_below(&random, 3);
    pluck_status (*const make[])(head_case *, test_random *, pluck_error *) = {make_dense,
                                                                               make_hierarchical};
    if (make[kind](&c, &random, &err) != PLUCK_OK)
        fail_msg("%s: %s", head_case_text(&c), err.message);
    return c;
}

void head_case_free(head_case *c)
{
    pluck_head_destroy(&c->head);
    pluck_tree_destroy(&c->tree);
    free(c->weights);
    free(c->bias);
}

void head_case_hidden(test_random *random, const head_case *c, float *hidden)
{
    for (uint32_t j = 0; j < c->dim; j++)
        hidden[j] = (float)test_random_normal(random);
}

/* Row row of the matrix of n_cols columns that begins at weight first. */
static long double row_dot(const head_case *c, size_t first, size_t row, size_t n_cols,
                           const float *x)
{
    long double sum = 0;
    for (size_t j = 0; j < n_cols; j++)
        sum += (long double)widened(c, first + row * n_cols + j) * (long double)x[j];
    return sum;
}

static void log_softmax(long double *x, size_t n)
{
    long double max = x[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        max = fmaxl(max, x[i]);
    for (size_t i = 0; i < n; i++)
        sum += expl(x[i] - max);
    for (size_t i = 0; i < n; i++)
        x[i] -= max + logl(sum);
}

static long double log_sigmoid(long double x)
{
    return x < 0 ? x - log1pl(expl(x)) : -log1pl(expl(-x));
}

static void hierarchical_logprobs(const head_case *c, const float *hidden, long double *logprobs)
{
    const int32_t *children = pluck_tree_children(c->tree);
    const uint32_t n = c->n_vocab;
    long double *all = calloc(2 * (size_t)n, sizeof *all);
    for (uint32_t i = n - 1; i-- > 0;) {
        long double x = row_dot(c, 0, i, c->dim, hidden) + (c->bias ? (long double)c->bias[i] : 0);
        if (c->sign == PLUCK_TREE_LEFT)
            x = -x;
        all[children[2 * (size_t)i]] = all[n + i] + log_sigmoid(-x);
        all[children[2 * (size_t)i + 1]] = all[n + i] + log_sigmoid(x);
    }
    memcpy(logprobs, all, n * sizeof *all);
    free(all);
}

void head_case_logprobs(const head_case *c, const float *hidden, long double *logprobs)
{
    if (c->kind == PLUCK_HEAD_HIERARCHICAL) {
        hierarchical_logprobs(c, hidden, logprobs);
        return;
    }
    for (uint32_t t = 0; t < c->n_vocab; t++)
        logprobs[t] = row_dot(c, 0, t, c->dim, hidden) + (c->bias ? (long double)c->bias[t] : 0);
    log_softmax(logprobs, c->n_vocab);
}

const char *head_case_text(const head_case *c)
{
    static char text[128];
    (void)snprintf(
        text, sizeof text, "%s head, seed %" PRIu64 ", n_vocab %" PRIu32 ", dim %" PRIu32 ", %s",
        pluck_head_kind_name(c->kind), c->seed, c->n_vocab, c->dim, pluck_dtype_name(c->dtype));
    return text;
}
