/*
 * Why: a dense view that is bent maps logits when they are read, and claims to hold what the same
 * map makes of all candidates. Two views of one row, the same edits, mask and scale. One is bent as
 * it is, the other as candidates. Every number that functions on views give has to be the same
 * bits, then and after more edits, another mask and cuts.
 */
#include "select/keep.h"
#include "select/mass.h"
#include "support/cases.h"
#include "support/logit_cases.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_CASES = 400, MAX_VOCAB = 3000, N_EDITS = 12, MAX_WORDS = MAX_VOCAB / 32 + 1 };

typedef struct opened {
    plk_scratch *scratch;
    plk_edit edits[2 * N_EDITS];
    plk_view view;
} opened;

/* Everything about a case but the views. */
typedef struct bend_case {
    logit_row row;
    plk_bend shape; /* square and cube */
    double scale;
    uint32_t edited[2][N_EDITS]; /* before and after the map */
    double added[2][N_EDITS];
    size_t n_edits[2];
    int mask_phase; /* before the map, after it, or never */
    int32_t mask[MAX_WORDS];
} bend_case;

static void fill_edits(bend_case *c, int phase, uint32_t n, test_random *random)
{
    uint32_t token = (uint32_t)test_random_below(random, n);
    c->n_edits[phase] = 0;
    while (c->n_edits[phase] < N_EDITS && token < n && test_random_below(random, 5)) {
        c->edited[phase][c->n_edits[phase]] = token;
        c->added[phase][c->n_edits[phase]++] =
            test_random_below(random, 4) ? 4.0 * test_random_normal(random) : -(double)INFINITY;
        token += 1 + (uint32_t)test_random_below(random, 100);
    }
}

static bend_case make_case(uint64_t seed)
{
    static const double scales[] = {1, 1, 1 / 0.7, 0.2, 30, 1e-120, 1e39};
    static const double factors[] = {0.2, 1, 0.01, 30, 1e6, 1e-200};
    static const double curves[] = {1, 1, 1.5, 2.5, 3, 3.25, 100};
    test_random random = test_random_make(seed);
    bend_case c = {.scale = scales[test_random_below(&random, 7)]};
    double factor = factors[test_random_below(&random, 6)];
    double curve = curves[test_random_below(&random, 7)];
    c.shape.square = -factor * (3.0 - curve) / 2.0;
    c.shape.cube = factor * (curve - 1.0) / 2.0;
    uint32_t n =
        1 + (uint32_t)test_random_below(&random, test_random_below(&random, 3) ? MAX_VOCAB : 130);
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    logit_fill((logit_kind)test_random_below(&random, LOGITS_KINDS), seed, n, x);
    c.row = logit_row_make(x, n, (pluck_dtype)test_random_below(&random, 3), seed % 5);
    free(x);
    for (int phase = 0; phase < 2; phase++)
        fill_edits(&c, phase, n, &random);
    c.mask_phase = (int)test_random_below(&random, 4);
    for (size_t w = 0; w < MAX_WORDS; w++)
        c.mask[w] = (int32_t)(uint32_t)(test_random_bits(&random) | test_random_bits(&random));
    return c;
}

static double add(const void *context, size_t index, double logit)
{
    return logit + ((const double *)context)[index];
}

/* Edits, then perhaps masks. False: no token is left. */
static bool change(const bend_case *c, int phase, plk_view *view)
{
    plk_token_list list = {c->edited[phase], sizeof *c->edited[phase], c->n_edits[phase]};
    if (plk_view_edit(view, list, add, c->added[phase], NULL) != PLUCK_OK)
        return false;
    if (phase != c->mask_phase)
        return true;
    view->mask = c->mask;
    return plk_view_apply_mask(view, NULL) == PLUCK_OK;
}

/* False: no token is left. */
static bool open_bent(const bend_case *c, pluck_isa isa, bool as_candidates, opened *o)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    assert_int_equal(plk_scratch_create(&o->scratch, c->row.logits.n_vocab, &allocator, NULL),
                     PLUCK_OK);
    assert_int_equal(
        plk_view_open(&o->view, o->scratch, plk_kernels_get(isa), c->row.logits, false, NULL),
        PLUCK_OK);
    o->view.edits = o->edits;
    o->view.max_edits = 2 * N_EDITS;
    plk_view_scale(&o->view, c->scale);
    if (!change(c, 0, &o->view))
        return false;
    if (as_candidates)
        plk_view_make_compact(&o->view);
    plk_bend bend = c->shape;
    bend.scale = o->view.scale;
    bend.max = o->view.scale * (double)o->view.max;
    plk_view_bend(&o->view, &bend);
    return true;
}

