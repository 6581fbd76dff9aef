/*
 * Why: every gradient and Jacobian-vector product is checked against central differences of the
 * function itself, computed here in long double, to 1e-6; a Gumbel-softmax by the law of its arg
 * max and by the formula.
 */
#include "support/cases.h"
#include "support/chi_square.h"
#include "support/random.h"
#include "support/reference.h"

#include <pluck/softmax.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N_CASES = 120, MAX_N = 40 };

static pluck_error err;

#define assert_ok(call)                                                                            \
    do {                                                                                           \
        if ((call) != PLUCK_OK)                                                                    \
            fail_msg("%s: %s", #call, err.message);                                                \
    } while (0)

typedef struct input {
    size_t n;
    float beta;
    float z[MAX_N], v[MAX_N];
} input;

static void make_input(input *in, uint64_t seed)
{
    static const float betas[] = {1, 0.5f, -1, 2, 0};
    test_random random = test_random_make(seed);
    in->n = 1 + test_random_below(&random, MAX_N);
    in->beta = betas[test_random_below(&random, 5)];
    for (size_t i = 0; i < in->n; i++) {
        in->z[i] = (float)test_random_normal(&random);
        in->v[i] = (float)test_random_normal(&random);
        if (i > 0 && test_random_below(&random, 6) == 0)
            in->z[i] = -INFINITY;
    }
}

typedef void family(const long double *z, size_t n, double alpha, long double *p);

static void softmax(const long double *z, size_t n, double alpha, long double *p)
{
    (void)alpha;
    long double sum = 0, max = -HUGE_VALL;
    for (size_t i = 0; i < n; i++)
        max = fmaxl(max, z[i]);
    for (size_t i = 0; i < n; i++)
        sum += p[i] = expl(z[i] - max);
    for (size_t i = 0; i < n; i++)
        p[i] /= sum;
}

static void entmax(const long double *z, size_t n, double alpha, long double *p)
{
    long double slope = (long double)alpha - 1;
    long double max = -HUGE_VALL, low = -1, high = 0;
    for (size_t i = 0; i < n; i++)
        max = fmaxl(max, z[i]);
    for (int step = 0; step < 120; step++) {
        long double tau = (low + high) / 2;
        long double sum = 0;
        for (size_t i = 0; i < n; i++) {
            long double x = slope * (z[i] - max) - tau;
            p[i] = x > 0 ? powl(x, 1 / slope) : 0;
            sum += p[i];
        }
        if (sum >= 1)
            low = tau;
        else
            high = tau;
    }
}

/* (p(z + h v) - p(z - h v)) / 2 h of p(beta z), banned entries apart. */
static void difference(const input *in, family *function, double alpha, long double *out)
{
    long double h = 1e-6L;
    long double z[MAX_N], forward[MAX_N], backward[MAX_N];
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < in->n; i++)
            z[i] = isinf(in->z[i])
                       ? -HUGE_VALL
                       : (long double)in->beta *
                             ((long double)in->z[i] + (side ? -h : h) * (long double)in->v[i]);
        if (in->beta == 0)
            for (size_t i = 0; i < in->n; i++)
                z[i] = isinf(in->z[i]) ? -HUGE_VALL : 0;
        function(z, in->n, alpha, side ? backward : forward);
    }
    for (size_t i = 0; i < in->n; i++)
        out[i] = (forward[i] - backward[i]) / (2 * h);
}

static bool compare(const char *what, const input *in, const float *got, const long double *exact)
{
    for (size_t i = 0; i < in->n; i++)
        if (!(fabsl((long double)got[i] - exact[i]) <= 1e-6L * (1 + fabsl(exact[i]))))
            return test_case_failed("%s, beta %g: [%zu] = %.9g, difference %.9Lg", what,
                                    (double)in->beta, i, (double)got[i], exact[i]);
    return true;
}

static bool softmax_jvp_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa, (void)context;
    input in;
    float p[MAX_N], out[MAX_N];
    long double exact[MAX_N];
    make_input(&in, seed);
    assert_ok(pluck_softmax(in.z, in.n, in.beta, p, &err));
    assert_ok(pluck_entmax_jvp(p, in.v, in.n, in.beta, 1, out, &err));
    difference(&in, softmax, 1, exact);
    if (!compare("softmax", &in, out, exact))
        return false;
    assert_ok(pluck_entmax_jvp(p, in.v, in.n, in.beta, 1, p, &err));
    return compare("1-entmax, in place", &in, p, exact);
}

static void the_product_with_the_jacobian_of_softmax_is_a_difference(void **state)
{
    (void)state;
    test_cases_run_once("the_product_with_the_jacobian_of_softmax_is_a_difference", 1, N_CASES,
                        softmax_jvp_case, NULL);
}

/* Where an entry enters or leaves the support within the step there is no derivative. */
static bool support_is_stable(const float *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] > 0 && p[i] < 1e-3f)
            return false;
    return true;
}

