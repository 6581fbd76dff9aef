/*
 * Why: mass is an integer, so that it is the same however a row is divided, and a nucleus is what
 * integers say, whoever finds it out by whatever means. A case makes a view of a random kind, size,
 * type and scale. Parts of it that begin at multiples of 1024 tokens have to add up to the whole.
 * Truncations by mass have to keep exactly the tokens that their definition keeps, evaluated here
 * for each token by its own pass over all blocks; half of the limits lie where one unit of mass
 * decides, which no sum of floats can tell.
 */
#include "select/keep.h"
#include "select/mass.h"
#include "select/pick.h"
#include "select/share.h"
#include "support/cases.h"
#include "support/logit_cases.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_PARTS_CASES = 100, N_CUT_CASES = 100, MAX_VOCAB = 9000, MAX_CUT = 2600, PART = 1024 };

typedef struct opened {
    logit_row row;
    plk_scratch *scratch;
    plk_view view;
} opened;

static void open_row(opened *o, pluck_logits logits, pluck_isa isa)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    assert_int_equal(plk_scratch_create(&o->scratch, logits.n_vocab, &allocator, NULL), PLUCK_OK);
    assert_int_equal(plk_view_open(&o->view, o->scratch, plk_kernels_get(isa), logits, false, NULL),
                     PLUCK_OK);
}

static void open_view(opened *o, test_random *random, uint32_t most, pluck_isa isa)
{
    static const double scales[] = {1, 1, 0.5, 3, 0.01, 40, 1e-120, 1e39};
    uint32_t n = 1 + (uint32_t)test_random_below(random, most);
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    logit_fill((logit_kind)test_random_below(random, LOGITS_KINDS), test_random_bits(random), n, x);
    o->row = logit_row_make(x, n, (pluck_dtype)test_random_below(random, 3),
                            test_random_below(random, 4));
    free(x);
    open_row(o, o->row.logits, isa);
    plk_view_scale(&o->view, scales[test_random_below(random, 8)]);
}

static void close_view(opened *o)
{
    plk_scratch_destroy(&o->scratch);
    logit_row_destroy(&o->row);
}

static void a_mass_is_the_nearest_multiple(void **state)
{
    (void)state;
    test_random random = test_random_make(1);
    assert_int_equal(plk_mass_make(0), 0);
    assert_int_equal(plk_mass_make(0x1p-41), 0);
    assert_int_equal(plk_mass_make(0x1.8p-40), 1);
    assert_int_equal(plk_mass_make(1), UINT64_C(1) << 39);
    assert_int_equal(plk_mass_make(64), UINT64_C(1) << 45);
    for (uint64_t i = 0; i < test_n_repeats(100000); i++) {
        double sum = 64 * pow(test_random_uniform(&random), (double)(1 + i % 30));
        plk_mass mass = plk_mass_make(sum);
        assert_true(fabs(plk_mass_value(mass) - sum) <= 0x1p-40);
        assert_true(plk_mass_make(nextafter(sum, 100)) >= mass);
    }
}

/* What parts say, added up. */
typedef struct sums {
    plk_mass mass, between;
    plk_exact_sum moment;
    plk_spread spread;
    size_t n, n_equal;
} sums;

/* A range, a value and a token to ask about. */
typedef struct question {
    float low, high, value;
    uint32_t token;
} question;

static void add(sums *s, const plk_view *view, const question *q)
{
    uint32_t first = view->first_block / PLK_MOMENTS_BLOCKS;
    uint32_t n_groups = plk_view_n_spreads(view) - first;
    plk_spread *groups = calloc(n_groups, sizeof *groups);
    assert_non_null(groups);
    s->mass += plk_view_mass(view);
    assert_true(plk_view_moment(view, &s->moment) == plk_view_mass(view));
    assert_true(plk_view_block_sums(view) == plk_view_mass(view));
    s->between += plk_view_mass_between(view, q->low, q->high);
    s->n += plk_view_n_candidates(view);
    s->n_equal += plk_view_n_equal_before(view, q->value, q->token);
    plk_view_spreads(view, first, n_groups, groups);
    for (uint32_t g = 0; g < n_groups; g++)
        plk_spread_join(&s->spread, groups + g);
    free(groups);
}

