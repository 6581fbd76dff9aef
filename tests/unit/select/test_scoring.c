/*
 * Why: ranks come from whole pieces of a row, some of which are not read, and sums of exponentials
 * are noted for whoever asks next. Mistakes in either show only for some orders of tokens or of
 * calls. So ranks are compared with counting, and sums with those of a view that nobody has asked
 * before.
 */
#include "select/keep.h"
#include "select/mass.h"
#include "support/cases.h"
#include "support/logit_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_VOCAB = 5000, MAX_EDITS = 40, MAX_GIVEN = 2 * MAX_VOCAB };

typedef struct opened {
    logit_row row;
    plk_scratch *scratch;
    plk_view view;
    plk_view raw; /* before it was changed */
    plk_edit edits[MAX_EDITS];
    int32_t mask[MAX_VOCAB / 32 + 1];
} opened;

static double change(const void *context, size_t index, double logit)
{
    static const double by[] = {0, -3, 2, -HUGE_VAL, 0.5};
    const uint64_t *seed = context;
    return logit + by[(*seed + index) % 5];
}

/* Some tokens, ascending, as often as not in one block. */
static uint32_t some_tokens(test_random *random, uint32_t n_vocab, uint32_t *tokens)
{
    uint32_t n = 0, step = test_random_below(random, 2) ? 3 : 200;
    for (uint32_t t = (uint32_t)test_random_below(random, n_vocab); t < n_vocab && n < MAX_EDITS;
         t += 1 + (uint32_t)test_random_below(random, step))
        tokens[n++] = t;
    return n;
}

/* A row of any kind and type as it came, or edited, masked, bent or cut. False if no token is
 * left. */
static bool open_view(opened *o, test_random *random, pluck_isa isa)
{
    static float x[MAX_VOCAB];
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    uint64_t seed = test_random_bits(random);
    uint32_t n =
        1 + (uint32_t)test_random_below(random, test_random_below(random, 3) ? MAX_VOCAB : 200);
    logit_fill((logit_kind)test_random_below(random, LOGITS_KINDS), seed, n, x);
    o->row = logit_row_make(x, n, (pluck_dtype)test_random_below(random, 3),
                            test_random_below(random, 4));
    assert_int_equal(plk_scratch_create(&o->scratch, n, &allocator, NULL), PLUCK_OK);
    assert_int_equal(
        plk_view_open(&o->view, o->scratch, plk_kernels_get(isa), o->row.logits, false, NULL),
        PLUCK_OK);
    o->view.edits = o->edits;
    o->view.max_edits = MAX_EDITS;
    o->raw = o->view;
    pluck_status status = PLUCK_OK;
    if (test_random_below(random, 3) == 0) {
        uint32_t tokens[MAX_EDITS];
        plk_token_list list = {tokens, sizeof *tokens, some_tokens(random, n, tokens)};
        status = plk_view_edit(&o->view, list, change, &seed, NULL);
    }
    if (test_random_below(random, 3) == 0 && status == PLUCK_OK) {
        for (size_t i = 0; i < sizeof o->mask / sizeof *o->mask; i++)
            o->mask[i] = (int32_t)(test_random_bits(random) | test_random_bits(random));
        o->view.mask = o->mask;
        status = plk_view_apply_mask(&o->view, NULL);
    }
    if (test_random_below(random, 4) == 0 && status == PLUCK_OK) {
        plk_bend bend = {
            .scale = o->view.scale, .max = o->view.scale * (double)o->view.max, .square = -0.03};
        plk_view_bend(&o->view, &bend);
    }
    if (test_random_below(random, 4) == 0 && status == PLUCK_OK)
        plk_view_keep_top(&o->view, 1 + (uint32_t)test_random_below(random, n));
    return status == PLUCK_OK;
}

static void close_view(opened *o)
{
    plk_scratch_destroy(&o->scratch);
    logit_row_destroy(&o->row);
}

static uint32_t rank_by_counting(const float *stored, uint32_t n, uint32_t token)
{
    uint32_t rank = 0;
    for (uint32_t i = 0; i < n; i++)
        rank += stored[i] > -HUGE_VALF &&
                (stored[i] > stored[token] || (stored[i] >= stored[token] && i < token));
    return rank;
}

