/*
 * Why: the view keeps redundant facts (block maxima, the largest logit, sorted edits, padding) that
 * every selection relies on, and some mistakes in them change an answer only rarely. Here they are
 * compared with the row itself after every operation, as are the two orderings of keys with the C
 * library's sort.
 */
#include "select/keep.h"
#include "select/mass.h"
#include "select/rules.h"
#include "select/view.h"
#include "support/cases.h"
#include "support/logit_cases.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the view should hold: the logit of every token in stored units, -inf if it is gone. */
typedef struct shadow {
    uint32_t n;
    float *stored;
    double scale;
} shadow;

static int largest_first(const void *a, const void *b)
{
    plk_key x = *(const plk_key *)a, y = *(const plk_key *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static bool keys_agree(uint64_t seed, pluck_isa isa, const void *context)
{
    enum { MAX = 3000 };
    (void)isa, (void)context;
    static plk_key keys[MAX], sorted[MAX], spare[MAX];
    static float x[MAX];
    test_random random = test_random_make(seed);
    size_t n = 1 + test_random_below(&random, test_random_below(&random, 2) ? 100 : MAX);
    logit_fill((logit_kind)(seed % LOGITS_KINDS), seed, (uint32_t)n, x);
    for (size_t i = 0; i < n; i++)
        sorted[i] = plk_key_of(x[i], (uint32_t)(i * 5));
    memcpy(keys, sorted, n * sizeof *keys);
    for (size_t i = 0; i < n; i++)
        if (plk_key_token(keys[i]) != i * 5 || plk_key_logit(keys[i]) != x[i])
            return test_case_failed("the key of %g and %zu does not hold them", (double)x[i], i);
    qsort(sorted, n, sizeof *sorted, largest_first);
    plk_key_sort(keys, n, spare);
    if (memcmp(keys, sorted, n * sizeof *keys) != 0)
        return test_case_failed("%zu keys are not sorted", n);
    for (size_t i = 1; i < n; i++) {
        float before = plk_key_logit(sorted[i - 1]), after = plk_key_logit(sorted[i]);
        if (before < after ||
            (before == after && plk_key_token(sorted[i - 1]) > plk_key_token(sorted[i])))
            return test_case_failed("keys %zu and %zu break the tie rule", i - 1, i);
    }
    for (int i = 0; i < 6; i++) {
        size_t k = i == 0 ? 1 : i == 1 ? n : 1 + test_random_below(&random, n);
        memcpy(keys, sorted, n * sizeof *keys);
        for (size_t j = n; j > 1; j--) {
            size_t other = test_random_below(&random, j);
            plk_key swap = keys[j - 1];
            keys[j - 1] = keys[other];
            keys[other] = swap;
        }
        if (plk_key_select(keys, n, k, spare) != sorted[k - 1])
            return test_case_failed("the wrong key is number %zu of %zu", k, n);
    }
    return true;
}

static void keys_sort_and_select_by_logit_then_lower_token(void **state)
{
    (void)state;
    test_cases_run_once("keys_sort_and_select_by_logit_then_lower_token", 1, 1500, keys_agree,
                        NULL);
}

static uint32_t count_left(const shadow *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n; i++)
        n += s->stored[i] > -HUGE_VALF;
    return n;
}

static bool maxima_hold(const plk_view *view, const shadow *s)
{
    float max = -HUGE_VALF;
    for (uint32_t i = 0; i < s->n; i++)
        max = s->stored[i] > max ? s->stored[i] : max;
    if (view->max != max)
        return test_case_failed("max is %g, not %g", (double)view->max, (double)max);
    const plk_scratch *w = view->scratch;
    for (uint32_t b = 0; !view->compact && b < w->n_blocks; b++) {
        float block_max = -HUGE_VALF;
        for (uint32_t i = b * PLK_BLOCK; i < s->n && i < (b + 1) * PLK_BLOCK; i++)
            block_max = s->stored[i] > block_max ? s->stored[i] : block_max;
        if (w->block_max[b] != block_max)
            return test_case_failed("the maximum of block %u is %g, not %g", b,
                                    (double)w->block_max[b], (double)block_max);
    }
    return true;
}

/* A value that may lie at any alignment. */
static float value_at(const float *x, size_t i)
{
    float value;
    memcpy(&value, (const char *)x + i * sizeof value, sizeof value);
    return value;
}

/* Every way of reading the view gives the shadow's values. */
static bool reads_hold(const plk_view *view, const shadow *s)
{
    uint32_t n_seen = 0, n_blocks = plk_view_n_blocks(view);
    for (uint32_t i = 0; i < s->n; i++)
        if (plk_view_stored(view, i) != s->stored[i])
            return test_case_failed("token %u is stored as %g, not %g", i,
                                    (double)plk_view_stored(view, i), (double)s->stored[i]);
    plk_run run;
    plk_run_init(&run, view);
    uint32_t next = 0;
    while (plk_run_next(&run)) {
        if (run.first_block != next || run.n_blocks == 0)
            return test_case_failed("a run starts at block %u, not %u", run.first_block, next);
        next += run.n_blocks;
        for (uint32_t b = 0; b < run.n_blocks; b++) {
            float buffer[PLK_BLOCK];
            const float *x = plk_view_block(view, run.first_block + b, buffer);
            for (uint32_t i = 0; i < PLK_BLOCK; i++) {
                float in_run = value_at(run.x, b * PLK_BLOCK + i), in_block = value_at(x, i);
                uint32_t at = (run.first_block + b) * PLK_BLOCK + i;
                bool padding = at >= (view->compact ? view->n : s->n);
                float expected = padding ? -HUGE_VALF : s->stored[plk_view_token(view, at)];
                if (in_run != expected || in_block != expected)
                    return test_case_failed("entry %u reads as %g and %g, not %g", at,
                                            (double)in_run, (double)in_block, (double)expected);
                n_seen += expected > -HUGE_VALF;
            }
        }
    }
    if (next != n_blocks || n_seen != count_left(s))
        return test_case_failed("runs hold %u blocks and %u tokens, not %u and %u", next, n_seen,
                                n_blocks, count_left(s));
    return true;
}

static bool lists_hold(const plk_view *view)
{
    const plk_scratch *w = view->scratch;
    for (uint32_t i = 1; !view->compact && i < view->n_edits; i++)
        if (view->edits[i - 1].token >= view->edits[i].token)
            return test_case_failed("edits %u and %u do not ascend", i - 1, i);
    for (uint32_t i = 1; view->compact && i < view->n; i++)
        if (w->ids[i - 1] >= w->ids[i])
            return test_case_failed("candidates %u and %u do not ascend", i - 1, i);
    return true;
}

static bool invariants_hold(const plk_view *view, const shadow *s)
{
    return lists_hold(view) && maxima_hold(view, s) && reads_hold(view, s);
}

enum { MAX_LISTED = 40 };

typedef struct edit_list {
    uint32_t tokens[MAX_LISTED];
    double logits[MAX_LISTED];
    uint32_t n;
} edit_list;

static double listed_logit(const void *context, size_t index, double logit)
{
    (void)logit;
    return ((const edit_list *)context)->logits[index];
}

/* Raises, lowers and bans; often the very token that holds a maximum. */
static pluck_status edit(plk_view *view, shadow *s, test_random *random)
{
    edit_list list = {.n = 0};
    uint32_t n = 1 + (uint32_t)test_random_below(random, MAX_LISTED - 1);
    uint32_t token = (uint32_t)test_random_below(random, s->n);
    for (; list.n < n && token < s->n; token += 1 + (uint32_t)test_random_below(random, 20)) {
        double logit = 12 * test_random_uniform(random) - 6;
        if (test_random_below(random, 5) == 0)
            logit = -HUGE_VAL;
        if (s->stored[token] > -HUGE_VALF)
            s->stored[token] = (float)(logit / s->scale);
        list.tokens[list.n] = token;
        list.logits[list.n++] = logit;
    }
    plk_token_list tokens = {list.tokens, sizeof *list.tokens, list.n};
    return plk_view_edit(view, tokens, listed_logit, &list, NULL);
}

static int compare_keys_of(const shadow *s, uint32_t i, uint32_t j)
{
    if (s->stored[i] != s->stored[j])
        return s->stored[i] > s->stored[j] ? -1 : 1;
    return i < j ? -1 : 1;
}

/* Bans every token that has k better ones. */
static void shadow_keep_top(shadow *s, uint32_t k)
{
    uint32_t *rank = calloc(s->n, sizeof *rank);
    assert_non_null(rank);
    for (uint32_t i = 0; i < s->n; i++)
        for (uint32_t j = 0; j < i; j++)
            rank[compare_keys_of(s, i, j) < 0 ? j : i]++;
    for (uint32_t i = 0; i < s->n; i++)
        s->stored[i] = rank[i] < k ? s->stored[i] : -HUGE_VALF;
    free(rank);
}

static void shadow_keep_near_max(shadow *s, double offset)
{
    float max = -HUGE_VALF;
    for (uint32_t i = 0; i < s->n; i++)
        max = s->stored[i] > max ? s->stored[i] : max;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->scale * ((double)s->stored[i] - (double)max) < offset)
            s->stored[i] = -HUGE_VALF;
}

