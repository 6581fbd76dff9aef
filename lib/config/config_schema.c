/*
 * The schema has the two forms as alternatives. "stages" is what tells them apart: the explicit
 * form requires it, the flat form does not know it, so exactly one of them can match.
 */
#include "config/config_impl.h"

#include "base/error.h"

void plk_schema_flat_keys(plk_writer *writer)
{
    for (size_t s = 0; plk_stages[s]; s++) {
        const pluck_stage *info = &plk_stages[s]->info;
        for (size_t i = 0; i < info->n_params; i++) {
            if (!plk_is_first_of_key(s, i))
                continue;
            plk_write_key(writer, info->params[i].flat_key);
            plk_param_schema(writer, &info->params[i]);
        }
    }
}

/* {"type": name, parameters} of one stage. */
static void schema_object(plk_writer *writer, const pluck_stage *info)
{
    plk_write_open(writer, '{', PLK_LINES);
    plk_write_key_string(writer, "description", info->summary);
    plk_write_key_string(writer, "type", "object");
    plk_write_key(writer, "properties");
    plk_write_open(writer, '{', PLK_LINES);
    plk_write_key(writer, "type");
    plk_write_open(writer, '{', PLK_ONE_LINE);
    plk_write_key_string(writer, "const", info->name);
    plk_write_close(writer, '}');
    for (size_t i = 0; i < info->n_params; i++) {
        plk_write_key(writer, info->params[i].name);
        plk_param_schema(writer, &info->params[i]);
    }
    plk_write_close(writer, '}');
    plk_write_key(writer, "required");
    plk_write_open(writer, '[', PLK_ONE_LINE);
    plk_write_item(writer);
    plk_write_string(writer, "type");
    plk_write_close(writer, ']');
    plk_write_key_word(writer, "additionalProperties", "false");
    plk_write_close(writer, '}');
}

/* {"enum": [the names of all stages, or of all draws]} */
static void schema_names(plk_writer *writer, bool draw)
{
    plk_write_open(writer, '{', PLK_LINES);
    plk_write_key(writer, "enum");
    plk_write_open(writer, '[', PLK_ONE_LINE);
    for (size_t s = 0; plk_stages[s]; s++) {
        if (plk_is_draw(plk_stages[s]) != draw)
            continue;
        plk_write_item(writer);
        plk_write_string(writer, plk_stages[s]->info.name);
    }
    plk_write_close(writer, ']');
    plk_write_close(writer, '}');
}

static void schema_objects(plk_writer *writer, bool draw)
{
    for (size_t s = 0; plk_stages[s]; s++) {
        if (plk_is_draw(plk_stages[s]) != draw)
            continue;
        plk_write_item(writer);
        schema_object(writer, &plk_stages[s]->info);
    }
}

void plk_schema_order(plk_writer *writer)
{
    plk_write_key(writer, "order");
    plk_write_open(writer, '{', PLK_LINES);
    plk_write_key_string(writer, "description",
                         "Stages in the order in which they run; every configured one is named");
    plk_write_key_string(writer, "type", "array");
    plk_write_key(writer, "items");
    schema_names(writer, false);
    plk_write_key_word(writer, "uniqueItems", "true");
    plk_write_close(writer, '}');
}

void plk_schema_stages(plk_writer *writer)
{
    plk_write_key(writer, "stages");
    plk_write_open(writer, '{', PLK_LINES);
    plk_write_key_string(writer, "description", "The stages in running order");
    plk_write_key_string(writer, "type", "array");
    plk_write_key(writer, "items");
    plk_write_open(writer, '{', PLK_LINES);
    plk_write_key(writer, "oneOf");
    plk_write_open(writer, '[', PLK_LINES);
    schema_objects(writer, false);
    plk_write_close(writer, ']');
    plk_write_close(writer, '}');
    plk_write_close(writer, '}');
}

void plk_schema_draw(plk_writer *writer)
{
    plk_write_key(writer, "draw");
    plk_write_open(writer, '{', PLK_LINES);
    plk_write_key_string(writer, "description",
                         "How the token is taken from what the stages leave: a name, or an object "
                         "with parameters");
    plk_write_key(writer, "oneOf");
    plk_write_open(writer, '[', PLK_LINES);
    plk_write_item(writer);
    schema_names(writer, true);
    schema_objects(writer, true);
    plk_write_close(writer, ']');
    plk_write_close(writer, '}');
}

void plk_schema_mirostat(plk_writer *writer)
{
    plk_write_key(writer, "mirostat");
    plk_write_open(writer, '{', PLK_LINES);
    plk_write_key_string(writer, "description",
                         "The draw mirostat (1) or mirostat_v2 (2); 0 leaves the draw as it is");
    plk_write_key(writer, "enum");
    plk_write_open(writer, '[', PLK_ONE_LINE);
    for (int64_t version = 0; version <= 2; version++) {
        plk_write_item(writer);
        plk_write_integer(writer, version);
    }
    plk_write_close(writer, ']');
    plk_write_key_word(writer, "default", "0");
    plk_write_close(writer, '}');
}

static void write_form(plk_writer *writer, const char *title, unsigned form)
{
    plk_write_item(writer);
    plk_write_open(writer, '{', PLK_LINES);
    plk_write_key_string(writer, "title", title);
    plk_write_key_string(writer, "type", "object");
    plk_write_key(writer, "properties");
    plk_write_open(writer, '{', PLK_LINES);
    for (size_t i = 0; i < plk_n_config_keys; i++) {
        if (plk_config_keys[i].forms & form)
            plk_config_keys[i].schema(writer);
    }
    plk_write_close(writer, '}');
    if (form == PLK_FORM_EXPLICIT) {
        plk_write_key(writer, "required");
        plk_write_open(writer, '[', PLK_ONE_LINE);
        plk_write_item(writer);
        plk_write_string(writer, "stages");
        plk_write_close(writer, ']');
    }
    plk_write_key_word(writer, "additionalProperties", "false");
    plk_write_close(writer, '}');
}

pluck_status pluck_config_schema(char *text, size_t capacity_bytes, size_t *needed_bytes,
                                 pluck_error *err)
{
    if (!needed_bytes || (!text && capacity_bytes > 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_schema: %s is NULL",
                        needed_bytes ? "text" : "needed_bytes");
    plk_writer writer = {.text = text, .capacity_bytes = capacity_bytes};
    plk_write_open(&writer, '{', PLK_LINES);
    plk_write_key_string(&writer, "$schema", "https://json-schema.org/draft/2020-12/schema");
    plk_write_key_string(&writer, "title", "pluck configuration");
    plk_write_key(&writer, "oneOf");
    plk_write_open(&writer, '[', PLK_LINES);
    write_form(&writer, "Flat form: one key a parameter", PLK_FORM_FLAT);
    write_form(&writer, "Explicit form: the stages in order", PLK_FORM_EXPLICIT);
    plk_write_close(&writer, ']');
    plk_write_close(&writer, '}');
    return plk_write_end(&writer, needed_bytes, err);
}
