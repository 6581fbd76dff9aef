/*
 * A stage of one's own: `echo` makes tokens of the last n positions more or less likely by a
 * strength, and `coin` removes, with a probability, all but the tokens that are at least half as
 * probable as the best. Both are registered, named in a configuration next to the library's own
 * stages, and survive rewinding, because what they look at is the history that the sampler keeps.
 *
 *     cc custom_stage.c $(pkg-config --cflags --libs pluck) -o custom_stage && ./custom_stage
 */
#include <pluck/pluck.h>

#include <stdio.h>
#include <string.h>

enum { N_VOCAB = 64, N_TOKENS = 12, MAX_LAST_N = 100 };

typedef struct echo_params {
    double strength;
    int64_t last_n;
} echo_params;

static bool echo_is_neutral(const void *params)
{
    const echo_params *p = (const echo_params *)params;
    return p->strength == 0.0 || p->last_n == 0;
}

static size_t echo_window(const void *params)
{
    return (size_t)((const echo_params *)params)->last_n;
}

static size_t echo_max_edits(const void *params, uint32_t n_vocab)
{
    size_t n = echo_window(params);
    return n < n_vocab ? n : n_vocab;
}

static double add_strength(void *user, pluck_token token, double logit)
{
    (void)token;
    return logit + *(const double *)user;
}

/* The tokens of the window, ascending, each once: insertion is enough for a few. */
static pluck_status echo_apply(const void *params, void *state, pluck_view *view,
                               const pluck_context *context, pluck_error *err)
{
    const echo_params *p = (const echo_params *)params;
    pluck_token tokens[MAX_LAST_N];
    size_t n = 0, length = pluck_context_n_history(context);
    double strength = p->strength;
    (void)state;
    for (size_t age = 0; age < length && age < (size_t)p->last_n; age++) {
        pluck_token token = pluck_context_token(context, age);
        size_t at = n;
        while (at > 0 && tokens[at - 1] > token)
            at--;
        if (at > 0 && tokens[at - 1] == token)
            continue;
        memmove(tokens + at + 1, tokens + at, (n - at) * sizeof *tokens);
        tokens[at] = token;
        n++;
    }
    return pluck_view_edit(view, tokens, n, add_strength, &strength, err);
}

static const pluck_param echo_table[] = {
    {"strength", NULL, PLUCK_PARAM_NUMBER, 0, -100, 100, -1, 0,
     "added to the logits of recent tokens", offsetof(echo_params, strength)},
    {"last_n", NULL, PLUCK_PARAM_INTEGER, 0, 0, MAX_LAST_N, 8, 0, "how many tokens are recent",
     offsetof(echo_params, last_n)},
};

typedef struct coin_params {
    double probability;
} coin_params;

static bool coin_is_random(const void *params)
{
    (void)params;
    return true;
}

static pluck_status coin_apply(const void *params, void *state, pluck_view *view,
                               const pluck_context *context, pluck_error *err)
{
    double ln_2 = 0.6931471805599453;
    (void)state;
    (void)err;
    if (pluck_context_uniform(context) < ((const coin_params *)params)->probability)
        pluck_view_keep_above(view, pluck_view_max_logit(view) - ln_2);
    return PLUCK_OK;
}

static const pluck_param coin_table[] = {
    {"probability", NULL, PLUCK_PARAM_NUMBER, 0, 0, 1, 0.5, 0, "how often the stage acts",
     offsetof(coin_params, probability)},
};

static pluck_status add_stages(pluck_registry *registry, pluck_error *err)
{
    pluck_custom_stage echo = PLUCK_INIT(pluck_custom_stage);
    pluck_custom_stage coin = PLUCK_INIT(pluck_custom_stage);
    echo.info.name = "echo";
    echo.info.kind = PLUCK_STAGE_REWEIGHT;
    echo.info.summary = "makes recent tokens more or less likely";
    echo.info.formula = "l' = l + strength";
    echo.info.params = echo_table;
    echo.info.n_params = sizeof echo_table / sizeof *echo_table;
    echo.info.params_size_bytes = sizeof(echo_params);
    echo.is_neutral = echo_is_neutral;
    echo.window = echo_window;
    echo.max_edits = echo_max_edits;
    echo.apply = echo_apply;
    coin.info.name = "coin";
    coin.info.kind = PLUCK_STAGE_TRUNCATE;
    coin.info.summary = "now and then keeps only tokens half as probable as the best";
    coin.info.formula = "p >= p_max / 2";
    coin.info.params = coin_table;
    coin.info.n_params = 1;
    coin.info.params_size_bytes = sizeof(coin_params);
    coin.is_random = coin_is_random;
    coin.apply = coin_apply;
    pluck_status status = pluck_registry_add(registry, &echo, err);
    return status == PLUCK_OK ? pluck_registry_add(registry, &coin, err) : status;
}

/* Stands in for a model: logits that depend on the token before. */
static void compute_logits(pluck_token last, float *logits)
{
    for (int i = 0; i < N_VOCAB; i++)
        logits[i] = (float)((i * 29 + last * 13) % 64) / 16.0f;
}

static pluck_status generate(pluck_sampler *sampler, pluck_token last, pluck_error *err)
{
    float values[N_VOCAB];
    pluck_logits logits = {values, PLUCK_F32, N_VOCAB};
    pluck_status status = PLUCK_OK;
    for (int i = 0; i < N_TOKENS && status == PLUCK_OK; i++) {
        compute_logits(last, values);
        status = pluck_sampler_sample(sampler, logits, &last, err);
        if (status == PLUCK_OK)
            status = pluck_sampler_accept(sampler, last, err);
        if (status == PLUCK_OK)
            printf("%d%c", (int)last, i + 1 < N_TOKENS ? ' ' : '\n');
    }
    return status;
}

int main(void)
{
    const char *json = "{\"seed\": 42, \"stages\": ["
                       "{\"type\": \"echo\", \"strength\": -3, \"last_n\": 20},"
                       "{\"type\": \"top_k\", \"k\": 30},"
                       "{\"type\": \"coin\"},"
                       "{\"type\": \"temperature\", \"t\": 0.8}]}";
    pluck_error err = {PLUCK_OK, ""};
    pluck_registry *registry = NULL;
    pluck_config_options options = PLUCK_INIT(pluck_config_options);
    pluck_config *config = NULL;
    pluck_sampler *sampler = NULL;
    pluck_status status = pluck_registry_create(&registry, NULL, &err);
    if (status == PLUCK_OK)
        status = add_stages(registry, &err);
    options.registry = registry;
    if (status == PLUCK_OK)
        status = pluck_config_from_json(&config, json, strlen(json), &options, &err);
    if (status == PLUCK_OK)
        status = pluck_sampler_create(&sampler, config, N_VOCAB, NULL, &err);
    if (status == PLUCK_OK)
        status = generate(sampler, 0, &err);
    if (status == PLUCK_OK)
        status = pluck_sampler_rewind(sampler, N_TOKENS, &err);
    if (status == PLUCK_OK)
        status = generate(sampler, 0, &err); /* the same line again */
    if (status != PLUCK_OK)
        fprintf(stderr, "%s\n", err.message);
    pluck_sampler_destroy(&sampler);
    pluck_config_destroy(&config);
    pluck_registry_destroy(&registry);
    return status != PLUCK_OK;
}
