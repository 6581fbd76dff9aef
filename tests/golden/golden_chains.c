/*
 * Chains of stages. A line is: case, position, token, bits of the log-probability, number of
 * survivors, and a hash of the bits of the whole distribution. golden_bite.c checks that what a
 * case is about changes the distribution.
 */
#include "golden/golden.h"

#include "support/samplers.h"
#include "support/token_texts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_TOKENS = GOLDEN_N_TOKENS };

static const struct {
    const char *name, *json;
    uint32_t n_vocab;
    pluck_dtype dtype;
    uint64_t stream;
} flat[] = {
    {"softmax", "{\"seed\": 1}", 1000, PLUCK_F32, 0},
    {"stream", "{\"seed\": 1}", 1000, PLUCK_F32, 1},
    {"large", "{\"seed\": 2}", 32000, PLUCK_F32, 0},
    {"greedy", "{\"temperature\": 0}", 1000, PLUCK_F32, 0},
    {"hot", "{\"seed\": 3, \"temperature\": 1.7}", 5000, PLUCK_F32, 0},
    {"cold", "{\"seed\": 3, \"temperature\": 0.31}", 5000, PLUCK_F32, 0},
    {"top_k", "{\"seed\": 4, \"top_k\": 40}", 32000, PLUCK_F32, 7},
    {"top_p", "{\"seed\": 5, \"top_p\": 0.92}", 32000, PLUCK_F32, 0},
    {"min_p", "{\"seed\": 6, \"min_p\": 0.07, \"temperature\": 1.3}", 5000, PLUCK_F32, 0},
    {"half", "{\"seed\": 7, \"top_p\": 0.99}", 4097, PLUCK_F16, 0},
    {"bfloat", "{\"seed\": 8, \"temperature\": 0.8}", 4097, PLUCK_BF16, 0},
    {"penalties",
     "{\"seed\": 9, \"repeat_penalty\": 1.25, \"repeat_last_n\": 4, \"frequency_penalty\": 0.5, "
     "\"presence_penalty\": 0.25}",
     70, PLUCK_F32, 0},
    {"bias", "{\"seed\": 10, \"logit_bias\": {\"0\": 3.5, \"64\": -1.25, \"1\": false}}", 65,
     PLUCK_F32, 0},
    {"usual",
     "{\"seed\": 11, \"repeat_penalty\": 1.1, \"top_k\": 60, \"top_p\": 0.95, \"min_p\": 0.02, "
     "\"temperature\": 0.8}",
     32000, PLUCK_F16, 18446744073709551615u},
    {"extreme", "{\"seed\": 12, \"temperature\": 1e-40}", 100, PLUCK_F32, 0},
    {"boiling", "{\"seed\": 13, \"temperature\": 1e40}", 100, PLUCK_F32, 0},
};
enum { N_FLAT = sizeof flat / sizeof *flat };

/* After a prompt with repetitions. */
static const pluck_token prompt[] = {5, 6, 7, 1, 5, 6, 7, 2, 5, 6};
enum { N_PROMPT = sizeof prompt / sizeof *prompt };

