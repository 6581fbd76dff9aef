/*
 * The "options" of a request to Ollama, the request around them, or a Modelfile. Ollama hands the
 * options to llama.cpp's server, so that limits and order are that server's; a few defaults differ.
 *
 * Version: Ollama 0.33 (August 2026). Keys: api/types.go (Options, Runner, GenerateRequest,
 * ChatRequest); defaults: DefaultOptions() there; what is handed on: llm/llama_server.go; commands
 * of a Modelfile and parameters that it skips: parser/parser.go. A window of -1 is the whole
 * context, as its documentation says.
 */
#include "config/import_build.h"
#include "config/import_read.h"
#include "config/import_text.h"

#include <math.h>

/* All negative windows are the whole context. */
static pluck_status read_window(plk_import *import, const plk_import_rule *rule,
                                const plk_json_node *node)
{
    static const plk_import_limits whole = {.low = -1, .high = INT32_MAX, .whole = true};
    plk_import_rule mapped = *rule;
    mapped.limits = &whole;
    return plk_import_number(import, &mapped, node);
}

static pluck_status finish(plk_import *import)
{
    static const struct {
        const char *key, *value;
    } defaults[] = {
        {"temperature", "0.8"}, {"top_k", "40"}, {"top_p", "0.9"}, {"seed", "\"random\""}};
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults && status == PLUCK_OK; i++)
        if (!plk_import_member_of(import, defaults[i].key))
            status =
                plk_import_default(import, defaults[i].key, defaults[i].key, defaults[i].value);
    return status;
}

static const plk_import_limits unit = {.low = 0, .high = 1, .outside = PLK_IMPORT_CLAMPS};
static const plk_import_limits at_least_0 = {.low = 0, .high = (double)INFINITY};
static const plk_import_limits whole_at_least_0 = {.low = 0, .high = INT32_MAX, .whole = true};

#define REMOVED "Ollama skips this key, which older versions had"

#define NUMBER(name) .key = name, .read = plk_import_number, .flat_key = name
#define IGNORE(name, why)                                                                          \
    {                                                                                              \
        .key = name, .read = plk_import_ignore, .note = why                                        \
    }
#define REFUSE(name, values, why)                                                                  \
    {                                                                                              \
        .key = name, .read = plk_import_refuse, .off = values, .note = why                         \
    }

static const plk_import_rule rules[] = {
    {NUMBER("temperature"), .limits = &at_least_0},
    {NUMBER("top_k"), .limits = &whole_at_least_0},
    {NUMBER("top_p"), .limits = &unit},
    {NUMBER("min_p"), .limits = &unit},
    {NUMBER("typical_p"), .off = "0 >=1", .off_as = "1", .limits = &unit},
    {.key = "repeat_last_n", .read = read_window, .flat_key = "repeat_last_n"},
    {NUMBER("repeat_penalty")},
    {NUMBER("presence_penalty")},
    {NUMBER("frequency_penalty")},
    {.key = "seed", .read = plk_import_seed, .off = "-1 4294967295"},
    REFUSE("format", "\"\"", PLK_NOTE_MASK),
    IGNORE("stop", PLK_NOTE_END),
    IGNORE("num_predict", PLK_NOTE_LENGTH),
    IGNORE("num_keep", PLK_NOTE_MEMORY),
    IGNORE("num_ctx", PLK_NOTE_MEMORY),
    IGNORE("num_batch", PLK_NOTE_MEMORY),
    IGNORE("num_gpu", PLK_NOTE_MEMORY),
    IGNORE("main_gpu", PLK_NOTE_MEMORY),
    IGNORE("use_mmap", PLK_NOTE_MEMORY),
    IGNORE("num_thread", PLK_NOTE_MEMORY),
    IGNORE("draft_num_predict", PLK_NOTE_SPEED),
    IGNORE("model", PLK_NOTE_MODEL),
    IGNORE("adapter", PLK_NOTE_MODEL),
    IGNORE("draft", PLK_NOTE_SPEED),
    IGNORE("license", PLK_NOTE_MODEL),
    IGNORE("parser", PLK_NOTE_SERVER),
    IGNORE("renderer", PLK_NOTE_PROMPT),
    IGNORE("requires", PLK_NOTE_MODEL),
    IGNORE("message", PLK_NOTE_PROMPT),
    IGNORE("messages", PLK_NOTE_PROMPT),
    IGNORE("prompt", PLK_NOTE_PROMPT),
    IGNORE("suffix", PLK_NOTE_PROMPT),
    IGNORE("system", PLK_NOTE_PROMPT),
    IGNORE("template", PLK_NOTE_PROMPT),
    IGNORE("context", PLK_NOTE_PROMPT),
    IGNORE("raw", PLK_NOTE_PROMPT),
    IGNORE("images", PLK_NOTE_PROMPT),
    IGNORE("tools", PLK_NOTE_PROMPT),
    IGNORE("think", PLK_NOTE_PROMPT),
    IGNORE("truncate", PLK_NOTE_PROMPT),
    IGNORE("shift", PLK_NOTE_MEMORY),
    IGNORE("stream", PLK_NOTE_SERVER),
    IGNORE("keep_alive", PLK_NOTE_SERVER),
    IGNORE("logprobs", PLK_NOTE_SERVER),
    IGNORE("top_logprobs", PLK_NOTE_SERVER),
    IGNORE("_debug_render_only", PLK_NOTE_SERVER),
    IGNORE("mirostat", REMOVED),
    IGNORE("mirostat_tau", REMOVED),
    IGNORE("mirostat_eta", REMOVED),
    IGNORE("tfs_z", REMOVED),
    IGNORE("penalize_newline", REMOVED),
    IGNORE("low_vram", REMOVED),
    IGNORE("f16_kv", REMOVED),
    IGNORE("logits_all", REMOVED),
    IGNORE("vocab_only", REMOVED),
    IGNORE("use_mlock", REMOVED),
    IGNORE("numa", REMOVED),
    IGNORE("num_gqa", REMOVED),
    {.key = NULL},
};

const plk_importer plk_import_ollama = {
    .name = "ollama",
    .title = "Ollama",
    .rules = rules,
    .order = "logit_bias penalties dry top_n_sigma top_k typical top_p min_p xtc temperature",
    .wrappers = "options",
    .finish = finish,
    .convert = plk_import_modelfile,
};
