/*
 * Seed, on_nan and the two texts. A seed is read from the source text, because a double holds only
 * 53 of its 64 bits.
 */
#include "config/config_keys.h"

#include "config/config_schema.h"
#include "config/config_stages.h"
#include "json/json_number.h"

#include <string.h>

/* Indexed by pluck_on_nan. */
static const char *const on_nan_names[] = {"error", "ban"};
enum { N_ON_NAN = sizeof on_nan_names / sizeof *on_nan_names };

static pluck_status read_text(const pl_config_reader *reader, const cJSON *value, char **text)
{
    const pluck_allocator *allocator = &reader->config->allocator;
    if (!cJSON_IsString(value))
        return pl_json_fail(reader->json, value, reader->err, "expected a string, not %s",
                            pl_json_kind(value));
    size_t size_bytes = strlen(value->valuestring) + 1;
    char *copy = pl_alloc(allocator, size_bytes, 1);
    if (!copy)
        return pl_fail_nomem(reader->err, size_bytes);
    memcpy(copy, value->valuestring, size_bytes);
    pl_free(allocator, *text);
    *text = copy;
    return PLUCK_OK;
}

static pluck_status read_schema_uri(const pl_config_reader *reader, const cJSON *value)
{
    return read_text(reader, value, &reader->config->schema_uri);
}

static pluck_status read_description(const pl_config_reader *reader, const cJSON *value)
{
    return read_text(reader, value, &reader->config->description);
}

static pluck_status read_seed(const pl_config_reader *reader, const cJSON *value)
{
    static const char allowed[] = "a whole number in [0, 18446744073709551615], or \"random\"";
    pluck_config *config = reader->config;
    bool random = cJSON_IsString(value) && strcmp(value->valuestring, "random") == 0;
    bool negative = false;
    uint64_t seed = 0;
    if (!random && !cJSON_IsNumber(value))
        return pl_json_fail(reader->json, value, reader->err, "expected %s, not %s", allowed,
                            cJSON_IsString(value) ? "another string" : pl_json_kind(value));
    if (!random) {
        char quoted[PL_QUOTE_BYTES];
        size_t length = 0;
        const char *text = pl_json_number_text(reader->json, value, &length);
        pl_quote(quoted, text, length);
        if (pl_number_whole(text, length, &negative, &seed) != PL_WHOLE || (negative && seed > 0))
            return pl_json_fail(reader->json, value, reader->err, "%s is not %s", quoted, allowed);
    }
    config->has_seed = true;
    config->random_seed = random;
    config->seed = seed;
    return PLUCK_OK;
}

static pluck_status read_on_nan(const pl_config_reader *reader, const cJSON *value)
{
    for (size_t i = 0; i < N_ON_NAN && cJSON_IsString(value); i++) {
        if (strcmp(value->valuestring, on_nan_names[i]) == 0) {
            reader->config->has_on_nan = true;
            reader->config->on_nan = (pluck_on_nan)i;
            return PLUCK_OK;
        }
    }
    return pl_json_fail(reader->json, value, reader->err, "expected \"%s\" or \"%s\", not %s",
                        on_nan_names[0], on_nan_names[1],
                        cJSON_IsString(value) ? "another string" : pl_json_kind(value));
}

static void write_schema_uri(const pluck_config *config, pl_writer *writer)
{
    if (config->schema_uri)
        pl_write_key_string(writer, "$schema", config->schema_uri);
}

static void write_description(const pluck_config *config, pl_writer *writer)
{
    if (config->description)
        pl_write_key_string(writer, "description", config->description);
}

static void write_seed(const pluck_config *config, pl_writer *writer)
{
    if (!config->has_seed)
        return;
    pl_write_key(writer, "seed");
    if (config->random_seed)
        pl_write_string(writer, "random");
    else
        pl_write_unsigned(writer, config->seed);
}

