/*
 * The part of llama.cpp's llama.h that pluck/llama.h needs, so that its tests need no llama.cpp:
 * the interface of the date LLAMA_STAND_IN, one of those of PLUCK_LLAMA_HEADER. That of 202608 is
 * the one of release v0.5.0 and the newest.
 */
#ifndef LLAMA_STAND_IN_H
#define LLAMA_STAND_IN_H

#ifndef LLAMA_STAND_IN
#    define LLAMA_STAND_IN 202608
#endif

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
typedef struct ggml_backend_buffer_type *ggml_backend_buffer_type_t;

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
#if LLAMA_STAND_IN >= 202608
    bool (*backend_init)(struct llama_sampler *smpl, ggml_backend_buffer_type_t buffer_type,
                         uint32_t n_outputs);
#elif LLAMA_STAND_IN >= 202601
    bool (*backend_init)(struct llama_sampler *smpl, ggml_backend_buffer_type_t buffer_type);
#endif
#if LLAMA_STAND_IN >= 202601
    void (*backend_accept)(struct llama_sampler *smpl, void *ctx, void *graph, void *selected);
    void (*backend_apply)(struct llama_sampler *smpl, void *ctx, void *graph, void *data);
    void (*backend_set_input)(struct llama_sampler *smpl);
#endif
#if LLAMA_STAND_IN >= 202608
    void (*backend_reset)(struct llama_sampler *smpl);
    void (*copy_state)(const struct llama_sampler *from, struct llama_sampler *to);
#endif
};

#if LLAMA_STAND_IN >= 202601
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
