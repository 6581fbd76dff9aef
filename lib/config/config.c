/*
 * The public functions: the life of a configuration and what can be asked of it. How each key is
 * read and written is in config_keys.c and config_stages.c.
 */
#include "config/config_impl.h"

#include "base/error.h"
#include "simd/fp_state.h"
#include "stages/stage_impl.h"

#include <pluck/config.h>

#include <math.h>
#include <string.h>

/* What "draw" is when it is absent. */
static const char default_draw[] = "categorical";

static void free_content(pluck_config *config)
{
    while (config->n_entries > 0)
        plk_config_remove(config, config->n_entries - 1);
    plk_free(&config->allocator, config->entries);
    plk_free(&config->allocator, config->running);
    plk_free(&config->allocator, config->order);
    plk_free(&config->allocator, config->schema_uri);
    plk_free(&config->allocator, config->description);
}

void plk_config_move(pluck_config *to, pluck_config *from)
{
    pluck_allocator allocator = from->allocator;
    free_content(to);
    *to = *from;
    *from = (pluck_config){.allocator = allocator};
}

pluck_status plk_config_create(pluck_config **out, const pluck_allocator *allocator,
                               pluck_error *err)
{
    const plk_stage *missing = NULL;
    *out = NULL;
    pluck_allocator memory = plk_allocator_or_default(allocator);
    pluck_config *config = plk_alloc_zero(&memory, 1, sizeof *config);
    if (!config)
        return plk_fail_nomem(err, sizeof *config);
    config->allocator = memory;
    pluck_status status = plk_config_choose_draw(config, plk_stage_find(default_draw), err);
    if (status != PLUCK_OK) {
        pluck_config_destroy(&config);
        return status;
    }
    plk_config_arrange(config, &missing);
    *out = config;
    return PLUCK_OK;
}

pluck_status pluck_config_create(pluck_config **out, const pluck_config_options *options,
                                 pluck_error *err)
{
    pluck_config_options known;
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_create: out is NULL");
    *out = NULL;
    pluck_status status = PLK_READ_STRUCT(&known, options, "options", pluck_config_options, err);
    if (status == PLUCK_OK)
        status = plk_config_create(out, known.allocator, err);
    if (status == PLUCK_OK)
        (*out)->registry = known.registry;
    return status;
}

void pluck_config_destroy(pluck_config **config)
{
    if (!config || !*config)
        return;
    pluck_allocator allocator = (*config)->allocator;
    free_content(*config);
    plk_free(&allocator, *config);
    *config = NULL;
}

static pluck_status clone_bytes(void *out, const void *bytes, size_t n, size_t size_bytes,
                                const pluck_allocator *allocator, pluck_error *err)
{
    if (!bytes)
        return PLUCK_OK;
    void *copy = plk_alloc(allocator, n, size_bytes);
    if (!copy)
        return plk_fail_nomem(err, n * size_bytes);
    if (n > 0)
        memcpy(copy, bytes, n * size_bytes);
    memcpy(out, &copy, sizeof copy);
    return PLUCK_OK;
}

