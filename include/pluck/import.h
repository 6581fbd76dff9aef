/*
 * Configurations of other engines as configurations of pluck. Nothing is silently dropped: a report
 * says of every key what became of it.
 */
#ifndef PLUCK_IMPORT_H
#define PLUCK_IMPORT_H

#include <pluck/base.h>
#include <pluck/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whose configuration a text is. Each brings that engine's order of stages and its defaults. */
typedef enum pluck_config_kind {
    PLUCK_CONFIG_HUGGINGFACE = 0,           /* generation_config.json of Transformers */
    PLUCK_CONFIG_LLAMA_CPP = 1,             /* body of a request to llama.cpp's server */
    PLUCK_CONFIG_VLLM = 2,                  /* body of a request to vLLM, or its SamplingParams */
    PLUCK_CONFIG_OPENAI = 3,                /* body of a request in the form of OpenAI's API: chat
                                     completions, completions or responses */
    PLUCK_CONFIG_TEXT_GENERATION_WEBUI = 4, /* its preset, YAML or JSON, or body of a request */
    PLUCK_CONFIG_KOBOLDCPP = 5,             /* body of a request to KoboldCpp's own API */
    PLUCK_CONFIG_OLLAMA = 6,   /* body of a request to Ollama, its "options", or a Modelfile */
    PLUCK_CONFIG_EXLLAMAV3 = 7 /* arguments of ExLlamaV3's ComboSampler and Job as an object */
} pluck_config_kind;

/* "huggingface", "llama.cpp", "vllm", "openai", "text-generation-webui", "koboldcpp", "ollama",
 * "exllamav3"; NULL for a value outside the enumeration. */
PLUCK_API const char *pluck_config_kind_name(pluck_config_kind kind);

/* The kind with this name: PLUCK_ERR_INVALID for an unknown one. */
PLUCK_API pluck_status pluck_config_kind_from_name(const char *name, pluck_config_kind *kind,
                                                   pluck_error *err);

/* The kind that knows most of the keys; PLUCK_ERR_CONFIG if no kind knows any, or if several kinds
 * know the same number. A Modelfile and a preset in YAML are told by their form. */
PLUCK_API pluck_status pluck_config_guess_kind(const char *json, size_t json_size_bytes,
                                               pluck_config_kind *kind, pluck_error *err);

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
PLUCK_API pluck_status pluck_config_import(pluck_config **out, pluck_config_kind kind,
                                           const char *json, size_t json_size_bytes,
                                           pluck_import_report report, void *user,
                                           const pluck_allocator *allocator, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
