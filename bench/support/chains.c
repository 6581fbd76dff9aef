/*
 * A stage that the library does not have yet takes its chains out of the run, with a line that says
 * so; they appear by themselves once it does.
 */
#include "support/chains.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STAGES(stages) "{\"seed\": 7, \"stages\": [" stages "]}"
#define DRAW(draw)     "{\"seed\": 7, \"stages\": [], \"draw\": " draw "}"

/* llama.cpp's defaults. */
#define DEFAULT_STAGES                                                                             \
    "{\"type\": \"top_k\", \"k\": 40}, {\"type\": \"top_p\", \"p\": 0.95}, "                       \
    "{\"type\": \"min_p\", \"p\": 0.05}, {\"type\": \"temperature\", \"t\": 0.8}"
#define TOP_P_STAGES "{\"type\": \"top_p\", \"p\": 0.95}, {\"type\": \"temperature\", \"t\": 0.8}"
#define PENALTIES                                                                                  \
    "{\"type\": \"penalties\", \"last_n\": 64, \"repeat\": 1.1, \"frequency\": 0.1, "              \
    "\"presence\": 0.1}, "
#define DRY "{\"type\": \"dry\", \"multiplier\": 0.8, \"last_n\": 1024}, "

static const bench_chain chains[] = {
    {"greedy", "greedy", DRAW("\"greedy\""), 0},
    {"softmax", "categorical", STAGES(""), 0},
    {"temperature 0.8", "temperature", STAGES("{\"type\": \"temperature\", \"t\": 0.8}"), 0},
    {"temperature 1.5", "temperature", STAGES("{\"type\": \"temperature\", \"t\": 1.5}"), 0},
    {"top_k 40", "top_k", STAGES("{\"type\": \"top_k\", \"k\": 40}"), 0},
    {"min_p", "min_p", STAGES("{\"type\": \"min_p\", \"p\": 0.05}"), 0},
    {"default", "top_k top_p min_p temperature", STAGES(DEFAULT_STAGES), 0},
    {"top_p", "top_p", STAGES("{\"type\": \"top_p\", \"p\": 0.95}"), 0},
    {"top_p, temperature", "top_p temperature", STAGES(TOP_P_STAGES), 0},
    {"top_n_sigma", "top_n_sigma", STAGES("{\"type\": \"top_n_sigma\", \"n\": 1}"), 0},
    {"typical", "typical", STAGES("{\"type\": \"typical\", \"p\": 0.95}"), 0},
    {"mirostat_v2", "mirostat_v2", DRAW("{\"type\": \"mirostat_v2\", \"tau\": 5, \"eta\": 0.1}"),
     0},
    {"mirostat", "mirostat", DRAW("{\"type\": \"mirostat\", \"tau\": 5, \"eta\": 0.1}"), 0},
    {"adaptive_p", "adaptive_p", DRAW("{\"type\": \"adaptive_p\", \"target\": 0.5}"), 0},
    {"gumbel", "gumbel", DRAW("\"gumbel\""), 0},
    {"temperature 0.8, gumbel", "temperature gumbel",
     "{\"stages\": [{\"type\": \"temperature\", \"t\": 0.8}], \"draw\": \"gumbel\"}", 0},
    {"top_p, gumbel", "top_p gumbel",
     "{\"stages\": [{\"type\": \"top_p\", \"p\": 0.95}], \"draw\": \"gumbel\"}", 0},
    {"xtc", "xtc", STAGES("{\"type\": \"xtc\", \"probability\": 1, \"threshold\": 0.1}"), 0},
    {"tail_free", "tail_free", STAGES("{\"type\": \"tail_free\", \"z\": 0.95}"), 0},
    {"top_a", "top_a", STAGES("{\"type\": \"top_a\", \"a\": 0.2}"), 0},
    {"epsilon_cutoff", "epsilon_cutoff",
     STAGES("{\"type\": \"epsilon_cutoff\", \"epsilon\": 0.0003}"), 0},
    {"eta_cutoff", "eta_cutoff", STAGES("{\"type\": \"eta_cutoff\", \"epsilon\": 0.0003}"), 0},
    {"top_h", "top_h", STAGES("{\"type\": \"top_h\", \"h\": 0.4}"), 0},
    {"p_less", "p_less", STAGES("{\"type\": \"p_less\"}"), 0},
    {"dynamic_temperature", "dynamic_temperature",
     STAGES("{\"type\": \"dynamic_temperature\", \"t\": 1, \"range\": 0.5}"), 0},
    {"smoothing", "smoothing", STAGES("{\"type\": \"smoothing\", \"factor\": 0.2}"), 0},
    {"mask 1 %", "mask", STAGES("{\"type\": \"mask\"}"), 1},
    {"mask 50 %", "mask", STAGES("{\"type\": \"mask\"}"), 50},
    {"mask 99 %", "mask", STAGES("{\"type\": \"mask\"}"), 99},
    {"mask 99 %, default", "mask top_k top_p min_p temperature",
     STAGES("{\"type\": \"mask\"}, " DEFAULT_STAGES), 99},
    {"logit_bias", "logit_bias",
     STAGES("{\"type\": \"logit_bias\", \"bias\": {\"5\": 1, \"17\": -1, \"60\": false}}"), 0},
    {"penalties", "penalties", STAGES(PENALTIES "{\"type\": \"temperature\", \"t\": 0.8}"), 0},
    {"dry", "dry", STAGES(DRY "{\"type\": \"temperature\", \"t\": 0.8}"), 0},
    {"no_repeat_ngram", "no_repeat_ngram", STAGES("{\"type\": \"no_repeat_ngram\", \"n\": 3}"), 0},
    {"penalties, default", "penalties top_k top_p min_p temperature",
     STAGES(PENALTIES DEFAULT_STAGES), 0},
    {"penalties, dry, default", "penalties dry top_k top_p min_p temperature",
     STAGES(PENALTIES DRY DEFAULT_STAGES), 0},
};

