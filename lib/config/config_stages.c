/*
 * Both forms end in the same list of entries. Each key is found in the stage tables and nowhere
 * else: a flat key belongs to every parameter that names it, and inside a stage or draw object a
 * key is a parameter's own name.
 */
#include "config/config_impl.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum { LIST_BYTES = 128 };

/* The draw that llama.cpp's "mirostat": 1 or 2 stands for. */
static const char *const mirostat_draws[] = {"mirostat", "mirostat_v2"};

/* "greedy, categorical": the draws there are, for messages. */
static const char *list_draws(char list[LIST_BYTES])
{
    size_t n = 0;
    list[0] = '\0';
    for (size_t s = 0; plk_stages[s]; s++) {
        const char *name = plk_stages[s]->info.name;
        if (plk_is_draw(plk_stages[s]) && n + strlen(name) + 3 < LIST_BYTES)
            n += (size_t)snprintf(list + n, LIST_BYTES - n, "%s%s", n != 0 ? ", " : "", name);
    }
    return list;
}

static pluck_status fail_unknown_stage(const plk_config_reader *reader, const plk_json_node *name,
                                       bool draw)
{
    char quoted[PLK_QUOTE_BYTES], nearest[PLK_SUGGESTION_BYTES], list[LIST_BYTES];
    plk_suggestion suggestion = plk_suggest(plk_json_string(name));
    for (size_t s = 0; plk_stages[s]; s++) {
        if (plk_is_draw(plk_stages[s]) == draw)
            plk_suggest_offer(&suggestion, plk_stages[s]->info.name, NULL);
    }
    const plk_stage *own = NULL;
    for (size_t i = 0; !draw && (own = plk_registry_at(reader->config->registry, i)); i++)
        plk_suggest_offer(&suggestion, own->info.name, NULL);
    plk_suggest_write(&suggestion, nearest);
    plk_quote(quoted, plk_json_string(name), strlen(plk_json_string(name)));
    if (draw && !suggestion.best)
        return plk_json_fail(reader->json, name, reader->err, "unknown draw '%s'; there are: %s",
                             quoted, list_draws(list));
    return plk_json_fail(reader->json, name, reader->err, "unknown %s '%s'%s",
                         draw ? "draw" : "stage", quoted, nearest);
}

/* The stage (draw = false) or the draw with the name that this node holds. */
static pluck_status read_name(const plk_config_reader *reader, const plk_json_node *name, bool draw,
                              const plk_stage **stage)
{
    char list[LIST_BYTES];
    const char *wanted = draw ? "draw" : "stage";
    if (!plk_json_is(name, PLK_JSON_STRING))
        return plk_json_fail(reader->json, name, reader->err, "expected the name of a %s, not %s",
                             wanted, plk_json_kind_name(name));
    *stage = plk_registry_find(reader->config->registry, plk_json_string(name));
    if (!*stage)
        return fail_unknown_stage(reader, name, draw);
    if (plk_is_draw(*stage) && !draw)
        return plk_json_fail(reader->json, name, reader->err,
                             "'%s' is a draw, which comes last: write \"draw\": \"%s\"",
                             plk_json_string(name), plk_json_string(name));
    if (!plk_is_draw(*stage) && draw)
        return plk_json_fail(reader->json, name, reader->err,
                             "'%s' is a stage, not a draw; draws are: %s", plk_json_string(name),
                             list_draws(list));
    return PLUCK_OK;
}

/* Reads parameter i of an entry; what it was before is freed. */
static pluck_status read_param(const plk_config_reader *reader, plk_config_entry *entry, size_t i,
                               const plk_json_node *value, bool name_value)
{
    const pluck_param *param = &entry->stage->info.params[i];
    const plk_param_ops *ops = plk_param_ops_of(param->type);
    const pluck_allocator *allocator = &reader->config->allocator;
    plk_param_value read;
    pluck_status status = plk_param_read(
        &(plk_param_reader){reader->json, allocator, name_value, reader->err}, value, param, &read);
    if (status != PLUCK_OK)
        return status;
    void *place = plk_param_at(entry->params, param);
    ops->free(place, allocator);
    memcpy(place, &read, ops->size_bytes);
    return PLUCK_OK;
}

