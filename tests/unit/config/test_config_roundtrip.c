/*
 * What a configuration says must survive being written and read, bit for bit, whatever the tables
 * hold: texts are made at random from the stage tables, together with what they mean. Built twice,
 * with the real stages and with made_up_stages.c.
 *
 *     test_config_roundtrip [SEED [COUNT]]
 */
#include "test_config_helpers.h"
#include "test_config_values.h"

#include "support/cases.h"
#include "support/config_parts.h"

enum { TEXT_BYTES = 1 << 16, MAX_MEMBERS = 128, DEFAULT_COUNT = 3000 };

static uint64_t first_seed = 1;
static uint64_t n_texts = DEFAULT_COUNT;

/* Members of the text's object, to be put in any order; and where each value must arrive. */
typedef struct made_text {
    test_random random;
    char *members[MAX_MEMBERS];
    size_t n_members;
    char text[TEXT_BYTES];
} made_text;

static void add_member(made_text *made, const char *key, const char *value)
{
    size_t size_bytes = strlen(key) + strlen(value) + 5;
    char *member = malloc(size_bytes);
    assert_non_null(member);
    snprintf(member, size_bytes, "\"%s\":%s", key, value);
    assert_true(made->n_members < MAX_MEMBERS);
    made->members[made->n_members++] = member;
}

static void add_common(made_text *made)
{
    char seed[32];
    test_random *r = &made->random;
    snprintf(seed, sizeof seed, "%" PRIu64, test_random_bits(r) >> test_random_below(r, 64));
    if (test_random_below(r, 2))
        add_member(made, "seed", test_random_below(r, 4) ? seed : "\"random\"");
    if (test_random_below(r, 3) == 0)
        add_member(made, "on_nan", test_random_below(r, 2) ? "\"ban\"" : "\"error\"");
    if (test_random_below(r, 3) == 0)
        add_member(made, "description",
                   "\"a \\\"quoted\\\" \\u0001 \\\\ \\n \\uD83D\\uDE00 text\"");
    if (test_random_below(r, 3) == 0)
        add_member(made, "$schema", "\"./pluck.schema.json\"");
}

static void finish(made_text *made)
{
    size_t n = (size_t)snprintf(made->text, TEXT_BYTES, "{");
    for (size_t i = made->n_members; i > 0; i--) {
        size_t j = test_random_below(&made->random, i);
        n += (size_t)snprintf(made->text + n, TEXT_BYTES - n, "%s%s", made->members[j],
                              i > 1 ? ",\n " : "");
        free(made->members[j]);
        made->members[j] = made->members[i - 1];
    }
    made->n_members = 0;
    snprintf(made->text + n, TEXT_BYTES - n, "}");
}

/* The index in running order of a stage, or SIZE_MAX. */
static size_t running_index(const pluck_config *config, const pluck_stage *stage)
{
    for (size_t i = 0; i < config_n_stages(config); i++) {
        if (config_stage(config, i).stage == stage)
            return i;
    }
    return SIZE_MAX;
}

static void check_round_trip(const pluck_config *config)
{
    pluck_config *copy = NULL, *again = NULL;
    pluck_error err = {PLUCK_OK, ""};
    char *text = must_write(config);
    again = must_read(text);
    char *text_again = must_write(again);
    assert_string_equal(text, text_again);
    assert_true(pluck_config_equal(config, again));
    assert_true(pluck_config_equal(again, config));
    assert_int_equal(pluck_config_clone(&copy, config, &err), PLUCK_OK);
    pluck_config_destroy(&again);
    char *text_copy = must_write(copy);
    assert_true(pluck_config_equal(config, copy));
    assert_string_equal(text, text_copy);
    pluck_config_destroy(&copy);
    free(text);
    free(text_again);
    free(text_copy);
}

/* Whether another parameter of the registry, before (stage, param), has its flat key. */
static bool key_seen(size_t stage, size_t param)
{
    const char *key = pluck_stage_at(stage)->params[param].flat_key;
    for (size_t s = 0; s <= stage; s++) {
        const pluck_stage *info = pluck_stage_at(s);
        for (size_t p = 0; p < info->n_params && (s < stage || p < param); p++) {
            if (info->params[p].flat_key && strcmp(info->params[p].flat_key, key) == 0)
                return true;
        }
    }
    return false;
}

