/*
 * generation_config.json. The order is that of GenerationMixin._get_logits_processor(): processors,
 * then the warpers, which only run when do_sample is true; else the most probable token is taken.
 * Source: Transformers, generation/utils.py and generation/configuration_utils.py.
 */
#include "config/import_impl.h"

#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char no_do_sample[] =
    "do_sample is not true: the most probable token is taken, and this does not matter";

static pluck_status start(pl_import *import)
{
    import->greedy = !pl_import_is_true(import, "do_sample");
    return PLUCK_OK;
}

static pluck_status read_do_sample(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    if (!cJSON_IsBool(node))
        return pl_json_fail(import->json, node, import->err, "true or false, not %s",
                            pl_json_kind(node));
    pl_import_tell(import, rule->key, PLUCK_IMPORT_MAPPED,
                   import->greedy ? "draw: greedy" : "draw: categorical");
    return PLUCK_OK;
}

/* Keys of warpers. */
static pluck_status read_warper(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    if (!import->greedy)
        return pl_import_copy(import, rule, node);
    pl_import_tell(import, rule->key, PLUCK_IMPORT_IGNORED, no_do_sample);
    return PLUCK_OK;
}

static pluck_status read_repetition(pl_import *import, const pl_import_rule *rule,
                                    const cJSON *node)
{
    pluck_status status = pl_import_copy(import, rule, node);
    return status == PLUCK_OK ? pl_import_set(import, node, "repeat_last_n", "-1") : status;
}

/* The ids of the end of the text as an array: 2 or [2, 32000]. false: there are none. */
static bool end_tokens(pl_import *import, char **text, pluck_status *status)
{
    const cJSON *node = pl_import_member(import, "eos_token_id");
    size_t length = 0;
    *text = NULL;
    *status = PLUCK_OK;
    if (!node || (cJSON_IsArray(node) && !node->child))
        return false;
    char *value = pl_import_text(import, node, &length);
    if (value && !cJSON_IsArray(node)) {
        *text = pl_alloc(&import->config->allocator, length + 3, 1);
        if (*text)
            snprintf(*text, length + 3, "[%s]", value);
        pl_free(&import->config->allocator, value);
    } else {
        *text = value;
    }
    if (!*text)
        *status = pl_fail_nomem(import->err, length + 3);
    return true;
}

/* Sets the rule's key to a value and another one to the ids of the end of the text. */
static pluck_status set_with_end(pl_import *import, const pl_import_rule *rule, const cJSON *node,
                                 const char *tokens_key)
{
    char *tokens = NULL;
    pluck_status status = PLUCK_OK;
    if (!end_tokens(import, &tokens, &status)) {
        pl_import_tell(import, rule->key, PLUCK_IMPORT_REFUSED,
                       "eos_token_id is not there, and without the ids of the end of the text this "
                       "is nothing");
        return PLUCK_OK;
    }
    if (status == PLUCK_OK)
        status = pl_import_set(import, node, tokens_key, tokens);
    pl_free(&import->config->allocator, tokens);
    if (status == PLUCK_OK)
        status = pl_import_copy(import, rule, node);
    return status;
}

static pluck_status read_min_new_tokens(pl_import *import, const pl_import_rule *rule,
                                        const cJSON *node)
{
    return set_with_end(import, rule, node, "min_tokens_ids");
}

/* [start, factor] */
static pluck_status read_decay(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    if (!cJSON_IsArray(node) || cJSON_GetArraySize(node) != 2)
        return pl_json_fail(import->json, node, import->err, "an array of a start and a factor");
    const pl_import_rule start_rule = {.key = rule->key,
                                       .flat_key = "exp_decay_start",
                                       .note = "with exp_decay_factor and exp_decay_tokens"};
    pluck_status status = set_with_end(import, &start_rule, node->child, "exp_decay_tokens");
    const cJSON *end = pl_import_member(import, "eos_token_id");
    if (status != PLUCK_OK || !end || (cJSON_IsArray(end) && !end->child))
        return status;
    return pl_import_set_copy(import, node->child->next, "exp_decay_factor");
}

