/*
 * The softmax of n_vocab dot products, which the other heads are measured by.
 */
#include "heads/dense.h"

#include "base/error.h"
#include "heads/flat.h"

pluck_status pl_dense_logits(pluck_head_query *query, const float *hidden, pluck_error *err)
{
    const pluck_head *head = query->head;
    for (uint32_t t = 0; t < head->n_vocab; t++) {
        const double dot = pl_rows_dot(&head->rows, t, hidden);
        const float score = (float)(head->bias ? dot + (double)head->bias[t] : dot);
        if (!pl_flat_is_score(score))
            return pl_flat_fail(t, err);
        query->scores[t] = score;
    }
    query->stats.n_dots += head->n_vocab;
    return PLUCK_OK;
}

static pluck_status logprob_of(pluck_head_query *query, const float *hidden, uint32_t token,
                               double *logprob, pluck_error *err)
{
    double log_sum = 0;
    pluck_status status = pl_dense_logits(query, hidden, err);
    if (status == PLUCK_OK)
        status = pl_flat_log_sum(query, &log_sum, err);
    if (status == PLUCK_OK)
        *logprob = (double)query->scores[token] - log_sum;
    return status;
}

static pluck_status all_logprobs(pluck_head_query *query, const float *hidden, float *logprobs,
                                 pluck_error *err)
{
    double log_sum = 0;
    pluck_status status = pl_dense_logits(query, hidden, err);
    if (status == PLUCK_OK)
        status = pl_flat_log_sum(query, &log_sum, err);
    for (uint32_t t = 0; status == PLUCK_OK && t < query->head->n_vocab; t++)
        logprobs[t] = (float)((double)query->scores[t] - log_sum);
    return status;
}

static pluck_status log_mass_of(pluck_head_query *query, const float *hidden, double *log_mass,
                                pluck_error *err)
{
    double log_sum = 0, allowed = 0;
    pluck_status status = pl_dense_logits(query, hidden, err);
    if (status == PLUCK_OK)
        status = pl_flat_log_sum(query, &log_sum, err);
    if (status)
        return status;
    pl_flat_apply_mask(query);
    status = pl_flat_log_sum(query, &allowed, err);
    if (status == PLUCK_OK)
        *log_mass = allowed < log_sum ? allowed - log_sum : 0;
    return status;
}

/* The scores of allowed tokens, and the normaliser of all if it is needed. */
static pluck_status prepare(pluck_head_query *query, const float *hidden, bool with_logprobs,
                            double *log_sum, pluck_error *err)
{
    pluck_status status = pl_dense_logits(query, hidden, err);
    if (status == PLUCK_OK && with_logprobs)
        status = pl_flat_log_sum(query, log_sum, err);
    if (status == PLUCK_OK)
        pl_flat_apply_mask(query);
    return status;
}

static pluck_status sample(pluck_head_query *query, const float *hidden, pl_sampling *sampling,
                           pluck_pcg64 *rng, pluck_error *err)
{
    double log_sum = 0;
    const pluck_status status = prepare(query, hidden, sampling->with_logprobs, &log_sum, err);
    return status ? status : pl_flat_draw(query, sampling, log_sum, rng, err);
}

static pluck_status select_tokens(pluck_head_query *query, const float *hidden,
                                  pl_selection *selection, pluck_error *err)
{
    double log_sum = 0;
    const pluck_status status = prepare(query, hidden, true, &log_sum, err);
    return status ? status : pl_flat_pick(query, selection, log_sum, err);
}

const pl_head_ops pl_head_dense = {
    .kind = PLUCK_HEAD_DENSE,
    .open_query = pl_flat_open,
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
        return pl_fail(err, PLUCK_ERR_INVALID, "pluck_head_create_dense: out must not be NULL");
    *out = NULL;
    pluck_status status = pl_matrix_check(weights, "weights", 1, err);
    if (status)
        return status;
    pluck_head *head = NULL;
    status = pl_head_alloc(&head, &pl_head_dense, weights->n_rows, weights->n_cols, options, err);
    if (status)
        return status;
    status = pl_head_take_rows(head, weights, weights->n_rows, options && options->copy,
                               &head->rows, &head->copy, err);
    if (status == PLUCK_OK)
        status = pl_head_take_bias(head, bias, weights->n_rows, &head->bias, err);
    if (status)
        pluck_head_destroy(&head);
    *out = head;
    return status;
}
