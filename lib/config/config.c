/*
 * The public functions: the life of a configuration and what can be asked of it. How each key is
 * read and written is in config_keys.c and config_stages.c.
 */
#include "config/config_impl.h"

#include "base/error.h"
#include "simd/fp_state.h"
#include "stages/stage_impl.h"

#include <pluck/config.h>

#include <string.h>

/* What "draw" is when it is absent. */
static const char default_draw[] = "categorical";

static void free_content(pluck_config *config)
{
    while (config->n_entries > 0)
        plk_config_remove(config, config->n_entries - 1);
    plk_free(&config->allocator, config->entries);
    plk_free(&config->allocator, config->running);
    plk_free(&config->allocator, config->order);
    plk_free(&config->allocator, config->schema_uri);
    plk_free(&config->allocator, config->description);
}

void plk_config_move(pluck_config *to, pluck_config *from)
{
    pluck_allocator allocator = from->allocator;
    free_content(to);
    *to = *from;
    *from = (pluck_config){.allocator = allocator};
}

pluck_status pluck_config_create(pluck_config **out, const pluck_allocator *allocator,
                                 pluck_error *err)
{
    const plk_stage *missing = NULL;
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_create: out is NULL");
    *out = NULL;
    pluck_allocator memory = plk_allocator_or_default(allocator);
    pluck_config *config = plk_alloc_zero(&memory, 1, sizeof *config);
    if (!config)
        return plk_fail_nomem(err, sizeof *config);
    config->allocator = memory;
    pluck_status status = plk_config_choose_draw(config, plk_stage_find(default_draw), err);
    if (status != PLUCK_OK) {
        pluck_config_destroy(&config);
        return status;
    }
    plk_config_arrange(config, &missing);
    *out = config;
    return PLUCK_OK;
}

void pluck_config_destroy(pluck_config **config)
{
    if (!config || !*config)
        return;
    pluck_allocator allocator = (*config)->allocator;
    free_content(*config);
    plk_free(&allocator, *config);
    *config = NULL;
}

static pluck_status clone_bytes(void *out, const void *bytes, size_t n, size_t size_bytes,
                                const pluck_allocator *allocator, pluck_error *err)
{
    if (!bytes)
        return PLUCK_OK;
    void *copy = plk_alloc(allocator, n, size_bytes);
    if (!copy)
        return plk_fail_nomem(err, n * size_bytes);
    if (n > 0)
        memcpy(copy, bytes, n * size_bytes);
    memcpy(out, &copy, sizeof copy);
    return PLUCK_OK;
}

