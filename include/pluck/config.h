/*
 * Configurations: which stages run in which order, with which parameters, and the seed of the
 * random numbers. A sampler is created from a configuration (sampler.h). docs/configuration.md
 * describes the two forms of the JSON:
 *
 * Flat form: {"seed": 42, "temperature": 0.8, "top_k": 40, "top_p": 0.95}. The keys are those of
 * llama.cpp's server and OpenAI-style APIs. A stage runs if one of its own keys is present; some
 * stages also read a key of another stage (min_keep). Stages run in the order of pluck_stage_at(),
 * or in that of "order": ["temperature", "top_p"].
 *
 * Explicit form: {"seed": 42, "stages": [{"type": "top_k", "k": 40}, …], "draw": "categorical"}.
 * Stages run as listed, and a stage may be listed twice.
 *
 * An error in a configuration is PLUCK_ERR_CONFIG. Errors in JSON text have the message "line L,
 * column C: $.path: what is wrong; what is allowed". L and C count from 1, and C counts characters.
 *
 * A library built without JSON (-Djson=none) makes configurations by pluck_config_create(), the
 * setters and pluck_config_add_stage(). pluck_config_from_json(), pluck_config_set_json(),
 * pluck_config_to_json(), pluck_config_schema(), pluck_config_import() and pluck_import_guess()
 * then return PLUCK_ERR_CONFIG.
 */
#ifndef PLUCK_CONFIG_H
#define PLUCK_CONFIG_H

#include <pluck/base.h>
#include <pluck/stage.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pluck_config pluck_config;

/* A function that takes a pointer to it also takes NULL, which means that all fields are 0. */
typedef struct pluck_config_options {
    size_t struct_size; /* PLUCK_INIT(pluck_config_options) */
    /* Custom stages that "stages" may name too (stage.h), or NULL. The registry must outlive the
     * configuration, its copies and their samplers. */
    const pluck_registry *registry;
    const pluck_allocator *allocator; /* must outlive the configuration; NULL: malloc and free */
} pluck_config_options;

/* Makes the empty configuration {}: it samples from the softmax of the logits, with seed 0. On
 * failure *out is NULL. */
PLUCK_API pluck_status pluck_config_create(pluck_config **out, const pluck_config_options *options,
                                           pluck_error *err);

/* Reads a configuration in either form. json need not be NUL-terminated. Memory and time grow
 * linearly with json_size_bytes. On failure *out is NULL. */
PLUCK_API pluck_status pluck_config_from_json(pluck_config **out, const char *json,
                                              size_t json_size_bytes,
                                              const pluck_config_options *options,
                                              pluck_error *err);

/* Makes an independent copy. On failure *out is NULL. */
PLUCK_API pluck_status pluck_config_clone(pluck_config **out, const pluck_config *config,
                                          pluck_error *err);

/* config may be NULL or point to NULL. Sets *config to NULL. */
PLUCK_API void pluck_config_destroy(pluck_config **config);

/* Whether two configurations have the same form, seed and "on_nan", and the same stages and draw in
 * the same order with the same parameters. Descriptions are not compared. */
PLUCK_API bool pluck_config_equal(const pluck_config *a, const pluck_config *b);

/*
 * Setters. key is a flat key ("top_p"), or a stage and its parameter ("top_p.p"); of several stages
 * with that name the last one is meant. In a configuration in the flat form, a flat key does what
 * it does in the JSON. In a configuration in the explicit form, a flat key sets its parameter in
 * every stage that has the parameter; if no stage has it, the stage is added at its place in the
 * flat order.
 *
 * The value must have the parameter's type; an integer is accepted where a number is expected.
 * PLUCK_ERR_CONFIG for an unknown key (the message names the nearest one) and for a value outside
 * the parameter's range; then the configuration has not changed. Numbers are read and written
 * without regard to the program's locale.
 */
PLUCK_API pluck_status pluck_config_set_number(pluck_config *config, const char *key, double value,
                                               pluck_error *err);
PLUCK_API pluck_status pluck_config_set_integer(pluck_config *config, const char *key,
                                                int64_t value, pluck_error *err);
PLUCK_API pluck_status pluck_config_set_bool(pluck_config *config, const char *key, bool value,
                                             pluck_error *err);

/* Sets a key whose value is a text: "draw", "on_nan" or "description". The key "seed" accepts the
 * text "random". */