static pluck_status read_suppressed(pl_import *import, const pl_import_rule *rule,
                                    const cJSON *node)
{
    if (!cJSON_IsArray(node))
        return pl_json_fail(import->json, node, import->err, "an array of token ids, not %s",
                            pl_json_kind(node));
    for (const cJSON *token = node->child; token; token = token->next) {
        size_t length = 0;
        char *text = cJSON_IsNumber(token) ? pl_import_text(import, token, &length) : NULL;
        if (!text && cJSON_IsNumber(token))
            return PLUCK_ERR_NOMEM;
        if (!text)
            return pl_json_fail(import->json, token, import->err, "a token id, not %s",
                                pl_json_kind(token));
        pluck_status status = pl_import_add_bias(import, token, text, "false");
        pl_free(&import->config->allocator, text);
        if (status != PLUCK_OK)
            return status;
    }
    pl_import_tell(import, rule->key, PLUCK_IMPORT_MAPPED, "logit_bias: these tokens are banned");
    return PLUCK_OK;
}

/* [[[5], -1.5], [[7, 8], 2]]: sequences of one token are biases; the others have no stage. */
static pluck_status read_sequence_bias(pl_import *import, const pl_import_rule *rule,
                                       const cJSON *node)
{
    unsigned n_mapped = 0, n_refused = 0;
    if (!cJSON_IsArray(node))
        return pl_json_fail(import->json, node, import->err, "an array of pairs, not %s",
                            pl_json_kind(node));
    for (const cJSON *pair = node->child; pair; pair = pair->next) {
        const cJSON *sequence = cJSON_IsArray(pair) ? pair->child : NULL;
        const cJSON *bias = sequence ? sequence->next : NULL;
        if (!bias || !cJSON_IsNumber(bias) || bias->next || !cJSON_IsArray(sequence) ||
            !cJSON_IsNumber(sequence->child))
            return pl_json_fail(import->json, pair, import->err,
                                "a pair of an array of token ids and a number");
        if (sequence->child->next) {
            n_refused++;
            continue;
        }
        size_t length = 0;
        char *token = pl_import_text(import, sequence->child, &length);
        char *value = token ? pl_import_text(import, bias, &length) : NULL;
        pluck_status status =
            value ? pl_import_add_bias(import, pair, token, value) : PLUCK_ERR_NOMEM;
        pl_free(&import->config->allocator, token);
        pl_free(&import->config->allocator, value);
        if (status != PLUCK_OK)
            return status;
        n_mapped++;
    }
    if (n_mapped > 0 || n_refused == 0)
        pl_import_tell(import, rule->key, PLUCK_IMPORT_MAPPED, "logit_bias, of single tokens");
    if (n_refused > 0)
        pl_import_tell(import, rule->key, PLUCK_IMPORT_REFUSED,
                       "biases of sequences of several tokens have no stage");
    return PLUCK_OK;
}

static pluck_status read_invalid_values(pl_import *import, const pl_import_rule *rule,
                                        const cJSON *node)
{
    if (!cJSON_IsTrue(node))
        return pl_import_refuse(import, rule, node);
    pluck_status status = pl_import_set(import, node, "on_nan", "\"ban\"");
    if (status == PLUCK_OK)
        pl_import_tell(
            import, rule->key, PLUCK_IMPORT_MAPPED,
            "on_nan: NaN and +inf are banned; Transformers puts 0 and the largest float");
    return status;
}

static pluck_status finish(pl_import *import)
{
    if (import->greedy) {
        if (!pl_import_member(import, "do_sample"))
            pl_import_tell(import, "do_sample", PLUCK_IMPORT_MAPPED,
                           "draw: absent, huggingface's default is false: greedy");
        return pl_import_set(import, import->json->root, "draw", "\"greedy\"");
    }
    if (!pl_json_member(import->json->root, "top_k"))
        return pl_import_default(import, "top_k", "top_k", "50");
    return PLUCK_OK;
}

