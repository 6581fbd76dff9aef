/*
 * The body of a request to KoboldCpp's own API (/api/v1/generate). Its sampler runs biases and dry
 * first, then keeps the 3,000 best tokens, and then runs the numbered samplers of sampler_order;
 * xtc and the draw come last. Two of the numbers stand for several stages: 2 is top_p and then
 * min_p, 5 is temperature, smoothing and then top_n_sigma. With mirostat, penalties, temperature
 * and smoothing alone are left of the numbered ones.
 *
 * Version: KoboldCpp of August 2026. Keys, defaults and limits: generate() in koboldcpp.py; the
 * order and what a value does: SampleLogits() and the sample_* functions in gpttype_adapter.cpp.
 */
#include "config/import_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* By number, what a sampler runs. */
static const char *const samplers[] = {"top_k",     "top_a",   "top_p min_p",
                                       "tail_free", "typical", "temperature smoothing top_n_sigma",
                                       "penalties"};
enum { N_SAMPLERS = sizeof samplers / sizeof *samplers, PREFILTER = 1 };

static void append_all(plk_import *import, const char *stages)
{
    char name[32];
    while (*stages != '\0') {
        size_t n = strcspn(stages, " ");
        snprintf(name, sizeof name, "%.*s", (int)n, stages);
        plk_import_append(import, name, 0);
        stages += n + (stages[n] == ' ');
    }
}

/* The number of a sampler that an item of sampler_order names; N_SAMPLERS for another value. */
static size_t sampler_number(const plk_json_node *item)
{
    double value = plk_json_is(item, PLK_JSON_NUMBER) ? plk_json_number(item) : -1;
    return value >= 0 && value < N_SAMPLERS ? (size_t)value : N_SAMPLERS;
}

static pluck_status start(plk_import *import)
{
    const plk_json_node *order = plk_import_member_of(import, "sampler_order");
    double version = trunc(plk_import_number_at(import, "mirostat", 0));
    import->mirostat = version == 1 || version == 2 ? (int)version : 0;
    plk_import_start_chain(import, "logit_bias dry");
    plk_import_append(import, "top_k", PREFILTER);
    if (import->mirostat != 0) {
        append_all(import, "penalties temperature smoothing");
    } else if (plk_json_is(order, PLK_JSON_ARRAY) && plk_json_child(order)) {
        for (const plk_json_node *item = plk_json_child(order); item; item = plk_json_sibling(item))
            if (sampler_number(item) < N_SAMPLERS)
                append_all(import, samplers[sampler_number(item)]);
    } else {
        append_all(import, "penalties top_k top_a tail_free typical top_p min_p temperature "
                           "smoothing top_n_sigma");
    }
    if (import->mirostat == 0)
        append_all(import, "xtc");
    import->part = PREFILTER;
    pluck_status status = plk_import_set(import, "top_k", "3000", NULL);
    import->part = 0;
    return status;
}

static pluck_status read_order(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node)
{
    (void)rule;
    if (import->mirostat != 0)
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "mirostat runs its own order");
    if (!plk_json_is(node, PLK_JSON_ARRAY) || !plk_json_child(node))
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "not a list: the default order counts");
    for (const plk_json_node *item = plk_json_child(node); item; item = plk_json_sibling(item))
        if (sampler_number(item) == N_SAMPLERS)
            plk_import_say(import, PLUCK_IMPORT_IGNORED,
                           "KoboldCpp skips what is not a number from 0 to 6");
    return plk_import_say(import, PLUCK_IMPORT_MAPPED, "the order of the stages");
}

/* Keys of a numbered sampler, which may not run. */
static pluck_status read_stage_key(plk_import *import, const plk_import_rule *rule,
                                   const plk_json_node *node)
{
    bool runs = false;
    for (size_t i = 0; i < import->n_chain; i++)
        runs = runs || (import->chain[i].part == 0 &&
                        strcmp(import->chain[i].stage->info.name, rule->stage) == 0);
    if (!runs)
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "%s",
                              import->mirostat != 0 ? "mirostat takes the place of this sampler"
                                                    : "its sampler is not in sampler_order");
    return plk_import_number(import, rule, node);
}

