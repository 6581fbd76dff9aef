/*
 * The body of a request to llama.cpp's server. The samplers and their order are "samplers", of
 * names or one letter each; a key whose sampler is not among them has no effect; a mirostat takes
 * the place of all but the temperature. Absent keys have the server's defaults. Source: llama.cpp,
 * tools/server/README.md, common/common.h and common/sampling.cpp.
 */
#include "config/import_impl.h"

#include "base/alloc.h"

#include <stdio.h>
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
    {"infill", 'i', NULL},
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

static const char mirostat_note[] = "mirostat takes the place of this sampler";
static const char absent_note[] = "its sampler is not among \"samplers\"";

static bool has_mirostat(const pl_import *import)
{
    return pl_import_number(import, "mirostat", 0) != 0;
}

/* Whether the order names a stage: quoted, so that top_p is not found in another name. */
static bool runs(const pl_import *import, const char *stage)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\"", stage);
    return strstr(import->order, quoted) != NULL;
}

/* Why a stage's keys have no effect; NULL: they have. */
static const char *why_not(const pl_import *import, const char *stage)
{
    if (has_mirostat(import) && strcmp(stage, "temperature") != 0)
        return mirostat_note;
    if (!has_mirostat(import) && !runs(import, stage))
        return absent_note;
    return NULL;
}

/* Appends a stage to the order. false: it is there already. */
static bool append_stage(pl_import *import, const char *stage)
{
    const size_t n = strlen(import->order);
    if (runs(import, stage))
        return false;
    snprintf(import->order + n - 1, sizeof import->order - n + 1, "%s\"%s\"]", n > 2 ? ", " : "",
             stage);
    return true;
}

static pluck_status add_sampler(pl_import *import, const cJSON *node, const sampler_name *found,
                                const char *what)
{
    char note[96];
    if (!found || !found->stage)
        snprintf(note, sizeof note, "there is no stage for the sampler %.40s", what);
    else if (!append_stage(import, found->stage))
        snprintf(note, sizeof note, "%.40s comes twice, but a stage runs once", what);
    else
        return PLUCK_OK;
    pl_import_tell(import, node->string ? node->string : "samplers", PLUCK_IMPORT_REFUSED, note);
    return PLUCK_OK;
}

static pluck_status read_names(pl_import *import, const cJSON *node)
{
    for (const cJSON *item = node->child; item; item = item->next) {
        const sampler_name *found = NULL;
        if (!cJSON_IsString(item))
            return pl_json_fail(import->json, item, import->err, "the name of a sampler, not %s",
                                pl_json_kind(item));
        for (int i = 0; i < N_NAMES && !found; i++)
            if (strcmp(sampler_names[i].name, item->valuestring) == 0)
                found = &sampler_names[i];
        pluck_status status = add_sampler(import, node, found, item->valuestring);
        if (status != PLUCK_OK)
            return status;
    }
    return PLUCK_OK;
}

static pluck_status read_letters(pl_import *import, const cJSON *node)
{
    for (const char *letter = node->valuestring; *letter; letter++) {
        const char what[] = {*letter, '\0'};
        const sampler_name *found = NULL;
        for (int i = 0; i < N_NAMES && !found; i++)
            if (sampler_names[i].letter == *letter)
                found = &sampler_names[i];
        const bool ascii = *letter > ' ' && *letter <= '~';
        pluck_status status = add_sampler(import, node, found, ascii ? what : "(not a letter)");
        if (status != PLUCK_OK)
            return status;
    }
    return PLUCK_OK;
}

/* The order comes first: other keys ask it. */
static pluck_status start(pl_import *import)
{
    const cJSON *node = pl_import_member(import, "samplers");
    if (!node)
        return PLUCK_OK;
    snprintf(import->order, sizeof import->order, "[\"logit_bias\"]");
    if (cJSON_IsArray(node))
        return read_names(import, node);
    if (cJSON_IsString(node))
        return read_letters(import, node);
    return pl_json_fail(import->json, node, import->err,
                        "an array of names of samplers or a string of their letters, not %s",
                        pl_json_kind(node));
}

