/*
 * Bodies of requests in the form of OpenAI's API, and vLLM's, which has more keys. The order is
 * that of vLLM's sampler: bans and biases, penalties, temperature, min_p, top_k, top_p; OpenAI does
 * not say its own, and its keys are among these. Source: vLLM, SamplingParams and
 * v1/sample/sampler.py.
 */
#include "config/import_impl.h"

#include "base/alloc.h"

#include <string.h>

static const char counts_prompt[] =
    "with repeat_last_n -1; every accepted token counts, of the prompt too, which the original "
    "leaves out";

static pluck_status read_penalty(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    pluck_status status = pl_import_copy(import, rule, node);
    return status == PLUCK_OK ? pl_import_set(import, node, "repeat_last_n", "-1") : status;
}

static pluck_status read_min_tokens(pl_import *import, const pl_import_rule *rule,
                                    const cJSON *node)
{
    const cJSON *stops = pl_import_member(import, "stop_token_ids");
    if (!stops || !stops->child)
        return pl_import_refuse(import, rule, node);
    const pl_import_rule mapped = {.key = rule->key,
                                   .flat_key = "min_tokens",
                                   .note = "with min_tokens_ids from stop_token_ids"};
    pluck_status status = pl_import_set_copy(import, stops, "min_tokens_ids");
    return status == PLUCK_OK ? pl_import_copy(import, &mapped, node) : status;
}

/* {"type": "text"} asks for nothing. */
static pluck_status read_format(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    const cJSON *type = cJSON_IsObject(node) ? pl_json_member(node, "type") : NULL;
    if (type && cJSON_IsString(type) && strcmp(type->valuestring, "text") == 0)
        pl_import_tell(import, rule->key, PLUCK_IMPORT_IGNORED, "this value has no effect");
    else
        return pl_import_refuse(import, rule, node);
    return PLUCK_OK;
}

static pluck_status read_tool_choice(pl_import *import, const pl_import_rule *rule,
                                     const cJSON *node)
{
    const char *text = cJSON_IsString(node) ? node->valuestring : "";
    if (strcmp(text, "auto") == 0 || strcmp(text, "none") == 0)
        pl_import_tell(import, rule->key, PLUCK_IMPORT_IGNORED, "this value has no effect");
    else
        return pl_import_refuse(import, rule, node);
    return PLUCK_OK;
}

#define TEXT   "about the prompt"
#define LENGTH "how long the text gets is the engine's to say"
#define SERVER "about the server's work and its answer"
#define GUIDED "constrains the text: an engine does that by masks"

#define SHARED_RULES                                                                               \
    {"temperature", pl_import_copy, NULL, "temperature", NULL, 0},                                 \
        {"top_p", pl_import_copy, NULL, "top_p", NULL, 0},                                         \
        {"presence_penalty", read_penalty, counts_prompt, "presence_penalty", NULL, 0},            \
        {"frequency_penalty", read_penalty, counts_prompt, "frequency_penalty", NULL, 0},          \
        {"logit_bias", pl_import_bias_map, NULL, "logit_bias", NULL, 0},                           \
        {"seed", pl_import_seed, NULL, "seed", NULL, 0},                                           \
        {"response_format", read_format, GUIDED, NULL, NULL, 0},                                   \
        {"tool_choice", read_tool_choice, GUIDED, NULL, NULL, 0},                                  \
        {"n", pl_import_ignore, "how many texts: one sampler each", NULL, NULL, 0},                \
        {"best_of", pl_import_refuse, "chooses among whole texts", NULL, NULL, 1},                 \
        {"model", pl_import_ignore, "about the model", NULL, NULL, 0},                             \
        {"messages", pl_import_ignore, TEXT, NULL, NULL, 0},                                       \
        {"prompt", pl_import_ignore, TEXT, NULL, NULL, 0},                                         \
        {"suffix", pl_import_ignore, TEXT, NULL, NULL, 0},                                         \
        {"tools", pl_import_ignore, TEXT, NULL, NULL, 0},                                          \
        {"parallel_tool_calls", pl_import_ignore, TEXT, NULL, NULL, 0},                            \
        {"echo", pl_import_ignore, SERVER, NULL, NULL, 0},                                         \
        {"max_tokens", pl_import_ignore, LENGTH, NULL, NULL, 0},                                   \
        {"max_completion_tokens", pl_import_ignore, LENGTH, NULL, NULL, 0},                        \
        {"stop", pl_import_ignore, LENGTH, NULL, NULL, 0},                                         \
        {"stream", pl_import_ignore, SERVER, NULL, NULL, 0},                                       \
        {"stream_options", pl_import_ignore, SERVER, NULL, NULL, 0},                               \
        {"logprobs", pl_import_ignore, SERVER, NULL, NULL, 0},                                     \
        {"top_logprobs", pl_import_ignore, SERVER, NULL, NULL, 0},                                 \
    {                                                                                              \
        "user", pl_import_ignore, SERVER, NULL, NULL, 0                                            \
    }