/* Sets the keys of a flat text one by one on an empty configuration. */
static void check_settings(const pluck_config *config, char *const *keys, char *const *values,
                           size_t n)
{
    pluck_config *built = must_read("{}");
    pluck_error err = {PLUCK_OK, ""};
    for (size_t i = 0; i < n; i++) {
        if (pluck_config_set_json(built, keys[i], values[i], &err) != PLUCK_OK)
            fail_msg("%s = %s: %s", keys[i], values[i], err.message);
    }
    assert_true(pluck_config_equal(config, built));
    char *text = must_write(config), *text_built = must_write(built);
    assert_string_equal(text, text_built);
    free(text);
    free(text_built);
    pluck_config_destroy(&built);
}

static void check_flat(uint64_t seed)
{
    made_text *made = calloc(1, sizeof *made);
    made_value *values = calloc(MAX_MEMBERS, sizeof *values);
    const pluck_stage *owners[MAX_MEMBERS];
    const pluck_param *params[MAX_MEMBERS];
    char *keys[MAX_MEMBERS], *texts[MAX_MEMBERS];
    size_t n = 0;
    assert_true(made && values);
    made->random = test_random_make(seed);
    for (size_t s = 0; pluck_stage_at(s); s++) {
        const pluck_stage *info = pluck_stage_at(s);
        for (size_t p = 0; p < info->n_params; p++) {
            const char *key = info->params[p].flat_key;
            if (!key || key_seen(s, p) || test_random_below(&made->random, 2))
                continue;
            make_value(&made->random, &info->params[p], &values[n]);
            owners[n] = info;
            params[n] = &info->params[p];
            keys[n] = strdup(key);
            texts[n] = strdup(values[n].text);
            add_member(made, key, values[n++].text);
        }
    }
    finish(made);
    pluck_config *config = must_read(made->text);
    for (size_t i = 0; i < n; i++) {
        size_t index = running_index(config, owners[i]);
        if (index != SIZE_MAX)
            check_value(config_stage(config, index).params, params[i], &values[i]);
    }
    check_settings(config, keys, texts, n);
    check_round_trip(config);
    pluck_config_destroy(&config);
    for (size_t i = 0; i < n; i++) {
        free(keys[i]);
        free(texts[i]);
    }
    free(values);
    free(made);
}

/* {"type": …, random parameters}; the values go to values[0], values[1] …. */
static void make_object(test_random *r, const pluck_stage *info, made_value *values, char *text,
                        size_t capacity)
{
    size_t n = (size_t)snprintf(text, capacity, "{\"type\": \"%s\"", info->name);
    for (size_t p = 0; p < info->n_params; p++) {
        values[p].text[0] = '\0';
        if (test_random_below(r, 3) == 0)
            continue;
        make_value(r, &info->params[p], &values[p]);
        n += (size_t)snprintf(text + n, capacity - n, ", \"%s\": %s", info->params[p].name,
                              values[p].text);
    }
    snprintf(text + n, capacity - n, "}");
}