static float some_value(const opened *o, test_random *random)
{
    float x = o->row.exact[test_random_below(random, o->row.logits.n_vocab)];
    return x > -INFINITY ? x : -FLT_MAX;
}

/* The part of the whole from token first on, masked as the whole is. */
static void add_part(sums *s, const opened *whole, const question *q, uint32_t first, uint32_t n)
{
    pluck_logits slice = whole->row.logits;
    size_t skipped = (size_t)first * pluck_dtype_size_bytes(slice.dtype);
    slice.data = (const unsigned char *)slice.data + skipped;
    slice.n_vocab = n;
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_scratch *scratch;
    plk_view part;
    plk_share share = {.n_ranks = 0};
    assert_int_equal(plk_scratch_create(&scratch, whole->row.logits.n_vocab, &allocator, NULL),
                     PLUCK_OK);
    assert_true(plk_view_open_slice(&part, scratch, whole->view.kernels, slice, first, &share));
    part.mask = whole->view.mask;
    assert_int_equal(plk_view_apply_mask(&part, NULL), PLUCK_OK);
    part.share = NULL; /* what is asked for is what the part has, not what the row has */
    part.scale = whole->view.scale;
    part.max = whole->view.max;
    add(s, &part, q);
    plk_scratch_destroy(&scratch);
}

/* Allows half of the tokens, and the best ones. */
static void mask_half(opened *o, test_random *random, int32_t *mask)
{
    uint32_t n_vocab = o->row.logits.n_vocab;
    for (size_t w = 0; w < plk_mask_words(n_vocab); w++)
        mask[w] = (int32_t)(uint32_t)test_random_bits(random);
    for (uint32_t i = 0; i < n_vocab; i++)
        if (o->row.exact[i] == o->view.max)
            mask[i / 32] |= (int32_t)(UINT32_C(1) << i % 32);
    o->view.mask = mask;
    assert_int_equal(plk_view_apply_mask(&o->view, NULL), PLUCK_OK);
}

static bool parts_add_up(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    test_random random = test_random_make(seed);
    int32_t mask[MAX_VOCAB / 32 + 1];
    opened whole;
    open_view(&whole, &random, MAX_VOCAB, isa);
    if (test_random_below(&random, 3) == 0)
        mask_half(&whole, &random, mask);
    if (whole.view.compact) { /* a mask with few tokens: then parts would have other blocks */
        close_view(&whole);
        return true;
    }
    uint32_t n_vocab = whole.row.logits.n_vocab;
    question q = {some_value(&whole, &random), some_value(&whole, &random),
                  some_value(&whole, &random), (uint32_t)test_random_below(&random, n_vocab + 1)};
    q.high = test_random_below(&random, 2) ? INFINITY : q.high;
    bool by_groups = test_random_below(&random, 2);
    sums all = {.mass = 0}, parts = {.mass = 0};
    add(&all, &whole.view, &q);
    for (uint32_t first = 0, n; first < n_vocab; first += n) {
        n = PART * (1 + (uint32_t)test_random_below(&random, 3));
        n = by_groups ? n / PART * PLK_MOMENTS_BLOCKS * PLK_BLOCK : n;
        n = n_vocab - first < n ? n_vocab - first : n;
        add_part(&parts, &whole, &q, first, n);
    }
    double moment = plk_exact_sum_value(&all.moment), other = plk_exact_sum_value(&parts.moment);
    bool equal = all.mass == parts.mass && all.between == parts.between && moment == other &&
                 all.n == parts.n && all.n_equal == parts.n_equal;
    if (!equal)
        test_case_failed("%u tokens: mass %llu and %llu, part %llu and %llu, moment %a and %a",
                         n_vocab, (unsigned long long)all.mass, (unsigned long long)parts.mass,
                         (unsigned long long)all.between, (unsigned long long)parts.between, moment,
                         other);
    double deviation = plk_view_deviation(&whole.view);
    if (equal && by_groups)
        equal = deviation == plk_spread_deviation(&parts.spread) ||
                test_case_failed("deviation %a, of parts %a", deviation,
                                 plk_spread_deviation(&parts.spread));
    close_view(&whole);
    return equal;
}

