/*
 * States and objects that another machine has saved, a little-endian one of 64 bits: each is loaded
 * here and goes on. A line of a sampler is: case, a hash of the tokens and log-probabilities that
 * follow, some of them after a rewind, and a hash of the bytes that are then saved. Those of stored
 * distributions and heads are a hash of draws and their probabilities. All of it is done in every
 * floating-point mode that a caller may be in, too. A big-endian machine refuses
 * the files of these two, whose values are mapped and used as they are.
 *
 * golden --save writes the files.
 */
#include "golden/golden.h"

#include "support/fp.h"
#include "support/samplers.h"

#include <pluck/head.h>
#include <pluck/rng.h>
#include <pluck/weighted.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_VOCAB = 100, N_BEFORE = 20, N_AFTER = 40, N_REWOUND = 3, MAX_BYTES = 32768 };

static const struct {
    const char *name, *json;
} states[] = {
    {"plain", "{\"seed\": 301, \"temperature\": 1.25}"},
    {"penalties", "{\"seed\": 302, \"repeat_penalty\": 1.25, \"repeat_last_n\": 8, "
                  "\"frequency_penalty\": 0.5, \"top_p\": 0.875}"},
    {"whole_history", "{\"seed\": 303, \"stages\": [{\"type\": \"penalties\", \"repeat\": 1.25, "
                      "\"last_n\": -1}, {\"type\": \"no_repeat_ngram\", \"n\": 3}]}"},
    {"dry", "{\"seed\": 304, \"dry_multiplier\": 1, \"logit_bias\": {\"3\": 0.5}}"},
    {"mirostat", "{\"seed\": 305, \"stages\": [], \"draw\": {\"type\": \"mirostat\", \"tau\": 3, "
                 "\"eta\": 0.25}}"},
    {"mirostat_v2", "{\"seed\": 306, \"stages\": [], \"draw\": {\"type\": \"mirostat_v2\", "
                    "\"tau\": 3, \"eta\": 0.25}}"},
    {"adaptive_p", "{\"seed\": 307, \"stages\": [], \"draw\": {\"type\": \"adaptive_p\", "
                   "\"target\": 0.3125, \"decay\": 0.625}}"},
    {"gumbel", "{\"seed\": 308, \"temperature\": 1.25, \"draw\": \"gumbel\"}"},
};
enum { N_STATES = sizeof states / sizeof *states };

static const struct {
    const char *name;
    pluck_weighted_kind kind;
} weighted_files[] = {{"alias", PLUCK_WEIGHTED_ALIAS},
                      {"sum_tree", PLUCK_WEIGHTED_SUM_TREE},
                      {"huffman", PLUCK_WEIGHTED_HUFFMAN}};
enum { N_WEIGHTED = sizeof weighted_files / sizeof *weighted_files, N_WEIGHTS = 60, N_DRAWS = 200 };

static const struct {
    const char *name;
    pluck_dtype dtype;
} head_files[] = {{"tree_f32", PLUCK_F32}, {"tree_bf16", PLUCK_BF16}, {"dense_f16", PLUCK_F16}};
enum { N_HEADS = sizeof head_files / sizeof *head_files, N_TOKENS = 24, DIM = 17 };

static void make_path(char path[256], const char *folder, const char *name, const char *suffix)
{
    snprintf(path, 256, "%s/data/saved/%s.%s", folder, name, suffix);
}

static pluck_sampler *make_sampler(size_t i, pluck_isa isa)
{
    golden_chain c = {.name = states[i].name, .n_vocab = N_VOCAB, .with_prompt = true};
    pluck_config *config = test_config(states[i].json);
    pluck_sampler *sampler = golden_sampler(&c, config, isa);
    pluck_config_destroy(&config);
    return sampler;
}

/* One step of a sequence at its position; the row is that of the position. */
static uint32_t step(uint32_t h, size_t i, pluck_sampler *sampler)
{
    float row[N_VOCAB];
    pluck_draw draw = {.token = -1};
    pluck_error err = {.status = PLUCK_OK};
    golden_row(600000 + i * 1000 + pluck_sampler_position(sampler), PLUCK_F32, N_VOCAB, row);
    pluck_logits logits = {row, PLUCK_F32, N_VOCAB};
    golden_require(pluck_sampler_draw(sampler, logits, &draw, &err), states[i].name, &err);
    golden_require(pluck_sampler_accept(sampler, draw.token, &err), states[i].name, &err);
    uint32_t words[2] = {(uint32_t)draw.token, golden_float_bits(draw.logprob)};
    return golden_hash(h, words, sizeof words);
}

