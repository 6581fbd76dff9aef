/*
 * Arguments of ExLlamaV3: of ComboSampler, which lists the common steps, and of a job. The steps
 * are biases, repetition, presence and frequency, temperature (or last, with temp_last), min_p,
 * top_k, top_p, then a draw. At temperature 0 or top_k 1 the most probable token is taken.
 *
 * Version: ExLlamaV3 1.4.1 (August 2026). Keys: exllamav3/generator/sampler/presets.py
 * (ComboSampler), exllamav3/generator/job.py (Job), exllamav3/generator/generator.py (generate);
 * what a step does: sampler/custom.py and exllamav3_ext/generator/rep_pen.cu.
 */
#include "config/import_impl.h"

#include <math.h>
#include <string.h>

static pluck_status start(plk_import *import)
{
    import->greedy = plk_import_number_at(import, "temperature", 1) == 0 ||
                     plk_import_number_at(import, "top_k", 0) == 1;
    if (plk_import_is_true(import, "temp_last"))
        plk_import_start_chain(import, "logit_bias penalties min_p top_k top_p temperature");
    return PLUCK_OK;
}

/* Temperature and top_k, of which one value each means greedy. */
static pluck_status read_strategy(plk_import *import, const plk_import_rule *rule,
                                  const plk_json_node *node)
{
    double greedy = strcmp(rule->key, "top_k") == 0 ? 1 : 0;
    if (plk_import_number_at(import, rule->key, -1) == greedy)
        return plk_import_say(import, PLUCK_IMPORT_MAPPED, "draw: greedy");
    return plk_import_random_number(import, rule, node);
}

/* Whether a penalty acts on any token. */
static bool penalises(const plk_import *import)
{
    return plk_import_number_at(import, "rep_p", 1) != 1 ||
           plk_import_number_at(import, "freq_p", 0) != 0 ||
           plk_import_number_at(import, "pres_p", 0) != 0;
}

/* What fades out has no stage; 0 and below fades at once. */
static pluck_status read_decay_range(plk_import *import, const plk_import_rule *rule,
                                     const plk_json_node *node)
{
    if (!penalises(import))
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "no penalty acts");
    return plk_import_refuse(import, rule, node);
}

static pluck_status read_sustain_range(plk_import *import, const plk_import_rule *rule,
                                       const plk_json_node *node)
{
    enum { LARGEST = 1 << 24 };
    double value = 0;
    if (!penalises(import))
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "no penalty acts");
    pluck_status status = plk_import_number_of(import, node, &value);
    if (status != PLUCK_OK || value <= LARGEST)
        return status == PLUCK_OK ? plk_import_number(import, rule, node) : status;
    status = plk_import_set(import, "repeat_last_n", "-1", NULL);
    return status == PLUCK_OK
               ? plk_import_say(import, PLUCK_IMPORT_MAPPED, "repeat_last_n: all tokens")
               : status;
}

/* The token that crosses the threshold falls there, and stays here. */
static pluck_status read_top_p(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node)
{
    double value = 0;
    pluck_status status = plk_import_number_of(import, node, &value);
    if (status != PLUCK_OK || import->greedy || !(value > 0 && value < 1))
        return status == PLUCK_OK ? plk_import_random_number(import, rule, node) : status;
    return plk_import_say(import, PLUCK_IMPORT_REFUSED, "%s", rule->note);
}

static pluck_status read_temp_last(plk_import *import, const plk_import_rule *rule,
                                   const plk_json_node *node)
{
    (void)rule;
    if (!plk_json_is_bool(node))
        return plk_json_fail(import->json, node, import->err, "expected true or false, not %s",
                             plk_json_kind_name(node));
    return plk_import_say(import, PLUCK_IMPORT_MAPPED, "order");
}

static bool adapts(const plk_import *import)
{
    return !import->greedy && plk_import_number_at(import, "adaptive_target", 1) != 1;
}

static pluck_status read_adaptive(plk_import *import, const plk_import_rule *rule,
                                  const plk_json_node *node)
{
    if (import->greedy)
        return plk_import_random_number(import, rule, node);
    if (!adapts(import))
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "adaptive_target 1 is off");
    return plk_import_number(import, rule, node);
}

