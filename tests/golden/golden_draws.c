/*
 * What samplers give besides one token at a time: many draws, different tokens, log-probabilities,
 * verdicts on drafts, and rows that are made from two rows or are no logits of a sampler at all.
 */
#include "golden/golden.h"

#include <pluck/sampled_softmax.h>
#include <pluck/speculative.h>
#include <pluck/tune.h>

#include "support/samplers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_VOCAB = 4097, N_DRAWS = 8, N_DRAFTS = 3, N_STEPS = 8 };

static float row[N_VOCAB], other_row[N_VOCAB], rows[(N_DRAFTS + 1) * N_VOCAB];

static const struct {
    const char *name, *json;
    pluck_dtype dtype;
} draw_cases[] = {
    {"f32", "{\"seed\": 31, \"temperature\": 1.6}", PLUCK_F32},
    {"f16", "{\"seed\": 32, \"top_p\": 0.98}", PLUCK_F16},
    {"bf16", "{\"seed\": 33, \"top_k\": 300, \"temperature\": 2}", PLUCK_BF16},
    {"xtc", "{\"seed\": 34, \"xtc_probability\": 0.5, \"xtc_threshold\": 0.02}", PLUCK_F32},
    {"few", "{\"seed\": 35, \"top_k\": 5}", PLUCK_F32},
};
enum { N_DRAW_CASES = sizeof draw_cases / sizeof *draw_cases };

static void add_draws(golden_text *out, const char *kind, const char *name, const pluck_draw *draws,
                      size_t n)
{
    for (size_t i = 0; i < n; i++)
        golden_add(out, "%s_%s %zu %d %08" PRIx32 " %" PRIu32 "\n", kind, name, i, draws[i].token,
                   golden_float_bits(draws[i].logprob), draws[i].n_survivors);
}

static void add_logprobs(golden_text *out, const char *name, pluck_sampler *sampler,
                         pluck_logits logits)
{
    static const char *const kinds[] = {"raw", "final"};
    pluck_error err = {.status = PLUCK_OK};
    for (int kind = PLUCK_LOGPROB_RAW; kind <= PLUCK_LOGPROB_FINAL; kind++) {
        pluck_logprob best[3];
        uint32_t n = 0;
        golden_require(test_top_logprobs(sampler, logits, (pluck_logprob_kind)kind, 3, best, &n),
                       name, &err);
        for (uint32_t i = 0; i < n; i++)
            golden_add(out, "logprob_%s_%s %" PRIu32 " %d %08" PRIx32 "\n", kinds[kind], name, i,
                       best[i].token, golden_float_bits(best[i].logprob));
    }
}

static void add_draw_case(golden_text *out, size_t i, pluck_isa isa)
{
    const char *name = draw_cases[i].name;
    pluck_error err = {.status = PLUCK_OK};
    pluck_sampler *sampler = test_sampler(draw_cases[i].json, N_VOCAB, isa, i);
    pluck_logits logits = {row, draw_cases[i].dtype, N_VOCAB};
    pluck_draw draws[N_DRAWS];
    size_t n = 0;
    golden_row(200000 + i, draw_cases[i].dtype, N_VOCAB, row);
    golden_require(pluck_sampler_draw_many(sampler, logits, N_DRAWS, draws, &err), name, &err);
    add_draws(out, "many", name, draws, N_DRAWS);
    golden_require(pluck_sampler_draw_distinct(sampler, logits, N_DRAWS, draws, &n, &err), name,
                   &err);
    add_draws(out, "distinct", name, draws, n);
    add_logprobs(out, name, sampler, logits);
    pluck_sampler_destroy(&sampler);
}

