/*
 * From the command line to the objects of the library. Every function returns an exit code, after
 * complain() if it is not EXIT_DONE; then its output is NULL or empty.
 */
#ifndef CLI_SETUP_H
#define CLI_SETUP_H

#include "options.h"

#include <pluck/config.h>
#include <pluck/dump.h>
#include <pluck/sampler.h>

#include "file/array_file.h"
#include "vocab/vocab.h"

/* --config or --preset (file, if not NULL, instead of --config), then the flags for keys. */
int setup_config(const arguments *args, const char *file, pluck_config **config);

/* Replaces a "random" seed by one from the system and says which on standard error, so that every
 * sampler of this run has the same one and the run can be repeated. */
int setup_seed(const arguments *args, pluck_config *config);

/* --isa, else the environment variable PLUCK_ISA, else the best. */
int setup_isa(const arguments *args, pluck_isa *isa);

typedef struct token_list {
    pluck_token *tokens;
    size_t n;
} token_list;

/* Token ids separated by commas, the value of a flag (NULL: none); freed with
 * free(list->tokens). */
int setup_tokens(const arguments *args, const char *flag, const char *ids, token_list *list);

/* Whether they are below n_vocab; else EXIT_DATA after complain(). */
int setup_tokens_check(const arguments *args, const char *flag, const token_list *list,
                       uint32_t n_vocab);

/* --prompt-tokens; freed with free(list->tokens). */
int setup_prompt(const arguments *args, token_list *list);

/* Whether its tokens are below n_vocab; else EXIT_DATA after complain(). */
int setup_prompt_check(const arguments *args, const token_list *list, uint32_t n_vocab);

/* Puts a sampler at the start of a stream: the prompt is what came before. */
pluck_status setup_stream(pluck_sampler *sampler, uint64_t stream, const token_list *prompt,
                          pluck_error *err);

/* Everything about a sampler. */
pluck_sampler_info setup_sampler_info(const pluck_sampler *sampler);

/* A dump and memory for one of its rows. */
typedef struct source {
    pluck_dump *dump;
    pluck_dump_info info;
    float *scratch;
} source;

/* What messages call a dump: its path, or "standard input". */
const char *source_name(const char *path);

/* The axes of a dump that are rows; none for a format without a shape. */
plk_shape source_shape(const pluck_dump_info *info);

/* Whether targets are in the order of the rows, as far as the shapes tell: else EXIT_DATA after
 * complain(). Both are known to be of the same number. */
int source_check_shape(const arguments *args, const char *dump_name, const plk_shape *rows,
                       const char *targets_name, const plk_shape *targets);

int source_open(const arguments *args, const char *path, source *src);
void source_close(source *src);

/* The texts of tokens: those of --vocab, or of a dump whose rows name their tokens so. */
typedef struct token_texts {
    plk_vocab vocab;
    const char *name;  /* of the file or dump that they are from; NULL: there are none */
    bool may_be_short; /* fewer than the rows have values */
} token_texts;

/* Those of --vocab, if it is given. */
int texts_open(token_texts *texts, const arguments *args);
void texts_close(token_texts *texts);

/* Whether they have the length of the rows of path; else EXIT_DATA after complain(). */
int texts_check(const token_texts *texts, const char *who, const char *path, uint32_t n_vocab);

/* Those of a dump called name; without them nothing happens. */
int texts_take(token_texts *texts, const char *who, const char *name, const pluck_dump *dump,
               uint32_t n_vocab);

/* "" for a token without a text; *n: its bytes. */
const char *texts_get(const token_texts *texts, pluck_token token, size_t *n);

#endif
