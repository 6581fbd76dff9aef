/*
 * Numbers are written with 17 digits, which is exact.
 */
#include "support/stage_cases.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void stage_text_add(stage_text *json, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(json->text + json->n, sizeof json->text - json->n, format, arguments);
    va_end(arguments);
    if (written < 0 || (size_t)written >= sizeof json->text - json->n) {
        fputs("stage_text_add: the text is too long\n", stderr);
        exit(EXIT_FAILURE);
    }
    json->n += (size_t)written;
}

static bool allowed(const pluck_param *param, double x)
{
    bool above = param->flags & PLUCK_PARAM_MIN_OPEN ? x > param->min : x >= param->min;
    bool below = param->flags & PLUCK_PARAM_MAX_OPEN ? x < param->max : x <= param->max;
    return above && below && isfinite(x);
}

/* The powers of ten that a parameter can reach, as a random number. */
static double magnitude(test_random *random)
{
    double x = pow(10, 12 * test_random_uniform(random) - 8);
    return test_random_below(random, 4) ? x : -x;
}

static double any_number(const pluck_param *param, test_random *random)
{
    double width = fmin(param->max - param->min, 200);
    double x = param->default_value;
    switch (test_random_below(random, 8)) {
    case 0:
        x = param->min;
        break;
    case 1:
        x = param->max;
        break;
    case 2:
        x = param->neutral;
        break;
    case 3:
    case 4:
        x = magnitude(random);
        break;
    case 5:
        x = param->default_value;
        break;
    default:
        x = fmax(param->min, -100) + width * test_random_uniform(random);
    }
    return allowed(param, x) ? x : param->default_value;
}

static double moderate_number(const pluck_param *param, test_random *random)
{
    double reach = 0.75 * fmax(fabs(param->default_value), 0.5);
    double x = param->default_value + reach * (2 * test_random_uniform(random) - 1);
    return allowed(param, x) ? x : param->default_value;
}

static int64_t any_integer(const pluck_param *param, test_random *random)
{
    static const int64_t often[] = {-1, 0, 1, 2, 3, 5, 16, 64, 65, 300, 3000, 100000};
    int64_t x = often[test_random_below(random, sizeof often / sizeof *often)];
    if (test_random_below(random, 2))
        x = (int64_t)test_random_below(random, 40);
    return allowed(param, (double)x) ? x : (int64_t)param->default_value;
}

/* Ascending by token before renaming; at least one token stays free of bans. */
static void add_bias_map(stage_text *json, stage_values values, stage_tokens tokens,
                         test_random *random)
{
    uint32_t n_steps = (uint32_t)test_random_below(random, 12);
    const char *separator = "";
    stage_text_add(json, "{");
    for (uint32_t i = 0, token = 0; i < n_steps; i++) {
        token += 1 + (uint32_t)test_random_below(random, 1 + tokens.n_vocab / 4);
        bool ban = test_random_below(random, 4) == 0 && values != STAGE_MODERATE;
        double bias = 6 * test_random_uniform(random) - 3;
        if (token >= tokens.n_vocab)
            break;
        stage_text_add(json, "%s\"%u\": ", separator, tokens.rename ? tokens.rename[token] : token);
        if (ban)
            stage_text_add(json, "false");
        else
            stage_text_add(json, "%.17g", bias);
        separator = ", ";
    }
    stage_text_add(json, "}");
}

static void add_token(stage_text *json, stage_tokens tokens, uint32_t token, const char *separator)
{
    stage_text_add(json, "%s%u", separator, tokens.rename ? tokens.rename[token] : token);
}

/* Ascending before renaming; never token 0. */
static void add_tokens(stage_text *json, stage_tokens tokens, test_random *random)
{
    uint32_t n_steps = (uint32_t)test_random_below(random, 6);
    const char *separator = "";
    stage_text_add(json, "[");
    for (uint32_t i = 0, token = 0; i < n_steps; i++, separator = ", ") {
        token += 1 + (uint32_t)test_random_below(random, 1 + tokens.n_vocab / 4);
        if (token >= tokens.n_vocab)
            break;
        add_token(json, tokens, token, separator);
    }
    stage_text_add(json, "]");
}

