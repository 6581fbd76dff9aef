/*
 * From a line to labels. The hidden state is summed in float in the order of the features and
 * multiplied by the rounded 1/n, as fastText does it, so that both put the same vector into the
 * output layer; from there on the exact prediction is that of the head.
 */
#include "heads/fasttext/fasttext_impl.h"

#include "base/alloc.h"
#include "base/error.h"
#include "simd/scalar_math.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

pluck_status pluck_fasttext_query_create(pluck_fasttext_query **out, const pluck_fasttext *model,
                                         const pluck_allocator *allocator, pluck_error *err)
{
    if (!out || !model)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_fasttext_query_create: out and model must not be NULL");
    *out = NULL;
    pluck_allocator memory = plk_allocator_or_default(allocator);
    size_t dim = (size_t)model->file.args.dim, n = model->n_outputs;
    pluck_fasttext_query *query = plk_alloc_zero(&memory, 1, sizeof *query);
    if (!query)
        return plk_fail_nomem(err, sizeof *query);
    query->allocator = memory;
    query->line.allocator = memory;
    query->model = model;
    query->hidden = plk_alloc(&memory, dim, sizeof *query->hidden);
    query->scored = plk_alloc(&memory, n, sizeof *query->scored);
    query->candidates = plk_alloc(&memory, n, sizeof *query->candidates);
    pluck_status status =
        query->hidden && query->scored && query->candidates
            ? pluck_head_query_create(&query->head_query, model->head, &memory, err)
            : plk_fail_nomem(err, n * sizeof *query->scored);
    if (status != PLUCK_OK)
        pluck_fasttext_query_destroy(&query);
    *out = query;
    return status;
}

void pluck_fasttext_query_destroy(pluck_fasttext_query **query)
{
    if (!query || !*query)
        return;
    pluck_fasttext_query *q = *query;
    pluck_allocator allocator = q->allocator;
    pluck_head_query_destroy(&q->head_query);
    plk_free(&allocator, q->line.features);
    plk_free(&allocator, q->line.hashes);
    plk_free(&allocator, q->line.word);
    plk_free(&allocator, q->hidden);
    plk_free(&allocator, q->scored);
    plk_free(&allocator, q->candidates);
    plk_free(&allocator, q);
    *query = NULL;
}

pluck_head_stats pluck_fasttext_query_get_stats(const pluck_fasttext_query *query)
{
    return query ? query->head_query->stats : (pluck_head_stats){0};
}

pluck_status pluck_fasttext_query_features(pluck_fasttext_query *query, const char *text,
                                           size_t size_bytes, const int32_t **features, size_t *n,
                                           size_t *used_bytes, pluck_error *err)
{
    if (!query || (!text && size_bytes != 0) || !features || !n)
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "pluck_fasttext_query_features: query, text, features and n must not be NULL");
    size_t used = 0;
    pluck_status status =
        plk_fasttext_line_read(&query->line, &query->model->file, query->model->label_prefix, text,
                               size_bytes, &used, err);
    if (status != PLUCK_OK)
        return status;
    *features = query->line.features;
    *n = query->line.n_features;
    if (used_bytes)
        *used_bytes = used;
    return PLUCK_OK;
}

pluck_status pluck_fasttext_query_hidden(pluck_fasttext_query *query, const char *text,
                                         size_t size_bytes, const float **hidden, pluck_error *err)
{
    const int32_t *features = NULL;
    size_t n = 0;
    if (!hidden)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_fasttext_query_hidden: hidden must not be NULL");
    pluck_status status =
        pluck_fasttext_query_features(query, text, size_bytes, &features, &n, NULL, err);
    if (status != PLUCK_OK)
        return status;
    *hidden = NULL;
    if (n == 0)
        return PLUCK_OK;
    const plk_fasttext_matrix *input = &query->model->file.input;
    plk_fp_state fp = plk_fp_enter();
    memset(query->hidden, 0, input->n_cols * sizeof *query->hidden);
    for (size_t i = 0; i < n; i++)
        plk_fasttext_add_row(input, (uint64_t)features[i], query->hidden);
    float scale = (float)(1.0 / (double)n);
    for (uint32_t j = 0; j < input->n_cols; j++)
        query->hidden[j] *= scale;
    plk_fp_leave(fp);
    *hidden = query->hidden;
    return PLUCK_OK;
}