/* With mirostat the temperature is a plain one. */
static pluck_status read_dynamic(plk_import *import, const plk_import_rule *rule,
                                 const plk_json_node *node)
{
    if (import->mirostat != 0)
        return plk_import_say(import, PLUCK_IMPORT_IGNORED,
                              "mirostat takes the place of this sampler");
    if (plk_import_number_at(import, "dynatemp_range", 0) == 0 &&
        strcmp(rule->key, "dynatemp_exponent") == 0)
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "dynatemp_range is off");
    return read_stage_key(import, rule, node);
}

/* At temperature 0 and below the best token is taken at once. */
static pluck_status read_smoothing(plk_import *import, const plk_import_rule *rule,
                                   const plk_json_node *node)
{
    if (plk_import_number_at(import, "temperature", 0.75) <= 0)
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "nothing at temperature 0");
    if (!(plk_import_number_at(import, "smoothing_factor", 0) > 0) &&
        strcmp(rule->key, "smoothing_curve") == 0)
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "smoothing_factor is off");
    return read_stage_key(import, rule, node);
}

/* The older half of the window gets a smaller penalty, unless the slope is 1. */
static pluck_status read_slope(plk_import *import, const plk_import_rule *rule,
                               const plk_json_node *node)
{
    if (!(plk_import_number_at(import, "rep_pen", 1) > 1) ||
        plk_import_number_at(import, "rep_pen_range", 320) == 0)
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "nothing while rep_pen is at most 1");
    return plk_import_refuse(import, rule, node);
}

static bool dry_acts(const plk_import *import)
{
    return plk_import_number_at(import, "dry_multiplier", 0) > 0 &&
           plk_import_number_at(import, "dry_base", 1.75) > 0;
}

static pluck_status read_dry(plk_import *import, const plk_import_rule *rule,
                             const plk_json_node *node)
{
    if (!dry_acts(import) && strcmp(rule->key, "dry_multiplier") != 0)
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "dry is off");
    if (!dry_acts(import))
        return plk_import_set(import, "dry_multiplier", "0", NULL) == PLUCK_OK
                   ? plk_import_say(import, PLUCK_IMPORT_MAPPED, "dry_multiplier: off")
                   : PLUCK_ERR_NOMEM;
    return rule->flat_key ? plk_import_number(import, rule, node)
                          : plk_import_refuse(import, rule, node);
}

static pluck_status read_mirostat(plk_import *import, const plk_import_rule *rule,
                                  const plk_json_node *node)
{
    char text[8];
    (void)node;
    if (import->mirostat == 0)
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "mirostat is off");
    if (strcmp(rule->key, "mirostat") != 0)
        return plk_import_number(import, rule, node);
    snprintf(text, sizeof text, "%d", import->mirostat);
    pluck_status status = plk_import_set(import, "mirostat", text, NULL);
    return status == PLUCK_OK ? plk_import_say(import, PLUCK_IMPORT_MAPPED, "mirostat") : status;
}

static bool adapts(const plk_import *import)
{
    return import->mirostat == 0 && plk_import_number_at(import, "adaptive_target", -1) > 0;
}

static pluck_status read_adaptive(plk_import *import, const plk_import_rule *rule,
                                  const plk_json_node *node)
{
    if (!adapts(import))
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "%s",
                              import->mirostat != 0 ? "mirostat takes the place of this sampler"
                                                    : "adaptive_target 0 and below is off");
    return plk_import_number(import, rule, node);
}

static pluck_status read_guidance(plk_import *import, const plk_import_rule *rule,
                                  const plk_json_node *node)
{
    const plk_json_node *negative = plk_import_member_of(import, "negative_prompt");
    if (!negative || plk_import_is_off(import, "\"\"", negative))
        return plk_import_say(import, PLUCK_IMPORT_IGNORED, "nothing without negative_prompt");
    return plk_import_refuse(import, rule, node);
}

