/*
 * The body of a request to vLLM, or its SamplingParams. The order is that of vLLM's sampler: bans
 * and biases, penalties, temperature, min_p, top_k, top_p. Repetition counts prompt and output,
 * frequency and presence the output alone: where both are there, penalties run twice.
 *
 * Version: vLLM at commit 002032ee (2026). Keys are from vllm/sampling_params.py and the request
 * classes of vllm/entrypoints/openai (protocol.py of chat_completion, completion and responses),
 * limits from the checks of SamplingParams, and the order from vllm/v1/sample/sampler.py. Keys that
 * its server took before (guided_*, best_of) are known too.
 *
 * Where temperature, top_k, top_p, min_p or a penalty is absent, vLLM's server takes the value of
 * the model's generation_config.json, which no body shows.
 */
#include "config/import_impl.h"

/* Whether repetition has a stage of its own. */
static bool repeats(const plk_import *import)
{
    return plk_import_number_at(import, "repetition_penalty", 1) != 1;
}

static void start(plk_import *import)
{
    import->greedy = plk_import_number_at(import, "temperature", 1) == 0;
    plk_import_start_chain(import, "min_tokens logit_bias penalties");
    if (repeats(import))
        plk_import_append(import, "penalties", 1);
    plk_import_append(import, "temperature min_p top_k top_p", 0);
}

/* What lies between 0 and 0.01 becomes 0.01. */
static void read_temperature(plk_import *import, const plk_import_rule *rule,
                             const plk_json_node *node)
{
    static const plk_import_limits raised = {.low = 0.01, .high = 2};
    plk_import_rule mapped = *rule;
    double value = plk_import_number_at(import, rule->key, 1);
    if (value > 0 && value < 0.01)
        mapped.limits = &raised;
    plk_import_number(import, &mapped, node);
}

/* A second stage if repetition has one. */
static void read_penalty(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    import->part = repeats(import) ? 1 : 0;
    if (plk_import_is_off(import, "0", node))
        plk_import_say(import, PLUCK_IMPORT_IGNORED, PLK_NO_EFFECT);
    else
        plk_import_number(import, rule, node);
}

static void read_min_tokens(plk_import *import, const plk_import_rule *rule,
                            const plk_json_node *node)
{
    static const char if_none[] =
        "needs stop_token_ids, which is missing, and the model's end-of-text token, which vLLM "
        "adds; give both as min_tokens_ids";
    static const char also[] =
        "vLLM also bans the model's end-of-text token, whose id is not here; "
        "add it to min_tokens_ids";
    const plk_json_node *stops = plk_import_member_of(import, "stop_token_ids");
    if (plk_import_is_off(import, "0", node)) {
        plk_import_say(import, PLUCK_IMPORT_IGNORED, PLK_NO_EFFECT);
        return;
    }
    char *tokens = plk_import_token_list(import, stops);
    if (tokens && plk_import_try(import, "min_tokens_ids", tokens))
        plk_import_number(import, rule, node);
    plk_import_say(import, PLUCK_IMPORT_REFUSED, "%s", tokens ? also : if_none);
    plk_free(import->allocator, tokens);
}

static const plk_import_default defaults[] = {
    {"seed", "seed", "\"random\"", NULL},
    {NULL, NULL, NULL, NULL},
};

static void finish(plk_import *import)
{
    plk_import_set_window(import, 0, "-1", !repeats(import));
    plk_import_set_window(import, 1, "-1", true);
}

static const plk_import_limits temperature = {.low = 0, .high = 2, .outside = PLK_IMPORT_REJECTS};
static const plk_import_limits penalty = {.low = -2, .high = 2, .outside = PLK_IMPORT_REJECTS};
static const plk_import_limits bias = {.low = -100, .high = 100, .outside = PLK_IMPORT_CLAMPS};

#define ONLY_OUTPUT "of the output alone: with repeat_last_n -1 and repeat_ignore_prompt"
#define PLUGIN      "for extensions of the server, which pluck does not know"

