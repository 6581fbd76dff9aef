/*
 * Seed, on_nan and the two texts. A seed is read from the source text, because a double holds only
 * 53 of its 64 bits.
 */
#include "config/config_impl.h"

#include "base/text.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

/* Indexed by pluck_on_nan. */
static const char *const on_nan_names[] = {"error", "ban"};
enum { N_ON_NAN = sizeof on_nan_names / sizeof *on_nan_names };

static pluck_status read_text(const plk_config_reader *reader, const plk_json_node *value,
                              char **text)
{
    const pluck_allocator *allocator = &reader->config->allocator;
    if (!plk_json_is(value, PLK_JSON_STRING))
        return plk_json_fail_kind(reader->json, value, reader->err, "a string");
    size_t size_bytes = strlen(plk_json_string(value)) + 1;
    char *copy = plk_copy(allocator, plk_json_string(value), size_bytes);
    if (!copy)
        return plk_fail_nomem(reader->err, size_bytes);
    plk_free(allocator, *text);
    *text = copy;
    return PLUCK_OK;
}

static pluck_status read_schema_uri(const plk_config_reader *reader, const plk_json_node *value)
{
    return read_text(reader, value, &reader->config->schema_uri);
}

static pluck_status read_description(const plk_config_reader *reader, const plk_json_node *value)
{
    return read_text(reader, value, &reader->config->description);
}

static pluck_status read_seed(const plk_config_reader *reader, const plk_json_node *value)
{
    static const char allowed[] = "a whole number in [0, 18446744073709551615], or \"random\"";
    pluck_config *config = reader->config;
    bool random =
        plk_json_is(value, PLK_JSON_STRING) && strcmp(plk_json_string(value), "random") == 0;
    bool negative = false;
    uint64_t seed = 0;
    if (!random && !plk_json_is(value, PLK_JSON_NUMBER))
        return plk_json_fail(reader->json, value, reader->err, "expected %s, not %s", allowed,
                             plk_json_is(value, PLK_JSON_STRING) ? "another string"
                                                                 : plk_json_kind_name(value));
    if (!random) {
        char quoted[PLK_QUOTE_BYTES];
        size_t length = 0;
        const char *text = plk_json_source(reader->json, value, &length);
        if (plk_number_whole(text, length, &negative, &seed) != PLK_WHOLE || (negative && seed > 0))
            return plk_json_fail(reader->json, value, reader->err, "%s is not %s",
                                 plk_quote(quoted, text, length), allowed);
    }
    config->has_seed = true;
    config->random_seed = random;
    config->seed = seed;
    return PLUCK_OK;
}

static pluck_status read_on_nan(const plk_config_reader *reader, const plk_json_node *value)
{
    for (size_t i = 0; i < N_ON_NAN && plk_json_is(value, PLK_JSON_STRING); i++) {
        if (strcmp(plk_json_string(value), on_nan_names[i]) == 0) {
            reader->config->has_on_nan = true;
            reader->config->on_nan = (pluck_on_nan)i;
            return PLUCK_OK;
        }
    }
    return plk_json_fail(reader->json, value, reader->err, "expected \"%s\" or \"%s\", not %s",
                         on_nan_names[0], on_nan_names[1],
                         plk_json_is(value, PLK_JSON_STRING) ? "another string"
                                                             : plk_json_kind_name(value));
}

static void write_schema_uri(const pluck_config *config, plk_writer *writer)
{
    if (config->schema_uri)
        plk_write_key_string(writer, "$schema", config->schema_uri);
}

static void write_description(const pluck_config *config, plk_writer *writer)
{
    if (config->description)
        plk_write_key_string(writer, "description", config->description);
}

static void write_seed(const pluck_config *config, plk_writer *writer)
{
    if (!config->has_seed)
        return;
    plk_write_key(writer, "seed");
    if (config->random_seed)
        plk_write_string(writer, "random");
    else
        plk_write_unsigned(writer, config->seed);
}

static void write_on_nan(const pluck_config *config, plk_writer *writer)
{
    if (config->has_on_nan)
        plk_write_key_string(writer, "on_nan", on_nan_names[config->on_nan]);
}

static void schema_schema_uri(plk_writer *writer)
{
    plk_write_template(writer, "'$schema': {'description': 'Where this schema is, for editors', "
                               "'type': 'string'}");
}

