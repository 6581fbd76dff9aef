/*
 * A library built with -Djson=none keeps configurations that are made by the typed setters, and
 * draws the same tokens from them. Calls that read or write JSON say why they cannot, and leave
 * nothing behind. The same program is run on a library with JSON, where they all work.
 *
 *     test_without_json with|without FILE.safetensors
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pluck/config.h>
#include <pluck/dump.h>
#include <pluck/sampler.h>
#include <pluck/weighted.h>

enum { N_VOCAB = 16, N_TOKENS = 8 };

static bool with_json;
static int n_failed;

static void report(bool passed, const char *what, const pluck_error *err)
{
    if (passed)
        return;
    printf("%s: %s\n", what, err->message);
    n_failed++;
}

/* A call that needs JSON. */
static void check(const char *call, pluck_status status, const void *made, const pluck_error *err)
{
    if (with_json)
        report(status == PLUCK_OK, call, err);
    else
        report(status == PLUCK_ERR_CONFIG && !made && strstr(err->message, "built without JSON"),
               call, err);
}

static void check_texts(void)
{
    static const char text[] = "{\"temperature\": 0.5}";
    size_t n = sizeof text - 1, size_bytes = 0;
    pluck_import_format format = PLUCK_IMPORT_OPENAI;
    pluck_config *config = NULL;
    pluck_sampler *sampler = NULL;
    pluck_error err = {0};
    pluck_status status = pluck_config_from_json(&config, text, n, NULL, &err);
    check("pluck_config_from_json", status, config, &err);
    pluck_config_destroy(&config);
    status = pluck_config_import(&config, format, text, n, NULL, NULL, NULL, &err);
    check("pluck_config_import", status, config, &err);
    pluck_config_destroy(&config);
    static const char modelfile[] = "FROM x\nPARAMETER top_k 3\n";
    status = pluck_import_guess(modelfile, sizeof modelfile - 1, &format, &err);
    check("pluck_import_guess", status, NULL, &err);
    status = pluck_sampler_from_json(&sampler, text, n, N_VOCAB, &err);
    check("pluck_sampler_from_json", status, sampler, &err);
    pluck_sampler_destroy(&sampler);
    check("pluck_config_schema", pluck_config_schema(NULL, 0, &size_bytes, &err), NULL, &err);
    report(pluck_config_create(&config, NULL, &err) == PLUCK_OK, "pluck_config_create", &err);
    status = pluck_config_to_json(config, NULL, 0, &size_bytes, &err);
    check("pluck_config_to_json", status, NULL, &err);
    status = pluck_config_set_json(config, "temperature", "0.5", &err);
    check("pluck_config_set_json", status, NULL, &err);
    pluck_config_destroy(&config);
}

static void check_files(const char *path)
{
    pluck_dump *dump = NULL;
    pluck_dump_options options = PLUCK_INIT(pluck_dump_options);
    pluck_error err = {0};
    options.tensor = "embedding";
    pluck_status status = pluck_dump_open(&dump, path, &options, &err);
    check("pluck_dump_open", status, dump, &err);
    pluck_dump_destroy(&dump);
    pluck_weighted *weighted = NULL;
    status = pluck_weighted_open(&weighted, path, NULL, &err);
    report(status == (with_json ? PLUCK_ERR_FORMAT : PLUCK_ERR_CONFIG), "pluck_weighted_open",
           &err);
}

/* One setter of each type, on a configuration of several stages. */
static void set_all(pluck_config *config)
{
    static const pluck_token banned[] = {9, 2};
    pluck_token sequence[] = {1, 4};
    size_t ends[] = {2};
    static const pluck_bias biases[] = {{3, 0.5}, {5, -INFINITY}};
    pluck_sequences sequences = {.n = 1, .tokens = sequence, .ends = ends};
    pluck_error err = {0};
    report(!pluck_config_set_number(config, "temperature", 1.5, &err), "temperature", &err);
    report(!pluck_config_set_integer(config, "top_k", 12, &err), "top_k", &err);
    report(!pluck_config_set_number(config, "top_p", 0.9375, &err), "top_p", &err);
    report(!pluck_config_set_text(config, "on_nan", "ban", &err), "on_nan", &err);
    report(!pluck_config_set_bool(config, "mask", true, &err), "mask", &err);
    report(!pluck_config_set_biases(config, "logit_bias", biases, 2, &err), "logit_bias", &err);
    report(!pluck_config_set_integer(config, "min_tokens", 3, &err), "min_tokens", &err);
    report(!pluck_config_set_tokens(config, "min_tokens_ids", banned, 2, &err), "ids", &err);
    report(!pluck_config_set_sequences(config, "bad_words_ids", &sequences, &err), "words", &err);
    report(!pluck_config_set_seed(config, UINT64_MAX, &err), "seed", &err);
    report(pluck_config_set_number(config, "top_p", 2, &err) == PLUCK_ERR_CONFIG &&
               strstr(err.message, "top_p"),
           "a value out of range", &err);
}

static void check_setters(void)
{
    static const pluck_token expected[N_TOKENS] = {4, 6, 10, 11, 11, 13, 8, 4};
    float logits[N_VOCAB];
    pluck_config *config = NULL;
    pluck_sampler *sampler = NULL;
    pluck_error err = {0};
    if (pluck_config_create(&config, NULL, &err) != PLUCK_OK)
        exit(1);
    set_all(config);
    report(!pluck_sampler_create(&sampler, config, N_VOCAB, NULL, &err), "the sampler", &err);
    for (int i = 0; i < N_VOCAB; i++)
        logits[i] = (float)(i * 7 % N_VOCAB) / 4;
    for (int i = 0; i < N_TOKENS; i++) {
        pluck_token token = 0;
        pluck_logits row = {logits, PLUCK_F32, N_VOCAB};
        report(!pluck_sampler_next(sampler, row, &token, &err), "pluck_sampler_next", &err);
        if (token != expected[i]) {
            printf("token %d is %d, expected %d\n", i, (int)token, (int)expected[i]);
            n_failed++;
        }
    }
    pluck_sampler_destroy(&sampler);
    pluck_config_destroy(&config);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    with_json = strcmp(argv[1], "with") == 0;
    check_texts();
    check_files(argv[2]);
    check_setters();
    return n_failed > 0;
}
