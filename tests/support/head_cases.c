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
    double value = rint(test_random_normal(random) * scale * 64) / 64;
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
    uint32_t exponent = (bits >> 23 & 0xFF) - 127 + 15;
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
    size_t bytes = pluck_dtype_size_bytes(c->dtype);
    c->weights = malloc((n + 1) * bytes);
    for (size_t i = 0; i < n; i++) {
        float value = random_weight(random, scale);
        uint16_t half = narrow(value, c->dtype);
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
    uint32_t n = c->n_vocab;
    int64_t *counts = malloc(n * sizeof *counts);
    for (uint32_t t = 0; t < n; t++)
        counts[t] = 1000 / (1 + (int64_t)test_random_below(random, 300));
    pluck_status status = pluck_tree_create_huffman(&c->tree, counts, n, NULL, err);
    free(counts);
    if (status)
        return status;
    make_weights(c, random, (size_t)(n - 1) * c->dim, 1.2 / sqrt(c->dim));
    make_bias(c, random, n - 1);
    c->sign = (pluck_tree_sign)test_random_below(random, 2);
    pluck_matrix nodes = {.data = c->weights, .dtype = c->dtype, .n_rows = n - 1, .n_cols = c->dim};
    return pluck_head_create_hierarchical(&c->head, c->tree, &nodes, c->bias, c->sign, NULL, err);
}

static pluck_status make_dense(head_case *c, test_random *random, pluck_error *err)
{
    make_weights(c, random, (size_t)c->n_vocab * c->dim, 2 / sqrt(c->dim));
    make_bias(c, random, c->n_vocab);
    pluck_matrix weights = {
        .data = c->weights, .dtype = c->dtype, .n_rows = c->n_vocab, .n_cols = c->dim};
    return pluck_head_create_dense(&c->head, &weights, c->bias, NULL, err);
}

/* The matrix of n_rows x n_cols that begins at weight first. */
static pluck_matrix matrix_at(const head_case *c, size_t first, uint32_t n_rows, uint32_t n_cols)
{
    size_t bytes = pluck_dtype_size_bytes(c->dtype);
    return (pluck_matrix){.data = (const char *)c->weights + first * bytes,
                          .dtype = c->dtype,
                          .n_rows = n_rows,
                          .n_cols = n_cols};
}

/* Cuts n_tokens into n_parts pieces of at least one. */
static void cut_tokens(head_case *c, test_random *random, uint32_t n_tokens)
{
    for (uint32_t i = 0; i < c->n_parts; i++) {
        uint32_t left = n_tokens - (c->n_parts - 1 - i);
        c->sizes[i] = i + 1 == c->n_parts ? left : 1 + (uint32_t)test_random_below(random, left);
        n_tokens -= c->sizes[i];
    }
}

static uint32_t short_list_of(const head_case *c)
{
    uint32_t n = c->n_vocab;
    for (uint32_t i = 0; i < c->n_parts; i++)
        n -= c->sizes[i];
    return n;
}

static pluck_status make_adaptive(head_case *c, test_random *random, pluck_error *err)
{
    uint32_t most = c->n_vocab - 1 < 4 ? c->n_vocab - 1 : 4;
    pluck_head_tail tails[4];
    if (most > 0 && test_random_below(random, 8) > 0)
        c->n_parts = 1 + (uint32_t)test_random_below(random, most);
    if (c->n_parts > 0)
        cut_tokens(c, random,
                   c->n_parts + (uint32_t)test_random_below(random, c->n_vocab - c->n_parts));
    uint32_t n_root = short_list_of(c) + c->n_parts;
    size_t at = (size_t)n_root * c->dim, n = at;
    for (uint32_t i = 0; i < c->n_parts; i++) {
        c->widths[i] = c->dim >> (i + 1) ? c->dim >> (i + 1) : 1;
        n += (size_t)c->widths[i] * (c->dim + c->sizes[i]);
    }
    make_weights(c, random, n, 1.5 / sqrt(c->dim));
    make_bias(c, random, n_root);
    for (uint32_t i = 0; i < c->n_parts; i++) {
        tails[i].projection = matrix_at(c, at, c->widths[i], c->dim);
        at += (size_t)c->widths[i] * c->dim;
        tails[i].output = matrix_at(c, at, c->sizes[i], c->widths[i]);
        at += (size_t)c->widths[i] * c->sizes[i];
    }
    pluck_matrix root = matrix_at(c, 0, n_root, c->dim);
    return pluck_head_create_adaptive(&c->head, &root, c->bias, tails, c->n_parts, NULL, err);
}

