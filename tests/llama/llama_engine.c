/* Each function asks for libllama's own first. */
#include "llama_engine.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct chain_params {
    bool no_perf;
} chain_params;

typedef struct functions {
    struct llama_sampler *(*init)(llama_stand_in_table table, llama_sampler_context_t ctx);
    const char *(*name)(const struct llama_sampler *sampler);
    void (*accept)(struct llama_sampler *sampler, llama_token token);
    void (*apply)(struct llama_sampler *sampler, llama_token_data_array *candidates);
    void (*reset)(struct llama_sampler *sampler);
    struct llama_sampler *(*clone)(const struct llama_sampler *sampler);
    void (*free)(struct llama_sampler *sampler);
    void (*copy)(const struct llama_sampler *from, struct llama_sampler *to);
    struct llama_sampler *(*chain_init)(chain_params params);
    void (*chain_add)(struct llama_sampler *chain, struct llama_sampler *sampler);
    struct llama_sampler *(*init_top_k)(int32_t k);
} functions;

static const struct {
    const char *name;
    size_t offset_bytes;
} symbols[] = {
    {"llama_sampler_init", offsetof(functions, init)},
    {"llama_sampler_name", offsetof(functions, name)},
    {"llama_sampler_accept", offsetof(functions, accept)},
    {"llama_sampler_apply", offsetof(functions, apply)},
    {"llama_sampler_reset", offsetof(functions, reset)},
    {"llama_sampler_clone", offsetof(functions, clone)},
    {"llama_sampler_free", offsetof(functions, free)},
    {"llama_sampler_copy", offsetof(functions, copy)},
    {"llama_sampler_chain_init", offsetof(functions, chain_init)},
    {"llama_sampler_chain_add", offsetof(functions, chain_add)},
    {"llama_sampler_init_top_k", offsetof(functions, init_top_k)},
};

static void *library;
static functions real;
static float *current_logits;
static int32_t current_n_vocab, current_n_outputs;

void llama_engine_close(void)
{
    if (library)
        dlclose(library);
    library = NULL;
    real = (functions){.init = NULL};
}

void llama_engine_open(void)
{
    const char *folder = getenv("PLUCK_LIBLLAMA");
#if LLAMA_STAND_IN >= 202608
    char pattern[4096];
    glob_t found = {0};
    snprintf(pattern, sizeof pattern, "%s/libllama.*so*", folder ? folder : "");
    if (folder && glob(pattern, 0, NULL, &found) == 0)
        library = dlopen(found.gl_pathv[0], RTLD_NOW | RTLD_LOCAL);
    globfree(&found);
    for (size_t i = 0; library && i < sizeof symbols / sizeof *symbols; i++) {
        void *address = dlsym(library, symbols[i].name);
        if (address)
            memcpy((char *)&real + symbols[i].offset_bytes, &address, sizeof address);
        else
            llama_engine_close();
    }
#else
    (void)folder;
    (void)symbols;
#endif
    puts(library ? "# with libllama"
                 : "# with stand-ins: PLUCK_LIBLLAMA names no libllama of v0.5.0");
}

bool llama_engine_is_real(void)
{
    return library != NULL;
}

struct llama_sampler *llama_engine_chain(void)
{
    return real.chain_init((chain_params){true});
}

void llama_engine_chain_add(struct llama_sampler *chain, struct llama_sampler *sampler)
{
    real.chain_add(chain, sampler);
}

struct llama_sampler *llama_engine_top_k(int32_t k)
{
    return real.init_top_k(k);
}

#if LLAMA_STAND_IN >= 202608
void llama_engine_copy(const struct llama_sampler *from, struct llama_sampler *to)
{
    if (real.copy) {
        real.copy(from, to);
        return;
    }
    if (from->iface != to->iface)
        abort();
    to->iface->copy_state(from, to);
}
#endif

struct llama_sampler *llama_sampler_init(llama_stand_in_table iface, llama_sampler_context_t ctx)
{
    if (real.init)
        return real.init(iface, ctx);
    struct llama_sampler *sampler = malloc(sizeof *sampler);
    if (sampler)
        *sampler = (struct llama_sampler){iface, ctx};
    return sampler;
}

const char *llama_engine_name(const struct llama_sampler *sampler)
{
    return real.name ? real.name(sampler) : sampler->iface->name(sampler);
}

void llama_engine_accept(struct llama_sampler *sampler, llama_token token)
{
    if (real.accept)
        real.accept(sampler, token);
    else
        sampler->iface->accept(sampler, token);
}

void llama_engine_apply(struct llama_sampler *sampler, llama_token_data_array *candidates)
{
    if (real.apply)
        real.apply(sampler, candidates);
    else
        sampler->iface->apply(sampler, candidates);
}

void llama_engine_reset(struct llama_sampler *sampler)
{
    if (real.reset)
        real.reset(sampler);
    else
        sampler->iface->reset(sampler);
}

struct llama_sampler *llama_engine_clone(const struct llama_sampler *sampler)
{
    return real.clone ? real.clone(sampler) : sampler->iface->clone(sampler);
}

void llama_engine_free(struct llama_sampler *sampler)
{
    if (real.free) {
        real.free(sampler);
        return;
    }
    sampler->iface->free(sampler);
    free(sampler);
}

void llama_engine_set_logits(float *logits, int32_t n_outputs, int32_t n_vocab)
{
    current_logits = logits;
    current_n_outputs = n_outputs;
    current_n_vocab = n_vocab;
}

float *llama_get_logits_ith(struct llama_context *ctx, int32_t i)
{
    (void)ctx;
    if (i == -1)
        i = current_n_outputs - 1;
    return i >= 0 && i < current_n_outputs ? current_logits + (size_t)i * (size_t)current_n_vocab
                                           : NULL;
}

const struct llama_model *llama_get_model(const struct llama_context *ctx)
{
    return (const struct llama_model *)ctx;
}

const struct llama_vocab *llama_model_get_vocab(const struct llama_model *model)
{
    return (const struct llama_vocab *)model;
}

int32_t llama_vocab_n_tokens(const struct llama_vocab *vocab)
{
    (void)vocab;
    return current_n_vocab;
}
