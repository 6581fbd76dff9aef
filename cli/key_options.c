/*
 * Flags for configuration keys, generated from the library's stage tables: flat key "top_k" is flag
 * --top-k, with the range and default that the table says. Keys of the configuration itself (seed,
 * order, draw, on_nan) follow. Keys that several stages share give one flag.
 */
#include "options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct key_option {
    char name[48];
    char summary[320];
} key_option;

static const option general_keys[] = {
    {"seed", 0, OPTION_KEY, "N|random", "the seed; random asks the system for one; default 0", 0, 0,
     0, "seed"},
    {"order", 0, OPTION_KEY, "NAMES",
     "run exactly these stages in this order, separated by commas: top_k,temperature", 0, 0, 0,
     "order"},
    {"draw", 0, OPTION_KEY, "NAME",
     "how the token is chosen at the end: categorical (default), greedy, mirostat_v2, ...", 0, 0, 0,
     "draw"},
    {"mirostat", 0, OPTION_KEY, "0|1|2",
     "1: --draw mirostat, 2: --draw mirostat_v2, as llama.cpp counts them", 0, 0, 0, "mirostat"},
    {"on-nan", 0, OPTION_KEY, "error|ban",
     "what a logit that is NaN or +inf does: ends with an error (default), or is banned", 0, 0, 0,
     "on_nan"},
};

#define N_GENERAL (sizeof general_keys / sizeof *general_keys)

static bool has_key(const option *table, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(table[i].key, key) == 0)
            return true;
    return false;
}

static const char *placeholder(pluck_param_type type)
{
    switch (type) {
    case PLUCK_PARAM_INTEGER:
        return "N";
    case PLUCK_PARAM_BIAS_MAP:
    case PLUCK_PARAM_TOKENS:
    case PLUCK_PARAM_SEQUENCES:
        return "JSON";
    case PLUCK_PARAM_BOOLEAN:
        return "true|false";
    default:
        return "X";
    }
}

bool is_number(const pluck_param *param)
{
    return param->type == PLUCK_PARAM_NUMBER || param->type == PLUCK_PARAM_INTEGER;
}

static const char *shape(pluck_param_type type)
{
    switch (type) {
    case PLUCK_PARAM_BIAS_MAP:
        return "{\"TOKEN\": BIAS}";
    case PLUCK_PARAM_TOKENS:
        return "[TOKEN, ...]";
    case PLUCK_PARAM_SEQUENCES:
        return "[[TOKEN, ...], ...]";
    default:
        return "true or false";
    }
}

void describe_range(const pluck_param *param, char *text, size_t capacity)
{
    if (!is_number(param)) {
        snprintf(text, capacity, "%s", shape(param->type));
        return;
    }
    /* An end at the limit of the type is no limit for a reader. */
    bool is_endless_below = param->min<-1e15, is_endless_above = param->max> 1e15;
    bool is_open_below = is_endless_below || (param->flags & PLUCK_PARAM_MIN_OPEN) != 0;
    bool is_open_above = is_endless_above || (param->flags & PLUCK_PARAM_MAX_OPEN) != 0;
    char low[32] = "-inf", high[32] = "inf";
    if (!is_endless_below)
        snprintf(low, sizeof low, "%.15g", param->min);
    if (!is_endless_above)
        snprintf(high, sizeof high, "%.15g", param->max);
    snprintf(text, capacity, "%c%s, %s%c", is_open_below ? '(' : '[', low, high,
             is_open_above ? ')' : ']');
}

/* Whether several stages have this key: then it starts none of them. */
static bool is_shared(const char *key)
{
    size_t n = 0;
    for (size_t i = 0; i < pluck_stage_count(); i++) {
        const pluck_stage *stage = pluck_stage_at(i);
        for (size_t j = 0; j < stage->n_params; j++) {
            const pluck_param *param = &stage->params[j];
            n += param->flat_key && (param->flags & PLUCK_PARAM_BORROWED) == 0 &&
                 strcmp(param->flat_key, key) == 0;
        }
    }
    return n > 1;
}

bool is_switch_of_stage(const pluck_stage *stage, const pluck_param *param)
{
    if (stage->kind == PLUCK_STAGE_DRAW || !is_number(param) || !param->flat_key ||
        (param->flags & PLUCK_PARAM_BORROWED) != 0 || isnan(param->neutral) ||
        param->default_value == param->neutral)
        return false;
    for (size_t i = 0; i < stage->n_params; i++) {
        const pluck_param *other = &stage->params[i];
        if (other != param && other->flat_key && (other->flags & PLUCK_PARAM_BORROWED) == 0 &&
            !is_shared(other->flat_key))
            return false;
    }
    return true;
}

static void fill(option *o, key_option *text, const pluck_stage *stage, const pluck_param *param)
{
    char range[96];
    snprintf(text->name, sizeof text->name, "%s", param->flat_key);
    for (char *c = text->name; *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    describe_range(param, range, sizeof range);
    if (!is_number(param))
        snprintf(text->summary, sizeof text->summary, "%s: %s", range, param->summary);
    else if (is_switch_of_stage(stage, param))
        snprintf(text->summary, sizeof text->summary, "%s, default off: %s", range, param->summary);
    else
        snprintf(text->summary, sizeof text->summary, "%s, default %.15g: %s", range,
                 param->default_value, param->summary);
    *o = (option){text->name, 0, OPTION_KEY, placeholder(param->type), text->summary,
                  0,          0, 0,          param->flat_key};
}

static bool generate(option_set *set)
{
    size_t n_max = N_GENERAL;
    for (size_t i = 0; i < pluck_stage_count(); i++)
        n_max += pluck_stage_at(i)->n_params;
    set->key_table = calloc(n_max, sizeof *set->key_table);
    set->key_options = calloc(n_max, sizeof *set->key_options);
    if (!set->key_table || !set->key_options)
        return false;

    size_t n = 0;
    for (size_t i = 0; i < pluck_stage_count(); i++) {
        const pluck_stage *stage = pluck_stage_at(i);
        for (size_t j = 0; j < stage->n_params; j++) {
            const pluck_param *param = &stage->params[j];
            if (param->flat_key && !has_key(set->key_table, n, param->flat_key)) {
                fill(&set->key_table[n], &set->key_options[n], stage, param);
                n++;
            }
        }
    }
    for (size_t i = 0; i < N_GENERAL; i++)
        set->key_table[n++] = general_keys[i];
    set->keys =
        (option_table){"Configuration keys (a stage without a key is left out)", set->key_table, n};
    return true;
}

bool option_set_create(option_set *set, const command *about)
{
    memset(set, 0, sizeof *set);
    size_t n = 0;
    while (about->tables[n])
        n++;
    set->tables = calloc(n + 1, sizeof(const option_table *));
    if (!set->tables || (about->takes_keys && !generate(set))) {
        option_set_destroy(set);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        set->tables[set->n++] = about->tables[i];
    if (about->takes_keys)
        set->tables[set->n++] = &set->keys;
    return true;
}

void option_set_destroy(option_set *set)
{
    free(set->tables);
    free(set->key_table);
    free(set->key_options);
    memset(set, 0, sizeof *set);
}