/* Drafts of a sampler that is hotter than the target, from the target's rows. */
static void add_step(golden_text *out, const char *name, uint64_t step, pluck_sampler *draft,
                     pluck_sampler *target, pluck_speculation *speculation, bool has_supports)
{
    pluck_error err = {.status = PLUCK_OK};
    pluck_token tokens[N_DRAFTS];
    pluck_support supports[N_DRAFTS];
    test_distribution p[N_DRAFTS];
    pluck_logits logits[N_DRAFTS + 1];
    pluck_verdict verdict = {.next = -1};
    for (uint32_t i = 0; i <= N_DRAFTS; i++) {
        golden_row(210000 + step * 10 + i, PLUCK_F32, N_VOCAB, rows + i * N_VOCAB);
        logits[i] = (pluck_logits){rows + i * N_VOCAB, PLUCK_F32, N_VOCAB};
    }
    for (uint32_t i = 0; i < N_DRAFTS; i++) {
        golden_require(pluck_sampler_sample(draft, logits[i], &tokens[i], &err), name, &err);
        p[i] = test_distribution_of(draft, logits[i]);
        supports[i] = (pluck_support){p[i].probs, p[i].n};
        golden_require(pluck_sampler_accept(draft, tokens[i], &err), name, &err);
    }
    const pluck_matrix matrix = {
        .data = rows, .dtype = PLUCK_F32, .n_cols = N_VOCAB, .n_rows = N_DRAFTS + 1};
    const pluck_drafts drafts = {tokens, has_supports ? supports : NULL, N_DRAFTS};
    golden_require(pluck_speculation_step(speculation, target, &matrix, &drafts, &verdict, &err),
                   name, &err);
    golden_require(pluck_sampler_rewind(draft, N_DRAFTS - verdict.n_accepted, &err), name, &err);
    golden_require(pluck_sampler_accept(draft, verdict.next, &err), name, &err);
    golden_add(out, "%s %" PRIu64 " %" PRIu32 " %d\n", name, step, verdict.n_accepted,
               verdict.next);
    for (uint32_t i = 0; i < N_DRAFTS; i++)
        test_distribution_free(&p[i]);
}

/* draft_json NULL: drafts of another seed, with their supports. */
static void add_speculation(golden_text *out, const char *name, const char *json,
                            const char *draft_json, pluck_isa isa)
{
    static const char hot[] = "{\"seed\": 41, \"temperature\": 1.4}";
    pluck_error err = {.status = PLUCK_OK};
    pluck_sampler *draft = test_sampler(draft_json ? draft_json : hot, N_VOCAB, isa, !draft_json);
    pluck_sampler *target = test_sampler(json, N_VOCAB, isa, 0);
    pluck_speculation *speculation = NULL;
    golden_require(pluck_speculation_create(&speculation, N_VOCAB, 43, 0, NULL, &err), name, &err);
    for (uint64_t step = 0; step < N_STEPS; step++)
        add_step(out, name, step, draft, target, speculation, !draft_json);
    pluck_speculation_destroy(&speculation);
    pluck_sampler_destroy(&target);
    pluck_sampler_destroy(&draft);
}

static void add_guidance(golden_text *out)
{
    static float mixed[N_VOCAB];
    pluck_error err = {.status = PLUCK_OK};
    pluck_logits logits = {row, PLUCK_F32, N_VOCAB}, other = {other_row, PLUCK_BF16, N_VOCAB};
    golden_row(220000, PLUCK_F32, N_VOCAB, row);
    golden_row(220001, PLUCK_BF16, N_VOCAB, other_row);
    golden_require(pluck_guidance_combine(logits, other, 1.5, mixed, &err), "guidance", &err);
    golden_add(out, "guidance_combine %08" PRIx32 "\n", golden_hash(0, mixed, sizeof mixed));
    golden_require(pluck_guidance_contrast(logits, other, 0.01, mixed, &err), "guidance", &err);
    golden_add(out, "guidance_contrast %08" PRIx32 "\n", golden_hash(0, mixed, sizeof mixed));
}

void golden_draws(golden_text *out, pluck_isa isa)
{
    for (size_t i = 0; i < N_DRAW_CASES; i++)
        add_draw_case(out, i, isa);
    add_speculation(out, "speculation", "{\"seed\": 42, \"top_p\": 0.95}", NULL, isa);
    add_speculation(out, "speculation_greedy", "{\"temperature\": 0}", NULL, isa);
    add_speculation(out, "speculation_mirostat",
                    "{\"seed\": 42, \"stages\": [{\"type\": \"penalties\", \"repeat\": 1.2}], "
                    "\"draw\": {\"type\": \"mirostat_v2\", \"tau\": 3}}",
                    NULL, isa);
    add_speculation(out, "speculation_gumbel", "{\"draw\": \"gumbel\", \"temperature\": 0.7}", NULL,
                    isa);
    add_speculation(out, "speculation_by_draws", "{\"draw\": \"gumbel\", \"temperature\": 0.7}",
                    "{\"draw\": \"gumbel\", \"temperature\": 1}", isa);
    add_guidance(out);
}