static const struct {
    const char *name, *stages, *draw;
    uint32_t n_vocab;
    pluck_dtype dtype;
    bool masked;
} staged[] = {
    {"stage_temperature", "{\"type\": \"temperature\", \"t\": 0.6}", NULL, 1000, PLUCK_F16, false},
    {"stage_top_k", "{\"type\": \"top_k\", \"k\": 17}", NULL, 4097, PLUCK_BF16, false},
    {"stage_top_p", "{\"type\": \"top_p\", \"p\": 0.7, \"min_keep\": 3}", NULL, 1000, PLUCK_BF16,
     false},
    {"stage_min_p", "{\"type\": \"min_p\", \"p\": 0.3, \"min_keep\": 2}", NULL, 4097, PLUCK_F16,
     false},
    {"stage_top_a", "{\"type\": \"top_a\", \"a\": 0.3}", NULL, 4097, PLUCK_F32, false},
    {"stage_typical", "{\"type\": \"typical\", \"p\": 0.7}", NULL, 4097, PLUCK_F32, false},
    {"stage_typical_half", "{\"type\": \"typical\", \"p\": 0.3, \"min_keep\": 4}", NULL, 1000,
     PLUCK_F16, false},
    {"stage_epsilon_cutoff", "{\"type\": \"epsilon_cutoff\", \"epsilon\": 0.003}", NULL, 4097,
     PLUCK_F32, false},
    {"stage_eta_cutoff", "{\"type\": \"eta_cutoff\", \"epsilon\": 0.002}", NULL, 4097, PLUCK_BF16,
     false},
    {"stage_p_less", "{\"type\": \"p_less\"}", NULL, 1000, PLUCK_F32, false},
    {"stage_top_h", "{\"type\": \"top_h\", \"h\": 0.4}", NULL, 4097, PLUCK_F32, false},
    {"stage_tail_free", "{\"type\": \"tail_free\", \"z\": 0.9}", NULL, 1000, PLUCK_F32, false},
    {"stage_top_n_sigma", "{\"type\": \"top_n_sigma\", \"n\": 1.5}", NULL, 4097, PLUCK_F32, false},
    {"stage_xtc", "{\"type\": \"xtc\", \"probability\": 0.5, \"threshold\": 0.05}", NULL, 1000,
     PLUCK_F32, false},
    {"stage_xtc_protect",
     "{\"type\": \"xtc\", \"probability\": 0.9, \"threshold\": 0.02, \"protect\": [3, 9, 40], "
     "\"min_keep\": 3}",
     NULL, 65, PLUCK_BF16, false},
    {"stage_dynamic_temperature",
     "{\"type\": \"dynamic_temperature\", \"t\": 0.9, \"range\": 0.5, \"exponent\": 1.4}", NULL,
     4097, PLUCK_F32, false},
    {"stage_smoothing", "{\"type\": \"smoothing\", \"factor\": 0.3125, \"curve\": 1.5}", NULL, 1000,
     PLUCK_F32, false},
    {"stage_entmax", "{\"type\": \"entmax\", \"alpha\": 1.3}", NULL, 4097, PLUCK_F32, false},
    {"stage_sparsemax", "{\"type\": \"entmax\", \"alpha\": 2}", NULL, 1000, PLUCK_F16, false},
    {"stage_bad_words", "{\"type\": \"bad_words\", \"sequences\": [[3], [5, 6, 7], [6, 2]]}", NULL,
     12, PLUCK_F32, false},
    {"stage_no_repeat_ngram", "{\"type\": \"no_repeat_ngram\", \"n\": 2}", NULL, 12, PLUCK_F32,
     false},
    {"stage_min_tokens", "{\"type\": \"min_tokens\", \"n\": 5, \"tokens\": [0, 7]}", NULL, 12,
     PLUCK_F32, false},
    {"stage_exp_decay_length",
     "{\"type\": \"exp_decay_length\", \"start\": 2, \"factor\": 1.4, \"tokens\": [1, 8]}", NULL,
     12, PLUCK_F32, false},
    {"stage_dry",
     "{\"type\": \"dry\", \"multiplier\": 0.8, \"base\": 1.75, \"allowed_length\": 1, \"last_n\": "
     "20}",
     NULL, 12, PLUCK_F32, false},
    {"stage_logit_bias",
     "{\"type\": \"logit_bias\", \"bias\": {\"0\": 9.75, \"64\": -0.3, \"999\": false}}", NULL,
     1000, PLUCK_F16, false},
    {"stage_penalties",
     "{\"type\": \"penalties\", \"repeat\": 1.3, \"frequency\": 0.2, \"presence\": -0.1, "
     "\"last_n\": -1}",
     NULL, 12, PLUCK_F16, false},
    {"stage_ignore_prompt",
     "{\"type\": \"penalties\", \"repeat\": 1.3, \"presence\": 0.7, \"ignore_prompt\": true}", NULL,
     12, PLUCK_F32, false},
    {"stage_mask", "{\"type\": \"top_k\", \"k\": 30}, {\"type\": \"mask\"}", NULL, 1000, PLUCK_F32,
     true},
    {"mask_first", "{\"type\": \"top_k\", \"k\": 30}", NULL, 1000, PLUCK_F16, true},
    {"mask_alone", "", NULL, 4097, PLUCK_BF16, true},
    {"draw_categorical", "", "\"categorical\"", 65, PLUCK_F16, false},
    {"draw_greedy", "", "\"greedy\"", 4097, PLUCK_BF16, false},
    {"draw_mirostat", "", "{\"type\": \"mirostat\", \"tau\": 3, \"eta\": 0.2}", 4097, PLUCK_F32,
     false},
    {"draw_mirostat_v2", "", "{\"type\": \"mirostat_v2\", \"tau\": 3, \"eta\": 0.2}", 4097,
     PLUCK_F32, false},
    {"draw_adaptive_p", "", "{\"type\": \"adaptive_p\", \"target\": 0.3, \"decay\": 0.8}", 1000,
     PLUCK_F32, false},
    {"several",
     "{\"type\": \"penalties\", \"repeat\": 1.1}, {\"type\": \"dry\", \"multiplier\": 0.5, "
     "\"allowed_length\": 1}, "
     "{\"type\": \"temperature\", \"t\": 2.5}, {\"type\": \"top_n_sigma\", \"n\": 1.6}, "
     "{\"type\": \"typical\", \"p\": 0.97}, {\"type\": \"xtc\", \"probability\": 0.5, "
     "\"threshold\": 0.15}, {\"type\": \"min_p\", \"p\": 0.06}",
     "{\"type\": \"adaptive_p\", \"target\": 0.4}", 12, PLUCK_F32, true},
    {"stage_dry_breakers",
     "{\"type\": \"dry\", \"multiplier\": 1.5, \"base\": 1.25, \"allowed_length\": 1, "
     "\"breakers\": "
     "[[8], [5, 10], [3, 0, 4]]}",
     NULL, 12, PLUCK_F32, false},
    {"stage_infill", "{\"type\": \"infill\", \"eog\": [3, 9]}", NULL, 12, PLUCK_F32, false},
    {"draw_gumbel", "", "\"gumbel\"", 4097, PLUCK_F32, false},
    {"draw_gumbel_top_p",
     "{\"type\": \"top_p\", \"p\": 0.9}, {\"type\": \"temperature\", \"t\": 1.4}", "\"gumbel\"",
     32000, PLUCK_F16, false},
    {"draw_gumbel_top_k", "{\"type\": \"top_k\", \"k\": 40}", "\"gumbel\"", 1000, PLUCK_BF16, true},
};
enum { N_STAGED = sizeof staged / sizeof *staged };

