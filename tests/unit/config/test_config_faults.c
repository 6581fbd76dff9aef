/*
 * Running out of memory at any allocation gives PLUCK_ERR_NOMEM, leaks nothing and leaves every
 * object as it was: the N-th allocation fails, for N = 1, 2, 3 … until a run injects nothing. The
 * library's own allocations fail through the caller's allocator, cJSON's through its hooks.
 */
#include "test_config_helpers.h"

#include <cjson/cJSON.h>

static const char flat_text[] =
    "{\"$schema\": \"s\", \"description\": \"d\", \"seed\": 5, \"order\": [\"top_p\", \"top_k\", "
    "\"logit_bias\", \"penalties\", \"min_p\", \"temperature\"], \"logit_bias\": [[9, 1], [5, 2], "
    "[7, false]], \"repeat_penalty\": 1.1, \"top_k\": 40, \"top_p\": 0.9, \"min_p\": 0.1, "
    "\"min_keep\": 2, \"temperature\": 0.5, \"draw\": \"greedy\"}";
static const char explicit_text[] =
    "{\"stages\": [{\"type\": \"logit_bias\", \"bias\": {\"9\": 1, \"5\": 2}}, {\"type\": "
    "\"top_k\"}, {\"type\": \"top_k\"}, {\"type\": \"top_k\"}, {\"type\": \"top_k\"}, {\"type\": "
    "\"top_k\"}, {\"type\": \"top_k\"}, {\"type\": \"top_k\"}, {\"type\": \"top_k\"}, {\"type\": "
    "\"logit_bias\", \"bias\": [[1, 2], [0, 3]]}], \"draw\": {\"type\": \"greedy\"}}";
static const char *const texts[] = {"{}", flat_text, explicit_text};
enum { N_TEXTS = sizeof texts / sizeof *texts };

typedef struct setting {
    const char *key, *value; /* NULL: what set_more does with this key */
} setting;

/* A typed setter and a stage more, which makes flat configurations explicit. */
static pluck_status set_more(pluck_config *config, const char *key, pluck_error *err)
{
    static const pluck_bias biases[] = {{4, 0.5}, {2, -1.5}};
    return strcmp(key, "logit_bias") == 0 ? pluck_config_set_biases(config, key, biases, 2, err)
                                          : pluck_config_add_stage(config, key, err);
}

static const setting settings[] = {
    {"top_k", "3"},
    {"logit_bias", "[[3, 1], [2, 2]]"},
    {"description", "\"text\""},
    {"draw", "\"greedy\""},
    {"draw", "{\"type\": \"categorical\"}"},
    {"seed", "\"random\""},
    {"$schema", "\"other\""},
    {"logit_bias", NULL},
    {"top_p", NULL},
    {"mirostat", NULL},
};

/* A failed run must say so, and have freed what it took. */
static bool check_run(pluck_status status, const pluck_error *err, const counting_memory *memory,
                      size_t n_live_before)
{
    if (memory->n_allocated < memory->fail_at) {
        assert_int_equal(status, PLUCK_OK);
        return false;
    }
    assert_int_equal(status, PLUCK_ERR_NOMEM);
    assert_int_equal(err->status, PLUCK_ERR_NOMEM);
    assert_int_equal(memory->n_live, n_live_before);
    return true;
}

static void reading_survives_any_failing_allocation(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TEXTS; i++) {
        bool failed = true;
        for (size_t n = 1; failed; n++) {
            counting_memory memory = {.fail_at = n};
            pluck_allocator allocator = counting_allocator(&memory);
            pluck_config_options options = PLUCK_INIT(pluck_config_options);
            options.allocator = &allocator;
            pluck_error err = {PLUCK_OK, ""};
            pluck_config *config = (pluck_config *)&memory;
            pluck_status status =
                pluck_config_from_json(&config, texts[i], strlen(texts[i]), &options, &err);
            failed = check_run(status, &err, &memory, 0);
            assert_true((config == NULL) == failed);
            pluck_config_destroy(&config);
            assert_int_equal(memory.n_live, 0);
        }
    }
}

static void creating_survives_any_failing_allocation(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        counting_memory memory = {.fail_at = n};
        pluck_allocator allocator = counting_allocator(&memory);
        pluck_config_options options = PLUCK_INIT(pluck_config_options);
        options.allocator = &allocator;
        pluck_error err = {PLUCK_OK, ""};
        pluck_config *config = (pluck_config *)&memory;
        failed = check_run(pluck_config_create(&config, &options, &err), &err, &memory, 0);
        assert_true((config == NULL) == failed);
        pluck_config_destroy(&config);
        assert_int_equal(memory.n_live, 0);
    }
}

