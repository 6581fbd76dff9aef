/*
 * A text of another engine is read key by key. A rule of that engine's table sets flat keys of an
 * empty configuration, says why the key does not matter, or refuses it; the engine then adds what
 * its absent keys mean, and "order" comes last, when all stages are there. All values go through
 * pluck_config_set(), so that types and ranges are those of the flat form.
 */
#include <pluck/import.h>

#include "base/alloc.h"
#include "config/import_impl.h"
#include "config/nearest_name.h"
#include "json/json_number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* By pluck_config_kind. */
static const pl_importer *const importers[] = {&pl_import_huggingface, &pl_import_llama_cpp,
                                               &pl_import_vllm, &pl_import_openai};
enum { N_IMPORTERS = sizeof importers / sizeof *importers };

const char *pluck_config_kind_name(pluck_config_kind kind)
{
    return (unsigned)kind < N_IMPORTERS ? importers[kind]->name : NULL;
}

pluck_status pluck_config_kind_from_name(const char *name, pluck_config_kind *kind,
                                         pluck_error *err)
{
    if (!name || !kind)
        return pl_fail(err, PLUCK_ERR_INVALID, "name or kind is NULL");
    for (unsigned i = 0; i < N_IMPORTERS; i++)
        if (strcmp(importers[i]->name, name) == 0) {
            *kind = (pluck_config_kind)i;
            return PLUCK_OK;
        }
    return pl_fail(err, PLUCK_ERR_INVALID,
                   "unknown kind '%.40s'; known are huggingface, llama.cpp, vllm, openai", name);
}

const char *pluck_import_fate_name(pluck_import_fate fate)
{
    static const char *const names[] = {"mapped", "ignored", "refused"};
    return (unsigned)fate < sizeof names / sizeof *names ? names[fate] : NULL;
}

static const pl_import_rule *find_rule(const pl_importer *importer, const char *key)
{
    for (const pl_import_rule *rule = importer->rules; rule->key; rule++)
        if (strcmp(rule->key, key) == 0)
            return rule;
    return NULL;
}

void pl_import_tell(pl_import *import, const char *key, pluck_import_fate fate, const char *note)
{
    if (import->report)
        import->report(import->user, key, fate, note ? note : "");
}

char *pl_import_text(pl_import *import, const cJSON *node, size_t *length)
{
    const char *text = pl_json_value_text(import->json, node, length);
    char *copy = pl_alloc(&import->config->allocator, *length + 1, 1);
    if (!copy) {
        pl_fail_nomem(import->err, *length + 1);
        return NULL;
    }
    memcpy(copy, text, *length);
    copy[*length] = '\0';
    return copy;
}

const cJSON *pl_import_member(const pl_import *import, const char *key)
{
    const cJSON *node = pl_json_member(import->json->root, key);
    return node && !cJSON_IsNull(node) ? node : NULL;
}

bool pl_import_is_true(const pl_import *import, const char *key)
{
    const cJSON *node = pl_import_member(import, key);
    return node && cJSON_IsTrue(node);
}

double pl_import_number(const pl_import *import, const char *key, double absent)
{
    const cJSON *node = pl_import_member(import, key);
    return node && cJSON_IsNumber(node) ? pl_json_number(import->json, node) : absent;
}

pluck_status pl_import_set(pl_import *import, const cJSON *node, const char *flat_key,
                           const char *json_value)
{
    pluck_error inner;
    pluck_status status = pluck_config_set(import->config, flat_key, json_value, &inner);
    if (status == PLUCK_ERR_CONFIG)
        return pl_json_fail(import->json, node, import->err, "%s", inner.message);
    return status == PLUCK_OK ? status : pl_fail(import->err, status, "%s", inner.message);
}

pluck_status pl_import_default(pl_import *import, const char *key, const char *flat_key,
                               const char *json_value)
{
    char note[96];
    snprintf(note, sizeof note, "%s: absent, %s's default is %s", flat_key, import->importer->name,
             json_value);
    pluck_status status = pl_import_set(import, import->json->root, flat_key, json_value);
    if (status == PLUCK_OK)
        pl_import_tell(import, key, PLUCK_IMPORT_MAPPED, note);
    return status;
}

pluck_status pl_import_set_copy(pl_import *import, const cJSON *node, const char *flat_key)
{
    size_t length = 0;
    char *text = pl_import_text(import, node, &length);
    if (!text)
        return PLUCK_ERR_NOMEM;
    pluck_status status = pl_import_set(import, node, flat_key, text);
    pl_free(&import->config->allocator, text);
    return status;
}

