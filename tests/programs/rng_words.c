/*
 * What test_rng_numpy.py compares with NumPy. Each line of standard input is a case, in decimal:
 *
 *     seed stream position advance_hi advance_lo bound n
 *
 * and gives one line of hexadecimal: state and increment of the generator before advancing (upper
 * half, lower half each), n words, n uniforms as the bits of a double, n numbers below bound.
 */
#include <pluck/rng.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    uint64_t seed, stream, position, advance_hi, advance_lo, bound, n;
    while (scanf("%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64 "%" SCNu64,
                 &seed, &stream, &position, &advance_hi, &advance_lo, &bound, &n) == 7) {
        pluck_pcg64 rng;
        pluck_pcg64_seed(&rng, seed, stream, position);
        printf("%" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64, rng.state_hi, rng.state_lo,
               rng.inc_hi, rng.inc_lo);
        pluck_pcg64_advance(&rng, advance_hi, advance_lo);
        for (uint64_t i = 0; i < n; i++)
            printf(" %" PRIx64, pluck_pcg64_next(&rng));
        for (uint64_t i = 0; i < n; i++) {
            double uniform = pluck_pcg64_uniform(&rng);
            uint64_t bits;
            memcpy(&bits, &uniform, sizeof bits);
            printf(" %" PRIx64, bits);
        }
        for (uint64_t i = 0; i < n; i++)
            printf(" %" PRIx64, pluck_pcg64_below(&rng, bound));
        putchar('\n');
    }
    return feof(stdin) && fflush(stdout) == 0 ? 0 : 1;
}
