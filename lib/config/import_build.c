/*
 * What the readers of an import gather, and how it becomes a configuration: biases of tokens are
 * sorted and merged, as an engine merges them; the chain of stages becomes "order", or, where a
 * stage occurs twice, the explicit form, in which each occurrence has its parameters.
 */
#include "config/import_build.h"

#include "base/alloc.h"
#include "config/import_read.h"
#include "stages/stage_impl.h"
#include "json/write.h"

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

pluck_status plk_import_add_bias(plk_import *import, uint32_t token, double value)
{
    if (import->n_biases == import->biases_capacity) {
        size_t capacity = import->biases_capacity != 0 ? 2 * import->biases_capacity : 16;
        pluck_bias *larger = plk_alloc(import->allocator, capacity, sizeof *larger);
        if (!larger)
            return plk_fail_nomem(import->err, capacity * sizeof *larger);
        if (import->n_biases > 0)
            memcpy(larger, import->biases, import->n_biases * sizeof *larger);
        plk_free(import->allocator, import->biases);
        import->biases = larger;
        import->biases_capacity = capacity;
    }
    import->biases[import->n_biases++] = (pluck_bias){.token = token, .bias = value};
    return PLUCK_OK;
}

static bool bias_before(const void *a, const void *b)
{
    return ((const pluck_bias *)a)->token < ((const pluck_bias *)b)->token;
}

/* Sorts, and makes one bias of those of the same token. */
static pluck_status merge_biases(plk_import *import)
{
    size_t n = import->n_biases;
    pluck_bias *scratch = plk_alloc(import->allocator, n, sizeof *scratch);
    if (!scratch)
        return plk_fail_nomem(import->err, n * sizeof *scratch);
    plk_sort(import->biases, scratch, n, sizeof *scratch, bias_before);
    plk_free(import->allocator, scratch);
    size_t last = 0;
    for (size_t i = 1; i < n; i++) {
        pluck_bias *merged = &import->biases[last];
        const pluck_bias *next = &import->biases[i];
        if (next->token != merged->token)
            import->biases[++last] = *next;
        else if (isinf(merged->bias) || isinf(next->bias))
            merged->bias = -(double)INFINITY;
        else
            merged->bias =
                import->importer->merge == PLK_IMPORT_SUM ? merged->bias + next->bias : next->bias;
    }
    import->n_biases = last + 1;
    return PLUCK_OK;
}

static pluck_status set_biases(plk_import *import)
{
    enum { ITEM_BYTES = PLK_NUMBER_TEXT_BYTES + 16 };
    if (import->n_biases == 0)
        return PLUCK_OK;
    pluck_status status = merge_biases(import);
    if (status != PLUCK_OK)
        return status;
    size_t capacity = import->n_biases * ITEM_BYTES + 3;
    char *text = plk_alloc(import->allocator, capacity, 1);
    size_t n = 0;
    if (!text)
        return plk_fail_nomem(import->err, capacity);
    for (size_t i = 0; i < import->n_biases; i++) {
        char number[PLK_NUMBER_TEXT_BYTES] = "false";
        if (!isinf(import->biases[i].bias))
            plk_number_write(import->biases[i].bias, number);
        n += (size_t)snprintf(text + n, capacity - n, "%c\"%u\":%s", i != 0 ? ',' : '{',
                              (unsigned)import->biases[i].token, number);
    }
    snprintf(text + n, capacity - n, "}");
    bool done = true;
    status = plk_import_set(import, "logit_bias", text, &done);
    plk_free(import->allocator, text);
    return status;
}

static bool token_before(const void *a, const void *b)
{
    return *(const uint32_t *)a < *(const uint32_t *)b;
}

/* Writes the n tokens, each once. text has room for 10 bytes of each. */
static void write_tokens(char *text, uint32_t *tokens, size_t n)
{
    size_t at = 0;
    plk_sort(tokens, tokens + n, n, sizeof *tokens, token_before);
    text[at++] = '[';
    for (size_t i = 0; i < n; i++)
        if (i == 0 || tokens[i] != tokens[i - 1])
            at += (size_t)snprintf(text + at, 12, "%s%u", i != 0 ? "," : "", (unsigned)tokens[i]);
    memcpy(text + at, "]", 2);
}

pluck_status plk_import_token_list(plk_import *import, const plk_json_node *node, char **text)
{
    size_t capacity = 1, n = 0;
    *text = NULL;
    for (const plk_json_node *item = plk_json_child(node); item; item = plk_json_sibling(item))
        capacity++;
    uint32_t *tokens = plk_alloc(import->allocator, capacity, 2 * sizeof *tokens);
    if (!tokens)
        return plk_fail_nomem(import->err, capacity * 2 * sizeof *tokens);
    if (plk_json_is(node, PLK_JSON_NUMBER) && plk_import_token_of(node, &tokens[0]))
        n = 1;
    for (const plk_json_node *item = plk_json_is(node, PLK_JSON_ARRAY) ? plk_json_child(node)
                                                                       : NULL;
         item; item = plk_json_sibling(item))
        n += plk_import_token_of(item, &tokens[n]);
    if (n > 0) {
        *text = plk_alloc(import->allocator, n + 2, 11);
        if (*text)
            write_tokens(*text, tokens, n);
    }
    plk_free(import->allocator, tokens);
    return n > 0 && !*text ? plk_fail_nomem(import->err, n * 11) : PLUCK_OK;
}

void plk_import_append(plk_import *import, const char *stage, unsigned part)
{
    const plk_stage *found = plk_stage_find(stage);
    assert(found && part < PLK_IMPORT_PARTS);
    if (import->n_chain < PLK_IMPORT_CHAIN)
        import->chain[import->n_chain++] = (plk_import_link){found, part};
}

