/*
 * Head files of any content. What loads must answer every kind of query, with tokens of its
 * vocabulary and probabilities up to 1, whatever its weights are.
 */
#include "fuzz_file.h"

#include <stdio.h>
#include <stdlib.h>

#include <pluck/head.h>

enum { MAX_DIM = 1 << 12, MAX_TOKENS = 1 << 12, N_BEST = 5 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what, const pluck_error *err)
{
    if (condition)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    abort();
}

static void check_list(pluck_status status, const pluck_scored_token *tokens, uint32_t n,
                       uint32_t n_vocab, const pluck_error *err)
{
    require(status == PLUCK_OK || status == PLUCK_ERR_NAN || status == PLUCK_ERR_EMPTY ||
                status == PLUCK_ERR_INVALID,
            "unexpected status", err);
    for (uint32_t i = 0; status == PLUCK_OK && i < n && i < N_BEST; i++)
        require(tokens[i].token >= 0 && (uint32_t)tokens[i].token < n_vocab &&
                    tokens[i].logprob <= 1e-6,
                "a token or probability that cannot be", err);
}

static void ask(pluck_head_query *query, const pluck_head_info *info, const float *hidden)
{
    pluck_error err = {0};
    pluck_scored_token tokens[N_BEST];
    pluck_token token = 0;
    pluck_pcg64 rng;
    double logprob = 0;
    uint32_t n = 0;
    pluck_pcg64_seed(&rng, info->n_vocab, 0, 0);
    pluck_status status = pluck_head_top_k(query, hidden, N_BEST, tokens, &n, &err);
    check_list(status, tokens, n, info->n_vocab, &err);
    status = pluck_head_top_p(query, hidden, 0.9, tokens, N_BEST, &n, &err);
    check_list(status, tokens, n, info->n_vocab, &err);
    status = pluck_head_min_p(query, hidden, 0.1, tokens, N_BEST, &n, &err);
    check_list(status, tokens, n, info->n_vocab, &err);
    status = pluck_head_sample_distinct(query, hidden, 1, N_BEST < info->n_vocab ? N_BEST : 1, &rng,
                                        tokens, &n, &err);
    check_list(status, tokens, n, info->n_vocab, &err);
    status = pluck_head_sample(query, hidden, 0.7, &rng, &token, &logprob, &err);
    check_list(status, &(pluck_scored_token){.token = token}, 1, info->n_vocab, &err);
    status = pluck_head_greedy(query, hidden, tokens, &err);
    check_list(status, tokens, 1, info->n_vocab, &err);
    float *logprobs = malloc(info->n_vocab * sizeof *logprobs);
    if (logprobs) {
        status = pluck_head_query_logprobs(query, hidden, logprobs, &err);
        require(status == PLUCK_OK || status == PLUCK_ERR_NAN || status == PLUCK_ERR_EMPTY,
                "unexpected status", &err);
    }
    free(logprobs);
}

static void use(const pluck_head *head)
{
    pluck_head_info info = pluck_head_get_info(head);
    pluck_error err = {0};
    pluck_head_query *query = NULL;
    require(info.n_vocab > 0 && info.n_vocab <= PLUCK_MAX_VOCAB, "no vocabulary", &err);
    if (info.dim > MAX_DIM || info.n_vocab > MAX_TOKENS)
        return;
    float *hidden = malloc((info.dim != 0 ? info.dim : 1) * sizeof *hidden);
    if (hidden && pluck_head_query_create(&query, head, NULL, &err) == PLUCK_OK) {
        for (uint32_t i = 0; i < info.dim; i++)
            hidden[i] = (float)(i % 7) - 3;
        ask(query, &info, hidden);
    }
    pluck_head_query_destroy(&query);
    free(hidden);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[FUZZ_PATH_BYTES];
    pluck_error err = {0};
    pluck_head *head = NULL;
    fuzz_file(data, size, path);
    pluck_status status = pluck_head_open(&head, path, NULL, &err);
    require(status == PLUCK_OK || status == PLUCK_ERR_FORMAT || status == PLUCK_ERR_INVALID ||
                status == PLUCK_ERR_NAN || status == PLUCK_ERR_IO,
            "unexpected status", &err);
    require((head != NULL) == (status == PLUCK_OK), "a status that does not fit", &err);
    if (head)
        use(head);
    pluck_head_destroy(&head);
    return 0;
}
