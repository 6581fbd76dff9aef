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

static const plk_import_default defaults[] = {
    {"temperature", "temperature", "0.8", NULL},
    {"top_k", "top_k", "40", NULL},
    {"top_p", "top_p", "0.9", NULL},
    {"seed", "seed", "\"random\"", NULL},
    {NULL, NULL, NULL, NULL},
};

/* All negative windows are the whole context. */
static const plk_import_limits window = {.low = -1, .high = INT32_MAX, .whole = true};

#define REMOVED "Ollama skips this key, which older versions had"

static const plk_import_rule rules[] = {
    {.key = "temperature", .limits = &plk_clamps_at_0},
    {.key = "top_k", .limits = &plk_clamps_whole},
    {.key = "top_p", .limits = &plk_clamps_at_0_and_1},
    {.key = "min_p", .limits = &plk_clamps_at_0_and_1},
    {.key = "typical_p", .off = "0 >=1", .off_as = "1", .limits = &plk_clamps_at_0_and_1},
    {.key = "repeat_last_n", .limits = &window},
    {.key = "repeat_penalty"},
    {.key = "presence_penalty"},
    {.key = "frequency_penalty"},
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
    .defaults = defaults,
    .convert = plk_import_modelfile,
};
