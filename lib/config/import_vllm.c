/*
 * The body of a request to vLLM, or its SamplingParams. The order is that of vLLM's sampler: bans
 * and biases, penalties, temperature, min_p, top_k, top_p. Repetition counts prompt and output,
 * frequency and presence the output alone: where both are there, penalties run twice.
 *
 * Version: vLLM at commit 002032ee (2026). Keys: vllm/sampling_params.py and the request classes of
 * vllm/entrypoints/openai (chat_completion, completion and responses, protocol.py); limits: the
 * checks of SamplingParams; order: vllm/v1/sample/sampler.py. Keys that its server took before
 * (guided_*, best_of) are known too.
 *
 * Where temperature, top_k, top_p, min_p or a penalty is absent, vLLM's server takes the value of
 * the model's generation_config.json, which no body shows.
 */
#include "config/import_build.h"
#include "config/import_read.h"

#include <math.h>

/* Whether repetition has a stage of its own. */
static bool repeats(const plk_import *import)
{
    return plk_import_number_at(import, "repetition_penalty", 1) != 1;
}

static pluck_status start(plk_import *import)
{
    import->greedy = plk_import_number_at(import, "temperature", 1) == 0;
    plk_import_start_chain(import, "min_tokens logit_bias penalties");
    if (repeats(import))
        plk_import_append(import, "penalties", 1);
    static const char *const rest[] = {"temperature", "min_p", "top_k", "top_p"};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        plk_import_append(import, rest[i], 0);
    return PLUCK_OK;
}

/* What lies between 0 and 0.01 becomes 0.01. */
static pluck_status read_temperature(plk_import *import, const plk_import_rule *rule,
                                     const plk_json_node *node)
{
    static const plk_import_limits raised = {.low = 0.01, .high = 2};
    plk_import_rule mapped = *rule;
    double value = plk_import_number_at(import, rule->key, 1);
    if (value > 0 && value < 0.01)
        mapped.limits = &raised;
    return plk_import_number(import, &mapped, node);
}

/* A second stage if repetition has one. */
static pluck_status read_penalty(plk_import *import, const plk_import_rule *rule,
                                 const plk_json_node *node)
{
    if (plk_import_is_off(import, "0", node))
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "this value has no effect");
    import->part = repeats(import) ? 1 : 0;
    return plk_import_number(import, rule, node);
}

static pluck_status read_min_tokens(plk_import *import, const plk_import_rule *rule,
                                    const plk_json_node *node)
{
    const plk_json_node *stops = plk_import_member_of(import, "stop_token_ids");
    char *tokens = NULL;
    bool done = true;
    if (plk_import_is_off(import, "0", node))
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "this value has no effect");
    pluck_status status = stops ? plk_import_token_list(import, stops, &tokens) : PLUCK_OK;
    if (status != PLUCK_OK)
        return status;
    if (!tokens)
        return plk_import_say(import, PLUCK_IMPORT_REFUSED,
                              "needs stop_token_ids, which is missing, and the model's end-of-text "
                              "token, which vLLM adds; give both as min_tokens_ids");
    status = plk_import_set(import, "min_tokens_ids", tokens, &done);
    plk_free(import->allocator, tokens);
    if (status == PLUCK_OK && done)
        status = plk_import_number(import, rule, node);
    return status == PLUCK_OK
               ? plk_import_say(import, PLUCK_IMPORT_REFUSED,
                                "vLLM also bans the model's end-of-text token, whose id is not "
                                "here; add it to min_tokens_ids")
               : status;
}

static pluck_status finish(plk_import *import)
{
    pluck_status status = plk_import_set_window(import, "-1", !repeats(import));
    import->part = 1;
    if (status == PLUCK_OK)
        status = plk_import_set_window(import, "-1", true);
    import->part = 0;
    if (status != PLUCK_OK || plk_import_member_of(import, "seed") || import->greedy)
        return status;
    return plk_import_default(import, "seed", "seed", "\"random\"");
}

static const plk_import_limits temperature = {.low = 0, .high = 2, .outside = PLK_IMPORT_REJECTS};
static const plk_import_limits top_p = {
    .low = 0, .high = 1, .outside = PLK_IMPORT_REJECTS, .above_low = true};
static const plk_import_limits unit = {.low = 0, .high = 1, .outside = PLK_IMPORT_REJECTS};
static const plk_import_limits from_1 = {
    .low = 1, .high = (double)INFINITY, .outside = PLK_IMPORT_REJECTS};
static const plk_import_limits from_0 = {
    .low = 0, .high = (double)INFINITY, .outside = PLK_IMPORT_REJECTS};
static const plk_import_limits above_0 = {
    .low = 0, .high = (double)INFINITY, .outside = PLK_IMPORT_REJECTS, .above_low = true};
