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
PLUCK_API pluck_status pluck_config_set_json(pluck_config *config, const char *flat_key,
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

/* As pluck_config_from_json; "stages" may name the stages of the registry too. It may be NULL. */
PLUCK_API pluck_status pluck_config_from_json_with_stages(pluck_config **out, const char *json,
                                                          size_t json_size_bytes,
                                                          const pluck_registry *registry,
                                                          const pluck_allocator *allocator,
                                                          pluck_error *err);

/*
 * Configurations of other engines as configurations of pluck. Nothing is silently dropped: a report
 * says of every key what became of it.
 */

/* Whose configuration a text is. Each brings that engine's order of stages and its defaults. */
typedef enum pluck_import_format {
    PLUCK_IMPORT_HUGGINGFACE = 0,           /* generation_config.json of Transformers */
    PLUCK_IMPORT_LLAMA_CPP = 1,             /* body of a request to llama.cpp's server */
    PLUCK_IMPORT_VLLM = 2,                  /* body of a request to vLLM, or its SamplingParams */
    PLUCK_IMPORT_OPENAI = 3,                /* body of a request in the form of OpenAI's API: chat
                                     completions, completions or responses */
    PLUCK_IMPORT_TEXT_GENERATION_WEBUI = 4, /* its preset, YAML or JSON, or body of a request */
    PLUCK_IMPORT_KOBOLDCPP = 5,             /* body of a request to KoboldCpp's own API */
    PLUCK_IMPORT_OLLAMA = 6,   /* body of a request to Ollama, its "options", or a Modelfile */
    PLUCK_IMPORT_EXLLAMAV3 = 7 /* arguments of ExLlamaV3's ComboSampler and Job as an object */
} pluck_import_format;

/* "huggingface", "llama.cpp", "vllm", "openai", "text-generation-webui", "koboldcpp", "ollama",
 * "exllamav3"; NULL for a value outside the enumeration. */
PLUCK_API const char *pluck_import_format_name(pluck_import_format kind);

/* The kind with this name: PLUCK_ERR_INVALID for an unknown one. */
PLUCK_API pluck_status pluck_import_format_from_name(const char *name, pluck_import_format *kind,
                                                     pluck_error *err);

/* The kind that knows most of the keys; PLUCK_ERR_CONFIG if no kind knows any, or if several kinds
 * know the same number. A Modelfile and a preset in YAML are told by their form. */
PLUCK_API pluck_status pluck_import_guess(const char *json, size_t json_size_bytes,
                                          pluck_import_format *kind, pluck_error *err);

/* What became of a key. Values never change meaning. */
typedef enum pluck_import_fate {
    PLUCK_IMPORT_MAPPED = 0,  /* it is in the configuration */
    PLUCK_IMPORT_IGNORED = 1, /* it does not change which token is drawn, or has no effect here */
    PLUCK_IMPORT_REFUSED = 2  /* it may change it, and the configuration does not do that */
} pluck_import_fate;

/* "mapped", "ignored", "refused"; NULL for a value outside the enumeration. */
PLUCK_API const char *pluck_import_fate_name(pluck_import_fate fate);

/* Called once for every key of the text in its order, then for the defaults that the engine applies
 * where a key is absent. key: as in the text, with the keys of the objects around it
 * ("options.top_k"). note: what it became, or why not. Both texts are valid during the call. A key
 * whose values fare differently comes once for each fate. */
typedef void (*pluck_import_report)(void *user, const char *key, pluck_import_fate fate,
                                    const char *note);

/*
 * json need not be NUL-terminated. report may be NULL. The result is in the flat form with
 * "order", or in the explicit form if the engine runs a stage twice. Keys that are refused
 * leave the rest valid: whether the result is good enough is for the caller to say. A number
 * that is out of range becomes what the engine makes of it; if the engine rejects it, or pluck
 * cannot do the same, the key is refused, as it is for a value of the wrong type: the note then
 * has its line and column. Where such a value leaves open what the rest means ("samplers" of
 * llama.cpp, for example), the result is PLUCK_ERR_CONFIG; some keys may have been reported by
 * then. Objects that requests are wrapped in (extra_body, options, parameters, sampling_params,
 * generation_config and others) are looked into. allocator as for pluck_config_create(). On
 * failure *out is NULL.
 */
PLUCK_API pluck_status pluck_config_import(pluck_config **out, pluck_import_format kind,
                                           const char *json, size_t json_size_bytes,
                                           pluck_import_report report, void *user,
                                           const pluck_allocator *allocator, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