static pluck_status make_differentiated(head_case *c, test_random *random, pluck_error *err)
{
    pluck_head_band bands[4];
    uint32_t most = c->n_vocab < 4 ? c->n_vocab : 4;
    size_t n = 0, at = 0;
    c->n_parts = 1 + (uint32_t)test_random_below(random, most);
    cut_tokens(c, random, c->n_vocab);
    for (uint32_t i = 0; i < c->n_parts; i++) {
        c->firsts[i] = (uint32_t)test_random_below(random, c->dim);
        c->widths[i] = 1 + (uint32_t)test_random_below(random, c->dim - c->firsts[i]);
        n += (size_t)c->sizes[i] * c->widths[i];
    }
    make_weights(c, random, n, 2 / sqrt(c->dim));
    make_bias(c, random, c->n_vocab);
    for (uint32_t i = 0; i < c->n_parts; i++) {
        bands[i].weights = matrix_at(c, at, c->sizes[i], c->widths[i]);
        bands[i].first = c->firsts[i];
        at += (size_t)c->sizes[i] * c->widths[i];
    }
    return pluck_head_create_differentiated(&c->head, c->dim, bands, c->n_parts, c->bias, NULL,
                                            err);
}

head_case head_case_make(pluck_head_kind kind, uint64_t seed, uint32_t n_vocab, uint32_t dim)
{
    test_random random = test_random_make(seed);
    head_case c = {.kind = kind, .seed = seed, .n_vocab = n_vocab, .dim = dim};
    pluck_error err;
    c.dtype = (pluck_dtype)test_random_below(&random, 3);
    pluck_status (*const make[])(head_case *, test_random *, pluck_error *) = {
        make_dense, make_hierarchical, make_adaptive, make_differentiated};
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
    uint32_t n = c->n_vocab;
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

static long double bias_of(const head_case *c, size_t i)
{
    return c->bias ? (long double)c->bias[i] : 0;
}

static void adaptive_logprobs(const head_case *c, const float *hidden, long double *logprobs)
{
    uint32_t n_short = short_list_of(c), n_root = n_short + c->n_parts;
    long double *root = calloc(n_root, sizeof *root);
    for (uint32_t i = 0; i < n_root; i++)
        root[i] = row_dot(c, 0, i, c->dim, hidden) + bias_of(c, i);
    log_softmax(root, n_root);
    memcpy(logprobs, root, n_short * sizeof *root);
    size_t at = (size_t)n_root * c->dim;
    uint32_t token = n_short;
    for (uint32_t p = 0; p < c->n_parts; p++) {
        long double *tail = logprobs + token;
        for (uint32_t t = 0; t < c->sizes[p]; t++) {
            tail[t] = 0;
            for (uint32_t k = 0; k < c->widths[p]; k++)
                tail[t] += (long double)widened(c, at + (size_t)c->widths[p] * c->dim +
                                                       (size_t)t * c->widths[p] + k) *
                           row_dot(c, at, k, c->dim, hidden);
        }
        log_softmax(tail, c->sizes[p]);
        for (uint32_t t = 0; t < c->sizes[p]; t++)
            tail[t] += root[n_short + p];
        at += (size_t)c->widths[p] * (c->dim + c->sizes[p]);
        token += c->sizes[p];
    }
    free(root);
}

static void differentiated_logprobs(const head_case *c, const float *hidden, long double *logprobs)
{
    size_t at = 0, token = 0;
    for (uint32_t p = 0; p < c->n_parts; p++) {
        for (uint32_t t = 0; t < c->sizes[p]; t++, token++)
            logprobs[token] =
                row_dot(c, at, t, c->widths[p], hidden + c->firsts[p]) + bias_of(c, token);
        at += (size_t)c->sizes[p] * c->widths[p];
    }
    log_softmax(logprobs, c->n_vocab);
}

void head_case_logprobs(const head_case *c, const float *hidden, long double *logprobs)
{
    if (c->kind == PLUCK_HEAD_HIERARCHICAL) {
        hierarchical_logprobs(c, hidden, logprobs);
    } else if (c->kind == PLUCK_HEAD_ADAPTIVE) {
        adaptive_logprobs(c, hidden, logprobs);
    } else if (c->kind == PLUCK_HEAD_DIFFERENTIATED) {
        differentiated_logprobs(c, hidden, logprobs);
    } else {
        for (uint32_t t = 0; t < c->n_vocab; t++)
            logprobs[t] = row_dot(c, 0, t, c->dim, hidden) + bias_of(c, t);
        log_softmax(logprobs, c->n_vocab);
    }
}

const char *head_case_text(const head_case *c)
{
    static char text[128];
    (void)snprintf(
        text, sizeof text, "%s head, seed %" PRIu64 ", n_vocab %" PRIu32 ", dim %" PRIu32 ", %s",
        pluck_head_kind_name(c->kind), c->seed, c->n_vocab, c->dim, pluck_dtype_name(c->dtype));
    return text;
}