static pluck_status read_samplers(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    (void)node;
    pl_import_tell(import, rule->key,
                   has_mirostat(import) ? PLUCK_IMPORT_IGNORED : PLUCK_IMPORT_MAPPED,
                   has_mirostat(import) ? mirostat_note : "order");
    return PLUCK_OK;
}

/* Keys of a sampler that may not run. */
static pluck_status read_stage_key(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    const char *why = why_not(import, rule->stage);
    if (!why)
        return pl_import_copy(import, rule, node);
    pl_import_tell(import, rule->key, PLUCK_IMPORT_IGNORED, why);
    return PLUCK_OK;
}

/* The same where 0 and below mean "off". */
static pluck_status read_switched(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    const char *why = why_not(import, rule->stage);
    if (!why)
        return pl_import_at_least_0(import, rule, node);
    pl_import_tell(import, rule->key, PLUCK_IMPORT_IGNORED, why);
    return PLUCK_OK;
}

static pluck_status read_mirostat_key(pl_import *import, const pl_import_rule *rule,
                                      const cJSON *node)
{
    if (has_mirostat(import))
        return pl_import_copy(import, rule, node);
    pl_import_tell(import, rule->key, PLUCK_IMPORT_IGNORED, "mirostat is off");
    return PLUCK_OK;
}

/* A negative target switches it off; the draw is chosen by the list of samplers. */
static pluck_status read_adaptive(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    if (pl_import_number(import, "adaptive_target", -1) >= 0)
        return read_stage_key(import, rule, node);
    pl_import_tell(import, rule->key, PLUCK_IMPORT_IGNORED, "adaptive_target below 0: off");
    return PLUCK_OK;
}

static pluck_status read_min_keep(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    if (!cJSON_IsNumber(node) || pl_json_number(import->json, node) != 0)
        return pl_import_copy(import, rule, node);
    pl_import_tell(import, rule->key, PLUCK_IMPORT_IGNORED, "0: one token is always kept");
    return PLUCK_OK;
}

static bool dry_acts(const pl_import *import)
{
    return pl_import_number(import, "dry_multiplier", 0) > 0 && !why_not(import, "dry");
}

/* Texts, which only a vocabulary turns into tokens. */
static pluck_status read_breakers(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    if (dry_acts(import))
        return pl_import_refuse(import, rule, node);
    pl_import_tell(import, rule->key, PLUCK_IMPORT_IGNORED, "dry is off");
    return PLUCK_OK;
}

/* [[5, -1.5], ["word", false]] or {"5": -1.5}. false bans. */
static pluck_status read_biases(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    unsigned n_texts = 0;
    if (cJSON_IsObject(node))
        return pl_import_bias_map(import, rule, node);
    if (!cJSON_IsArray(node))
        return pl_json_fail(import->json, node, import->err,
                            "an array of pairs, or an object, not %s", pl_json_kind(node));
    for (const cJSON *pair = node->child; pair; pair = pair->next) {
        const cJSON *token = cJSON_IsArray(pair) ? pair->child : NULL;
        const cJSON *bias = token ? token->next : NULL;
        if (!bias || bias->next || !(cJSON_IsNumber(bias) || cJSON_IsFalse(bias)))
            return pl_json_fail(import->json, pair, import->err,
                                "a pair of a token and a number or false");
        if (!cJSON_IsNumber(token)) {
            n_texts++;
            continue;
        }
        size_t length = 0;
        char *key = pl_import_text(import, token, &length);
        char *value = key ? pl_import_text(import, bias, &length) : NULL;
        pluck_status status =
            value ? pl_import_add_bias(import, pair, key, value) : PLUCK_ERR_NOMEM;
        pl_free(&import->config->allocator, key);
        pl_free(&import->config->allocator, value);
        if (status != PLUCK_OK)
            return status;
    }
    if (node->child == NULL || import->n_biases > 0)
        pl_import_tell(import, rule->key, PLUCK_IMPORT_MAPPED, "logit_bias");
    if (n_texts > 0)
        pl_import_tell(import, rule->key, PLUCK_IMPORT_REFUSED,
                       "words need a vocabulary: give token ids");
    return PLUCK_OK;
}