static const plk_import_limits penalty = {.low = -2, .high = 2, .outside = PLK_IMPORT_REJECTS};
static const plk_import_limits bias = {.low = -100, .high = 100, .outside = PLK_IMPORT_CLAMPS};

#define ONLY_OUTPUT "of the output alone: with repeat_last_n -1 and repeat_ignore_prompt"
#define PLUGIN      "for extensions of the server, which pluck does not know"

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
     .read = read_temperature,
     .flat_key = "temperature",
     .limits = &temperature},
    {.key = "top_p", .read = plk_import_random_number, .flat_key = "top_p", .limits = &top_p},
    {.key = "top_k",
     .read = plk_import_random_number,
     .flat_key = "top_k",
     .off = "0 -1",
     .limits = &from_1},
    {.key = "min_p", .read = plk_import_random_number, .flat_key = "min_p", .limits = &unit},
    {.key = "repetition_penalty",
     .read = plk_import_number,
     .flat_key = "repeat_penalty",
     .limits = &above_0,
     .note = "of prompt and output"},
    {.key = "presence_penalty",
     .read = read_penalty,
     .flat_key = "presence_penalty",
     .limits = &penalty,
     .note = ONLY_OUTPUT},
    {.key = "frequency_penalty",
     .read = read_penalty,
     .flat_key = "frequency_penalty",
     .limits = &penalty,
     .note = ONLY_OUTPUT},
    {.key = "logit_bias", .read = plk_import_bias_map, .limits = &bias},
    {.key = "seed", .read = plk_import_seed},
    {.key = "min_tokens",
     .read = read_min_tokens,
     .flat_key = "min_tokens",
     .limits = &from_0,
     .note = "with min_tokens_ids from stop_token_ids"},
    IGNORE("stop_token_ids",
           "ends the output, which the engine decides; min_tokens uses these ids"),
    IGNORE("ignore_eos", "lets the output go on after the end-of-text token; pluck ends nothing"),
    REFUSE("bad_words", "[]",
           "words need a vocabulary; add their token ids to the result as bad_words_ids"),
    REFUSE("allowed_token_ids", NULL, "an allow-list is a mask: pluck_sampler_set_mask()"),
    REFUSE("logits_processors", "[]", PLUGIN),
    REFUSE("vllm_xargs", "{}", PLUGIN),
    REFUSE("extra_args", "{}", PLUGIN),
    REFUSE("use_beam_search", "false", PLK_NOTE_BEAMS),
    REFUSE("best_of", "1", "chooses among whole outputs"),
    REFUSE("thinking_token_budget", "-1", "forces tokens when the reasoning gets long"),
    REFUSE("watermarking", "false", "pluck writes no watermarks"),
    REFUSE("trace_decode_token_ids", NULL, "forces tokens, which the engine has to do"),
    {.key = "response_format", .read = plk_import_format, .off = "text", .note = PLK_NOTE_MASK},
    {.key = "text", .read = plk_import_text, .off = "text", .note = PLK_NOTE_MASK},
    REFUSE("tool_choice", "auto none", PLK_NOTE_MASK),
    REFUSE("structured_outputs", NULL, PLK_NOTE_MASK),
    REFUSE("structural_tag", NULL, PLK_NOTE_MASK),
    REFUSE("guided_json", NULL, PLK_NOTE_MASK),
    REFUSE("guided_regex", NULL, PLK_NOTE_MASK),
    REFUSE("guided_choice", NULL, PLK_NOTE_MASK),
    REFUSE("guided_grammar", NULL, PLK_NOTE_MASK),
    REFUSE("guided_decoding", NULL, PLK_NOTE_MASK),
    IGNORE("guided_decoding_backend", PLK_NOTE_SERVER),
    IGNORE("guided_whitespace_pattern", "nothing without a constraint"),
    IGNORE("length_penalty", "for beams only"),
    IGNORE("early_stopping", "for beams only"),
    IGNORE("n", PLK_NOTE_COUNT),
    IGNORE("max_tokens", PLK_NOTE_LENGTH),
    IGNORE("max_completion_tokens", PLK_NOTE_LENGTH),
    IGNORE("max_output_tokens", PLK_NOTE_LENGTH),
    IGNORE("max_tool_calls", PLK_NOTE_LENGTH),
    IGNORE("repetition_detection", PLK_NOTE_END),
    IGNORE("max_repetition_pattern_size", PLK_NOTE_END),
    IGNORE("min_repetition_pattern_size", PLK_NOTE_END),
    IGNORE("repetition_min_count", PLK_NOTE_END),
    IGNORE("stop", PLK_NOTE_END),
    IGNORE("model", PLK_NOTE_MODEL),
    IGNORE("messages", PLK_NOTE_PROMPT),
    IGNORE("prompt", PLK_NOTE_PROMPT),
    IGNORE("prompt_embeds", PLK_NOTE_PROMPT),
    IGNORE("input", PLK_NOTE_PROMPT),
    IGNORE("instructions", PLK_NOTE_PROMPT),
    IGNORE("previous_input_messages", PLK_NOTE_PROMPT),
    IGNORE("previous_response", PLK_NOTE_PROMPT),
    IGNORE("previous_response_id", PLK_NOTE_PROMPT),
    IGNORE("suffix", PLK_NOTE_PROMPT),
    IGNORE("tools", PLK_NOTE_PROMPT),
    IGNORE("parallel_tool_calls", PLK_NOTE_PROMPT),
    IGNORE("reasoning", PLK_NOTE_PROMPT),
    IGNORE("reasoning_effort", PLK_NOTE_PROMPT),
    IGNORE("add_generation_prompt", PLK_NOTE_PROMPT),
    IGNORE("add_special_tokens", PLK_NOTE_PROMPT),
    IGNORE("chat_template", PLK_NOTE_PROMPT),
    IGNORE("chat_template_kwargs", PLK_NOTE_PROMPT),
    IGNORE("continue_final_message", PLK_NOTE_PROMPT),
    IGNORE("documents", PLK_NOTE_PROMPT),
    IGNORE("media_io_kwargs", PLK_NOTE_PROMPT),
    IGNORE("mm_processor_kwargs", PLK_NOTE_PROMPT),
    IGNORE("truncate_prompt_tokens", PLK_NOTE_PROMPT),
    IGNORE("truncation", PLK_NOTE_PROMPT),
    IGNORE("truncation_side", PLK_NOTE_PROMPT),
    IGNORE("background", PLK_NOTE_SERVER),
    IGNORE("cache_salt", PLK_NOTE_SERVER),
    IGNORE("detokenize", PLK_NOTE_SERVER),
    IGNORE("echo", PLK_NOTE_SERVER),
    IGNORE("ec_transfer_params", PLK_NOTE_SERVER),
    IGNORE("enable_response_messages", PLK_NOTE_SERVER),
    IGNORE("flat_logprobs", PLK_NOTE_SERVER),
    IGNORE("include", PLK_NOTE_SERVER),
    IGNORE("include_reasoning", PLK_NOTE_SERVER),
    IGNORE("include_stop_str_in_output", PLK_NOTE_SERVER),
    IGNORE("kv_transfer_params", PLK_NOTE_SERVER),
    IGNORE("logprob_token_ids", PLK_NOTE_SERVER),
    IGNORE("logprobs", PLK_NOTE_SERVER),
    IGNORE("metadata", PLK_NOTE_SERVER),
    IGNORE("output_kind", PLK_NOTE_SERVER),
    IGNORE("output_text_buffer_length", PLK_NOTE_SERVER),
    IGNORE("priority", PLK_NOTE_SERVER),
    IGNORE("prompt_cache_key", PLK_NOTE_SERVER),
    IGNORE("prompt_logprob_start", PLK_NOTE_SERVER),
    IGNORE("prompt_logprob_token_ids", PLK_NOTE_SERVER),
    IGNORE("prompt_logprobs", PLK_NOTE_SERVER),
    IGNORE("request_id", PLK_NOTE_SERVER),
    IGNORE("return_mm_kwargs", PLK_NOTE_SERVER),
    IGNORE("return_prompt_text", PLK_NOTE_SERVER),
    IGNORE("return_token_ids", PLK_NOTE_SERVER),
    IGNORE("return_token_offsets", PLK_NOTE_SERVER),
    IGNORE("return_tokens_as_token_ids", PLK_NOTE_SERVER),
    IGNORE("routed_experts_prompt_start", PLK_NOTE_SERVER),
    IGNORE("service_tier", PLK_NOTE_SERVER),
    IGNORE("session_id", PLK_NOTE_SERVER),
    IGNORE("skip_clone", PLK_NOTE_SERVER),
    IGNORE("skip_reading_prefix_cache", PLK_NOTE_SERVER),
    IGNORE("skip_special_tokens", PLK_NOTE_SERVER),
    IGNORE("spaces_between_special_tokens", PLK_NOTE_SERVER),
    IGNORE("store", PLK_NOTE_SERVER),
    IGNORE("stream", PLK_NOTE_SERVER),
    IGNORE("stream_interval", PLK_NOTE_SERVER),
    IGNORE("stream_options", PLK_NOTE_SERVER),
    IGNORE("top_logprobs", PLK_NOTE_SERVER),
    IGNORE("user", PLK_NOTE_SERVER),
    {.key = NULL},
};

const plk_importer plk_import_vllm = {
    .name = "vllm",
    .title = "vLLM",
    .rules = rules,
    .order = "min_tokens logit_bias penalties temperature min_p top_k top_p",
    .wrappers = "extra_body sampling_params",
    .lax = true,
    .start = start,
    .finish = finish,
};