static pluck_status set_defaults(plk_import *import)
{
    static const struct {
        const char *key, *stage, *value;
    } defaults[] = {{"temperature", "temperature", "0.75"},
                    {"top_p", "top_p", "0.92"},
                    {"top_k", "top_k", "100"}};
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults && status == PLUCK_OK; i++) {
        bool runs = false;
        for (size_t j = 0; j < import->n_chain; j++)
            runs = runs || (import->chain[j].part == 0 &&
                            strcmp(import->chain[j].stage->info.name, defaults[i].stage) == 0);
        if (runs && !plk_import_member_of(import, defaults[i].key))
            status =
                plk_import_default(import, defaults[i].key, defaults[i].key, defaults[i].value);
    }
    return status;
}

static pluck_status finish(plk_import *import)
{
    pluck_status status = set_defaults(import);
    bool penalises = plk_import_number_at(import, "rep_pen", 1) != 1 ||
                     plk_import_number_at(import, "presence_penalty", 0) != 0;
    if (status == PLUCK_OK && penalises && plk_import_runs(import, "penalties") &&
        !plk_import_member_of(import, "rep_pen_range"))
        status = plk_import_default(import, "rep_pen_range", "repeat_last_n", "320");
    if (status == PLUCK_OK && dry_acts(import) &&
        !plk_import_member_of(import, "dry_penalty_last_n"))
        status = plk_import_default(import, "dry_penalty_last_n", "dry_penalty_last_n", "320");
    if (status == PLUCK_OK && plk_import_number_at(import, "xtc_probability", 0) > 0 &&
        import->mirostat == 0 && !plk_import_member_of(import, "xtc_threshold"))
        status = plk_import_default(import, "xtc_threshold", "xtc_threshold", "0.2");
    if (status == PLUCK_OK && adapts(import)) {
        status = plk_import_set(import, "draw", "\"adaptive_p\"", NULL);
        if (status == PLUCK_OK && !(plk_import_number_at(import, "min_p", 0) > 0) &&
            plk_import_number_at(import, "top_p", 0.92) >= 1 && plk_import_runs(import, "min_p"))
            status = plk_import_default(import, "min_p", "min_p", "0.002");
    }
    if (status == PLUCK_OK && !plk_import_member_of(import, "sampler_seed"))
        status = plk_import_default(import, "sampler_seed", "seed", "\"random\"");
    return status;
}

static const plk_import_limits unit = {.low = 0, .high = 1};
static const plk_import_limits at_least_0 = {.low = 0, .high = (double)INFINITY};
static const plk_import_limits whole = {.low = 0, .high = INT32_MAX, .whole = true};
static const plk_import_limits decay = {.low = 0.01, .high = 0.99};
/* Its limits are ten digits; pluck's are a million, at which a token is banned or certain. */
static const plk_import_limits bias = {.low = -1e6, .high = 1e6};

#define KOBOLDAI "of KoboldAI; KoboldCpp does not read it"

#define SAMPLER(name, to, in) .key = name, .read = read_stage_key, .flat_key = to, .stage = in
#define DRY(name)             .key = name, .read = read_dry, .flat_key = name

