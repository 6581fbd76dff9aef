/*
 * The list of stages of a configuration. Lists are short (the registry's length in the flat form),
 * so looking an entry up is a scan.
 */
#include "config/config_impl.h"

#include "base/error.h"
#include "stages/stage_impl.h"

#include <assert.h>
#include <string.h>

bool plk_is_draw(const plk_stage *stage)
{
    return stage->info.kind == PLUCK_STAGE_DRAW;
}

bool plk_flat_key_is_shared(const char *flat_key)
{
    size_t n = 0;
    for (size_t s = 0; plk_stages[s]; s++) {
        const pluck_stage *info = &plk_stages[s]->info;
        for (size_t p = 0; p < info->n_params; p++) {
            const char *key = info->params[p].flat_key;
            bool borrowed = (info->params[p].flags & PLUCK_PARAM_BORROWED) != 0;
            n += key && !borrowed && strcmp(key, flat_key) == 0;
        }
    }
    return n > 1;
}

size_t plk_config_find(const pluck_config *config, const plk_stage *stage)
{
    size_t i = 0;
    while (i < config->n_entries && config->entries[i].stage != stage)
        i++;
    return i;
}

/* Makes room for one more entry and one more running stage. */
static pluck_status grow(pluck_config *config, pluck_error *err)
{
    size_t n = config->n_entries + 1, running_capacity = config->capacity;
    pluck_status status = plk_grow(&config->allocator, &config->running, &running_capacity, n,
                                   sizeof *config->running, err);
    return status != PLUCK_OK ? status
                              : plk_grow(&config->allocator, &config->entries, &config->capacity, n,
                                         sizeof *config->entries, err);
}

pluck_status plk_config_insert(pluck_config *config, size_t index, const plk_stage *stage,
                               pluck_error *err)
{
    void *params = NULL;
    assert(index <= config->n_entries && stage->info.n_params <= PLK_MAX_PARAMS);
    pluck_status status = grow(config, err);
    if (status == PLUCK_OK)
        status = plk_params_create(&params, &stage->info, &config->allocator, err);
    if (status != PLUCK_OK)
        return status;
    memmove(config->entries + index + 1, config->entries + index,
            (config->n_entries - index) * sizeof *config->entries);
    config->entries[index] = (plk_config_entry){.stage = stage, .params = params};
    config->n_entries++;
    return PLUCK_OK;
}

void plk_config_remove(pluck_config *config, size_t index)
{
    plk_config_entry *entry = &config->entries[index];
    plk_params_destroy(&entry->stage->info, entry->params, &config->allocator);
    config->n_entries--;
    memmove(entry, entry + 1, (config->n_entries - index) * sizeof *entry);
}

static void reset_given_in_draw(pluck_config *config, plk_config_entry *entry)
{
    const pluck_stage *info = &entry->stage->info;
    for (size_t i = 0; i < info->n_params; i++) {
        if ((entry->given_in_draw >> i & 1) == 0)
            continue;
        const plk_param_ops *ops = plk_param_ops_of(info->params[i].type);
        void *value = plk_param_at(entry->params, &info->params[i]);
        ops->free(value, &config->allocator);
        ops->init(value, &info->params[i]);
    }
    entry->given_in_draw = 0;
}

pluck_status plk_config_choose_draw(pluck_config *config, const plk_stage *stage, pluck_error *err)
{
    if (plk_config_find(config, stage) == config->n_entries) {
        pluck_status status = plk_config_insert(config, config->n_entries, stage, err);
        if (status != PLUCK_OK)
            return status;
    }
    size_t old = config->draw ? plk_config_find(config, config->draw) : config->n_entries;
    if (old < config->n_entries) {
        reset_given_in_draw(config, &config->entries[old]);
        if (config->draw != stage && config->entries[old].given == 0)
            plk_config_remove(config, old);
    }
    config->draw = stage;
    return PLUCK_OK;
}

/* A flat stage runs when a key of its own was given. */
static bool is_configured(const plk_config_entry *entry)
{
    const pluck_stage *info = &entry->stage->info;
    if (plk_is_draw(entry->stage))
        return false;
    for (size_t i = 0; i < info->n_params; i++) {
        const pluck_param *param = &info->params[i];
        if ((entry->given >> i & 1) != 0 && (param->flags & PLUCK_PARAM_BORROWED) == 0 &&
            !plk_flat_key_is_shared(param->flat_key))
            return true;
    }
    return false;
}

