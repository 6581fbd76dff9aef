/*
 * Arguments of ExLlamaV3: of ComboSampler, which lists the common steps, and of a job. The steps
 * are biases, repetition, presence and frequency, temperature (or last, with temp_last), min_p,
 * top_k, top_p, then a draw. At temperature 0 or top_k 1 the most probable token is taken.
 *
 * Version: ExLlamaV3 1.4.1 (August 2026). Keys: exllamav3/generator/sampler/presets.py
 * (ComboSampler), exllamav3/generator/job.py (Job), exllamav3/generator/generator.py (generate);
 * what a step does: sampler/custom.py and exllamav3_ext/generator/rep_pen.cu.
 */
#include "config/import_build.h"
#include "config/import_read.h"

#include <math.h>
#include <string.h>

static pluck_status start(pl_import *import)
{
    import->greedy = pl_import_number_at(import, "temperature", 1) == 0 ||
                     pl_import_number_at(import, "top_k", 0) == 1;
    if (pl_import_is_true(import, "temp_last"))
        pl_import_start_chain(import, "logit_bias penalties min_p top_k top_p temperature");
    return PLUCK_OK;
}

/* Temperature and top_k, of which one value each means greedy. */
static pluck_status read_strategy(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    const double greedy = strcmp(rule->key, "top_k") == 0 ? 1 : 0;
    if (pl_import_number_at(import, rule->key, -1) == greedy)
        return pl_import_say(import, PLUCK_IMPORT_MAPPED, "draw: greedy");
    return pl_import_random_number(import, rule, node);
}

/* Whether a penalty acts on any token. */
static bool penalises(const pl_import *import)
{
    return pl_import_number_at(import, "rep_p", 1) != 1 ||
           pl_import_number_at(import, "freq_p", 0) != 0 ||
           pl_import_number_at(import, "pres_p", 0) != 0;
}

/* What fades out has no stage; 0 and below fades at once. */
static pluck_status read_decay_range(pl_import *import, const pl_import_rule *rule,
                                     const cJSON *node)
{
    if (!penalises(import))
        return pl_import_say(import, PLUCK_IMPORT_IGNORED, "no penalty acts");
    return pl_import_refuse(import, rule, node);
}

static pluck_status read_sustain_range(pl_import *import, const pl_import_rule *rule,
                                       const cJSON *node)
{
    enum { LARGEST = 1 << 24 };
    double value = 0;
    if (!penalises(import))
        return pl_import_say(import, PLUCK_IMPORT_IGNORED, "no penalty acts");
    pluck_status status = pl_import_number_of(import, node, &value);
    if (status != PLUCK_OK || value <= LARGEST)
        return status == PLUCK_OK ? pl_import_number(import, rule, node) : status;
    status = pl_import_set(import, "repeat_last_n", "-1", NULL);
    return status == PLUCK_OK
               ? pl_import_say(import, PLUCK_IMPORT_MAPPED, "repeat_last_n: all tokens")
               : status;
}

/* The token that crosses the threshold falls there, and stays here. */
static pluck_status read_top_p(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    double value = 0;
    pluck_status status = pl_import_number_of(import, node, &value);
    if (status != PLUCK_OK || import->greedy || !(value > 0 && value < 1))
        return status == PLUCK_OK ? pl_import_random_number(import, rule, node) : status;
    return pl_import_say(import, PLUCK_IMPORT_REFUSED, "%s", rule->note);
}

static pluck_status read_temp_last(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    (void)rule;
    if (!cJSON_IsBool(node))
        return pl_json_fail(import->json, node, import->err, "expected true or false, not %s",
                            pl_json_kind(node));
    return pl_import_say(import, PLUCK_IMPORT_MAPPED, "order");
}

static bool adapts(const pl_import *import)
{
    return !import->greedy && pl_import_number_at(import, "adaptive_target", 1) != 1;
}

static pluck_status read_adaptive(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    if (import->greedy)
        return pl_import_random_number(import, rule, node);
    if (!adapts(import))
        return pl_import_say(import, PLUCK_IMPORT_IGNORED, "adaptive_target 1 is off");
    return pl_import_number(import, rule, node);
}

