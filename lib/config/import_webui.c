/*
 * Presets of text-generation-webui, or bodies of requests to its API, as its Transformers loader
 * runs them: it has every key, and the other loaders take fewer. sampler_priority orders the
 * samplers; those that it does not name come first. mirostat and adaptive_p leave one token, so
 * that what comes after the first of them that acts does nothing.
 *
 * Version: text-generation-webui 4.7.3 (May 2026). In its folder modules/: keys and defaults are
 * from presets.py and api/typing.py, the values that act and the order from sampler_hijack.py. What
 * happens to keys before (cutoffs are in units of 1e-4) is in text_generation.py and
 * api/completions.py.
 */
#include "config/import_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct sampler_name {
    const char *name;
    const char *stage;
} sampler_name;

/* In the order in which they are made, which is that of the samplers that have no priority. */
static const sampler_name names[] = {
    {"no_repeat_ngram", "no_repeat_ngram"},
    {"temperature", "temperature"},
    {"top_k", "top_k"},
    {"top_p", "top_p"},
    {"min_p", "min_p"},
    {"typical_p", "typical"},
    {"epsilon_cutoff", "epsilon_cutoff"},
    {"eta_cutoff", "eta_cutoff"},
    {"dry", "dry"},
    {"repetition_penalty", "penalties"},
    {"presence_penalty", "penalties"},
    {"frequency_penalty", "penalties"},
    {"tfs", "tail_free"},
    {"top_a", "top_a"},
    {"top_n_sigma", "top_n_sigma"},
    {"adaptive_p", "adaptive_p"},
    {"xtc", "xtc"},
    {"dynamic_temperature", "temperature"},
    {"quadratic_sampling", "smoothing"},
    {"mirostat", "mirostat_v2"},
};
enum { N_NAMES = sizeof names / sizeof *names, DYNAMIC_PART = 2 };

static const char default_priority[] =
    "repetition_penalty\npresence_penalty\nfrequency_penalty\ndry\ntop_n_sigma\ntemperature\n"
    "dynamic_temperature\nquadratic_sampling\ntop_k\ntop_p\ntypical_p\nepsilon_cutoff\n"
    "eta_cutoff\ntfs\ntop_a\nmin_p\nadaptive_p\nmirostat\nxtc\nencoder_repetition_penalty\n"
    "no_repeat_ngram";

/* Of penalties that are stages of their own, in running order. */
static const unsigned penalty_parts[] = {0, 1, 3};

static bool mirostat_acts(const plk_import *import)
{
    return plk_import_number_at(import, "mirostat_mode", 0) == 2;
}

static bool adapts(const plk_import *import)
{
    return plk_import_number_at(import, "adaptive_target", 0) > 0;
}

static size_t find_name(const char *name, size_t n)
{
    size_t i = 0;
    while (i < N_NAMES && (strlen(names[i].name) != n || memcmp(names[i].name, name, n) != 0))
        i++;
    return i;
}

/* Samplers in running order, as indices into names. */
typedef struct sampler_order {
    size_t items[N_NAMES];
    size_t n;
    bool listed[N_NAMES];
} sampler_order;

static void list(sampler_order *order, const char *name, size_t n)
{
    size_t i = find_name(name, n);
    if (i < N_NAMES && !order->listed[i]) {
        order->listed[i] = true;
        order->items[order->n++] = i;
    }
}

/* Names by commas or line breaks. */
static void list_text(sampler_order *order, const char *text)
{
    while (*text != '\0') {
        text += strspn(text, ", \t\r\n");
        size_t n = strcspn(text, ",\r\n");
        size_t end = n;
        while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\t'))
            end--;
        list(order, text, end);
        text += n;
    }
}

static void move_last(sampler_order *order, const char *name)
{
    size_t i = find_name(name, strlen(name));
    size_t n = 0;
    for (size_t j = 0; j < order->n; j++)
        if (order->items[j] != i)
            order->items[n++] = order->items[j];
    order->items[n] = i;
    order->n = n + 1;
    order->listed[i] = true;
}