static const plk_import_rule rules[] = {
    {SAMPLER("temperature", "temperature", "temperature"), .limits = &at_least_0},
    {.key = "dynatemp_range",
     .read = read_dynamic,
     .flat_key = "dynatemp_range",
     .stage = "temperature"},
    {.key = "dynatemp_exponent",
     .read = read_dynamic,
     .flat_key = "dynatemp_exponent",
     .stage = "temperature",
     .limits = &at_least_0},
    {.key = "smoothing_factor",
     .read = read_smoothing,
     .flat_key = "smoothing_factor",
     .stage = "smoothing",
     .off = "<=0"},
    {.key = "smoothing_curve",
     .read = read_smoothing,
     .flat_key = "smoothing_curve",
     .stage = "smoothing"},
    {SAMPLER("nsigma", "top_n_sigma", "top_n_sigma"), .off = "<=0"},
    {SAMPLER("top_k", "top_k", "top_k"), .off = "<=0", .limits = &whole},
    {SAMPLER("top_a", "top_a", "top_a"), .off = "<=0"},
    {SAMPLER("top_p", "top_p", "top_p"), .off = ">=1", .off_as = "1", .limits = &unit},
    {SAMPLER("min_p", "min_p", "min_p"), .off = "<=0", .limits = &unit},
    {SAMPLER("typical", "typical_p", "typical"), .off = ">=1", .off_as = "1", .limits = &unit},
    PLK_REFUSE(
        "tfs", ">=1",
        "keeps one token fewer than pluck's tail_free, which is that of text-generation-webui"),
    {SAMPLER("rep_pen", "repeat_penalty", "penalties")},
    {SAMPLER("rep_pen_range", "repeat_last_n", "penalties"), .off = "<=0", .limits = &whole},
    {SAMPLER("presence_penalty", "presence_penalty", "penalties")},
    {.key = "rep_pen_slope",
     .read = read_slope,
     .off = "1",
     .note = "makes the penalty of older tokens smaller, which pluck has no stage for"},
    {DRY("dry_multiplier")},
    {DRY("dry_base")},
    {DRY("dry_allowed_length"), .limits = &whole},
    {DRY("dry_penalty_last_n"), .off = "<=0", .off_as = "-1", .limits = &whole},
    {.key = "dry_sequence_breakers",
     .read = read_dry,
     .off = "[] \"\"",
     .note = "texts need a vocabulary; give their token ids as dry_sequence_breakers"},
    {SAMPLER("xtc_probability", "xtc_probability", "xtc"), .limits = &unit},
    {SAMPLER("xtc_threshold", "xtc_threshold", "xtc"), .limits = &unit},
    {.key = "mirostat", .read = read_mirostat},
    {.key = "mirostat_tau", .read = read_mirostat, .flat_key = "mirostat_tau"},
    {.key = "mirostat_eta", .read = read_mirostat, .flat_key = "mirostat_eta"},
    {.key = "adaptive_target",
     .read = read_adaptive,
     .flat_key = "adaptive_target",
     .limits = &unit},
    {.key = "adaptive_decay",
     .read = read_adaptive,
     .flat_key = "adaptive_decay",
     .limits = &decay},
    {.key = "sampler_order", .read = read_order},
    {.key = "sampler_seed", .read = plk_import_seed, .off = "<=0 4294967295"},
    {.key = "logit_bias", .read = plk_import_bias_map, .limits = &bias},
    {.key = "custom_token_bans", .read = plk_import_ban_text},
    PLK_REFUSE("ban_eos_token", "false", PLK_NOTE_EOS),
    PLK_REFUSE("banned_tokens", "[]", PLK_NOTE_WORDS),
    PLK_REFUSE("banned_strings", "[]",
               "takes back text that was drawn, which the engine has to do"),
    {.key = "guidance_scale",
     .read = read_guidance,
     .off = "1",
     .note = "needs a second row of logits: pluck/softmax.h"},
    PLK_REFUSE("grammar", "\"\"", PLK_NOTE_MASK),
    PLK_REFUSE("reasoning_effort", "\"\" high xhigh max",
               "forces tokens when the reasoning gets long"),
    {.key = NULL},
};

static const plk_import_group ignored[] = {
    {PLK_NOTE_PROMPT, "adapter audio images memory prompt replace_instruct_placeholders"},
    {PLK_NOTE_END, "bypass_eos stop_sequence"},
    {"KoboldCpp's own API does not read it", "frequency_penalty"},
    {PLK_NOTE_SERVER,
     "genkey logprobs quiet render_special stream top_logprobs trim_stop using_openai_tools"},
    {"nothing without a grammar", "grammar_retain_state"},
    {PLK_NOTE_MEMORY, "max_context_length"},
    {PLK_NOTE_LENGTH, "max_length"},
    {PLK_NOTE_MODEL, "model"},
    {PLK_NOTE_COUNT, "n"},
    {"nothing without guidance_scale", "negative_prompt"},
    {"KoboldCpp does not read it", "use_default_badwordsids"},
    {KOBOLDAI, "disable_input_formatting disable_output_formatting frmtadsnsp frmtrmblln "
               "frmtrmspch frmttriminc gui_settings singleline streaming use_authors_note "
               "use_memory use_story use_userscripts use_world_info"},
    {NULL, NULL},
};

const plk_importer plk_import_koboldcpp = {
    .name = "koboldcpp",
    .title = "KoboldCpp",
    .rules = rules,
    .ignored = ignored,
    .order = "logit_bias",
    .merge = PLK_IMPORT_LAST,
    .lax = true,
    .start = start,
    .finish = finish,
};
