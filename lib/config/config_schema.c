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
    plk_write_template(writer,
                       "{'description': %, 'type': 'object', 'properties': {'type': { 'const': % }",
                       info->summary, info->name);
    for (size_t i = 0; i < info->n_params; i++) {
        plk_write_key(writer, info->params[i].name);
        plk_param_schema(writer, &info->params[i]);
    }
    plk_write_template(writer, "}, 'required': [ 'type' ], 'additionalProperties': false}");
}

/* {"enum": [the names of all stages, or of all draws]} */
static void schema_names(plk_writer *writer, bool draw)
{
    plk_write_template(writer, "{'enum': ");
    plk_write_open(writer, '[', PLK_ONE_LINE);
    for (size_t s = 0; plk_stages[s]; s++)
        if (plk_is_draw(plk_stages[s]) == draw)
            plk_write_template(writer, ", %", plk_stages[s]->info.name);
    plk_write_template(writer, "]}");
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
    plk_write_template(writer, "'order': {'description': 'Stages in the order in which they run; "
                               "every configured one is named', 'type': 'array', 'items': ");
    schema_names(writer, false);
    plk_write_template(writer, "'uniqueItems': true}");
}

void plk_schema_stages(plk_writer *writer)
{
    plk_write_template(writer, "'stages': {'description': 'The stages in running order', "
                               "'type': 'array', 'items': {'oneOf': ");
    plk_write_open(writer, '[', PLK_LINES);
    schema_objects(writer, false);
    plk_write_template(writer, "]}}");
}

void plk_schema_draw(plk_writer *writer)
{
    plk_write_template(writer, "'draw': {'description': 'How the token is taken from what the "
                               "stages leave: a name, or an object with parameters', 'oneOf': [");
    schema_names(writer, true);
    schema_objects(writer, true);
    plk_write_template(writer, "]}");
}

void plk_schema_mirostat(plk_writer *writer)
{
    plk_write_template(writer, "'mirostat': {'description': 'The draw mirostat (1) or mirostat_v2 "
                               "(2); 0 leaves the draw as it is', "
                               "'enum': [ 0, 1, 2 ], 'default': 0}");
}

static void write_form(plk_writer *writer, const char *title, unsigned form)
{
    plk_write_template(writer, "{'title': %, 'type': 'object', 'properties': {", title);
    for (size_t i = 0; i < plk_n_config_keys; i++) {
        if (plk_config_keys[i].forms & form)
            plk_config_keys[i].schema(writer);
    }
    plk_write_template(writer, "}");
    if (form == PLK_FORM_EXPLICIT)
        plk_write_template(writer, "'required': [ 'stages' ]");
    plk_write_template(writer, "'additionalProperties': false}");
}

pluck_status pluck_config_schema(char *text, size_t capacity_bytes, size_t *needed_bytes,
                                 pluck_error *err)
{
    if (!needed_bytes || (!text && capacity_bytes > 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_schema: %s is NULL",
                        needed_bytes ? "text" : "needed_bytes");
    pluck_status status = plk_json_available(err);
    if (status != PLUCK_OK)
        return status;
    plk_writer writer = {.text = text, .capacity_bytes = capacity_bytes};
    plk_write_template(&writer, "{'$schema': 'https://json-schema.org/draft/2020-12/schema', "
                                "'title': 'pluck configuration', 'oneOf': [");
    write_form(&writer, "Flat form: one key a parameter", PLK_FORM_FLAT);
    plk_write_template(&writer, ",");
    write_form(&writer, "Explicit form: the stages in order", PLK_FORM_EXPLICIT);
    plk_write_template(&writer, "]}");
    return plk_write_end(&writer, needed_bytes, err);
}
