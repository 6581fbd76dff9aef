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
#include <string.h>

/* By number, what a sampler runs. */
static const char *const samplers[] = {"top_k",     "top_a",   "top_p min_p",
                                       "tail_free", "typical", "temperature smoothing top_n_sigma",
                                       "penalties"};
enum { N_SAMPLERS = sizeof samplers / sizeof *samplers, PREFILTER = 1 };

/* The number of a sampler that an item of sampler_order names; N_SAMPLERS for another value. */
static size_t sampler_number(const plk_json_node *item)
{
    double value = plk_json_is(item, PLK_JSON_NUMBER) ? plk_json_number(item) : -1;
    return value >= 0 && value < N_SAMPLERS ? (size_t)value : N_SAMPLERS;
}

static void start(plk_import *import)
{
    const plk_json_node *order = plk_import_member_of(import, "sampler_order");
    double version = trunc(plk_import_number_at(import, "mirostat", 0));
    import->mirostat = version == 1 || version == 2 ? (int)version : 0;
    plk_import_start_chain(import, "logit_bias dry");
    plk_import_append(import, "top_k", PREFILTER);
    if (import->mirostat != 0) {
        plk_import_append(import, "penalties temperature smoothing", 0);
    } else if (plk_json_is(order, PLK_JSON_ARRAY) && plk_json_child(order)) {
        for (const plk_json_node *item = plk_json_child(order); item; item = plk_json_sibling(item))
            if (sampler_number(item) < N_SAMPLERS)
                plk_import_append(import, samplers[sampler_number(item)], 0);
    } else {
        plk_import_append(import,
                          "penalties top_k top_a tail_free typical top_p min_p temperature "
                          "smoothing top_n_sigma",
                          0);
    }
    if (import->mirostat == 0)
        plk_import_append(import, "xtc", 0);
    import->part = PREFILTER;
    (void)plk_import_set(import, "top_k", "3000");
    import->part = 0;
}

static void read_order(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    (void)rule;
    bool is_list = plk_json_is(node, PLK_JSON_ARRAY) && plk_json_child(node);
    for (const plk_json_node *item = is_list ? plk_json_child(node) : NULL; item;
         item = plk_json_sibling(item))
        if (sampler_number(item) == N_SAMPLERS)
            plk_import_say(import, PLUCK_IMPORT_IGNORED,
                           "KoboldCpp skips what is not a number from 0 to 6");
    if (is_list)
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "the order of the stages");
    else
        plk_import_say(import, PLUCK_IMPORT_IGNORED, "not an array, so the default order is used");
}

static const char mirostat_note[] = "mirostat takes the place of this sampler";

static bool dry_acts(const plk_import *import)
{
    return plk_import_number_at(import, "dry_multiplier", 0) > 0 &&
           plk_import_number_at(import, "dry_base", 1.75) > 0;
}

static bool adapts(const plk_import *import)
{
    return import->mirostat == 0 && plk_import_number_at(import, "adaptive_target", -1) > 0;
}

static bool begins_with(const plk_import_rule *rule, const char *start)
{
    return strncmp(rule->key, start, strlen(start)) == 0;
}

/* A key of a switch that is off; NULL: it is on, or there is none. */
static const char *why_off(const plk_import *import, const plk_import_rule *rule)
{
    bool is_greedy = plk_import_number_at(import, "temperature", 0.75) <= 0;
    /* At temperature 0 and below the best token is taken at once. */
    if (begins_with(rule, "smoothing_") && is_greedy)
        return "nothing at temperature 0";
    if (strcmp(rule->key, "smoothing_curve") == 0 &&
        !(plk_import_number_at(import, "smoothing_factor", 0) > 0))
        return "smoothing_factor is off";
    if (strcmp(rule->key, "dynatemp_exponent") == 0 &&
        plk_import_number_at(import, "dynatemp_range", 0) == 0)
        return "dynatemp_range is off";
    if (begins_with(rule, "dry_") && !dry_acts(import) && strcmp(rule->key, "dry_multiplier") != 0)
        return "dry is off";
    if (strcmp(rule->key, "rep_pen_slope") == 0 &&
        (!(plk_import_number_at(import, "rep_pen", 1) > 1) ||
         plk_import_number_at(import, "rep_pen_range", 320) == 0))
        return "nothing while rep_pen is at most 1";
    const plk_json_node *negative = plk_import_member_of(import, "negative_prompt");
    if (strcmp(rule->key, "guidance_scale") == 0 &&
        (!negative || plk_import_is_off(import, "\"\"", negative)))
        return "nothing without negative_prompt";
    return NULL;
}