static const pl_import_rule openai_rules[] = {
    SHARED_RULES,
    {"store", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"metadata", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"service_tier", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"prompt_cache_key", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"safety_identifier", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"modalities", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"reasoning_effort", pl_import_ignore, "about the model", NULL, NULL, 0},
    {"verbosity", pl_import_ignore, "about the model", NULL, NULL, 0},
    {NULL, NULL, NULL, NULL, NULL, 0},
};

static const pl_import_rule vllm_rules[] = {
    SHARED_RULES,
    {"top_k", pl_import_at_least_0, NULL, "top_k", NULL, 0},
    {"min_p", pl_import_copy, NULL, "min_p", NULL, 0},
    {"repetition_penalty", read_penalty, "with repeat_last_n -1", "repeat_penalty", NULL, 0},
    {"min_tokens", read_min_tokens,
     "needs the ids of the end of the text: stop_token_ids is not there", "min_tokens", NULL, 0},
    {"stop_token_ids", pl_import_ignore,
     "where the text ends is the engine's to say; min_tokens takes it", NULL, NULL, 0},
    {"bad_words", pl_import_refuse, "words need a vocabulary: give bad_words_ids", NULL, NULL, 0},
    {"allowed_token_ids", pl_import_refuse, "an allow-list is a mask", NULL, NULL, 0},
    {"ignore_eos", pl_import_refuse, "needs the ids of the end of the text: ban them in logit_bias",
     NULL, NULL, 0},
    {"logits_processors", pl_import_refuse, "code of the engine", NULL, NULL, 0},
    {"use_beam_search", pl_import_refuse, "pluck has no beam search", NULL, NULL, 0},
    {"length_penalty", pl_import_ignore, "for beams only", NULL, NULL, 0},
    {"early_stopping", pl_import_ignore, "for beams only", NULL, NULL, 0},
    {"guided_json", pl_import_refuse, GUIDED, NULL, NULL, 0},
    {"guided_regex", pl_import_refuse, GUIDED, NULL, NULL, 0},
    {"guided_choice", pl_import_refuse, GUIDED, NULL, NULL, 0},
    {"guided_grammar", pl_import_refuse, GUIDED, NULL, NULL, 0},
    {"guided_decoding", pl_import_refuse, GUIDED, NULL, NULL, 0},
    {"guided_decoding_backend", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"guided_whitespace_pattern", pl_import_ignore, "nothing without a constraint", NULL, NULL, 0},
    {"structured_outputs", pl_import_refuse, GUIDED, NULL, NULL, 0},
    {"structural_tag", pl_import_refuse, GUIDED, NULL, NULL, 0},
    {"prompt_logprobs", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"prompt_embeds", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"truncate_prompt_tokens", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"add_generation_prompt", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"continue_final_message", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"add_special_tokens", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"chat_template", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"chat_template_kwargs", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"include_stop_str_in_output", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"detokenize", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"skip_special_tokens", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"spaces_between_special_tokens", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"output_kind", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"return_tokens_as_token_ids", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"return_token_ids", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"request_id", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"priority", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"cache_salt", pl_import_ignore, SERVER, NULL, NULL, 0},
    {NULL, NULL, NULL, NULL, NULL, 0},
};

#define ORDER                                                                                      \
    "[\"min_tokens\", \"logit_bias\", \"penalties\", \"temperature\", \"min_p\", \"top_k\", "      \
    "\"top_p\"]"

const pl_importer pl_import_vllm = {.name = "vllm", .rules = vllm_rules, .order = ORDER};
const pl_importer pl_import_openai = {.name = "openai", .rules = openai_rules, .order = ORDER};
