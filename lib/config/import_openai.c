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
#include "config/import_build.h"
#include "config/import_read.h"

static pluck_status finish(plk_import *import)
{
    pluck_status status = plk_import_set_window(import, "-1", true);
    if (status != PLUCK_OK || plk_import_member_of(import, "seed"))
        return status;
    return plk_import_default(import, "seed", "seed", "\"random\"");
}

static const plk_import_limits temperature = {.low = 0, .high = 2, .outside = PLK_IMPORT_REJECTS};
static const plk_import_limits unit = {.low = 0, .high = 1, .outside = PLK_IMPORT_REJECTS};
static const plk_import_limits penalty = {.low = -2, .high = 2, .outside = PLK_IMPORT_REJECTS};
static const plk_import_limits bias = {.low = -100, .high = 100, .outside = PLK_IMPORT_REJECTS};

#define ONLY_OUTPUT "of the output alone: with repeat_last_n -1 and repeat_ignore_prompt"

#define IGNORE(name, why)                                                                          \
    {                                                                                              \
        .key = name, .read = plk_import_ignore, .note = why                                        \
    }
#define REFUSE(name, values, why)                                                                  \
    {                                                                                              \
        .key = name, .read = plk_import_refuse, .off = values, .note = why                         \
    }

static const plk_import_rule rules[] = {
    {.key = "temperature",
     .read = plk_import_number,
     .flat_key = "temperature",
     .limits = &temperature},
    {.key = "top_p", .read = plk_import_number, .flat_key = "top_p", .limits = &unit},
    {.key = "presence_penalty",
     .read = plk_import_number,
     .flat_key = "presence_penalty",
     .limits = &penalty,
     .note = ONLY_OUTPUT},
    {.key = "frequency_penalty",
     .read = plk_import_number,
     .flat_key = "frequency_penalty",
     .limits = &penalty,
     .note = ONLY_OUTPUT},
    {.key = "logit_bias", .read = plk_import_bias_map, .limits = &bias},
    {.key = "seed", .read = plk_import_seed, .off = "null"},
    {.key = "response_format", .read = plk_import_format, .off = "text", .note = PLK_NOTE_MASK},
    {.key = "text", .read = plk_import_text, .off = "text", .note = PLK_NOTE_MASK},
    REFUSE("tool_choice", "auto none", PLK_NOTE_MASK),
    REFUSE("function_call", "auto none", PLK_NOTE_MASK),
    REFUSE("best_of", "1", "chooses among whole outputs"),
    IGNORE("n", PLK_NOTE_COUNT),
    IGNORE("max_tokens", PLK_NOTE_LENGTH),
    IGNORE("max_completion_tokens", PLK_NOTE_LENGTH),
    IGNORE("max_output_tokens", PLK_NOTE_LENGTH),
    IGNORE("max_tool_calls", PLK_NOTE_LENGTH),
    IGNORE("stop", PLK_NOTE_END),
    IGNORE("model", PLK_NOTE_MODEL),
    IGNORE("reasoning", PLK_NOTE_MODEL),
    IGNORE("reasoning_effort", PLK_NOTE_MODEL),
    IGNORE("verbosity", PLK_NOTE_MODEL),
    IGNORE("audio", PLK_NOTE_PROMPT),
    IGNORE("context_management", PLK_NOTE_PROMPT),
    IGNORE("conversation", PLK_NOTE_PROMPT),
    IGNORE("functions", PLK_NOTE_PROMPT),
    IGNORE("input", PLK_NOTE_PROMPT),
    IGNORE("instructions", PLK_NOTE_PROMPT),
    IGNORE("messages", PLK_NOTE_PROMPT),
    IGNORE("modalities", PLK_NOTE_PROMPT),
    IGNORE("parallel_tool_calls", PLK_NOTE_PROMPT),
    IGNORE("previous_response_id", PLK_NOTE_PROMPT),
    IGNORE("prompt", PLK_NOTE_PROMPT),
    IGNORE("suffix", PLK_NOTE_PROMPT),
    IGNORE("tools", PLK_NOTE_PROMPT),
    IGNORE("truncation", PLK_NOTE_PROMPT),
    IGNORE("web_search_options", PLK_NOTE_PROMPT),
    IGNORE("prediction", PLK_NOTE_SPEED),
    IGNORE("background", PLK_NOTE_SERVER),
    IGNORE("custom_id", PLK_NOTE_SERVER),
    IGNORE("echo", PLK_NOTE_SERVER),
    IGNORE("include", PLK_NOTE_SERVER),
    IGNORE("logprobs", PLK_NOTE_SERVER),
    IGNORE("metadata", PLK_NOTE_SERVER),
    IGNORE("method", PLK_NOTE_SERVER),
    IGNORE("moderation", PLK_NOTE_SERVER),
    IGNORE("prompt_cache_key", PLK_NOTE_SERVER),
    IGNORE("prompt_cache_options", PLK_NOTE_SERVER),
    IGNORE("prompt_cache_retention", PLK_NOTE_SERVER),
    IGNORE("safety_identifier", PLK_NOTE_SERVER),
    IGNORE("service_tier", PLK_NOTE_SERVER),
    IGNORE("store", PLK_NOTE_SERVER),
    IGNORE("stream", PLK_NOTE_SERVER),
    IGNORE("stream_options", PLK_NOTE_SERVER),
    IGNORE("top_logprobs", PLK_NOTE_SERVER),
    IGNORE("url", PLK_NOTE_SERVER),
    IGNORE("user", PLK_NOTE_SERVER),
    {.key = NULL},
};

const plk_importer plk_import_openai = {
    .name = "openai",
    .title = "OpenAI",
    .rules = rules,
    .order = "min_tokens logit_bias penalties temperature min_p top_k top_p",
    .wrappers = "extra_body",
    .finish = finish,
};