static const char *why_idle(const plk_import *import, const plk_import_rule *rule)
{
    bool has_mirostat = import->mirostat != 0;
    if (begins_with(rule, "mirostat"))
        return has_mirostat ? NULL : "mirostat is off";
    if (begins_with(rule, "adaptive_") && !adapts(import))
        return has_mirostat ? mirostat_note : "adaptive_target 0 and below is off";
    /* With mirostat the temperature is a plain one. */
    if (begins_with(rule, "dynatemp_") && has_mirostat)
        return mirostat_note;
    if (strcmp(rule->key, "sampler_order") == 0 && has_mirostat)
        return "mirostat runs its own order";
    const char *why = why_off(import, rule);
    if (why || !rule->stage || plk_import_runs_in(import, rule->stage, 0))
        return why;
    return has_mirostat ? mirostat_note : "its sampler is not in sampler_order";
}

static void read_dry_multiplier(plk_import *import, const plk_import_rule *rule,
                                const plk_json_node *node)
{
    if (dry_acts(import))
        plk_import_number(import, rule, node);
    else if (plk_import_set(import, "dry_multiplier", "0"))
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "dry_multiplier: off");
}

static void read_mirostat(plk_import *import, const plk_import_rule *rule,
                          const plk_json_node *node)
{
    (void)rule;
    (void)node;
    if (plk_import_set(import, "mirostat", import->mirostat == 1 ? "1" : "2"))
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "mirostat");
}

static const plk_import_default defaults[] = {
    {"temperature", "temperature", "0.75", "temperature"},
    {"top_p", "top_p", "0.92", "top_p"},
    {"top_k", "top_k", "100", "top_k"},
    {NULL, NULL, NULL, NULL},
};

static void finish(plk_import *import)
{
    bool penalises = plk_import_number_at(import, "rep_pen", 1) != 1 ||
                     plk_import_number_at(import, "presence_penalty", 0) != 0;
    if (penalises && plk_import_runs(import, "penalties") &&
        !plk_import_member_of(import, "rep_pen_range"))
        plk_import_set_default(import, "rep_pen_range", "repeat_last_n", "320");
    if (dry_acts(import) && !plk_import_member_of(import, "dry_penalty_last_n"))
        plk_import_set_default(import, "dry_penalty_last_n", "dry_penalty_last_n", "320");
    if (plk_import_number_at(import, "xtc_probability", 0) > 0 && import->mirostat == 0 &&
        !plk_import_member_of(import, "xtc_threshold"))
        plk_import_set_default(import, "xtc_threshold", "xtc_threshold", "0.2");
    if (adapts(import) && plk_import_set(import, "draw", "\"adaptive_p\"") &&
        !(plk_import_number_at(import, "min_p", 0) > 0) &&
        plk_import_number_at(import, "top_p", 0.92) >= 1 && plk_import_runs(import, "min_p"))
        plk_import_set_default(import, "min_p", "min_p", "0.002");
    if (!plk_import_member_of(import, "sampler_seed"))
        plk_import_set_default(import, "sampler_seed", "seed", "\"random\"");
}

static const plk_import_limits decay = {.low = 0.01, .high = 0.99};
/* Its limits are ten digits; pluck's are a million, at which a token is banned or certain. */
static const plk_import_limits bias = {.low = -1e6, .high = 1e6};

