/*
 * One table of names and places for the functions, and one of samplers to try out: each of these on
 * the logits 0, 1, 2, 3 after the tokens 2, 1, 2. That every argument arrives where it is meant to
 * shows in what becomes of them.
 */
#include "peers/libllama.h"

#include <dlfcn.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SYMBOL(member)                                                                             \
    {                                                                                              \
        "llama_sampler_" #member, offsetof(libllama, member)                                       \
    }
#define INIT_SYMBOL(member)                                                                        \
    {                                                                                              \
        "llama_sampler_init_" #member, offsetof(libllama, member)                                  \
    }

static const struct {
    const char *name;
    size_t offset_bytes;
} symbols[] = {
    SYMBOL(chain_init),
    SYMBOL(chain_add),
    SYMBOL(apply),
    SYMBOL(accept),
    SYMBOL(free),
    INIT_SYMBOL(greedy),
    INIT_SYMBOL(dist),
    INIT_SYMBOL(top_k),
    INIT_SYMBOL(top_p),
    INIT_SYMBOL(min_p),
    INIT_SYMBOL(typical),
    INIT_SYMBOL(temp),
    INIT_SYMBOL(temp_ext),
    INIT_SYMBOL(top_n_sigma),
    INIT_SYMBOL(xtc),
    INIT_SYMBOL(penalties),
    INIT_SYMBOL(dry),
    {"_Z30llama_sampler_init_dry_testingffiiRKSt6vectorIS_IiSaIiEESaIS1_EE",
     offsetof(libllama, dry_testing)},
    INIT_SYMBOL(logit_bias),
    INIT_SYMBOL(mirostat),
    INIT_SYMBOL(mirostat_v2),
    INIT_SYMBOL(adaptive_p),
};

/* The shortest name that fits: libllama-common.so is another library. */
static void *open_library(const char *folder)
{
    char pattern[4096];
    glob_t found = {0};
    void *handle = NULL;
    snprintf(pattern, sizeof pattern, "%s/libllama.*so*", folder);
    if (glob(pattern, 0, NULL, &found) == 0)
        handle = dlopen(found.gl_pathv[0], RTLD_NOW | RTLD_LOCAL);
    if (!handle && found.gl_pathc > 0)
        fprintf(stderr, "libllama: %s\n", dlerror());
    else if (!handle)
        fprintf(stderr, "libllama: %s holds no libllama.so; bench/peers/install-llama gets it\n",
                folder);
    globfree(&found);
    return handle;
}

enum { N_TRIED = 4 };

/* The logits of the tokens that are left, in order of tokens; -inf for the others. */
static void try_out(const libllama *llama, llama_sampler *sampler, float logits[N_TRIED])
{
    static const int32_t history[] = {2, 1, 2};
    llama_token_data data[N_TRIED];
    llama_token_data_array array = {data, N_TRIED, -1, false};
    for (int i = 0; i < N_TRIED; i++) {
        data[i] = (llama_token_data){i, (float)i, 0};
        logits[i] = -INFINITY;
    }
    for (size_t i = 0; i < sizeof history / sizeof *history; i++)
        llama->accept(sampler, history[i]);
    llama->apply(sampler, &array);
    for (size_t i = 0; i < array.size; i++)
        logits[array.data[i].id] = array.data[i].logit;
    llama->free(sampler);
}

/* p of the logits is 0.032, 0.087, 0.237, 0.644. What only draws is tried by what it draws from. */
static bool works_as_declared(const libllama *llama)
{
    static const int32_t breaker_tokens[] = {3};
    llama_vector breaker = {breaker_tokens, breaker_tokens + 1, breaker_tokens + 1};
    llama_logit_bias bias = {3, -1.5f};
    float gone = -INFINITY;
    const struct {
        const char *name;
        llama_sampler *sampler;
        float expected[N_TRIED];
    } tries[] = {
        {"top_k", llama->top_k(2), {gone, gone, 2, 3}},
        {"top_p", llama->top_p(0.7f, 1), {gone, gone, 2, 3}},
        {"top_p's min_keep", llama->top_p(0.1f, 3), {gone, 1, 2, 3}},
        {"min_p", llama->min_p(0.2f, 1), {gone, gone, 2, 3}},
        {"min_p's min_keep", llama->min_p(0.9f, 3), {gone, 1, 2, 3}},
        /* the mean surprise is 0.95 nats: token 2 is nearest, then 3, then 1 */
        {"typical", llama->typical(0.2f, 1), {gone, gone, 2, gone}},
        {"typical's min_keep", llama->typical(0.2f, 3), {gone, 1, 2, 3}},
        {"temp", llama->temp(2), {0, 0.5f, 1, 1.5f}},
        {"temp_ext", llama->temp_ext(2, 0, 1), {0, 0.5f, 1, 1.5f}},
        {"top_n_sigma", llama->top_n_sigma(1), {gone, gone, 2, 3}},
        {"xtc", llama->xtc(1, 0.08f, 1, 7), {0, 1, gone, gone}},
        /* 2 came twice, 1 once: halved, then less a quarter each time and 1 */
        {"penalties", llama->penalties(N_TRIED, 3, 2, 0.25f, 1), {0, -0.75f, -0.5f, 3}},
        {"penalties' window", llama->penalties(N_TRIED, 1, 2, 0.25f, 1), {0, 1, -0.25f, 3}},
        /* after 2, 1, 2 a token 1 would repeat one token: less 3 * 2^(1 - 1) */
        {"dry", llama->dry(NULL, 3, 2, 1, 10, NULL, 0), {0, -2, 2, 3}},
        {"dry_testing",
         llama->dry_testing(3, 2, 1, 10, &(llama_vector){&breaker, &breaker + 1, &breaker + 1}),
         {0, -2, 2, 3}},
        {"logit_bias", llama->logit_bias(N_TRIED, 1, &bias), {0, 1, 2, 1.5f}},
        {"mirostat_v2", llama->mirostat_v2(7, 0.5f, 0.1f), {gone, gone, gone, 3}},
    };
    bool works = true;
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        float logits[N_TRIED];
        try_out(llama, tries[i].sampler, logits);
        for (int t = 0; t < N_TRIED; t++) {
            float expected = tries[i].expected[t];
            if (logits[t] == expected || fabsf(logits[t] - expected) < 1e-5f)
                continue;
            fprintf(
                stderr,
                "libllama: %s gives token %d the logit %g, not %g: this is not a library of the "
                "release v0.5.0, whose functions are declared in bench/peers/libllama.h\n",
                tries[i].name, t, (double)logits[t], (double)expected);
            works = false;
            break;
        }
    }
    return works;
}

bool libllama_open(libllama *llama, const char *folder)
{
    *llama = (libllama){.handle = open_library(folder)};
    if (!llama->handle)
        return false;
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *address = dlsym(llama->handle, symbols[i].name);
        if (!address) {
            fprintf(stderr, "libllama: this library has no function %s\n", symbols[i].name);
            libllama_close(llama);
            return false;
        }
        /* POSIX lets an object pointer from dlsym() be read as a function pointer. */
        memcpy((char *)llama + symbols[i].offset_bytes, &address, sizeof address);
    }
    if (works_as_declared(llama))
        return true;
    libllama_close(llama);
    return false;
}

void libllama_close(libllama *llama)
{
    if (llama->handle)
        dlclose(llama->handle);
    llama->handle = NULL;
}
