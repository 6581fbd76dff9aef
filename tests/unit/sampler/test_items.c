/*
 * Why: the array of candidates may come from anywhere, in any order and at any alignment, and its
 * tokens are indices into memory. A row must be what a plain loop makes of it, and no token may
 * write outside the row. The row ends where the memory ends.
 */
#include "support/cases.h"
#include "support/guard_buffer.h"
#include "support/random.h"

#include <pluck/sampler.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_TOKENS = 1500, MAX_STRIDE = 24, N_CASES = 3000 };

typedef struct fixture {
    test_random random;
    guard_buffer item_memory, row_memory;
    size_t stride, id_offset, logit_offset, n;
    uint32_t n_vocab;
    unsigned char *items;
    float *row;
    float expected[MAX_TOKENS];
} fixture;

static int32_t *token_of(fixture *f, size_t i, int32_t *token)
{
    memcpy(token, f->items + i * f->stride + f->id_offset, sizeof *token);
    return token;
}

static void set_token(fixture *f, size_t i, int32_t token)
{
    memcpy(f->items + i * f->stride + f->id_offset, &token, sizeof token);
}

/* Any bits: NaN with a payload too. */
static float any_logit(test_random *random)
{
    uint32_t bits = (uint32_t)test_random_bits(random);
    float logit;
    memcpy(&logit, &bits, sizeof logit);
    return test_random_below(random, 8) ? (float)test_random_normal(random) : logit;
}

/* Half of the time the layout of llama.cpp, else anything that fits into 12 bytes or others. */
static void choose_layout(fixture *f)
{
    f->stride = 12;
    f->id_offset = 0;
    f->logit_offset = 4;
    if (test_random_below(&f->random, 2))
        return;
    if (test_random_below(&f->random, 2))
        f->stride = 8 + test_random_below(&f->random, MAX_STRIDE - 7);
    do {
        f->id_offset = test_random_below(&f->random, f->stride - 3);
        f->logit_offset = test_random_below(&f->random, f->stride - 3);
    } while (f->logit_offset + 4 > f->id_offset && f->id_offset + 4 > f->logit_offset);
}

/* Tokens in order, or from some place on in any order; some or all of the vocabulary. */
static void open_case(fixture *f, uint64_t seed)
{
    int32_t tokens[MAX_TOKENS];
    f->random = test_random_make(seed);
    f->item_memory = guard_buffer_create((size_t)MAX_TOKENS * MAX_STRIDE + 4);
    f->row_memory = guard_buffer_create(sizeof f->expected);
    f->n_vocab = (uint32_t)test_random_below(&f->random, MAX_TOKENS) + 1;
    choose_layout(f);
    f->n = test_random_below(&f->random, 2) ? f->n_vocab
                                            : test_random_below(&f->random, f->n_vocab + 1);
    for (uint32_t t = 0; t < f->n_vocab; t++) {
        tokens[t] = (int32_t)t;
        f->expected[t] = -INFINITY;
    }
    size_t in_order =
        test_random_below(&f->random, 2) ? f->n_vocab : test_random_below(&f->random, f->n_vocab);
    for (size_t i = f->n_vocab; i-- > in_order + 1;) {
        size_t j = in_order + test_random_below(&f->random, i - in_order + 1);
        int32_t swapped = tokens[i];
        tokens[i] = tokens[j];
        tokens[j] = swapped;
    }
    size_t shift = test_random_below(&f->random, 4);
    f->items = guard_buffer_tail(&f->item_memory, f->n * f->stride + shift);
    f->row = guard_buffer_tail(&f->row_memory, f->n_vocab * sizeof *f->row);
    for (size_t i = 0; i < f->n; i++) {
        float logit = any_logit(&f->random);
        int32_t decoy = (int32_t)i; /* all tokens in order, where no token is */
        for (size_t at = 0; at + sizeof decoy <= f->stride; at += sizeof decoy)
            memcpy(f->items + i * f->stride + at, &decoy, sizeof decoy);
        set_token(f, i, tokens[i]);
        memcpy(f->items + i * f->stride + f->logit_offset, &logit, sizeof logit);
        f->expected[tokens[i]] = logit;
    }
}

static pluck_status run(fixture *f, pluck_error *err)
{
    return pluck_logits_from_items(f->items, f->stride, f->id_offset, f->logit_offset, f->n, f->row,
                                   f->n_vocab, err);
}

