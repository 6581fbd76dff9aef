/*
 * The body of a request to llama.cpp's server. The samplers and their order are "samplers", of
 * names or one letter each. A key whose sampler is not among them has no effect. Mirostat takes the
 * place of all but the temperature and the biases. Absent keys have the server's defaults.
 *
 * Version: b10405 (August 2026). Keys, limits and aliases are from tools/server/server-schema.cpp,
 * order and defaults from common/sampling.cpp and common/common.h, and the values that switch a
 * sampler off from src/llama-sampler.cpp. A negative window was the whole context before that
 * version, and is 0 since (llama.cpp pull request 26524).
 */
#include "config/import_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct sampler_name {
    const char *name;
    char letter;
    const char *stage;
} sampler_name;

/* In the server's default order; then other spellings. */
static const sampler_name sampler_names[] = {
    {"penalties", 'e', "penalties"},
    {"dry", 'd', "dry"},
    {"top_n_sigma", 's', "top_n_sigma"},
    {"top_k", 'k', "top_k"},
    {"typ_p", 'y', "typical"},
    {"top_p", 'p', "top_p"},
    {"min_p", 'm', "min_p"},
    {"xtc", 'x', "xtc"},
    {"temperature", 't', "temperature"},
    {"adaptive_p", 'a', "adaptive_p"},
    {"infill", 'i', "infill"},
    {"top-k", 0, "top_k"},
    {"top-p", 0, "top_p"},
    {"top-n-sigma", 0, "top_n_sigma"},
    {"nucleus", 0, "top_p"},
    {"typical-p", 0, "typical"},
    {"typical_p", 0, "typical"},
    {"typical", 0, "typical"},
    {"typ-p", 0, "typical"},
    {"typ", 0, "typical"},
    {"min-p", 0, "min_p"},
    {"temp", 0, "temperature"},
    {"adaptive-p", 0, "adaptive_p"},
};
enum { N_NAMES = sizeof sampler_names / sizeof *sampler_names };

static const char mirostat_note[] = "has no effect while mirostat is on";
static const char absent_note[] = "its sampler is not among \"samplers\"";

/* Why a stage's keys have no effect; NULL: they have. */
static const char *why_not(const plk_import *import, const char *stage)
{
    if (import->mirostat != 0 && strcmp(stage, "temperature") != 0)
        return mirostat_note;
    return plk_import_runs(import, stage) ? NULL : absent_note;
}

/* By its name, or, if that is NULL, by its letter. */
static const sampler_name *find_sampler(const char *name, char letter)
{
    for (int i = 0; i < N_NAMES; i++)
        if (name ? strcmp(sampler_names[i].name, name) == 0 : sampler_names[i].letter == letter)
            return &sampler_names[i];
    return NULL;
}

typedef void (*sampler_visitor)(plk_import *import, const sampler_name *found, const char *what);

static void visit_samplers(plk_import *import, const plk_json_node *node, sampler_visitor visit)
{
    for (const plk_json_node *item = plk_json_is(node, PLK_JSON_ARRAY) ? plk_json_child(node)
                                                                       : NULL;
         item && import->status == PLUCK_OK; item = plk_json_sibling(item)) {
        const char *name = plk_json_string(item);
        if (name)
            visit(import, find_sampler(name, '\0'), name);
        else
            plk_import_fail_kind(import, item, "the name of a sampler");
    }
    for (const char *at = plk_json_string(node); at && *at != '\0'; at++) {
        const char what[] = {*at > ' ' && *at <= '~' ? *at : '?', '\0'};
        visit(import, find_sampler(NULL, *at), what);
    }
}

/* adaptive_p is a draw, and comes last wherever it was named. */
static void append_sampler(plk_import *import, const sampler_name *found, const char *what)
{
    (void)what;
    if (found)
        plk_import_append(import, found->stage, 0);
}

