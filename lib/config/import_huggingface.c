/*
 * generation_config.json. The order is that of GenerationMixin._get_logits_processor(): processors,
 * then the warpers, which only run when do_sample is true; else the most probable token is taken.
 *
 * Version: Transformers 5.13, in which null is the default. In its folder generation/: keys and
 * defaults are from configuration_utils.py, the values that build a processor from utils.py, and
 * the values that a processor rejects from logits_process.py. Keys that version 5 dropped are known
 * too, because older files have them.
 */
#include "config/import_impl.h"

#include <string.h>

static void start(plk_import *import)
{
    import->greedy = !plk_import_is_true(import, "do_sample");
}

/* At 1 it keeps the 100 best tokens, for it looks at these alone. */
static void read_top_h(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    double value = plk_import_number_of(import, node);
    if (value != 1 || import->greedy) {
        plk_import_random_number(import, rule, node);
        return;
    }
    for (size_t i = 0; i < import->n_chain; i++)
        if (strcmp(import->chain[i].stage->info.name, "top_h") == 0)
            import->chain[i] = (plk_import_link){plk_stage_find("top_k"), 1};
    import->part = 1;
    if (plk_import_set(import, "top_k", "100"))
        plk_import_say(import, PLUCK_IMPORT_MAPPED,
                       "top_k: 100, for top_h of Transformers looks at 100 tokens");
}

/* Sets the rule's key to a number and another one to the ids of the end of the text. */
static void set_with_end(plk_import *import, const plk_import_rule *rule, const plk_json_node *node,
                         const char *tokens_key)
{
    char *tokens = plk_import_token_list(import, plk_import_member_of(import, "eos_token_id"));
    if (!tokens)
        plk_import_say(import, PLUCK_IMPORT_REFUSED, "needs eos_token_id, which is missing");
    else if (plk_import_try(import, tokens_key, tokens))
        plk_import_number(import, rule, node);
    plk_free(import->allocator, tokens);
}

static void read_min_new_tokens(plk_import *import, const plk_import_rule *rule,
                                const plk_json_node *node)
{
    if (plk_import_number_of(import, node) > 0)
        set_with_end(import, rule, node, "min_tokens_ids");
    else
        plk_import_say(import, PLUCK_IMPORT_IGNORED, PLK_NO_EFFECT);
}

/* [start, factor] */
static void read_decay(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    const plk_json_node *first = plk_json_is(node, PLK_JSON_ARRAY) ? plk_json_child(node) : NULL;
    const plk_json_node *second = first ? plk_json_sibling(first) : NULL;
    if (!second || plk_json_sibling(second) || !plk_json_is(first, PLK_JSON_NUMBER)) {
        plk_import_fail(import, plk_json_fail(import->json, node, import->err,
                                              "expected an array of a start and a factor, both "
                                              "numbers"));
        return;
    }
    double factor = plk_import_number_of(import, second);
    if (factor == 1) {
        plk_import_say(import, PLUCK_IMPORT_IGNORED, PLK_NO_EFFECT);
        return;
    }
    plk_import_rule start_rule = {.key = rule->key,
                                  .flat_key = "exp_decay_start",
                                  .note = "with exp_decay_factor and exp_decay_tokens"};
    char *ends = plk_import_token_list(import, plk_import_member_of(import, "eos_token_id"));
    if (!ends || plk_import_try_number(import, "exp_decay_factor", factor))
        set_with_end(import, &start_rule, first, "exp_decay_tokens");
    plk_free(import->allocator, ends);
}

/* Whether a sequence of one token is an id of eos_token_id: such ones may come. */
static bool is_end(const plk_import *import, const plk_json_node *sequence)
{
    const plk_json_node *end = plk_import_member_of(import, "eos_token_id");
    const plk_json_node *item = end && plk_json_is(end, PLK_JSON_ARRAY) ? plk_json_child(end) : end;
    pluck_token token = 0, other = 0;
    if (plk_json_sibling(plk_json_child(sequence)) ||
        !plk_import_token_of(plk_json_child(sequence), &token))
        return false;
    for (; item; item = end && plk_json_is(end, PLK_JSON_ARRAY) ? plk_json_sibling(item) : NULL)
        if (plk_import_token_of(item, &other) && other == token)
            return true;
    return false;
}

