/*
 * The "options" of a request to Ollama, the request around them, or a Modelfile. Ollama hands the
 * options to llama.cpp's server, so that limits and order are that server's; a few defaults differ.
 *
 * Version: Ollama 0.33 (August 2026). Keys are from api/types.go (Options, Runner,
 * GenerateRequest, ChatRequest), and defaults from DefaultOptions() there. What is handed on is in
 * llm/llama_server.go. Commands of a Modelfile, and parameters that it skips, are in
 * parser/parser.go. A window of -1 is the whole context, as its documentation says.
 */
#include "config/import_impl.h"

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
    PLK_REFUSE("format", "\"\"", PLK_NOTE_MASK),
    {.key = NULL},
};

static const plk_import_group ignored[] = {
    {PLK_NOTE_END, "stop"},
    {PLK_NOTE_LENGTH, "num_predict"},
    {PLK_NOTE_MEMORY, "num_keep num_ctx num_batch num_gpu main_gpu use_mmap num_thread shift"},
    {PLK_NOTE_SPEED, "draft_num_predict draft"},
    {PLK_NOTE_MODEL, "model adapter license requires"},
    {PLK_NOTE_SERVER, "parser stream keep_alive logprobs top_logprobs _debug_render_only"},
    {PLK_NOTE_PROMPT, "renderer message messages prompt suffix system template context raw images "
                      "tools think truncate"},
    {REMOVED, "mirostat mirostat_tau mirostat_eta tfs_z penalize_newline low_vram f16_kv "
              "logits_all vocab_only use_mlock numa num_gqa"},
    {NULL, NULL},
};

const plk_importer plk_import_ollama = {
    .name = "ollama",
    .title = "Ollama",
    .rules = rules,
    .ignored = ignored,
    .order = "logit_bias penalties dry top_n_sigma top_k typical top_p min_p xtc temperature",
    .wrappers = "options",
    .finish = finish,
    .convert = plk_import_modelfile,
};
