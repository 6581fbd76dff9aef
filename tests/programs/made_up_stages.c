/*
 * A registry that stands in for the real one: linked first, it takes its place. It has what the
 * real tables need not have at any time: draws with parameters, keys shared by stages and by draws,
 * parameters without a flat key, stages without parameters, ranges without ends, more flat keys
 * than a message holds. Reading and writing follow the tables alone, so they must handle these as
 * well.
 */
#include "stages/stage_impl.h"

#include <math.h>
#include <string.h>

typedef struct wide_params {
    double x, y, z;
    int64_t n, min_keep;
} wide_params;

typedef struct map_params {
    int64_t min_keep;
    pluck_bias_map first, second;
    double hidden;
} map_params;

typedef struct list_params {
    bool flag;
    pluck_token_set tokens;
    pluck_sequences sequences;
    double borrowed;
} list_params;

typedef struct long_params {
    bool on[5];
} long_params;

typedef struct draw_params {
    double tau, eta;
    int64_t m;
} draw_params;

#define KEEP(block)                                                                                \
    {                                                                                              \
        .name = "min_keep", .flat_key = "min_keep", .type = PLUCK_PARAM_INTEGER, .min = 1,         \
        .max = 1000, .default_value = 1, .neutral = 1, .summary = "at least this many",            \
        .offset_bytes = offsetof(block, min_keep)                                                  \
    }

static const pluck_param wide_table[] = {
    {.name = "x",
     .flat_key = "wide",
     .type = PLUCK_PARAM_NUMBER,
     .min = -(double)INFINITY,
     .max = (double)INFINITY,
     .default_value = 0.1,
     .neutral = (double)NAN,
     .summary = "no limits",
     .offset_bytes = offsetof(wide_params, x)},
    {.name = "y",
     .flat_key = "wide_y",
     .type = PLUCK_PARAM_NUMBER,
     .flags = PLUCK_PARAM_MIN_OPEN | PLUCK_PARAM_MAX_OPEN,
     .min = 0,
     .max = 1,
     .default_value = 0.5,
     .neutral = (double)NAN,
     .summary = "open at both ends",
     .offset_bytes = offsetof(wide_params, y)},
    {.name = "z",
     .flat_key = "wide_z",
     .type = PLUCK_PARAM_NUMBER,
     .flags = PLUCK_PARAM_MIN_OPEN,
     .min = 0,
     .max = (double)INFINITY,
     .default_value = 1e-300,
     .neutral = 1,
     .summary = "above 0",
     .offset_bytes = offsetof(wide_params, z)},
    {.name = "n",
     .flat_key = "wide_n",
     .type = PLUCK_PARAM_INTEGER,
     .min = -9007199254740992.0,
     .max = 9007199254740992.0,
     .default_value = -7,
     .neutral = (double)NAN,
     .summary = "large integers",
     .offset_bytes = offsetof(wide_params, n)},
    KEEP(wide_params),
};

static const pluck_param map_table[] = {
    {.name = "first",
     .flat_key = "map",
     .type = PLUCK_PARAM_BIAS_MAP,
     .min = -(double)INFINITY,
     .max = (double)INFINITY,
     .neutral = (double)NAN,
     .summary = "any bias",
     .offset_bytes = offsetof(map_params, first)},
    {.name = "second",
     .flat_key = "map_2",
     .type = PLUCK_PARAM_BIAS_MAP,
     .min = -1,
     .max = 1,
     .neutral = (double)NAN,
     .summary = "small biases",
     .offset_bytes = offsetof(map_params, second)},
    KEEP(map_params),
    {.name = "hidden",
     .flat_key = NULL,
     .type = PLUCK_PARAM_NUMBER,
     .min = 0,
     .max = 10,
     .default_value = 3,
     .neutral = 3,
     .summary = "in the explicit form only",
     .offset_bytes = offsetof(map_params, hidden)},
};

static const pluck_param list_table[] = {
    {.name = "flag",
     .flat_key = "list_flag",
     .type = PLUCK_PARAM_BOOLEAN,
     .default_value = 1,
     .neutral = 0,
     .summary = "a flag",
     .offset_bytes = offsetof(list_params, flag)},
    {.name = "tokens",
     .flat_key = "list_tokens",
     .type = PLUCK_PARAM_TOKENS,
     .neutral = (double)NAN,
     .summary = "a set",
     .offset_bytes = offsetof(list_params, tokens)},
    {.name = "sequences",
     .flat_key = "list_sequences",
     .type = PLUCK_PARAM_SEQUENCES,
     .neutral = (double)NAN,
     .summary = "sequences",
     .offset_bytes = offsetof(list_params, sequences)},
    {.name = "b",
     .flat_key = "wide_y",
     .type = PLUCK_PARAM_NUMBER,
     .flags = PLUCK_PARAM_MIN_OPEN | PLUCK_PARAM_MAX_OPEN | PLUCK_PARAM_BORROWED,
     .min = 0,
     .max = 1,
     .default_value = 0.25,
     .neutral = (double)NAN,
     .summary = "another stage's key",
     .offset_bytes = offsetof(list_params, borrowed)},
};

