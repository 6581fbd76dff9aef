/*
 * The standard deviation in one pass: sums of d = x - origin and of d^2, block by block in float
 * and then in double, variance = mean of d^2 - (mean of d)^2. The subtraction cancels little when
 * the origin is near the mean, so the origin is the median of a sample; being a logit itself, it
 * leaves the differences unchanged when all logits are shifted. A sum takes up to 34 additions in
 * float: with a fair sample its relative error is below 2^-19 whatever the logits, and about 2^-22
 * usually. Squares that overflow or underflow are taken in double, in two passes.
 */
#include "select/mass.h"

#include <math.h>

enum { N_SAMPLE = 16 };

static float sample_median(const plk_view *view)
{
    float sample[N_SAMPLE], buffer[PLK_BLOCK];
    uint32_t n_blocks = plk_view_n_blocks(view), n = 0;
    for (uint32_t i = 0; i < N_SAMPLE; i++) {
        uint32_t block = (uint32_t)((uint64_t)i * n_blocks / N_SAMPLE);
        float value = plk_float_at(plk_view_block(view, block, buffer), i);
        if (value == -INFINITY)
            continue;
        uint32_t j = n++;
        for (; j > 0 && sample[j - 1] > value; j--)
            sample[j] = sample[j - 1];
        sample[j] = value;
    }
    return n > 0 ? sample[n / 2] : view->max;
}

/* Sum over the logits above -inf of (x - origin)^power, power 1 or 2. */
static double power_sum(const plk_view *view, double origin, int power)
{
    double sum = 0.0;
    plk_run run;
    plk_run_init(&run, view);
    while (plk_run_next(&run)) {
        for (size_t i = 0; i < (size_t)run.n_blocks * PLK_BLOCK; i++) {
            float stored = plk_float_at(run.x, i);
            double d = (double)stored - origin;
            if (stored > -INFINITY)
                sum += power == 1 ? d : d * d;
        }
    }
    return sum;
}

static double two_pass(const plk_view *view)
{
    double n = plk_view_n_candidates(view);
    double max = (double)view->max;
    double mean = max + power_sum(view, max, 1) / n;
    return sqrt(power_sum(view, mean, 2) / n);
}

double plk_view_deviation(const plk_view *view)
{
    double least = 1e-20, most = 1e30;
    double sum = 0.0, square = 0.0;
    size_t n = 0;
    float origin = sample_median(view);
    plk_run run;
    plk_run_init(&run, view);
    while (plk_run_next(&run))
        n += view->kernels->moments(run.x, run.n_blocks, origin, &sum, &square);
    double mean = sum / (double)n;
    double variance = square / (double)n - mean * mean;
    if (!(variance > 1e-4 * (square / (double)n)) || !(square > least) || !(square < most))
        return two_pass(view);
    return sqrt(variance);
}
