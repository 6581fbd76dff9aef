/* Values as people read them, and as the JSON that sets them. */
#include "params_print.h"

static void print_bias_map(output *out, const pluck_bias_map *map)
{
    output_char(out, '{');
    for (size_t i = 0; i < map->n; i++) {
        output_printf(out, "%s%u: ", i > 0 ? ", " : "", (unsigned)map->items[i].token);
        if (map->items[i].bias < -1e300)
            output_text(out, "ban");
        else
            output_double(out, map->items[i].bias);
    }
    output_char(out, '}');
}

static void print_tokens(output *out, const uint32_t *tokens, size_t n)
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

static void print_value(output *out, pluck_param_type type, const void *value)
{
    switch (type) {
    case PLUCK_PARAM_BIAS_MAP:
        print_bias_map(out, value);
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

void print_params(output *out, const pluck_stage *stage, const void *params)
{
    for (size_t i = 0; i < stage->n_params; i++) {
        const pluck_param *p = &stage->params[i];
        const void *value = (const char *)params + p->offset_bytes;
        output_printf(out, "%s%s = ", i > 0 ? ", " : "", p->name);
        print_value(out, p->type, value);
    }
}

static void json_bias_map(output *out, const pluck_bias_map *map)
{
    output_char(out, '{');
    for (size_t i = 0; i < map->n; i++) {
        output_printf(out, "%s\"%u\":", i > 0 ? "," : "", (unsigned)map->items[i].token);
        if (map->items[i].bias < -1e300)
            output_text(out, "false");
        else
            output_double(out, map->items[i].bias);
    }
    output_char(out, '}');
}

void print_params_json(output *out, const pluck_stage *stage, const void *params)
{
    output_char(out, '{');
    for (size_t i = 0; i < stage->n_params; i++) {
        const pluck_param *p = &stage->params[i];
        const void *value = (const char *)params + p->offset_bytes;
        output_printf(out, "%s\"%s\":", i > 0 ? "," : "", p->name);
        if (p->type == PLUCK_PARAM_BIAS_MAP)
            json_bias_map(out, value);
        else
            print_value(out, p->type, value);
    }
    output_char(out, '}');
}
