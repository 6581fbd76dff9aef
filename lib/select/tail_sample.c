/*
 * Far below the maximum lie many tokens with little mass each. There a sample of evenly spaced
 * blocks estimates well how much mass lies below a logit: on real logits to some 15 %, so the
 * threshold is where the estimate is 0.6 of what is allowed. Mass is added up in bins of an eighth
 * of a nat, from the far end.
 */
#include "select/mass.h"

#include "select/keep.h"

#include <float.h>
#include <string.h>

enum { N_SAMPLE = 16, BINS_A_NAT = 8, N_BINS = 256 };

/* bins[i] = mass of the sample from i to i + 1 bins below the maximum; the last also beyond. */
static void fill_bins(const plk_view *view, float *bins)
{
    uint32_t n_blocks = view->scratch->n_blocks;
    float bins_a_unit = (float)(view->scale * BINS_A_NAT);
    float buffer[PLK_BLOCK], x[PLK_BLOCK], e[PLK_BLOCK];
    memset(bins, 0, N_BINS * sizeof *bins);
    for (uint32_t i = 0; i < N_SAMPLE; i++) {
        uint32_t block = (uint32_t)((uint64_t)i * n_blocks / N_SAMPLE);
        memcpy(x, plk_view_block(view, block, buffer), sizeof x);
        plk_view_exp_values(view, x, 1, e);
        for (uint32_t k = 0; k < PLK_BLOCK; k++) {
            float bin = (view->max - x[k]) * bins_a_unit;
            bins[bin < (float)N_BINS ? (int)bin : N_BINS - 1] += e[k];
        }
    }
}

float plk_view_tail_below(const plk_view *view, double mass)
{
    double caution = 0.6;
    uint32_t n_blocks = view->scratch->n_blocks;
    if (n_blocks < 2 * N_SAMPLE)
        return -FLT_MAX;
    float bins[N_BINS];
    fill_bins(view, bins);
    double wanted = caution * mass * N_SAMPLE / n_blocks, below = 0.0;
    int bin = N_BINS - 1;
    while (bin > 0 && below + (double)bins[bin] <= wanted)
        below += (double)bins[bin--];
    return plk_view_threshold(view, -(double)(bin + 1) / BINS_A_NAT);
}
