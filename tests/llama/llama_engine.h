/*
 * The functions of llama.cpp that pluck/llama.h calls, and what tests do with its samplers: from
 * libllama itself if PLUCK_LIBLLAMA names its folder and the tables match, else stand-ins that call
 * the table as it does.
 */
#ifndef LLAMA_ENGINE_H
#define LLAMA_ENGINE_H

#include <llama.h>

/* Says on standard output which engine it is. */
void llama_engine_open(void);
void llama_engine_close(void);

#if LLAMA_STAND_IN >= 202608
/* Ends the program if the tables differ. */
void llama_engine_copy(const struct llama_sampler *from, struct llama_sampler *to);
#endif

/* Whether it is libllama: then these are there too. */
bool llama_engine_is_real(void);
struct llama_sampler *llama_engine_chain(void);
void llama_engine_chain_add(struct llama_sampler *chain, struct llama_sampler *sampler);
struct llama_sampler *llama_engine_top_k(int32_t k);

const char *llama_engine_name(const struct llama_sampler *sampler);
void llama_engine_accept(struct llama_sampler *sampler, llama_token token);
void llama_engine_apply(struct llama_sampler *sampler, llama_token_data_array *candidates);
void llama_engine_reset(struct llama_sampler *sampler);
struct llama_sampler *llama_engine_clone(const struct llama_sampler *sampler);
void llama_engine_free(struct llama_sampler *sampler);

/* The outputs of the last decode, [n_outputs, n_vocab], from now on, whatever the context. */
void llama_engine_set_logits(float *logits, int32_t n_outputs, int32_t n_vocab);

#endif