static bool entmax_jvp_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa, (void)context;
    static const double alphas[] = {1.5, 2, 1.2, 1.8};
    input in;
    float p[MAX_N], out[MAX_N];
    long double exact[MAX_N];
    make_input(&in, seed);
    double alpha = alphas[seed % 4];
    assert_ok(pluck_entmax(in.z, in.n, in.beta, alpha, p, &err));
    if (!support_is_stable(p, in.n))
        return true;
    assert_ok(pluck_entmax_jvp(p, in.v, in.n, in.beta, alpha, out, &err));
    difference(&in, entmax, alpha, exact);
    return compare("entmax", &in, out, exact);
}

static void the_product_with_the_jacobian_of_entmax_is_a_difference(void **state)
{
    (void)state;
    test_cases_run_once("the_product_with_the_jacobian_of_entmax_is_a_difference", 1, 3 * N_CASES,
                        entmax_jvp_case, NULL);
}

/* lse(beta z) sum of y - beta y.z */
static long double soft_loss(const input *in, const long double *z, const float *y)
{
    long double sum = 0, max = -HUGE_VALL, total = 0, dot = 0;
    for (size_t i = 0; i < in->n; i++)
        max = fmaxl(max, isinf(in->z[i]) ? -HUGE_VALL : (long double)in->beta * z[i]);
    for (size_t i = 0; i < in->n; i++) {
        if (isinf(in->z[i]))
            continue;
        sum += expl((long double)in->beta * z[i] - max);
        total += (long double)y[i];
        dot += (long double)y[i] * (long double)in->beta * z[i];
    }
    return total * (max + logl(sum)) - dot;
}

static bool check_loss(const input *in, const float *y, double loss, const float *gradient)
{
    long double h = 1e-6L;
    long double z[MAX_N] = {0}, exact[MAX_N];
    for (size_t i = 0; i < in->n; i++)
        z[i] = (long double)in->z[i];
    long double at = soft_loss(in, z, y);
    if (!(fabsl((long double)loss - at) <= 4e-7L))
        return test_case_failed("loss %.9g, exactly %.9Lg", loss, at);
    for (size_t i = 0; i < in->n; i++) {
        z[i] = (long double)in->z[i] + h;
        long double more = soft_loss(in, z, y);
        z[i] = (long double)in->z[i] - h;
        exact[i] = isinf(in->z[i]) ? 0 : (more - soft_loss(in, z, y)) / (2 * h);
        z[i] = (long double)in->z[i];
    }
    return compare("cross-entropy", in, gradient, exact);
}

static bool cross_entropy_case(uint64_t seed, pluck_isa isa, const void *context)
{
    (void)isa, (void)context;
    input in;
    float y[MAX_N] = {0}, gradient[MAX_N];
    double loss = 0, alone = 0;
    make_input(&in, seed);
    size_t target = seed % in.n;
    while (isinf(in.z[target]))
        target = (target + 1) % in.n;
    y[target] = 1;
    assert_ok(pluck_cross_entropy(in.z, in.n, in.beta, target, &loss, gradient, &err));
    assert_ok(pluck_cross_entropy(in.z, in.n, in.beta, target, &alone, NULL, &err));
    if (alone != loss || !check_loss(&in, y, loss, gradient))
        return test_case_failed("of a target: %s", alone != loss ? "losses differ" : "gradient");
    float sum = 0;
    for (size_t i = 0; i < in.n; i++)
        sum += y[i] = isinf(in.z[i]) ? 0 : fabsf(in.v[i]);
    for (size_t i = 0; i < in.n; i++)
        y[i] /= sum;
    assert_ok(pluck_cross_entropy_soft(in.z, in.n, in.beta, y, &loss, gradient, &err));
    if (!check_loss(&in, y, loss, gradient))
        return false;
    memcpy(in.v, in.z, sizeof in.v);
    assert_ok(pluck_cross_entropy_soft(in.v, in.n, in.beta, y, &loss, in.v, &err));
    return memcmp(in.v, gradient, in.n * sizeof *gradient) == 0 ||
           test_case_failed("differs in place");
}

static void the_gradient_of_cross_entropy_is_a_difference(void **state)
{
    (void)state;
    test_cases_run_once("the_gradient_of_cross_entropy_is_a_difference", 1, N_CASES,
                        cross_entropy_case, NULL);
}

/* Arg maxima against softmax; fails by chance with probability 1e-8. */
static void the_arg_max_of_gumbel_softmax_is_a_draw(void **state)
{
    (void)state;
    enum { N = 6, N_DRAWS = 200000 };
    const float z[N] = {0, 1, -1, -INFINITY, 2, 0.5f};
    long double exact[N];
    double p[N];
    float soft[N];
    uint64_t counts[N] = {0};
    size_t index;
    pluck_pcg64 rng;
    pluck_pcg64_seed(&rng, 3, 0, 0);
    for (int i = 0; i < N_DRAWS; i++) {
        assert_ok(pluck_gumbel_softmax(z, N, 0.5f, &rng, soft, &index, &err));
        counts[index]++;
    }
    reference_softmax(z, N, 1, exact);
    for (int i = 0; i < N; i++)
        p[i] = (double)exact[i];
    assert_true(chi_square_test(counts, p, N, N_DRAWS).p_value >= 1e-8);
}