#define LENGTH  "how long the text gets is the engine's to say"
#define OUTPUT  "about what is returned"
#define CACHE   "about memory and speed"
#define BEAMS   "beams are not samples: pluck has no beam search"
#define ENCODER "looks back on the input of an encoder, which a sampler does not see"
#define SPEED   "speculative decoding does not change the law; pluck/speculative.h"

static const pl_import_rule rules[] = {
    {"do_sample", read_do_sample, NULL, NULL, NULL, 0},
    {"temperature", read_warper, NULL, "temperature", NULL, 0},
    {"top_h", read_warper, NULL, "top_h", NULL, 0},
    {"top_k", read_warper, NULL, "top_k", NULL, 0},
    {"top_p", read_warper, NULL, "top_p", NULL, 0},
    {"min_p", read_warper, NULL, "min_p", NULL, 0},
    {"typical_p", read_warper, NULL, "typical_p", NULL, 0},
    {"epsilon_cutoff", read_warper, NULL, "epsilon_cutoff", NULL, 0},
    {"eta_cutoff", read_warper, NULL, "eta_cutoff", NULL, 0},
    {"repetition_penalty", read_repetition, "with repeat_last_n -1", "repeat_penalty", NULL, 0},
    {"no_repeat_ngram_size", pl_import_copy, NULL, "no_repeat_ngram_size", NULL, 0},
    {"bad_words_ids", pl_import_copy, NULL, "bad_words_ids", NULL, 0},
    {"min_new_tokens", read_min_new_tokens, "with min_tokens_ids", "min_tokens", NULL, 0},
    {"exponential_decay_length_penalty", read_decay, NULL, NULL, NULL, 0},
    {"suppress_tokens", read_suppressed, NULL, NULL, NULL, 0},
    {"sequence_bias", read_sequence_bias, NULL, NULL, NULL, 0},
    {"remove_invalid_values", read_invalid_values, NULL, NULL, NULL, 0},
    {"guidance_scale", pl_import_refuse, "needs a second row of logits: pluck/guidance.h", NULL,
     NULL, 1},
    {"min_length", pl_import_refuse, "counts the prompt, whose length is not known here", NULL,
     NULL, 0},
    {"begin_suppress_tokens", pl_import_refuse, "bans tokens at the first position only", NULL,
     NULL, 0},
    {"forced_bos_token_id", pl_import_refuse, "forces the first token: the engine's to do", NULL,
     NULL, 0},
    {"forced_eos_token_id", pl_import_refuse, "forces the last token: the engine's to do", NULL,
     NULL, 0},
    {"forced_decoder_ids", pl_import_refuse, "forces tokens: the engine's to do", NULL, NULL, 0},
    {"encoder_repetition_penalty", pl_import_refuse, ENCODER, NULL, NULL, 1},
    {"encoder_no_repeat_ngram_size", pl_import_refuse, ENCODER, NULL, NULL, 0},
    {"num_beams", pl_import_refuse, BEAMS, NULL, NULL, 1},
    {"num_beam_groups", pl_import_refuse, BEAMS, NULL, NULL, 1},
    {"diversity_penalty", pl_import_refuse, BEAMS, NULL, NULL, 0},
    {"constraints", pl_import_refuse, BEAMS, NULL, NULL, 0},
    {"force_words_ids", pl_import_refuse, BEAMS, NULL, NULL, 0},
    {"penalty_alpha", pl_import_refuse, "contrastive search looks at hidden states", NULL, NULL, 0},
    {"dola_layers", pl_import_refuse, "contrasts layers of the model", NULL, NULL, 0},
    {"low_memory", pl_import_ignore, CACHE, NULL, NULL, 0},
    {"watermarking_config", pl_import_refuse, "pluck writes no watermarks", NULL, NULL, 0},
    {"renormalize_logits", pl_import_ignore, "changes no probability", NULL, NULL, 0},
    {"length_penalty", pl_import_ignore, "for beams only", NULL, NULL, 0},
    {"early_stopping", pl_import_ignore, "for beams only", NULL, NULL, 0},
    {"num_return_sequences", pl_import_ignore, "how many texts: one sampler each", NULL, NULL, 0},
    {"max_length", pl_import_ignore, LENGTH, NULL, NULL, 0},
    {"max_new_tokens", pl_import_ignore, LENGTH, NULL, NULL, 0},
    {"max_time", pl_import_ignore, LENGTH, NULL, NULL, 0},
    {"stop_strings", pl_import_ignore, LENGTH, NULL, NULL, 0},
    {"bos_token_id", pl_import_ignore, "about the prompt", NULL, NULL, 0},
    {"pad_token_id", pl_import_ignore, "about batches", NULL, NULL, 0},
    {"decoder_start_token_id", pl_import_ignore, "about the prompt", NULL, NULL, 0},
    {"eos_token_id", pl_import_ignore,
     "where the text ends is the engine's to say; min_new_tokens "
     "and exponential_decay_length_penalty take it",
     NULL, NULL, 0},
    {"use_cache", pl_import_ignore, CACHE, NULL, NULL, 0},
    {"cache_implementation", pl_import_ignore, CACHE, NULL, NULL, 0},
    {"cache_config", pl_import_ignore, CACHE, NULL, NULL, 0},
    {"return_legacy_cache", pl_import_ignore, CACHE, NULL, NULL, 0},
    {"prefill_chunk_size", pl_import_ignore, CACHE, NULL, NULL, 0},
    {"compile_config", pl_import_ignore, CACHE, NULL, NULL, 0},
    {"disable_compile", pl_import_ignore, CACHE, NULL, NULL, 0},
    {"output_attentions", pl_import_ignore, OUTPUT, NULL, NULL, 0},
    {"output_hidden_states", pl_import_ignore, OUTPUT, NULL, NULL, 0},
    {"output_scores", pl_import_ignore, OUTPUT, NULL, NULL, 0},
    {"output_logits", pl_import_ignore, OUTPUT, NULL, NULL, 0},
    {"return_dict_in_generate", pl_import_ignore, OUTPUT, NULL, NULL, 0},
    {"token_healing", pl_import_refuse, "changes the end of the prompt", NULL, NULL, 0},
    {"is_assistant", pl_import_ignore, SPEED, NULL, NULL, 0},
    {"num_assistant_tokens", pl_import_ignore, SPEED, NULL, NULL, 0},
    {"num_assistant_tokens_schedule", pl_import_ignore, SPEED, NULL, NULL, 0},
    {"assistant_confidence_threshold", pl_import_ignore, SPEED, NULL, NULL, 0},
    {"assistant_early_exit", pl_import_ignore, SPEED, NULL, NULL, 0},
    {"assistant_lookbehind", pl_import_ignore, SPEED, NULL, NULL, 0},
    {"target_lookbehind", pl_import_ignore, SPEED, NULL, NULL, 0},
    {"prompt_lookup_num_tokens", pl_import_ignore, SPEED, NULL, NULL, 0},
    {"max_matching_ngram_size", pl_import_ignore, SPEED, NULL, NULL, 0},
    {"_from_model_config", pl_import_ignore, "where the file comes from", NULL, NULL, 0},
    {"transformers_version", pl_import_ignore, "where the file comes from", NULL, NULL, 0},
    {"chat_format", pl_import_ignore, "about the prompt", NULL, NULL, 0},
    {NULL, NULL, NULL, NULL, NULL, 0},
};

const pl_importer pl_import_huggingface = {
    .name = "huggingface",
    .rules = rules,
    .order = "[\"logit_bias\", \"penalties\", \"no_repeat_ngram\", \"bad_words\", \"min_tokens\", "
             "\"exp_decay_length\", \"temperature\", \"top_h\", \"top_k\", \"top_p\", \"min_p\", "
             "\"typical\", \"epsilon_cutoff\", \"eta_cutoff\"]",
    .start = start,
    .finish = finish,
};
