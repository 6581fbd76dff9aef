/*
 * Random values of parameters, as JSON text and as what they mean.
 */
#ifndef TEST_CONFIG_VALUES_H
#define TEST_CONFIG_VALUES_H

#include "support/random.h"

#include <inttypes.h>
#include <math.h>

enum { MAX_BIASES = 12, MAX_TOKENS = 12 };

/* A value as text and as what it means. */
typedef struct made_value {
    char text[1024];
    double number;
    int64_t integer;
    pluck_bias biases[MAX_BIASES];
    size_t n_biases;
    bool boolean;
    uint32_t tokens[MAX_TOKENS];
    size_t n_tokens;
    size_t ends[MAX_TOKENS]; /* of sequences */
    size_t n_sequences;
} made_value;

static double random_double(test_random *r)
{
    double value = 0;
    do {
        uint64_t bits = test_random_bits(r);
        memcpy(&value, &bits, sizeof value);
    } while (!isfinite(value));
    return value;
}

/* Anywhere in the range, its ends and neutral values more often than chance would have it. */
static double make_number(test_random *r, const pluck_param *param)
{
    const double candidates[] = {param->min,
                                 param->max,
                                 param->default_value,
                                 param->neutral,
                                 0.0,
                                 -0.0,
                                 1.0,
                                 0.1,
                                 0x1p-1074,
                                 1.0 / 3.0,
                                 1e308,
                                 0x1.fffffffffffffp-2,
                                 1e22,
                                 123456.789e-7,
                                 5e-324,
                                 -1.5};
    for (;;) {
        double value = candidates[test_random_below(r, sizeof candidates / sizeof *candidates)];
        size_t kind = test_random_below(r, 3);
        if (kind == 1)
            value = random_double(r);
        if (kind == 2)
            value = test_random_uniform(r);
        bool below = value < param->min || (value <= param->min && (param->flags & 1));
        bool above = value > param->max || (value >= param->max && (param->flags & 2));
        if (isfinite(value) && !below && !above)
            return value;
    }
}

static void make_integer(test_random *r, const pluck_param *param, made_value *made)
{
    int64_t min = (int64_t)param->min, max = (int64_t)param->max;
    static const char *const forms[] = {"%" PRId64, "%" PRId64 ".0", "%" PRId64 ".000e0",
                                        "%" PRId64 "0e-1", "%" PRId64 "E+0"};
    switch (test_random_below(r, 4)) {
    case 0:
        made->integer = min;
        break;
    case 1:
        made->integer = max;
        break;
    default:
        made->integer = min + (int64_t)(test_random_bits(r) % ((uint64_t)max - (uint64_t)min + 1));
    }
    size_t form = test_random_below(r, sizeof forms / sizeof *forms);
    if (made->integer == 0 && form == 3) /* "00e-1" is not JSON */
        form = 0;
    snprintf(made->text, sizeof made->text, forms[form], made->integer);
}

/* Ascending tokens in the expectation; object or pairs, in any order, in the text. */
static void make_biases(test_random *r, const pluck_param *param, made_value *made)
{
    size_t order[MAX_BIASES];
    pluck_token token = 0;
    bool pairs = test_random_below(r, 2) == 1;
    made->n_biases = test_random_below(r, MAX_BIASES + 1);
    for (size_t i = 0; i < made->n_biases; i++) {
        bool ban = test_random_below(r, 4) == 0;
        token += (pluck_token)test_random_below(r, i % 2 ? 3 : 1000000);
        made->biases[i] = (pluck_bias){token++, ban ? -(double)INFINITY : make_number(r, param)};
        order[i] = i;
    }
    for (size_t i = made->n_biases; i > 1; i--) {
        size_t j = test_random_below(r, i), swapped = order[j];
        order[j] = order[i - 1];
        order[i - 1] = swapped;
    }
    size_t n = (size_t)snprintf(made->text, sizeof made->text, pairs ? "[" : "{");
    for (size_t i = 0; i < made->n_biases; i++) {
        const pluck_bias *bias = &made->biases[order[i]];
        char value[32] = "false";
        if (!isinf(bias->bias))
            snprintf(value, sizeof value, "%.17g", bias->bias);
        else if (test_random_below(r, 2) == 1)
            snprintf(value, sizeof value, "null");
        n += (size_t)snprintf(made->text + n, sizeof made->text - n,
                              pairs ? "%s[%" PRIu32 ", %s]" : "%s\"%" PRIu32 "\": %s",
                              i ? ", " : "", bias->token, value);
    }
    snprintf(made->text + n, sizeof made->text - n, pairs ? "]" : "}");
}

