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

static void check_list(pluck_status status, const pluck_logprob *tokens, uint32_t n,
                       uint32_t n_vocab, const pluck_error *err)
{
    require(status == PLUCK_OK || status == PLUCK_ERR_NAN || status == PLUCK_ERR_EMPTY ||
                status == PLUCK_ERR_INVALID,
            "unexpected status", err);
    for (uint32_t i = 0; status == PLUCK_OK && i < n && i < N_BEST; i++)
        require(tokens[i].token >= 0 && (uint32_t)tokens[i].token < n_vocab &&
                    tokens[i].logprob <= 1e-6f,
                "a token or probability that cannot be", err);
}

static void ask(pluck_head_query *query, const pluck_head_info *info, const float *hidden)
{
    pluck_error err = {0};
    pluck_logprob tokens[N_BEST];
    const pluck_selection selections[] = {
        {.struct_size = sizeof *selections, .top_k = N_BEST},
        {.struct_size = sizeof *selections, .top_p = 0.9},
        {.struct_size = sizeof *selections, .min_p = 0.1},
    };
    pluck_pcg64 rng;
    uint32_t n = 0;
    pluck_pcg64_seed(&rng, info->n_vocab, 0, 0);
    for (size_t i = 0; i < sizeof selections / sizeof *selections; i++) {
        pluck_status selected =
            pluck_head_query_select(query, hidden, &selections[i], tokens, N_BEST, &n, &err);
        check_list(selected, tokens, n, info->n_vocab, &err);
    }
    pluck_status status = pluck_head_query_sample(
        query, hidden, 1, &rng, N_BEST < info->n_vocab ? N_BEST : 1, tokens, &n, &err);
    check_list(status, tokens, n, info->n_vocab, &err);
    status = pluck_head_query_sample(query, hidden, 0.7, &rng, 1, tokens, &n, &err);
    check_list(status, tokens, n, info->n_vocab, &err);
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
    pluck_head_info info = PLUCK_INIT(pluck_head_info);
    pluck_error err = {0};
    require(pluck_head_get_info(head, &info, &err) == PLUCK_OK, "info", &err);
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