const size_t golden_n_flat_chains = N_FLAT, golden_n_chains = N_FLAT + N_STAGED;

golden_chain golden_chain_at(size_t i, const char *draw, char json[GOLDEN_JSON_BYTES])
{
    if (i < N_FLAT)
        return (golden_chain){.name = flat[i].name,
                              .json = flat[i].json,
                              .n_vocab = flat[i].n_vocab,
                              .dtype = flat[i].dtype,
                              .stream = flat[i].stream,
                              .first_row = i * 100};
    i -= N_FLAT;
    draw = draw ? draw : staged[i].draw;
    int n = snprintf(json, GOLDEN_JSON_BYTES, "{\"seed\": %zu, \"stages\": [%s], \"draw\": %s}",
                     100 + i, staged[i].stages, draw ? draw : "\"categorical\"");
    if (n < 0 || n >= GOLDEN_JSON_BYTES)
        abort();
    return (golden_chain){.name = staged[i].name,
                          .json = json,
                          .n_vocab = staged[i].n_vocab,
                          .dtype = staged[i].dtype,
                          .stream = i,
                          .first_row = 100000 + i * 100,
                          .with_prompt = true,
                          .masked = staged[i].masked};
}

void golden_prompt(pluck_sampler *sampler, const golden_chain *c)
{
    pluck_error err = {.status = PLUCK_OK};
    if (c->with_prompt)
        golden_require(pluck_sampler_prompt(sampler, prompt, N_PROMPT, &err), c->name, &err);
}

pluck_sampler *golden_sampler(const golden_chain *c, const pluck_config *config, pluck_isa isa)
{
    pluck_sampler *sampler = NULL;
    pluck_error err = {.status = PLUCK_OK};
    pluck_sampler_options options = {.struct_size = sizeof options,
                                     .isa = isa,
                                     .stream = c->stream,
                                     .token_text = test_token_text};
    golden_require(pluck_sampler_create(&sampler, config, c->n_vocab, &options, &err), c->name,
                   &err);
    golden_prompt(sampler, c);
    return sampler;
}

void golden_mask(pluck_sampler *sampler, uint32_t n_vocab, uint32_t position)
{
    static int32_t words[GOLDEN_MAX_VOCAB / 32 + 1];
    pluck_error err = {.status = PLUCK_OK};
    uint32_t n_words = (n_vocab + 31) / 32;
    for (uint32_t w = 0; w < n_words; w++) {
        uint32_t word = 0;
        for (uint32_t b = 0; b < 32; b++)
            word |= (uint32_t)((w * 32 + b + position) % 7 < 5) << b;
        words[w] = (int32_t)word;
    }
    golden_require(pluck_sampler_set_mask(sampler, words, n_words, &err), "mask", &err);
}

static uint32_t hash(const test_distribution *d)
{
    uint32_t h = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        uint32_t words[2] = {(uint32_t)d->probs[i].token, golden_float_bits(d->probs[i].prob)};
        h = golden_hash(h, words, sizeof words);
    }
    return h;
}

