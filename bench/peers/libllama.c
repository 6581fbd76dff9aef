/* One table of names and places for the functions; the library finds its siblings by itself. */
#include "peers/libllama.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

typedef struct symbol {
    const char *name;
    size_t offset_bytes;
} symbol;

#define SYMBOL(name, member)                                                                       \
    {                                                                                              \
        name, offsetof(libllama, member)                                                           \
    }

static const symbol symbols[] = {
    SYMBOL("llama_sampler_chain_init", chain_init),
    SYMBOL("llama_sampler_chain_add", chain_add),
    SYMBOL("llama_sampler_apply", apply),
    SYMBOL("llama_sampler_accept", accept),
    SYMBOL("llama_sampler_free", free),
    SYMBOL("llama_sampler_init_greedy", init_greedy),
    SYMBOL("llama_sampler_init_dist", init_dist),
    SYMBOL("llama_sampler_init_top_k", init_top_k),
    SYMBOL("llama_sampler_init_top_p", init_top_p),
    SYMBOL("llama_sampler_init_min_p", init_min_p),
    SYMBOL("llama_sampler_init_typical", init_typical),
    SYMBOL("llama_sampler_init_temp", init_temp),
    SYMBOL("llama_sampler_init_top_n_sigma", init_top_n_sigma),
    SYMBOL("llama_sampler_init_mirostat_v2", init_mirostat_v2),
    SYMBOL("llama_sampler_init_xtc", init_xtc),
    SYMBOL("llama_sampler_init_penalties", init_penalties),
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
        fprintf(stderr, "bench_llama: %s\n", dlerror());
    else if (!handle)
        fprintf(stderr, "bench_llama: %s holds no libllama.so; bench/peers/install-llama gets it\n",
                folder);
    globfree(&found);
    return handle;
}

bool libllama_open(libllama *llama, const char *folder)
{
    *llama = (libllama){.handle = open_library(folder)};
    if (!llama->handle)
        return false;
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *const address = dlsym(llama->handle, symbols[i].name);
        if (!address) {
            fprintf(stderr, "bench_llama: this libllama has no function %s\n", symbols[i].name);
            libllama_close(llama);
            return false;
        }
        /* POSIX lets an object pointer from dlsym() be read as a function pointer. */
        memcpy((char *)llama + symbols[i].offset_bytes, &address, sizeof address);
    }
    return true;
}

void libllama_close(libllama *llama)
{
    if (llama->handle)
        dlclose(llama->handle);
    llama->handle = NULL;
}