static pluck_status random_step(plk_view *view, shadow *s, test_random *random)
{
    uint32_t k = 1 + (uint32_t)test_random_below(random, count_left(s) + 2);
    double offset = -(double)(1 + test_random_below(random, 9)) - 0.3331;
    switch (test_random_below(random, 6)) {
    case 0:
        plk_view_keep_top(view, k);
        shadow_keep_top(s, k);
        return PLUCK_OK;
    case 1:
        plk_view_keep_near_max(view, offset, 1);
        shadow_keep_near_max(s, offset);
        return PLUCK_OK;
    case 2:
        s->scale *= offset * offset;
        plk_view_scale(view, offset * offset);
        return PLUCK_OK;
    default:
        return edit(view, s, random);
    }
}

static bool views_hold(uint64_t seed, pluck_isa isa, const void *context)
{
    enum { MAX = 700, STEPS = 6 };
    (void)context;
    static float x[MAX];
    test_random random = test_random_make(seed);
    uint32_t n = 1 + (uint32_t)test_random_below(&random, MAX);
    logit_kind kind = (logit_kind)test_random_below(&random, LOGITS_KINDS);
    while (kind == (logit_kind)TEST_VECTOR_HUGE || kind == LOGITS_EXTREMES)
        kind = (logit_kind)test_random_below(&random, LOGITS_KINDS);
    logit_fill(kind, seed, n, x);
    logit_row row = logit_row_make(x, n, (pluck_dtype)test_random_below(&random, 3),
                                   test_random_below(&random, 7));
    shadow s = {n, row.exact, 1.0};
    plk_scratch *scratch = NULL;
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    assert_int_equal(plk_scratch_create(&scratch, n, &allocator, NULL), PLUCK_OK);
    plk_edit edits[STEPS * MAX_LISTED];
    plk_view view;
    assert_int_equal(plk_view_open(&view, scratch, plk_kernels_get(isa), row.logits, false, NULL),
                     PLUCK_OK);
    view.edits = edits;
    view.max_edits = STEPS * MAX_LISTED;
    bool holds = invariants_hold(&view, &s);
    for (int step = 0; step < STEPS && holds; step++) {
        pluck_status status = random_step(&view, &s, &random);
        if (count_left(&s) == 0) {
            holds = status == PLUCK_ERR_EMPTY || test_case_failed("nothing is left, and no error");
            break;
        }
        holds = status == PLUCK_OK ? invariants_hold(&view, &s)
                                   : test_case_failed("an error though tokens are left");
        if (!holds)
            test_case_failed("step %d of %u %s logits, %s", step, n,
                             pluck_dtype_name(row.logits.dtype), logit_kind_name(kind));
    }
    plk_scratch_destroy(&scratch);
    logit_row_destroy(&row);
    return holds;
}