static void say_sampler(plk_import *import, const sampler_name *found, const char *what)
{
    if (!found)
        plk_import_say(import, PLUCK_IMPORT_IGNORED, "llama.cpp skips the unknown sampler '%.40s'",
                       what);
    else if (strcmp(found->stage, "infill") == 0)
        plk_import_say(import, PLUCK_IMPORT_REFUSED,
                       "infill has its place in the order, but needs the tokens that end the text; "
                       "give their ids as infill_eog");
}

static bool is_list(const plk_json_node *node)
{
    return plk_json_is(node, PLK_JSON_ARRAY) || plk_json_is(node, PLK_JSON_STRING);
}

/* The order comes first: other keys ask it. A wrong name is said when the key is read. */
static void start(plk_import *import)
{
    const plk_json_node *node = plk_import_member_of(import, "samplers");
    double version = trunc(plk_import_number_at(import, "mirostat", 0));
    import->mirostat = version >= 2 ? 2 : version >= 1 ? 1 : 0;
    if (import->mirostat != 0) {
        plk_import_start_chain(import, "logit_bias temperature");
    } else if (is_list(node)) {
        plk_import_start_chain(import, "logit_bias");
        visit_samplers(import, node, append_sampler);
    }
}

static void read_samplers(plk_import *import, const plk_import_rule *rule,
                          const plk_json_node *node)
{
    (void)rule;
    if (is_list(node)) {
        visit_samplers(import, node, say_sampler);
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "order");
    } else {
        plk_import_say(import, PLUCK_IMPORT_IGNORED,
                       "llama.cpp takes an array of names or a string of letters, and skips %s",
                       plk_json_kind_name(node));
    }
}

/* The default of the window is 64, a negative one is 0. */
static bool dry_acts(const plk_import *import)
{
    return plk_import_number_at(import, "dry_multiplier", 0) != 0 &&
           plk_import_number_at(import, "dry_penalty_last_n", 64) != 0 && !why_not(import, "dry");
}

static bool adaptive_acts(const plk_import *import)
{
    return plk_import_number_at(import, "adaptive_target", -1) >= 0 &&
           !why_not(import, "adaptive_p");
}

static const char *why_idle(const plk_import *import, const plk_import_rule *rule)
{
    const char *key = rule->key, *stage = rule->stage;
    if (strncmp(key, "mirostat_", 9) == 0)
        return import->mirostat != 0 ? NULL : "mirostat is off";
    /* With mirostat the temperature is a plain one; a range of 0 and below is off. */
    bool is_dynamic = strncmp(key, "dynatemp_", 9) == 0;
    bool needs_none = is_dynamic || strcmp(key, "samplers") == 0 || strcmp(key, "min_keep") == 0;
    if (needs_none && import->mirostat != 0)
        return mirostat_note;
    if (strcmp(key, "dynatemp_exponent") == 0 &&
        !(plk_import_number_at(import, "dynatemp_range", 0) > 0))
        return "dynatemp_range is off";
    if (strcmp(key, "min_keep") == 0 && plk_import_number_at(import, key, 0) == 0)
        return "0: one token is always kept";
    const char *why = stage ? why_not(import, stage) : NULL;
    if (why || !stage)
        return why;
    /* A negative target switches it off; the draw is chosen by the list of samplers. */
    if (strcmp(stage, "adaptive_p") == 0 && !adaptive_acts(import))
        return "adaptive_target below 0 is off";
    bool is_off = strcmp(stage, "dry") == 0 && !dry_acts(import);
    return is_off && strcmp(key, "dry_multiplier") != 0 ? "dry is off" : NULL;
}

/* A window; see above. */
static void read_window(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    if (!(plk_import_number_at(import, rule->key, 0) < 0))
        plk_import_number(import, rule, node);
    else if (plk_import_set(import, rule->flat_key, "0"))
        plk_import_say(import, PLUCK_IMPORT_MAPPED,
                       "%s: 0, off; before llama.cpp b10405 (August 2026) a negative window was "
                       "the whole context, which is -1 here",
                       rule->flat_key);
}

