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

#include <string.h>

static void start(plk_import *import)
{
    import->greedy = plk_import_number_at(import, "temperature", 1) == 0 ||
                     plk_import_number_at(import, "top_k", 0) == 1;
    if (plk_import_is_true(import, "temp_last"))
        plk_import_start_chain(import, "logit_bias penalties min_p top_k top_p temperature");
}

/* Temperature and top_k, of which one value each means greedy. */
static void read_strategy(plk_import *import, const plk_import_rule *rule,
                          const plk_json_node *node)
{
    double greedy = strcmp(rule->key, "top_k") == 0 ? 1 : 0;
    if (plk_import_number_at(import, rule->key, -1) == greedy)
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "draw: greedy");
    else
        plk_import_random_number(import, rule, node);
}

/* Whether a penalty acts on any token. */
static bool penalises(const plk_import *import)
{
    return plk_import_number_at(import, "rep_p", 1) != 1 ||
           plk_import_number_at(import, "freq_p", 0) != 0 ||
           plk_import_number_at(import, "pres_p", 0) != 0;
}

static bool adapts(const plk_import *import)
{
    return !import->greedy && plk_import_number_at(import, "adaptive_target", 1) != 1;
}

static const char *why_idle(const plk_import *import, const plk_import_rule *rule)
{
    if (strncmp(rule->key, "rep_", 4) == 0 && strstr(rule->key, "_range") && !penalises(import))
        return "no penalty acts";
    bool is_off = strncmp(rule->key, "adaptive_", 9) == 0 && !import->greedy && !adapts(import);
    return is_off ? "adaptive_target 1 is off" : NULL;
}

static void read_sustain_range(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node)
{
    enum { LARGEST = 1 << 24 };
    if (!(plk_import_number_of(import, node) > LARGEST))
        plk_import_number(import, rule, node);
    else if (plk_import_set(import, "repeat_last_n", "-1"))
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "repeat_last_n: all tokens");
}

/* The token that crosses the threshold falls there, and stays here. */
static void read_top_p(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    double value = plk_import_number_of(import, node);
    if (!import->greedy && value > 0 && value < 1)
        plk_import_say(import, PLUCK_IMPORT_REFUSED, "%s", rule->note);
    else
        plk_import_random_number(import, rule, node);
}

static const plk_import_default defaults[] = {
    {"seed", "seed", "\"random\"", NULL},
    {NULL, NULL, NULL, NULL},
};

static void finish(plk_import *import)
{
    if (!plk_import_member_of(import, "rep_sustain_range"))
        plk_import_set_window(import, 0, "-1", false);
    if (import->greedy)
        (void)plk_import_set(import, "draw", "\"greedy\"");
    else if (adapts(import))
        (void)plk_import_set(import, "draw", "\"adaptive_p\"");
}

static const plk_import_rule rules[] = {
    {.key = "temperature", .read = read_strategy, .limits = &plk_rejects_to_0},
    {.key = "min_p", .read = plk_import_random_number, .limits = &plk_rejects_outside_1},
    {.key = "top_k", .read = read_strategy, .off = "<1"},
    {.key = "top_p",
     .read = read_top_p,
     .limits = &plk_rejects_outside_1,
     .note = "ExLlamaV3 drops the token that crosses the threshold, which pluck's top_p keeps; add "
             "top_p to the result if one token more does not matter"},
    {.key = "temp_last", .read = plk_import_switch, .note = "order"},
    {.key = "adaptive_target", .read = plk_import_random_number, .limits = &plk_clamps_at_0_and_1},
    {.key = "adaptive_decay", .read = plk_import_random_number},
    {.key = "rep_p", .flat_key = "repeat_penalty"},
    {.key = "pres_p", .flat_key = "presence_penalty"},
    {.key = "freq_p", .flat_key = "frequency_penalty"},
    {.key = "rep_sustain_range",
     .read = read_sustain_range,
     .flat_key = "repeat_last_n",
     .off = "<=0"},
    /* What fades out has no stage; 0 and below fades at once. */
    PLK_REFUSE("rep_decay_range", "<=0",
               "lets penalties fade with distance, which pluck has no stage for"),
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
    .why_idle = why_idle,
    .defaults = defaults,
    .finish = finish,
};