PLUCK_API pluck_status pluck_config_set_text(pluck_config *config, const char *key,
                                             const char *value, pluck_error *err);

/* Sets a parameter that is a set of tokens: n tokens in any order, each once. tokens may be NULL if
 * n is 0. */
PLUCK_API pluck_status pluck_config_set_tokens(pluck_config *config, const char *key,
                                               const pluck_token *tokens, size_t n,
                                               pluck_error *err);

/* Sets a parameter that is a list of token sequences. tokens and ends in *sequences may be NULL if
 * its n is 0. */
PLUCK_API pluck_status pluck_config_set_sequences(pluck_config *config, const char *key,
                                                  const pluck_sequences *sequences,
                                                  pluck_error *err);

/* Sets a parameter that gives tokens a bias: n biases in any order, each token once. -INFINITY bans
 * the token. biases may be NULL if n is 0. */
PLUCK_API pluck_status pluck_config_set_biases(pluck_config *config, const char *key,
                                               const pluck_bias *biases, size_t n,
                                               pluck_error *err);

/* Sets the seed, which may be any number of 64 bits. */
PLUCK_API pluck_status pluck_config_set_seed(pluck_config *config, uint64_t seed, pluck_error *err);

/* Sets a key of any type. json is a JSON value as NUL-terminated text, such as "0.9", "\"random\""
 * or "{\"7\": -2}". */
PLUCK_API pluck_status pluck_config_set_json(pluck_config *config, const char *key,
                                             const char *json, pluck_error *err);

/* Adds a stage with its default parameters behind the other stages, before the draw. If name is
 * that of a draw, it replaces the present draw. A configuration in the flat form becomes explicit,
 * with the same stages. Together with the setters this builds a chain without JSON. */
PLUCK_API pluck_status pluck_config_add_stage(pluck_config *config, const char *name,
                                              pluck_error *err);

/*
 * Writes the configuration as JSON that reads back to an equal configuration (same form, same
 * stages, same bits of every number), indented by two spaces, with a final newline. Writes at most
 * capacity_bytes. *needed_bytes becomes the number of bytes that the text needs, its terminating
 * NUL included. The call with (NULL, 0) asks for that number and returns PLUCK_OK. PLUCK_ERR_SPACE
 * if the text does not fit in capacity_bytes: then text holds its beginning.
 */
PLUCK_API pluck_status pluck_config_to_json(const pluck_config *config, char *text,
                                            size_t capacity_bytes, size_t *needed_bytes,
                                            pluck_error *err);

/* The JSON Schema (draft 2020-12) of both forms, generated from the stage tables. The parameters
 * are those of pluck_config_to_json(). */
PLUCK_API pluck_status pluck_config_schema(char *text, size_t capacity_bytes, size_t *needed_bytes,
                                           pluck_error *err);

typedef enum pluck_on_nan {
    PLUCK_ON_NAN_ERROR = 0, /* NaN or +inf in the logits is PLUCK_ERR_NAN */
    PLUCK_ON_NAN_BAN = 1    /* a token with such a logit is banned        */
} pluck_on_nan;

typedef struct pluck_config_info {
    size_t struct_size;  /* PLUCK_INIT(pluck_config_info) */
    size_t n_stages;     /* the draw included: at least 1 */
    uint64_t seed;       /* 0 if it is random */
    bool seed_is_random; /* each sampler asks the operating system for a seed */
    bool is_flat;        /* the configuration is in the flat form */
    pluck_on_nan on_nan;
} pluck_config_info;

PLUCK_API pluck_status pluck_config_get_info(const pluck_config *config, pluck_config_info *info,
                                             pluck_error *err);

typedef struct pluck_config_stage {
    size_t struct_size; /* PLUCK_INIT(pluck_config_stage) */
    const pluck_stage *stage;
    /* The values of the parameters: each lies at the offset_bytes of its entry in stage->params.
     * Valid until the configuration changes or is destroyed. */
    const void *params;
    bool is_neutral; /* with these parameters the stage changes nothing: samplers leave it out */
} pluck_config_stage;

/* The index-th stage in running order; the draw is the last, index n_stages - 1. PLUCK_ERR_INVALID
 * if index is n_stages or more. */
PLUCK_API pluck_status pluck_config_get_stage(const pluck_config *config, size_t index,
                                              pluck_config_stage *stage, pluck_error *err);