static void add_floats(golden_text *out, const char *name, pluck_status status, const float *values,
                       const pluck_error *err)
{
    golden_require(status, name, err);
    golden_add(out, "%s %08" PRIx32 "\n", name, golden_hash(0, values, N_VOCAB * sizeof *values));
}

static void add_double(golden_text *out, const char *name, pluck_status status, const double *value,
                       const pluck_error *err)
{
    golden_require(status, name, err);
    golden_add(out, "%s %016" PRIx64 "\n", name, golden_double_bits(*value));
}

static void add_candidates(golden_text *out)
{
    pluck_error err = {.status = PLUCK_OK};
    pluck_candidate_sampler *candidates = NULL;
    pluck_pcg64 rng;
    pluck_token tokens[N_DRAWS];
    uint64_t n_tries = 0;
    pluck_pcg64_seed(&rng, 51, 0, 0);
    golden_require(pluck_candidate_sampler_create(&candidates, 10000, NULL, &err), "candidates",
                   &err);
    golden_require(
        pluck_candidate_sampler_draw(candidates, &rng, N_DRAWS, true, tokens, &n_tries, &err),
        "candidates", &err);
    for (int i = 0; i < N_DRAWS; i++) {
        double expected = 0;
        golden_require(
            pluck_candidate_sampler_expected(candidates, tokens[i], n_tries, true, &expected, &err),
            "candidates", &err);
        golden_add(out, "candidates %d %d %016" PRIx64 "\n", i, tokens[i],
                   golden_double_bits(expected));
    }
    pluck_candidate_sampler_destroy(&candidates);
}

static void add_comparison(golden_text *out)
{
    pluck_error err = {.status = PLUCK_OK};
    pluck_comparison c = PLUCK_INIT(pluck_comparison);
    pluck_logits logits = {row, PLUCK_F32, N_VOCAB}, other = {other_row, PLUCK_F16, N_VOCAB};
    golden_row(231000, PLUCK_F32, N_VOCAB, row);
    golden_row(231001, PLUCK_F16, N_VOCAB, other_row);
    golden_require(pluck_compare_rows(logits, other, 5, &c, &err), "compare", &err);
    double values[] = {c.kl_ab, c.kl_ba, c.total_variation,  c.entropy_a,  c.entropy_b,
                       c.nll_a, c.nll_b, c.rank_correlation, c.top_prob_a, c.top_prob_b};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        golden_add(out, "compare %zu %016" PRIx64 "\n", i, golden_double_bits(values[i]));
}

void golden_softmax(golden_text *out)
{
    float *p = other_row;
    double x = 0;
    size_t index = 0;
    pluck_error err = {.status = PLUCK_OK};
    pluck_pcg64 rng;
    golden_row(230000, PLUCK_F32, N_VOCAB, row);
    add_floats(out, "softmax_of", pluck_softmax(row, N_VOCAB, 0.7f, p, &err), p, &err);
    add_floats(out, "softmax_inverse", pluck_softmax(row, N_VOCAB, -1.0f, p, &err), p, &err);
    add_floats(out, "log_softmax", pluck_log_softmax(row, N_VOCAB, 1.0f, p, &err), p, &err);
    add_floats(out, "entmax", pluck_entmax(row, N_VOCAB, 1.0f, 1.5, p, &err), p, &err);
    add_floats(out, "entmax_3", pluck_entmax(row, N_VOCAB, 1.0f, 3, p, &err), p, &err);
    add_floats(out, "sparsemax", pluck_entmax(row, N_VOCAB, 0.5f, 2, p, &err), p, &err);
    add_double(out, "logsumexp", pluck_logsumexp(row, N_VOCAB, 1.3f, &x, &err), &x, &err);
    add_double(out, "entropy", pluck_entropy(row, N_VOCAB, 1.3f, &x, &err), &x, &err);
    add_floats(out, "gradient", pluck_cross_entropy(row, N_VOCAB, 1.0f, 7, &x, p, &err), p, &err);
    add_double(out, "cross_entropy", PLUCK_OK, &x, &err);
    pluck_pcg64_seed(&rng, 52, 0, 0);
    add_floats(out, "gumbel", pluck_gumbel_softmax(row, N_VOCAB, 0.8f, &rng, p, &index, &err), p,
               &err);
    golden_add(out, "gumbel_index %zu\n", index);
    add_candidates(out);
    add_comparison(out);
}
