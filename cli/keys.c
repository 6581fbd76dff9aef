/*
 * Flags for configuration keys, generated from the library's stage tables: flat key "top_k" is flag
 * --top-k, with the range and default that the table says. Keys of the configuration itself (seed,
 * order, draw, on_nan) follow. Keys that several stages share give one flag.
 */
#include "help.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct key_text {
    char name[48];
    char summary[320];
} key_text;

static const flag general_keys[] = {
    {FLAG_SHARED(KEY, "seed"), .value = "N|random",
     .help = "seed of the random numbers; random asks the system for one (default: 0)",
     .key = "seed"},
    {FLAG_SHARED(KEY, "order"), .value = "NAMES",
     .help = "run exactly these stages in this order, separated by commas: top_k,temperature",
     .key = "order"},
    {FLAG_SHARED(KEY, "draw"), .value = "NAME",
     .help = "how the token is chosen at the end: categorical, greedy, mirostat_v2, ... "
             "(default: categorical)",
     .key = "draw"},
    {FLAG_SHARED(KEY, "mirostat"), .value = "0|1|2",
     .help = "1 is --draw mirostat, 2 is --draw mirostat_v2, as llama.cpp counts them",
     .key = "mirostat"},
    {FLAG_SHARED(KEY, "on-nan"), .value = "error|ban",
     .help = "what to do with a logit that is NaN or +inf: end with an error, or ban its token "
             "(default: error)",
     .key = "on_nan"},
};

#define N_GENERAL (sizeof general_keys / sizeof *general_keys)

static bool has_key(const flag *keys, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(keys[i].key, key) == 0)
            return true;
    return false;
}

const type_text type_texts[] = {
    [PLUCK_PARAM_NUMBER] = {"number", "X", NULL},
    [PLUCK_PARAM_INTEGER] = {"integer", "N", NULL},
    [PLUCK_PARAM_BOOLEAN] = {"boolean", "true|false", "true or false"},
    [PLUCK_PARAM_BIAS_MAP] = {"bias map", "JSON", "{\"TOKEN\": BIAS}"},
    [PLUCK_PARAM_TOKENS] = {"tokens", "JSON", "[TOKEN, ...]"},
    [PLUCK_PARAM_SEQUENCES] = {"sequences", "JSON", "[[TOKEN, ...], ...]"},
};

bool is_number(const pluck_param *param)
{
    return param->type == PLUCK_PARAM_NUMBER || param->type == PLUCK_PARAM_INTEGER;
}

