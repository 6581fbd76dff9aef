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
static pluck_status read_window(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    static const pl_import_limits whole = {.low = -1, .high = INT32_MAX, .whole = true};
    pl_import_rule mapped = *rule;
    mapped.limits = &whole;
    return pl_import_number(import, &mapped, node);
}

static pluck_status finish(pl_import *import)
{
    static const struct {
        const char *key, *value;
    } defaults[] = {
        {"temperature", "0.8"}, {"top_k", "40"}, {"top_p", "0.9"}, {"seed", "\"random\""}};
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults && status == PLUCK_OK; i++)
        if (!pl_import_member_of(import, defaults[i].key))
            status = pl_import_default(import, defaults[i].key, defaults[i].key, defaults[i].value);
    return status;
}

static const pl_import_limits unit = {.low = 0, .high = 1, .outside = PL_IMPORT_CLAMPS};
static const pl_import_limits at_least_0 = {.low = 0, .high = (double)INFINITY};
static const pl_import_limits whole_at_least_0 = {.low = 0, .high = INT32_MAX, .whole = true};

#define REMOVED "Ollama skips this key, which older versions had"

#define NUMBER(name) .key = name, .read = pl_import_number, .flat_key = name
#define IGNORE(name, why)                                                                          \
    {                                                                                              \
        .key = name, .read = pl_import_ignore, .note = why                                         \
    }
#define REFUSE(name, values, why)                                                                  \
    {                                                                                              \
        .key = name, .read = pl_import_refuse, .off = values, .note = why                          \
    }

static const pl_import_rule rules[] = {
    {NUMBER("temperature"), .limits = &at_least_0},
    {NUMBER("top_k"), .limits = &whole_at_least_0},
    {NUMBER("top_p"), .limits = &unit},
    {NUMBER("min_p"), .limits = &unit},
    {NUMBER("typical_p"), .off = "0 >=1", .off_as = "1", .limits = &unit},
    {.key = "repeat_last_n", .read = read_window, .flat_key = "repeat_last_n"},
    {NUMBER("repeat_penalty")},
    {NUMBER("presence_penalty")},
    {NUMBER("frequency_penalty")},
    {.key = "seed", .read = pl_import_seed, .off = "-1 4294967295"},
    REFUSE("format", "\"\"", PL_NOTE_MASK),
    IGNORE("stop", PL_NOTE_END),
    IGNORE("num_predict", PL_NOTE_LENGTH),
    IGNORE("num_keep", PL_NOTE_MEMORY),
    IGNORE("num_ctx", PL_NOTE_MEMORY),
    IGNORE("num_batch", PL_NOTE_MEMORY),
    IGNORE("num_gpu", PL_NOTE_MEMORY),
    IGNORE("main_gpu", PL_NOTE_MEMORY),
    IGNORE("use_mmap", PL_NOTE_MEMORY),
    IGNORE("num_thread", PL_NOTE_MEMORY),
    IGNORE("draft_num_predict", PL_NOTE_SPEED),
    IGNORE("model", PL_NOTE_MODEL),
    IGNORE("adapter", PL_NOTE_MODEL),
    IGNORE("draft", PL_NOTE_SPEED),
    IGNORE("license", PL_NOTE_MODEL),
    IGNORE("parser", PL_NOTE_SERVER),
    IGNORE("renderer", PL_NOTE_PROMPT),
    IGNORE("requires", PL_NOTE_MODEL),
    IGNORE("message", PL_NOTE_PROMPT),
    IGNORE("messages", PL_NOTE_PROMPT),
    IGNORE("prompt", PL_NOTE_PROMPT),
    IGNORE("suffix", PL_NOTE_PROMPT),
    IGNORE("system", PL_NOTE_PROMPT),
    IGNORE("template", PL_NOTE_PROMPT),
    IGNORE("context", PL_NOTE_PROMPT),
    IGNORE("raw", PL_NOTE_PROMPT),
    IGNORE("images", PL_NOTE_PROMPT),
    IGNORE("tools", PL_NOTE_PROMPT),
    IGNORE("think", PL_NOTE_PROMPT),
    IGNORE("truncate", PL_NOTE_PROMPT),
    IGNORE("shift", PL_NOTE_MEMORY),
    IGNORE("stream", PL_NOTE_SERVER),
    IGNORE("keep_alive", PL_NOTE_SERVER),
    IGNORE("logprobs", PL_NOTE_SERVER),
    IGNORE("top_logprobs", PL_NOTE_SERVER),
    IGNORE("_debug_render_only", PL_NOTE_SERVER),
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

const pl_importer pl_import_ollama = {
    .name = "ollama",
    .title = "Ollama",
    .rules = rules,
    .order = "logit_bias penalties dry top_n_sigma top_k typical top_p min_p xtc temperature",
    .wrappers = "options",
    .finish = finish,
    .convert = pl_import_modelfile,
};
