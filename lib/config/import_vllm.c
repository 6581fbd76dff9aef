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
static bool repeats(const pl_import *import)
{
    return pl_import_number_at(import, "repetition_penalty", 1) != 1;
}

static pluck_status start(pl_import *import)
{
    import->greedy = pl_import_number_at(import, "temperature", 1) == 0;
    pl_import_start_chain(import, "min_tokens logit_bias penalties");
    if (repeats(import))
        pl_import_append(import, "penalties", 1);
    static const char *const rest[] = {"temperature", "min_p", "top_k", "top_p"};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        pl_import_append(import, rest[i], 0);
    return PLUCK_OK;
}

/* What lies between 0 and 0.01 becomes 0.01. */
static pluck_status read_temperature(pl_import *import, const pl_import_rule *rule,
                                     const cJSON *node)
{
    static const pl_import_limits raised = {.low = 0.01, .high = 2};
    pl_import_rule mapped = *rule;
    const double value = pl_import_number_at(import, rule->key, 1);
    if (value > 0 && value < 0.01)
        mapped.limits = &raised;
    return pl_import_number(import, &mapped, node);
}

/* A second stage if repetition has one. */
static pluck_status read_penalty(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    if (pl_import_is_off(import, "0", node))
        return pl_import_say(import, PLUCK_IMPORT_IGNORED, "this value has no effect");
    import->part = repeats(import) ? 1 : 0;
    return pl_import_number(import, rule, node);
}

static pluck_status read_min_tokens(pl_import *import, const pl_import_rule *rule,
                                    const cJSON *node)
{
    const cJSON *stops = pl_import_member_of(import, "stop_token_ids");
    char *tokens = NULL;
    bool done = true;
    if (pl_import_is_off(import, "0", node))
        return pl_import_say(import, PLUCK_IMPORT_IGNORED, "this value has no effect");
    pluck_status status = stops ? pl_import_token_list(import, stops, &tokens) : PLUCK_OK;
    if (status != PLUCK_OK)
        return status;
    if (!tokens)
        return pl_import_say(import, PLUCK_IMPORT_REFUSED,
                             "needs stop_token_ids, which is missing, and the model's end-of-text "
                             "token, which vLLM adds; give both as min_tokens_ids");
    status = pl_import_set(import, "min_tokens_ids", tokens, &done);
    pl_free(import->allocator, tokens);
    if (status == PLUCK_OK && done)
        status = pl_import_number(import, rule, node);
    return status == PLUCK_OK
               ? pl_import_say(import, PLUCK_IMPORT_REFUSED,
                               "vLLM also bans the model's end-of-text token, whose id is not "
                               "here; add it to min_tokens_ids")
               : status;
}

static pluck_status finish(pl_import *import)
{
    pluck_status status = pl_import_set_window(import, "-1", !repeats(import));
    import->part = 1;
    if (status == PLUCK_OK)
        status = pl_import_set_window(import, "-1", true);
    import->part = 0;
    if (status != PLUCK_OK || pl_import_member_of(import, "seed") || import->greedy)
        return status;
    return pl_import_default(import, "seed", "seed", "\"random\"");
}

static const pl_import_limits temperature = {.low = 0, .high = 2, .outside = PL_IMPORT_REJECTS};
static const pl_import_limits top_p = {
    .low = 0, .high = 1, .outside = PL_IMPORT_REJECTS, .above_low = true};
static const pl_import_limits unit = {.low = 0, .high = 1, .outside = PL_IMPORT_REJECTS};
static const pl_import_limits from_1 = {
    .low = 1, .high = (double)INFINITY, .outside = PL_IMPORT_REJECTS};
static const pl_import_limits from_0 = {
    .low = 0, .high = (double)INFINITY, .outside = PL_IMPORT_REJECTS};
static const pl_import_limits above_0 = {
    .low = 0, .high = (double)INFINITY, .outside = PL_IMPORT_REJECTS, .above_low = true};
static const pl_import_limits penalty = {.low = -2, .high = 2, .outside = PL_IMPORT_REJECTS};
static const pl_import_limits bias = {.low = -100, .high = 100, .outside = PL_IMPORT_CLAMPS};