static void read_priority(const plk_import *import, sampler_order *order)
{
    const plk_json_node *node = plk_import_member_of(import, "sampler_priority");
    for (const plk_json_node *item = plk_json_child(node); item; item = plk_json_sibling(item))
        if (plk_json_is(item, PLK_JSON_STRING))
            list(order, plk_json_string(item), strlen(plk_json_string(item)));
    if (plk_json_is(node, PLK_JSON_STRING))
        list_text(order, plk_json_string(node));
    if (order->n == 0)
        list_text(order, default_priority);
    if (plk_import_is_true(import, "temperature_last")) {
        move_last(order, "temperature");
        move_last(order, "dynamic_temperature");
        move_last(order, "quadratic_sampling");
    }
    sampler_order all = {.n = 0};
    for (size_t i = 0; i < N_NAMES; i++)
        if (!order->listed[i])
            all.items[all.n++] = i;
    memcpy(all.items + all.n, order->items, order->n * sizeof *order->items);
    all.n += order->n;
    *order = all;
}

/* Whether both temperatures act; one alone is in part 0. */
static bool has_both_temperatures(const plk_import *import)
{
    return plk_import_is_true(import, "dynamic_temperature") &&
           plk_import_number_at(import, "temperature", 1) != 1 && !import->greedy;
}

static bool penalises(const plk_import *import)
{
    return plk_import_number_at(import, "repetition_penalty", 1) != 1 ||
           plk_import_number_at(import, "presence_penalty", 0) != 0 ||
           plk_import_number_at(import, "frequency_penalty", 0) != 0;
}

static bool is_penalty(const char *name)
{
    return strstr(name, "_penalty") != NULL;
}

/* Whether a penalty acts, or none does. */
static bool counts(const plk_import *import, const char *name)
{
    double neutral = strcmp(name, "repetition_penalty") == 0 ? 1 : 0;
    return plk_import_number_at(import, name, neutral) != neutral || !penalises(import);
}

/* Penalties that follow each other are one stage, which repeats before it subtracts; others get
 * parts of their own. */
static bool starts_stage(const char *name, const char *previous)
{
    return strcmp(name, "repetition_penalty") == 0 || !is_penalty(previous);
}

/* Of two temperatures only those that act; a draw that does not act is left out. */
static void append_sampler(plk_import *import, const sampler_name *sampler)
{
    bool dynamic = plk_import_is_true(import, "dynamic_temperature");
    unsigned part = 0;
    if (plk_is_draw(plk_stage_find(sampler->stage)))
        return;
    if (strcmp(sampler->name, "temperature") == 0 && dynamic && !has_both_temperatures(import))
        return;
    if (strcmp(sampler->name, "dynamic_temperature") == 0) {
        if (!dynamic)
            return;
        part = has_both_temperatures(import) ? DYNAMIC_PART : 0;
    }
    plk_import_append(import, sampler->stage, part);
}

/* The chain up to the first draw that acts. */
static void start(plk_import *import)
{
    sampler_order order = {.n = 0};
    const char *previous = "";
    size_t n_penalties = 0;
    const plk_json_node *sample = plk_import_member_of(import, "do_sample");
    import->greedy = (sample && !plk_json_is(sample, PLK_JSON_TRUE)) ||
                     plk_import_number_at(import, "temperature", 1) == 0;
    read_priority(import, &order);
    plk_import_start_chain(import, "logit_bias");
    for (size_t i = 0; i < order.n; i++) {
        const sampler_name *sampler = &names[order.items[i]];
        if ((strcmp(sampler->name, "mirostat") == 0 && mirostat_acts(import)) ||
            (strcmp(sampler->name, "adaptive_p") == 0 && adapts(import))) {
            import->mirostat = strcmp(sampler->name, "mirostat") == 0 ? 2 : -1;
            break;
        }
        if (is_penalty(sampler->name) && !counts(import, sampler->name))
            continue;
        if (!is_penalty(sampler->name))
            append_sampler(import, sampler);
        else if (starts_stage(sampler->name, previous))
            plk_import_append(import, "penalties", penalty_parts[n_penalties++]);
        previous = sampler->name;
    }
}

static const char after_draw[] = "comes after mirostat or adaptive_p, which leaves one token";

static bool dry_acts(const plk_import *import)
{
    return plk_import_number_at(import, "dry_multiplier", 0) > 0 && plk_import_runs(import, "dry");
}

static const char *why_idle(const plk_import *import, const plk_import_rule *rule)
{
    const char *key = rule->key;
    if (strncmp(key, "dry_", 4) == 0 && strcmp(key, "dry_multiplier") != 0 && !dry_acts(import))
        return "dry is off";
    if (strncmp(key, "mirostat_", 9) == 0 && import->mirostat != 2)
        return mirostat_acts(import) ? after_draw : "mirostat acts in mode 2 only";
    if (strncmp(key, "adaptive_", 9) == 0 && import->mirostat != -1)
        return adapts(import) ? after_draw : "adaptive_target 0 is off";
    return NULL;
}

