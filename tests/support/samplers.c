/*
 * Thin wrappers around the public functions.
 */
#include "support/samplers.h"

#include "support/token_texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(pluck_status status, const char *what, const pluck_error *err)
{
    if (status == PLUCK_OK)
        return;
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(EXIT_FAILURE);
}

pluck_config *test_config(const char *json)
{
    pluck_config *config = NULL;
    pluck_error err = {.status = PLUCK_OK};
    require(pluck_config_from_json(&config, json, strlen(json), NULL, &err), json, &err);
    return config;
}

pluck_sampler *test_sampler(const char *json, uint32_t n_vocab, pluck_isa isa, uint64_t stream)
{
    pluck_config *config = test_config(json);
    pluck_sampler *sampler = NULL;
    pluck_error err = {.status = PLUCK_OK};
    pluck_sampler_options options = {
        .struct_size = sizeof options, .isa = isa, .stream = stream, .token_text = test_token_text};
    require(pluck_sampler_create(&sampler, config, n_vocab, &options, &err), json, &err);
    pluck_config_destroy(&config);
    return sampler;
}

void test_accept(pluck_sampler *sampler, const pluck_token *tokens, size_t n)
{
    pluck_error err = {.status = PLUCK_OK};
    for (size_t i = 0; i < n; i++)
        require(pluck_sampler_accept(sampler, tokens[i], &err), "accept", &err);
}

pluck_sampler_info test_info_of(const pluck_sampler *sampler)
{
    pluck_sampler_info info = PLUCK_INIT(pluck_sampler_info);
    pluck_error err = {.status = PLUCK_OK};
    require(pluck_sampler_get_info(sampler, &info, &err), "get_info", &err);
    return info;
}

void test_start_stream(pluck_sampler *sampler, uint64_t stream)
{
    pluck_error err = {.status = PLUCK_OK};
    require(pluck_sampler_start(sampler, test_info_of(sampler).seed, stream, &err), "start", &err);
}

test_distribution test_distribution_of(pluck_sampler *sampler, pluck_logits logits)
{
    test_distribution result = {.probs = malloc(logits.n_vocab * sizeof *result.probs)};
    if (!result.probs)
        abort();
    result.status =
        pluck_sampler_distribution(sampler, logits, result.probs, logits.n_vocab, &result.n, NULL);
    if (result.status != PLUCK_OK)
        result.n = 0;
    return result;
}

void test_distribution_free(test_distribution *distribution)
{
    free(distribution->probs);
    distribution->probs = NULL;
}

bool test_distribution_equal(const test_distribution *a, const test_distribution *b)
{
    return a->status == b->status && a->n == b->n &&
           memcmp(a->probs, b->probs, a->n * sizeof *a->probs) == 0;
}

float test_distribution_p(const test_distribution *distribution, pluck_token token)
{
    for (uint32_t i = 0; i < distribution->n; i++)
        if (distribution->probs[i].token == token)
            return distribution->probs[i].prob;
    return 0;
}

pluck_status test_top_logprobs(pluck_sampler *sampler, pluck_logits logits, pluck_logprob_kind kind,
                               uint32_t n, pluck_logprob *best, uint32_t *n_written)
{
    pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
    outputs.n_top = n;
    outputs.top_kind = kind;
    outputs.top = best;
    pluck_status status = pluck_sampler_run(sampler, logits, &outputs, NULL);
    for (*n_written = 0; *n_written < n && best[*n_written].token != PLUCK_NO_TOKEN;)
        ++*n_written;
    return status;
}