static size_t save(size_t i, const pluck_sampler *sampler, unsigned char bytes[MAX_BYTES])
{
    size_t n = 0;
    pluck_error err = {.status = PLUCK_OK};
    golden_require(pluck_sampler_save(sampler, bytes, MAX_BYTES, &n, &err), states[i].name, &err);
    return n;
}

static void add_state(golden_text *out, pluck_isa isa, const char *folder, size_t i)
{
    char path[256];
    unsigned char bytes[MAX_BYTES];
    uint32_t h = 0;
    pluck_error err = {.status = PLUCK_OK};
    pluck_sampler *sampler = make_sampler(i, isa);
    make_path(path, folder, states[i].name, "state");
    FILE *file = fopen(path, "rb");
    if (!file) {
        fprintf(stderr, "%s: cannot be opened\n", path);
        exit(EXIT_FAILURE);
    }
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    golden_require(pluck_sampler_restore(sampler, bytes, n, &err), path, &err);
    golden_require(pluck_sampler_rewind(sampler, N_REWOUND, &err), path, &err);
    for (int t = 0; t < N_AFTER; t++)
        h = step(h, i, sampler);
    n = save(i, sampler, bytes);
    golden_add(out, "%s %08" PRIx32 " %zu %08" PRIx32 "\n", states[i].name, h, n,
               golden_hash_bytes(0, bytes, n));
    out->n_results += N_AFTER;
    pluck_sampler_destroy(&sampler);
}

/* Whether an object is there; a line says it if this machine refuses its file. */
static bool is_open(golden_text *out, const char *name, pluck_status status, const pluck_error *err)
{
    if (status == PLUCK_ERR_FORMAT && strstr(err->message, "little-endian")) {
        golden_add(out, "%s " GOLDEN_SKIPPED "\n", name);
        return false;
    }
    golden_require(status, name, err);
    return true;
}

static uint32_t hash_double(uint32_t h, double x)
{
    uint64_t bits = golden_double_bits(x);
    uint32_t words[2] = {(uint32_t)bits, (uint32_t)(bits >> 32)};
    return golden_hash(h, words, sizeof words);
}

static void add_weighted(golden_text *out, const char *folder, size_t i)
{
    char path[256];
    uint32_t indices[N_DRAWS], h = 0;
    pluck_error err = {.status = PLUCK_OK};
    pluck_weighted *weighted = NULL;
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 81, 0, 0);
    make_path(path, folder, weighted_files[i].name, "safetensors");
    if (!is_open(out, weighted_files[i].name, pluck_weighted_open(&weighted, path, NULL, &err),
                 &err))
        return;
    golden_require(pluck_weighted_draw(weighted, &rng, N_DRAWS, indices, &err), path, &err);
    h = golden_hash(h, indices, sizeof indices);
    for (uint32_t k = 0; k < N_WEIGHTS; k++) {
        double p = 0;
        golden_require(pluck_weighted_probability(weighted, k, &p, &err), path, &err);
        h = hash_double(h, p);
    }
    golden_add(out, "%s %08" PRIx32 "\n", weighted_files[i].name, h);
    out->n_results += N_DRAWS + N_WEIGHTS;
    pluck_weighted_destroy(&weighted);
}

static void add_head(golden_text *out, pluck_isa isa, const char *folder, size_t i)
{
    char path[256];
    float hidden[DIM];
    uint32_t h = 0;
    pluck_error err = {.status = PLUCK_OK};
    pluck_head *head = NULL;
    pluck_head_query *query = NULL;
    pluck_head_options options = {.struct_size = sizeof options, .isa = isa};
    make_path(path, folder, head_files[i].name, "safetensors");
    if (!is_open(out, head_files[i].name, pluck_head_open(&head, path, &options, &err), &err))
        return;
    golden_require(pluck_head_query_create(&query, head, NULL, &err), path, &err);
    golden_row(620000 + i, PLUCK_F32, DIM, hidden);
    for (int k = 0; k < DIM; k++)
        hidden[k] *= 0x1p-4f;
    for (pluck_token token = 0; token < N_TOKENS; token++) {
        double logprob = 0;
        golden_require(pluck_head_query_logprob(query, hidden, token, &logprob, &err), path, &err);
        h = hash_double(h, logprob);
    }
    golden_add(out, "%s %08" PRIx32 "\n", head_files[i].name, h);
    out->n_results += N_TOKENS;
    pluck_head_query_destroy(&query);
    pluck_head_destroy(&head);
}

