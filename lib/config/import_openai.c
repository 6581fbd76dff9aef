/*
 * Bodies of requests in the form of OpenAI's API: chat completions, completions and responses.
 * OpenAI does not say in which order its servers apply the keys; the order here is vLLM's, whose
 * keys these are. The penalties count the tokens that were generated: the formula of the API's
 * reference has the count of samples so far.
 *
 * Version: openai-python 3.3.1 (August 2026). Keys: types/chat/completion_create_params.py,
 * types/completion_create_params.py, types/responses/response_create_params.py; limits: the
 * comments there. custom_id, method and url are of lines of its batch files.
 */
#include "config/import_impl.h"

static const plk_import_default defaults[] = {
    {"seed", "seed", "\"random\"", NULL},
    {NULL, NULL, NULL, NULL},
};

static void finish(plk_import *import)
{
    plk_import_set_window(import, 0, "-1", true);
}

static const plk_import_limits temperature = {.low = 0, .high = 2, .outside = PLK_IMPORT_REJECTS};
static const plk_import_limits penalty = {.low = -2, .high = 2, .outside = PLK_IMPORT_REJECTS};
static const plk_import_limits bias = {.low = -100, .high = 100, .outside = PLK_IMPORT_REJECTS};

#define ONLY_OUTPUT "of the output alone: with repeat_last_n -1 and repeat_ignore_prompt"

static const plk_import_rule rules[] = {
    {.key = "temperature", .limits = &temperature},
    {.key = "top_p", .limits = &plk_rejects_outside_1},
    {.key = "presence_penalty", .limits = &penalty, .note = ONLY_OUTPUT},
    {.key = "frequency_penalty", .limits = &penalty, .note = ONLY_OUTPUT},
    {.key = "logit_bias", .read = plk_import_bias_map, .limits = &bias},
    {.key = "seed", .read = plk_import_seed, .off = "null"},
    {.key = "response_format", .read = plk_import_format, .off = "text", .note = PLK_NOTE_MASK},
    {.key = "text", .read = plk_import_text, .off = "text", .note = PLK_NOTE_MASK},
    PLK_REFUSE("tool_choice", "auto none", PLK_NOTE_MASK),
    PLK_REFUSE("function_call", "auto none", PLK_NOTE_MASK),
    PLK_REFUSE("best_of", "1", "chooses among whole outputs"),
    {.key = NULL},
};

static const plk_import_group ignored[] = {
    {PLK_NOTE_LENGTH, "max_output_tokens max_tool_calls"},
    {PLK_NOTE_MODEL, "reasoning reasoning_effort verbosity"},
    {PLK_NOTE_PROMPT,
     "audio context_management conversation functions input instructions modalities "
     "parallel_tool_calls previous_response_id suffix tools truncation web_search_options"},
    {PLK_NOTE_SPEED, "prediction"},
    {PLK_NOTE_SERVER,
     "background custom_id include metadata method moderation prompt_cache_key "
     "prompt_cache_options prompt_cache_retention safety_identifier service_tier store url user"},
    {NULL, NULL},
};

const plk_importer plk_import_openai = {
    .name = "openai",
    .title = "OpenAI",
    .rules = rules,
    .ignored = ignored,
    .is_chat = true,
    .order = "min_tokens logit_bias penalties temperature min_p top_k top_p",
    .wrappers = "extra_body",
    .defaults = defaults,
    .finish = finish,
};
