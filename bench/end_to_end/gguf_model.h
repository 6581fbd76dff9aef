/*
 * A model for llama.cpp with a vocabulary of real size and a body that is nearly nothing, so that
 * the time of sampling shows next to that of decoding as it does with a large model on a fast
 * device. Its weights are random and always the same.
 */
#ifndef BENCH_GGUF_MODEL_H
#define BENCH_GGUF_MODEL_H

#include <stdbool.h>

/* Writes the file anew. On failure false, with a message on standard error. */
bool gguf_model_write(const char *path);

#endif
