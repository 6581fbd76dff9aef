/*
 * A variant is made from the JSON of the configuration, so that it holds whatever parameters there
 * are. In the explicit form the array of stages is cut. In the flat form the keys that no remaining
 * stage has go, and "order" names those that remain.
 */
#include "bench.h"

#include <cjson/cJSON.h>

#include <stdlib.h>
#include <string.h>

static cJSON *config_json(const pluck_config *config)
{
    size_t size = 0;
    pluck_config_to_json(config, NULL, 0, &size, NULL);
    char *const text = malloc(size + 1);
    if (text == NULL)
        return NULL;
    cJSON *json = NULL;
    if (pluck_config_to_json(config, text, size + 1, &size, NULL) == PLUCK_OK)
        json = cJSON_ParseWithLength(text, size);
    free(text);
    return json;
}

static bool has_key(const pluck_stage *stage, const char *key)
{
    for (size_t i = 0; i < stage->n_params; i++)
        if (stage->params[i].flat_key != NULL && strcmp(stage->params[i].flat_key, key) == 0)
            return true;
    return false;
}

/* Whether the key sets parameters, but none of a stage that remains. */
static bool is_key_gone(const pluck_config *config, const size_t *indices, size_t n, bool own_draw,
                        const char *key)
{
    bool is_known = false;
    for (size_t i = 0; i < pluck_stage_count(); i++)
        is_known |= has_key(pluck_stage_at(i), key);
    for (size_t i = 0; i < n; i++)
        if (has_key(pluck_config_stage_at(config, indices[i]), key))
            return false;
    const size_t draw = pluck_config_stage_count(config) - 1;
    return is_known && !(own_draw && has_key(pluck_config_stage_at(config, draw), key));
}

static void cut_flat(cJSON *json, const pluck_config *config, const size_t *indices, size_t n,
                     bool own_draw)
{
    for (cJSON *item = json->child, *next; item != NULL; item = next) {
        next = item->next;
        if (is_key_gone(config, indices, n, own_draw, item->string))
            cJSON_Delete(cJSON_DetachItemViaPointer(json, item));
    }
    cJSON_DeleteItemFromObjectCaseSensitive(json, "order");
    cJSON *const order = cJSON_AddArrayToObject(json, "order");
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(order,
                             cJSON_CreateString(pluck_config_stage_at(config, indices[i])->name));
}

static void cut_stages(cJSON *json, const cJSON *stages, const size_t *indices, size_t n)
{
    cJSON *const kept = cJSON_CreateArray();
    for (size_t i = 0; i < n; i++)
        cJSON_AddItemToArray(kept, cJSON_Duplicate(cJSON_GetArrayItem(stages, (int)indices[i]), 1));
    cJSON_ReplaceItemInObjectCaseSensitive(json, "stages", kept);
}

pluck_config *bench_variant(const pluck_config *config, const size_t *indices, size_t n,
                            bool own_draw, pluck_error *err)
{
    pluck_config *variant = NULL;
    cJSON *const json = config_json(config);
    *err = (pluck_error){PLUCK_ERR_NOMEM, "out of memory"};
    if (json == NULL)
        return NULL;
    /* A number of JSON as a double need not be the seed; which one it is does not matter here. */
    cJSON_DeleteItemFromObjectCaseSensitive(json, "seed");
    const cJSON *const stages = cJSON_GetObjectItemCaseSensitive(json, "stages");
    if (stages != NULL)
        cut_stages(json, stages, indices, n);
    else
        cut_flat(json, config, indices, n, own_draw);
    if (!own_draw) {
        cJSON_DeleteItemFromObjectCaseSensitive(json, "draw");
        cJSON_AddStringToObject(json, "draw", "categorical");
    }
    char *const text = cJSON_PrintUnformatted(json);
    if (text != NULL)
        pluck_config_from_json(&variant, text, strlen(text), NULL, err);
    cJSON_free(text);
    cJSON_Delete(json);
    return variant;
}