/* Keys of samplers that never change which token is the most probable do not matter to greedy. */
static void read_truncation(plk_import *import, const plk_import_rule *rule,
                            const plk_json_node *node)
{
    if (import->mirostat == 0)
        plk_import_random_number(import, rule, node);
    else if (plk_import_runs(import, rule->stage))
        plk_import_number(import, rule, node);
    else
        plk_import_say(import, PLUCK_IMPORT_IGNORED, after_draw);
}

/* Keys of samplers that may change it. */
static void read_sampler(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    if (import->mirostat == 0 || plk_import_runs(import, rule->stage))
        plk_import_number(import, rule, node);
    else if (strcmp(rule->stage, "no_repeat_ngram") == 0)
        plk_import_refuse(import, rule, node);
    else
        plk_import_say(import, PLUCK_IMPORT_IGNORED, after_draw);
}

static void read_temperature(plk_import *import, const plk_import_rule *rule,
                             const plk_json_node *node)
{
    if (plk_import_is_off(import, "0", node))
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "draw: greedy");
    else if (plk_import_is_true(import, "dynamic_temperature") && !has_both_temperatures(import))
        plk_import_say(import, PLUCK_IMPORT_IGNORED, PLK_NO_EFFECT);
    else
        read_truncation(import, rule, node);
}

static void read_dynamic(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    if (!plk_import_is_true(import, "dynamic_temperature")) {
        plk_import_say(import, PLUCK_IMPORT_IGNORED, "dynamic_temperature is off");
    } else if (import->greedy && import->mirostat == 0) {
        plk_import_random_number(import, rule, node);
    } else if (!plk_import_runs(import, "temperature")) {
        plk_import_say(import, PLUCK_IMPORT_IGNORED, after_draw);
    } else if (plk_json_is_bool(node)) {
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "dynatemp_range");
    } else if (strcmp(rule->key, "dynatemp_exponent") == 0) {
        import->part = has_both_temperatures(import) ? DYNAMIC_PART : 0;
        plk_import_number(import, rule, node);
    } else {
        (void)plk_import_number_of(import, node);
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "temperature and dynatemp_range");
    }
}

/* Multiplied by 1e-4. */
static void read_cutoff(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    double value = plk_import_number_of(import, node);
    if (!(value > 0) || value * 1e-4 >= 1 || import->greedy ||
        !plk_import_runs(import, rule->stage))
        read_truncation(import, rule, node);
    else if (plk_import_try_number(import, rule->flat_key, value * 1e-4))
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "%s: in units of 1e-4", rule->flat_key);
}

/* In the part of its stage, which is found as the chain was made. */
static void read_penalty(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    sampler_order order = {.n = 0};
    const char *previous = "";
    size_t n = 0;
    if (import->mirostat != 0 && !plk_import_runs(import, "penalties")) {
        plk_import_say(import, PLUCK_IMPORT_IGNORED, after_draw);
        return;
    }
    read_priority(import, &order);
    for (size_t i = 0; i < order.n && counts(import, rule->key); i++) {
        const char *name = names[order.items[i]].name;
        if (is_penalty(name) && !counts(import, name))
            continue;
        n += is_penalty(name) && starts_stage(name, previous);
        if (strcmp(name, rule->key) == 0)
            break;
        previous = name;
    }
    import->part = n > 0 ? penalty_parts[n - 1] : 0;
    plk_import_number(import, rule, node);
}

static void read_range(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    double value = plk_import_number_of(import, node);
    (void)rule;
    if (!penalises(import) && !dry_acts(import))
        plk_import_say(import, PLUCK_IMPORT_IGNORED, "no penalty acts");
    else if (value < 0 && penalises(import))
        plk_import_say(import, PLUCK_IMPORT_REFUSED,
                       "below 0 it leaves out the first tokens, which pluck does not do");
    else
        plk_import_say(import, PLUCK_IMPORT_MAPPED,
                       value <= 0 ? "repeat_last_n: all tokens" : "repeat_last_n");
}

static void read_order_key(plk_import *import, const plk_import_rule *rule,
                           const plk_json_node *node)
{
    (void)rule;
    if (!plk_json_is(node, PLK_JSON_STRING) && !plk_json_is(node, PLK_JSON_ARRAY) &&
        !plk_json_is_bool(node))
        plk_import_fail_kind(import, node, "names of samplers");
    plk_import_say(import, PLUCK_IMPORT_MAPPED, "the order of the stages");
}