static void tell_mapped(pl_import *import, const pl_import_rule *rule)
{
    char note[192];
    snprintf(note, sizeof note, "%s%s%s", rule->flat_key, rule->note ? ": " : "",
             rule->note ? rule->note : "");
    pl_import_tell(import, rule->key, PLUCK_IMPORT_MAPPED, note);
}

pluck_status pl_import_ignore(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    (void)node;
    pl_import_tell(import, rule->key, PLUCK_IMPORT_IGNORED, rule->note);
    return PLUCK_OK;
}

static bool has_no_effect(const pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    if (cJSON_IsNumber(node)) {
        const double value = pl_json_number(import->json, node);
        return value == 0 || value == rule->neutral;
    }
    if (cJSON_IsString(node))
        return node->valuestring[0] == '\0';
    return cJSON_IsFalse(node) || ((cJSON_IsArray(node) || cJSON_IsObject(node)) && !node->child);
}

pluck_status pl_import_refuse(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    if (has_no_effect(import, rule, node))
        pl_import_tell(import, rule->key, PLUCK_IMPORT_IGNORED, "this value has no effect");
    else
        pl_import_tell(import, rule->key, PLUCK_IMPORT_REFUSED, rule->note);
    return PLUCK_OK;
}

pluck_status pl_import_copy(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    pluck_status status = pl_import_set_copy(import, node, rule->flat_key);
    if (status == PLUCK_OK)
        tell_mapped(import, rule);
    return status;
}

pluck_status pl_import_at_least_0(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    if (!cJSON_IsNumber(node) || pl_json_number(import->json, node) > 0)
        return pl_import_copy(import, rule, node);
    pluck_status status = pl_import_set(import, node, rule->flat_key, "0");
    if (status == PLUCK_OK)
        tell_mapped(import, rule);
    return status;
}

pluck_status pl_import_seed(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    const double value = cJSON_IsNumber(node) ? pl_json_number(import->json, node) : 0;
    if (!(value < 0) && value != 4294967295.0)
        return pl_import_copy(import, rule, node);
    pluck_status status = pl_import_set(import, node, rule->flat_key, "\"random\"");
    if (status == PLUCK_OK)
        pl_import_tell(import, rule->key, PLUCK_IMPORT_MAPPED, "seed: a random one");
    return status;
}

pluck_status pl_import_add_bias(pl_import *import, const cJSON *node, const char *token,
                                const char *value)
{
    const size_t needed = import->n_biases + strlen(token) + strlen(value) + 8;
    if (needed > import->biases_capacity) {
        const pluck_allocator *allocator = &import->config->allocator;
        char *larger = pl_alloc(allocator, needed, 2);
        if (!larger)
            return pl_fail_nomem(import->err, needed * 2);
        if (import->biases)
            memcpy(larger, import->biases, import->n_biases);
        pl_free(allocator, import->biases);
        import->biases = larger;
        import->biases_capacity = needed * 2;
    }
    (void)node;
    import->n_biases += (size_t)snprintf(import->biases + import->n_biases,
                                         import->biases_capacity - import->n_biases, "%s\"%s\":%s",
                                         import->n_biases > 0 ? "," : "{", token, value);
    return PLUCK_OK;
}

pluck_status pl_import_bias_map(pl_import *import, const pl_import_rule *rule, const cJSON *node)
{
    if (!cJSON_IsObject(node))
        return pl_json_fail(import->json, node, import->err,
                            "an object from token ids to biases, not %s", pl_json_kind(node));
    return pl_import_copy(import, rule, node);
}

static pluck_status read_unknown(pl_import *import, const cJSON *node)
{
    char nearest[PL_SUGGESTION_BYTES], note[PL_SUGGESTION_BYTES + 64];
    pl_suggestion suggestion = pl_suggest(node->string);
    for (const pl_import_rule *rule = import->importer->rules; rule->key; rule++)
        pl_suggest_offer(&suggestion, rule->key, NULL);
    pl_suggest_write(&suggestion, nearest);
    snprintf(note, sizeof note, "not a key of %s that is known here%s", import->importer->name,
             nearest);
    pl_import_tell(import, node->string, PLUCK_IMPORT_REFUSED, note);
    return PLUCK_OK;
}

static pluck_status read_key(pl_import *import, const cJSON *node)
{
    const pl_import_rule *rule = find_rule(import->importer, node->string);
    if (!rule)
        return read_unknown(import, node);
    if (cJSON_IsNull(node)) {
        pl_import_tell(import, rule->key, PLUCK_IMPORT_IGNORED, "null: not set");
        return PLUCK_OK;
    }
    return rule->read(import, rule, node);
}

