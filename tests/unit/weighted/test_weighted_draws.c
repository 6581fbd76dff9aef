/*
 * Why: that entries of stored distributions come with their probabilities: 10^7 draws of each kind
 * against the weights by chi-square. A correct one fails with probability 1e-8.
 */
#include "support/cases.h"
#include "support/chi_square.h"
#include "support/weight_cases.h"

#include <pluck/weighted.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N_DRAWS = 10000000, PORTION = 4096, MAX_N = 1000 };

static const double SMALLEST_P_VALUE = 1e-8;

static void check(const char *what, const pluck_weighted *weighted, const double *weights,
                  uint32_t n, size_t n_draws)
{
    uint64_t counts[MAX_N] = {0};
    double p[MAX_N], total = 0;
    uint32_t drawn[PORTION];
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 77, n, 0);
    for (uint32_t i = 0; i < n; i++)
        total += weights[i];
    for (uint32_t i = 0; i < n; i++)
        p[i] = weights[i] / total;
    for (size_t done = 0; done < n_draws; done += PORTION) {
        size_t portion = n_draws - done < PORTION ? n_draws - done : PORTION;
        assert_int_equal(pluck_weighted_draw(weighted, &rng, portion, drawn, NULL), PLUCK_OK);
        for (size_t i = 0; i < portion; i++)
            counts[drawn[i]]++;
    }
    chi_square result = chi_square_test(counts, p, n, n_draws);
    if (!(result.p_value >= SMALLEST_P_VALUE))
        fail_msg("%s: chi-square %g with %g degrees of freedom, p-value %g", what, result.statistic,
                 result.freedom, result.p_value);
}

static void check_kind(weight_kind kind, uint32_t n, size_t n_draws)
{
    static const char *const names[] = {"alias", "sum tree", "huffman"};
    double weights[MAX_N];
    weights_fill(kind, 3, n, weights);
    for (int k = 0; k < 3; k++) {
        pluck_weighted *weighted = NULL;
        assert_int_equal(pluck_weighted_create(&weighted, (pluck_weighted_kind)k,
                                               (pluck_weights){weights, PLUCK_F64, n}, NULL, NULL),
                         PLUCK_OK);
        check(names[k], weighted, weights, n, n_draws);
        pluck_weighted_destroy(&weighted);
    }
}

static void entries_come_with_their_probabilities(void **state)
{
    (void)state;
    check_kind(WEIGHTS_ZIPF, MAX_N, N_DRAWS);
}

static void so_do_those_of_other_shapes(void **state)
{
    (void)state;
    for (int kind = 0; kind < WEIGHTS_KINDS; kind++)
        check_kind((weight_kind)kind, 7 + 50 * (uint32_t)kind, N_DRAWS / 50);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_with_their_probabilities),
        cmocka_unit_test(so_do_those_of_other_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