static void add_all(golden_text *out, pluck_isa isa, const char *folder)
{
    for (size_t i = 0; i < N_STATES; i++)
        add_state(out, isa, folder, i);
    for (size_t i = 0; i < N_WEIGHTED; i++)
        add_weighted(out, folder, i);
    for (size_t i = 0; i < N_HEADS; i++)
        add_head(out, isa, folder, i);
}

/* Neither the results nor the mode change in a floating-point mode of the caller; a line says where
 * they do. */
void golden_saved(golden_text *out, pluck_isa isa, const char *folder)
{
    add_all(out, isa, folder);
    golden_text usual = {.chars = NULL};
    add_all(&usual, isa, folder);
    for (size_t i = 0; i < test_fp_count(); i++) {
        golden_text got = {.chars = NULL};
        test_fp_set(i);
        uint64_t before = test_fp_control();
        add_all(&got, isa, folder);
        uint64_t after = test_fp_control();
        test_fp_set(test_fp_count());
        if (after != before || got.n != usual.n || memcmp(got.chars, usual.chars, got.n) != 0)
            golden_add(out, "mode \"%s\" changes results or is changed\n", test_fp_name(i));
        out->n_results += got.n_results;
        free(got.chars);
    }
    free(usual.chars);
}

static void save_state(const char *folder, size_t i)
{
    char path[256];
    unsigned char bytes[MAX_BYTES];
    pluck_sampler *sampler = make_sampler(i, PLUCK_ISA_BEST);
    for (int t = 0; t < N_BEFORE; t++)
        step(0, i, sampler);
    size_t n = save(i, sampler, bytes);
    make_path(path, folder, states[i].name, "state");
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, n, file) != n || fclose(file) != 0) {
        fprintf(stderr, "%s: cannot be written\n", path);
        exit(EXIT_FAILURE);
    }
    pluck_sampler_destroy(&sampler);
}

static void save_weighted(const char *folder, size_t i)
{
    char path[256];
    float weights[N_WEIGHTS];
    pluck_error err = {.status = PLUCK_OK};
    pluck_weighted *weighted = NULL;
    golden_row(610000 + i, PLUCK_F32, N_WEIGHTS, weights);
    for (int k = 0; k < N_WEIGHTS; k++)
        weights[k] = weights[k] > 0 ? weights[k] * (float)(1u << k % 5) : 0;
    make_path(path, folder, weighted_files[i].name, "safetensors");
    golden_require(pluck_weighted_create(&weighted, weighted_files[i].kind,
                                         (pluck_weights){weights, PLUCK_F32, N_WEIGHTS}, NULL,
                                         &err),
                   path, &err);
    golden_require(pluck_weighted_save(weighted, path, &err), path, &err);
    pluck_weighted_destroy(&weighted);
}

static void save_head(const char *folder, size_t i)
{
    char path[256];
    float weights[N_TOKENS * DIM], bias[N_TOKENS];
    int64_t counts[N_TOKENS];
    pluck_error err = {.status = PLUCK_OK};
    pluck_tree *tree = NULL;
    pluck_head *head = NULL;
    pluck_dtype dtype = head_files[i].dtype;
    bool is_dense = strncmp(head_files[i].name, "dense", 5) == 0;
    golden_row(611000 + i, dtype, N_TOKENS * DIM, weights);
    golden_row(612000 + i, PLUCK_F32, N_TOKENS, bias);
    for (int k = 0; k < N_TOKENS; k++)
        counts[k] = 1 + 1000 / (1 + k * 7 % N_TOKENS);
    pluck_matrix matrix = {.data = weights,
                           .dtype = dtype,
                           .n_cols = DIM,
                           .n_rows = is_dense ? N_TOKENS : N_TOKENS - 1};
    make_path(path, folder, head_files[i].name, "safetensors");
    golden_require(pluck_tree_create_huffman(&tree, counts, N_TOKENS, NULL, &err), path, &err);
    golden_require(is_dense ? pluck_head_create_dense(&head, &matrix, bias, NULL, &err)
                            : pluck_head_create_hierarchical(&head, tree, &matrix, bias,
                                                             PLUCK_TREE_RIGHT, NULL, &err),
                   path, &err);
    golden_require(pluck_head_save(head, path, &err), path, &err);
    pluck_head_destroy(&head);
    pluck_tree_destroy(&tree);
}

void golden_save(const char *folder)
{
    for (size_t i = 0; i < N_STATES; i++)
        save_state(folder, i);
    for (size_t i = 0; i < N_WEIGHTED; i++)
        save_weighted(folder, i);
    for (size_t i = 0; i < N_HEADS; i++)
        save_head(folder, i);
}