static pluck_status finish(plk_import *import)
{
    pluck_status status = PLUCK_OK;
    if (!plk_import_member_of(import, "rep_sustain_range"))
        status = plk_import_set_window(import, "-1", false);
    if (status == PLUCK_OK && import->greedy)
        return plk_import_set(import, "draw", "\"greedy\"", NULL);
    if (status == PLUCK_OK && adapts(import))
        status = plk_import_set(import, "draw", "\"adaptive_p\"", NULL);
    if (status == PLUCK_OK && !plk_import_member_of(import, "seed"))
        status = plk_import_default(import, "seed", "seed", "\"random\"");
    return status;
}

static const plk_import_limits unit = {.low = 0, .high = 1, .outside = PLK_IMPORT_REJECTS};
static const plk_import_limits clamped = {.low = 0, .high = 1};
static const plk_import_limits above_0 = {
    .low = 0, .high = (double)INFINITY, .outside = PLK_IMPORT_REJECTS, .above_low = true};

static const plk_import_rule rules[] = {
    {.key = "temperature", .read = read_strategy, .flat_key = "temperature", .limits = &above_0},
    {.key = "min_p", .read = plk_import_random_number, .flat_key = "min_p", .limits = &unit},
    {.key = "top_k", .read = read_strategy, .flat_key = "top_k", .off = "<1"},
    {.key = "top_p",
     .read = read_top_p,
     .flat_key = "top_p",
     .limits = &unit,
     .note = "ExLlamaV3 drops the token that crosses the threshold, which pluck's top_p keeps; add "
             "top_p to the result if one token more does not matter"},
    {.key = "temp_last", .read = read_temp_last},
    {.key = "adaptive_target",
     .read = read_adaptive,
     .flat_key = "adaptive_target",
     .limits = &clamped},
    {.key = "adaptive_decay", .read = read_adaptive, .flat_key = "adaptive_decay"},
    {.key = "rep_p", .read = plk_import_number, .flat_key = "repeat_penalty"},
    {.key = "pres_p", .read = plk_import_number, .flat_key = "presence_penalty"},
    {.key = "freq_p", .read = plk_import_number, .flat_key = "frequency_penalty"},
    {.key = "rep_sustain_range",
     .read = read_sustain_range,
     .flat_key = "repeat_last_n",
     .off = "<=0"},
    {.key = "rep_decay_range",
     .read = read_decay_range,
     .off = "<=0",
     .note = "lets penalties fade with distance, which pluck has no stage for"},
    {.key = "logit_bias", .read = plk_import_bias_map},
    {.key = "seed", .read = plk_import_seed, .off = "null"},
    PLK_REFUSE("banned_strings", "[]",
               "takes back text that was drawn, which the engine has to do"),
    PLK_REFUSE("filters", "[]", PLK_NOTE_MASK),
    PLK_REFUSE("token_healing", "false", "changes the end of the prompt"),
    PLK_REFUSE(
        "min_new_tokens", "<=0",
        "needs the ids of the end-of-text tokens; give them as min_tokens_ids with min_tokens"),
    {.key = NULL},
};

static const plk_import_group ignored[] = {
    {PLK_NOTE_LENGTH, "max_new_tokens"},
    {PLK_NOTE_END, "stop_conditions stop_on_loop"},
    {PLK_NOTE_PROMPT, "prompt input_ids embeddings add_bos encode_special_tokens"},
    {PLK_NOTE_SERVER, "decode_special_tokens completion_only identifier abort_event max_skips "
                      "rq_state return_last_results return_logits return_probs return_top_tokens"},
    {PLK_NOTE_MEMORY, "max_rq_tokens"},
    {NULL, NULL},
};

const plk_importer plk_import_exllamav3 = {
    .name = "exllamav3",
    .title = "ExLlamaV3",
    .rules = rules,
    .ignored = ignored,
    .order = "logit_bias penalties temperature min_p top_k top_p",
    .wrappers = "sampler",
    .start = start,
    .finish = finish,
};