size_t bench_chain_count(void)
{
    return sizeof chains / sizeof *chains;
}

const bench_chain *bench_chain_at(size_t index)
{
    return &chains[index];
}

const bench_chain *bench_chain_find(const char *name)
{
    for (size_t i = 0; i < bench_chain_count(); i++) {
        if (strcmp(chains[i].name, name) == 0)
            return &chains[i];
    }
    return NULL;
}

const char *bench_chain_lacks(const bench_chain *chain, char *name, size_t capacity_bytes)
{
    for (const char *at = chain->stages; *at != '\0';) {
        size_t length = strcspn(at, " ");
        snprintf(name, capacity_bytes, "%.*s", (int)length, at);
        if (!pluck_stage_find(name))
            return name;
        at += length;
        at += strspn(at, " ");
    }
    return NULL;
}

static bool is_used(const char *stage)
{
    size_t length = strlen(stage);
    for (size_t i = 0; i < bench_chain_count(); i++) {
        for (const char *at = chains[i].stages; *at != '\0';) {
            size_t n = strcspn(at, " ");
            if (n == length && memcmp(at, stage, n) == 0)
                return true;
            at += n;
            at += strspn(at, " ");
        }
    }
    return false;
}

void bench_chains_report_gaps(void)
{
    char lacking[64];
    for (size_t i = 0; i < bench_chain_count(); i++) {
        if (bench_chain_lacks(&chains[i], lacking, sizeof lacking))
            printf("skipped: %s (this library has no stage %s)\n", chains[i].name, lacking);
    }
    for (size_t i = 0; pluck_stage_at(i); i++) {
        const char *stage = pluck_stage_at(i)->name;
        if (!is_used(stage))
            printf("not measured: stage %s (no chain of bench/support/chains.c has it)\n", stage);
    }
}

pluck_sampler *bench_chain_create(const bench_chain *chain, uint32_t n_vocab,
                                  const pluck_sampler_options *options)
{
    pluck_error err = {.message = ""};
    pluck_config *config = NULL;
    pluck_sampler *sampler = NULL;
    if (pluck_config_from_json(&config, chain->json, strlen(chain->json), NULL, &err) != PLUCK_OK ||
        pluck_sampler_create(&sampler, config, n_vocab, options, &err) != PLUCK_OK)
        fprintf(stderr, "bench: chain %s: %s\n", chain->name, err.message);
    pluck_config_destroy(&config);
    return sampler;
}

int32_t *bench_chain_mask(const bench_chain *chain, uint32_t n_vocab)
{
    if (chain->mask_percent == 0)
        return NULL;
    int32_t *bits = calloc((n_vocab + 31) / 32, sizeof *bits);
    for (uint32_t token = 0; bits && token < n_vocab; token++) {
        uint32_t mixed = token * 2654435761u;
        if ((mixed >> 16) % 100 < chain->mask_percent)
            bits[token / 32] = (int32_t)((uint32_t)bits[token / 32] | (uint32_t)1 << token % 32);
    }
    return bits;
}