static const plk_import_rule rules[] = {
    {.key = "temperature", .read = read_temperature, .limits = &temperature},
    {.key = "top_p", .read = plk_import_random_number, .limits = &plk_rejects_to_0_above_1},
    {.key = "top_k",
     .read = plk_import_random_number,
     .off = "0 -1",
     .limits = &plk_rejects_below_1},
    {.key = "min_p", .read = plk_import_random_number, .limits = &plk_rejects_outside_1},
    {.key = "repetition_penalty",
     .flat_key = "repeat_penalty",
     .limits = &plk_rejects_to_0,
     .note = "of prompt and output"},
    {.key = "presence_penalty", .read = read_penalty, .limits = &penalty, .note = ONLY_OUTPUT},
    {.key = "frequency_penalty", .read = read_penalty, .limits = &penalty, .note = ONLY_OUTPUT},
    {.key = "logit_bias", .read = plk_import_bias_map, .limits = &bias},
    {.key = "seed", .read = plk_import_seed},
    {.key = "min_tokens",
     .read = read_min_tokens,
     .limits = &plk_rejects_below_0,
     .note = "with min_tokens_ids from stop_token_ids"},
    PLK_REFUSE("bad_words", "[]",
               "words need a vocabulary; add their token ids to the result as bad_words_ids"),
    PLK_REFUSE("allowed_token_ids", NULL, "an allow-list is a mask: pluck_sampler_set_mask()"),
    PLK_REFUSE("logits_processors", "[]", PLUGIN),
    PLK_REFUSE("vllm_xargs", "{}", PLUGIN),
    PLK_REFUSE("extra_args", "{}", PLUGIN),
    PLK_REFUSE("use_beam_search", "false", PLK_NOTE_BEAMS),
    PLK_REFUSE("best_of", "1", "chooses among whole outputs"),
    PLK_REFUSE("thinking_token_budget", "-1", "forces tokens when the reasoning gets long"),
    PLK_REFUSE("watermarking", "false", "pluck writes no watermarks"),
    PLK_REFUSE("trace_decode_token_ids", NULL, "forces tokens, which the engine has to do"),
    {.key = "response_format", .read = plk_import_format, .off = "text", .note = PLK_NOTE_MASK},
    {.key = "text", .read = plk_import_text, .off = "text", .note = PLK_NOTE_MASK},
    PLK_REFUSE("tool_choice", "auto none", PLK_NOTE_MASK),
    PLK_REFUSE("structured_outputs", NULL, PLK_NOTE_MASK),
    PLK_REFUSE("structural_tag", NULL, PLK_NOTE_MASK),
    PLK_REFUSE("guided_json", NULL, PLK_NOTE_MASK),
    PLK_REFUSE("guided_regex", NULL, PLK_NOTE_MASK),
    PLK_REFUSE("guided_choice", NULL, PLK_NOTE_MASK),
    PLK_REFUSE("guided_grammar", NULL, PLK_NOTE_MASK),
    PLK_REFUSE("guided_decoding", NULL, PLK_NOTE_MASK),
    {.key = NULL},
};

static const plk_import_group ignored[] = {
    {"ends the output, which the engine decides; min_tokens uses these ids", "stop_token_ids"},
    {"lets the output go on after the end-of-text token; pluck ends nothing", "ignore_eos"},
    {PLK_NOTE_SERVER,
     "guided_decoding_backend background cache_salt detokenize ec_transfer_params "
     "enable_response_messages flat_logprobs include include_reasoning include_stop_str_in_output "
     "kv_transfer_params logprob_token_ids metadata output_kind output_text_buffer_length priority "
     "prompt_cache_key prompt_logprob_start prompt_logprob_token_ids prompt_logprobs request_id "
     "return_mm_kwargs return_prompt_text return_token_ids return_token_offsets "
     "return_tokens_as_token_ids routed_experts_prompt_start service_tier session_id skip_clone "
     "skip_reading_prefix_cache skip_special_tokens spaces_between_special_tokens store "
     "stream_interval user"},
    {"nothing without a constraint", "guided_whitespace_pattern"},
    {"for beams only", "length_penalty early_stopping"},
    {PLK_NOTE_LENGTH, "max_output_tokens max_tool_calls"},
    {PLK_NOTE_END, "repetition_detection max_repetition_pattern_size min_repetition_pattern_size "
                   "repetition_min_count"},
    {PLK_NOTE_PROMPT, "prompt_embeds input instructions previous_input_messages previous_response "
                      "previous_response_id suffix tools parallel_tool_calls reasoning "
                      "reasoning_effort add_generation_prompt add_special_tokens chat_template "
                      "chat_template_kwargs continue_final_message documents media_io_kwargs "
                      "mm_processor_kwargs truncate_prompt_tokens truncation truncation_side"},
    {NULL, NULL},
};

const plk_importer plk_import_vllm = {
    .name = "vllm",
    .title = "vLLM",
    .rules = rules,
    .ignored = ignored,
    .is_chat = true,
    .order = "min_tokens logit_bias penalties temperature min_p top_k top_p",
    .wrappers = "extra_body sampling_params",
    .lax = true,
    .start = start,
    .defaults = defaults,
    .finish = finish,
};
