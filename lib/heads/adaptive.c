/*
 * Adaptive softmax (E. Grave, A. Joulin, M. Cisse, D. Grangier, H. Jegou, "Efficient softmax
 * approximation for GPUs", ICML 2017): a tree of depth two. The root gives the log-probabilities
 * of the short list and of the clusters; a cluster is expanded, its tail evaluated, only when the
 * answer depends on its tokens. The scores of a query are log-probabilities; those of tails that
 * are not expanded are -inf.
 *
 * Selections: no token is more probable than its cluster, not even rounded. The most probable
 * cluster that is not expanded decides: if what is known above it answers the question, so it does
 * for all others; else it is expanded.
 *
 * Draws at inverse temperature beta: a cluster c of n allowed tokens has at most the mass
 * p(c)^beta, or p(c)^beta n^(1 - beta) for beta < 1. Drawn among these bounds and the exact mass
 * of what is expanded, a cluster is expanded and accepted with probability mass / bound; else the
 * draw starts again with the mass in place of the bound (see tree_draw.c, of which this is the
 * case of depth two).
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"
#include "select/rules.h"
#include "simd/scalar_math.h"

#include <math.h>
#include <stdint.h>

static size_t blocks_of(size_t n)
{
    return (n + PLK_BLOCK - 1) / PLK_BLOCK;
}

static uint32_t short_list_of(const pluck_head *head)
{
    return head->rows.n_rows - head->n_parts;
}

static pluck_status open_query(pluck_head_query *query, pluck_error *err)
{
    const pluck_head *head = query->head;
    const pluck_allocator *allocator = &query->allocator;
    size_t longest = 1, widest = 1;
    for (uint32_t i = 0; i < head->n_parts; i++) {
        const plk_head_part *part = &head->parts[i];
        longest = part->n_tokens > longest ? part->n_tokens : longest;
        widest = part->rows.n_cols > widest ? part->rows.n_cols : widest;
    }
    pluck_status status = plk_flat_open(query, err);
    if (status != PLUCK_OK)
        return status;
    query->n_allowed = plk_alloc(allocator, head->n_parts, sizeof *query->n_allowed);
    query->clusters = plk_alloc(allocator, head->n_parts, sizeof *query->clusters);
    query->is_expanded = plk_alloc(allocator, head->n_parts, sizeof *query->is_expanded);
    query->projected = plk_alloc(allocator, widest, sizeof *query->projected);
    query->tail = plk_alloc(allocator, blocks_of(longest) * PLK_BLOCK, sizeof *query->tail);
    if (query->n_allowed && query->clusters && query->is_expanded && query->projected &&
        query->tail)
        return PLUCK_OK;
    return plk_fail_nomem(err, blocks_of(longest) * PLK_BLOCK * sizeof *query->tail);
}

static void mask_changed(pluck_head_query *query)
{
    for (uint32_t i = 0; i < query->head->n_parts; i++) {
        const plk_head_part *part = &query->head->parts[i];
        query->n_allowed[i] = 0;
        for (uint32_t t = 0; t < part->n_tokens; t++)
            query->n_allowed[i] += plk_query_allows(query, part->first_token + t);
    }
}

static uint32_t n_allowed_of(const pluck_head_query *query, uint32_t i)
{
    return query->is_masked ? query->n_allowed[i] : query->head->parts[i].n_tokens;
}

/* The log-probabilities of the short list and of the clusters; no tail is expanded. */
static pluck_status evaluate_root(pluck_head_query *query, const float *hidden, pluck_error *err)
{
    const pluck_head *head = query->head;
    uint32_t n_root = head->rows.n_rows, n_short = short_list_of(head);
    for (uint32_t i = 0; i < n_root; i++) {
        double dot = plk_rows_dot(&head->rows, i, hidden);
        query->scores[i] = (float)(head->bias ? dot + (double)head->bias[i] : dot);
        if (!plk_flat_is_score(query->scores[i]))
            return plk_fail(err, PLUCK_ERR_NAN,
                            "head: the logit of row %u of the root is NaN or +infinity",
                            (unsigned)i);
    }
    query->stats.n_dots += n_root;
    for (uint32_t t = n_root; t < head->n_vocab; t++)
        query->scores[t] = -INFINITY;
    double log_sum = 0;
    pluck_status status = plk_flat_log_sum(query, &log_sum, err);
    if (status != PLUCK_OK)
        return status;
    for (uint32_t i = 0; i < head->n_parts; i++) {
        query->clusters[i] = (double)query->scores[n_short + i] - log_sum;
        query->scores[n_short + i] = -INFINITY;
        query->is_expanded[i] = false;
    }
    for (uint32_t t = 0; t < n_short; t++)
        query->scores[t] = (float)((double)query->scores[t] - log_sum);
    return PLUCK_OK;
}

