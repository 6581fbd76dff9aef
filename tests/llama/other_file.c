/* A second C file of a program that includes pluck/llama.h. */
#include "other_files.h"

#include <pluck/llama.h>

struct llama_sampler *other_c_file_make(const char *json, int32_t n_vocab)
{
    return pluck_llama_sampler_init(json, n_vocab);
}
