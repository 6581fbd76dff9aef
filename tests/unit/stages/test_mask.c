/*
 * Why: constrained decoding gives a mask for every token, and a banned token that comes through
 * breaks whatever parses the text. Masks of every shape (few allowed, few banned, whole blocks,
 * every other token, the ragged end) are judged by brute force on rows of every type, with stages
 * before and after, on every instruction set; the draw is judged by chi-square, and the life of a
 * mask (one position's, never the next one's) call by call.
 */
#include "support/brute_force.h"
#include "support/cases.h"
#include "support/chi_square.h"
#include "support/config_parts.h"
#include "support/isa.h"
#include "support/logit_cases.h"
#include "support/samplers.h"
#include "support/stage_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_VOCAB = 5000, MAX_WORDS = MAX_VOCAB / 32 + 1, MAX_HISTORY = 60 };

typedef enum mask_kind {
    MASK_ALL,
    MASK_ONE,
    MASK_FEW,
    MASK_FEW_BANNED,
    MASK_HALF,
    MASK_ALTERNATE,
    MASK_BLOCKS,
    MASK_RUN,
    MASK_KINDS
} mask_kind;

static size_t n_words_of(uint32_t n_vocab)
{
    return (n_vocab + 31) / 32;
}

static void set_bit(int32_t *bits, uint32_t token, bool allowed)
{
    uint32_t word = (uint32_t)bits[token / 32], bit = (uint32_t)1 << token % 32;
    bits[token / 32] = (int32_t)(allowed ? word | bit : word & ~bit);
}

static bool is_allowed(const int32_t *bits, uint32_t token)
{
    return ((uint32_t)bits[token / 32] >> token % 32 & 1) != 0;
}

/* At least one token is allowed; bits beyond the vocabulary are anything. */
static void fill_mask(mask_kind kind, uint32_t n_vocab, int32_t *bits, test_random *random)
{
    bool start = kind == MASK_ALL || kind == MASK_FEW_BANNED;
    uint32_t one = (uint32_t)test_random_below(random, n_vocab);
    uint32_t from = (uint32_t)test_random_below(random, n_vocab);
    memset(bits, start ? 0xFF : 0, n_words_of(n_vocab) * sizeof *bits);
    for (uint32_t i = 0; i < n_words_of(n_vocab) * 32; i++) {
        bool beyond = i >= n_vocab;
        bool rarely = test_random_below(random, 50) == 0;
        bool half = test_random_below(random, 2) == 0;
        bool block = (i / 64 * 2654435761u >> 7 & 3) != 0;
        if (beyond)
            set_bit(bits, i, half);
        else if (kind == MASK_FEW && rarely)
            set_bit(bits, i, true);
        else if (kind == MASK_FEW_BANNED && rarely)
            set_bit(bits, i, false);
        else if ((kind == MASK_HALF && half) || (kind == MASK_ALTERNATE && i % 2) ||
                 (kind == MASK_BLOCKS && block) ||
                 (kind == MASK_RUN && i >= from && i - from < n_vocab / 3))
            set_bit(bits, i, true);
    }
    set_bit(bits, one, true);
}

typedef struct mask_case {
    stage_text json;
    uint32_t n_vocab;
    logit_row row;
    mask_kind kind;
    int32_t bits[MAX_WORDS];
    pluck_token history[MAX_HISTORY];
    size_t n_history;
} mask_case;

static const pluck_stage *random_stage(test_random *random)
{
    const pluck_stage *stage = NULL;
    do
        stage = pluck_stage_at(test_random_below(random, n_known_stages()));
    while (stage->kind == PLUCK_STAGE_DRAW || strcmp(stage->name, "mask") == 0);
    return stage;
}

