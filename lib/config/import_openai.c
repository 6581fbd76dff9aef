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

static pluck_status finish(pl_import *import)
{
    pluck_status status = pl_import_set_window(import, "-1", true);
    if (status != PLUCK_OK || pl_import_member_of(import, "seed"))
        return status;
    return pl_import_default(import, "seed", "seed", "\"random\"");
}

static const pl_import_limits temperature = {.low = 0, .high = 2, .outside = PL_IMPORT_REJECTS};
static const pl_import_limits unit = {.low = 0, .high = 1, .outside = PL_IMPORT_REJECTS};
static const pl_import_limits penalty = {.low = -2, .high = 2, .outside = PL_IMPORT_REJECTS};
static const pl_import_limits bias = {.low = -100, .high = 100, .outside = PL_IMPORT_REJECTS};

#define ONLY_OUTPUT "of the output alone: with repeat_last_n -1 and repeat_ignore_prompt"

#define IGNORE(name, why)                                                                          \
    {                                                                                              \
        .key = name, .read = pl_import_ignore, .note = why                                         \
    }
#define REFUSE(name, values, why)                                                                  \
    {                                                                                              \
        .key = name, .read = pl_import_refuse, .off = values, .note = why                          \
    }

static const pl_import_rule rules[] = {
    {.key = "temperature",
     .read = pl_import_number,
     .flat_key = "temperature",
     .limits = &temperature},
    {.key = "top_p", .read = pl_import_number, .flat_key = "top_p", .limits = &unit},
    {.key = "presence_penalty",
     .read = pl_import_number,
     .flat_key = "presence_penalty",
     .limits = &penalty,
     .note = ONLY_OUTPUT},
    {.key = "frequency_penalty",
     .read = pl_import_number,
     .flat_key = "frequency_penalty",
     .limits = &penalty,
     .note = ONLY_OUTPUT},
    {.key = "logit_bias", .read = pl_import_bias_map, .limits = &bias},
    {.key = "seed", .read = pl_import_seed, .off = "null"},
    {.key = "response_format", .read = pl_import_format, .off = "text", .note = PL_NOTE_MASK},
    {.key = "text", .read = pl_import_text, .off = "text", .note = PL_NOTE_MASK},
    REFUSE("tool_choice", "auto none", PL_NOTE_MASK),
    REFUSE("function_call", "auto none", PL_NOTE_MASK),
    REFUSE("best_of", "1", "chooses among whole outputs"),
    IGNORE("n", PL_NOTE_COUNT),
    IGNORE("max_tokens", PL_NOTE_LENGTH),
    IGNORE("max_completion_tokens", PL_NOTE_LENGTH),
    IGNORE("max_output_tokens", PL_NOTE_LENGTH),
    IGNORE("max_tool_calls", PL_NOTE_LENGTH),
    IGNORE("stop", PL_NOTE_END),
    IGNORE("model", PL_NOTE_MODEL),
    IGNORE("reasoning", PL_NOTE_MODEL),
    IGNORE("reasoning_effort", PL_NOTE_MODEL),
    IGNORE("verbosity", PL_NOTE_MODEL),
    IGNORE("audio", PL_NOTE_PROMPT),
    IGNORE("context_management", PL_NOTE_PROMPT),
    IGNORE("conversation", PL_NOTE_PROMPT),
    IGNORE("functions", PL_NOTE_PROMPT),
    IGNORE("input", PL_NOTE_PROMPT),
    IGNORE("instructions", PL_NOTE_PROMPT),
    IGNORE("messages", PL_NOTE_PROMPT),
    IGNORE("modalities", PL_NOTE_PROMPT),
    IGNORE("parallel_tool_calls", PL_NOTE_PROMPT),
    IGNORE("previous_response_id", PL_NOTE_PROMPT),
    IGNORE("prompt", PL_NOTE_PROMPT),
    IGNORE("suffix", PL_NOTE_PROMPT),
    IGNORE("tools", PL_NOTE_PROMPT),
    IGNORE("truncation", PL_NOTE_PROMPT),
    IGNORE("web_search_options", PL_NOTE_PROMPT),
    IGNORE("prediction", PL_NOTE_SPEED),
    IGNORE("background", PL_NOTE_SERVER),
    IGNORE("custom_id", PL_NOTE_SERVER),
    IGNORE("echo", PL_NOTE_SERVER),
    IGNORE("include", PL_NOTE_SERVER),
    IGNORE("logprobs", PL_NOTE_SERVER),
    IGNORE("metadata", PL_NOTE_SERVER),
    IGNORE("method", PL_NOTE_SERVER),
    IGNORE("moderation", PL_NOTE_SERVER),
    IGNORE("prompt_cache_key", PL_NOTE_SERVER),
    IGNORE("prompt_cache_options", PL_NOTE_SERVER),
    IGNORE("prompt_cache_retention", PL_NOTE_SERVER),
    IGNORE("safety_identifier", PL_NOTE_SERVER),
    IGNORE("service_tier", PL_NOTE_SERVER),
    IGNORE("store", PL_NOTE_SERVER),
    IGNORE("stream", PL_NOTE_SERVER),
    IGNORE("stream_options", PL_NOTE_SERVER),
    IGNORE("top_logprobs", PL_NOTE_SERVER),
    IGNORE("url", PL_NOTE_SERVER),
    IGNORE("user", PL_NOTE_SERVER),
    {.key = NULL},
};

const pl_importer pl_import_openai = {
    .name = "openai",
    .title = "OpenAI",
    .rules = rules,
    .order = "min_tokens logit_bias penalties temperature min_p top_k top_p",
    .wrappers = "extra_body",
    .finish = finish,
};
