/*
 * sample_tokens N: samples and accepts N tokens in each of a few configurations, for
 * test_process_allocations.py, which counts what a run allocates.
 */
#include <pluck/pluck.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_VOCAB = 3000 };

static int sample_with(const char *json, const float *x, long n)
{
    pluck_sampler *sampler = NULL;
    pluck_error err;
    pluck_status status = pluck_sampler_from_json(&sampler, json, strlen(json), N_VOCAB, &err);
    pluck_token token = 0;
    pluck_draw draw;
    for (long i = 0; i < n && status == PLUCK_OK; i++) {
        pluck_logits logits = {x + i % 100, PLUCK_F32, N_VOCAB};
        status = pluck_sampler_sample(sampler, logits, &token, &err);
        if (status == PLUCK_OK)
            status = pluck_sampler_draw(sampler, logits, &draw, &err);
        if (status == PLUCK_OK)
            status = pluck_sampler_accept(sampler, token, &err);
    }
    pluck_sampler_destroy(&sampler);
    if (status != PLUCK_OK)
        fprintf(stderr, "%s: %s\n", json, err.message);
    return status != PLUCK_OK;
}

int main(int argc, char **argv)
{
    static const char *const configurations[] = {
        "{}",
        "{\"repeat_penalty\": 1.1, \"top_k\": 40, \"top_p\": 0.9, \"temperature\": 0.7}",
        "{\"logit_bias\": {\"7\": 2, \"8\": false}, \"min_p\": 0.1, \"temperature\": 0}",
    };
    static float x[N_VOCAB + 100];
    long n = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    int failures = 0;
    uint32_t state = 1;
    for (int i = 0; i < N_VOCAB + 100; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(state >> 20) / 256.0f;
    }
    for (size_t c = 0; c < sizeof configurations / sizeof *configurations; c++)
        failures += sample_with(configurations[c], x, n);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