/* Up to three stages; every other time the mask's place is among them. */
static void make_case(mask_case *c, uint64_t seed)
{
    test_random random = test_random_make(seed);
    static const uint32_t sizes[] = {1, 31, 32, 33, 63, 64, 65, 127, 129, 1000, 4096, 4999};
    c->n_vocab = sizes[test_random_below(&random, sizeof sizes / sizeof *sizes)];
    c->kind = (mask_kind)(seed % MASK_KINDS);
    fill_mask(c->kind, c->n_vocab, c->bits, &random);
    float *x = malloc(c->n_vocab * sizeof *x);
    assert_non_null(x);
    logit_fill((logit_kind)test_random_below(&random, LOGITS_KINDS), seed, c->n_vocab, x);
    c->row = logit_row_make(x, c->n_vocab, (pluck_dtype)test_random_below(&random, 3),
                            test_random_below(&random, 65));
    free(x);
    c->n_history = test_random_below(&random, MAX_HISTORY);
    for (size_t i = 0; i < c->n_history; i++)
        c->history[i] = (pluck_token)test_random_below(&random, c->n_vocab);
    size_t n_stages = test_random_below(&random, 4);
    size_t place = test_random_below(&random, 2) ? test_random_below(&random, n_stages + 1) : 9;
    stage_begin(&c->json, seed);
    for (size_t i = 0; i <= n_stages; i++) {
        if (i == place)
            stage_text_add(&c->json, "%s{\"type\": \"mask\"}", i ? ", " : "");
        if (i < n_stages) {
            stage_text_add(&c->json, i || place == 0 ? ", " : "");
            stage_add_random(&c->json, random_stage(&random), STAGE_MODERATE,
                             (stage_tokens){c->n_vocab, NULL}, &random);
        }
    }
    stage_end(&c->json, NULL);
}

static pluck_sampler *masked_sampler(const mask_case *c, pluck_isa isa)
{
    pluck_sampler *sampler = test_sampler(c->json.text, c->n_vocab, isa, 0);
    test_accept(sampler, c->history, c->n_history);
    assert_int_equal(pluck_sampler_set_mask(sampler, c->bits, n_words_of(c->n_vocab), NULL),
                     PLUCK_OK);
    return sampler;
}

static bool only_allowed(const mask_case *c, pluck_sampler *sampler, const test_distribution *d)
{
    for (uint32_t i = 0; i < d->n; i++)
        if (!is_allowed(c->bits, (uint32_t)d->probs[i].token))
            return test_case_failed("token %d is banned", d->probs[i].token);
    pluck_draw draws[3];
    pluck_token token = -1;
    pluck_status status = pluck_sampler_draw_many(sampler, c->row.logits, 3, draws, NULL);
    if (status != d->status || pluck_sampler_sample(sampler, c->row.logits, &token, NULL) != status)
        return test_case_failed("draw and distribution disagree");
    if (status == PLUCK_OK && (draws[0].token != token || draws[0].n_survivors != d->n))
        return test_case_failed("draw and sample disagree");
    if (status == PLUCK_OK && test_distribution_p(d, token) == 0)
        return test_case_failed("drew token %d", token);
    for (int i = 0; i < 3 && status == PLUCK_OK; i++)
        if (!is_allowed(c->bits, (uint32_t)draws[i].token))
            return test_case_failed("drew token %d, which is banned", draws[i].token);
    return true;
}

static bool masked_chain_agrees(uint64_t seed, pluck_isa unused, const void *context)
{
    (void)unused, (void)context;
    mask_case c;
    make_case(&c, seed);
    pluck_config *config = test_config(c.json.text);
    brute_force row;
    pluck_status status = brute_force_run_masked(&row, config, c.row.exact, c.n_vocab, c.history,
                                                 c.n_history, c.bits);
    pluck_isa isas[TEST_MAX_TABLES];
    unsigned n_isas = test_all_isas(isas);
    test_distribution first = {.probs = NULL};
    bool agrees = true;
    for (unsigned i = 0; i < n_isas && agrees; i++) {
        pluck_sampler *sampler = masked_sampler(&c, isas[i]);
        test_distribution d = test_distribution_of(sampler, c.row.logits);
        if (d.status != status)
            agrees = test_case_failed("status %s, not %s", pluck_status_name(d.status),
                                      pluck_status_name(status));
        else if (i > 0)
            agrees = test_distribution_equal(&d, &first) || test_case_failed("sets differ");
        agrees =
            agrees && only_allowed(&c, sampler, &d) &&
            (i > 0 || status != PLUCK_OK || row.doubt || brute_force_agrees(&row, d.probs, d.n));
        pluck_sampler_destroy(&sampler);
        test_distribution_free(i ? &d : &first);
        first = i ? first : d;
    }
    test_distribution_free(&first);
    if (!agrees)
        test_case_failed("%s\n    %u %s logits, mask %d", c.json.text, c.n_vocab,
                         pluck_dtype_name(c.row.logits.dtype), (int)c.kind);
    brute_force_free(&row);
    pluck_config_destroy(&config);
    logit_row_destroy(&c.row);
    return agrees;
}