/* "k, min_keep", cut to what a message can bear. */
static void list_params(const pluck_stage *info, char list[LIST_BYTES])
{
    size_t n = 0;
    snprintf(list, LIST_BYTES, "none");
    for (size_t i = 0; i < info->n_params; i++) {
        const char *name = info->params[i].name;
        if (n + strlen(name) + 3 < LIST_BYTES)
            n += (size_t)snprintf(list + n, LIST_BYTES - n, "%s%s", n != 0 ? ", " : "", name);
    }
}

static pluck_status fail_unknown_param(const plk_config_reader *reader, const pluck_stage *info,
                                       const plk_json_node *member)
{
    char nearest[PLK_SUGGESTION_BYTES], list[LIST_BYTES];
    plk_suggestion suggestion = plk_suggest(plk_json_key(member));
    for (size_t i = 0; i < info->n_params; i++) {
        plk_suggest_offer(&suggestion, info->params[i].name, NULL);
        if (info->params[i].flat_key)
            plk_suggest_offer(&suggestion, info->params[i].flat_key, info->params[i].name);
    }
    plk_suggest_write(&suggestion, nearest);
    list_params(info, list);
    if (suggestion.best)
        return plk_json_fail_key(reader->json, member, reader->err, "%s has no such parameter%s",
                                 info->name, nearest);
    return plk_json_fail_key(reader->json, member, reader->err,
                             "%s has no such parameter; it has%s %s", info->name,
                             info->n_params > 0 ? ":" : "", list);
}

/* n_params if there is none. */
static size_t find_param(const pluck_stage *info, const char *name)
{
    size_t i = 0;
    while (i < info->n_params && strcmp(info->params[i].name, name) != 0)
        i++;
    return i;
}

/* The members of {"type": …, parameters} for the entry at index. */
static pluck_status read_params(const plk_config_reader *reader, const plk_json_node *object,
                                size_t index)
{
    plk_config_entry *entry = &reader->config->entries[index];
    const pluck_stage *info = &entry->stage->info;
    bool draw = plk_is_draw(entry->stage);
    for (const plk_json_node *member = plk_json_child(object); member;
         member = plk_json_sibling(member)) {
        size_t i = find_param(info, plk_json_key(member));
        if (i == info->n_params) {
            if (strcmp(plk_json_key(member), "type") == 0)
                continue;
            return fail_unknown_param(reader, info, member);
        }
        uint64_t bit = (uint64_t)1 << i;
        if (draw && (entry->given & bit) != 0)
            return plk_json_fail_key(reader->json, member, reader->err,
                                     "'%s' sets the same parameter; remove one of the two",
                                     info->params[i].flat_key);
        pluck_status status = read_param(reader, entry, i, member, false);
        if (status != PLUCK_OK)
            return status;
        *(draw ? &entry->given_in_draw : &entry->given) |= bit;
    }
    return PLUCK_OK;
}

/* The stage that an object's "type" names. */
static pluck_status read_type(const plk_config_reader *reader, const plk_json_node *object,
                              bool draw, const plk_stage **stage)
{
    if (!plk_json_is(object, PLK_JSON_OBJECT))
        return plk_json_fail_kind(reader->json, object, reader->err, "an object {\"type\": \"…\"}");
    const plk_json_node *type = plk_json_member(object, "type");
    if (!type)
        return plk_json_fail(reader->json, object, reader->err,
                             "\"type\" is missing: the name of the %s", draw ? "draw" : "stage");
    return read_name(reader, type, draw, stage);
}

