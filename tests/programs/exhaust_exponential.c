/*
 * The proof of the exponential: every float d of [-104, 0], on every instruction set, against the C
 * library's exponential in double (whose error, below 1 ulp of double, is nothing here).
 *
 *   exhaust_exponential [STEP [BETA]]     every STEP-th float (1); inverse temperature BETA (1)
 *
 * Checked: the error of the first table is at most 1 ulp of float; the result is 0 below 2^-125 and
 * not above it, where t = d * beta / ln 2 is rounded (a relative 2^-17 decides nothing); the other
 * tables give the same bits. Prints the figures; exit status 0 if all holds.
 */
#include "simd/kernels.h"
#include "support/isa.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 14 };

typedef struct findings {
    uint64_t n, n_zero, n_too_far, n_wrong_zero, n_different;
    double max_error; /* ulps */
    float max_error_at, first_zero_at;
} findings;

static float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void judge(float x, float e, double beta, findings *found)
{
    double exact = exp(beta * (double)x);
    found->n++;
    if (e == 0) {
        if (found->n_zero++ == 0)
            found->first_zero_at = x;
        found->n_wrong_zero += exact > 0x1p-125 * (1 + 0x1p-9);
        return;
    }
    found->n_wrong_zero += exact < 0x1p-125 * (1 - 0x1p-9);
    int exponent;
    frexp(exact, &exponent);
    double error = fabs((double)e - exact) * ldexp(1, 24 - exponent);
    found->n_too_far += !(error <= 1);
    if (!(error <= found->max_error)) {
        found->max_error = error;
        found->max_error_at = x;
    }
}

static void sweep(const plk_kernels **tables, size_t n_tables, uint32_t step, double beta,
                  findings *found)
{
    static float x[CHUNK], e[CHUNK], other[CHUNK];
    uint32_t first = 0x80000000u, last = 0xC2D00000u; /* -0 and -104 */
    plk_exponent exponent = plk_exponent_make(0, beta);
    for (uint64_t bits = first; bits <= last;) {
        size_t n = 0;
        for (; n < CHUNK && bits <= last; n++, bits += step)
            x[n] = float_of_bits((uint32_t)bits);
        for (size_t i = n; i < CHUNK; i++)
            x[i] = -INFINITY;
        tables[0]->exp_values(x, CHUNK / PLK_BLOCK, exponent, e);
        for (size_t i = 0; i < n; i++)
            judge(x[i], e[i], beta, found);
        for (size_t k = 1; k < n_tables; k++) {
            tables[k]->exp_values(x, CHUNK / PLK_BLOCK, exponent, other);
            for (size_t i = 0; i < CHUNK; i++)
                found->n_different += memcmp(other + i, e + i, sizeof *e) != 0;
        }
    }
}

int main(int argc, char **argv)
{
    unsigned long step = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
    double beta = argc > 2 ? strtod(argv[2], NULL) : 1;
    if (argc > 3 || step < 1 || step > UINT32_MAX || !(beta > 0 && beta < HUGE_VAL)) {
        fprintf(stderr, "usage: exhaust_exponential [STEP [BETA]]\n");
        return 2;
    }
    const plk_kernels *tables[TEST_MAX_TABLES];
    size_t n_tables = test_all_kernels(tables);
    findings found = {0};
    sweep(tables, n_tables, (uint32_t)step, beta, &found);

    printf("instruction sets:");
    for (size_t k = 0; k < n_tables; k++)
        printf(" %s", tables[k]->name);
    printf("\nfloats d in [-104, 0], step %lu, beta %.17g: %" PRIu64 "\n", step, beta, found.n);
    printf("largest error: %.4f ulp at d = %a; above 1 ulp: %" PRIu64 "\n", found.max_error,
           (double)found.max_error_at, found.n_too_far);
    printf("zero: %" PRIu64 ", from d = %.9g down; wrongly zero or not: %" PRIu64 "\n",
           found.n_zero, (double)found.first_zero_at, found.n_wrong_zero);
    printf("bits that differ from %s: %" PRIu64 "\n", tables[0]->name, found.n_different);
    return found.n_too_far || found.n_wrong_zero || found.n_different ? 1 : 0;
}
