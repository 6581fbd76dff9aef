/*
 * The part of libllama's C API that samples, loaded at run time, so that nothing of llama.cpp is
 * needed to build. Structures and signatures are those of its include/llama.h (release v0.5.0).
 */
#ifndef BENCH_LIBLLAMA_H
#define BENCH_LIBLLAMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct llama_token_data {
    int32_t id;
    float logit;
    float p;
} llama_token_data;

typedef struct llama_token_data_array {
    llama_token_data *data;
    size_t size;
    int64_t selected; /* index into data */
    bool sorted;
} llama_token_data_array;

typedef struct llama_sampler_chain_params {
    bool no_perf;
} llama_sampler_chain_params;

struct llama_sampler;
typedef struct llama_sampler llama_sampler;

typedef struct libllama {
    void *handle;
    llama_sampler *(*chain_init)(llama_sampler_chain_params params);
    void (*chain_add)(llama_sampler *chain, llama_sampler *sampler);
    void (*apply)(llama_sampler *sampler, llama_token_data_array *candidates);
    void (*accept)(llama_sampler *sampler, int32_t token);
    void (*free)(llama_sampler *sampler);
    llama_sampler *(*init_greedy)(void);
    llama_sampler *(*init_dist)(uint32_t seed);
    llama_sampler *(*init_top_k)(int32_t k);
    llama_sampler *(*init_top_p)(float p, size_t min_keep);
    llama_sampler *(*init_min_p)(float p, size_t min_keep);
    llama_sampler *(*init_typical)(float p, size_t min_keep);
    llama_sampler *(*init_temp)(float t);
    llama_sampler *(*init_top_n_sigma)(float n);
    llama_sampler *(*init_mirostat_v2)(uint32_t seed, float tau, float eta);
    llama_sampler *(*init_xtc)(float p, float t, size_t min_keep, uint32_t seed);
    llama_sampler *(*init_penalties)(int32_t last_n, float repeat, float frequency, float presence);
} libllama;

/* folder holds libllama*.so and the libraries that it needs. On failure false, with a message on
 * standard error, and nothing to close. */
bool libllama_open(libllama *llama, const char *folder);
void libllama_close(libllama *llama);

#endif
