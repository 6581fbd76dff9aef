/*
 * The softmax of n_vocab dot products, which the other heads are measured by: of whole hidden
 * states, or, in a differentiated head, of slices of them (W. Chen, D. Grangier, M. Auli,
 * "Strategies for Training Large Vocabulary Neural Language Models", 2015, section 2.3).
 *
 * The normaliser of the last hidden state is kept: the log-probabilities of the tokens of a list,
 * or of several given tokens, take one dot product each after the first.
 */
#include "heads/heads.h"

#include "base/error.h"

#include <stdint.h>
#include <string.h>

/* The logits of tokens first .. first + n_rows - 1. */
static pluck_status logits_of(pluck_head_query *query, const plk_rows *rows, uint32_t first,
                              const float *x, pluck_error *err)
{
    const float *bias = query->head->bias;
    for (uint32_t i = 0; i < rows->n_rows; i++) {
        double dot = plk_rows_dot(rows, i, x);
        float score = (float)(bias ? dot + (double)bias[first + i] : dot);
        if (!plk_flat_is_score(score))
            return plk_flat_fail(first + i, err);
        query->scores[first + i] = score;
    }
    query->stats.n_dots += rows->n_rows;
    return PLUCK_OK;
}

pluck_status plk_dense_logits(pluck_head_query *query, const float *hidden, pluck_error *err)
{
    const pluck_head *head = query->head;
    if (head->n_parts == 0)
        return logits_of(query, &head->rows, 0, hidden, err);
    pluck_status status = PLUCK_OK;
    for (uint32_t i = 0; i < head->n_parts && status == PLUCK_OK; i++) {
        const plk_head_part *band = &head->parts[i];
        status = logits_of(query, &band->rows, band->first_token, hidden + band->first_dim, err);
    }
    return status;
}

/* The scores of all tokens and their normaliser, which is kept for this hidden state; then, with
 * masked, those of banned tokens are -inf. */
static pluck_status normalise(pluck_head_query *query, const float *hidden, bool masked,
                              pluck_error *err)
{
    query->has_last = false;
    pluck_status status = plk_dense_logits(query, hidden, err);
    if (status == PLUCK_OK)
        status = plk_flat_log_sum(query, &query->last_log_sum, err);
    if (status != PLUCK_OK)
        return status;
    memcpy(query->last_hidden, hidden, query->head->dim * sizeof *hidden);
    query->has_last = true;
    if (masked)
        plk_flat_apply_mask(query, 0, query->head->n_vocab);
    return PLUCK_OK;
}

/* The logit of one token, with the bits that plk_dense_logits() gives it. */
static float logit_of(pluck_head_query *query, const float *hidden, uint32_t token)
{
    const pluck_head *head = query->head;
    const plk_head_part *band = plk_head_part_of(head, token);
    double dot =
        band ? plk_rows_dot(&band->rows, token - band->first_token, hidden + band->first_dim)
             : plk_rows_dot(&head->rows, token, hidden);
    query->stats.n_dots++;
    return (float)(head->bias ? dot + (double)head->bias[token] : dot);
}

static pluck_status logprob_of(pluck_head_query *query, const float *hidden, uint32_t token,
                               double *logprob, pluck_error *err)
{
    if (query->has_last &&
        memcmp(query->last_hidden, hidden, query->head->dim * sizeof *hidden) == 0) {
        *logprob = (double)logit_of(query, hidden, token) - query->last_log_sum;
        return PLUCK_OK;
    }
    pluck_status status = normalise(query, hidden, false, err);
    if (status == PLUCK_OK)
        *logprob = (double)query->scores[token] - query->last_log_sum;
    return status;
}

static pluck_status all_logprobs(pluck_head_query *query, const float *hidden, float *logprobs,
                                 pluck_error *err)
{
    pluck_status status = normalise(query, hidden, false, err);
    for (uint32_t t = 0; status == PLUCK_OK && t < query->head->n_vocab; t++)
        logprobs[t] = (float)((double)query->scores[t] - query->last_log_sum);
    return status;
}

static pluck_status log_mass_of(pluck_head_query *query, const float *hidden, double *log_mass,
                                pluck_error *err)
{
    double allowed = 0;
    pluck_status status = normalise(query, hidden, true, err);
    if (status == PLUCK_OK)
        status = plk_flat_log_sum(query, &allowed, err);
    if (status == PLUCK_OK)
        *log_mass = fmin(allowed - query->last_log_sum, 0);
    return status;
}