static void masked_chains_agree_with_brute_force(void **state)
{
    (void)state;
    test_cases_run_once("masked_chains_agree_with_brute_force", 1, 2000, masked_chain_agrees, NULL);
}

/* A dense view under a mask is the dense view of the same logits with -inf, bit for bit. */
static bool mask_is_minus_infinity(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    mask_case c;
    make_case(&c, seed);
    if (c.kind != MASK_FEW_BANNED && c.kind != MASK_BLOCKS && c.kind != MASK_HALF) {
        logit_row_destroy(&c.row);
        return true;
    }
    pluck_sampler *sampler = masked_sampler(&c, isa);
    test_distribution by_mask = test_distribution_of(sampler, c.row.logits);
    for (uint32_t i = 0; i < c.n_vocab; i++)
        if (!is_allowed(c.bits, i))
            logit_row_set(&c.row, i, -INFINITY);
    pluck_sampler *plain = test_sampler(c.json.text, c.n_vocab, isa, 0);
    test_accept(plain, c.history, c.n_history);
    test_distribution by_logits = test_distribution_of(plain, c.row.logits);
    bool has_place = strstr(c.json.text, "\"mask\"") != NULL;
    bool equal = has_place || test_distribution_equal(&by_mask, &by_logits) ||
                 test_case_failed("%s: the mask is not the same as -inf", c.json.text);
    test_distribution_free(&by_mask);
    test_distribution_free(&by_logits);
    pluck_sampler_destroy(&sampler);
    pluck_sampler_destroy(&plain);
    logit_row_destroy(&c.row);
    return equal;
}

static void banned_by_mask_or_by_logit_is_the_same(void **state)
{
    (void)state;
    test_cases_run("banned_by_mask_or_by_logit_is_the_same", 5000, 600, mask_is_minus_infinity,
                   NULL);
}

/* A correct sampler fails with probability 6e-8. */
static void draws_under_a_mask_follow_the_distribution(void **state)
{
    (void)state;
    enum { N = 700, N_DRAWS = 100000 };
    static const char *const configurations[] = {
        "{\"seed\": 3}", "{\"seed\": 4, \"top_p\": 0.9, \"temperature\": 1.5}"};
    float x[N];
    logit_fill((logit_kind)TEST_VECTOR_NORMAL, 5, N, x);
    pluck_logits logits = {x, PLUCK_F32, N};
    test_random random = test_random_make(6);
    uint64_t n_draws = test_n_repeats(N_DRAWS);
    for (int i = 0; i < 6; i++) {
        int32_t bits[(N + 31) / 32];
        static const mask_kind kinds[] = {MASK_FEW, MASK_FEW_BANNED, MASK_BLOCKS};
        fill_mask(kinds[i / 2], N, bits, &random);
        pluck_sampler *sampler = test_sampler(configurations[i % 2], N, test_isa(), 0);
        pluck_sampler_set_mask(sampler, bits, n_words_of(N), NULL);
        test_distribution d = test_distribution_of(sampler, logits);
        double p[N];
        uint64_t counts[N] = {0};
        for (int t = 0; t < N; t++)
            p[t] = (double)test_distribution_p(&d, t);
        for (uint64_t draw = 0; draw < n_draws; draw++) {
            pluck_token token = -1;
            pluck_sampler_set_position(sampler, draw, NULL);
            assert_int_equal(pluck_sampler_sample(sampler, logits, &token, NULL), PLUCK_OK);
            counts[token]++;
        }
        assert_true(chi_square_test(counts, p, N, n_draws).p_value >= 1e-8);
        test_distribution_free(&d);
        pluck_sampler_destroy(&sampler);
    }
}