/* The log-probabilities of the tokens of tail i. */
static pluck_status expand(pluck_head_query *query, const float *hidden, uint32_t i,
                           pluck_error *err)
{
    const plk_head_part *part = &query->head->parts[i];
    const plk_kernels *kernels = query->head->kernels;
    size_t n = part->n_tokens, n_blocks = blocks_of(n);
    for (uint32_t j = 0; j < part->projection.n_rows; j++)
        query->projected[j] = (float)plk_rows_dot(&part->projection, j, hidden);
    for (uint32_t t = 0; t < n; t++) {
        query->tail[t] = (float)plk_rows_dot(&part->rows, t, query->projected);
        if (!plk_flat_is_score(query->tail[t]))
            return plk_flat_fail(part->first_token + t, err);
    }
    query->stats.n_dots += part->projection.n_rows + n;
    query->is_expanded[i] = true;
    for (size_t t = n; t < n_blocks * PLK_BLOCK; t++)
        query->tail[t] = -INFINITY;
    float max = kernels->max(query->tail, n_blocks);
    if (max == -INFINITY)
        return PLUCK_OK;
    double sum = 0;
    kernels->exp_sums(query->tail, n_blocks, plk_exponent_make(max, 1), query->sums);
    for (size_t b = 0; b < n_blocks; b++)
        sum += query->sums[b];
    double shift = query->clusters[i] - ((double)max + plk_log(sum));
    float most = (float)query->clusters[i];
    for (uint32_t t = 0; t < n; t++) {
        float score = (float)((double)query->tail[t] + shift);
        query->scores[part->first_token + t] = score < most ? score : most;
    }
    return PLUCK_OK;
}

static void mask_short_list(pluck_head_query *query)
{
    for (uint32_t t = 0; query->is_masked && t < short_list_of(query->head); t++)
        if (!plk_query_allows(query, t))
            query->scores[t] = -INFINITY;
}

static pluck_status expand_masked(pluck_head_query *query, const float *hidden, uint32_t i,
                                  pluck_error *err)
{
    const plk_head_part *part = &query->head->parts[i];
    pluck_status status = expand(query, hidden, i, err);
    for (uint32_t t = 0; status == PLUCK_OK && query->is_masked && t < part->n_tokens; t++)
        if (!plk_query_allows(query, part->first_token + t))
            query->scores[part->first_token + t] = -INFINITY;
    return status;
}

static pluck_status logprob_of(pluck_head_query *query, const float *hidden, uint32_t token,
                               double *logprob, pluck_error *err)
{
    pluck_status status = evaluate_root(query, hidden, err);
    for (uint32_t i = 0; i < query->head->n_parts && status == PLUCK_OK; i++) {
        const plk_head_part *part = &query->head->parts[i];
        if (token >= part->first_token && token - part->first_token < part->n_tokens)
            status = expand(query, hidden, i, err);
    }
    if (status == PLUCK_OK)
        *logprob = (double)query->scores[token];
    return status;
}

static pluck_status all_logprobs(pluck_head_query *query, const float *hidden, float *logprobs,
                                 pluck_error *err)
{
    pluck_status status = evaluate_root(query, hidden, err);
    for (uint32_t i = 0; i < query->head->n_parts && status == PLUCK_OK; i++)
        status = expand(query, hidden, i, err);
    for (uint32_t t = 0; status == PLUCK_OK && t < query->head->n_vocab; t++)
        logprobs[t] = query->scores[t];
    return status;
}