/* Ascending in the expectation; in any order in the text. */
static void make_tokens(test_random *r, made_value *made)
{
    uint32_t shuffled[MAX_TOKENS], token = 0;
    made->n_tokens = test_random_below(r, MAX_TOKENS);
    for (size_t i = 0; i < made->n_tokens; i++) {
        token += (uint32_t)test_random_below(r, i % 2 ? 3 : 1000000);
        shuffled[i] = made->tokens[i] = token++;
    }
    size_t n = (size_t)snprintf(made->text, sizeof made->text, "[");
    for (size_t i = made->n_tokens; i > 0; i--) {
        size_t j = test_random_below(r, i);
        n += (size_t)snprintf(made->text + n, sizeof made->text - n, "%s%" PRIu32,
                              i < made->n_tokens ? "," : "", shuffled[j]);
        shuffled[j] = shuffled[i - 1];
    }
    snprintf(made->text + n, sizeof made->text - n, "]");
}

static void make_sequences(test_random *r, made_value *made)
{
    made->n_sequences = test_random_below(r, 4);
    size_t n = (size_t)snprintf(made->text, sizeof made->text, "["), at = 0;
    for (size_t i = 0; i < made->n_sequences; i++) {
        size_t length = 1 + test_random_below(r, 3);
        for (size_t j = 0; j < length; j++) {
            made->tokens[at] = (uint32_t)test_random_below(r, PLUCK_MAX_VOCAB);
            n += (size_t)snprintf(made->text + n, sizeof made->text - n, "%s%" PRIu32,
                                  j   ? ", "
                                  : i ? ", ["
                                      : "[",
                                  made->tokens[at++]);
        }
        made->ends[i] = at;
        n += (size_t)snprintf(made->text + n, sizeof made->text - n, "]");
    }
    snprintf(made->text + n, sizeof made->text - n, "]");
}

static void make_value(test_random *r, const pluck_param *param, made_value *made)
{
    if (param->type == PLUCK_PARAM_INTEGER) {
        make_integer(r, param, made);
    } else if (param->type == PLUCK_PARAM_BIAS_MAP) {
        make_biases(r, param, made);
    } else if (param->type == PLUCK_PARAM_BOOLEAN) {
        made->boolean = test_random_below(r, 2) == 1;
        snprintf(made->text, sizeof made->text, made->boolean ? "true" : "false");
    } else if (param->type == PLUCK_PARAM_TOKENS) {
        make_tokens(r, made);
    } else if (param->type == PLUCK_PARAM_SEQUENCES) {
        make_sequences(r, made);
    } else {
        made->number = make_number(r, param);
        snprintf(made->text, sizeof made->text, "%.17g", made->number);
    }
}

static void check_value(const void *params, const pluck_param *param, const made_value *made)
{
    const char *place = (const char *)params + param->offset_bytes;
    if (param->type == PLUCK_PARAM_BIAS_MAP) {
        pluck_bias_map map;
        memcpy(&map, place, sizeof map);
        assert_int_equal(map.n, made->n_biases);
        for (size_t i = 0; i < map.n; i++) {
            assert_int_equal(map.items[i].token, made->biases[i].token);
            assert_memory_equal(&map.items[i].bias, &made->biases[i].bias, sizeof(double));
        }
    } else if (param->type == PLUCK_PARAM_BOOLEAN) {
        bool boolean;
        memcpy(&boolean, place, sizeof boolean);
        assert_int_equal(boolean, made->boolean);
    } else if (param->type == PLUCK_PARAM_TOKENS) {
        pluck_token_set set;
        memcpy(&set, place, sizeof set);
        assert_int_equal(set.n, made->n_tokens);
        for (size_t i = 0; i < set.n; i++)
            assert_int_equal(set.items[i], made->tokens[i]);
    } else if (param->type == PLUCK_PARAM_SEQUENCES) {
        pluck_sequences sequences;
        memcpy(&sequences, place, sizeof sequences);
        assert_int_equal(sequences.n, made->n_sequences);
        for (size_t i = 0; i < sequences.n; i++)
            assert_int_equal(sequences.ends[i], made->ends[i]);
        for (size_t i = 0; i < (sequences.n ? sequences.ends[sequences.n - 1] : 0); i++)
            assert_int_equal(sequences.tokens[i], made->tokens[i]);
    } else if (param->type == PLUCK_PARAM_INTEGER) {
        assert_memory_equal(place, &made->integer, sizeof made->integer);
    } else {
        assert_memory_equal(place, &made->number, sizeof made->number);
    }
}

#endif
