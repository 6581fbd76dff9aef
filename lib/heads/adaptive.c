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
 * draw starts again with the mass in place of the bound (see hierarchical.c, of which this is the
 * case of depth two).
 */
#include "heads/heads.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"
#include "select/rules.h"

#include <math.h>
#include <stdint.h>

static uint32_t short_list_of(const pluck_head *head)
{
    return head->rows.n_rows - head->n_parts;
}

static void open_query(pluck_head_query *query)
{
    const pluck_head *head = query->head;
    plk_arrays *memory = &query->memory;
    size_t longest = 1, widest = 1;
    for (uint32_t i = 0; i < head->n_parts; i++) {
        const plk_head_part *part = &head->parts[i];
        longest = part->n_tokens > longest ? part->n_tokens : longest;
        widest = part->rows.n_cols > widest ? part->rows.n_cols : widest;
    }
    plk_flat_open(query);
    query->n_allowed = plk_arrays_add(memory, head->n_parts, sizeof *query->n_allowed);
    query->clusters = plk_arrays_add(memory, head->n_parts, sizeof *query->clusters);
    query->is_expanded = plk_arrays_add(memory, head->n_parts, sizeof *query->is_expanded);
    query->projected = plk_arrays_add(memory, widest, sizeof *query->projected);
    query->tail = plk_arrays_add(memory, plk_blocks_of(longest) * PLK_BLOCK, sizeof *query->tail);
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

/* The log-probabilities of the short list, with masked -inf for its banned tokens, and of the
 * clusters; no tail is expanded. */
static pluck_status evaluate_root(pluck_head_query *query, const float *hidden, bool masked,
                                  pluck_error *err)
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
    if (masked)
        plk_flat_apply_mask(query, 0, n_short);
    return PLUCK_OK;
}

/* The log-probabilities of the tokens of tail i; with masked, -inf for those that are banned. */
static pluck_status expand(pluck_head_query *query, const float *hidden, uint32_t i, bool masked,
                           pluck_error *err)
{
    const plk_head_part *part = &query->head->parts[i];
    uint32_t n = part->n_tokens;
    for (uint32_t j = 0; j < part->projection.n_rows; j++)
        query->projected[j] = (float)plk_rows_dot(&part->projection, j, hidden);
    for (uint32_t t = 0; t < n; t++) {
        query->tail[t] = (float)plk_rows_dot(&part->rows, t, query->projected);
        if (!plk_flat_is_score(query->tail[t]))
            return plk_flat_fail(part->first_token + t, err);
    }
    query->stats.n_dots += part->projection.n_rows + n;
    query->is_expanded[i] = true;
    for (size_t t = n; t < plk_blocks_of(n) * PLK_BLOCK; t++)
        query->tail[t] = -INFINITY;
    double log_sum = plk_flat_sum_of(query, query->tail, n, 1).log;
    if (log_sum == -HUGE_VAL)
        return PLUCK_OK;
    double shift = query->clusters[i] - log_sum;
    float most = (float)query->clusters[i];
    for (uint32_t t = 0; t < n; t++) {
        float score = (float)((double)query->tail[t] + shift);
        query->scores[part->first_token + t] = score < most ? score : most;
    }
    if (masked)
        plk_flat_apply_mask(query, part->first_token, n);
    return PLUCK_OK;
}

static pluck_status logprob_of(pluck_head_query *query, const float *hidden, uint32_t token,
                               double *logprob, pluck_error *err)
{
    const plk_head_part *part = plk_head_part_of(query->head, token);
    pluck_status status = evaluate_root(query, hidden, false, err);
    if (status == PLUCK_OK && part)
        status = expand(query, hidden, (uint32_t)(part - query->head->parts), false, err);
    if (status == PLUCK_OK)
        *logprob = (double)query->scores[token];
    return status;
}

static pluck_status all_logprobs(pluck_head_query *query, const float *hidden, float *logprobs,
                                 pluck_error *err)
{
    pluck_status status = evaluate_root(query, hidden, false, err);
    for (uint32_t i = 0; i < query->head->n_parts && status == PLUCK_OK; i++)
        status = expand(query, hidden, i, false, err);
    for (uint32_t t = 0; status == PLUCK_OK && t < query->head->n_vocab; t++)
        logprobs[t] = query->scores[t];
    return status;
}

