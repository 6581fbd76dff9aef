/*
 * Why: what infill does is decided by texts, which no other stage looks at. Rows that can be worked
 * out by hand, and what happens without texts, under masks, in copies and batches. Random rows are
 * compared with the definition in test_exactness.c.
 */
#include "support/cases.h"
#include "support/samplers.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { N = 8, END = 7, STOP = 6 };

/* A row: texts, their probabilities, and which tokens stay. Tokens 6 and 7 end the text. */
typedef struct row {
    const char *texts[N];
    double p[N];
    const char *stages; /* before infill */
    int32_t mask;       /* 0: none */
    unsigned kept;      /* bit i: token i */
} row;

static const char *text_of(void *user, pluck_token token, size_t *size_bytes)
{
    const row *r = user;
    *size_bytes = r->texts[token] ? strlen(r->texts[token]) : 0;
    return r->texts[token];
}

static pluck_sampler *sampler_of(const row *r, pluck_isa isa, pluck_workspace *workspace)
{
    char json[512];
    snprintf(json, sizeof json, "{\"stages\": [%s%s{\"type\": \"infill\", \"eog\": [%d, %d]}]}",
             r->stages ? r->stages : "", r->stages ? ", " : "", STOP, END);
    pluck_config *config = test_config(json);
    pluck_sampler *sampler = NULL;
    pluck_sampler_options options = {.struct_size = sizeof options,
                                     .isa = isa,
                                     .workspace = workspace,
                                     .token_text = text_of,
                                     .token_text_user = (void *)(uintptr_t)r};
    assert_int_equal(pluck_sampler_create(&sampler, config, N, &options, NULL), PLUCK_OK);
    pluck_config_destroy(&config);
    return sampler;
}

static pluck_logits logits_of(const row *r, float x[N])
{
    for (int i = 0; i < N; i++)
        x[i] = (float)log(r->p[i]);
    return (pluck_logits){x, PLUCK_F32, N};
}

/* Those that stay keep their own probabilities. */
static void check_distribution(const row *r, const test_distribution *d)
{
    unsigned kept = 0;
    double sum = 0;
    for (uint32_t i = 0; i < d->n; i++) {
        kept |= 1u << d->probs[i].token;
        sum += r->p[d->probs[i].token];
    }
    if (d->status != PLUCK_OK || kept != r->kept)
        fail_msg("%s: status %d, kept %x, not %x", r->texts[0], (int)d->status, kept, r->kept);
    for (uint32_t i = 0; i < d->n && sum > 0; i++)
        assert_true(fabs((double)d->probs[i].prob - r->p[d->probs[i].token] / sum) < 1e-6);
}

static void check_on(const row *r, pluck_isa isa)
{
    float x[N];
    pluck_sampler *sampler = sampler_of(r, isa, NULL), *copy = NULL;
    if (r->mask != 0)
        assert_int_equal(pluck_sampler_set_mask(sampler, &r->mask, 1, NULL), PLUCK_OK);
    assert_int_equal(pluck_sampler_clone(&copy, sampler, NULL), PLUCK_OK);
    test_distribution d = test_distribution_of(sampler, logits_of(r, x));
    test_distribution of_copy = test_distribution_of(copy, logits_of(r, x));
    check_distribution(r, &d);
    assert_true(test_distribution_equal(&d, &of_copy));
    test_distribution_free(&d);
    test_distribution_free(&of_copy);
    pluck_sampler_destroy(&sampler);
    pluck_sampler_destroy(&copy);
}