/* Fails unless it is an array of at least one token id. */
static void check_sequence(plk_import *import, const plk_json_node *sequence)
{
    if (!plk_json_is(sequence, PLK_JSON_ARRAY) || !plk_json_child(sequence))
        plk_import_fail(import,
                        plk_json_fail(import->json, sequence, import->err,
                                      "a sequence is an array of at least one token id, not %s",
                                      plk_json_is(sequence, PLK_JSON_ARRAY)
                                          ? "an empty one"
                                          : plk_json_kind_name(sequence)));
    for (const plk_json_node *item = plk_json_child(sequence); item && import->status == PLUCK_OK;
         item = plk_json_sibling(item)) {
        pluck_token token = 0;
        if (!plk_import_token_of(item, &token))
            plk_import_fail(import, plk_json_fail(import->json, item, import->err,
                                                  "expected a token id, which is a whole number "
                                                  "of at least 0"));
    }
}

static void read_bad_words(plk_import *import, const plk_import_rule *rule,
                           const plk_json_node *node)
{
    size_t length = 0, n = 0, n_end = 0;
    (void)rule;
    if (!plk_json_is(node, PLK_JSON_ARRAY)) {
        plk_import_fail_kind(import, node, "an array of sequences");
        return;
    }
    (void)plk_json_source(import->json, node, &length);
    char *text = plk_alloc(import->allocator, length + 4, 1);
    if (!text)
        plk_import_fail(import, plk_fail_nomem(import->err, length + 4));
    for (const plk_json_node *item = plk_json_child(node); item; item = plk_json_sibling(item)) {
        check_sequence(import, item);
        if (import->status != PLUCK_OK)
            break;
        if (is_end(import, item)) {
            n_end++;
            continue;
        }
        /* There is room: the source of the array has every sequence and every comma. */
        const char *source = plk_json_source(import->json, item, &length);
        text[n] = n > 0 ? ',' : '[';
        memcpy(text + n + 1, source, length);
        n += length + 1;
    }
    if (n > 0) {
        memcpy(text + n, "]", 2);
        if (plk_import_try(import, "bad_words_ids", text))
            plk_import_say(import, PLUCK_IMPORT_MAPPED, "bad_words_ids%s",
                           n_end > 0 ? ", without the sequences that are one token of "
                                       "eos_token_id: Transformers does not ban them"
                                     : "");
    } else {
        plk_import_say(import, PLUCK_IMPORT_IGNORED,
                       n_end > 0 ? "Transformers drops the tokens of eos_token_id from this list"
                                 : PLK_NO_EFFECT);
    }
    plk_free(import->allocator, text);
}

/* [[[5], -1.5], [[7, 8], 2]]: sequences of one token are biases; the others have no stage. */
static void read_sequence_bias(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node)
{
    unsigned n_mapped = 0, n_refused = 0;
    (void)rule;
    if (!plk_json_is(node, PLK_JSON_ARRAY))
        plk_import_fail_kind(import, node, "an array of pairs");
    for (const plk_json_node *pair = plk_json_child(node); pair && import->status == PLUCK_OK;
         pair = plk_json_sibling(pair)) {
        const plk_json_node *sequence =
            plk_json_is(pair, PLK_JSON_ARRAY) ? plk_json_child(pair) : NULL;
        const plk_json_node *bias = sequence ? plk_json_sibling(sequence) : NULL;
        pluck_token token = 0;
        if (!plk_json_is(bias, PLK_JSON_NUMBER) || plk_json_sibling(bias) ||
            !plk_json_is(sequence, PLK_JSON_ARRAY) || !plk_json_child(sequence)) {
            plk_import_fail(import, plk_json_fail(import->json, pair, import->err,
                                                  "expected a pair of an array of token ids and a "
                                                  "number"));
            return;
        }
        check_sequence(import, sequence);
        if (!plk_json_sibling(plk_json_child(sequence))) {
            (void)plk_import_token_of(plk_json_child(sequence), &token);
            plk_import_add_bias(import, token, plk_json_number(bias));
            n_mapped++;
        } else if (plk_json_number(bias) != 0) {
            n_refused++;
        }
    }
    if (n_mapped > 0)
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "logit_bias, of single tokens");
    if (n_refused > 0)
        plk_import_say(import, PLUCK_IMPORT_REFUSED,
                       "pluck has no stage for biases of sequences of several tokens");
    if (n_mapped + n_refused == 0)
        plk_import_say(import, PLUCK_IMPORT_IGNORED, PLK_NO_EFFECT);
}

