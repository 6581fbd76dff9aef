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

/* NULL in the place of a pointer to it: all fields 0. */
typedef struct pluck_config_options {
    size_t struct_size; /* PLUCK_INIT(pluck_config_options) */
    /* Custom stages that "stages" may name too (stage.h), or NULL. The registry must outlive the
     * configuration, its copies and their samplers. */
    const pluck_registry *registry;
    const pluck_allocator *allocator; /* must outlive the configuration; NULL: malloc and free */
} pluck_config_options;

/* An empty configuration: {} (softmax sampling, seed 0). On failure *out is NULL. */
PLUCK_API pluck_status pluck_config_create(pluck_config **out, const pluck_config_options *options,
                                           pluck_error *err);

/* json need not be NUL-terminated; either form. Memory and time grow linearly with json_size_bytes.
 * On failure *out is NULL. */
PLUCK_API pluck_status pluck_config_from_json(pluck_config **out, const char *json,
                                              size_t json_size_bytes,
                                              const pluck_config_options *options,
                                              pluck_error *err);

/* An independent copy. On failure *out is NULL. */
PLUCK_API pluck_status pluck_config_clone(pluck_config **out, const pluck_config *config,
                                          pluck_error *err);

/* Takes NULL and a pointer to NULL; sets *config to NULL. */
PLUCK_API void pluck_config_destroy(pluck_config **config);

/* Whether two configurations have the same form, stages, parameters, seed and options. */
PLUCK_API bool pluck_config_equal(const pluck_config *a, const pluck_config *b);

/*
 * Setters. key is a flat key ("top_p") or a stage and its parameter ("top_p.p"), which is the
 * parameter of the last stage with that name. On a configuration in the flat form a flat key does
 * what it does in the JSON. On one in the explicit form it sets the parameter in every stage that
 * has it; if there is none, the stage is added at its place in the flat order.
 *
 * The value must have the parameter's type; an integer is accepted where a number is expected.
 * PLUCK_ERR_CONFIG for an unknown key (the message names the nearest one) and for a value outside
 * the parameter's range; then the configuration has not changed. No text is read or written in the
 * program's locale.
 */
PLUCK_API pluck_status pluck_config_set_number(pluck_config *config, const char *key, double value,
                                               pluck_error *err);
PLUCK_API pluck_status pluck_config_set_integer(pluck_config *config, const char *key,
                                                int64_t value, pluck_error *err);
PLUCK_API pluck_status pluck_config_set_bool(pluck_config *config, const char *key, bool value,
                                             pluck_error *err);

/* "draw", "on_nan", "description"; "seed" may be "random". */
PLUCK_API pluck_status pluck_config_set_text(pluck_config *config, const char *key,
                                             const char *value, pluck_error *err);

/* Tokens in any order, each once. tokens may be NULL if n is 0. */
PLUCK_API pluck_status pluck_config_set_tokens(pluck_config *config, const char *key,
                                               const pluck_token *tokens, size_t n,
                                               pluck_error *err);
PLUCK_API pluck_status pluck_config_set_sequences(pluck_config *config, const char *key,
                                                  const pluck_sequences *sequences,
                                                  pluck_error *err);

/* Biases in any order, each token once; -INFINITY bans the token. biases may be NULL if n is 0. */
PLUCK_API pluck_status pluck_config_set_biases(pluck_config *config, const char *key,
                                               const pluck_bias *biases, size_t n,
                                               pluck_error *err);

/* All 64 bits. */
PLUCK_API pluck_status pluck_config_set_seed(pluck_config *config, uint64_t seed, pluck_error *err);

/* From a JSON value as NUL-terminated text ("0.9", "\"random\"", "{\"7\": -2}"): what a
 * command-line flag does. */
PLUCK_API pluck_status pluck_config_set_json(pluck_config *config, const char *key,
                                             const char *json, pluck_error *err);

/* Appends a stage with its default parameters; a draw takes the place of the draw. A configuration
 * in the flat form becomes explicit, with the same stages. Together with the setters this builds a
 * chain without JSON. */
PLUCK_API pluck_status pluck_config_add_stage(pluck_config *config, const char *name,
                                              pluck_error *err);

/*
 * Writes the configuration as JSON that reads back to an equal configuration (same form, same
 * stages, same bits of every number), indented by two spaces, with a final newline. Writes at most
 * capacity_bytes including the terminating NUL, and the size of the text without its NUL into
 * *needed_bytes. text NULL with capacity_bytes 0 only asks for the size. PLUCK_ERR_SPACE if the
 * text does not fit: then text holds the beginning of it.
 */
PLUCK_API pluck_status pluck_config_to_json(const pluck_config *config, char *text,
                                            size_t capacity_bytes, size_t *needed_bytes,
                                            pluck_error *err);

/* The JSON Schema (draft 2020-12) of both forms, generated from the stage tables. As
 * pluck_config_to_json. */
PLUCK_API pluck_status pluck_config_schema(char *text, size_t capacity_bytes, size_t *needed_bytes,
                                           pluck_error *err);

typedef enum pluck_on_nan {
    PLUCK_ON_NAN_ERROR = 0, /* NaN or +inf in the logits is PLUCK_ERR_NAN */
    PLUCK_ON_NAN_BAN = 1    /* such a token is treated as -inf            */
} pluck_on_nan;

typedef struct pluck_config_info {
    size_t struct_size;  /* PLUCK_INIT(pluck_config_info) */
    size_t n_stages;     /* the draw among them: at least 1 */
    uint64_t seed;       /* 0 if it is random */
    bool seed_is_random; /* each sampler asks the operating system for a seed */
    bool is_flat;        /* in the flat form */
    pluck_on_nan on_nan;
} pluck_config_info;

PLUCK_API pluck_status pluck_config_get_info(const pluck_config *config, pluck_config_info *info,
                                             pluck_error *err);

typedef struct pluck_config_stage {
    size_t struct_size; /* PLUCK_INIT(pluck_config_stage) */
    const pluck_stage *stage;
    const void *params; /* as the stage's table lays them out; until the configuration changes */
    bool is_neutral;    /* changes nothing with these parameters: a sampler leaves it out */
} pluck_config_stage;

/* The index-th stage in running order; the draw is the last, index n_stages - 1. PLUCK_ERR_INVALID
 * past the end. */
PLUCK_API pluck_status pluck_config_get_stage(const pluck_config *config, size_t index,
                                              pluck_config_stage *stage, pluck_error *err);

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
PLUCK_API const char *pluck_import_format_name(pluck_import_format format);

/* The kind with this name: PLUCK_ERR_INVALID for an unknown one. */
PLUCK_API pluck_status pluck_import_format_from_name(const char *name, pluck_import_format *format,
                                                     pluck_error *err);

/* The kind that knows most of the keys; PLUCK_ERR_CONFIG if no kind knows any, or if several kinds
 * know the same number. A Modelfile and a preset in YAML are told by their form. */
PLUCK_API pluck_status pluck_import_guess(const char *json, size_t json_size_bytes,
                                          pluck_import_format *format, pluck_error *err);

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
PLUCK_API pluck_status pluck_config_import(pluck_config **out, pluck_import_format format,
                                           const char *json, size_t json_size_bytes,
                                           pluck_import_report report, void *user,
                                           const pluck_allocator *allocator, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