static bool close_case(fixture *f, bool passed)
{
    guard_buffer_destroy(&f->item_memory);
    guard_buffer_destroy(&f->row_memory);
    return passed;
}

static bool row_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa;
    (void)context;
    fixture f;
    pluck_error err;
    open_case(&f, seed);
    bool passed = run(&f, &err) == PLUCK_OK || test_case_failed("%s", err.message);
    for (uint32_t t = 0; passed && t < f.n_vocab; t++)
        if (memcmp(f.row + t, f.expected + t, sizeof *f.row) != 0)
            passed = test_case_failed("token %u: %a, not %a", t, (double)f.row[t],
                                      (double)f.expected[t]);
    return close_case(&f, passed);
}

static void the_row_has_each_item_s_logit_in_its_token_s_place(void **state)
{
    (void)state;
    test_cases_run_once("the_row_has_each_item_s_logit_in_its_token_s_place", 0, N_CASES, row_case,
                        NULL);
}

/* One token is outside, or that of another item. */
static bool hostile_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa;
    (void)context;
    static const int32_t outside[] = {-1, INT32_MIN, INT32_MAX, MAX_TOKENS, 1 << 30, -2000};
    fixture f;
    pluck_error err = {.message = ""};
    open_case(&f, seed);
    if (f.n < 2)
        return close_case(&f, true);
    size_t i = test_random_below(&f.random, f.n), j = test_random_below(&f.random, f.n - 1);
    j += j >= i;
    bool twice = test_random_below(&f.random, 2);
    int32_t token = outside[test_random_below(&f.random, sizeof outside / sizeof *outside)];
    if (test_random_below(&f.random, 4) == 0)
        token = (int32_t)f.n_vocab;
    set_token(&f, i, twice ? *token_of(&f, j, &token) : token);
    bool passed = run(&f, &err) == PLUCK_ERR_INVALID || test_case_failed("not refused");
    if (passed && !strstr(err.message, twice ? "comes twice" : "is outside"))
        passed = test_case_failed("token %d: %s", (int)token, err.message);
    return close_case(&f, passed);
}

static void tokens_that_are_outside_or_come_twice_are_refused(void **state)
{
    (void)state;
    test_cases_run_once("tokens_that_are_outside_or_come_twice_are_refused", 0, N_CASES,
                        hostile_case, NULL);
}

static void layouts_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const struct {
        size_t stride, id, logit;
        bool fits;
    } layouts[] = {{12, 0, 4, true}, {8, 4, 0, true},  {4, 0, 0, true},  {0, 0, 0, false},
                   {3, 0, 0, false}, {8, 5, 0, false}, {8, 0, 5, false}, {8, (size_t)-1, 0, false},
                   {8, 0, 8, false}, {12, 8, 8, true}, {12, 9, 0, false}};
    int32_t item[3] = {0};
    float row[2];
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++)
        assert_int_equal(layouts[i].fits ? PLUCK_OK : PLUCK_ERR_INVALID,
                         pluck_logits_from_items(item, layouts[i].stride, layouts[i].id,
                                                 layouts[i].logit, 1, row, 2, NULL));
}

static void no_item_is_a_row_of_bans_and_too_many_are_refused(void **state)
{
    (void)state;
    static const int32_t items[9] = {0, 0, 0, 1, 0, 0, 2, 0, 0};
    float row[2] = {1, 1};
    assert_int_equal(PLUCK_OK, pluck_logits_from_items(NULL, 12, 0, 4, 0, row, 2, NULL));
    assert_true(row[0] == -INFINITY && row[1] == -INFINITY);
    assert_int_equal(PLUCK_ERR_INVALID, pluck_logits_from_items(items, 12, 0, 4, 3, row, 2, NULL));
    assert_int_equal(PLUCK_ERR_INVALID, pluck_logits_from_items(items, 12, 0, 4, 0, row, 0, NULL));
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_row_has_each_item_s_logit_in_its_token_s_place),
        cmocka_unit_test(tokens_that_are_outside_or_come_twice_are_refused),
        cmocka_unit_test(layouts_that_do_not_fit_are_refused),
        cmocka_unit_test(no_item_is_a_row_of_bans_and_too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