static void a_view_agrees_with_its_row_after_every_operation(void **state)
{
    (void)state;
    test_cases_run("a_view_agrees_with_its_row_after_every_operation", 1, 1500, views_hold, NULL);
}

/* The threshold separates exactly: no float below it qualifies, and it does itself. */
static bool threshold_is_exact(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa, (void)context;
    test_random random = test_random_make(seed);
    double scale = pow(10, 40 * test_random_uniform(&random) - 20);
    double offset = -pow(10, 8 * test_random_uniform(&random) - 5);
    float max = (float)(100 * test_random_uniform(&random) - 50);
    plk_view view = {.scale = scale, .max = max};
    float threshold = plk_view_threshold(&view, offset);
    float below = nextafterf(threshold, -HUGE_VALF);
    double exact = (double)max + offset / scale;
    if (exact <= -(double)FLT_MAX)
        return threshold == -FLT_MAX || test_case_failed("threshold %g", (double)threshold);
    if ((double)threshold >= exact && (double)below < exact)
        return true;
    return test_case_failed("threshold %.9g of max %.9g, scale %g, offset %g", (double)threshold,
                            (double)max, scale, offset);
}

static void a_threshold_is_the_smallest_float_that_qualifies(void **state)
{
    (void)state;
    test_cases_run_once("a_threshold_is_the_smallest_float_that_qualifies", 1, 100000,
                        threshold_is_exact, NULL);
}