static void parts_of_a_row_add_up(void **state)
{
    (void)state;
    test_cases_run("parts_of_a_row_add_up", 1, N_PARTS_CASES, parts_add_up, NULL);
}

/* The place of a stored logit in the order of a prefix: top-p, or by the distance from a center. */
typedef struct order {
    bool is_nearest;
    double center;
    float max;
} order;

static bool before(const order *o, float x, float y)
{
    double a = (double)x - (double)o->max - o->center, b = (double)y - (double)o->max - o->center;
    if (!o->is_nearest)
        return x > y;
    if (fabs(a) != fabs(b))
        return fabs(a) < fabs(b);
    return x > y;
}

/* The mass of the values that come before this one, block by block. */
static plk_mass mass_before(const plk_view *view, const order *o, float value)
{
    plk_mass mass = 0;
    for (uint32_t b = 0; b < plk_view_n_blocks(view); b++) {
        float x[PLK_BLOCK], buffer[PLK_BLOCK];
        double sum;
        memcpy(x, plk_view_block(view, b, buffer), sizeof x);
        for (uint32_t i = 0; i < PLK_BLOCK; i++)
            x[i] = before(o, x[i], value) ? x[i] : -INFINITY;
        plk_view_exp_sums(view, x, 1, &sum);
        mass += plk_mass_make(sum);
    }
    return mass;
}

/* A limit p such that the mass needed is next to that before some token, or any. */
static double some_limit(const plk_view *view, const order *o, test_random *random)
{
    uint32_t token = (uint32_t)test_random_below(random, view->logits.n_vocab);
    double total = (double)plk_view_mass(view);
    float value = plk_view_stored(view, token);
    double allowance = o->is_nearest ? 1 + 0x1p-22 : 1 - 0x1p-22;
    if (test_random_below(random, 2) || value == -INFINITY)
        return test_random_uniform(random);
    double mass = (double)mass_before(view, o, value) + (double)test_random_below(random, 3) - 1;
    double each = (double)plk_view_mass_of_one(view, value);
    mass += each * (double)test_random_below(random, 3);
    double p = mass / total / allowance;
    return p > 0 ? fmin(p, 0.999) : 0.5;
}

/* Whether each token is kept by the definition: while the mass before it is below that needed. */
static bool *kept_by_definition(const plk_view *view, const order *o, plk_mass needed)
{
    uint32_t n_vocab = view->logits.n_vocab;
    bool *kept = calloc(n_vocab, sizeof *kept);
    float *stored = malloc(n_vocab * sizeof *stored);
    assert_true(kept && stored);
    for (uint32_t i = 0; i < n_vocab; i++) {
        float value = stored[i] = plk_view_stored(view, i);
        if (value == -INFINITY)
            continue;
        plk_mass mass = mass_before(view, o, value), each = plk_view_mass_of_one(view, value);
        for (uint32_t j = 0; j < i; j++)
            mass += stored[j] == value ? each : 0;
        kept[i] = mass < needed;
    }
    free(stored);
    return kept;
}

static bool keeps(const plk_view *view, const bool *kept, const char *what)
{
    for (uint32_t i = 0; i < view->logits.n_vocab; i++)
        if ((plk_view_stored(view, i) > -INFINITY) != kept[i])
            return test_case_failed("%s: token %u of %u is %s", what, i, view->logits.n_vocab,
                                    kept[i] ? "left out" : "kept");
    return true;
}