static const char *why_idle(const plk_import *import, const plk_import_rule *rule)
{
    if (strcmp(rule->key, "min_length") == 0 && !plk_import_member_of(import, "eos_token_id"))
        return "nothing without eos_token_id";
    if (strcmp(rule->key, "penalty_alpha") != 0)
        return NULL;
    /* Contrastive search needs top_k above 1 and no sampling. */
    if (!import->greedy)
        return "nothing while do_sample is true";
    return plk_import_number_at(import, "top_k", 50) <= 1 ? "nothing while top_k is at most 1"
                                                          : NULL;
}

static void finish(plk_import *import)
{
    plk_import_set_window(import, 0, "-1", false);
    if (import->greedy) {
        if (!plk_import_member_of(import, "do_sample"))
            plk_import_say_of(
                import, "do_sample", PLUCK_IMPORT_MAPPED,
                "draw: absent; the default of Transformers is false, which is greedy");
        (void)plk_import_set(import, "draw", "\"greedy\"");
        return;
    }
    if (!plk_import_member_of(import, "top_k"))
        plk_import_set_default(import, "top_k", "top_k", "50");
    if (plk_import_set(import, "seed", "\"random\""))
        plk_import_say_of(import, "seed", PLUCK_IMPORT_MAPPED,
                          "seed: random; Transformers has no key for it and draws from the "
                          "global generator of torch");
}

#define ENCODER "looks back on the input of an encoder, which a sampler does not see"
#define FORCES  "forces a token, which the engine has to do"
#define OUTPUT  "about what is returned"
#define WHISPER "about Whisper's prompt and its times"

#define WARPER(name) .key = name, .read = plk_import_random_number