static void read_mirostat(plk_import *import, const plk_import_rule *rule,
                          const plk_json_node *node)
{
    char text[8];
    (void)rule;
    double value = plk_import_number_of(import, node);
    snprintf(text, sizeof text, "%d", import->mirostat);
    if (plk_import_set(import, "mirostat", text))
        plk_import_say(import, PLUCK_IMPORT_MAPPED,
                       value == import->mirostat ? "mirostat" : "mirostat: llama.cpp takes %d",
                       import->mirostat);
}

/* An id as strtol() reads it. false: a word. */
static bool read_id(const char *key, double *token)
{
    char *end = NULL;
    *token = (double)strtol(key, &end, 10);
    return *end == '\0';
}

typedef struct bias_counts {
    unsigned n_mapped, n_words, n_skipped;
} bias_counts;

/* token: a number or a word; bias: a number or false. What else there is llama.cpp skips. */
static void read_bias(plk_import *import, const char *key, const plk_json_node *token,
                      const plk_json_node *bias, bias_counts *counts)
{
    double id = -1;
    bool is_number = plk_json_is(bias, PLK_JSON_NUMBER) || plk_json_is(bias, PLK_JSON_FALSE);
    bool is_word = key ? !read_id(key, &id) : plk_json_is(token, PLK_JSON_STRING);
    if (!key && plk_json_is(token, PLK_JSON_NUMBER))
        id = plk_json_number(token);
    bool is_token = id >= 0 && id < PLUCK_MAX_VOCAB && id == floor(id);
    if (!is_number || (!is_word && !is_token)) {
        counts->n_skipped++;
    } else if (is_word) {
        counts->n_words++;
    } else {
        counts->n_mapped++;
        plk_import_add_bias(import, (pluck_token)id,
                            plk_json_is(bias, PLK_JSON_NUMBER) ? plk_json_number(bias)
                                                               : -(double)INFINITY);
    }
}

/* [[5, -1.5], ["word", false]] or {"5": -1.5}. false bans. */
static void read_biases(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    bias_counts counts = {0, 0, 0};
    (void)rule;
    for (const plk_json_node *item = plk_json_child(node); item; item = plk_json_sibling(item)) {
        const plk_json_node *token =
            plk_json_is(item, PLK_JSON_ARRAY) ? plk_json_child(item) : NULL;
        const plk_json_node *bias = token ? plk_json_sibling(token) : NULL;
        if (plk_json_is(node, PLK_JSON_OBJECT))
            read_bias(import, plk_json_key(item), NULL, item, &counts);
        else
            read_bias(import, NULL, token, bias && !plk_json_sibling(bias) ? bias : NULL, &counts);
    }
    if (counts.n_mapped > 0)
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "logit_bias");
    if (counts.n_skipped > 0)
        plk_import_say(import, PLUCK_IMPORT_IGNORED, "llama.cpp skips %u %s", counts.n_skipped,
                       counts.n_skipped == 1 ? "entry that is not a token id and a bias"
                                             : "entries that are not a token id and a bias");
    if (counts.n_words > 0)
        plk_import_say(import, PLUCK_IMPORT_REFUSED, PLK_NOTE_WORDS);
    if (counts.n_mapped + counts.n_skipped + counts.n_words == 0)
        plk_import_say(import, PLUCK_IMPORT_IGNORED, PLK_NO_EFFECT);
}

/* 32 bits, of which all set are a random one. */
static void read_seed(plk_import *import, const plk_import_rule *rule, const plk_json_node *node)
{
    char text[24];
    double value = plk_import_number_of(import, node);
    if (value == -1 || (value >= 0 && value < 4294967295.0) || !(fabs(value) < 9.0e18) ||
        value != floor(value)) {
        plk_import_seed(import, rule, node);
        return;
    }
    uint32_t bits = (uint32_t)(uint64_t)(int64_t)value;
    snprintf(text, sizeof text, bits == UINT32_MAX ? "\"random\"" : "%" PRIu32, bits);
    if (plk_import_set(import, "seed", text))
        plk_import_say(import, PLUCK_IMPORT_MAPPED, "seed: the lower 32 bits, %s", text);
}

