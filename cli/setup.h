/*
 * From the command line to the objects of the library. After a failure the output of a
 * function is NULL or empty.
 */
#ifndef CLI_SETUP_H
#define CLI_SETUP_H

#include "flags.h"

#include <pluck/config.h>
#include <pluck/sampler.h>

/* The file or the preset, then the flags for keys. */
int setup_config(const config_flags *flags, pluck_config **config);

/* The configuration as JSON, of *n_bytes without its NUL, or for NULL the schema of all; freed by
 * the caller. NULL if there is no memory. */
char *setup_config_json(const pluck_config *config, size_t *n_bytes);
void setup_print_config(output *out, const pluck_config *config);

/* Replaces a "random" seed by one from the system and says which on standard error, so that every
 * sampler of this run has the same one and the run can be repeated. Makes the configuration a part
 * of what the run is, for processes that share its rows; these refuse a random seed. */
int setup_seed(pluck_config *config);

/* What --isa gives, else the environment variable PLUCK_ISA, else the best. */
int setup_isa(const char *given, pluck_isa *isa);

typedef struct token_list {
    pluck_token *tokens;
    size_t n;
} token_list;

/* Token ids separated by commas, the value of a flag (NULL: none); freed with
 * free(list->tokens). */
int setup_tokens(const char *name, const char *ids, token_list *list);

/* Whether they are below n_vocab; else EXIT_DATA after complain(). */
int setup_tokens_check(const char *name, const token_list *list, uint32_t n_vocab);

/* Puts a sampler at the start of a stream: the prompt is what came before. */
pluck_status setup_stream(pluck_sampler *sampler, uint64_t stream, const token_list *prompt,
                          pluck_error *err);

/* What a configuration says, and one of its stages. */
pluck_config_info setup_config_info(const pluck_config *config);
pluck_config_stage setup_config_stage(const pluck_config *config, size_t index);

/* Everything about a sampler. */
pluck_sampler_info setup_sampler_info(const pluck_sampler *sampler);

/* Reads path ("-": standard input) of at most limit bytes; the text is freed by the caller and is
 * followed by a NUL that *n does not count. */
int read_file(const char *path, size_t limit, char **text, size_t *n);

typedef struct preset {
    const char *name; /* "balanced": the file's name without ".json" */
    const char *json; /* NUL-terminated */
    size_t size_bytes;
} preset;

extern const preset presets[]; /* ends with a NULL name */

/* The preset with this name, or NULL. */
const preset *preset_find(const char *name);

/* The nearest preset name to a misspelt one, or NULL. */
const char *preset_nearest(const char *name);

#endif