void describe_range(const pluck_param *param, char *text, size_t capacity)
{
    if (!is_number(param)) {
        snprintf(text, capacity, "%s", type_texts[param->type].shape);
        return;
    }
    /* A reader does not take an end at the limit of the type for a limit. */
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
    for (size_t i = 0; pluck_stage_at(i); i++) {
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

/* The short flags that mean the same in every command. */
static char letter_of(const char *key)
{
    static const char *const letters[] = {"ttemperature", "ktop_k", "ptop_p"};
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (strcmp(letters[i] + 1, key) == 0)
            return letters[i][0];
    return 0;
}

static void fill(flag *f, key_text *text, const pluck_stage *stage, const pluck_param *param)
{
    char range[96];
    snprintf(text->name, sizeof text->name, "%s", param->flat_key);
    for (char *c = text->name; *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    describe_range(param, range, sizeof range);
    if (!is_number(param))
        snprintf(text->summary, sizeof text->summary, "%s: %s", range, param->summary);
    else if (is_switch_of_stage(stage, param))
        snprintf(text->summary, sizeof text->summary, "%s; %s (default: off)", param->summary,
                 range);
    else
        snprintf(text->summary, sizeof text->summary, "%s; %s (default: %.15g)", param->summary,
                 range, param->default_value);
    *f = (flag){.name = text->name,
                .letter = letter_of(param->flat_key),
                .kind = FLAG_KEY,
                .value = type_texts[param->type].value,
                .help = text->summary,
                .key = param->flat_key};
}

size_t flag_count_keys(void)
{
    size_t n = N_GENERAL;
    for (size_t i = 0; pluck_stage_at(i); i++)
        n += pluck_stage_at(i)->n_params;
    return n;
}

/* Whether the command has a flag of its own with the name of a key: --mask of sample. */
static bool is_taken(const flag_set *set, const char *key)
{
    for (size_t i = 0; i < set->n; i++)
        if (set->flags[i].name && set->flags[i].kind != FLAG_HEADING &&
            strcmp(set->flags[i].name, key) == 0)
            return true;
    return false;
}

bool flag_set_add_keys(flag_set *set, size_t at)
{
    flag *keys = set->flags + set->n + 1;
    size_t n = 0;
    set->key_texts = calloc(flag_count_keys(), sizeof *set->key_texts);
    if (!set->key_texts)
        return false;
    set->flags[set->n] = (flag)FLAG_TITLE("Configuration keys (a stage without a key is left out)");
    for (size_t i = 0; pluck_stage_at(i); i++) {
        const pluck_stage *stage = pluck_stage_at(i);
        for (size_t j = 0; j < stage->n_params; j++) {
            const pluck_param *param = &stage->params[j];
            if (param->flat_key && !has_key(keys, n, param->flat_key) &&
                !is_taken(set, param->flat_key)) {
                fill(&keys[n], &set->key_texts[n], stage, param);
                n++;
            }
        }
    }
    for (size_t i = 0; i < N_GENERAL; i++)
        keys[n++] = general_keys[i];
    for (size_t i = 0; i < n; i++)
        keys[i].at = at;
    set->n += n + 1;
    return true;
}

static void print_bias_map(output *out, const pluck_bias_map *map, bool is_json)
{
    const char *comma = is_json ? "," : ", ";
    output_char(out, '{');
    for (size_t i = 0; i < map->n; i++) {
        output_printf(out, is_json ? "%s\"%u\":" : "%s%u: ", i > 0 ? comma : "",
                      (unsigned)map->items[i].token);
        if (map->items[i].bias < -1e300)
            output_text(out, is_json ? "false" : "ban");
        else
            output_double(out, map->items[i].bias);
    }
    output_char(out, '}');
}

static void print_tokens(output *out, const pluck_token *tokens, size_t n)
{
    output_char(out, '[');
    for (size_t i = 0; i < n; i++)
        output_printf(out, "%s%u", i > 0 ? ", " : "", (unsigned)tokens[i]);
    output_char(out, ']');
}

static void print_sequences(output *out, const pluck_sequences *sequences)
{
    output_char(out, '[');
    for (size_t i = 0, start = 0; i < sequences->n; start = sequences->ends[i++]) {
        output_text(out, i > 0 ? ", " : "");
        print_tokens(out, sequences->tokens + start, sequences->ends[i] - start);
    }
    output_char(out, ']');
}

static void print_value(output *out, pluck_param_type type, const void *value, bool is_json)
{
    switch (type) {
    case PLUCK_PARAM_BIAS_MAP:
        print_bias_map(out, value, is_json);
        break;
    case PLUCK_PARAM_INTEGER:
        output_printf(out, "%lld", (long long)*(const int64_t *)value);
        break;
    case PLUCK_PARAM_BOOLEAN:
        output_text(out, *(const bool *)value ? "true" : "false");
        break;
    case PLUCK_PARAM_TOKENS:
        print_tokens(out, ((const pluck_token_set *)value)->items,
                     ((const pluck_token_set *)value)->n);
        break;
    case PLUCK_PARAM_SEQUENCES:
        print_sequences(out, value);
        break;
    default:
        output_double(out, *(const double *)value);
    }
}

void print_params(output *out, const pluck_stage *stage, const void *params, bool is_json)
{
    const char *comma = is_json ? "," : ", ";
    output_text(out, is_json ? "{" : "");
    for (size_t i = 0; i < stage->n_params; i++) {
        const pluck_param *p = &stage->params[i];
        output_printf(out, is_json ? "%s\"%s\":" : "%s%s = ", i > 0 ? comma : "", p->name);
        print_value(out, p->type, (const char *)params + p->offset_bytes, is_json);
    }
    output_text(out, is_json ? "}" : "");
}