static bool ranks_agree(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    static float stored[MAX_VOCAB];
    static pluck_token given[MAX_GIVEN];
    static uint32_t ranks[MAX_GIVEN], by_token[MAX_VOCAB];
    test_random random = test_random_make(seed);
    opened o;
    bool agrees = true;
    if (open_view(&o, &random, isa)) {
        uint32_t n_vocab = o.row.logits.n_vocab;
        static const uint32_t counts[] = {1, 2, 33, 100, MAX_GIVEN};
        uint32_t n =
            1 + (uint32_t)test_random_below(&random, counts[test_random_below(&random, 5)]);
        uint32_t around = (uint32_t)test_random_below(&random, n_vocab);
        bool near = test_random_below(&random, 2) == 0;
        for (uint32_t i = 0; i < n_vocab; i++) {
            stored[i] = plk_view_stored(&o.view, i);
            by_token[i] = UINT32_MAX;
        }
        for (uint32_t i = 0; i < n; i++)
            given[i] = (pluck_token)(near ? (around + test_random_below(&random, 100)) % n_vocab
                                          : test_random_below(&random, n_vocab));
        plk_view_ranks(&o.view, given, n, ranks);
        for (uint32_t i = 0; i < n && agrees; i++) {
            uint32_t *rank = by_token + given[i];
            if (*rank == UINT32_MAX)
                *rank = rank_by_counting(stored, n_vocab, (uint32_t)given[i]);
            agrees =
                ranks[i] == *rank || test_case_failed("token %d of %u has rank %u, by counting %u",
                                                      given[i], n_vocab, ranks[i], *rank);
        }
        for (uint32_t i = 0; i < n_vocab && agrees; i++)
            agrees = memcmp(&stored[i], &(float){plk_view_stored(&o.view, i)}, sizeof(float)) == 0;
    }
    close_view(&o);
    return agrees;
}

static void ranks_are_those_of_counting(void **state)
{
    (void)state;
    test_cases_run("ranks_are_those_of_counting", 1, 600, ranks_agree, NULL);
}

/* One of those who need sums. Each gives one number, which must not depend on who asked before. */
static double ask(const plk_view *view, uint32_t who)
{
    double normaliser = 0.0, other = 0.0;
    plk_exact_sum moment = {.n_pending = 0};
    switch (who) {
    case 0:
        return plk_view_normaliser(view);
    case 1:
        return (double)plk_view_moment(view, &moment);
    case 2:
        return (double)plk_view_block_sums(view);
    case 3:
        (void)plk_view_block_sums(view);
        for (uint32_t b = 0; b < plk_view_n_blocks(view); b++)
            other += view->scratch->block_sums[b] * (b % 7 + 1);
        return other;
    default:
        return plk_view_entropy(view, &normaliser);
    }
}

static bool sums_agree(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    static const double scales[] = {1, 1, 1, 0.7, 3};
    test_random random = test_random_make(seed), again = random;
    opened o, fresh;
    bool agrees = true, is_open = open_view(&o, &random, isa);
    assert_int_equal(open_view(&fresh, &again, isa), is_open);
    if (is_open)
        for (int i = 0; i < 8 && agrees; i++) {
            bool is_raw = test_random_below(&random, 2) == 0;
            plk_view asked = is_raw ? o.raw : o.view;
            plk_view_scale(&asked, scales[test_random_below(&random, 5)]);
            uint32_t who = (uint32_t)test_random_below(&random, 5);
            double got = ask(&asked, who);
            /* A view as before, of which nobody knows anything. */
            plk_view other = is_raw ? fresh.raw : fresh.view;
            other.scale = asked.scale;
            fresh.scratch->sums_scale = 0.0;
            fresh.scratch->unit_mass = 0;
            double expected = ask(&other, who);
            agrees = memcmp(&got, &expected, sizeof got) == 0 ||
                     test_case_failed("%u at scale %g: %.17g, unasked %.17g", who, asked.scale, got,
                                      expected);
        }
    /* Opening a view forgets what was known of another row. */
    if (is_open && agrees && !o.view.compact) {
        logit_row_set(&o.row, 0, 100.0f);
        logit_row_set(&fresh.row, 0, 100.0f);
        assert_int_equal(
            plk_view_open(&o.raw, o.scratch, plk_kernels_get(isa), o.row.logits, false, NULL),
            PLUCK_OK);
        assert_int_equal(plk_view_open(&fresh.view, fresh.scratch, plk_kernels_get(isa),
                                       fresh.row.logits, false, NULL),
                         PLUCK_OK);
        double got = plk_view_normaliser(&o.raw), expected = plk_view_normaliser(&fresh.view);
        agrees = got >= expected && got <= expected;
    }
    close_view(&o);
    close_view(&fresh);
    return agrees;
}

static void sums_that_were_noted_are_those_of_a_pass(void **state)
{
    (void)state;
    test_cases_run("sums_that_were_noted_are_those_of_a_pass", 1, 600, sums_agree, NULL);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_those_of_counting),
        cmocka_unit_test(sums_that_were_noted_are_those_of_a_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