static const plk_import_default defaults[] = {
    {"temperature", "temperature", "0.8", "temperature"},
    {"top_k", "top_k", "40", "top_k"},
    {"top_p", "top_p", "0.95", "top_p"},
    {"min_p", "min_p", "0.05", "min_p"},
    {"seed", "seed", "\"random\"", NULL},
    {NULL, NULL, NULL, NULL},
};

/* adaptive_p leaves the chain, for it is a draw. */
static void choose_draw(plk_import *import)
{
    bool adaptive = adaptive_acts(import);
    size_t n = 0;
    for (size_t i = 0; i < import->n_chain; i++)
        if (strcmp(import->chain[i].stage->info.name, "adaptive_p") != 0)
            import->chain[n++] = import->chain[i];
    import->n_chain = n;
    if (adaptive)
        (void)plk_import_set(import, "draw", "\"adaptive_p\"");
}

static void finish(plk_import *import)
{
    choose_draw(import);
    if (!dry_acts(import))
        return;
    if (!plk_import_member_of(import, "dry_sequence_breakers"))
        plk_import_say_of(import, "dry_sequence_breakers", PLUCK_IMPORT_REFUSED,
                          "absent; llama.cpp breaks at the texts \\n : \" *, whose token ids have "
                          "to be given as dry_sequence_breakers");
    if (!plk_import_member_of(import, "dry_penalty_last_n"))
        plk_import_set_default(import, "dry_penalty_last_n", "dry_penalty_last_n", "64");
}

static const plk_import_limits window = {
    .low = 0, .high = INT32_MAX, .outside = PLK_IMPORT_REJECTS, .whole = true};
static const plk_import_limits at_most_1 = {.low = -(double)INFINITY, .high = 1};
static const plk_import_limits decay = {.low = 0, .high = 0.99, .outside = PLK_IMPORT_REJECTS};

#define SAMPLER(name, in) .key = name, .stage = in