/* Of low tokens mostly, which histories have more often; none ends with token 0. */
static void add_sequences(stage_text *json, stage_tokens tokens, test_random *random)
{
    uint32_t n = tokens.n_vocab > 1 ? (uint32_t)test_random_below(random, 5) : 0;
    uint32_t range = test_random_below(random, 2) && tokens.n_vocab > 8 ? 8 : tokens.n_vocab;
    stage_text_add(json, "[");
    for (uint32_t i = 0; i < n; i++) {
        uint32_t length = (uint32_t)test_random_below(random, 3);
        stage_text_add(json, "%s[", i ? ", " : "");
        for (uint32_t j = 0; j < length; j++)
            add_token(json, tokens, (uint32_t)test_random_below(random, range), j ? ", " : "");
        add_token(json, tokens, 1 + (uint32_t)test_random_below(random, range - 1),
                  length ? ", " : "");
        stage_text_add(json, "]");
    }
    stage_text_add(json, "]");
}

static void add_param(stage_text *json, const pluck_param *param, stage_values values,
                      stage_tokens tokens, test_random *random)
{
    bool neutral = values == STAGE_NEUTRAL && !isnan(param->neutral);
    switch (param->type) {
    case PLUCK_PARAM_NUMBER: {
        double x =
            values == STAGE_MODERATE ? moderate_number(param, random) : any_number(param, random);
        stage_text_add(json, ", \"%s\": %.17g", param->name, neutral ? param->neutral : x);
        break;
    }
    case PLUCK_PARAM_INTEGER: {
        int64_t x = any_integer(param, random);
        stage_text_add(json, ", \"%s\": %" PRId64, param->name,
                       neutral ? (int64_t)param->neutral : x);
        break;
    }
    case PLUCK_PARAM_BIAS_MAP:
        stage_text_add(json, ", \"%s\": ", param->name);
        if (values == STAGE_NEUTRAL)
            stage_text_add(json, "{}");
        else
            add_bias_map(json, values, tokens, random);
        break;
    case PLUCK_PARAM_BOOLEAN: {
        bool is_true = neutral ? param->neutral != 0.0 : test_random_below(random, 4) != 0;
        stage_text_add(json, ", \"%s\": %s", param->name, is_true ? "true" : "false");
        break;
    }
    case PLUCK_PARAM_TOKENS:
        stage_text_add(json, ", \"%s\": ", param->name);
        if (values == STAGE_NEUTRAL)
            stage_text_add(json, "[]");
        else
            add_tokens(json, tokens, random);
        break;
    case PLUCK_PARAM_SEQUENCES:
        stage_text_add(json, ", \"%s\": ", param->name);
        if (values == STAGE_NEUTRAL)
            stage_text_add(json, "[]");
        else
            add_sequences(json, tokens, random);
        break;
    }
}

void stage_add_random(stage_text *json, const pluck_stage *stage, stage_values values,
                      stage_tokens tokens, test_random *random)
{
    stage_text_add(json, "{\"type\": \"%s\"", stage->name);
    for (size_t i = 0; i < stage->n_params; i++)
        add_param(json, stage->params + i, values, tokens, random);
    stage_text_add(json, "}");
}

const pluck_stage *stage_add_chain(stage_text *json, size_t n_most, stage_values values,
                                   stage_tokens tokens, test_random *random)
{
    const pluck_stage *draw = NULL;
    size_t n_stages = test_random_below(random, n_most + 1);
    for (size_t i = 0; i < n_stages;) {
        const pluck_stage *stage = pluck_stage_at(test_random_below(random, 200));
        if (!stage)
            continue;
        if (stage->kind == PLUCK_STAGE_DRAW) {
            draw = stage;
            continue;
        }
        stage_text_add(json, i++ ? ", " : "");
        stage_add_random(json, stage, values, tokens, random);
    }
    return draw;
}

void stage_begin(stage_text *json, uint64_t seed)
{
    json->n = 0;
    stage_text_add(json, "{\"seed\": %" PRIu64 ", \"stages\": [", seed);
}

void stage_end(stage_text *json, const pluck_stage *draw)
{
    stage_text_add(json, "], \"draw\": \"%s\"}", draw ? draw->name : "categorical");
}