pluck_status plk_read_stages(const plk_config_reader *reader, const plk_json_node *value)
{
    pluck_config *config = reader->config;
    if (!plk_json_is(value, PLK_JSON_ARRAY))
        return plk_json_fail_kind(reader->json, value, reader->err, "an array of stages");
    for (const plk_json_node *item = plk_json_child(value); item; item = plk_json_sibling(item)) {
        const plk_stage *stage = NULL;
        size_t index = config->n_entries - 1; /* before the draw */
        pluck_status status = read_type(reader, item, false, &stage);
        if (status == PLUCK_OK)
            status = plk_config_insert(config, index, stage, reader->err);
        if (status == PLUCK_OK)
            status = read_params(reader, item, index);
        if (status != PLUCK_OK)
            return status;
    }
    return PLUCK_OK;
}

static pluck_status fail_two_draws(const plk_config_reader *reader, const plk_json_node *value,
                                   const char *other)
{
    return plk_json_fail_key(reader->json, value, reader->err,
                             "\"%s\" is given too; both choose the draw, so remove one", other);
}

/* 0 leaves the draw as it is, unless an earlier 1 or 2 chose it. */
pluck_status plk_read_mirostat(const plk_config_reader *reader, const plk_json_node *value)
{
    pluck_config *config = reader->config;
    double version = plk_json_is(value, PLK_JSON_NUMBER) ? plk_json_number(value) : -1.0;
    if (!(version == 0.0 || version == 1.0 || version == 2.0))
        return plk_json_fail(reader->json, value, reader->err,
                             "expected 0 (no), 1 (mirostat) or 2 (mirostat_v2)");
    int chosen = (int)version;
    if (chosen != 0 && config->has_draw && !reader->setting)
        return fail_two_draws(reader, value, "draw");
    const plk_stage *draw = plk_stage_find("categorical");
    if (chosen != 0)
        draw = plk_stage_find(mirostat_draws[chosen - 1]);
    pluck_status status = PLUCK_OK;
    if (chosen != 0 || config->mirostat != 0)
        status = plk_config_choose_draw(config, draw, reader->err);
    if (status != PLUCK_OK)
        return status;
    config->has_draw = config->has_draw && chosen == 0;
    config->has_mirostat = true;
    config->mirostat = chosen;
    return PLUCK_OK;
}

pluck_status plk_read_draw(const plk_config_reader *reader, const plk_json_node *value)
{
    pluck_config *config = reader->config;
    const plk_stage *draw = NULL;
    pluck_status status = plk_json_is(value, PLK_JSON_OBJECT)
                              ? read_type(reader, value, true, &draw)
                              : read_name(reader, value, true, &draw);
    if (status == PLUCK_OK && config->mirostat != 0 && !reader->setting)
        return fail_two_draws(reader, value, "mirostat");
    if (status == PLUCK_OK)
        status = plk_config_choose_draw(config, draw, reader->err);
    if (status != PLUCK_OK)
        return status;
    config->has_draw = true;
    config->has_mirostat = false;
    config->mirostat = 0;
    if (!plk_json_is(value, PLK_JSON_OBJECT))
        return PLUCK_OK;
    return read_params(reader, value, plk_config_find(config, draw));
}

static pluck_status read_order_items(const plk_config_reader *reader, const plk_json_node *value,
                                     const plk_stage **order, size_t *n_order)
{
    for (const plk_json_node *item = plk_json_child(value); item; item = plk_json_sibling(item)) {
        const plk_stage *stage = NULL;
        pluck_status status = read_name(reader, item, false, &stage);
        if (status != PLUCK_OK)
            return status;
        if (!plk_stage_find(stage->info.name))
            return plk_json_fail(reader->json, item, reader->err,
                                 "'%s' is a stage of the application; \"order\" cannot name it, so "
                                 "list the stages in \"stages\" instead",
                                 stage->info.name);
        for (size_t i = 0; i < *n_order; i++) {
            if (order[i] == stage)
                return plk_json_fail(reader->json, item, reader->err,
                                     "'%s' is named twice; a stage can run only once",
                                     stage->info.name);
        }
        order[(*n_order)++] = stage;
    }
    return PLUCK_OK;
}

