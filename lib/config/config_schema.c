/*
 * The schema has the two forms as alternatives. "stages" is what tells them apart: the explicit
 * form requires it, the flat form does not know it, so exactly one of them can match.
 */
#include "config/config_schema.h"

#include "base/error.h"
#include "config/config_keys.h"
#include "config/config_stages.h"
#include "config/param_json.h"

void pl_schema_flat_keys(pl_writer *writer)
{
    for (size_t s = 0; pl_stages[s]; s++) {
        const pluck_stage *info = &pl_stages[s]->info;
        for (size_t i = 0; i < info->n_params; i++) {
            if (!pl_is_first_of_key(s, i))
                continue;
            pl_write_key(writer, info->params[i].flat_key);
            pl_param_schema(writer, &info->params[i]);
        }
    }
}

/* {"type": name, parameters} of one stage. */
static void schema_object(pl_writer *writer, const pluck_stage *info)
{
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key_string(writer, "description", info->summary);
    pl_write_key_string(writer, "type", "object");
    pl_write_key(writer, "properties");
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key(writer, "type");
    pl_write_open(writer, '{', PL_ONE_LINE);
    pl_write_key_string(writer, "const", info->name);
    pl_write_close(writer, '}');
    for (size_t i = 0; i < info->n_params; i++) {
        pl_write_key(writer, info->params[i].name);
        pl_param_schema(writer, &info->params[i]);
    }
    pl_write_close(writer, '}');
    pl_write_key(writer, "required");
    pl_write_open(writer, '[', PL_ONE_LINE);
    pl_write_item(writer);
    pl_write_string(writer, "type");
    pl_write_close(writer, ']');
    pl_write_key_word(writer, "additionalProperties", "false");
    pl_write_close(writer, '}');
}

/* {"enum": [the names of all stages, or of all draws]} */
static void schema_names(pl_writer *writer, bool draw)
{
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key(writer, "enum");
    pl_write_open(writer, '[', PL_ONE_LINE);
    for (size_t s = 0; pl_stages[s]; s++) {
        if (pl_is_draw(pl_stages[s]) != draw)
            continue;
        pl_write_item(writer);
        pl_write_string(writer, pl_stages[s]->info.name);
    }
    pl_write_close(writer, ']');
    pl_write_close(writer, '}');
}

static void schema_objects(pl_writer *writer, bool draw)
{
    for (size_t s = 0; pl_stages[s]; s++) {
        if (pl_is_draw(pl_stages[s]) != draw)
            continue;
        pl_write_item(writer);
        schema_object(writer, &pl_stages[s]->info);
    }
}

void pl_schema_order(pl_writer *writer)
{
    pl_write_key(writer, "order");
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key_string(writer, "description",
                        "Stages in the order in which they run; every configured one is named");
    pl_write_key_string(writer, "type", "array");
    pl_write_key(writer, "items");
    schema_names(writer, false);
    pl_write_key_word(writer, "uniqueItems", "true");
    pl_write_close(writer, '}');
}

void pl_schema_stages(pl_writer *writer)
{
    pl_write_key(writer, "stages");
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key_string(writer, "description", "The stages in running order");
    pl_write_key_string(writer, "type", "array");
    pl_write_key(writer, "items");
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key(writer, "oneOf");
    pl_write_open(writer, '[', PL_LINES);
    schema_objects(writer, false);
    pl_write_close(writer, ']');
    pl_write_close(writer, '}');
    pl_write_close(writer, '}');
}

void pl_schema_draw(pl_writer *writer)
{
    pl_write_key(writer, "draw");
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key_string(writer, "description",
                        "How the token is taken from what the stages leave: a name, or an object "
                        "with parameters");
    pl_write_key(writer, "oneOf");
    pl_write_open(writer, '[', PL_LINES);
    pl_write_item(writer);
    schema_names(writer, true);
    schema_objects(writer, true);
    pl_write_close(writer, ']');
    pl_write_close(writer, '}');
}

void pl_schema_mirostat(pl_writer *writer)
{
    pl_write_key(writer, "mirostat");
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key_string(writer, "description",
                        "The draw mirostat (1) or mirostat_v2 (2); 0 leaves the draw as it is");
    pl_write_key(writer, "enum");
    pl_write_open(writer, '[', PL_ONE_LINE);
    for (int64_t version = 0; version <= 2; version++) {
        pl_write_item(writer);
        pl_write_integer(writer, version);
    }
    pl_write_close(writer, ']');
    pl_write_key_word(writer, "default", "0");
    pl_write_close(writer, '}');
}

static void write_form(pl_writer *writer, const char *title, unsigned form)
{
    pl_write_item(writer);
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key_string(writer, "title", title);
    pl_write_key_string(writer, "type", "object");
    pl_write_key(writer, "properties");
    pl_write_open(writer, '{', PL_LINES);
    for (size_t i = 0; i < pl_n_config_keys; i++) {
        if (pl_config_keys[i].forms & form)
            pl_config_keys[i].schema(writer);
    }
    pl_write_close(writer, '}');
    if (form == PL_FORM_EXPLICIT) {
        pl_write_key(writer, "required");
        pl_write_open(writer, '[', PL_ONE_LINE);
        pl_write_item(writer);
        pl_write_string(writer, "stages");
        pl_write_close(writer, ']');
    }
    pl_write_key_word(writer, "additionalProperties", "false");
    pl_write_close(writer, '}');
}

pluck_status pluck_config_schema(char *text, size_t capacity_bytes, size_t *size_bytes,
                                 pluck_error *err)
{
    if (!size_bytes || (!text && capacity_bytes > 0))
        return pl_fail(err, PLUCK_ERR_INVALID, "pluck_config_schema: %s is NULL",
                       size_bytes ? "text" : "size_bytes");
    pl_writer writer = {.text = text, .capacity_bytes = capacity_bytes};
    pl_write_open(&writer, '{', PL_LINES);
    pl_write_key_string(&writer, "$schema", "https://json-schema.org/draft/2020-12/schema");
    pl_write_key_string(&writer, "title", "pluck configuration");
    pl_write_key(&writer, "oneOf");
    pl_write_open(&writer, '[', PL_LINES);
    write_form(&writer, "Flat form: one key a parameter", PL_FORM_FLAT);
    write_form(&writer, "Explicit form: the stages in order", PL_FORM_EXPLICIT);
    pl_write_close(&writer, ']');
    pl_write_close(&writer, '}');
    return pl_write_end(&writer, size_bytes, err);
}