static pluck_status clone_entries(pluck_config *copy, const pluck_config *config, pluck_error *err)
{
    for (size_t i = 0; i < config->n_entries; i++) {
        const plk_config_entry *entry = &config->entries[i];
        plk_config_entry *twin = &copy->entries[i];
        pluck_status status = plk_params_clone(&twin->params, &entry->stage->info, entry->params,
                                               &config->allocator, err);
        if (status != PLUCK_OK)
            return status;
        twin->stage = entry->stage;
        twin->given = entry->given;
        twin->given_in_draw = entry->given_in_draw;
        copy->n_entries++;
    }
    return PLUCK_OK;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

pluck_status plk_config_copy_texts(pluck_config *config, const pluck_config *from, pluck_error *err)
{
    const pluck_allocator *memory = &config->allocator;
    pluck_status status = clone_bytes(&config->schema_uri, from->schema_uri,
                                      text_size(from->schema_uri), 1, memory, err);
    return status != PLUCK_OK ? status
                              : clone_bytes(&config->description, from->description,
                                            text_size(from->description), 1, memory, err);
}

pluck_status pluck_config_clone(pluck_config **out, const pluck_config *config, pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_clone: out is NULL");
    *out = NULL;
    if (!config)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_clone: config is NULL");
    const pluck_allocator *memory = &config->allocator;
    pluck_config *copy = plk_alloc(memory, 1, sizeof *copy);
    if (!copy)
        return plk_fail_nomem(err, sizeof *copy);
    *copy = *config;
    copy->n_entries = 0;
    copy->entries = plk_alloc(memory, config->capacity, sizeof *copy->entries);
    copy->running = NULL;
    copy->order = NULL;
    copy->schema_uri = copy->description = NULL;
    pluck_status status = copy->entries
                              ? clone_entries(copy, config, err)
                              : plk_fail_nomem(err, config->capacity * sizeof *copy->entries);
    if (status == PLUCK_OK)
        status = clone_bytes(&copy->running, config->running, config->capacity,
                             sizeof *copy->running, memory, err);
    if (status == PLUCK_OK)
        status = clone_bytes(&copy->order, config->order, config->n_order, sizeof *copy->order,
                             memory, err);
    if (status == PLUCK_OK)
        status = plk_config_copy_texts(copy, config, err);
    if (status != PLUCK_OK)
        pluck_config_destroy(&copy);
    *out = copy;
    return status;
}

static pluck_status read_json(pluck_config *config, const char *json, size_t json_size_bytes,
                              pluck_error *err)
{
    plk_json tree;
    plk_fp_state fp = plk_fp_enter_text();
    pluck_status status =
        plk_json_open(&tree, json, json_size_bytes, 0, NULL, &config->allocator, err);
    if (status == PLUCK_OK)
        status = plk_config_read(&(plk_config_reader){&tree, config, false, err});
    plk_json_close(&tree);
    plk_fp_leave(fp);
    return status;
}

pluck_status pluck_config_from_json(pluck_config **out, const char *json, size_t json_size_bytes,
                                    const pluck_config_options *options, pluck_error *err)
{
    pluck_config *config = NULL;
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_from_json: out is NULL");
    *out = NULL;
    if (!json && json_size_bytes > 0)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_from_json: json is NULL");
    pluck_status status = pluck_config_create(&config, options, err);
    if (status != PLUCK_OK)
        return status;
    status = read_json(config, json, json_size_bytes, err);
    if (status == PLUCK_OK)
        *out = config;
    else
        pluck_config_destroy(&config);
    return status;
}

/* Works on a copy that replaces the original only when all went well. */
static pluck_status set(pluck_config *config, const char *key, const char *json, size_t size_bytes,
                        unsigned flags, pluck_error *err)
{
    plk_json tree = {.root = NULL};
    pluck_config *copy = NULL;
    pluck_status status = pluck_config_clone(&copy, config, err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter_text();
    status = plk_json_open(&tree, json, size_bytes, flags, key, &copy->allocator, err);
    if (status == PLUCK_OK)
        status = plk_config_read_key(&(plk_config_reader){&tree, copy, true, err}, key);
    plk_json_close(&tree);
    plk_fp_leave(fp);
    if (status == PLUCK_OK)
        plk_config_move(config, copy);
    pluck_config_destroy(&copy);
    return status;
}

static pluck_status check_set(const char *function, const pluck_config *config, const char *key,
                              bool has_value, pluck_error *err)
{
    if (config && key && has_value)
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_INVALID, "%s: %s is NULL", function,
                    !config ? "config"
                    : !key  ? "key"
                            : "the value");
}

pluck_status pluck_config_set_json(pluck_config *config, const char *key, const char *json,
                                   pluck_error *err)
{
    pluck_status status = check_set("pluck_config_set_json", config, key, json != NULL, err);
    return status == PLUCK_OK ? set(config, key, json, strlen(json), 0, err) : status;
}

typedef void (*value_writer)(plk_writer *writer, const void *value);

/* Every setter goes by way of JSON: so a value means what it means there, and is refused with the
 * same words. */
static pluck_status set_value(const char *function, pluck_config *config, const char *key,
                              value_writer write, const void *value, pluck_error *err)
{
    plk_writer writer = {.text = NULL};
    pluck_status status = check_set(function, config, key, value != NULL, err);
    if (status != PLUCK_OK)
        return status;
    plk_fp_state fp = plk_fp_enter_text();
    write(&writer, value);
    size_t size_bytes = writer.size_bytes;
    char *text = plk_alloc(&config->allocator, size_bytes, 1);
    writer = (plk_writer){.text = text, .capacity_bytes = size_bytes};
    if (text)
        write(&writer, value);
    plk_fp_leave(fp);
    status = text ? set(config, key, text, size_bytes, PLK_JSON_OWN, err)
                  : plk_fail_nomem(err, size_bytes);
    plk_free(&config->allocator, text);
    return status;
}

/* A value of a parameter's type. */
typedef struct typed_value {
    pluck_param_type type;
    const void *value;
} typed_value;

static void write_typed(plk_writer *writer, const void *value)
{
    const typed_value *typed = value;
    plk_value_write(writer, typed->type, typed->value);
}

/* JSON tells 40 from 40.0 no more than the reader does: so the type is checked here. */
pluck_status pluck_config_set_number(pluck_config *config, const char *key, double value,
                                     pluck_error *err)
{
    pluck_status status = check_set("pluck_config_set_number", config, key, true, err);
    if (status != PLUCK_OK)
        return status;
    const pluck_param *param = plk_find_param(config, key);
    if (param && param->type == PLUCK_PARAM_INTEGER)
        return plk_fail(err, PLUCK_ERR_CONFIG,
                        "%.64s: the parameter is a whole number; use pluck_config_set_integer",
                        key);
    if (!isfinite(value))
        return plk_fail(err, PLUCK_ERR_CONFIG, "%.64s: %s is not a finite number", key,
                        isnan(value) ? "nan"
                        : value > 0  ? "inf"
                                     : "-inf");
    return set_value("pluck_config_set_number", config, key, write_typed,
                     &(typed_value){PLUCK_PARAM_NUMBER, &value}, err);
}

pluck_status pluck_config_set_integer(pluck_config *config, const char *key, int64_t value,
                                      pluck_error *err)
{
    return set_value("pluck_config_set_integer", config, key, write_typed,
                     &(typed_value){PLUCK_PARAM_INTEGER, &value}, err);
}

pluck_status pluck_config_set_bool(pluck_config *config, const char *key, bool value,
                                   pluck_error *err)
{
    return set_value("pluck_config_set_bool", config, key, write_typed,
                     &(typed_value){PLUCK_PARAM_BOOLEAN, &value}, err);
}

static void write_text(plk_writer *writer, const void *value)
{
    plk_write_string(writer, value);
}

pluck_status pluck_config_set_text(pluck_config *config, const char *key, const char *value,
                                   pluck_error *err)
{
    return set_value("pluck_config_set_text", config, key, write_text, value, err);
}

/* What is only read: the types of values are not const. */
typedef struct token_array {
    const pluck_token *tokens;
    size_t n;
} token_array;

static void write_tokens(plk_writer *writer, const void *value)
{
    const token_array *array = value;
    plk_write_open(writer, '[', PLK_ONE_LINE);
    for (size_t i = 0; i < array->n; i++) {
        plk_write_item(writer);
        plk_write_integer(writer, array->tokens[i]);
    }
    plk_write_close(writer, ']');
}

pluck_status pluck_config_set_tokens(pluck_config *config, const char *key,
                                     const pluck_token *tokens, size_t n, pluck_error *err)
{
    token_array array = {tokens, n};
    return set_value("pluck_config_set_tokens", config, key, write_tokens,
                     tokens || n == 0 ? &array : NULL, err);
}

pluck_status pluck_config_set_sequences(pluck_config *config, const char *key,
                                        const pluck_sequences *sequences, pluck_error *err)
{
    bool has_value = sequences && (sequences->n == 0 || (sequences->tokens && sequences->ends));
    pluck_status status = check_set("pluck_config_set_sequences", config, key, has_value, err);
    if (status != PLUCK_OK)
        return status;
    for (size_t i = 1; i < sequences->n; i++)
        if (sequences->ends[i] < sequences->ends[i - 1])
            return plk_fail(
                err, PLUCK_ERR_INVALID,
                "pluck_config_set_sequences: ends[%zu] is below ends[%zu]; ends must not decrease",
                i, i - 1);
    typed_value typed = {PLUCK_PARAM_SEQUENCES, sequences};
    return set_value("pluck_config_set_sequences", config, key, write_typed, &typed, err);
}

typedef struct bias_array {
    const pluck_bias *biases;
    size_t n;
} bias_array;

/* Pairs, of which messages say which one is wrong. */
static void write_biases(plk_writer *writer, const void *value)
{
    const bias_array *array = value;
    plk_write_open(writer, '[', PLK_ONE_LINE);
    for (size_t i = 0; i < array->n; i++) {
        plk_write_item(writer);
        plk_write_open(writer, '[', PLK_ONE_LINE);
        plk_write_item(writer);
        plk_write_integer(writer, array->biases[i].token);
        plk_write_item(writer);
        if (isinf(array->biases[i].bias))
            plk_write_word(writer, "false");
        else
            plk_write_number(writer, array->biases[i].bias);
        plk_write_close(writer, ']');
    }
    plk_write_close(writer, ']');
}

pluck_status pluck_config_set_biases(pluck_config *config, const char *key,
                                     const pluck_bias *biases, size_t n, pluck_error *err)
{
    bias_array array = {biases, n};
    pluck_status status =
        check_set("pluck_config_set_biases", config, key, biases != NULL || n == 0, err);
    if (status != PLUCK_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        if (!(biases[i].bias < (double)INFINITY))
            return plk_fail(err, PLUCK_ERR_CONFIG,
                            "%.64s: bias %zu is %s; a bias is finite, or -inf to ban the token",
                            key, i, isnan(biases[i].bias) ? "nan" : "inf");
    return set_value("pluck_config_set_biases", config, key, write_biases, &array, err);
}

static void write_seed(plk_writer *writer, const void *value)
{
    plk_write_unsigned(writer, *(const uint64_t *)value);
}

pluck_status pluck_config_set_seed(pluck_config *config, uint64_t seed, pluck_error *err)
{
    return set_value("pluck_config_set_seed", config, "seed", write_seed, &seed, err);
}

/* The explicit form of a configuration, with its stages as they run. */
static pluck_status explicit_copy(pluck_config **copy, const pluck_config *config, pluck_error *err)
{
    if (config->explicit_form)
        return pluck_config_clone(copy, config, err);
    size_t n = config->n_running - 1; /* without the draw */
    const plk_config_entry **entries = plk_alloc(&config->allocator, n, sizeof *entries);
    if (!entries)
        return plk_fail_nomem(err, n * sizeof *entries);
    for (size_t i = 0; i < n; i++)
        entries[i] = &config->entries[config->running[i]];
    pluck_status status = plk_config_make_explicit(copy, config, entries, n, err);
    plk_free(&config->allocator, entries);
    return status;
}

pluck_status pluck_config_add_stage(pluck_config *config, const char *name, pluck_error *err)
{
    const plk_stage *missing = NULL;
    pluck_config *copy = NULL;
    if (!config || !name)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_add_stage: %s is NULL",
                        config ? "name" : "config");
    char nearest[PLK_SUGGESTION_BYTES];
    const plk_stage *stage = plk_find_stage(config->registry, name, nearest);
    if (!stage)
        return plk_fail(err, PLUCK_ERR_CONFIG, "unknown stage '%.40s'%s", name, nearest);
    pluck_status status = explicit_copy(&copy, config, err);
    if (status == PLUCK_OK)
        status = plk_is_draw(stage) ? plk_config_choose_draw(copy, stage, err)
                                    : plk_config_insert(copy, copy->n_entries - 1, stage, err);
    if (status == PLUCK_OK) {
        copy->has_draw = copy->has_draw || plk_is_draw(stage);
        plk_config_arrange(copy, &missing);
        plk_config_move(config, copy);
    }
    pluck_config_destroy(&copy);
    return status;
}

pluck_status pluck_config_to_json(const pluck_config *config, char *text, size_t capacity_bytes,
                                  size_t *needed_bytes, pluck_error *err)
{
    if (!config || !needed_bytes || (!text && capacity_bytes > 0))
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_to_json: %s is NULL",
                        !config         ? "config"
                        : !needed_bytes ? "needed_bytes"
                                        : "text");
    pluck_status status = plk_json_available(err);
    if (status != PLUCK_OK)
        return status;
    plk_writer writer = {.text = text, .capacity_bytes = capacity_bytes};
    plk_fp_state fp = plk_fp_enter_text();
    plk_write_open(&writer, '{', PLK_LINES);
    for (size_t i = 0; i < plk_n_config_keys; i++)
        plk_config_keys[i].write(config, &writer);
    plk_write_close(&writer, '}');
    plk_fp_leave(fp);
    return plk_write_end(&writer, needed_bytes, err);
}