pluck_status plk_read_order(const plk_config_reader *reader, const plk_json_node *value)
{
    pluck_config *config = reader->config;
    size_t n_order = 0;
    if (!plk_json_is(value, PLK_JSON_ARRAY))
        return plk_json_fail_kind(reader->json, value, reader->err, "an array of stage names");
    /* No name may come twice, so that the list is not longer than the registry. */
    size_t n_stages = 0;
    while (plk_stages[n_stages])
        n_stages++;
    const plk_stage **order = plk_alloc(&config->allocator, n_stages, sizeof *order);
    if (!order)
        return plk_fail_nomem(reader->err, n_stages * sizeof *order);
    pluck_status status = read_order_items(reader, value, order, &n_order);
    if (status != PLUCK_OK) {
        plk_free(&config->allocator, order);
        return status;
    }
    plk_free(&config->allocator, config->order);
    config->order = order;
    config->n_order = n_order;
    config->has_order = true;
    return PLUCK_OK;
}

static bool has_flat_key(const pluck_param *param, const char *key)
{
    return param->flat_key && strcmp(param->flat_key, key) == 0;
}

static pluck_status read_flat_param(const plk_config_reader *reader, const plk_stage *stage,
                                    size_t i, const plk_json_node *value)
{
    pluck_config *config = reader->config;
    uint64_t bit = (uint64_t)1 << i;
    size_t index = plk_config_find(config, stage);
    pluck_status status = PLUCK_OK;
    if (index == config->n_entries)
        status = plk_config_insert(config, index, stage, reader->err);
    if (status != PLUCK_OK)
        return status;
    plk_config_entry *entry = &config->entries[index];
    if ((entry->given_in_draw & bit) != 0 && !reader->setting)
        return plk_json_fail_key(reader->json, value, reader->err,
                                 "\"draw\" sets the same parameter; remove one of the two");
    status = read_param(reader, entry, i, value, true);
    if (status == PLUCK_OK) {
        entry->given |= bit;
        entry->given_in_draw &= ~bit;
    }
    return status;
}

pluck_status plk_read_flat_key(const plk_config_reader *reader, const char *key,
                               const plk_json_node *value, bool *found)
{
    *found = false;
    for (size_t s = 0; plk_stages[s]; s++) {
        const pluck_stage *info = &plk_stages[s]->info;
        for (size_t i = 0; i < info->n_params; i++) {
            if (!has_flat_key(&info->params[i], key))
                continue;
            *found = true;
            pluck_status status = read_flat_param(reader, plk_stages[s], i, value);
            if (status != PLUCK_OK)
                return status;
        }
    }
    return PLUCK_OK;
}

/* Sets the key in every entry that has it; *n = how many. */
static pluck_status set_in_entries(const plk_config_reader *reader, const char *key,
                                   const plk_json_node *value, size_t *n)
{
    for (size_t e = 0; e < reader->config->n_entries; e++) {
        plk_config_entry *entry = &reader->config->entries[e];
        const pluck_stage *info = &entry->stage->info;
        for (size_t i = 0; i < info->n_params; i++) {
            if (!has_flat_key(&info->params[i], key))
                continue;
            pluck_status status = read_param(reader, entry, i, value, true);
            if (status != PLUCK_OK)
                return status;
            *(plk_is_draw(entry->stage) ? &entry->given_in_draw : &entry->given) |= (uint64_t)1
                                                                                    << i;
            ++*n;
        }
    }
    return PLUCK_OK;
}

const plk_stage *plk_find_owner(const char *key, size_t *rank, size_t *index)
{
    for (size_t s = 0; plk_stages[s]; s++) {
        for (size_t i = 0; i < plk_stages[s]->info.n_params; i++) {
            if (has_flat_key(&plk_stages[s]->info.params[i], key)) {
                *rank = s;
                *index = i;
                return plk_stages[s];
            }
        }
    }
    return NULL;
}

static size_t rank_of(const plk_stage *stage)
{
    size_t rank = 0;
    while (plk_stages[rank] && plk_stages[rank] != stage)
        rank++;
    return rank;
}

