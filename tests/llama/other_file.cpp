/* The C++ file of a program that includes pluck/llama.h. */
#include "other_files.h"

#include <pluck/llama.h>

extern "C" struct llama_sampler *other_cpp_file_make(const char *json, int32_t n_vocab)
{
    return pluck_llama_sampler_init(json, n_vocab);
}

extern "C" llama_token other_cpp_file_sample(struct llama_sampler *sampler,
                                             struct llama_context *ctx)
{
    return pluck_llama_sample(sampler, ctx, -1);
}
