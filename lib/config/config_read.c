/*
 * A text with "stages" is in the explicit form, any other in the flat one. Keys are looked up first
 * in the table of config_keys.c, then in the stage tables; the running order is set last, when all
 * keys are known.
 */
#include "config/config_read.h"

#include "base/text.h"
#include "config/config_stages.h"

#include <stdio.h>
#include <string.h>

/* Every key that may stand at the top of this form. */
static void offer_keys(plk_suggestion *suggestion, unsigned form)
{
    for (size_t i = 0; i < plk_n_config_keys; i++) {
        if (plk_config_keys[i].name && (plk_config_keys[i].forms & form))
            plk_suggest_offer(suggestion, plk_config_keys[i].name, NULL);
    }
    for (size_t s = 0; plk_stages[s] && form == PLK_FORM_FLAT; s++) {
        const pluck_stage *info = &plk_stages[s]->info;
        for (size_t i = 0; i < info->n_params; i++) {
            if (info->params[i].flat_key)
                plk_suggest_offer(suggestion, info->params[i].flat_key, NULL);
        }
    }
}

/* A stage's name as a flat key: "penalties". */
static pluck_status fail_stage_name(const plk_config_reader *reader, const plk_json_node *node,
                                    const pluck_stage *info)
{
    char keys[128];
    size_t n = 0;
    keys[0] = '\0';
    for (size_t i = 0; i < info->n_params; i++) {
        const char *key = info->params[i].flat_key;
        if (key && n + strlen(key) + 3 < sizeof keys)
            n += (size_t)snprintf(keys + n, sizeof keys - n, "%s%s", n != 0 ? ", " : "", key);
    }
    return plk_json_fail_key(reader->json, node, reader->err,
                             "unknown key; the flat keys of this stage are: %s", keys);
}

static pluck_status fail_unknown_key(const plk_config_reader *reader, const char *key,
                                     const plk_json_node *node, unsigned form)
{
    char nearest[PLK_SUGGESTION_BYTES];
    plk_suggestion suggestion = plk_suggest(key);
    const plk_stage *stage = plk_stage_find(key);
    if (stage && stage->info.kind != PLUCK_STAGE_DRAW && stage->info.n_params > 0)
        return fail_stage_name(reader, node, &stage->info);
    offer_keys(&suggestion, form);
    plk_suggest_write(&suggestion, nearest);
    return plk_json_fail_key(reader->json, node, reader->err, "unknown key%s", nearest);
}

/* The stage and the parameter's name there of a flat key; NULL if it is none. */
static const char *find_flat_key(const char *key, const char **param_name)
{
    for (size_t s = 0; plk_stages[s]; s++) {
        const pluck_stage *info = &plk_stages[s]->info;
        for (size_t i = 0; i < info->n_params; i++) {
            const char *flat_key = info->params[i].flat_key;
            if (flat_key && strcmp(flat_key, key) == 0) {
                *param_name = info->params[i].name;
                return info->name;
            }
        }
    }
    return NULL;
}

static pluck_status read_explicit_member(const plk_config_reader *reader,
                                         const plk_json_node *member)
{
    const char *param_name = NULL;
    const plk_config_key *row = plk_config_key_find(plk_json_key(member));
    if (row && (row->forms & PLK_FORM_EXPLICIT))
        return row->read(reader, member);
    if (row)
        return plk_json_fail_key(reader->json, member, reader->err, "not beside \"stages\", %s",
                                 row->not_explicit);
    const char *stage = find_flat_key(plk_json_key(member), &param_name);
    if (stage)
        return plk_json_fail_key(
            reader->json, member, reader->err,
            "a flat key beside \"stages\": write {\"type\": \"%s\", \"%s\": …} "
            "in \"stages\", or use flat keys alone",
            stage, param_name);
    return fail_unknown_key(reader, plk_json_key(member), member, PLK_FORM_EXPLICIT);
}

static pluck_status read_flat_member(const plk_config_reader *reader, const char *key,
                                     const plk_json_node *value)
{
    bool found = false;
    const plk_config_key *row = plk_config_key_find(key);
    if (row && (row->forms & PLK_FORM_FLAT))
        return row->read(reader, value);
    pluck_status status = plk_read_flat_key(reader, key, value, &found);
    return found ? status : fail_unknown_key(reader, key, value, PLK_FORM_FLAT);
}

/* Sets the running order; node is where a complaint about it points. */
static pluck_status arrange(const plk_config_reader *reader, const plk_json_node *node)
{
    const plk_stage *missing = NULL;
    plk_config_arrange(reader->config, &missing);
    if (!missing)
        return PLUCK_OK;
    return plk_json_fail(reader->json, node, reader->err,
                         "'%s' is configured but \"order\" does not name it", missing->info.name);
}

pluck_status plk_config_read(const plk_config_reader *reader)
{
    const plk_json_node *root = reader->json->root;
    if (!plk_json_is(root, PLK_JSON_OBJECT))
        return plk_json_fail(reader->json, root, reader->err,
                             "a configuration is an object, not %s", plk_json_kind_name(root));
    reader->config->explicit_form = plk_json_member(root, "stages") != NULL;
    for (const plk_json_node *member = plk_json_child(root); member;
         member = plk_json_sibling(member)) {
        pluck_status status = reader->config->explicit_form
                                  ? read_explicit_member(reader, member)
                                  : read_flat_member(reader, plk_json_key(member), member);
        if (status != PLUCK_OK)
            return status;
    }
    const plk_json_node *order = plk_json_member(root, "order");
    return arrange(reader, order ? order : root);
}

pluck_status plk_config_read_key(const plk_config_reader *reader, const char *key)
{
    const plk_json_node *value = reader->json->root;
    bool found = false;
    pluck_status status = PLUCK_OK;
    if (!reader->config->explicit_form) {
        status = read_flat_member(reader, key, value);
    } else {
        const plk_config_key *row = plk_config_key_find(key);
        if (row && (row->forms & PLK_FORM_FLAT) == 0)
            return fail_unknown_key(reader, key, value, PLK_FORM_FLAT);
        if (row && (row->forms & PLK_FORM_EXPLICIT) == 0)
            return plk_json_fail(reader->json, value, reader->err,
                                 "this configuration has \"stages\", %s", row->not_explicit);
        status = row ? row->read(reader, value) : plk_set_in_stages(reader, key, value, &found);
        if (!row && !found)
            return fail_unknown_key(reader, key, value, PLK_FORM_FLAT);
    }
    return status == PLUCK_OK ? arrange(reader, value) : status;
}