static bool same_float(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static bool views_agree(const plk_view *a, const plk_view *b, const char *when)
{
    if (a->max != b->max || a->scale != b->scale)
        return test_case_failed("%s: the maximum is %a or %a", when, (double)a->max,
                                (double)b->max);
    for (uint32_t t = 0; t < a->logits.n_vocab; t++)
        if (!same_float(plk_view_stored(a, t), plk_view_stored(b, t)))
            return test_case_failed("%s: token %u has %a or %a", when, t,
                                    (double)plk_view_stored(a, t), (double)plk_view_stored(b, t));
    float buffer[PLK_BLOCK];
    for (uint32_t block = 0; !a->compact && block < plk_view_n_blocks(a); block++)
        for (uint32_t i = 0, t = block * PLK_BLOCK; i < PLK_BLOCK; i++, t++)
            if (!same_float(plk_float_at(plk_view_block(a, block, buffer), i),
                            t < a->logits.n_vocab ? plk_view_stored(b, t) : -INFINITY))
                return test_case_failed("%s: value %u of block %u", when, i, block);
    if (plk_view_n_candidates(a) != plk_view_n_candidates(b) ||
        plk_view_count(a) != plk_view_count(b))
        return test_case_failed("%s: %u and %u, or %u and %u candidates", when,
                                plk_view_n_candidates(a), plk_view_count(a),
                                plk_view_n_candidates(b), plk_view_count(b));
    return true;
}

static bool cuts_agree(plk_view *a, plk_view *b, test_random *random)
{
    uint32_t k = 1 + (uint32_t)test_random_below(random, a->logits.n_vocab);
    uint32_t n = plk_view_best(a, k);
    if (n != plk_view_best(b, k) ||
        memcmp(a->scratch->keys, b->scratch->keys, n * sizeof *a->scratch->keys) != 0)
        return test_case_failed("the best %u differ", k);
    if (test_random_below(random, 2)) {
        plk_view_keep_top(a, k);
        plk_view_keep_top(b, k);
    } else {
        double offset = -20.0 * test_random_uniform(random);
        plk_view_keep_near_max(a, offset, 1);
        plk_view_keep_near_max(b, offset, 1);
    }
    return views_agree(a, b, "after a cut");
}

static bool bend_agrees(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)context;
    bend_case c = make_case(seed);
    test_random random = test_random_make(~seed);
    opened dense, compact;
    bool left = open_bent(&c, isa, false, &dense), agrees = true;
    if (left != open_bent(&c, isa, true, &compact))
        agrees = test_case_failed("only one is empty");
    if (agrees && left)
        agrees = views_agree(&dense.view, &compact.view, "after the map");
    if (agrees && left) {
        plk_view_scale(&dense.view, 0.8);
        plk_view_scale(&compact.view, 0.8);
        left = change(&c, 1, &dense.view);
        if (left != change(&c, 1, &compact.view))
            agrees = test_case_failed("only one is empty after more changes");
    }
    if (agrees && left)
        agrees = views_agree(&dense.view, &compact.view, "after more changes");
    if (agrees && left)
        agrees = cuts_agree(&dense.view, &compact.view, &random);
    plk_scratch_destroy(&dense.scratch);
    plk_scratch_destroy(&compact.scratch);
    logit_row_destroy(&c.row);
    return agrees;
}

static void a_bent_dense_view_holds_what_bent_candidates_hold(void **state)
{
    (void)state;
    test_cases_run("a_bent_dense_view_holds_what_bent_candidates_hold", 0, N_CASES, bend_agrees,
                   NULL);
}

static void most_views_stay_dense(void **state)
{
    (void)state;
    unsigned n_dense = 0;
    for (uint64_t seed = 0; seed < N_CASES; seed++) {
        bend_case c = make_case(seed);
        opened o;
        bool left = open_bent(&c, PLUCK_ISA_BEST, false, &o);
        n_dense += left && !o.view.compact;
        plk_scratch_destroy(&o.scratch);
        logit_row_destroy(&c.row);
    }
    assert_in_range(n_dense, N_CASES / 2, N_CASES);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bent_dense_view_holds_what_bent_candidates_hold),
        cmocka_unit_test(most_views_stay_dense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