static const row rows[] = {
    /* The example of llama.h: hell and hello count for hel. dummy is below 0.2. */
    {{"hel", "hell", "hello", "dummy", "x", "y", NULL, NULL},
     {0.5, 0.2, 0.1, 0.1, 0.06, 0.03, 0.005, 0.005},
     .kept = 1 << 0 | 1 << STOP | 1 << END},
    /* A short text joins a more probable continuation, and the others stay apart. */
    {{"hel", "hello", "help", "a", "b", "c", NULL, NULL},
     {0.1, 0.45, 0.42, 0.01, 0.01, 0.005, 0.0025, 0.0025},
     .kept = 1 << 1 | 1 << 2 | 1 << STOP | 1 << END},
    /* 0.28 and 0.25 are above 0.2, but not above a third of what is left with 0.44. */
    {{"a", "b", "c", "d", "e", "f", NULL, NULL},
     {0.44, 0.28, 0.25, 0.01, 0.01, 0.005, 0.0025, 0.0025},
     .kept = 1 << 0 | 1 << 1 | 1 << 2 | 1 << STOP | 1 << END},
    {{"a", "b", "c", "d", "e", "f", NULL, NULL},
     {0.54, 0.22, 0.21, 0.01, 0.01, 0.005, 0.0025, 0.0025},
     .kept = 1 << 0 | 1 << STOP | 1 << END},
    /* 8 candidates: 3 * 8 * 0.05 is above 0.95. */
    {{"a", "b", "c", "d", "e", "f", NULL, NULL},
     {0.9, 0.01, 0.01, 0.01, 0.01, 0.01, 0.02, 0.03},
     .kept = 1 << STOP | 1 << END},
    /* Nothing is likely: the better one of what ends the text. */
    {{"a", "b", "c", "d", "e", "f", NULL, NULL},
     {0.17, 0.17, 0.17, 0.16, 0.16, 0.16, 0.003, 0.007},
     .kept = 1 << END},
    /* The same after top_k has removed both, and where the mask allows one or none of them. */
    {{"a", "b", "c", "d", "e", "f", NULL, NULL},
     {0.17, 0.17, 0.17, 0.16, 0.16, 0.16, 0.003, 0.007},
     .stages = "{\"type\": \"top_k\", \"k\": 6}",
     .kept = 1 << END},
    {{"a", "b", "c", "d", "e", "f", NULL, NULL},
     {0.17, 0.17, 0.17, 0.16, 0.16, 0.16, 0.003, 0.007},
     .stages = "{\"type\": \"top_k\", \"k\": 6}",
     .mask = 0x7F,
     .kept = 1 << STOP},
    {{"a", "b", "c", "d", "e", "f", NULL, NULL},
     {0.17, 0.171, 0.17, 0.16, 0.16, 0.16, 0.003, 0.006},
     .stages = "{\"type\": \"top_k\", \"k\": 6}",
     .mask = 0x3F,
     .kept = 1 << 1},
    /* Impossible tokens are not chosen. */
    {{"a", "b", "c", "d", "e", "f", NULL, NULL},
     {0.17, 0.171, 0.17, 0.169, 0.16, 0.16, 0, 0},
     .kept = 1 << 1},
    /* Equal texts are one, in the lower token; the empty text begins no text. */
    {{"", "it", "it", "its", "", NULL, NULL, NULL},
     {0.15, 0.21, 0.21, 0.1, 0.16, 0.16, 0.004, 0.006},
     .kept = 1 << 1 | 1 << STOP | 1 << END},
    /* What ends the text has no text to compare. */
    {{"<", "b", "c", "d", "e", "f", "<end>", "<"},
     {0.6, 0.36, 0.01, 0.01, 0.005, 0.005, 0.005, 0.005},
     .kept = 1 << 0 | 1 << 1 | 1 << STOP | 1 << END},
    /* After a temperature the probabilities are those that it made. */
    {{"a", "b", "c", "d", "e", "f", NULL, NULL},
     {0.6, 0.3, 0.03, 0.03, 0.02, 0.01, 0.005, 0.005},
     .stages = "{\"type\": \"temperature\", \"t\": 0.25}, {\"type\": \"temperature\", \"t\": 4}",
     .kept = 1 << 0 | 1 << STOP | 1 << END},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

static void rows_by_hand(void **state)
{
    (void)state;
    pluck_isa isas[8];
    unsigned n_isas = test_all_isas(isas);
    for (size_t i = 0; i < N_ROWS; i++)
        for (unsigned k = 0; k < n_isas; k++)
            check_on(&rows[i], isas[k]);
}

static void a_batch_gives_the_same(void **state)
{
    (void)state;
    pluck_workspace *workspace = NULL;
    pluck_sampler *samplers[N_ROWS] = {NULL};
    float x[N_ROWS][N], probs[N_ROWS][N];
    assert_int_equal(pluck_workspace_create(&workspace, N, NULL, NULL, NULL), PLUCK_OK);
    for (size_t i = 0; i < N_ROWS; i++) {
        samplers[i] = sampler_of(&rows[i], PLUCK_ISA_BEST, workspace);
        (void)logits_of(&rows[i], x[i]);
        if (rows[i].mask != 0)
            assert_int_equal(pluck_sampler_set_mask(samplers[i], &rows[i].mask, 1, NULL), PLUCK_OK);
    }
    pluck_matrix matrix = {.data = x, .dtype = PLUCK_F32, .n_rows = N_ROWS, .n_cols = N};
    pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
    outputs.probs = probs[0];
    assert_int_equal(pluck_workspace_run(workspace, samplers, &matrix, &outputs, NULL), PLUCK_OK);
    for (size_t i = 0; i < N_ROWS; i++) {
        for (unsigned t = 0; t < N; t++)
            assert_int_equal(probs[i][t] > 0, rows[i].kept >> t & 1u);
        pluck_sampler_destroy(&samplers[i]);
    }
    pluck_workspace_destroy(&workspace);
}

static void without_texts_it_is_an_error_unless_it_does_nothing(void **state)
{
    (void)state;
    pluck_sampler *sampler = NULL;
    pluck_error err;
    static const char acts[] = "{\"infill_eog\": [1]}", neutral[] = "{\"infill_eog\": []}";
    static const char outside[] = "{\"infill_eog\": [8]}";
    assert_int_equal(pluck_sampler_from_json(&sampler, acts, sizeof acts - 1, N, &err),
                     PLUCK_ERR_CONFIG);
    assert_non_null(strstr(err.message, "token_text"));
    assert_null(sampler);
    assert_int_equal(pluck_sampler_from_json(&sampler, neutral, sizeof neutral - 1, N, &err),
                     PLUCK_OK);
    pluck_sampler_destroy(&sampler);
    assert_true(pluck_sampler_from_json(&sampler, outside, sizeof outside - 1, N, &err) !=
                PLUCK_OK);
    assert_non_null(strstr(err.message, "infill"));
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_by_hand),
        cmocka_unit_test(a_batch_gives_the_same),
        cmocka_unit_test(without_texts_it_is_an_error_unless_it_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