/* ln of the sum of exp(beta score) over the present scores; -inf if there are none. */
static double log_power_sum(pluck_head_query *query, double beta, plk_exponent *exponent,
                            double *total)
{
    size_t n_blocks = blocks_of(query->head->n_vocab);
    float max = query->head->kernels->max(query->scores, n_blocks);
    *total = 0;
    if (max == -INFINITY)
        return -HUGE_VAL;
    *exponent = plk_exponent_make(max, beta);
    query->head->kernels->exp_sums(query->scores, n_blocks, *exponent, query->sums);
    for (size_t b = 0; b < n_blocks; b++)
        *total += query->sums[b];
    return beta * (double)max + plk_log(*total);
}

/* After the root and its mask: clusters whose tokens are all allowed count as they are. */
static pluck_status mass_of_allowed(pluck_head_query *query, const float *hidden, double *log_mass,
                                    pluck_error *err)
{
    plk_exponent exponent;
    double total = 0;
    for (uint32_t i = 0; i < query->head->n_parts; i++) {
        uint32_t n = n_allowed_of(query, i);
        if (n == 0 || n == query->head->parts[i].n_tokens)
            continue;
        pluck_status status = expand_masked(query, hidden, i, err);
        if (status != PLUCK_OK)
            return status;
    }
    double sum = log_power_sum(query, 1, &exponent, &total);
    for (uint32_t i = 0; i < query->head->n_parts; i++)
        if (!query->is_expanded[i] && n_allowed_of(query, i) > 0)
            sum = plk_log_add(sum, query->clusters[i]);
    if (sum == -HUGE_VAL)
        return plk_head_fail_empty(err);
    *log_mass = sum < 0 ? sum : 0;
    return PLUCK_OK;
}

static pluck_status log_mass_of(pluck_head_query *query, const float *hidden, double *log_mass,
                                pluck_error *err)
{
    pluck_status status = evaluate_root(query, hidden, err);
    if (status != PLUCK_OK)
        return status;
    mask_short_list(query);
    return mass_of_allowed(query, hidden, log_mass, err);
}

/* The most probable cluster with allowed tokens that is not expanded, or n_parts. */
static uint32_t next_cluster(const pluck_head_query *query)
{
    uint32_t best = query->head->n_parts;
    for (uint32_t i = 0; i < query->head->n_parts; i++) {
        if (query->is_expanded[i] || n_allowed_of(query, i) == 0 || query->clusters[i] == -HUGE_VAL)
            continue;
        if (best == query->head->n_parts || query->clusters[i] > query->clusters[best])
            best = i;
    }
    return best;
}

/* Whether tokens with scores of at most bound can be in the answer. */
static bool may_matter(pluck_head_query *query, const plk_selection *selection, float bound)
{
    const plk_kernels *kernels = query->head->kernels;
    size_t n_blocks = blocks_of(query->head->n_vocab);
    float above = nextafterf(bound, INFINITY), max = kernels->max(query->scores, n_blocks);
    if (max <= bound)
        return true;
    if (selection->rule == PLK_SELECT_TOP_K)
        return kernels->count(query->scores, n_blocks, above) < selection->k;
    if (selection->rule == PLK_SELECT_MIN_P)
        return plk_min_p_keeps((double)bound, (double)max, selection->p);
    if (selection->p >= 1)
        return true;
    double mass = 0;
    kernels->exp_sums_from(query->scores, n_blocks, plk_exponent_make(max, 1), above, query->sums);
    for (size_t b = 0; b < n_blocks; b++)
        mass += query->sums[b];
    double total = plk_exp(*selection->log_mass - (double)max);
    return !plk_top_p_reached(mass, selection->p, total, -plk_head_mass_margin);
}

static pluck_status select_tokens(pluck_head_query *query, const float *hidden,
                                  plk_selection *selection, pluck_error *err)
{
    double log_mass = 0;
    pluck_status status = evaluate_root(query, hidden, err);
    if (status != PLUCK_OK)
        return status;
    mask_short_list(query);
    if (selection->rule == PLK_SELECT_TOP_P && selection->p < 1 && query->is_masked) {
        status = mass_of_allowed(query, hidden, &log_mass, err);
        if (status != PLUCK_OK)
            return status;
    }
    selection->log_mass = &log_mass;
    for (;;) {
        uint32_t i = next_cluster(query);
        if (i == query->head->n_parts || !may_matter(query, selection, (float)query->clusters[i]))
            break;
        status = expand_masked(query, hidden, i, err);
        if (status != PLUCK_OK)
            return status;
    }
    status = plk_flat_pick(query, selection, 0.0, err);
    selection->log_mass = NULL;
    return status;
}

