/*
 * Samplers that are made in other files of the program, in C and in C++: each of these includes
 * pluck/llama.h itself.
 */
#ifndef OTHER_FILES_H
#define OTHER_FILES_H

#include <llama.h>

#ifdef __cplusplus
extern "C" {
#endif

struct llama_sampler *other_c_file_make(const char *json, int32_t n_vocab);
struct llama_sampler *other_cpp_file_make(const char *json, int32_t n_vocab);

/* Through the direct path as that file has it. */
llama_token other_cpp_file_sample(struct llama_sampler *sampler, struct llama_context *ctx);

#ifdef __cplusplus
}
#endif

#endif