/* Views that are compact, bent or masked before. */
static void change(opened *o, test_random *random, int32_t *mask)
{
    uint32_t n_vocab = o->row.logits.n_vocab;
    switch (test_random_below(random, 5)) {
    case 0:
        plk_view_keep_top(&o->view, 1 + (uint32_t)test_random_below(random, n_vocab));
        break;
    case 1:
        plk_view_bend(&o->view,
                      &(plk_bend){o->view.scale, o->view.scale * (double)o->view.max, -0.1, 0.01});
        break;
    case 2:
        mask_half(o, random, mask);
        break;
    default:
        break;
    }
}

static bool nucleus_is_defined(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    test_random random = test_random_make(seed);
    int32_t mask[MAX_CUT / 32 + 1];
    opened o;
    open_view(&o, &random, test_random_below(&random, 8) ? MAX_CUT / 8 : MAX_CUT, isa);
    change(&o, &random, mask);
    const order by_logit = {.is_nearest = false};
    double p = some_limit(&o.view, &by_logit, &random);
    bool *kept =
        kept_by_definition(&o.view, &by_logit, plk_mass_at_least(p, plk_view_mass(&o.view)));
    plk_view view = o.view;
    plk_view_keep_nucleus(&view, p, 1);
    bool holds = true;
    plk_nucleus_bounds bounds;
    if (view.deferred.p > 0)
        plk_nucleus_bounds_init(&view, &bounds);
    for (uint32_t n = 0; n < 2 * view.logits.n_vocab && view.deferred.p > 0 && holds; n++) {
        uint32_t token = (uint32_t)test_random_below(&random, view.logits.n_vocab);
        if (test_random_below(&random, 4) == 0)
            bounds.mass = 0;
        if (plk_view_stored(&view, token) > -INFINITY &&
            plk_membership(&view, &bounds, token) != kept[token])
            holds = test_case_failed("token %u of %u is judged to be %s", token,
                                     view.logits.n_vocab, kept[token] ? "outside" : "inside");
    }
    plk_view_settle(&view);
    holds = holds && keeps(&view, kept, "nucleus");
    if (!holds)
        test_case_failed("p %a, scale %g, %s", p, o.view.scale,
                         pluck_dtype_name(o.row.logits.dtype));
    free(kept);
    close_view(&o);
    return holds;
}

static void a_nucleus_is_what_its_definition_keeps(void **state)
{
    (void)state;
    test_cases_run("a_nucleus_is_what_its_definition_keeps", 1, N_CUT_CASES, nucleus_is_defined,
                   NULL);
}

static bool nearest_are_defined(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    test_random random = test_random_make(seed);
    int32_t mask[MAX_CUT / 32 + 1];
    opened o;
    open_view(&o, &random, test_random_below(&random, 8) ? MAX_CUT / 8 : MAX_CUT, isa);
    change(&o, &random, mask);
    plk_exact_sum moment = {.n_pending = 0};
    plk_mass total = plk_view_moment(&o.view, &moment);
    order by_distance = {
        .is_nearest = true, .center = plk_moment_mean(&moment, total), .max = o.view.max};
    double p = some_limit(&o.view, &by_distance, &random);
    plk_mass needed = plk_mass_above(p, total);
    bool *kept = kept_by_definition(&o.view, &by_distance, needed);
    plk_view view = o.view;
    plk_view_keep_nearest(&view, by_distance.center, total, p, 1);
    bool holds =
        needed > total ? !view.compact || view.n == o.view.n : keeps(&view, kept, "nearest");
    if (!holds)
        test_case_failed("p %a, scale %g, center %a, %s", p, o.view.scale, by_distance.center,
                         pluck_dtype_name(o.row.logits.dtype));
    free(kept);
    close_view(&o);
    return holds;
}

static void the_nearest_are_what_their_definition_keeps(void **state)
{
    (void)state;
    test_cases_run("the_nearest_are_what_their_definition_keeps", 1, N_CUT_CASES,
                   nearest_are_defined, NULL);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mass_is_the_nearest_multiple),
        cmocka_unit_test(parts_of_a_row_add_up),
        cmocka_unit_test(a_nucleus_is_what_its_definition_keeps),
        cmocka_unit_test(the_nearest_are_what_their_definition_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