/* It is a draw, and comes last wherever it was named. */
static pluck_status move_adaptive(pl_import *import)
{
    static const char named[] = ", \"adaptive_p\"";
    char *at = strstr(import->order, named);
    if (!at)
        return PLUCK_OK;
    memmove(at, at + strlen(named), strlen(at + strlen(named)) + 1);
    if (pl_import_number(import, "adaptive_target", -1) < 0)
        return PLUCK_OK;
    return pl_import_set(import, import->json->root, "draw", "\"adaptive_p\"");
}

static pluck_status finish(pl_import *import)
{
    static const struct {
        const char *key, *stage, *value;
    } defaults[] = {{"temperature", "temperature", "0.8"},
                    {"top_k", "top_k", "40"},
                    {"top_p", "top_p", "0.95"},
                    {"min_p", "min_p", "0.05"}};
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++) {
        if (pl_import_member(import, defaults[i].key) || why_not(import, defaults[i].stage))
            continue;
        pluck_status status =
            pl_import_default(import, defaults[i].key, defaults[i].key, defaults[i].value);
        if (status != PLUCK_OK)
            return status;
    }
    if (has_mirostat(import)) /* the default order names all stages that may be there */
        snprintf(import->order, sizeof import->order, "%s", import->importer->order);
    const bool dry = dry_acts(import);
    pluck_status status = move_adaptive(import);
    if (status != PLUCK_OK || !dry)
        return status;
    if (!pl_import_member(import, "dry_sequence_breakers"))
        pl_import_tell(import, "dry_sequence_breakers", PLUCK_IMPORT_REFUSED,
                       "absent, llama.cpp breaks at the texts \\n : \" *: give their token ids as "
                       "dry_sequence_breakers");
    if (!pl_import_member(import, "dry_penalty_last_n"))
        return pl_import_default(import, "dry_penalty_last_n", "dry_penalty_last_n", "64");
    return PLUCK_OK;
}

#define TEXT    "about the prompt"
#define LENGTH  "how long the text gets is the engine's to say"
#define SERVER  "about the server's work and its answer"
#define GRAMMAR "constrains the text: an engine does that by masks"