static const plk_import_rule rules[] = {
    {.key = "do_sample", .read = plk_import_switch},
    {WARPER("temperature"), .limits = &plk_rejects_to_0},
    {.key = "top_h", .read = read_top_h, .limits = &plk_rejects_to_0_above_1},
    {WARPER("top_k"), .off = "0", .limits = &plk_rejects_below_1},
    {WARPER("top_p"), .off = ">=1", .off_as = "1", .limits = &plk_rejects_below_0},
    {WARPER("min_p"), .limits = &plk_rejects_outside_1},
    {WARPER("typical_p"), .off = ">=1", .off_as = "1", .limits = &plk_rejects_to_0},
    {WARPER("epsilon_cutoff"), .off = "<=0 >=1"},
    {WARPER("eta_cutoff"), .off = "<=0 >=1"},
    {.key = "repetition_penalty",
     .flat_key = "repeat_penalty",
     .limits = &plk_rejects_to_0,
     .note = "with repeat_last_n -1"},
    {.key = "no_repeat_ngram_size", .off = "<=0"},
    {.key = "bad_words_ids", .read = read_bad_words},
    {.key = "min_new_tokens",
     .read = read_min_new_tokens,
     .flat_key = "min_tokens",
     .note = "with min_tokens_ids"},
    {.key = "exponential_decay_length_penalty", .read = read_decay},
    {.key = "suppress_tokens", .read = plk_import_ban_list},
    {.key = "sequence_bias", .read = read_sequence_bias},
    PLK_REFUSE(
        "remove_invalid_values", "false",
        "replaces NaN by 0 and infinities by the largest numbers; pluck can ban such tokens: "
        "\"on_nan\": \"ban\""),
    PLK_REFUSE("guidance_scale", "1", "needs a second row of logits: pluck/softmax.h"),
    PLK_REFUSE("min_length", "<=0", "counts the prompt too, whose length is not known here"),
    PLK_REFUSE("begin_suppress_tokens", "[]", "bans tokens at the first position only"),
    PLK_REFUSE("forced_bos_token_id", NULL, FORCES),
    PLK_REFUSE("forced_eos_token_id", NULL, FORCES),
    PLK_REFUSE("forced_decoder_ids", "[]", FORCES),
    PLK_REFUSE("force_bos_token_to_be_generated", "false", FORCES),
    PLK_REFUSE("encoder_repetition_penalty", "1", ENCODER),
    PLK_REFUSE("encoder_no_repeat_ngram_size", "<=0", ENCODER),
    PLK_REFUSE("num_beams", "1", PLK_NOTE_BEAMS),
    PLK_REFUSE("num_beam_groups", "1", PLK_NOTE_BEAMS),
    PLK_REFUSE("diversity_penalty", "0", PLK_NOTE_BEAMS),
    PLK_REFUSE("constraints", NULL, PLK_NOTE_BEAMS),
    PLK_REFUSE("force_words_ids", NULL, PLK_NOTE_BEAMS),
    PLK_REFUSE("penalty_alpha", "<=0", "contrastive search looks at hidden states"),
    PLK_REFUSE("dola_layers", NULL, "contrasts layers of the model"),
    PLK_REFUSE("watermarking_config", NULL, "pluck writes no watermarks"),
    PLK_REFUSE("token_healing", "false", "changes the end of the prompt"),
    PLK_REFUSE("assistant_ensemble_weight", NULL, "changes the distribution by an assistant's"),
    PLK_REFUSE("generation_kwargs", "{}", "arguments that the file does not explain"),
    PLK_REFUSE("return_timestamps", "false",
               "bans and forces tokens of times: Whisper's own rules"),
    {.key = NULL},
};

static const plk_import_group ignored[] = {
    {"changes no probability", "renormalize_logits"},
    {"for beams only", "length_penalty early_stopping"},
    {PLK_NOTE_COUNT, "num_return_sequences"},
    {PLK_NOTE_LENGTH, "max_length max_new_tokens max_time"},
    {PLK_NOTE_END, "stop_strings"},
    {PLK_NOTE_PROMPT, "bos_token_id decoder_start_token_id chat_format inputs"},
    {"about batches", "pad_token_id"},
    {"ends the output, which the engine decides; min_new_tokens and "
     "exponential_decay_length_penalty use these ids",
     "eos_token_id"},
    {PLK_NOTE_MEMORY,
     "use_cache cache_implementation cache_config max_cache_len return_legacy_cache "
     "prefill_chunk_size compile_config disable_compile continuous_batching_config low_memory"},
    {OUTPUT,
     "output_attentions output_hidden_states output_scores output_logits return_dict_in_generate"},
    {PLK_NOTE_SPEED,
     "use_mtp speculation_type is_assistant num_assistant_tokens num_assistant_tokens_schedule "
     "assistant_confidence_threshold assistant_early_exit assistant_lookbehind target_lookbehind "
     "prompt_lookup_num_tokens max_matching_ngram_size"},
    {"where the file comes from", "_from_model_config _commit_hash transformers_version"},
    {WHISPER, "alignment_heads is_multilingual lang_to_id language max_initial_timestamp_index "
              "median_filter_width no_timestamps_token_id prev_sot_token_id task task_to_id"},
    {NULL, NULL},
};

const plk_importer plk_import_huggingface = {
    .name = "huggingface",
    .title = "Transformers",
    .rules = rules,
    .ignored = ignored,
    .order = "logit_bias penalties no_repeat_ngram bad_words min_tokens exp_decay_length "
             "temperature top_h top_k top_p min_p typical epsilon_cutoff eta_cutoff",
    .wrappers = "generation_config",
    .start = start,
    .why_idle = why_idle,
    .finish = finish,
};