static void cloning_survives_any_failing_allocation(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TEXTS; i++) {
        counting_memory memory = {0};
        pluck_allocator allocator = counting_allocator(&memory);
        pluck_config_options options = PLUCK_INIT(pluck_config_options);
        options.allocator = &allocator;
        pluck_error err = {PLUCK_OK, ""};
        pluck_config *config = NULL, *clone = NULL;
        assert_int_equal(
            pluck_config_from_json(&config, texts[i], strlen(texts[i]), &options, &err), PLUCK_OK);
        size_t n_live = memory.n_live;
        bool failed = true;
        for (size_t n = 1; failed; n++) {
            memory.n_allocated = 0;
            memory.fail_at = n;
            failed = check_run(pluck_config_clone(&clone, config, &err), &err, &memory, n_live);
            assert_true((clone == NULL) == failed);
            assert_true(failed || pluck_config_equal(clone, config));
            pluck_config_destroy(&clone);
            assert_int_equal(memory.n_live, n_live);
        }
        pluck_config_destroy(&config);
        assert_int_equal(memory.n_live, 0);
    }
}

static void check_setting(const char *text, const setting *s)
{
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        counting_memory memory = {0};
        pluck_allocator allocator = counting_allocator(&memory);
        pluck_config_options options = PLUCK_INIT(pluck_config_options);
        options.allocator = &allocator;
        pluck_error err = {PLUCK_OK, ""};
        pluck_config *config = NULL;
        assert_int_equal(pluck_config_from_json(&config, text, strlen(text), &options, &err),
                         PLUCK_OK);
        char *before = must_write(config);
        size_t n_live = memory.n_live;
        memory.n_allocated = 0;
        memory.fail_at = n;
        pluck_status status = s->value ? pluck_config_set_json(config, s->key, s->value, &err)
                                       : set_more(config, s->key, &err);
        if (memory.n_allocated >= n) {
            assert_int_equal(status, PLUCK_ERR_NOMEM);
            assert_int_equal(memory.n_live, n_live);
            char *after = must_write(config);
            assert_string_equal(before, after);
            free(after);
        } else {
            assert_int_equal(status, PLUCK_OK);
            failed = false;
        }
        free(before);
        pluck_config_destroy(&config);
        assert_int_equal(memory.n_live, 0);
    }
}

static void setting_a_key_survives_any_failing_allocation(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TEXTS; i++) {
        for (size_t s = 0; s < sizeof settings / sizeof *settings; s++) {
            if (texts[i] != flat_text || strcmp(settings[s].key, "top_k") != 0)
                check_setting(texts[i], &settings[s]);
        }
    }
    check_setting("{\"top_k\": 2}", &(setting){"order", "[\"top_k\"]"});
}

/* cJSON's hooks take no context. */
static counting_memory json_memory;

static void *json_alloc(size_t size_bytes)
{
    return counting_alloc(&json_memory, size_bytes);
}

static void json_free(void *block)
{
    if (block)
        counting_free(&json_memory, block);
}

static void cjson_may_run_out_of_memory(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {json_alloc, json_free};
    cJSON_InitHooks(&hooks);
    for (size_t i = 0; i < N_TEXTS; i++) {
        bool failed = true;
        for (size_t n = 1; failed; n++) {
            json_memory = (counting_memory){.fail_at = n};
            pluck_error err = {PLUCK_OK, ""};
            pluck_config *config = NULL;
            pluck_status status =
                pluck_config_from_json(&config, texts[i], strlen(texts[i]), NULL, &err);
            failed = check_run(status, &err, &json_memory, 0);
            assert_int_equal(json_memory.n_live, 0);
            pluck_config_destroy(&config);
        }
    }
    cJSON_InitHooks(NULL);
}

static void nothing_outlives_a_configuration_but_what_it_says(void **state)
{
    (void)state;
    cJSON_Hooks hooks = {json_alloc, json_free};
    json_memory = (counting_memory){0};
    cJSON_InitHooks(&hooks);
    pluck_config *config = must_read(flat_text);
    assert_true(json_memory.n_allocated > 0);
    assert_int_equal(json_memory.n_live, 0);
    pluck_config_destroy(&config);
    cJSON_InitHooks(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_survives_any_failing_allocation),
        cmocka_unit_test(creating_survives_any_failing_allocation),
        cmocka_unit_test(cloning_survives_any_failing_allocation),
        cmocka_unit_test(setting_a_key_survives_any_failing_allocation),
        cmocka_unit_test(cjson_may_run_out_of_memory),
        cmocka_unit_test(nothing_outlives_a_configuration_but_what_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