static void gumbel_softmax_is_softmax_of_the_perturbed_logits(void **state)
{
    (void)state;
    enum { N = 5 };
    const float z[N] = {0, 1, -INFINITY, 2, 0.5f};
    float noisy[N], soft[N], expected[N], in_place[N];
    size_t index, again;
    pluck_pcg64 rng, copy, replay;
    pluck_pcg64_seed(&rng, 9, 0, 0);
    copy = replay = rng;
    for (int i = 0; i < N; i++) {
        double u = ((double)(pluck_pcg64_next(&replay) >> 12) + 0.5) / 0x1p52;
        noisy[i] = (float)((double)z[i] - log(-log(u)));
    }
    assert_ok(pluck_gumbel_softmax(z, N, 0.7f, &rng, soft, &index, &err));
    assert_memory_equal(&rng, &replay, sizeof rng);
    assert_ok(pluck_softmax(noisy, N, 1 / 0.7f, expected, &err));
    for (int i = 0; i < N; i++)
        assert_true(fabsf(soft[i] - expected[i]) <= 1e-6f && soft[i] <= soft[index]);
    memcpy(in_place, z, sizeof z);
    assert_ok(pluck_gumbel_softmax(in_place, N, 0.7f, &copy, in_place, &again, &err));
    assert_memory_equal(in_place, soft, sizeof soft);
    assert_int_equal(again, index);
}

static void bad_input_is_refused_and_writes_nothing(void **state)
{
    (void)state;
    const float z[] = {1, -INFINITY, 2}, bad[] = {1, NAN, 2};
    const float y[] = {0.5f, 0.5f, 0}, short_y[] = {0.5f, 0, 0}, nan_y[] = {NAN, 0, 1};
    float out[3] = {7, 7, 7};
    double loss = 7;
    size_t index = 7;
    pluck_pcg64 rng = {1, 2, 3, 5};
    pluck_pcg64 before = rng;
    assert_int_equal(pluck_cross_entropy(z, 3, 1, 1, &loss, out, &err), PLUCK_ERR_INVALID);
    assert_non_null(strstr(err.message, "target 1 is banned"));
    assert_int_equal(pluck_cross_entropy(z, 3, 1, 3, &loss, out, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_cross_entropy(bad, 3, 1, 0, &loss, out, &err), PLUCK_ERR_NAN);
    assert_int_equal(pluck_cross_entropy(z, 3, 1, 0, NULL, out, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_cross_entropy_soft(z, 3, 1, y, &loss, out, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_cross_entropy_soft(z, 3, 1, short_y, &loss, out, &err),
                     PLUCK_ERR_INVALID);
    assert_int_equal(pluck_cross_entropy_soft(z, 3, 1, nan_y, &loss, out, &err), PLUCK_ERR_NAN);
    assert_int_equal(pluck_cross_entropy_soft(z, 3, 1, NULL, &loss, out, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_entmax_jvp(z, NULL, 3, 1, 1, out, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_entmax_jvp(z, y, 0, 1, 1, out, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_entmax_jvp(z, y, 3, NAN, 1.5, out, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_entmax_jvp(z, y, 3, 1, 101, out, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_gumbel_softmax(z, 3, 0, &rng, out, &index, &err), PLUCK_ERR_INVALID);
    assert_int_equal(pluck_gumbel_softmax(z, 3, 1e-45f, &rng, out, &index, &err),
                     PLUCK_ERR_INVALID);
    assert_int_equal(pluck_gumbel_softmax(bad, 3, 1, &rng, out, &index, &err), PLUCK_ERR_NAN);
    assert_int_equal(pluck_gumbel_softmax(z, 3, 1, NULL, out, &index, &err), PLUCK_ERR_INVALID);
    assert_memory_equal(&rng, &before, sizeof rng);
    assert_true(out[0] == 7 && out[1] == 7 && out[2] == 7 && loss == 7 && index == 7);
}

int main(int argc, char **argv)
{
    test_cases_begin(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_product_with_the_jacobian_of_softmax_is_a_difference),
        cmocka_unit_test(the_product_with_the_jacobian_of_entmax_is_a_difference),
        cmocka_unit_test(the_gradient_of_cross_entropy_is_a_difference),
        cmocka_unit_test(the_arg_max_of_gumbel_softmax_is_a_draw),
        cmocka_unit_test(gumbel_softmax_is_softmax_of_the_perturbed_logits),
        cmocka_unit_test(bad_input_is_refused_and_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