static void finish_temperature(plk_import *import)
{
    double low = plk_import_number_at(import, "dynatemp_low", 1);
    double high = plk_import_number_at(import, "dynatemp_high", 1);
    if (!plk_import_is_true(import, "dynamic_temperature") ||
        (import->greedy && import->mirostat == 0) || !plk_import_runs(import, "temperature"))
        return;
    if (high < low || low < 0) {
        plk_import_say_of(import, "dynatemp_low", PLUCK_IMPORT_REFUSED,
                          "pluck needs 0 <= dynatemp_low <= dynatemp_high");
        return;
    }
    import->part = has_both_temperatures(import) ? DYNAMIC_PART : 0;
    (void)plk_import_try_number(import, "temperature", (low + high) / 2);
    (void)plk_import_try_number(import, "dynatemp_range", (high - low) / 2);
    import->part = 0;
}

static void finish_windows(plk_import *import)
{
    char window[24];
    double n = plk_import_number_at(import, "repetition_penalty_range", 1024);
    n = n <= 0 || n > 1 << 24 ? -1 : trunc(n);
    snprintf(window, sizeof window, "%.0f", n);
    for (size_t i = 0; i < 3 && penalises(import); i++)
        plk_import_set_window(import, penalty_parts[i], window, false);
    if (dry_acts(import))
        (void)plk_import_set(import, "dry_penalty_last_n", window);
    if (!plk_import_member_of(import, "repetition_penalty_range") &&
        (penalises(import) || dry_acts(import)))
        plk_import_say_of(import, "repetition_penalty_range", PLUCK_IMPORT_MAPPED,
                          "repeat_last_n: absent; the default of %s is 1024",
                          import->importer->title);
    if (dry_acts(import) && !plk_import_member_of(import, "dry_sequence_breakers"))
        plk_import_say_of(import, "dry_sequence_breakers", PLUCK_IMPORT_REFUSED,
                          "absent; the texts \\n : \" * break, whose token ids have to be given as "
                          "dry_sequence_breakers");
}

static void finish(plk_import *import)
{
    bool request =
        plk_import_member_of(import, "messages") || plk_import_member_of(import, "prompt");
    const char *draw = import->mirostat == 2    ? "\"mirostat_v2\""
                       : import->mirostat == -1 ? "\"adaptive_p\""
                       : import->greedy         ? "\"greedy\""
                                                : NULL;
    finish_temperature(import);
    finish_windows(import);
    if (plk_import_number_at(import, "xtc_probability", 0) > 0 && plk_import_runs(import, "xtc"))
        plk_import_say_of(import, "xtc_protect", PLUCK_IMPORT_REFUSED,
                          "absent; the newline and the end-of-text token are protected from xtc, "
                          "whose ids have to be given as xtc_protect");
    if (draw)
        (void)plk_import_set(import, "draw", draw);
    if (request && !import->greedy && plk_import_runs(import, "top_p") &&
        !plk_import_member_of(import, "top_p") && !plk_import_member_of(import, "preset"))
        plk_import_set_default(import, "top_p", "top_p", "0.95");
    if (!plk_import_member_of(import, "seed") &&
        (!import->greedy || import->mirostat != 0 || plk_import_configures(import, "xtc")))
        plk_import_set_default(import, "seed", "seed", "\"random\"");
}

static const plk_import_limits decay = {.low = -(double)INFINITY, .high = 0.99};

#define SAMPLER(name, how, in)     .key = name, .read = how, .stage = in
#define RENAMED(name, how, to, in) .key = name, .read = how, .flat_key = to, .stage = in