static void add_chain(golden_text *out, const golden_chain *c, pluck_isa isa, void *row)
{
    pluck_config *config = test_config(c->json);
    pluck_sampler *sampler = golden_sampler(c, config, isa);
    for (uint32_t i = 0; i < N_TOKENS; i++) {
        golden_row(c->first_row + i / 3, c->dtype, c->n_vocab, row);
        pluck_logits logits = {row, c->dtype, c->n_vocab};
        pluck_draw draw = {.token = -1};
        pluck_token token = -1;
        if (c->masked)
            golden_mask(sampler, c->n_vocab, i);
        pluck_status status = pluck_sampler_draw(sampler, logits, &draw, NULL);
        test_distribution d = test_distribution_of(sampler, logits);
        pluck_sampler_sample(sampler, logits, &token, NULL);
        if (status != PLUCK_OK || token != draw.token)
            golden_add(out, "%s failed\n", c->name);
        else
            golden_add(out, "%s %u %d %08" PRIx32 " %" PRIu32 " %08" PRIx32 "\n", c->name, i,
                       draw.token, golden_float_bits(draw.logprob), draw.n_survivors, hash(&d));
        test_distribution_free(&d);
        pluck_sampler_accept(sampler, draw.token, NULL);
    }
    pluck_sampler_destroy(&sampler);
    pluck_config_destroy(&config);
}

void golden_chains(golden_text *out, pluck_isa isa)
{
    char json[GOLDEN_JSON_BYTES];
    void *row = golden_row_buffer();
    for (size_t i = 0; i < golden_n_chains; i++) {
        golden_chain c = golden_chain_at(i, NULL, json);
        add_chain(out, &c, isa, row);
    }
    free(row);
}

/* Numbers with few bits, so that what the caller's rounding mode could change is the state. */
static const struct {
    const char *name, *json;
} states[] = {
    {"state_mirostat", "{\"seed\": 201, \"stages\": [], \"draw\": {\"type\": \"mirostat\", "
                       "\"tau\": 3, \"eta\": 0.25}}"},
    {"state_mirostat_v2",
     "{\"seed\": 202, \"stages\": [], \"draw\": {\"type\": \"mirostat_v2\", \"tau\": 3, \"eta\": "
     "0.25}}"},
    {"state_adaptive_p",
     "{\"seed\": 203, \"stages\": [], \"draw\": {\"type\": \"adaptive_p\", \"target\": 0.3125, "
     "\"decay\": 0.625}}"},
    {"state_dry",
     "{\"seed\": 204, \"dry_multiplier\": 1, \"repeat_penalty\": 1.5, \"logit_bias\": {\"3\": 0.5, "
     "\"9\": false}}"},
};
enum { N_STATES = sizeof states / sizeof *states };

void golden_states(golden_text *out, pluck_isa isa)
{
    void *row = golden_row_buffer();
    for (size_t i = 0; i < N_STATES; i++) {
        golden_chain c = {.name = states[i].name, .n_vocab = 100, .with_prompt = true};
        pluck_config *config = test_config(states[i].json);
        pluck_sampler *sampler = golden_sampler(&c, config, isa);
        unsigned char bytes[32768] = {0};
        size_t n = 0;
        pluck_error err = {.status = PLUCK_OK};
        for (uint32_t t = 0; t < N_TOKENS; t++) {
            pluck_token token = -1;
            golden_row(240000 + i * 100 + t, PLUCK_F32, c.n_vocab, row);
            pluck_logits logits = {row, PLUCK_F32, c.n_vocab};
            golden_require(pluck_sampler_sample(sampler, logits, &token, &err), c.name, &err);
            golden_require(pluck_sampler_accept(sampler, token, &err), c.name, &err);
        }
        golden_require(pluck_sampler_save(sampler, bytes, sizeof bytes, &n, &err), c.name, &err);
        golden_add(out, "%s %zu %08" PRIx32 "\n", c.name, n,
                   golden_hash_bytes(0, bytes, n / 4 * 4));
        pluck_sampler_destroy(&sampler);
        pluck_config_destroy(&config);
    }
    free(row);
}

void golden_tokens(golden_text *out, pluck_isa isa)
{
    golden_chains(out, isa);
    golden_states(out, isa);
    golden_draws(out, isa);
    golden_softmax(out);
    golden_weighted(out);
    golden_heads(out, isa);
    for (size_t i = 0; i < out->n; i++)
        out->n_results += out->chars[i] == '\n';
}