static void schema_description(plk_writer *writer)
{
    plk_write_template(writer, "'description': {'description': 'What the configuration is for; "
                               "kept, otherwise ignored', 'type': 'string'}");
}

static void schema_seed(plk_writer *writer)
{
    plk_write_template(writer, "'seed': {'description': 'Seed of the random numbers; \"random\" "
                               "asks the operating system for one', "
                               "'anyOf': [{ 'type': 'integer', 'minimum': 0, "
                               "'maximum': 18446744073709551615 }, { 'const': 'random' }], "
                               "'default': 0}");
}

static void schema_on_nan(plk_writer *writer)
{
    _Static_assert(N_ON_NAN == 2, "the names below");
    plk_write_template(writer,
                       "'on_nan': {'description': 'What to do about a logit that is NaN or +inf: "
                       "refuse, or ban the token', 'enum': [ %, % ], 'default': %}",
                       on_nan_names[0], on_nan_names[1], on_nan_names[0]);
}

const plk_config_key plk_config_keys[] = {
    {"$schema", PLK_FORM_BOTH, read_schema_uri, write_schema_uri, schema_schema_uri, NULL},
    {"description", PLK_FORM_BOTH, read_description, write_description, schema_description, NULL},
    {"seed", PLK_FORM_BOTH, read_seed, write_seed, schema_seed, NULL},
    {"on_nan", PLK_FORM_BOTH, read_on_nan, write_on_nan, schema_on_nan, NULL},
    {"order", PLK_FORM_FLAT, plk_read_order, plk_write_order, plk_schema_order,
     "which gives the order itself; remove one of the two"},
    {NULL, PLK_FORM_FLAT, NULL, plk_write_flat_keys, plk_schema_flat_keys, NULL},
    {"mirostat", PLK_FORM_FLAT, plk_read_mirostat, plk_write_mirostat, plk_schema_mirostat,
     "with which the draw is chosen by \"draw\": {\"type\": \"mirostat_v2\"}"},
    {"stages", PLK_FORM_EXPLICIT, plk_read_stages, plk_write_stages, plk_schema_stages, NULL},
    {"draw", PLK_FORM_BOTH, plk_read_draw, plk_write_draw, plk_schema_draw, NULL},
};
const size_t plk_n_config_keys = sizeof plk_config_keys / sizeof *plk_config_keys;

/* The row with this name, or NULL. */
static const plk_config_key *find_key(const char *name)
{
    for (size_t i = 0; i < plk_n_config_keys; i++) {
        if (plk_config_keys[i].name && strcmp(plk_config_keys[i].name, name) == 0)
            return &plk_config_keys[i];
    }
    return NULL;
}

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

static pluck_status read_explicit_member(const plk_config_reader *reader,
                                         const plk_json_node *member)
{
    size_t rank = 0, param = 0;
    const plk_config_key *row = find_key(plk_json_key(member));
    if (row && (row->forms & PLK_FORM_EXPLICIT))
        return row->read(reader, member);
    if (row)
        return plk_json_fail_key(reader->json, member, reader->err,
                                 "not allowed next to \"stages\", %s", row->not_explicit);
    const plk_stage *stage = plk_find_owner(plk_json_key(member), &rank, &param);
    if (stage)
        return plk_json_fail_key(
            reader->json, member, reader->err,
            "a flat key next to \"stages\": write {\"type\": \"%s\", \"%s\": …} "
            "in \"stages\", or use flat keys alone",
            stage->info.name, stage->info.params[param].name);
    return fail_unknown_key(reader, plk_json_key(member), member, PLK_FORM_EXPLICIT);
}

static pluck_status read_flat_member(const plk_config_reader *reader, const char *key,
                                     const plk_json_node *value)
{
    bool found = false;
    const plk_config_key *row = find_key(key);
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
    return plk_json_fail(
        reader->json, node, reader->err,
        "'%s' is configured but \"order\" does not name it; add it, or remove its keys",
        missing->info.name);
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
    if (strchr(key, '.')) {
        status = plk_set_in_stage(reader, key, value);
    } else if (!reader->config->explicit_form) {
        status = read_flat_member(reader, key, value);
    } else {
        const plk_config_key *row = find_key(key);
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