static double bound_of(const pluck_head_query *query, uint32_t i, double beta)
{
    uint32_t n = n_allowed_of(query, i);
    if (query->is_expanded[i] || n == 0 || query->clusters[i] == -HUGE_VAL)
        return -HUGE_VAL;
    return beta * query->clusters[i] + (beta < 1 ? (1 - beta) * plk_log(n) : 0);
}

/* A token of the tail that was expanded last, with probability mass / bound. */
static bool draw_from_tail(pluck_head_query *query, uint32_t i, double beta, double bound,
                           pluck_pcg64 *rng, uint32_t *token)
{
    const plk_head_part *part = &query->head->parts[i];
    const plk_kernels *kernels = query->head->kernels;
    size_t n_blocks = blocks_of(part->n_tokens);
    for (uint32_t t = 0; t < part->n_tokens; t++)
        query->tail[t] = query->scores[part->first_token + t];
    float max = kernels->max(query->tail, n_blocks);
    if (max == -INFINITY)
        return false;
    plk_exponent exponent = plk_exponent_make(max, beta);
    double total = 0;
    kernels->exp_sums(query->tail, n_blocks, exponent, query->sums);
    for (size_t b = 0; b < n_blocks; b++)
        total += query->sums[b];
    double mass = beta * (double)max + plk_log(total);
    if (pluck_pcg64_uniform(rng) >= plk_exp(mass - bound))
        return false;
    *token =
        part->first_token + (uint32_t)plk_flat_index_at(kernels, query->tail, query->sums, n_blocks,
                                                        exponent, pluck_pcg64_uniform(rng) * total);
    return true;
}

/* One trial; *drawn says whether it gave a token. PLUCK_ERR_EMPTY if there is none left. */
static pluck_status try_draw(pluck_head_query *query, const float *hidden, double beta,
                             pluck_pcg64 *rng, bool *drawn, uint32_t *token, pluck_error *err)
{
    uint32_t n_parts = query->head->n_parts;
    plk_exponent exponent = {0};
    double total = 0;
    double known = log_power_sum(query, beta, &exponent, &total);
    double all = known;
    for (uint32_t i = 0; i < n_parts; i++)
        all = plk_log_add(all, bound_of(query, i, beta));
    if (all == -HUGE_VAL)
        return plk_head_fail_empty(err);
    query->stats.n_trials++;
    double u = pluck_pcg64_uniform(rng) - plk_exp(known - all);
    uint32_t chosen = n_parts;
    for (uint32_t i = 0; i < n_parts && u >= 0; i++) {
        double bound = bound_of(query, i, beta);
        if (bound == -HUGE_VAL)
            continue;
        chosen = i;
        u -= plk_exp(bound - all);
    }
    if (chosen == n_parts) {
        *token = (uint32_t)plk_flat_index_at(query->head->kernels, query->scores, query->sums,
                                             blocks_of(query->head->n_vocab), exponent,
                                             pluck_pcg64_uniform(rng) * total);
        *drawn = true;
        return PLUCK_OK;
    }
    double bound = bound_of(query, chosen, beta);
    pluck_status status = expand_masked(query, hidden, chosen, err);
    *drawn = status == PLUCK_OK && draw_from_tail(query, chosen, beta, bound, rng, token);
    return status;
}

static pluck_status sample(pluck_head_query *query, const float *hidden, plk_sampling *sampling,
                           pluck_pcg64 *rng, pluck_error *err)
{
    pluck_status status = evaluate_root(query, hidden, err);
    if (status != PLUCK_OK)
        return status;
    mask_short_list(query);
    uint32_t n = 0;
    while (n < sampling->k) {
        bool drawn = false;
        uint32_t token = 0;
        pluck_error end;
        status = try_draw(query, hidden, sampling->beta, rng, &drawn, &token, n != 0 ? &end : err);
        if (status == PLUCK_ERR_EMPTY && n > 0)
            break;
        if (status != PLUCK_OK) {
            if (n > 0)
                return plk_fail(err, status, "%s", end.message);
            return status;
        }
        if (!drawn)
            continue;
        plk_list_put(&sampling->list, n++, token, (double)query->scores[token]);
        query->scores[token] = -INFINITY;
    }
    sampling->n = n;
    return PLUCK_OK;
}