static void check_explicit(uint64_t seed)
{
    enum { MAX_STAGES = 6, MAX_PARAMS = 8, LIST_BYTES = 1 << 15 };
    made_text *made = calloc(1, sizeof *made);
    made_value *values = calloc((MAX_STAGES + 1) * MAX_PARAMS, sizeof *values);
    char *list = malloc(LIST_BYTES), *object = malloc(LIST_BYTES);
    const pluck_stage *chosen[MAX_STAGES + 1];
    assert_true(made && values && list && object);
    made->random = test_random_make(seed);
    test_random *r = &made->random;
    size_t n = (size_t)snprintf(list, LIST_BYTES, "["), count = 0;
    for (size_t wanted = test_random_below(r, MAX_STAGES + 1); count < wanted;) {
        const pluck_stage *info = pluck_stage_at(test_random_below(r, n_known_stages()));
        if (info->kind == PLUCK_STAGE_DRAW)
            continue;
        make_object(r, info, values + count * MAX_PARAMS, object, LIST_BYTES);
        n += (size_t)snprintf(list + n, LIST_BYTES - n, "%s%s", count ? ", " : "", object);
        chosen[count++] = info;
    }
    snprintf(list + n, LIST_BYTES - n, "]");
    add_member(made, "stages", list);
    do
        chosen[count] = pluck_stage_at(test_random_below(r, n_known_stages()));
    while (chosen[count]->kind != PLUCK_STAGE_DRAW);
    make_object(r, chosen[count], values + count * MAX_PARAMS, object, LIST_BYTES);
    add_member(made, "draw", object);
    add_common(made);
    finish(made);
    pluck_config *config = must_read(made->text);
    assert_int_equal(config_n_stages(config), count + 1);
    for (size_t i = 0; i <= count; i++) {
        assert_ptr_equal(config_stage(config, i).stage, chosen[i]);
        for (size_t p = 0; p < chosen[i]->n_params; p++) {
            const made_value *value = &values[i * MAX_PARAMS + p];
            if (value->text[0] != '\0')
                check_value(config_stage(config, i).params, &chosen[i]->params[p], value);
        }
    }
    check_round_trip(config);
    pluck_config_destroy(&config);
    free(object);
    free(list);
    free(values);
    free(made);
}

/* Both forms with the common keys, and in the flat one an order and a draw too. */
static void check_flat_extras(uint64_t seed)
{
    made_text *made = calloc(1, sizeof *made);
    char order[1024] = "[", draw[256];
    made_value value;
    assert_non_null(made);
    made->random = test_random_make(seed);
    test_random *r = &made->random;
    size_t n = 1, n_stages = n_known_stages(), start = test_random_below(r, n_stages);
    for (size_t i = 0; i < n_stages; i++) {
        const pluck_stage *info = pluck_stage_at((start + i) % n_stages);
        if (info->kind != PLUCK_STAGE_DRAW)
            n += (size_t)snprintf(order + n, sizeof order - n, "%s\"%s\"", n > 1 ? ", " : "",
                                  info->name);
        else if (test_random_below(r, 2) && made->n_members == 0) {
            snprintf(draw, sizeof draw, "\"%s\"", info->name);
            add_member(made, "draw", draw);
        }
    }
    snprintf(order + n, sizeof order - n, "]");
    add_member(made, "order", order);
    for (size_t s = 0; s < n_stages; s++) {
        const pluck_param *params = pluck_stage_at(s)->params;
        if (pluck_stage_at(s)->n_params == 0 || !params[0].flat_key || key_seen(s, 0))
            continue;
        make_value(r, &params[0], &value);
        add_member(made, params[0].flat_key, value.text);
    }
    add_common(made);
    finish(made);
    pluck_config *config = must_read(made->text);
    check_round_trip(config);
    pluck_config_destroy(&config);
    free(made);
}

static uint64_t current_seed;

static int tell_seed(void **state)
{
    (void)state;
    if (current_seed != 0)
        fprintf(stderr, "replay with: test_config_roundtrip %" PRIu64 " 1\n", current_seed);
    current_seed = 0;
    return 0;
}

static void run(void (*check)(uint64_t seed))
{
    uint64_t n = test_n_repeats(n_texts);
    for (uint64_t i = 0; i < n; i++) {
        current_seed = first_seed + i;
        check(current_seed);
    }
    current_seed = 0;
}

static void flat_configurations_survive_writing_and_reading(void **state)
{
    (void)state;
    run(check_flat);
}

static void flat_configurations_with_order_and_draw_survive(void **state)
{
    (void)state;
    run(check_flat_extras);
}

static void explicit_configurations_survive_writing_and_reading(void **state)
{
    (void)state;
    run(check_explicit);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(flat_configurations_survive_writing_and_reading, tell_seed),
        cmocka_unit_test_teardown(flat_configurations_with_order_and_draw_survive, tell_seed),
        cmocka_unit_test_teardown(explicit_configurations_survive_writing_and_reading, tell_seed),
    };
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        n_texts = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