/* Checks, and the hidden state: *has_features says whether there is one. */
static pluck_status begin(pluck_fasttext_query *query, const char *text, size_t size_bytes,
                          uint32_t k, double threshold, const void *labels, const uint32_t *n,
                          bool *has_features, pluck_error *err)
{
    if (!query || !labels || !n)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "fastText prediction: query, labels and n must not be NULL");
    if (k < 1)
        return plk_fail(err, PLUCK_ERR_INVALID, "fastText prediction: k must be at least 1");
    if (!(threshold >= 0 && threshold <= 1))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "fastText prediction: threshold = %g is outside [0, 1]", threshold);
    const float *hidden = NULL;
    pluck_status status = pluck_fasttext_query_hidden(query, text, size_bytes, &hidden, err);
    *has_features = hidden != NULL;
    return status;
}

/* Outputs that are no distribution: the largest logits, each through its own sigmoid. */
static pluck_status largest_logits(pluck_fasttext_query *query, uint32_t k, uint32_t *n,
                                   pluck_error *err)
{
    pluck_head_query *head_query = query->head_query;
    plk_selection selection = {
        .rule = PLK_SELECT_TOP_K, .k = k, .capacity = k, .tokens = query->scored};
    head_query->stats = (pluck_head_stats){0};
    plk_fp_state fp = plk_fp_enter();
    pluck_status status = plk_dense_logits(head_query, query->hidden, err);
    if (status == PLUCK_OK)
        status = plk_flat_pick(head_query, &selection, 0.0, err);
    plk_fp_leave(fp);
    *n = selection.n;
    return status;
}

pluck_status pluck_fasttext_predict(pluck_fasttext_query *query, const char *text,
                                    size_t size_bytes, uint32_t k, double threshold,
                                    pluck_fasttext_label *labels, uint32_t *n, pluck_error *err)
{
    bool has_features = false;
    pluck_status status =
        begin(query, text, size_bytes, k, threshold, labels, n, &has_features, err);
    if (status != PLUCK_OK)
        return status;
    if (!has_features) {
        *n = 0;
        return PLUCK_OK;
    }
    const pluck_fasttext *model = query->model;
    uint32_t wanted = k < model->n_outputs ? k : model->n_outputs;
    bool is_distribution = plk_fasttext_is_distribution(model);
    uint32_t n_found = 0, n_kept = 0;
    if (is_distribution)
        status = pluck_head_top_k(query->head_query, query->hidden, wanted, query->scored, &n_found,
                                  err);
    else
        status = largest_logits(query, wanted, &n_found, err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter();
    for (; n_kept < n_found; n_kept++) {
        const pluck_scored_token *scored = &query->scored[n_kept];
        uint32_t output = (uint32_t)scored->token;
        double prob = is_distribution ? plk_exp(scored->logprob) : plk_sigmoid(scored->logprob);
        if (prob < threshold)
            break;
        labels[n_kept] = (pluck_fasttext_label){output, model->outputs[output].text, prob};
    }
    plk_fp_leave(fp);
    *n = n_kept;
    return PLUCK_OK;
}

pluck_status pluck_fasttext_predict_compat(pluck_fasttext_query *query, const char *text,
                                           size_t size_bytes, uint32_t k, double threshold,
                                           pluck_fasttext_label *labels, uint32_t *n,
                                           pluck_error *err)
{
    bool has_features = false;
    pluck_status status =
        begin(query, text, size_bytes, k, threshold, labels, n, &has_features, err);
    if (status != PLUCK_OK)
        return status;
    uint32_t n_found = 0;
    plk_fp_state fp = plk_fp_enter();
    if (has_features)
        status = plk_fasttext_compat(query, k, (float)threshold, &n_found, err);
    for (uint32_t i = 0; status == PLUCK_OK && i < n_found; i++) {
        uint32_t output = query->candidates[i].output;
        labels[i] =
            (pluck_fasttext_label){output, query->model->outputs[output].text,
                                   (double)(float)plk_exp((double)query->candidates[i].score)};
    }
    plk_fp_leave(fp);
    if (status == PLUCK_OK)
        *n = n_found;
    return status;
}