pluck_status plk_set_in_stages(const plk_config_reader *reader, const char *key,
                               const plk_json_node *value, bool *found)
{
    pluck_config *config = reader->config;
    size_t n = 0, rank = 0, param = 0, index = 0;
    const plk_stage *owner = plk_find_owner(key, &rank, &param);
    *found = owner != NULL;
    pluck_status status = set_in_entries(reader, key, value, &n);
    if (status != PLUCK_OK || n > 0 || !owner)
        return status;
    if (plk_is_draw(owner) || plk_flat_key_is_shared(key))
        return plk_json_fail(
            reader->json, value, reader->err,
            "no stage of this configuration has this parameter; add the stage first");
    while (rank_of(config->entries[index].stage) < rank)
        index++;
    status = plk_config_insert(config, index, owner, reader->err);
    return status == PLUCK_OK ? set_in_entries(reader, key, value, &n) : status;
}

const plk_stage *plk_find_stage(const pluck_registry *registry, const char *name,
                                char nearest[PLK_SUGGESTION_BYTES])
{
    const plk_stage *found = plk_registry_find(registry, name), *custom = NULL;
    plk_suggestion suggestion = plk_suggest(name);
    for (size_t s = 0; plk_stages[s]; s++)
        plk_suggest_offer(&suggestion, plk_stages[s]->info.name, NULL);
    for (size_t i = 0; (custom = plk_registry_at(registry, i)); i++)
        plk_suggest_offer(&suggestion, custom->info.name, NULL);
    plk_suggest_write(&suggestion, nearest);
    return found;
}

/* The name of a stage in "stage.param", cut to what a name may have. */
enum { NAME_BYTES = 64 };

static const char *split_key(const char *key, char stage[NAME_BYTES])
{
    const char *dot = strchr(key, '.');
    size_t n = dot ? (size_t)(dot - key) : 0;
    (void)snprintf(stage, NAME_BYTES, "%.*s", n < NAME_BYTES ? (int)n : NAME_BYTES - 1, key);
    return dot ? dot + 1 : NULL;
}

const pluck_param *plk_find_param(const pluck_config *config, const char *key)
{
    char name[NAME_BYTES];
    const char *param = split_key(key, name);
    if (param) {
        const plk_stage *stage = plk_registry_find(config->registry, name);
        size_t i = stage ? find_param(&stage->info, param) : 0;
        return stage && i < stage->info.n_params ? &stage->info.params[i] : NULL;
    }
    size_t rank = 0, i = 0;
    const plk_stage *owner = plk_find_owner(key, &rank, &i);
    return owner ? &owner->info.params[i] : NULL;
}

/* The flat form has one value for a key that several stages share. */
static pluck_status set_by_flat_key(const plk_config_reader *reader, const pluck_param *param,
                                    const plk_json_node *value)
{
    bool found = false;
    if (!param->flat_key)
        return plk_json_fail(
            reader->json, value, reader->err,
            "has no flat key; write the stage in \"stages\" or add it with pluck_config_add_stage");
    if ((param->flags & PLUCK_PARAM_BORROWED) != 0 || plk_flat_key_is_shared(param->flat_key))
        return plk_json_fail(reader->json, value, reader->err,
                             "in the flat form several stages share '%s'; set it by that key, "
                             "without the name of the stage",
                             param->flat_key);
    return plk_read_flat_key(reader, param->flat_key, value, &found);
}