void plk_import_start_chain(plk_import *import, const char *stages)
{
    import->n_chain = 0;
    while (*stages != '\0') {
        char name[32];
        size_t n = strcspn(stages, " ");
        snprintf(name, sizeof name, "%.*s", (int)n, stages);
        plk_import_append(import, name, 0);
        stages += n + (stages[n] == ' ');
    }
}

bool plk_import_runs(const plk_import *import, const char *stage)
{
    for (size_t i = 0; i < import->n_chain; i++)
        if (strcmp(import->chain[i].stage->info.name, stage) == 0)
            return true;
    return false;
}

/* What a link runs: the configured entry of its stage, or of one that replaces it. NULL: none. */
static const plk_config_entry *entry_of(const plk_import *import, const plk_import_link *link)
{
    const pluck_config *config = import->parts[link->part];
    for (size_t i = 0; config && i < config->n_running; i++) {
        const plk_config_entry *entry = &config->entries[config->running[i]];
        const char *replaces = entry->stage->replaces;
        if (entry->stage == link->stage ||
            (replaces && strcmp(replaces, link->stage->info.name) == 0))
            return entry;
    }
    return NULL;
}

bool plk_import_configures(const plk_import *import, const char *stage)
{
    plk_import_link link = {plk_stage_find(stage), import->part};
    return entry_of(import, &link) != NULL;
}

pluck_status plk_import_set_window(plk_import *import, const char *last_n, bool ignore_prompt)
{
    if (!plk_import_configures(import, "penalties"))
        return PLUCK_OK;
    pluck_status status = plk_import_set(import, "repeat_last_n", last_n, NULL);
    return status == PLUCK_OK && ignore_prompt
               ? plk_import_set(import, "repeat_ignore_prompt", "true", NULL)
               : status;
}

/* Whether two links that run have the same stage, or one is of another part. */
static bool needs_explicit_form(const plk_import *import)
{
    for (size_t i = 0; i < import->n_chain; i++) {
        if (!entry_of(import, &import->chain[i]))
            continue;
        if (import->chain[i].part > 0)
            return true;
        for (size_t j = 0; j < i; j++)
            if (import->chain[j].stage == import->chain[i].stage)
                return true;
    }
    return false;
}

/* Names each stage once, those too that are not configured: a user may add them. */
static pluck_status set_order(plk_import *import)
{
    char order[1024] = "[";
    size_t n = 1;
    for (size_t i = 0; i < import->n_chain; i++) {
        bool again = false;
        for (size_t j = 0; j < i; j++)
            again = again || import->chain[j].stage == import->chain[i].stage;
        if (!again)
            n += (size_t)snprintf(order + n, sizeof order - n, "%s\"%s\"", n > 1 ? ", " : "",
                                  import->chain[i].stage->info.name);
    }
    snprintf(order + n, sizeof order - n, "]");
    return plk_import_set(import, "order", order, NULL);
}

/* Takes the parameters of an entry; the place has the defaults. */
static pluck_status copy_params(pluck_config *config, size_t index, const plk_config_entry *from,
                                pluck_error *err)
{
    void *params = NULL;
    plk_config_entry *entry = &config->entries[index];
    pluck_status status =
        plk_params_clone(&params, &from->stage->info, from->params, &config->allocator, err);
    if (status != PLUCK_OK)
        return status;
    plk_params_destroy(&entry->stage->info, entry->params, &config->allocator);
    entry->params = params;
    return PLUCK_OK;
}

/* The draw, with what flat keys set as if it had been set inside "draw". */
static pluck_status copy_draw(pluck_config *config, const pluck_config *from, pluck_error *err)
{
    const plk_config_entry *entry = &from->entries[plk_config_find(from, from->draw)];
    pluck_status status = plk_config_choose_draw(config, from->draw, err);
    if (status != PLUCK_OK)
        return status;
    size_t index = plk_config_find(config, from->draw);
    config->has_draw = from->has_draw || from->has_mirostat;
    config->entries[index].given_in_draw = entry->given | entry->given_in_draw;
    return copy_params(config, index, entry, err);
}

static pluck_status make_explicit(plk_import *import)
{
    const pluck_config *flat = import->parts[0];
    pluck_config *config = NULL;
    const plk_stage *missing = NULL;
    pluck_status status = pluck_config_create(&config, &flat->allocator, import->err);
    if (status == PLUCK_OK)
        status = copy_draw(config, flat, import->err);
    for (size_t i = 0; i < import->n_chain && status == PLUCK_OK; i++) {
        const plk_config_entry *entry = entry_of(import, &import->chain[i]);
        if (!entry)
            continue;
        size_t index = config->n_entries - 1; /* before the draw */
        status = plk_config_insert(config, index, entry->stage, import->err);
        if (status == PLUCK_OK)
            status = copy_params(config, index, entry, import->err);
        if (status == PLUCK_OK)
            config->entries[index].given = entry->given;
    }
    if (status == PLUCK_OK) {
        config->explicit_form = true;
        config->has_seed = flat->has_seed;
        config->random_seed = flat->random_seed;
        config->seed = flat->seed;
        config->has_on_nan = flat->has_on_nan;
        config->on_nan = flat->on_nan;
        plk_config_arrange(config, &missing);
        plk_config_move(import->parts[0], config);
    }
    pluck_config_destroy(&config);
    return status;
}

pluck_status plk_import_build(plk_import *import)
{
    pluck_status status = set_biases(import);
    if (status != PLUCK_OK)
        return status;
    return needs_explicit_form(import) ? make_explicit(import) : set_order(import);
}