#define ONLY_OUTPUT "of the output alone: with repeat_last_n -1 and repeat_ignore_prompt"
#define PLUGIN      "for extensions of the server, which pluck does not know"

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
     .read = read_temperature,
     .flat_key = "temperature",
     .limits = &temperature},
    {.key = "top_p", .read = pl_import_random_number, .flat_key = "top_p", .limits = &top_p},
    {.key = "top_k",
     .read = pl_import_random_number,
     .flat_key = "top_k",
     .off = "0 -1",
     .limits = &from_1},
    {.key = "min_p", .read = pl_import_random_number, .flat_key = "min_p", .limits = &unit},
    {.key = "repetition_penalty",
     .read = pl_import_number,
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
    {.key = "logit_bias", .read = pl_import_bias_map, .limits = &bias},
    {.key = "seed", .read = pl_import_seed},
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
    REFUSE("use_beam_search", "false", PL_NOTE_BEAMS),
    REFUSE("best_of", "1", "chooses among whole outputs"),
    REFUSE("thinking_token_budget", "-1", "forces tokens when the reasoning gets long"),
    REFUSE("watermarking", "false", "pluck writes no watermarks"),
    REFUSE("trace_decode_token_ids", NULL, "forces tokens, which the engine has to do"),
    {.key = "response_format", .read = pl_import_format, .off = "text", .note = PL_NOTE_MASK},
    {.key = "text", .read = pl_import_text, .off = "text", .note = PL_NOTE_MASK},
    REFUSE("tool_choice", "auto none", PL_NOTE_MASK),
    REFUSE("structured_outputs", NULL, PL_NOTE_MASK),
    REFUSE("structural_tag", NULL, PL_NOTE_MASK),
    REFUSE("guided_json", NULL, PL_NOTE_MASK),
    REFUSE("guided_regex", NULL, PL_NOTE_MASK),
    REFUSE("guided_choice", NULL, PL_NOTE_MASK),
    REFUSE("guided_grammar", NULL, PL_NOTE_MASK),
    REFUSE("guided_decoding", NULL, PL_NOTE_MASK),
    IGNORE("guided_decoding_backend", PL_NOTE_SERVER),
    IGNORE("guided_whitespace_pattern", "nothing without a constraint"),
    IGNORE("length_penalty", "for beams only"),
    IGNORE("early_stopping", "for beams only"),
    IGNORE("n", PL_NOTE_COUNT),
    IGNORE("max_tokens", PL_NOTE_LENGTH),
    IGNORE("max_completion_tokens", PL_NOTE_LENGTH),
    IGNORE("max_output_tokens", PL_NOTE_LENGTH),
    IGNORE("max_tool_calls", PL_NOTE_LENGTH),
    IGNORE("repetition_detection", PL_NOTE_END),
    IGNORE("max_repetition_pattern_size", PL_NOTE_END),
    IGNORE("min_repetition_pattern_size", PL_NOTE_END),
    IGNORE("repetition_min_count", PL_NOTE_END),
    IGNORE("stop", PL_NOTE_END),
    IGNORE("model", PL_NOTE_MODEL),
    IGNORE("messages", PL_NOTE_PROMPT),
    IGNORE("prompt", PL_NOTE_PROMPT),
    IGNORE("prompt_embeds", PL_NOTE_PROMPT),
    IGNORE("input", PL_NOTE_PROMPT),
    IGNORE("instructions", PL_NOTE_PROMPT),
    IGNORE("previous_input_messages", PL_NOTE_PROMPT),
    IGNORE("previous_response", PL_NOTE_PROMPT),
    IGNORE("previous_response_id", PL_NOTE_PROMPT),
    IGNORE("suffix", PL_NOTE_PROMPT),
    IGNORE("tools", PL_NOTE_PROMPT),
    IGNORE("parallel_tool_calls", PL_NOTE_PROMPT),
    IGNORE("reasoning", PL_NOTE_PROMPT),
    IGNORE("reasoning_effort", PL_NOTE_PROMPT),
    IGNORE("add_generation_prompt", PL_NOTE_PROMPT),
    IGNORE("add_special_tokens", PL_NOTE_PROMPT),
    IGNORE("chat_template", PL_NOTE_PROMPT),
    IGNORE("chat_template_kwargs", PL_NOTE_PROMPT),
    IGNORE("continue_final_message", PL_NOTE_PROMPT),
    IGNORE("documents", PL_NOTE_PROMPT),
    IGNORE("media_io_kwargs", PL_NOTE_PROMPT),
    IGNORE("mm_processor_kwargs", PL_NOTE_PROMPT),
    IGNORE("truncate_prompt_tokens", PL_NOTE_PROMPT),
    IGNORE("truncation", PL_NOTE_PROMPT),
    IGNORE("truncation_side", PL_NOTE_PROMPT),
    IGNORE("background", PL_NOTE_SERVER),
    IGNORE("cache_salt", PL_NOTE_SERVER),
    IGNORE("detokenize", PL_NOTE_SERVER),
    IGNORE("echo", PL_NOTE_SERVER),
    IGNORE("ec_transfer_params", PL_NOTE_SERVER),
    IGNORE("enable_response_messages", PL_NOTE_SERVER),
    IGNORE("flat_logprobs", PL_NOTE_SERVER),
    IGNORE("include", PL_NOTE_SERVER),
    IGNORE("include_reasoning", PL_NOTE_SERVER),
    IGNORE("include_stop_str_in_output", PL_NOTE_SERVER),
    IGNORE("kv_transfer_params", PL_NOTE_SERVER),
    IGNORE("logprob_token_ids", PL_NOTE_SERVER),
    IGNORE("logprobs", PL_NOTE_SERVER),
    IGNORE("metadata", PL_NOTE_SERVER),
    IGNORE("output_kind", PL_NOTE_SERVER),
    IGNORE("output_text_buffer_length", PL_NOTE_SERVER),
    IGNORE("priority", PL_NOTE_SERVER),
    IGNORE("prompt_cache_key", PL_NOTE_SERVER),
    IGNORE("prompt_logprob_start", PL_NOTE_SERVER),
    IGNORE("prompt_logprob_token_ids", PL_NOTE_SERVER),
    IGNORE("prompt_logprobs", PL_NOTE_SERVER),
    IGNORE("request_id", PL_NOTE_SERVER),
    IGNORE("return_mm_kwargs", PL_NOTE_SERVER),
    IGNORE("return_prompt_text", PL_NOTE_SERVER),
    IGNORE("return_token_ids", PL_NOTE_SERVER),
    IGNORE("return_token_offsets", PL_NOTE_SERVER),
    IGNORE("return_tokens_as_token_ids", PL_NOTE_SERVER),
    IGNORE("routed_experts_prompt_start", PL_NOTE_SERVER),
    IGNORE("service_tier", PL_NOTE_SERVER),
    IGNORE("session_id", PL_NOTE_SERVER),
    IGNORE("skip_clone", PL_NOTE_SERVER),
    IGNORE("skip_reading_prefix_cache", PL_NOTE_SERVER),
    IGNORE("skip_special_tokens", PL_NOTE_SERVER),
    IGNORE("spaces_between_special_tokens", PL_NOTE_SERVER),
    IGNORE("store", PL_NOTE_SERVER),
    IGNORE("stream", PL_NOTE_SERVER),
    IGNORE("stream_interval", PL_NOTE_SERVER),
    IGNORE("stream_options", PL_NOTE_SERVER),
    IGNORE("top_logprobs", PL_NOTE_SERVER),
    IGNORE("user", PL_NOTE_SERVER),
    {.key = NULL},
};

const pl_importer pl_import_vllm = {
    .name = "vllm",
    .title = "vLLM",
    .rules = rules,
    .order = "min_tokens logit_bias penalties temperature min_p top_k top_p",
    .wrappers = "extra_body sampling_params",
    .lax = true,
    .start = start,
    .finish = finish,
};
