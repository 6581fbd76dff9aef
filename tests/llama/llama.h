/*
 * The part of llama.cpp's llama.h that pluck/llama.h needs, so that its tests need no llama.cpp:
 * the interface of early 2025, or with LLAMA_STAND_IN_BACKEND that of release v0.5.0, whose table
 * has further functions.
 */
#ifndef LLAMA_STAND_IN_H
#define LLAMA_STAND_IN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct llama_vocab;
struct llama_model;
struct llama_context;
struct llama_sampler;

typedef int32_t llama_token;

typedef struct llama_token_data {
    llama_token id;
    float logit;
    float p;
} llama_token_data;

typedef struct llama_token_data_array {
    llama_token_data *data;
    size_t size;
    int64_t selected;
    bool sorted;
} llama_token_data_array;

typedef void *llama_sampler_context_t;

struct llama_sampler_i {
    const char *(*name)(const struct llama_sampler *smpl);
    void (*accept)(struct llama_sampler *smpl, llama_token token);
    void (*apply)(struct llama_sampler *smpl, llama_token_data_array *candidates);
    void (*reset)(struct llama_sampler *smpl);
    struct llama_sampler *(*clone)(const struct llama_sampler *smpl);
    void (*free)(struct llama_sampler *smpl);
#ifdef LLAMA_STAND_IN_BACKEND
    bool (*backend_init)(struct llama_sampler *smpl, void *buffer_type, uint32_t n_outputs);
    void (*backend_accept)(struct llama_sampler *smpl, void *ctx, void *graph, void *selected);
    void (*backend_apply)(struct llama_sampler *smpl, void *ctx, void *graph, void *data);
    void (*backend_set_input)(struct llama_sampler *smpl);
    void (*backend_reset)(struct llama_sampler *smpl);
    void (*copy_state)(const struct llama_sampler *from, struct llama_sampler *to);
#endif
};

#ifdef LLAMA_STAND_IN_BACKEND
typedef struct llama_sampler_i *llama_stand_in_table;
#else
typedef const struct llama_sampler_i *llama_stand_in_table;
#endif

struct llama_sampler {
    llama_stand_in_table iface;
    llama_sampler_context_t ctx;
};

struct llama_sampler *llama_sampler_init(llama_stand_in_table iface, llama_sampler_context_t ctx);

float *llama_get_logits_ith(struct llama_context *ctx, int32_t i);
const struct llama_model *llama_get_model(const struct llama_context *ctx);
const struct llama_vocab *llama_model_get_vocab(const struct llama_model *model);
int32_t llama_vocab_n_tokens(const struct llama_vocab *vocab);

#ifdef __cplusplus
}
#endif

#endif