/* The configured entry whose stage stands in for this one, or NULL. */
static const plk_config_entry *replacement(const pluck_config *config, const plk_stage *stage)
{
    for (size_t i = 0; i < config->n_entries; i++) {
        const plk_config_entry *entry = &config->entries[i];
        if (entry->stage->replaces && strcmp(entry->stage->replaces, stage->info.name) == 0 &&
            is_configured(entry))
            return entry;
    }
    return NULL;
}

static bool is_in_order(const pluck_config *config, const plk_stage *stage)
{
    for (size_t i = 0; i < config->n_order; i++) {
        if (config->order[i] == stage)
            return true;
    }
    return false;
}

static void run(pluck_config *config, const plk_stage *stage)
{
    size_t index = plk_config_find(config, stage);
    const plk_config_entry *other = replacement(config, stage);
    if (other && config->has_order && !is_in_order(config, other->stage))
        index = (size_t)(other - config->entries);
    else if (other)
        return;
    if (index < config->n_entries && is_configured(&config->entries[index]))
        config->running[config->n_running++] = index;
}

/* Whether "order" says where this configured entry runs, or that something runs in its place. */
static bool has_place(const pluck_config *config, const plk_config_entry *entry)
{
    const plk_stage *stage = entry->stage;
    const plk_config_entry *other = replacement(config, stage);
    const plk_stage *replaced = stage->replaces ? plk_stage_find(stage->replaces) : NULL;
    return is_in_order(config, stage) || (other && is_in_order(config, other->stage)) ||
           (replaced && is_in_order(config, replaced));
}

static void arrange_flat(pluck_config *config, const plk_stage **missing)
{
    for (size_t s = 0; plk_stages[s] && !config->has_order; s++)
        run(config, plk_stages[s]);
    for (size_t i = 0; i < config->n_order; i++)
        run(config, config->order[i]);
    for (size_t i = 0; i < config->n_entries && config->has_order && !*missing; i++) {
        const plk_config_entry *entry = &config->entries[i];
        if (is_configured(entry) && !has_place(config, entry))
            *missing = entry->stage;
    }
}

void plk_config_arrange(pluck_config *config, const plk_stage **missing)
{
    *missing = NULL;
    config->n_running = 0;
    if (config->explicit_form) {
        for (size_t i = 0; i + 1 < config->n_entries; i++)
            config->running[config->n_running++] = i;
    } else {
        arrange_flat(config, missing);
    }
    config->running[config->n_running++] = plk_config_find(config, config->draw);
}

/* Takes the parameters of an entry of a stage; index is a new one, which has the defaults. */
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

pluck_status plk_config_make_explicit(pluck_config **out, const pluck_config *flat,
                                      const plk_config_entry *const *entries, size_t n,
                                      pluck_error *err)
{
    const plk_stage *missing = NULL;
    pluck_config *config = NULL;
    pluck_status status = plk_config_create(&config, &flat->allocator, err);
    if (status == PLUCK_OK)
        status = copy_draw(config, flat, err);
    for (size_t i = 0; i < n && status == PLUCK_OK; i++) {
        size_t index = config->n_entries - 1; /* before the draw */
        status = plk_config_insert(config, index, entries[i]->stage, err);
        if (status == PLUCK_OK)
            status = copy_params(config, index, entries[i], err);
        if (status == PLUCK_OK)
            config->entries[index].given = entries[i]->given;
    }
    if (status == PLUCK_OK)
        status = plk_config_copy_texts(config, flat, err);
    if (status != PLUCK_OK) {
        pluck_config_destroy(&config);
        return status;
    }
    config->registry = flat->registry;
    config->explicit_form = true;
    config->has_seed = flat->has_seed;
    config->random_seed = flat->random_seed;
    config->seed = flat->seed;
    config->has_on_nan = flat->has_on_nan;
    config->on_nan = flat->on_nan;
    plk_config_arrange(config, &missing);
    *out = config;
    return PLUCK_OK;
}
