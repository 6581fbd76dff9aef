/*
 * A variant is made from the JSON of the configuration, so that it holds whatever parameters there
 * are, as they are written. In the explicit form items of the array of stages are left out. In the
 * flat form the keys that no remaining stage has are, and "order" names those that remain.
 */
#include "commands/bench.h"

#include "json/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The JSON of the configuration; the caller frees it. */
static char *config_text(const pluck_config *config, size_t *size)
{
    pluck_config_to_json(config, NULL, 0, size, NULL);
    char *text = malloc(*size + 1);
    if (text)
        pluck_config_to_json(config, text, *size + 1, size, NULL);
    return text;
}

static bool has_key(const pluck_stage *stage, const char *key)
{
    for (size_t i = 0; i < stage->n_params; i++)
        if (stage->params[i].flat_key && strcmp(stage->params[i].flat_key, key) == 0)
            return true;
    return false;
}

/* Whether the key sets parameters, but none of a stage that remains. */
static bool is_key_gone(const pluck_config *config, const size_t *indices, size_t n, bool own_draw,
                        const char *key)
{
    bool is_known = false;
    for (size_t i = 0; pluck_stage_at(i); i++)
        is_known |= has_key(pluck_stage_at(i), key);
    for (size_t i = 0; i < n; i++)
        if (has_key(setup_config_stage(config, indices[i]).stage, key))
            return false;
    size_t draw = setup_config_info(config).n_stages - 1;
    return is_known && !(own_draw && has_key(setup_config_stage(config, draw).stage, key));
}

static void write_value(FILE *file, const plk_json *json, const plk_json_node *node)
{
    size_t length = 0;
    const char *text = plk_json_source(json, node, &length);
    (void)fwrite(text, 1, length, file);
}

static void write_stages(FILE *file, const plk_json *json, const plk_json_node *stages,
                         const size_t *indices, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const plk_json_node *stage = plk_json_child(stages);
        for (size_t before = 0; before < indices[i]; before++)
            stage = plk_json_sibling(stage);
        (void)fputs(i > 0 ? ", " : "", file);
        write_value(file, json, stage);
    }
}

static void write_variant(FILE *file, const plk_json *json, const pluck_config *config,
                          const size_t *indices, size_t n, bool own_draw)
{
    bool is_flat = !plk_json_member(json->root, "stages");
    (void)fputs("{", file);
    for (const plk_json_node *item = plk_json_child(json->root); item;
         item = plk_json_sibling(item)) {
        const char *key = plk_json_key(item);
        if (strcmp(key, "stages") == 0 || strcmp(key, "order") == 0 ||
            (strcmp(key, "draw") == 0 && !own_draw) ||
            (is_flat && is_key_gone(config, indices, n, own_draw, key)))
            continue;
        (void)fprintf(file, "\"%s\": ", key);
        write_value(file, json, item);
        (void)fputs(", ", file);
    }
    if (!own_draw)
        (void)fputs("\"draw\": \"categorical\", ", file);
    (void)fprintf(file, "\"%s\": [", is_flat ? "order" : "stages");
    if (!is_flat)
        write_stages(file, json, plk_json_member(json->root, "stages"), indices, n);
    for (size_t i = 0; is_flat && i < n; i++)
        (void)fprintf(file, "%s\"%s\"", i > 0 ? ", " : "",
                      setup_config_stage(config, indices[i]).stage->name);
    (void)fputs("]}", file);
}

pluck_config *bench_variant(const pluck_config *config, const size_t *indices, size_t n,
                            bool own_draw, pluck_error *err)
{
    pluck_config *variant = NULL;
    plk_json json = {.root = NULL};
    size_t size = 0, variant_size = 0;
    char *text = config_text(config, &size), *variant_text = NULL;
    FILE *file = text ? open_memstream(&variant_text, &variant_size) : NULL;
    *err = (pluck_error){PLUCK_ERR_NOMEM, "out of memory"};
    if (file && plk_json_open(&json, text, size, NULL, NULL, err) == PLUCK_OK)
        write_variant(file, &json, config, indices, n, own_draw);
    if (file && fclose(file) == 0 && json.root)
        pluck_config_from_json(&variant, variant_text, variant_size, NULL, err);
    plk_json_close(&json);
    free(variant_text);
    free(text);
    return variant;
}