#define KOBOLDAI "of KoboldAI; KoboldCpp does not read it"

#define SAMPLER(name, to, in) .key = name, .flat_key = to, .stage = in

static const plk_import_rule rules[] = {
    {SAMPLER("temperature", "temperature", "temperature"), .limits = &plk_clamps_at_0},
    {.key = "dynatemp_range", .stage = "temperature"},
    {.key = "dynatemp_exponent", .stage = "temperature", .limits = &plk_clamps_at_0},
    {.key = "smoothing_factor", .stage = "smoothing", .off = "<=0"},
    {.key = "smoothing_curve", .stage = "smoothing"},
    {SAMPLER("nsigma", "top_n_sigma", "top_n_sigma"), .off = "<=0"},
    {SAMPLER("top_k", "top_k", "top_k"), .off = "<=0", .limits = &plk_clamps_whole},
    {SAMPLER("top_a", "top_a", "top_a"), .off = "<=0"},
    {SAMPLER("top_p", "top_p", "top_p"), .off = ">=1", .off_as = "1",
     .limits = &plk_clamps_at_0_and_1},
    {SAMPLER("min_p", "min_p", "min_p"), .off = "<=0", .limits = &plk_clamps_at_0_and_1},
    {SAMPLER("typical", "typical_p", "typical"), .off = ">=1", .off_as = "1",
     .limits = &plk_clamps_at_0_and_1},
    PLK_REFUSE(
        "tfs", ">=1",
        "keeps one token fewer than pluck's tail_free, which is that of text-generation-webui"),
    {SAMPLER("rep_pen", "repeat_penalty", "penalties")},
    {SAMPLER("rep_pen_range", "repeat_last_n", "penalties"), .off = "<=0",
     .limits = &plk_clamps_whole},
    {SAMPLER("presence_penalty", "presence_penalty", "penalties")},
    /* The older half of the window gets a smaller penalty, unless the slope is 1. */
    PLK_REFUSE("rep_pen_slope", "1",
               "makes the penalty of older tokens smaller, which pluck has no stage for"),
    {.key = "dry_multiplier", .read = read_dry_multiplier},
    {.key = "dry_base"},
    {.key = "dry_allowed_length", .limits = &plk_clamps_whole},
    {.key = "dry_penalty_last_n", .off = "<=0", .off_as = "-1", .limits = &plk_clamps_whole},
    PLK_REFUSE("dry_sequence_breakers", "[] \"\"",
               "texts need a vocabulary; give their token ids as dry_sequence_breakers"),
    {SAMPLER("xtc_probability", "xtc_probability", "xtc"), .limits = &plk_clamps_at_0_and_1},
    {SAMPLER("xtc_threshold", "xtc_threshold", "xtc"), .limits = &plk_clamps_at_0_and_1},
    {.key = "mirostat", .read = read_mirostat},
    {.key = "mirostat_tau"},
    {.key = "mirostat_eta"},
    {.key = "adaptive_target", .limits = &plk_clamps_at_0_and_1},
    {.key = "adaptive_decay", .limits = &decay},
    {.key = "sampler_order", .read = read_order},
    {.key = "sampler_seed", .read = plk_import_seed, .off = "<=0 4294967295"},
    {.key = "logit_bias", .read = plk_import_bias_map, .limits = &bias},
    {.key = "custom_token_bans", .read = plk_import_ban_text},
    PLK_REFUSE("ban_eos_token", "false", PLK_NOTE_EOS),
    PLK_REFUSE("banned_tokens", "[]", PLK_NOTE_WORDS),
    PLK_REFUSE("banned_strings", "[]",
               "takes back text that was drawn, which the engine has to do"),
    PLK_REFUSE("guidance_scale", "1", "needs a second row of logits: pluck/softmax.h"),
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
    .why_idle = why_idle,
    .defaults = defaults,
    .finish = finish,
};