static const pluck_param keep_table[] = {KEEP(map_params)};

static const pluck_param dart_table[] = {
    {.name = "tau",
     .flat_key = "dart_tau",
     .type = PLUCK_PARAM_NUMBER,
     .min = 0,
     .max = 100,
     .default_value = 5,
     .neutral = (double)NAN,
     .summary = "target",
     .offset_bytes = offsetof(draw_params, tau)},
    {.name = "eta",
     .flat_key = "dart_eta",
     .type = PLUCK_PARAM_NUMBER,
     .min = 0,
     .max = 1,
     .default_value = 0.1,
     .neutral = (double)NAN,
     .summary = "rate",
     .offset_bytes = offsetof(draw_params, eta)},
    {.name = "m",
     .flat_key = "dart_m",
     .type = PLUCK_PARAM_INTEGER,
     .min = 1,
     .max = 1000,
     .default_value = 100,
     .neutral = (double)NAN,
     .summary = "width",
     .offset_bytes = offsetof(draw_params, m)},
};

/* Three of these flat keys and what is between them take 123 bytes. */
#define LONG(i, key)                                                                               \
    {                                                                                              \
        .name = (key), .flat_key = (key), .type = PLUCK_PARAM_BOOLEAN, .max = 1, .neutral = 0,     \
        .summary = "one of many", .offset_bytes = offsetof(long_params, on) + (i) * sizeof(bool)   \
    }

static const pluck_param long_table[] = {
    LONG(0, "long_1_long_long_long_long_long_long_long"),
    LONG(1, "long_2_long_long_long_long_long_long_long"),
    LONG(2, "long_3_long_long_long_long_long_long_"),
    LONG(3, "long_4"),
    LONG(4, "long_5"),
};

#define TABLE(t) .params = (t), .n_params = sizeof(t) / sizeof *(t)

static const plk_stage wide = {.info = {.name = "wide_stage",
                                        .kind = PLUCK_STAGE_REWEIGHT,
                                        .summary = "numbers",
                                        TABLE(wide_table),
                                        .params_size_bytes = sizeof(wide_params)}};
static const plk_stage map = {.info = {.name = "map_stage",
                                       .kind = PLUCK_STAGE_REWEIGHT,
                                       .summary = "maps",
                                       TABLE(map_table),
                                       .params_size_bytes = sizeof(map_params)}};
static const plk_stage list = {.info = {.name = "list_stage",
                                        .kind = PLUCK_STAGE_REWEIGHT,
                                        .summary = "lists, in place of wide_stage",
                                        TABLE(list_table),
                                        .params_size_bytes = sizeof(list_params)},
                               .replaces = "wide_stage"};
static const plk_stage keep = {.info = {.name = "keep_stage",
                                        .kind = PLUCK_STAGE_TRUNCATE,
                                        .summary = "a shared key only",
                                        TABLE(keep_table),
                                        .params_size_bytes = sizeof(map_params)}};
static const plk_stage bare = {
    .info = {.name = "bare_stage", .kind = PLUCK_STAGE_TRUNCATE, .summary = "no parameters"}};
static const plk_stage long_stage = {.info = {.name = "long_stage",
                                              .kind = PLUCK_STAGE_TRUNCATE,
                                              .summary = "many flat keys",
                                              TABLE(long_table),
                                              .params_size_bytes = sizeof(long_params)}};
static const plk_stage plain = {
    .info = {.name = "categorical", .kind = PLUCK_STAGE_DRAW, .summary = "no parameters"}};
static const plk_stage dart = {.info = {.name = "dart",
                                        .kind = PLUCK_STAGE_DRAW,
                                        .summary = "all parameters",
                                        TABLE(dart_table),
                                        .params_size_bytes = sizeof(draw_params)}};
static const plk_stage dart_2 = {.info = {.name = "dart_2",
                                          .kind = PLUCK_STAGE_DRAW,
                                          .summary = "the first two",
                                          .params = dart_table,
                                          .n_params = 2,
                                          .params_size_bytes = sizeof(draw_params)}};

const plk_stage *const plk_stages[] = {&wide,       &map,   &list, &keep,   &bare,
                                       &long_stage, &plain, &dart, &dart_2, NULL};

const plk_stage *plk_stage_find(const char *name)
{
    for (size_t i = 0; plk_stages[i]; i++) {
        if (strcmp(plk_stages[i]->info.name, name) == 0)
            return plk_stages[i];
    }
    return NULL;
}

const plk_stage *plk_stage_of(const pluck_stage *info)
{
    return plk_stage_find(info->name);
}

const pluck_stage *pluck_stage_at(size_t index)
{
    return index + 1 < sizeof plk_stages / sizeof *plk_stages ? &plk_stages[index]->info : NULL;
}

const pluck_stage *pluck_stage_find(const char *name)
{
    const plk_stage *stage = plk_stage_find(name);
    return stage ? &stage->info : NULL;
}

const char *pluck_stage_nearest(const char *name)
{
    (void)name;
    return NULL;
}