static pluck_status clone_entries(pluck_config *copy, const pluck_config *config, pluck_error *err)
{
    for (size_t i = 0; i < config->n_entries; i++) {
        const plk_config_entry *entry = &config->entries[i];
        plk_config_entry *twin = &copy->entries[i];
        pluck_status status = plk_params_clone(&twin->params, &entry->stage->info, entry->params,
                                               &config->allocator, err);
        if (status != PLUCK_OK)
            return status;
        twin->stage = entry->stage;
        twin->given = entry->given;
        twin->given_in_draw = entry->given_in_draw;
        copy->n_entries++;
    }
    return PLUCK_OK;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

pluck_status pluck_config_clone(pluck_config **out, const pluck_config *config, pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_clone: out is NULL");
    *out = NULL;
    if (!config)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_clone: config is NULL");
    const pluck_allocator *memory = &config->allocator;
    pluck_config *copy = plk_alloc(memory, 1, sizeof *copy);
    if (!copy)
        return plk_fail_nomem(err, sizeof *copy);
    *copy = *config;
    copy->n_entries = 0;
    copy->entries = plk_alloc(memory, config->capacity, sizeof *copy->entries);
    copy->running = NULL;
    copy->order = NULL;
    copy->schema_uri = copy->description = NULL;
    pluck_status status = copy->entries
                              ? clone_entries(copy, config, err)
                              : plk_fail_nomem(err, config->capacity * sizeof *copy->entries);
    if (status == PLUCK_OK)
        status = clone_bytes(&copy->running, config->running, config->capacity,
                             sizeof *copy->running, memory, err);
    if (status == PLUCK_OK)
        status = clone_bytes(&copy->order, config->order, config->n_order, sizeof *copy->order,
                             memory, err);
    if (status == PLUCK_OK)
        status = clone_bytes(&copy->schema_uri, config->schema_uri, text_size(config->schema_uri),
                             1, memory, err);
    if (status == PLUCK_OK)
        status = clone_bytes(&copy->description, config->description,
                             text_size(config->description), 1, memory, err);
    if (status != PLUCK_OK)
        pluck_config_destroy(&copy);
    *out = copy;
    return status;
}

pluck_status pluck_config_from_json(pluck_config **out, const char *json, size_t json_size_bytes,
                                    const pluck_allocator *allocator, pluck_error *err)
{
    return pluck_config_from_json_with_stages(out, json, json_size_bytes, NULL, allocator, err);
}

static pluck_status read_json(pluck_config *config, const char *json, size_t json_size_bytes,
                              pluck_error *err)
{
    plk_json tree;
    plk_fp_state fp = plk_fp_enter_text();
    pluck_status status =
        plk_json_open(&tree, json, json_size_bytes, NULL, &config->allocator, err);
    if (status == PLUCK_OK)
        status = plk_config_read(&(plk_config_reader){&tree, config, false, err});
    plk_json_close(&tree);
    plk_fp_leave(fp);
    return status;
}

pluck_status pluck_config_from_json_with_stages(pluck_config **out, const char *json,
                                                size_t json_size_bytes,
                                                const pluck_registry *registry,
                                                const pluck_allocator *allocator, pluck_error *err)
{
    pluck_config *config = NULL;
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_from_json: out is NULL");
    *out = NULL;
    if (!json && json_size_bytes > 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_from_json: json is NULL");
    pluck_status status = pluck_config_create(&config, allocator, err);
    if (status != PLUCK_OK)
        return status;
    config->registry = registry;
    status = read_json(config, json, json_size_bytes, err);
    if (status == PLUCK_OK)
        *out = config;
    else
        pluck_config_destroy(&config);
    return status;
}

/* Works on a copy that replaces the original only when all went well. */
pluck_status pluck_config_set_json(pluck_config *config, const char *flat_key,
                                   const char *json_value, pluck_error *err)
{
    plk_json tree = {.root = NULL};
    pluck_config *copy = NULL;
    if (!config || !flat_key || !json_value)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_set_json: %s is NULL",
                        !config     ? "config"
                        : !flat_key ? "flat_key"
                                    : "json_value");
    pluck_status status = pluck_config_clone(&copy, config, err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter_text();
    status = plk_json_open(&tree, json_value, strlen(json_value), flat_key, &copy->allocator, err);
    if (status == PLUCK_OK)
        status = plk_config_read_key(&(plk_config_reader){&tree, copy, true, err}, flat_key);
    plk_json_close(&tree);
    plk_fp_leave(fp);
    if (status == PLUCK_OK)
        plk_config_move(config, copy);
    pluck_config_destroy(&copy);
    return status;
}

pluck_status pluck_config_to_json(const pluck_config *config, char *text, size_t capacity_bytes,
                                  size_t *size_bytes, pluck_error *err)
{
    if (!config || !size_bytes || (!text && capacity_bytes > 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_to_json: %s is NULL",
                        !config       ? "config"
                        : !size_bytes ? "size_bytes"
                                      : "text");
    plk_writer writer = {.text = text, .capacity_bytes = capacity_bytes};
    plk_fp_state fp = plk_fp_enter_text();
    plk_write_open(&writer, '{', PLK_LINES);
    for (size_t i = 0; i < plk_n_config_keys; i++)
        plk_config_keys[i].write(config, &writer);
    plk_write_close(&writer, '}');
    plk_fp_leave(fp);
    return plk_write_end(&writer, size_bytes, err);
}

size_t pluck_config_stage_count(const pluck_config *config)
{
    return config ? config->n_running : 0;
}

static const plk_config_entry *running_entry(const pluck_config *config, size_t index)
{
    if (!config || index >= config->n_running)
        return NULL;
    return &config->entries[config->running[index]];
}

const pluck_stage *pluck_config_stage_at(const pluck_config *config, size_t index)
{
    const plk_config_entry *entry = running_entry(config, index);
    return entry ? &entry->stage->info : NULL;
}

const void *pluck_config_params_at(const pluck_config *config, size_t index)
{
    const plk_config_entry *entry = running_entry(config, index);
    return entry ? entry->params : NULL;
}

bool pluck_config_neutral_at(const pluck_config *config, size_t index)
{
    const plk_config_entry *entry = running_entry(config, index);
    return entry && entry->stage->is_neutral && entry->stage->is_neutral(entry->params);
}

bool pluck_config_seed(const pluck_config *config, uint64_t *seed)
{
    if (!config || config->random_seed)
        return config != NULL;
    if (seed)
        *seed = config->seed;
    return false;
}

pluck_on_nan pluck_config_on_nan(const pluck_config *config)
{
    return config ? config->on_nan : PLUCK_ON_NAN_ERROR;
}

bool pluck_config_equal(const pluck_config *a, const pluck_config *b)
{
    if (!a || !b)
        return a == b;
    if (a->explicit_form != b->explicit_form || a->random_seed != b->random_seed ||
        a->seed != b->seed || a->on_nan != b->on_nan || a->n_running != b->n_running)
        return false;
    for (size_t i = 0; i < a->n_running; i++) {
        const plk_config_entry *left = running_entry(a, i), *right = running_entry(b, i);
        if (left->stage != right->stage ||
            !plk_params_equal(&left->stage->info, left->params, right->params))
            return false;
    }
    return true;
}