/*
 * Configurations of other engines. Nothing is dropped silently: a report says what became of each
 * key.
 */

/* The engine whose configuration a text is. An import uses the order of stages and the defaults of
 * that engine. */
typedef enum pluck_import_format {
    PLUCK_IMPORT_HUGGINGFACE = 0,           /* generation_config.json of Transformers */
    PLUCK_IMPORT_LLAMA_CPP = 1,             /* a request to llama.cpp's server */
    PLUCK_IMPORT_VLLM = 2,                  /* a request to vLLM, or SamplingParams */
    PLUCK_IMPORT_OPENAI = 3,                /* a request for chat completions, completions or
                                             * responses, in the form of OpenAI's API */
    PLUCK_IMPORT_TEXT_GENERATION_WEBUI = 4, /* a preset, YAML or JSON, or a request */
    PLUCK_IMPORT_KOBOLDCPP = 5,             /* a request to KoboldCpp's own API */
    PLUCK_IMPORT_OLLAMA = 6,                /* a request to Ollama, its "options", or a Modelfile */
    PLUCK_IMPORT_EXLLAMAV3 = 7 /* arguments of ExLlamaV3's ComboSampler and Job, as an object */
} pluck_import_format;

/* "huggingface", "llama.cpp", "vllm", "openai", "text-generation-webui", "koboldcpp", "ollama",
 * "exllamav3"; NULL for a value outside the enumeration. */
PLUCK_API const char *pluck_import_format_name(pluck_import_format format);

/* The format with this name. PLUCK_ERR_INVALID for an unknown name. */
PLUCK_API pluck_status pluck_import_format_from_name(const char *name, pluck_import_format *format,
                                                     pluck_error *err);

/* Guesses the format: a Modelfile and a preset in YAML are recognised by their form, JSON by its
 * keys. The format that knows most of the keys wins. The formats from
 * PLUCK_IMPORT_TEXT_GENERATION_WEBUI on take part only if the text has a key that no other format
 * knows. OpenAI wins a tie with vLLM, and, if the text has "messages", a tie with llama.cpp.
 * PLUCK_ERR_CONFIG for any other tie, and if no format knows a key. */
PLUCK_API pluck_status pluck_import_guess(const char *json, size_t json_size_bytes,
                                          pluck_import_format *format, pluck_error *err);

/* What became of a key. */
typedef enum pluck_import_fate {
    PLUCK_IMPORT_MAPPED = 0,  /* the configuration does what the key says */
    PLUCK_IMPORT_IGNORED = 1, /* the key does not change which token is drawn */
    PLUCK_IMPORT_REFUSED = 2  /* the key may change it, but the configuration does not follow it */
} pluck_import_fate;

/* "mapped", "ignored", "refused"; NULL for a value outside the enumeration. */
PLUCK_API const char *pluck_import_fate_name(pluck_import_fate fate);

/*
 * Called once for each key of the text, in the order of the text, and then for each default that
 * the engine has for an absent key. If the values inside a key have several fates, there is one
 * call per fate. key begins with the keys of the objects around it: "options.top_k". note says what
 * the key became, or why it became nothing. key and note are valid during the call.
 */
typedef void (*pluck_import_report)(void *user, const char *key, pluck_import_fate fate,
                                    const char *note);

/*
 * Makes a configuration of pluck from one of another engine. json need not be NUL-terminated.
 * report may be NULL. allocator may be NULL; it must outlive the configuration. On failure *out is
 * NULL.
 *
 * The result is in the flat form with "order", or in the explicit form if the engine runs a stage
 * twice. A refused key does not make the import fail: the other keys take effect, and the caller
 * decides whether that is enough. A number that is out of range becomes what the engine makes of
 * it; if the engine rejects the number, or if pluck cannot do what the engine does, the key is
 * refused. A key whose value has the wrong type is refused too, and its note has the line and
 * column. PLUCK_ERR_CONFIG if a value of the wrong type leaves open what the other keys mean
 * ("samplers" of llama.cpp, for example); some keys may have been reported by then. Keys inside a
 * known wrapper object (extra_body, options, parameters, sampling_params, generation_config and
 * others) count as if they stood outside it.
 */
PLUCK_API pluck_status pluck_config_import(pluck_config **out, pluck_import_format format,
                                           const char *json, size_t json_size_bytes,
                                           pluck_import_report report, void *user,
                                           const pluck_allocator *allocator, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
