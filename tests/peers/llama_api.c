/* One table of names and places for the functions. */
#include "peers/llama_api.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>

#define SYMBOL(member)                                                                             \
    {                                                                                              \
        "llama_sampler_init_" #member, offsetof(llama_api, member)                                 \
    }

static const struct {
    const char *name;
    size_t offset_bytes;
} symbols[] = {
    {"llama_sampler_chain_init", offsetof(llama_api, chain_init)},
    {"llama_sampler_chain_add", offsetof(llama_api, chain_add)},
    {"llama_sampler_apply", offsetof(llama_api, apply)},
    {"llama_sampler_accept", offsetof(llama_api, accept)},
    {"llama_sampler_free", offsetof(llama_api, free)},
    SYMBOL(top_k),
    SYMBOL(top_p),
    SYMBOL(min_p),
    SYMBOL(typical),
    SYMBOL(temp),
    SYMBOL(temp_ext),
    SYMBOL(top_n_sigma),
    SYMBOL(xtc),
    SYMBOL(penalties),
    SYMBOL(dry),
    {"_Z30llama_sampler_init_dry_testingffiiRKSt6vectorIS_IiSaIiEESaIS1_EE",
     offsetof(llama_api, dry_testing)},
    SYMBOL(logit_bias),
    SYMBOL(mirostat),
    SYMBOL(mirostat_v2),
    SYMBOL(adaptive_p),
};

bool llama_api_open(llama_api *api, const char *folder)
{
    *api = (llama_api){.handle = NULL};
    if (!folder)
        return false;
    char pattern[4096];
    glob_t found = {0};
    snprintf(pattern, sizeof pattern, "%s/libllama.*so*", folder);
    if (glob(pattern, 0, NULL, &found) == 0)
        api->handle = dlopen(found.gl_pathv[0], RTLD_NOW | RTLD_LOCAL);
    globfree(&found);
    for (size_t i = 0; api->handle && i < sizeof symbols / sizeof *symbols; i++) {
        void *const address = dlsym(api->handle, symbols[i].name);
        if (!address) {
            fprintf(stderr, "libllama has no %s\n", symbols[i].name);
            llama_api_close(api);
            return false;
        }
        memcpy((char *)api + symbols[i].offset_bytes, &address, sizeof address);
    }
    return api->handle != NULL;
}

void llama_api_close(llama_api *api)
{
    if (api->handle)
        dlclose(api->handle);
    api->handle = NULL;
}