static const pl_import_rule rules[] = {
    {"temperature", read_switched, NULL, "temperature", "temperature", 0},
    {"dynatemp_range", read_stage_key, NULL, "dynatemp_range", "temperature", 0},
    {"dynatemp_exponent", read_stage_key, NULL, "dynatemp_exponent", "temperature", 0},
    {"top_k", read_switched, NULL, "top_k", "top_k", 0},
    {"top_p", read_stage_key, NULL, "top_p", "top_p", 0},
    {"min_p", read_stage_key, NULL, "min_p", "min_p", 0},
    {"typical_p", read_stage_key, NULL, "typical_p", "typical", 0},
    {"top_n_sigma", read_switched, NULL, "top_n_sigma", "top_n_sigma", 0},
    {"xtc_probability", read_stage_key, NULL, "xtc_probability", "xtc", 0},
    {"xtc_threshold", read_stage_key, NULL, "xtc_threshold", "xtc", 0},
    {"repeat_last_n", read_stage_key, NULL, "repeat_last_n", "penalties", 0},
    {"repeat_penalty", read_stage_key, NULL, "repeat_penalty", "penalties", 0},
    {"presence_penalty", read_stage_key, NULL, "presence_penalty", "penalties", 0},
    {"frequency_penalty", read_stage_key, NULL, "frequency_penalty", "penalties", 0},
    {"dry_multiplier", read_stage_key, NULL, "dry_multiplier", "dry", 0},
    {"dry_base", read_stage_key, NULL, "dry_base", "dry", 0},
    {"dry_allowed_length", read_stage_key, NULL, "dry_allowed_length", "dry", 0},
    {"dry_penalty_last_n", read_stage_key, NULL, "dry_penalty_last_n", "dry", 0},
    {"dry_sequence_breakers", read_breakers,
     "texts need a vocabulary: give their token ids as dry_sequence_breakers", NULL, "dry", 0},
    {"mirostat", pl_import_copy, NULL, "mirostat", NULL, 0},
    {"mirostat_tau", read_mirostat_key, NULL, "mirostat_tau", NULL, 0},
    {"mirostat_eta", read_mirostat_key, NULL, "mirostat_eta", NULL, 0},
    {"adaptive_target", read_adaptive, NULL, "adaptive_target", "adaptive_p", 0},
    {"adaptive_decay", read_adaptive, NULL, "adaptive_decay", "adaptive_p", 0},
    {"min_keep", read_min_keep, NULL, "min_keep", NULL, 0},
    {"logit_bias", read_biases, NULL, "logit_bias", NULL, 0},
    {"seed", pl_import_seed, NULL, "seed", NULL, 0},
    {"samplers", read_samplers, NULL, NULL, NULL, 0},
    {"ignore_eos", pl_import_refuse, "needs the ids of the end of the text: ban them in logit_bias",
     NULL, NULL, 0},
    {"grammar", pl_import_refuse, GRAMMAR, NULL, NULL, 0},
    {"grammar_lazy", pl_import_refuse, GRAMMAR, NULL, NULL, 0},
    {"grammar_triggers", pl_import_refuse, GRAMMAR, NULL, NULL, 0},
    {"json_schema", pl_import_refuse, GRAMMAR, NULL, NULL, 0},
    {"response_format", pl_import_refuse, GRAMMAR, NULL, NULL, 0},
    {"tools", pl_import_refuse, GRAMMAR, NULL, NULL, 0},
    {"tool_choice", pl_import_refuse, GRAMMAR, NULL, NULL, 0},
    {"penalize_nl", pl_import_refuse, "newlines are tokens like others", NULL, NULL, 0},
    {"tfs_z", pl_import_refuse, "of older versions: tail_free, which this order does not have",
     NULL, NULL, 1},
    {"lora", pl_import_ignore, "about the model", NULL, NULL, 0},
    {"prompt", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"messages", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"chat_template_kwargs", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"add_generation_prompt", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"reasoning_format", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"stream_options", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"logprobs", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"top_logprobs", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"n", pl_import_ignore, "how many texts: one sampler each", NULL, NULL, 0},
    {"input_prefix", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"input_suffix", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"image_data", pl_import_ignore, TEXT, NULL, NULL, 0},
    {"model", pl_import_ignore, "about the model", NULL, NULL, 0},
    {"n_predict", pl_import_ignore, LENGTH, NULL, NULL, 0},
    {"max_tokens", pl_import_ignore, LENGTH, NULL, NULL, 0},
    {"n_indent", pl_import_ignore, LENGTH, NULL, NULL, 0},
    {"n_keep", pl_import_ignore, "about the context's memory", NULL, NULL, 0},
    {"n_discard", pl_import_ignore, "about the context's memory", NULL, NULL, 0},
    {"n_cache_reuse", pl_import_ignore, "about the context's memory", NULL, NULL, 0},
    {"cache_prompt", pl_import_ignore, "about the context's memory", NULL, NULL, 0},
    {"t_max_predict_ms", pl_import_ignore, LENGTH, NULL, NULL, 0},
    {"t_max_prompt_ms", pl_import_ignore, LENGTH, NULL, NULL, 0},
    {"stop", pl_import_ignore, LENGTH, NULL, NULL, 0},
    {"stream", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"n_cmpl", pl_import_ignore, "how many texts: one sampler each", NULL, NULL, 0},
    {"n_probs", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"post_sampling_probs", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"id_slot", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"return_tokens", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"return_progress", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"response_fields", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"timings_per_token", pl_import_ignore, SERVER, NULL, NULL, 0},
    {"backend_sampling", pl_import_ignore, SERVER, NULL, NULL, 0},
    {NULL, NULL, NULL, NULL, NULL, 0},
};

const pl_importer pl_import_llama_cpp = {
    .name = "llama.cpp",
    .rules = rules,
    .order = "[\"logit_bias\", \"penalties\", \"dry\", \"top_n_sigma\", \"top_k\", \"typical\", "
             "\"top_p\", \"min_p\", \"xtc\", \"temperature\"]",
    .start = start,
    .finish = finish,
};
