#include "support/output_cases.h"

#include "support/samplers.h"
#include "support/token_texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Chains that leave the nucleus uncut when a token is picked, which random ones seldom do. */
static const char *const deferring[] = {
    "{\"seed\": 1, \"top_p\": 0.9}",
    "{\"seed\": 2, \"top_p\": 0.5, \"temperature\": 1.7}",
    "{\"seed\": 3, \"logit_bias\": {\"0\": 1.5}, \"top_p\": 0.8, \"temperature\": 0.6}",
};

void row_case_make(row_case *c, uint64_t seed, uint32_t n_vocab, int dtype)
{
    static const uint32_t sizes[] = {1, 2, 63, 64, 65, 200, OUTPUTS_VOCAB};
    test_random random = test_random_make(seed);
    c->n_vocab =
        n_vocab != 0 ? n_vocab : sizes[test_random_below(&random, sizeof sizes / sizeof *sizes)];
    static float x[OUTPUTS_VOCAB];
    logit_fill((logit_kind)(seed % LOGITS_KINDS), seed, c->n_vocab, x);
    if (dtype < 0)
        dtype = (int)test_random_below(&random, 3);
    c->row = logit_row_make(x, c->n_vocab, (pluck_dtype)dtype, seed % 7);
    stage_begin(&c->json, seed);
    stage_end(&c->json, stage_add_chain(&c->json, 3, STAGE_MODERATE,
                                        (stage_tokens){c->n_vocab, NULL}, &random));
    if (seed % 5 == 4) {
        c->json.n = 0;
        stage_text_add(&c->json, "%s", deferring[seed / 5 % 3]);
    }
    c->is_masked = test_random_below(&random, 4) == 0;
    for (size_t i = 0; i < sizeof c->mask / sizeof *c->mask; i++)
        c->mask[i] = (int32_t)test_random_bits(&random);
}

pluck_sampler *row_case_sampler(const row_case *c, uint64_t seed, pluck_isa isa,
                                pluck_workspace *workspace)
{
    pluck_config *config = test_config(c->json.text);
    pluck_sampler_options options = {.struct_size = sizeof options,
                                     .isa = isa,
                                     .stream = seed,
                                     .workspace = workspace,
                                     .token_text = test_token_text};
    pluck_sampler *sampler = NULL;
    pluck_error err = {.status = PLUCK_OK};
    if (pluck_sampler_create(&sampler, config, c->n_vocab, &options, &err) != PLUCK_OK)
        fail_msg("%s: %s", c->json.text, err.message);
    pluck_config_destroy(&config);
    test_random random = test_random_make(seed + 1);
    for (size_t n = test_random_below(&random, 20); n > 0; n--) {
        pluck_token token = (pluck_token)test_random_below(&random, c->n_vocab);
        assert_int_equal(pluck_sampler_accept(sampler, token, NULL), PLUCK_OK);
    }
    if (c->is_masked)
        pluck_sampler_set_mask(sampler, c->mask, (c->n_vocab + 31) / 32, NULL);
    return sampler;
}