enum { SMALL = 40 };

/* Greedy over ascending logits: token 39 without a mask, 7 with the mask of only_seven. */
static const int32_t only_seven[] = {1 << 7, 0};

static pluck_logits ascending(void)
{
    static float x[SMALL];
    for (int i = 0; i < SMALL; i++)
        x[i] = (float)i;
    return (pluck_logits){x, PLUCK_F32, SMALL};
}

static pluck_token sampled(pluck_sampler *sampler)
{
    pluck_token token = -1;
    assert_int_equal(pluck_sampler_sample(sampler, ascending(), &token, NULL), PLUCK_OK);
    return token;
}

static void a_mask_lasts_until_the_sequence_moves(void **state)
{
    (void)state;
    pluck_sampler *sampler = test_sampler("{\"draw\": \"greedy\"}", SMALL, PLUCK_ISA_BEST, 0);
    for (int move = 0; move < 7; move++) {
        assert_int_equal(pluck_sampler_accept(sampler, 1, NULL), PLUCK_OK);
        assert_int_equal(sampled(sampler), 39);
        assert_int_equal(pluck_sampler_set_mask(sampler, only_seven, 2, NULL), PLUCK_OK);
        assert_int_equal(sampled(sampler), 7);
        assert_int_equal(pluck_sampler_accept(sampler, SMALL, NULL), PLUCK_ERR_INVALID);
        assert_int_equal(pluck_sampler_rewind(sampler, 1000, NULL), PLUCK_ERR_INVALID);
        assert_int_equal(pluck_sampler_rewind(sampler, 0, NULL), PLUCK_OK);
        assert_int_equal(pluck_sampler_set_position(sampler, 5, NULL), PLUCK_OK);
        assert_int_equal(sampled(sampler), 7);
        pluck_sampler *copy = NULL;
        switch (move) {
        case 0:
            pluck_sampler_accept(sampler, 7, NULL);
            break;
        case 1:
            pluck_sampler_prompt(sampler, (const pluck_token[]){7}, 1, NULL);
            break;
        case 2:
            pluck_sampler_rewind(sampler, 1, NULL);
            break;
        case 3:
            pluck_sampler_reset(sampler, NULL);
            break;
        case 4:
            pluck_sampler_start(sampler, 5, 3, NULL);
            break;
        case 5:
            pluck_sampler_set_mask(sampler, NULL, 0, NULL);
            break;
        default:
            assert_int_equal(pluck_sampler_clone(&copy, sampler, NULL), PLUCK_OK);
            pluck_sampler_accept(sampler, 7, NULL);
            assert_int_equal(sampled(copy), 7);
            pluck_sampler_destroy(&copy);
        }
        assert_int_equal(sampled(sampler), 39);
    }
    pluck_sampler_destroy(&sampler);
}