const plk_head_ops plk_head_adaptive = {
    .kind = PLUCK_HEAD_ADAPTIVE,
    .open_query = open_query,
    .mask_changed = mask_changed,
    .logprob = logprob_of,
    .logprobs = all_logprobs,
    .log_mass = log_mass_of,
    .sample = sample,
    .select = select_tokens,
};

static pluck_status check_tails(const pluck_matrix *root, const pluck_head_tail *tails,
                                uint32_t n_tails, uint32_t *n_vocab, pluck_error *err)
{
    pluck_status status = plk_matrix_check(root, "root", 1, err);
    if (status != PLUCK_OK)
        return status;
    if (root->n_rows <= n_tails)
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "head: root has %u rows; it needs one for each of the %u clusters, and a short list",
            (unsigned)root->n_rows, (unsigned)n_tails);
    uint64_t n = root->n_rows - n_tails;
    for (uint32_t i = 0; i < n_tails; i++) {
        const pluck_matrix *projection = &tails[i].projection, *output = &tails[i].output;
        status = plk_matrix_check(projection, "projection of a tail", 1, err);
        if (status == PLUCK_OK)
            status = plk_matrix_check(output, "output of a tail", 1, err);
        if (status != PLUCK_OK)
            return status;
        if (projection->n_cols != root->n_cols || projection->n_rows != output->n_cols)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "head: tail %u: projection [%u, %u] does not fit a hidden state of %u "
                            "values and output [%u, %u]",
                            (unsigned)i, (unsigned)projection->n_rows, (unsigned)projection->n_cols,
                            (unsigned)root->n_cols, (unsigned)output->n_rows,
                            (unsigned)output->n_cols);
        n += output->n_rows;
    }
    if (n > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "head: the short list and the tails have more than %u tokens",
                        (unsigned)PLUCK_MAX_VOCAB);
    *n_vocab = (uint32_t)n;
    return PLUCK_OK;
}

static pluck_status set_tails(pluck_head *head, const pluck_head_tail *tails, uint32_t n_tails,
                              uint32_t first_token, pluck_error *err)
{
    pluck_status status = plk_head_alloc_parts(head, n_tails, err);
    for (uint32_t i = 0; i < n_tails && status == PLUCK_OK; i++) {
        plk_head_part *part = &head->parts[i];
        part->first_token = first_token;
        part->n_tokens = (uint32_t)tails[i].output.n_rows;
        first_token += part->n_tokens;
        status = plk_head_set_rows(head, &tails[i].projection, (uint32_t)tails[i].projection.n_rows,
                                   &part->projection, &part->copies[0], err);
        if (status == PLUCK_OK)
            status = plk_head_set_rows(head, &tails[i].output, part->n_tokens, &part->rows,
                                       &part->copies[1], err);
    }
    return status;
}

pluck_status pluck_head_create_adaptive(pluck_head **out, const pluck_matrix *root,
                                        const float *root_bias, const pluck_head_tail *tails,
                                        uint32_t n_tails, const pluck_head_options *options,
                                        pluck_error *err)
{
    if (!out || !root || (!tails && n_tails != 0))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_head_create_adaptive: out, root and tails must not be NULL");
    *out = NULL;
    uint32_t n_vocab = 0;
    pluck_status status = check_tails(root, tails, n_tails, &n_vocab, err);
    if (status != PLUCK_OK)
        return status;
    pluck_head *head = NULL;
    status = plk_head_alloc(&head, &plk_head_adaptive, n_vocab, root->n_cols, options, err);
    if (status != PLUCK_OK)
        return status;
    status = plk_head_set_rows(head, root, (uint32_t)root->n_rows, &head->rows, &head->copy, err);
    if (status == PLUCK_OK)
        status = plk_head_set_bias(head, root_bias, root->n_rows, &head->bias, err);
    if (status == PLUCK_OK)
        status = set_tails(head, tails, n_tails, (uint32_t)root->n_rows - n_tails, err);
    if (status != PLUCK_OK)
        pluck_head_destroy(&head);
    *out = head;
    return status;
}