static void write_on_nan(const pluck_config *config, pl_writer *writer)
{
    if (config->has_on_nan)
        pl_write_key_string(writer, "on_nan", on_nan_names[config->on_nan]);
}

static void schema_text(pl_writer *writer, const char *key, const char *description)
{
    pl_write_key(writer, key);
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key_string(writer, "description", description);
    pl_write_key_string(writer, "type", "string");
    pl_write_close(writer, '}');
}

static void schema_schema_uri(pl_writer *writer)
{
    schema_text(writer, "$schema", "Where this schema is, for editors");
}

static void schema_description(pl_writer *writer)
{
    schema_text(writer, "description", "What the configuration is for; kept, otherwise ignored");
}

static void schema_seed(pl_writer *writer)
{
    pl_write_key(writer, "seed");
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key_string(writer, "description",
                        "Seed of the random numbers; \"random\" asks the operating system for one");
    pl_write_key(writer, "anyOf");
    pl_write_open(writer, '[', PL_LINES);
    pl_write_item(writer);
    pl_write_open(writer, '{', PL_ONE_LINE);
    pl_write_key_string(writer, "type", "integer");
    pl_write_key_word(writer, "minimum", "0");
    pl_write_key(writer, "maximum");
    pl_write_unsigned(writer, UINT64_MAX);
    pl_write_close(writer, '}');
    pl_write_item(writer);
    pl_write_open(writer, '{', PL_ONE_LINE);
    pl_write_key_string(writer, "const", "random");
    pl_write_close(writer, '}');
    pl_write_close(writer, ']');
    pl_write_key_word(writer, "default", "0");
    pl_write_close(writer, '}');
}

static void schema_on_nan(pl_writer *writer)
{
    pl_write_key(writer, "on_nan");
    pl_write_open(writer, '{', PL_LINES);
    pl_write_key_string(writer, "description",
                        "What to do about a logit that is NaN or +inf: refuse, or ban the token");
    pl_write_key(writer, "enum");
    pl_write_open(writer, '[', PL_ONE_LINE);
    for (size_t i = 0; i < N_ON_NAN; i++) {
        pl_write_item(writer);
        pl_write_string(writer, on_nan_names[i]);
    }
    pl_write_close(writer, ']');
    pl_write_key_string(writer, "default", on_nan_names[0]);
    pl_write_close(writer, '}');
}

const pl_config_key pl_config_keys[] = {
    {"$schema", PL_FORM_BOTH, read_schema_uri, write_schema_uri, schema_schema_uri, NULL},
    {"description", PL_FORM_BOTH, read_description, write_description, schema_description, NULL},
    {"seed", PL_FORM_BOTH, read_seed, write_seed, schema_seed, NULL},
    {"on_nan", PL_FORM_BOTH, read_on_nan, write_on_nan, schema_on_nan, NULL},
    {"order", PL_FORM_FLAT, pl_read_order, pl_write_order, pl_schema_order,
     "which is an order itself"},
    {NULL, PL_FORM_FLAT, NULL, pl_write_flat_keys, pl_schema_flat_keys, NULL},
    {"mirostat", PL_FORM_FLAT, pl_read_mirostat, pl_write_mirostat, pl_schema_mirostat,
     "where a draw is chosen by \"draw\": {\"type\": \"mirostat_v2\"}"},
    {"stages", PL_FORM_EXPLICIT, pl_read_stages, pl_write_stages, pl_schema_stages, NULL},
    {"draw", PL_FORM_BOTH, pl_read_draw, pl_write_draw, pl_schema_draw, NULL},
};
const size_t pl_n_config_keys = sizeof pl_config_keys / sizeof *pl_config_keys;

const pl_config_key *pl_config_key_find(const char *name)
{
    for (size_t i = 0; i < pl_n_config_keys; i++) {
        if (pl_config_keys[i].name && strcmp(pl_config_keys[i].name, name) == 0)
            return &pl_config_keys[i];
    }
    return NULL;
}