/* The borders themselves: a sum that is p of the total ends the prefix, a logit at ln p stays. */
static void rules_decide_at_their_borders(void **state)
{
    (void)state;
    assert_true(plk_top_p_reached(0.75, 0.75, 1.0, 0.0));
    assert_false(plk_top_p_reached(nextafter(0.75, 0.0), 0.75, 1.0, 0.0));
    assert_true(plk_top_p_reached(6.0, 0.75, 8.0, 0.0));
    assert_true(plk_top_p_reached(6.0 * (1 - 0x1p-23), 0.75, 8.0, plk_logit_rounding));
    assert_false(plk_top_p_reached(6.0 * (1 - 0x1p-21), 0.75, 8.0, plk_logit_rounding));
    assert_false(plk_top_p_reached(6.0, 0.75, 8.0, -plk_mass_margin));
    assert_true(plk_top_p_mass(0.5, 8.0, 0.0) == 4.0);
    assert_true(plk_min_p_offset(1.0) == 0.0);
    assert_true(plk_min_p_offset(0.0) == -HUGE_VAL);
    double at = 3.0 + log(0.125);
    assert_true(plk_min_p_keeps(at + 1e-12, 3.0, 0.125));
    assert_false(plk_min_p_keeps(at - 1e-12, 3.0, 0.125));
    assert_true(plk_min_p_keeps(3.0, 3.0, 1.0));
    assert_false(plk_min_p_keeps(nextafter(3.0, 0.0), 3.0, 1.0));
    assert_true(plk_min_p_keeps(-1e300, 3.0, 0.0));
    assert_true(plk_is_better(2.0, 9, 1.0, 3));
    assert_false(plk_is_better(1.0, 3, 2.0, 9));
    assert_true(plk_is_better(1.0, 3, 1.0, 9));
    assert_false(plk_is_better(1.0, 9, 1.0, 3));
    assert_false(plk_is_better(1.0, 3, 1.0, 3));
    assert_true(plk_is_better(-0.0, 3, 0.0, 9));
    /* The same order as that of the keys. */
    const float logits[] = {-INFINITY, -2.5f, -0.0f, 0.0f, 1e-40f, 7.0f};
    for (uint32_t i = 0; i < 36; i++) {
        float a = logits[i / 6], b = logits[i % 6];
        for (uint32_t t = 0; t < 4; t++)
            assert_int_equal(plk_is_better((double)a, t / 2, (double)b, t % 2),
                             plk_key_of(a, t / 2) > plk_key_of(b, t % 2));
    }
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_decide_at_their_borders),
        cmocka_unit_test(keys_sort_and_select_by_logit_then_lower_token),
        cmocka_unit_test(a_view_agrees_with_its_row_after_every_operation),
        cmocka_unit_test(a_threshold_is_the_smallest_float_that_qualifies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