pluck_status plk_set_in_stage(const plk_config_reader *reader, const char *key,
                              const plk_json_node *value)
{
    char name[NAME_BYTES], list[LIST_BYTES], nearest[PLK_SUGGESTION_BYTES];
    pluck_config *config = reader->config;
    const char *param = split_key(key, name);
    const plk_stage *stage = plk_find_stage(config->registry, name, nearest);
    if (!stage)
        return plk_json_fail(reader->json, value, reader->err, "unknown stage '%s'%s", name,
                             nearest);
    size_t i = find_param(&stage->info, param), e = config->n_entries;
    list_params(&stage->info, list);
    if (i == stage->info.n_params)
        return plk_json_fail(reader->json, value, reader->err,
                             "%s has no such parameter; it has: %s", name, list);
    if (!config->explicit_form)
        return set_by_flat_key(reader, &stage->info.params[i], value);
    while (e > 0 && config->entries[e - 1].stage != stage)
        e--;
    if (e == 0)
        return plk_json_fail(reader->json, value, reader->err,
                             "this configuration has no stage '%s'; add it with "
                             "pluck_config_add_stage",
                             name);
    plk_config_entry *entry = &config->entries[e - 1];
    pluck_status status = read_param(reader, entry, i, value, false);
    if (status == PLUCK_OK)
        *(plk_is_draw(stage) ? &entry->given_in_draw : &entry->given) |= (uint64_t)1 << i;
    return status;
}

void plk_write_order(const pluck_config *config, plk_writer *writer)
{
    if (!config->has_order)
        return;
    plk_write_key(writer, "order");
    plk_write_open(writer, '[', PLK_ONE_LINE);
    for (size_t i = 0; i < config->n_order; i++) {
        plk_write_item(writer);
        plk_write_string(writer, config->order[i]->info.name);
    }
    plk_write_close(writer, ']');
}

bool plk_is_first_of_key(size_t s, size_t i)
{
    size_t rank = 0, index = 0;
    const char *key = plk_stages[s]->info.params[i].flat_key;
    return key && plk_find_owner(key, &rank, &index) && rank == s && index == i;
}

void plk_write_flat_keys(const pluck_config *config, plk_writer *writer)
{
    for (size_t s = 0; plk_stages[s] && !config->explicit_form; s++) {
        size_t index = plk_config_find(config, plk_stages[s]);
        if (index == config->n_entries)
            continue;
        const plk_config_entry *entry = &config->entries[index];
        const pluck_stage *info = &entry->stage->info;
        for (size_t i = 0; i < info->n_params; i++) {
            if ((entry->given >> i & 1) == 0 || !plk_is_first_of_key(s, i))
                continue;
            plk_write_key(writer, info->params[i].flat_key);
            plk_value_write(writer, info->params[i].type,
                            plk_param_at_const(entry->params, &info->params[i]));
        }
    }
}

static void write_object(const plk_config_entry *entry, uint64_t given, plk_writer *writer)
{
    const pluck_stage *info = &entry->stage->info;
    plk_write_open(writer, '{', PLK_ONE_LINE);
    plk_write_key_string(writer, "type", info->name);
    for (size_t i = 0; i < info->n_params; i++) {
        if ((given >> i & 1) == 0)
            continue;
        plk_write_key(writer, info->params[i].name);
        plk_value_write(writer, info->params[i].type,
                        plk_param_at_const(entry->params, &info->params[i]));
    }
    plk_write_close(writer, '}');
}

void plk_write_stages(const pluck_config *config, plk_writer *writer)
{
    if (!config->explicit_form)
        return;
    plk_write_key(writer, "stages");
    plk_write_open(writer, '[', PLK_LINES);
    for (size_t i = 0; i + 1 < config->n_entries; i++) {
        plk_write_item(writer);
        write_object(&config->entries[i], config->entries[i].given, writer);
    }
    plk_write_close(writer, ']');
}

void plk_write_draw(const pluck_config *config, plk_writer *writer)
{
    const plk_config_entry *entry = &config->entries[plk_config_find(config, config->draw)];
    if (!config->has_draw && entry->given_in_draw == 0)
        return;
    plk_write_key(writer, "draw");
    if (entry->given_in_draw != 0)
        write_object(entry, entry->given_in_draw, writer);
    else
        plk_write_string(writer, config->draw->info.name);
}

void plk_write_mirostat(const pluck_config *config, plk_writer *writer)
{
    if (!config->has_mirostat)
        return;
    plk_write_key(writer, "mirostat");
    plk_write_integer(writer, config->mirostat);
}