static pluck_status sample(pluck_head_query *query, const float *hidden, plk_sampling *sampling,
                           pluck_pcg64 *rng, pluck_error *err)
{
    pluck_status status = normalise(query, hidden, true, err);
    if (status != PLUCK_OK)
        return status;
    return plk_flat_draw(query, sampling, query->last_log_sum, rng, err);
}

static pluck_status select_tokens(pluck_head_query *query, const float *hidden,
                                  plk_selection *selection, pluck_error *err)
{
    pluck_status status = normalise(query, hidden, true, err);
    if (status != PLUCK_OK)
        return status;
    return plk_flat_pick(query, selection, query->last_log_sum, err);
}

const plk_head_ops plk_head_dense = {
    .open_query = plk_flat_open,
    .logprob = logprob_of,
    .logprobs = all_logprobs,
    .log_mass = log_mass_of,
    .sample = sample,
    .select = select_tokens,
};

pluck_status pluck_head_create_dense(pluck_head **out, const pluck_matrix *weights,
                                     const float *bias, const pluck_head_options *options,
                                     pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_head_create_dense: out must not be NULL");
    *out = NULL;
    pluck_status status = plk_matrix_check(weights, "weights", 1, err);
    if (status != PLUCK_OK)
        return status;
    pluck_head *head = NULL;
    status = plk_head_alloc(&head, PLUCK_HEAD_DENSE, (uint32_t)weights->n_rows, weights->n_cols,
                            options, err);
    if (status != PLUCK_OK)
        return status;
    plk_head_set_rows(head, weights, (uint32_t)weights->n_rows, &head->rows);
    return plk_head_finish(out, head, bias, weights->n_rows, err);
}

/* The sizes of all bands, and the tokens of all together. */
static pluck_status check_bands(const pluck_head_band *bands, uint32_t n_bands, uint32_t dim,
                                uint32_t *n_vocab, pluck_error *err)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < n_bands; i++) {
        const pluck_matrix *weights = &bands[i].weights;
        pluck_status status = plk_matrix_check(weights, "a band", 1, err);
        if (status != PLUCK_OK)
            return status;
        if (bands[i].first > dim || weights->n_cols > dim - bands[i].first)
            return plk_fail(
                err, PLUCK_ERR_INVALID,
                "head: band %u reads %u values from number %u on, but the hidden state has %u",
                (unsigned)i, (unsigned)weights->n_cols, (unsigned)bands[i].first, (unsigned)dim);
        n += weights->n_rows;
        if (n > PLUCK_MAX_VOCAB)
            return plk_fail(err, PLUCK_ERR_INVALID, "head: the bands have more than %u tokens",
                            (unsigned)PLUCK_MAX_VOCAB);
    }
    *n_vocab = (uint32_t)n;
    return PLUCK_OK;
}

pluck_status pluck_head_create_differentiated(pluck_head **out, uint32_t dim,
                                              const pluck_head_band *bands, uint32_t n_bands,
                                              const float *bias, const pluck_head_options *options,
                                              pluck_error *err)
{
    if (!out || !bands || n_bands == 0)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_create_differentiated: out and bands must not be NULL, nor "
                        "n_bands 0");
    *out = NULL;
    uint32_t n_vocab = 0;
    pluck_status status = check_bands(bands, n_bands, dim, &n_vocab, err);
    if (status != PLUCK_OK)
        return status;
    pluck_head *head = NULL;
    status = plk_head_alloc(&head, PLUCK_HEAD_DIFFERENTIATED, n_vocab, dim, options, err);
    if (status != PLUCK_OK)
        return status;
    head->rows.dtype = bands[0].weights.dtype;
    plk_head_alloc_parts(head, n_bands);
    uint32_t first_token = 0;
    for (uint32_t i = 0; i < head->n_parts; i++) {
        plk_head_part *part = &head->parts[i];
        part->first_dim = bands[i].first;
        part->first_token = first_token;
        part->n_tokens = (uint32_t)bands[i].weights.n_rows;
        first_token += part->n_tokens;
        plk_head_set_rows(head, &bands[i].weights, part->n_tokens, &part->rows);
    }
    return plk_head_finish(out, head, bias, n_vocab, err);
}