pluck_outputs row_outputs(row_results *r, int wanted, size_t n_rows, uint32_t n_vocab,
                          const pluck_token *given)
{
    enum { PATTERN = 0x5A };
    memset(r, PATTERN, sizeof *r);
    if (!(wanted & OUT_TOKENS))
        wanted &= ~(OUT_LOGPROBS | OUT_RAW_LOGPROBS);
    if (!(wanted & OUT_OFFSETS))
        wanted &= ~OUT_KEPT;
    if (!(wanted & OUT_KEPT))
        wanted &= ~OUT_KEPT_LOGPROBS;
    return (pluck_outputs){
        .struct_size = sizeof(pluck_outputs),
        .tokens = wanted & OUT_TOKENS ? r->tokens : NULL,
        .statuses = wanted & OUT_STATUSES ? r->statuses : NULL,
        .logprobs = wanted & OUT_LOGPROBS ? r->logprobs : NULL,
        .raw_logprobs = wanted & OUT_RAW_LOGPROBS ? r->raw_logprobs : NULL,
        .n_survivors = wanted & OUT_SURVIVORS ? r->n_survivors : NULL,
        .n_top = OUTPUTS_N_TOP,
        .top_kind = wanted & OUT_TOP_FINAL ? PLUCK_LOGPROB_FINAL : PLUCK_LOGPROB_RAW,
        .top = wanted & OUT_TOP ? r->top : NULL,
        .kept_offsets = wanted & OUT_OFFSETS ? r->offsets : NULL,
        .kept = wanted & OUT_KEPT ? r->kept : NULL,
        .kept_logprobs = wanted & OUT_KEPT_LOGPROBS ? r->kept_logprobs : NULL,
        .kept_capacity = wanted & OUT_KEPT ? n_rows * n_vocab : 0,
        .kept_log_mass = wanted & OUT_LOG_MASS ? r->log_mass : NULL,
        .n_given = OUTPUTS_N_GIVEN,
        .given = given,
        .given_kind = wanted & OUT_GIVEN_FINAL ? PLUCK_LOGPROB_FINAL : PLUCK_LOGPROB_RAW,
        .given_logprobs = wanted & OUT_GIVEN_LOGPROBS ? r->given_logprobs : NULL,
        .given_ranks = wanted & OUT_GIVEN_RANKS ? r->given_ranks : NULL,
        .probs = wanted & OUT_PROBS ? r->probs : NULL,
        .probs_stride = n_vocab + OUTPUTS_GAP,
    };
}

/* NULL equals NULL. */
static bool bytes_equal(const void *x, size_t a, const void *y, size_t b, size_t row_bytes)
{
    if (!x || !y)
        return x == y;
    return memcmp((const char *)x + a * row_bytes, (const char *)y + b * row_bytes, row_bytes) == 0;
}

static bool kept_equal(const pluck_outputs *x, size_t a, const pluck_outputs *y, size_t b)
{
    if (!x->kept_offsets || !y->kept_offsets)
        return x->kept_offsets == y->kept_offsets;
    size_t at = x->kept_offsets[a], other = y->kept_offsets[b], n = x->kept_offsets[a + 1] - at;
    if (n != y->kept_offsets[b + 1] - other)
        return false;
    return (!x->kept || memcmp(x->kept + at, y->kept + other, n * sizeof *x->kept) == 0) &&
           (!x->kept_logprobs || memcmp(x->kept_logprobs + at, y->kept_logprobs + other,
                                        n * sizeof *x->kept_logprobs) == 0);
}

bool row_results_equal(const pluck_outputs *x, size_t a, const pluck_outputs *y, size_t b,
                       uint32_t n_vocab)
{
    size_t n_given = x->n_given;
    return bytes_equal(x->tokens, a, y->tokens, b, sizeof *x->tokens) &&
           bytes_equal(x->statuses, a, y->statuses, b, sizeof *x->statuses) &&
           bytes_equal(x->logprobs, a, y->logprobs, b, sizeof *x->logprobs) &&
           bytes_equal(x->raw_logprobs, a, y->raw_logprobs, b, sizeof *x->raw_logprobs) &&
           bytes_equal(x->n_survivors, a, y->n_survivors, b, sizeof *x->n_survivors) &&
           bytes_equal(x->top, a, y->top, b, x->n_top * sizeof *x->top) &&
           bytes_equal(x->kept_log_mass, a, y->kept_log_mass, b, sizeof *x->kept_log_mass) &&
           bytes_equal(x->given_logprobs, a, y->given_logprobs, b,
                       n_given * sizeof *x->given_logprobs) &&
           bytes_equal(x->given_ranks, a, y->given_ranks, b, n_given * sizeof *x->given_ranks) &&
           bytes_equal(x->probs, a, y->probs, b, (n_vocab + OUTPUTS_GAP) * sizeof *x->probs) &&
           kept_equal(x, a, y, b);
}

bool sampler_states_equal(const pluck_sampler *a, const pluck_sampler *b)
{
    enum { MAX_STATE = 1 << 16 };
    static char of_a[MAX_STATE], of_b[MAX_STATE];
    size_t n_a = 0, n_b = 0;
    if (pluck_sampler_save(a, of_a, sizeof of_a, &n_a, NULL) != PLUCK_OK)
        return true;
    return pluck_sampler_save(b, of_b, sizeof of_b, &n_b, NULL) == PLUCK_OK && n_a == n_b &&
           memcmp(of_a, of_b, n_a) == 0;
}
