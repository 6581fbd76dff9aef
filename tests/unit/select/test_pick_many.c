/*
 * Why: draw i of many is the draw at position i, token for token, whatever tables make many fast. A
 * case opens a view of a random kind, size, type and scale, bent or not, dense, compact or with a
 * deferred nucleus, and compares each of many picks with a pick from a copy of the view: the token,
 * and how many random numbers were used.
 */
#include "select/keep.h"
#include "select/pick.h"
#include "support/cases.h"
#include "support/logit_cases.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_CASES = 60, N_PICKS = 40, MAX_VOCAB = 6000 };

typedef struct opened {
    logit_row row;
    plk_scratch *scratch;
    plk_view view;
} opened;

static void open_view(opened *o, test_random *random, pluck_isa isa)
{
    static const double scales[] = {1, 0.5, 3, 0.01, 40, 1e-120, 1e39};
    static const double nuclei[] = {0.01, 0.3, 0.9, 0.999};
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    uint32_t n =
        1 + (uint32_t)test_random_below(random, test_random_below(random, 3) ? MAX_VOCAB : 200);
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    logit_kind kind = (logit_kind)test_random_below(random, LOGITS_KINDS);
    logit_fill(kind, test_random_bits(random), n, x);
    o->row = logit_row_make(x, n, (pluck_dtype)test_random_below(random, 3),
                            test_random_below(random, 4));
    free(x);
    assert_int_equal(plk_scratch_create(&o->scratch, n, &allocator, NULL), PLUCK_OK);
    assert_int_equal(
        plk_view_open(&o->view, o->scratch, plk_kernels_get(isa), o->row.logits, false, NULL),
        PLUCK_OK);
    plk_view_scale(&o->view,
                   scales[test_random_below(random, test_random_below(random, 8) ? 5 : 7)]);
    if (test_random_below(random, 4) == 0) {
        plk_bend bend = {o->view.scale, o->view.scale * (double)o->view.max, -0.1, 0.01};
        plk_view_bend(&o->view, &bend);
    }
    switch (test_random_below(random, 5)) {
    case 0:
        plk_view_keep_top(&o->view, 1 + (uint32_t)test_random_below(random, n));
        break;
    case 1:
    case 2:
        plk_view_keep_nucleus(&o->view, nuclei[test_random_below(random, 4)], 1);
        plk_view_scale(&o->view, test_random_below(random, 2) ? 1 : 0.25);
        break;
    default:
        break;
    }
}

static void close_view(opened *o)
{
    plk_scratch_destroy(&o->scratch);
    logit_row_destroy(&o->row);
}

static bool picks_are_equal(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    test_random random = test_random_make(seed);
    opened one, many;
    open_view(&one, &random, isa);
    random = test_random_make(seed);
    open_view(&many, &random, isa);
    pluck_pcg64 position;
    pluck_pcg64_seed(&position, seed, 1, 2);
    plk_picks picks;
    plk_picks_init(&picks, &many.view);
    bool equal = true;
    for (int i = 0; i < N_PICKS && equal; i++) {
        pluck_pcg64 rng = position, rng_many = position;
        plk_view own = one.view;
        uint32_t token = plk_view_pick(&own, &rng);
        uint32_t token_many = plk_picks_next(&picks, &rng_many);
        equal = token == token_many && memcmp(&rng, &rng_many, sizeof rng) == 0;
        if (!equal)
            test_case_failed("pick %d is token %u, of many %u, or used other numbers", i, token,
                             token_many);
        pluck_pcg64_skip_positions(&position, 1);
    }
    close_view(&one);
    close_view(&many);
    return equal;
}

static void a_pick_of_many_is_the_pick_alone(void **state)
{
    (void)state;
    test_cases_run("a_pick_of_many_is_the_pick_alone", 1, N_CASES, picks_are_equal, NULL);
}

/* 64 equal logits a block but one: no trial says much, every draw ends with the sums. */
static bool peaks_are_equal(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    enum { N = 6400 };
    static float x[N];
    logit_fill(LOGITS_BLOCK_PEAKS, seed, N, x);
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_scratch *scratches[2];
    plk_view views[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(plk_scratch_create(&scratches[i], N, &allocator, NULL), PLUCK_OK);
        assert_int_equal(plk_view_open(&views[i], scratches[i], plk_kernels_get(isa),
                                       (pluck_logits){x, PLUCK_F32, N}, false, NULL),
                         PLUCK_OK);
    }
    plk_picks picks;
    plk_picks_init(&picks, &views[1]);
    bool equal = true;
    for (uint64_t i = 0; i < 200 && equal; i++) {
        pluck_pcg64 rng, rng_many;
        pluck_pcg64_seed(&rng, seed, 0, i);
        rng_many = rng;
        equal = plk_view_pick(&views[0], &rng) == plk_picks_next(&picks, &rng_many);
    }
    plk_scratch_destroy(&scratches[0]);
    plk_scratch_destroy(&scratches[1]);
    return equal || test_case_failed("a pick differs");
}

static void a_pick_that_needs_all_sums_is_the_pick_alone(void **state)
{
    (void)state;
    test_cases_run("a_pick_that_needs_all_sums_is_the_pick_alone", 1, 3, peaks_are_equal, NULL);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pick_of_many_is_the_pick_alone),
        cmocka_unit_test(a_pick_that_needs_all_sums_is_the_pick_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