/* After the root and its mask: clusters whose tokens are all allowed count as they are. */
static pluck_status mass_of_allowed(pluck_head_query *query, const float *hidden, double *log_mass,
                                    pluck_error *err)
{
    for (uint32_t i = 0; i < query->head->n_parts; i++) {
        uint32_t n = n_allowed_of(query, i);
        if (n == 0 || n == query->head->parts[i].n_tokens)
            continue;
        pluck_status status = expand(query, hidden, i, true, err);
        if (status != PLUCK_OK)
            return status;
    }
    double sum = plk_flat_sum_of(query, query->scores, query->head->n_vocab, 1).log;
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
    pluck_status status = evaluate_root(query, hidden, true, err);
    if (status != PLUCK_OK)
        return status;
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
    size_t n_blocks = plk_blocks_of(query->head->n_vocab);
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
    pluck_status status = evaluate_root(query, hidden, true, err);
    if (status != PLUCK_OK)
        return status;
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
        status = expand(query, hidden, i, true, err);
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
    for (uint32_t t = 0; t < part->n_tokens; t++)
        query->tail[t] = query->scores[part->first_token + t];
    plk_flat_sum sum = plk_flat_sum_of(query, query->tail, part->n_tokens, beta);
    if (sum.log == -HUGE_VAL || pluck_pcg64_uniform(rng) >= plk_exp(sum.log - bound))
        return false;
    *token = part->first_token + plk_flat_draw_index(query, query->tail, part->n_tokens, &sum, rng);
    return true;
}

/* One trial; *drawn says whether it gave a token. PLUCK_ERR_EMPTY, without a message, if there is
 * none left. */
static pluck_status try_draw(pluck_head_query *query, const float *hidden, double beta,
                             pluck_pcg64 *rng, bool *drawn, uint32_t *token, pluck_error *err)
{
    uint32_t n_parts = query->head->n_parts, n_vocab = query->head->n_vocab;
    plk_flat_sum known = plk_flat_sum_of(query, query->scores, n_vocab, beta);
    double all = known.log;
    for (uint32_t i = 0; i < n_parts; i++)
        all = plk_log_add(all, bound_of(query, i, beta));
    if (all == -HUGE_VAL)
        return PLUCK_ERR_EMPTY;
    query->stats.n_trials++;
    double u = pluck_pcg64_uniform(rng) - plk_exp(known.log - all);
    uint32_t chosen = n_parts;
    for (uint32_t i = 0; i < n_parts && u >= 0; i++) {
        double bound = bound_of(query, i, beta);
        if (bound == -HUGE_VAL)
            continue;
        chosen = i;
        u -= plk_exp(bound - all);
    }
    if (chosen == n_parts) {
        *token = plk_flat_draw_index(query, query->scores, n_vocab, &known, rng);
        *drawn = true;
        return PLUCK_OK;
    }
    double bound = bound_of(query, chosen, beta);
    pluck_status status = expand(query, hidden, chosen, true, err);
    *drawn = status == PLUCK_OK && draw_from_tail(query, chosen, beta, bound, rng, token);
    return status;
}

static pluck_status sample(pluck_head_query *query, const float *hidden, plk_sampling *sampling,
                           pluck_pcg64 *rng, pluck_error *err)
{
    pluck_status status = evaluate_root(query, hidden, true, err);
    if (status != PLUCK_OK)
        return status;
    uint32_t n = 0;
    while (n < sampling->k) {
        bool drawn = false;
        uint32_t token = 0;
        status = try_draw(query, hidden, sampling->beta, rng, &drawn, &token, err);
        if (status == PLUCK_ERR_EMPTY)
            break;
        if (status != PLUCK_OK)
            return status;
        if (!drawn)
            continue;
        plk_list_put(&sampling->list, n++, token, (double)query->scores[token]);
        query->scores[token] = -INFINITY;
    }
    sampling->n = n;
    return n > 0 ? PLUCK_OK : plk_head_fail_empty(err);
}

const plk_head_ops plk_head_adaptive = {
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
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "head: root has %u rows; expected more than %u: one for each token of the "
                        "short list, then one for each tail",
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
            return plk_fail(
                err, PLUCK_ERR_INVALID,
                "head: tail %u: projection is [%u, %u], dim %u, output [%u, %u]; projection must "
                "have dim columns and one row for each column of output",
                (unsigned)i, (unsigned)projection->n_rows, (unsigned)projection->n_cols,
                (unsigned)root->n_cols, (unsigned)output->n_rows, (unsigned)output->n_cols);
        n += output->n_rows;
    }
    if (n > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "head: the short list and the tails have more than %u tokens",
                        (unsigned)PLUCK_MAX_VOCAB);
    *n_vocab = (uint32_t)n;
    return PLUCK_OK;
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
    status = plk_head_alloc(&head, PLUCK_HEAD_ADAPTIVE, n_vocab, root->n_cols, options, err);
    if (status != PLUCK_OK)
        return status;
    plk_head_set_rows(head, root, (uint32_t)root->n_rows, &head->rows);
    plk_head_alloc_parts(head, n_tails);
    uint32_t first_token = short_list_of(head);
    for (uint32_t i = 0; i < head->n_parts; i++) {
        plk_head_part *part = &head->parts[i];
        part->first_token = first_token;
        part->n_tokens = (uint32_t)tails[i].output.n_rows;
        first_token += part->n_tokens;
        plk_head_set_rows(head, &tails[i].projection, (uint32_t)tails[i].projection.n_rows,
                          &part->projection);
        plk_head_set_rows(head, &tails[i].output, part->n_tokens, &part->rows);
    }
    return plk_head_finish(out, head, root_bias, root->n_rows, err);
}