static void a_mask_of_the_wrong_size_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    pluck_sampler *sampler = test_sampler("{\"draw\": \"greedy\"}", SMALL, PLUCK_ISA_BEST, 0);
    pluck_error err = {.status = PLUCK_OK};
    assert_int_equal(pluck_sampler_set_mask(sampler, only_seven, 2, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_set_mask(sampler, only_seven, 1, &err), PLUCK_ERR_INVALID);
    assert_string_equal(err.message,
                        "the mask has 1 words, but 40 tokens need 2 (pass NULL and 0 to "
                        "remove the mask)");
    assert_int_equal(pluck_sampler_set_mask(sampler, only_seven, 3, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_sampler_set_mask(sampler, only_seven, 0, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_sampler_set_mask(sampler, NULL, 2, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_sampler_set_mask(NULL, only_seven, 2, NULL), PLUCK_ERR_INVALID);
    assert_int_equal(sampled(sampler), 7);
    pluck_sampler_destroy(&sampler);
}

/* Bits of tokens that are at -inf, and those beyond the vocabulary, allow nothing. */
static void a_mask_that_leaves_no_token_is_an_empty_draw(void **state)
{
    (void)state;
    static const char *const configurations[] = {
        "{}", "{\"mask\": true, \"top_k\": 5, \"order\": [\"top_k\", \"mask\"]}"};
    float x[SMALL];
    for (int i = 0; i < SMALL; i++)
        x[i] = i == 7 ? -INFINITY : (float)i;
    const int32_t beyond[] = {1 << 7, (int32_t)0xFFFFFF00};
    for (int i = 0; i < 2; i++) {
        pluck_sampler *sampler = test_sampler(configurations[i], SMALL, PLUCK_ISA_BEST, 0);
        pluck_token token = -1;
        pluck_error err = {.status = PLUCK_OK};
        pluck_sampler_set_mask(sampler, beyond, 2, NULL);
        assert_int_equal(
            pluck_sampler_sample(sampler, (pluck_logits){x, PLUCK_F32, SMALL}, &token, &err),
            PLUCK_ERR_EMPTY);
        assert_int_equal(token, -1);
        assert_non_null(strstr(err.message, "the mask allows no token"));
        pluck_sampler_destroy(&sampler);
    }
}

static void a_nan_is_an_error_even_where_the_mask_bans_it(void **state)
{
    (void)state;
    static const char *const configurations[] = {"{}", "{\"on_nan\": \"ban\"}"};
    float x[SMALL] = {0};
    x[20] = (float)NAN;
    for (int i = 0; i < 2; i++) {
        pluck_sampler *sampler = test_sampler(configurations[i], SMALL, PLUCK_ISA_BEST, 0);
        pluck_token token = -1;
        pluck_sampler_set_mask(sampler, only_seven, 2, NULL);
        assert_int_equal(
            pluck_sampler_sample(sampler, (pluck_logits){x, PLUCK_F32, SMALL}, &token, NULL),
            i ? PLUCK_OK : PLUCK_ERR_NAN);
        assert_int_equal(token, i ? 7 : -1);
        pluck_sampler_destroy(&sampler);
    }
}

/* Every sampler of a batch has a mask of its own, or none. */
static void a_batch_takes_the_mask_of_each_sampler(void **state)
{
    (void)state;
    enum { N = 9 };
    pluck_workspace *workspace = NULL;
    assert_int_equal(pluck_workspace_create(&workspace, SMALL, NULL, NULL, NULL), PLUCK_OK);
    pluck_config *config = test_config("{\"draw\": \"greedy\"}");
    pluck_sampler *samplers[N] = {NULL};
    const void *starts[N];
    pluck_matrix rows = {.rows = starts, .dtype = PLUCK_F32, .n_cols = SMALL, .n_rows = N};
    int32_t bits[N][2] = {{0}};
    pluck_token tokens[N];
    pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
    outputs.tokens = tokens;
    for (int i = 0; i < N; i++) {
        pluck_sampler_options options = {.struct_size = sizeof options, .workspace = workspace};
        assert_int_equal(pluck_sampler_create(&samplers[i], config, SMALL, &options, NULL),
                         PLUCK_OK);
        bits[i][0] = 1 << i;
        starts[i] = ascending().data;
        if (i % 3)
            pluck_sampler_set_mask(samplers[i], bits[i], 2, NULL);
    }
    assert_int_equal(pluck_workspace_run(workspace, samplers, &rows, &outputs, NULL), PLUCK_OK);
    for (int i = 0; i < N; i++) {
        assert_int_equal(tokens[i], i % 3 ? i : 39);
        pluck_sampler_destroy(&samplers[i]);
    }
    pluck_config_destroy(&config);
    pluck_workspace_destroy(&workspace);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masked_chains_agree_with_brute_force),
        cmocka_unit_test(banned_by_mask_or_by_logit_is_the_same),
        cmocka_unit_test(draws_under_a_mask_follow_the_distribution),
        cmocka_unit_test(a_mask_lasts_until_the_sequence_moves),
        cmocka_unit_test(a_mask_of_the_wrong_size_is_refused_and_changes_nothing),
        cmocka_unit_test(a_mask_that_leaves_no_token_is_an_empty_draw),
        cmocka_unit_test(a_nan_is_an_error_even_where_the_mask_bans_it),
        cmocka_unit_test(a_batch_takes_the_mask_of_each_sampler),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
