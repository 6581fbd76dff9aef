/*
 * More than 10^5 draws from each instruction set: every chain of golden_chains.c on rows of every
 * type, and flat chains on the real rows of tests/data. A line is: case, type, number of the first
 * draw, and a hash of the tokens, log-probabilities and survivors of the draws from there on.
 */
#include "golden/golden.h"

#include "support/samplers.h"

#include <pluck/dump.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_DRAWS = 600, N_PER_LINE = 200, N_PER_SEQUENCE = 40, DRAWS_PER_ROW = 4, SMALL_VOCAB = 67 };

static const pluck_dtype dtypes[] = {PLUCK_F32, PLUCK_F16, PLUCK_BF16};
enum { N_DTYPES = sizeof dtypes / sizeof *dtypes };

/* The draw, and now and then the token on its own, which other code may find. */
static uint32_t add_draw(uint32_t h, const char *name, pluck_sampler *sampler, pluck_logits logits,
                         size_t i)
{
    pluck_error err = {.status = PLUCK_OK};
    pluck_draw draw = {.token = -1};
    golden_require(pluck_sampler_draw(sampler, logits, &draw, &err), name, &err);
    if (i % 3 == 0) {
        pluck_token token = -1;
        golden_require(pluck_sampler_sample(sampler, logits, &token, &err), name, &err);
        h = golden_hash(h, &token, sizeof token);
    }
    uint32_t words[3] = {(uint32_t)draw.token, golden_float_bits(draw.logprob), draw.n_survivors};
    golden_require(pluck_sampler_accept(sampler, draw.token, &err), name, &err);
    return golden_hash(h, words, sizeof words);
}

static void start(pluck_sampler *sampler, const golden_chain *c, uint64_t seed, size_t number)
{
    pluck_error err = {.status = PLUCK_OK};
    golden_require(pluck_sampler_start(sampler, seed, c->stream + number, &err), c->name, &err);
    golden_prompt(sampler, c);
}

/* Sequences are short, because some chains ban what has been. */
static void add_case(golden_text *out, const golden_chain *c, size_t number, pluck_isa isa)
{
    float row[1000];
    pluck_config *config = test_config(c->json);
    pluck_sampler *sampler = golden_sampler(c, config, isa);
    uint64_t seed = test_info_of(sampler).seed;
    for (size_t first = 0; first < N_DRAWS; first += N_PER_LINE) {
        uint32_t h = 0;
        for (size_t i = first; i < first + N_PER_LINE; i++) {
            if (i % N_PER_SEQUENCE == 0)
                start(sampler, c, seed, i);
            if (i % DRAWS_PER_ROW == 0)
                golden_row(400000 + number * N_DRAWS + i, c->dtype, c->n_vocab, row);
            if (c->masked)
                golden_mask(sampler, c->n_vocab, (uint32_t)i);
            h = add_draw(h, c->name, sampler, (pluck_logits){row, c->dtype, c->n_vocab}, i);
        }
        golden_add(out, "many_%s %s %zu %08" PRIx32 "\n", c->name, pluck_dtype_name(c->dtype),
                   first, h);
        out->n_results += N_PER_LINE;
    }
    pluck_sampler_destroy(&sampler);
    pluck_config_destroy(&config);
}

/* Draws of every flat chain from every row of a dump: a hash for each chain. */
static void add_dump(golden_text *out, const char *folder, const char *name, pluck_isa isa)
{
    char path[256], json[GOLDEN_JSON_BYTES];
    pluck_error err = {.status = PLUCK_OK};
    pluck_dump *dump = NULL;
    pluck_dump_info info = PLUCK_INIT(pluck_dump_info);
    float *scratch = golden_row_buffer();
    snprintf(path, sizeof path, "%s/data/%s", folder, name);
    golden_require(pluck_dump_open(&dump, path, NULL, &err), path, &err);
    golden_require(pluck_dump_get_info(dump, &info, &err), path, &err);
    for (size_t i = 0; i < golden_n_flat_chains; i++) {
        golden_chain c = golden_chain_at(i, NULL, json);
        c.n_vocab = info.n_vocab;
        pluck_config *config = test_config(c.json);
        pluck_sampler *sampler = golden_sampler(&c, config, isa);
        uint32_t h = 0;
        for (uint64_t r = 0; r < info.n_rows; r++) {
            pluck_dump_row row = PLUCK_INIT(pluck_dump_row);
            golden_require(pluck_dump_read(dump, r, scratch, &row, &err), path, &err);
            h = add_draw(h, c.name, sampler, row.logits, (size_t)r);
        }
        golden_add(out, "dump_%s %s %08" PRIx32 "\n", c.name, name, h);
        out->n_results += (size_t)info.n_rows;
        pluck_sampler_destroy(&sampler);
        pluck_config_destroy(&config);
    }
    pluck_dump_destroy(&dump);
    free(scratch);
}

void golden_many(golden_text *out, pluck_isa isa, const char *folder)
{
    static const char *const dumps[] = {"stories260K.npy", "tiny.npy", "gpt2bpe50k.npy"};
    char json[GOLDEN_JSON_BYTES];
    for (size_t i = 0; i < golden_n_chains; i++) {
        golden_chain c = golden_chain_at(i, NULL, json);
        /* One case has a bias for token 999. */
        if (c.n_vocab > SMALL_VOCAB && !strstr(c.json, "\"999\""))
            c.n_vocab = SMALL_VOCAB;
        for (size_t d = 0; d < N_DTYPES; d++) {
            c.dtype = dtypes[d];
            add_case(out, &c, i, isa);
        }
    }
    for (size_t i = 0; i < sizeof dumps / sizeof *dumps; i++)
        add_dump(out, folder, dumps[i], isa);
}