static const plk_import_rule rules[] = {
    {SAMPLER("temperature", "temperature"), .limits = &plk_clamps_at_0},
    {SAMPLER("dynatemp_range", "temperature"), .off = "<=0"},
    {SAMPLER("dynatemp_exponent", "temperature")},
    {SAMPLER("top_k", "top_k"), .limits = &plk_clamps_whole},
    {SAMPLER("top_p", "top_p"), .limits = &plk_clamps_at_0_and_1},
    {SAMPLER("min_p", "min_p"), .limits = &plk_clamps_at_0_and_1},
    {SAMPLER("typical_p", "typical"), .off = ">=1", .off_as = "1",
     .limits = &plk_clamps_at_0_and_1},
    {SAMPLER("top_n_sigma", "top_n_sigma"), .off = "<=0"},
    {SAMPLER("xtc_probability", "xtc"), .limits = &plk_clamps_at_0_and_1},
    {SAMPLER("xtc_threshold", "xtc"), .limits = &plk_clamps_at_0_and_1},
    {SAMPLER("repeat_last_n", "penalties"), .read = read_window, .limits = &window},
    {SAMPLER("repeat_penalty", "penalties")},
    {SAMPLER("presence_penalty", "penalties")},
    {SAMPLER("frequency_penalty", "penalties")},
    {SAMPLER("dry_multiplier", "dry")},
    {SAMPLER("dry_base", "dry"), .off = "<1", .off_as = "1.75"},
    {SAMPLER("dry_allowed_length", "dry"), .limits = &window},
    {SAMPLER("dry_penalty_last_n", "dry"), .read = read_window, .limits = &window},
    {SAMPLER("dry_sequence_breakers", "dry"), .read = plk_import_refuse,
     .note = "texts need a vocabulary; give their token ids as dry_sequence_breakers"},
    {.key = "mirostat", .read = read_mirostat},
    {.key = "mirostat_tau"},
    {.key = "mirostat_eta"},
    {SAMPLER("adaptive_target", "adaptive_p"), .limits = &at_most_1},
    {SAMPLER("adaptive_decay", "adaptive_p"), .limits = &decay},
    {.key = "min_keep", .limits = &window},
    {.key = "logit_bias", .read = read_biases},
    {.key = "seed", .read = read_seed, .off = "-1 4294967295"},
    {.key = "samplers", .read = read_samplers},
    PLK_REFUSE("ignore_eos", "false", PLK_NOTE_EOS),
    PLK_REFUSE("grammar", "\"\"", PLK_NOTE_MASK),
    PLK_REFUSE("grammar_lazy", "false", PLK_NOTE_MASK),
    PLK_REFUSE("grammar_triggers", "[]", PLK_NOTE_MASK),
    PLK_REFUSE("grammar_type", "\"\"", PLK_NOTE_MASK),
    PLK_REFUSE("json_schema", NULL, PLK_NOTE_MASK),
    {.key = "response_format",
     .read = plk_import_format,
     .off = "text \"\"",
     .note = PLK_NOTE_MASK},
    PLK_REFUSE("tools", "[]", PLK_NOTE_MASK),
    PLK_REFUSE("tool_choice", "auto none", PLK_NOTE_MASK),
    PLK_REFUSE("reasoning_budget_tokens", "-1", "forces tokens when the reasoning gets long"),
    PLK_REFUSE("thinking_budget_tokens", "-1", "forces tokens when the reasoning gets long"),
    PLK_REFUSE("penalize_nl", "true",
               "false frees newlines from the penalties in versions before December 2024"),
    PLK_REFUSE("tfs_z", ">=1",
               "of older versions, whose tail-free sampling is not pluck's tail_free"),
    {.key = NULL},
};

static const plk_import_group ignored[] = {
    {PLK_NOTE_PROMPT, "add_generation_prompt chat_template chat_template_kwargs "
                      "continue_final_message generation_prompt image_data input_extra "
                      "input_prefix input_suffix parallel_tool_calls reasoning_effort"},
    {PLK_NOTE_SERVER, "backend_sampling chat_format chat_parser id_slot n_probs parse_tool_calls "
                      "post_sampling_probs preserved_tokens reasoning_control reasoning_format "
                      "reasoning_in_content response_fields return_progress return_tokens "
                      "sse_ping_interval timings_per_token user verbose"},
    {PLK_NOTE_MEMORY, "cache_prompt n_cache_reuse n_discard n_keep"},
    {PLK_NOTE_MODEL, "lora"},
    {PLK_NOTE_LENGTH, "n_indent n_predict t_max_predict_ms t_max_prompt_ms"},
    {PLK_NOTE_COUNT, "n_cmpl"},
    {"nothing without a budget",
     "reasoning_budget_end_tag reasoning_budget_message reasoning_budget_start_tag"},
    {PLK_NOTE_SPEED,
     "speculative.n_max speculative.n_min speculative.p_min speculative.type speculative.types"},
    {NULL, NULL},
};

const plk_importer plk_import_llama_cpp = {
    .name = "llama.cpp",
    .title = "llama.cpp",
    .rules = rules,
    .ignored = ignored,
    .is_chat = true,
    .order = "logit_bias penalties dry top_n_sigma top_k typical top_p min_p xtc temperature",
    .wrappers = "default_generation_settings generation_settings",
    .merge = PLK_IMPORT_SUM,
    .start = start,
    .why_idle = why_idle,
    .defaults = defaults,
    .finish = finish,
};