static const plk_import_rule rules[] = {
    {.key = "do_sample", .read = plk_import_switch},
    {SAMPLER("temperature", read_temperature, "temperature"), .limits = &plk_rejects_to_0},
    {.key = "dynamic_temperature", .read = read_dynamic},
    {.key = "dynatemp_low", .read = read_dynamic},
    {.key = "dynatemp_high", .read = read_dynamic},
    {.key = "dynatemp_exponent", .read = read_dynamic},
    {SAMPLER("smoothing_factor", read_truncation, "smoothing"), .off = "<=0"},
    {SAMPLER("smoothing_curve", read_truncation, "smoothing")},
    {SAMPLER("top_p", read_truncation, "top_p"), .off = ">=1", .off_as = "1",
     .limits = &plk_rejects_below_0},
    {SAMPLER("top_k", read_truncation, "top_k"), .off = "0", .limits = &plk_rejects_below_0},
    {SAMPLER("min_p", read_truncation, "min_p"), .limits = &plk_rejects_outside_1},
    {SAMPLER("top_n_sigma", read_truncation, "top_n_sigma"), .off = "<=0",
     .note = "the original divides by n - 1 and counts banned tokens as 0"},
    {SAMPLER("typical_p", read_truncation, "typical"), .off = ">=1", .off_as = "1",
     .limits = &plk_rejects_to_0},
    {SAMPLER("epsilon_cutoff", read_cutoff, "epsilon_cutoff"), .off = "<=0 >=10000"},
    {SAMPLER("eta_cutoff", read_cutoff, "eta_cutoff"), .off = "<=0 >=10000"},
    {RENAMED("tfs", read_truncation, "tfs_z", "tail_free"), .off = "<0 >=1", .off_as = "1"},
    {SAMPLER("top_a", read_truncation, "top_a"), .off = "<=0 >1"},
    {SAMPLER("xtc_threshold", read_sampler, "xtc"), .limits = &plk_clamps_at_0_and_1},
    {SAMPLER("xtc_probability", read_sampler, "xtc"), .limits = &plk_clamps_at_0_and_1},
    {.key = "adaptive_target"},
    {.key = "adaptive_decay", .limits = &decay},
    {.key = "mirostat_mode", .read = plk_import_mapped, .note = "draw: mirostat_v2"},
    {.key = "mirostat_tau"},
    {.key = "mirostat_eta"},
    {SAMPLER("dry_multiplier", read_sampler, "dry"), .off = "<=0",
     .note = "matches of more than 50 tokens count as 50 there"},
    {.key = "dry_allowed_length"},
    {.key = "dry_base"},
    PLK_REFUSE("dry_sequence_breakers", "\"\" []",
               "texts need a vocabulary; give their token ids as dry_sequence_breakers"),
    {RENAMED("repetition_penalty", read_penalty, "repeat_penalty", NULL),
     .limits = &plk_rejects_to_0},
    {.key = "frequency_penalty", .read = read_penalty},
    {.key = "presence_penalty", .read = read_penalty},
    {.key = "repetition_penalty_range", .read = read_range},
    {SAMPLER("no_repeat_ngram_size", read_sampler, "no_repeat_ngram"), .off = "<=0",
     .note = "comes after mirostat or adaptive_p, whose token it may ban"},
    {.key = "temperature_last", .read = read_order_key},
    {.key = "sampler_priority", .read = read_order_key},
    {.key = "seed", .read = plk_import_seed},
    {.key = "custom_token_bans", .read = plk_import_ban_text},
    {.key = "logit_bias", .read = plk_import_bias_map},
    PLK_REFUSE("preset", "None \"\"", "names a preset, which is not in this text; import its file"),
    PLK_REFUSE("ban_eos_token", "false", PLK_NOTE_EOS),
    PLK_REFUSE("encoder_repetition_penalty", "1",
               "favours tokens of the prompt, without a stage here"),
    PLK_REFUSE("penalty_alpha", "<=0", "contrastive search looks at hidden states"),
    PLK_REFUSE("guidance_scale", "1", "needs a second row of logits: pluck/softmax.h"),
    PLK_REFUSE("grammar_string", "\"\"", PLK_NOTE_MASK),
    PLK_REFUSE("tool_choice", "auto none", PLK_NOTE_MASK),
    {.key = "response_format", .read = plk_import_format, .off = "text", .note = PLK_NOTE_MASK},
    {.key = NULL},
};

static const plk_import_group ignored[] = {
    {PLK_NOTE_PROMPT,
     "add_bos_token bot_name character chat_instruct_command chat_template_str context continue_ "
     "enable_thinking greeting instruction_template instruction_template_str mode name1 name2 "
     "preserve_thinking reasoning_effort suffix tools truncation_length user_bio user_name"},
    {PLK_NOTE_LENGTH, "auto_max_new_tokens max_new_tokens max_tokens_second"},
    {"not read", "best_of function_call functions user"},
    {PLK_NOTE_SERVER, "skip_special_tokens"},
    {"nothing without guidance_scale", "negative_prompt"},
    {PLK_NOTE_SPEED, "prompt_lookup_num_tokens"},
    {PLK_NOTE_MEMORY, "static_cache"},
    {NULL, NULL},
};

const plk_importer plk_import_webui = {
    .name = "text-generation-webui",
    .title = "text-generation-webui",
    .rules = rules,
    .ignored = ignored,
    .is_chat = true,
    .order = "logit_bias",
    .lax = true,
    .start = start,
    .why_idle = why_idle,
    .finish = finish,
    .convert = plk_import_yaml,
};
