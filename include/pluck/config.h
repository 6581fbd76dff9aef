/*
 * Configurations: which stages run in which order, with which parameters, and the seed. A
 * pluck_config is what a JSON text says, checked; a sampler is created from it (sampler.h).
 * docs/configuration.md describes both JSON forms.
 *
 * Flat form: {"seed": 42, "temperature": 0.8, "top_k": 40, "top_p": 0.95}. Keys as llama.cpp's
 * server and OpenAI-style APIs name them; an absent key leaves its stage out; stages run in the
 * order of pluck_stage_at() unless "order": ["temperature", "top_p"] says otherwise. Explicit form:
 * {"seed": 42, "stages": [{"type": "top_k", "k": 40}, …], "draw": "categorical"}.
 *
 * Errors are PLUCK_ERR_CONFIG with a message "line L, column C: $.path: what is wrong; what is
 * allowed", lines and columns counted from 1, columns in characters.
 */
#ifndef PLUCK_CONFIG_H
#define PLUCK_CONFIG_H

#include <pluck/base.h>
#include <pluck/stage.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pluck_config pluck_config;

/* An empty configuration: {} (softmax sampling, seed 0). On failure *out is NULL. allocator may be
 * NULL; it must outlive the configuration. */
PLUCK_API pluck_status pluck_config_create(pluck_config **out, const pluck_allocator *allocator,
                                           pluck_error *err);

/* json need not be NUL-terminated; either form. Memory and time grow linearly with json_size_bytes.
 * On failure *out is NULL. */
PLUCK_API pluck_status pluck_config_from_json(pluck_config **out, const char *json,
                                              size_t json_size_bytes,
                                              const pluck_allocator *allocator, pluck_error *err);

PLUCK_API void pluck_config_destroy(pluck_config **config);

/* An independent copy. On failure *out is NULL. */
PLUCK_API pluck_status pluck_config_clone(pluck_config **out, const pluck_config *config,
                                          pluck_error *err);

/*
 * Sets one flat key ("top_p") from a JSON value written as text ("0.9", "\"random\"", "{\"7\":
 * -2}"), as a command-line flag does. On a flat configuration this is the same as writing the key
 * into the JSON; on an explicit one it sets the parameter in every stage that has it, and where
 * there is none adds the stage at its place in the flat order.
 */
PLUCK_API pluck_status pluck_config_set(pluck_config *config, const char *flat_key,
                                        const char *json_value, pluck_error *err);

/*
 * Writes the configuration as JSON that reads back to an equal configuration (same form, same
 * stages, same bits of every number), indented by two spaces, with a final newline. Writes at most
 * capacity_bytes including the terminating NUL into text (text may be NULL if capacity_bytes is 0)
 * and the size needed, without the NUL, into *size_bytes. PLUCK_ERR_INVALID if it did not fit.
 */
PLUCK_API pluck_status pluck_config_to_json(const pluck_config *config, char *text,
                                            size_t capacity_bytes, size_t *size_bytes,
                                            pluck_error *err);

/* Whether two configurations have the same form, stages, parameters, seed and options. */
PLUCK_API bool pluck_config_equal(const pluck_config *a, const pluck_config *b);

/* The stages in running order, neutral ones included; the draw is the last, always present. */
PLUCK_API size_t pluck_config_stage_count(const pluck_config *config);
PLUCK_API const pluck_stage *pluck_config_stage_at(const pluck_config *config, size_t index);

/* The parameters of that stage, laid out as its descriptor says; valid until the configuration
 * changes. */
PLUCK_API const void *pluck_config_params_at(const pluck_config *config, size_t index);

/* True when that stage changes nothing with these parameters; a sampler leaves it out. */
PLUCK_API bool pluck_config_neutral_at(const pluck_config *config, size_t index);

/* true if the seed is "random" (each sampler created from the configuration asks the operating
 * system); else *seed is it. */
PLUCK_API bool pluck_config_seed(const pluck_config *config, uint64_t *seed);

typedef enum pluck_on_nan {
    PLUCK_ON_NAN_ERROR = 0, /* NaN or +inf in the logits is PLUCK_ERR_NAN */
    PLUCK_ON_NAN_BAN = 1    /* such a token is treated as -inf            */
} pluck_on_nan;

/* The value of "on_nan". */
PLUCK_API pluck_on_nan pluck_config_on_nan(const pluck_config *config);

/* The JSON Schema (draft 2020-12) of both forms, generated from the stage tables. As
 * pluck_config_to_json. */
PLUCK_API pluck_status pluck_config_schema(char *text, size_t capacity_bytes, size_t *size_bytes,
                                           pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