static pluck_status finish(pl_import *import)
{
    pluck_status status = PLUCK_OK;
    if (!pl_import_member_of(import, "rep_sustain_range"))
        status = pl_import_set_window(import, "-1", false);
    if (status == PLUCK_OK && import->greedy)
        return pl_import_set(import, "draw", "\"greedy\"", NULL);
    if (status == PLUCK_OK && adapts(import))
        status = pl_import_set(import, "draw", "\"adaptive_p\"", NULL);
    if (status == PLUCK_OK && !pl_import_member_of(import, "seed"))
        status = pl_import_default(import, "seed", "seed", "\"random\"");
    return status;
}

static const pl_import_limits unit = {.low = 0, .high = 1, .outside = PL_IMPORT_REJECTS};
static const pl_import_limits clamped = {.low = 0, .high = 1};
static const pl_import_limits above_0 = {
    .low = 0, .high = (double)INFINITY, .outside = PL_IMPORT_REJECTS, .above_low = true};

#define IGNORE(name, why)                                                                          \
    {                                                                                              \
        .key = name, .read = pl_import_ignore, .note = why                                         \
    }
#define REFUSE(name, values, why)                                                                  \
    {                                                                                              \
        .key = name, .read = pl_import_refuse, .off = values, .note = why                          \
    }

static const pl_import_rule rules[] = {
    {.key = "temperature", .read = read_strategy, .flat_key = "temperature", .limits = &above_0},
    {.key = "min_p", .read = pl_import_random_number, .flat_key = "min_p", .limits = &unit},
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
    {.key = "rep_p", .read = pl_import_number, .flat_key = "repeat_penalty"},
    {.key = "pres_p", .read = pl_import_number, .flat_key = "presence_penalty"},
    {.key = "freq_p", .read = pl_import_number, .flat_key = "frequency_penalty"},
    {.key = "rep_sustain_range",
     .read = read_sustain_range,
     .flat_key = "repeat_last_n",
     .off = "<=0"},
    {.key = "rep_decay_range",
     .read = read_decay_range,
     .off = "<=0",
     .note = "lets penalties fade with distance, which pluck has no stage for"},
    {.key = "logit_bias", .read = pl_import_bias_map},
    {.key = "seed", .read = pl_import_seed, .off = "null"},
    REFUSE("banned_strings", "[]", "takes back text that was drawn, which the engine has to do"),
    REFUSE("filters", "[]", PL_NOTE_MASK),
    REFUSE("token_healing", "false", "changes the end of the prompt"),
    REFUSE("min_new_tokens", "<=0",
           "needs the ids of the end-of-text tokens; give them as min_tokens_ids with min_tokens"),
    IGNORE("max_new_tokens", PL_NOTE_LENGTH),
    IGNORE("stop_conditions", PL_NOTE_END),
    IGNORE("stop_on_loop", PL_NOTE_END),
    IGNORE("prompt", PL_NOTE_PROMPT),
    IGNORE("input_ids", PL_NOTE_PROMPT),
    IGNORE("embeddings", PL_NOTE_PROMPT),
    IGNORE("add_bos", PL_NOTE_PROMPT),
    IGNORE("encode_special_tokens", PL_NOTE_PROMPT),
    IGNORE("decode_special_tokens", PL_NOTE_SERVER),
    IGNORE("completion_only", PL_NOTE_SERVER),
    IGNORE("identifier", PL_NOTE_SERVER),
    IGNORE("abort_event", PL_NOTE_SERVER),
    IGNORE("max_skips", PL_NOTE_SERVER),
    IGNORE("max_rq_tokens", PL_NOTE_MEMORY),
    IGNORE("rq_state", PL_NOTE_SERVER),
    IGNORE("return_last_results", PL_NOTE_SERVER),
    IGNORE("return_logits", PL_NOTE_SERVER),
    IGNORE("return_probs", PL_NOTE_SERVER),
    IGNORE("return_top_tokens", PL_NOTE_SERVER),
    {.key = NULL},
};

const pl_importer pl_import_exllamav3 = {
    .name = "exllamav3",
    .title = "ExLlamaV3",
    .rules = rules,
    .order = "logit_bias penalties temperature min_p top_k top_p",
    .wrappers = "sampler",
    .start = start,
    .finish = finish,
};
