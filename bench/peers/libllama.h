/*
 * The samplers of libllama's C API, loaded at run time, so that nothing of llama.cpp is needed to
 * build. Structures and signatures are those of include/llama.h of the release v0.5.0, which npm's
 * @node-llama-cpp/linux-x64 has: penalties take the size of the vocabulary first, dry takes no
 * length of the context. Older libraries differ there, and a function called with other arguments
 * than it has gives wrong results in silence: libllama_open() tries out what it loads.
 *
 * dry with breakers as tokens is what llama.cpp's own tests call, a C++ function with a vector of
 * vectors. The library is built with libstdc++, where a vector is three pointers: llama_vector.
 */
#ifndef LIBLLAMA_H
#define LIBLLAMA_H

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

typedef struct llama_logit_bias {
    int32_t token;
    float bias;
} llama_logit_bias;

typedef struct llama_sampler_chain_params {
    bool no_perf;
} llama_sampler_chain_params;

typedef struct llama_sampler llama_sampler;

/* std::vector<T> as libstdc++ lays it out; only read by the library. */
typedef struct llama_vector {
    const void *begin, *end, *capacity_end;
} llama_vector;

typedef struct libllama {
    void *handle;
    llama_sampler *(*chain_init)(llama_sampler_chain_params params);
    void (*chain_add)(llama_sampler *chain, llama_sampler *sampler);
    void (*apply)(llama_sampler *sampler, llama_token_data_array *candidates);
    void (*accept)(llama_sampler *sampler, int32_t token);
    void (*free)(llama_sampler *sampler);
    llama_sampler *(*greedy)(void);
    llama_sampler *(*dist)(uint32_t seed);
    llama_sampler *(*top_k)(int32_t k);
    llama_sampler *(*top_p)(float p, size_t min_keep);
    llama_sampler *(*min_p)(float p, size_t min_keep);
    llama_sampler *(*typical)(float p, size_t min_keep);
    llama_sampler *(*temp)(float t);
    llama_sampler *(*temp_ext)(float t, float range, float exponent);
    llama_sampler *(*top_n_sigma)(float n);
    llama_sampler *(*xtc)(float p, float t, size_t min_keep, uint32_t seed);
    llama_sampler *(*penalties)(int32_t n_vocab, int32_t last_n, float repeat, float frequency,
                                float presence);
    llama_sampler *(*dry)(const void *vocab, float multiplier, float base, int32_t allowed_length,
                          int32_t last_n, const char **breakers, size_t n_breakers);
    llama_sampler *(*dry_testing)(float multiplier, float base, int32_t allowed_length,
                                  int32_t last_n, const llama_vector *breakers);
    llama_sampler *(*logit_bias)(int32_t n_vocab, int32_t n, const llama_logit_bias *biases);
    llama_sampler *(*mirostat)(int32_t n_vocab, uint32_t seed, float tau, float eta, int32_t m);
    llama_sampler *(*mirostat_v2)(uint32_t seed, float tau, float eta);
    llama_sampler *(*adaptive_p)(float target, float decay, uint32_t seed);
} libllama;

/* folder holds libllama*.so and the libraries that it needs. On failure false, with a message on
 * standard error, and nothing to close. */
bool libllama_open(libllama *llama, const char *folder);
void libllama_close(libllama *llama);

#endif