static const plk_config_entry *running_entry(const pluck_config *config, size_t index)
{
    return index < config->n_running ? &config->entries[config->running[index]] : NULL;
}

pluck_status pluck_config_get_info(const pluck_config *config, pluck_config_info *info,
                                   pluck_error *err)
{
    if (!config || !info)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_get_info: %s is NULL",
                        config ? "info" : "config");
    pluck_config_info known = {
        .n_stages = config->n_running,
        .seed = config->seed,
        .seed_is_random = config->random_seed,
        .is_flat = !config->explicit_form,
        .on_nan = config->on_nan,
    };
    return PLK_WRITE_STRUCT(info, &known, "info", pluck_config_info, err);
}

pluck_status pluck_config_get_stage(const pluck_config *config, size_t index,
                                    pluck_config_stage *stage, pluck_error *err)
{
    if (!config || !stage)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_config_get_stage: %s is NULL",
                        config ? "stage" : "config");
    const plk_config_entry *entry = running_entry(config, index);
    if (!entry)
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "pluck_config_get_stage: stage %zu does not exist; the number of stages is %zu", index,
            config->n_running);
    pluck_config_stage known = {
        .stage = &entry->stage->info,
        .params = entry->params,
        .is_neutral = entry->stage->is_neutral && entry->stage->is_neutral(entry->params),
    };
    return PLK_WRITE_STRUCT(stage, &known, "stage", pluck_config_stage, err);
}

bool pluck_config_equal(const pluck_config *a, const pluck_config *b)
{
    if (!a || !b)
        return a == b;
    if (a->explicit_form != b->explicit_form || a->random_seed != b->random_seed ||
        a->seed != b->seed || a->on_nan != b->on_nan || a->n_running != b->n_running)
        return false;
    for (size_t i = 0; i < a->n_running; i++) {
        const plk_config_entry *left = running_entry(a, i), *right = running_entry(b, i);
        if (left->stage != right->stage ||
            !plk_params_equal(&left->stage->info, left->params, right->params))
            return false;
    }
    return true;
}