/* What was gathered: the biases, and the order. */
static pluck_status set_last(pl_import *import)
{
    const cJSON *root = import->json->root;
    if (import->n_biases > 0) {
        import->biases[import->n_biases] = '}';
        import->biases[import->n_biases + 1] = '\0';
        pluck_status status = pl_import_set(import, root, "logit_bias", import->biases);
        if (status != PLUCK_OK)
            return status;
    }
    return pl_import_set(import, root, "order", import->order);
}

static pluck_status read_all(pl_import *import)
{
    const cJSON *root = import->json->root;
    if (!cJSON_IsObject(root))
        return pl_json_fail(import->json, root, import->err, "a configuration is an object, not %s",
                            pl_json_kind(root));
    snprintf(import->order, sizeof import->order, "%s", import->importer->order);
    pluck_status status = import->importer->start ? import->importer->start(import) : PLUCK_OK;
    for (const cJSON *member = root->child; member && status == PLUCK_OK; member = member->next)
        status = read_key(import, member);
    if (status == PLUCK_OK && import->importer->finish)
        status = import->importer->finish(import);
    return status == PLUCK_OK ? set_last(import) : status;
}

pluck_status pluck_config_import(pluck_config **out, pluck_config_kind kind, const char *json,
                                 size_t json_size_bytes, pluck_import_report report, void *user,
                                 const pluck_allocator *allocator, pluck_error *err)
{
    pl_json tree = {NULL, 0, NULL, NULL};
    pluck_config *config = NULL;
    if (!out)
        return pl_fail(err, PLUCK_ERR_INVALID, "pluck_config_import: out is NULL");
    *out = NULL;
    if ((!json && json_size_bytes > 0) || (unsigned)kind >= N_IMPORTERS)
        return pl_fail(err, PLUCK_ERR_INVALID, "pluck_config_import: %s",
                       (unsigned)kind >= N_IMPORTERS ? "unknown kind" : "json is NULL");
    pluck_status status = pluck_config_create(&config, allocator, err);
    if (status != PLUCK_OK)
        return status;
    pl_import import = {.importer = importers[kind],
                        .json = &tree,
                        .config = config,
                        .report = report,
                        .user = user,
                        .err = err};
    status = pl_json_open(&tree, json, json_size_bytes, NULL, &config->allocator, err);
    if (status == PLUCK_OK)
        status = read_all(&import);
    pl_json_close(&tree);
    pl_free(&config->allocator, import.biases);
    if (status == PLUCK_OK)
        *out = config;
    else
        pluck_config_destroy(&config);
    return status;
}

pluck_status pluck_config_guess_kind(const char *json, size_t json_size_bytes,
                                     pluck_config_kind *kind, pluck_error *err)
{
    pl_json tree = {NULL, 0, NULL, NULL};
    size_t known[N_IMPORTERS] = {0}, most = 0, n_most = 0;
    if (!kind || (!json && json_size_bytes > 0))
        return pl_fail(err, PLUCK_ERR_INVALID, "json or kind is NULL");
    const pluck_allocator allocator = pl_allocator_or_default(NULL);
    pluck_status status = pl_json_open(&tree, json, json_size_bytes, NULL, &allocator, err);
    if (status == PLUCK_OK && !cJSON_IsObject(tree.root))
        status = pl_json_fail(&tree, tree.root, err, "a configuration is an object, not %s",
                              pl_json_kind(tree.root));
    if (status == PLUCK_OK)
        for (const cJSON *member = tree.root->child; member; member = member->next)
            for (size_t i = 0; i < N_IMPORTERS; i++)
                known[i] += find_rule(importers[i], member->string) != NULL;
    /* vLLM knows OpenAI's keys and takes them alike: a text with these alone is OpenAI's. */
    if (known[PLUCK_CONFIG_VLLM] == known[PLUCK_CONFIG_OPENAI])
        known[PLUCK_CONFIG_VLLM] = 0;
    for (unsigned i = 0; i < N_IMPORTERS; i++) {
        n_most = known[i] > most ? 1 : n_most + (known[i] == most);
        most = known[i] > most ? known[i] : most;
        if (status == PLUCK_OK && n_most == 1 && known[i] == most)
            *kind = (pluck_config_kind)i;
    }
    pl_json_close(&tree);
    if (status == PLUCK_OK && (n_most != 1 || most == 0))
        return pl_fail(err, PLUCK_ERR_CONFIG,
                       "cannot tell whose configuration this is: %s; name its kind",
                       most == 0 ? "it has no known key" : "several engines know as many keys");
    return status;
}
