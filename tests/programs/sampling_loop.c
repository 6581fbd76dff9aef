/*
 * The loop of an engine, for counting its instructions: rows of real logits in turn, each sampled
 * and its token accepted. The rows are f32, whatever the dump stores. What is to be counted happens
 * in one function, sample_tokens; it has external linkage for the sake of its name.
 *
 *     sampling_loop DUMP CHAIN ISA N_TOKENS
 *
 * Prints the sum of the tokens, so that two runs are seen to do the same. Exit status 77 if this
 * processor lacks the instruction set.
 */
#include <pluck/dump.h>
#include <pluck/pluck.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_SKIPPED = 77 };

typedef struct chain {
    const char *name;
    const char *json;
} chain;

#define DEFAULT_KEYS "\"top_k\": 40, \"top_p\": 0.95, \"min_p\": 0.05, \"temperature\": 0.8}"

static const chain chains[] = {
    {"greedy", "{\"stages\": [], \"draw\": \"greedy\"}"},
    {"temperature", "{\"temperature\": 0.8}"},
    {"default", "{" DEFAULT_KEYS},
    {"top_p", "{\"top_p\": 0.95, \"temperature\": 0.8}"},
    {"penalties", "{\"repeat_last_n\": 64, \"repeat_penalty\": 1.1, " DEFAULT_KEYS},
};

static const char *json_of(const char *name)
{
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
        if (strcmp(chains[i].name, name) == 0)
            return chains[i].json;
    }
    return NULL;
}

typedef struct rows {
    float *values;
    uint64_t n_rows;
    uint32_t n_vocab;
} rows;

/* A finite binary16. */
static float widen(uint16_t half)
{
    int exponent = half >> 10 & 31;
    int digits = (half & 0x3ff) | (exponent ? 0x400 : 0);
    float size = ldexpf((float)digits, (exponent ? exponent : 1) - 25);
    return half & 0x8000 ? -size : size;
}

static pluck_status read_rows(rows *out, const char *path, pluck_error *err)
{
    pluck_dump *dump = NULL;
    pluck_status status = pluck_dump_open(&dump, path, NULL, err);
    if (status != PLUCK_OK)
        return status;
    pluck_dump_info info = PLUCK_INIT(pluck_dump_info);
    pluck_dump_row read = PLUCK_INIT(pluck_dump_row);
    status = pluck_dump_get_info(dump, &info, err);
    *out = (rows){malloc(info.n_rows * info.n_vocab * sizeof(float)), info.n_rows, info.n_vocab};
    if (!out->values || info.dtype == PLUCK_BF16) {
        snprintf(err->message, sizeof err->message, "no memory, or a dump of bf16");
        status = PLUCK_ERR_NOMEM;
    }
    for (uint64_t row = 0; status == PLUCK_OK && row < info.n_rows; row++) {
        float *values = out->values + row * info.n_vocab;
        status = pluck_dump_read(dump, row, values, &read, err);
        for (uint32_t i = 0; status == PLUCK_OK && i < info.n_vocab; i++) {
            if (info.dtype == PLUCK_F16)
                values[i] = widen(((const uint16_t *)read.logits.data)[i]);
            else
                values[i] = ((const float *)read.logits.data)[i];
        }
    }
    pluck_dump_destroy(&dump);
    return status;
}

__attribute__((noinline)) pluck_status sample_tokens(const rows *logits, pluck_sampler *sampler,
                                                     unsigned long n_tokens, uint64_t *sum,
                                                     pluck_error *err);

pluck_status sample_tokens(const rows *logits, pluck_sampler *sampler, unsigned long n_tokens,
                           uint64_t *sum, pluck_error *err)
{
    pluck_status status = PLUCK_OK;
    for (unsigned long i = 0; status == PLUCK_OK && i < n_tokens; i++) {
        const float *values = logits->values + i % logits->n_rows * logits->n_vocab;
        pluck_token token = 0;
        status = pluck_sampler_sample(sampler, (pluck_logits){values, PLUCK_F32, logits->n_vocab},
                                      &token, err);
        if (status == PLUCK_OK)
            status = pluck_sampler_accept(sampler, token, err);
        *sum += (uint64_t)token;
    }
    return status;
}

int main(int argc, char **argv)
{
    const char *json = argc == 5 ? json_of(argv[2]) : NULL;
    if (!json) {
        fprintf(stderr, "usage: sampling_loop DUMP CHAIN ISA N_TOKENS\n");
        return 2;
    }
    pluck_error err = {.status = PLUCK_OK};
    rows logits = {NULL, 0, 0};
    pluck_config *config = NULL;
    pluck_sampler *sampler = NULL;
    pluck_sampler_options options = {.struct_size = sizeof options, .isa = PLUCK_ISA_BEST};
    uint64_t sum = 0;
    if (pluck_isa_from_name(argv[3], &options.isa, &err) != PLUCK_OK) {
        printf("skipped: %s\n", err.message);
        return EXIT_SKIPPED;
    }
    pluck_status status = read_rows(&logits, argv[1], &err);
    if (status == PLUCK_OK)
        status = pluck_config_from_json(&config, json, strlen(json), NULL, &err);
    if (status == PLUCK_OK)
        status = pluck_sampler_create(&sampler, config, logits.n_vocab, &options, &err);
    if (status == PLUCK_OK)
        status = sample_tokens(&logits, sampler, strtoul(argv[4], NULL, 10), &sum, &err);
    if (status == PLUCK_OK)
        printf("%llu\n", (unsigned long long)sum);
    else
        fprintf(stderr, "sampling_loop: %s\n", err.message);
    pluck_sampler_destroy(&sampler);
    pluck_config_destroy(&config);
    free(logits.values);
    return status == PLUCK_OK ? 0 : 1;
}
