/*
 * Equal width: bin b is (b/n, (b+1)/n], with edges as the division in double gives them; the
 * product with n only guesses the bin, and comparisons with the edges decide. Equal mass: all
 * confidences are kept and sorted, wrong before right among equals, so that the bins do not depend
 * on the order of rows.
 */
#include "tune/calibration.h"

#include "base/alloc.h"

#include <math.h>
#include <stdlib.h>

uint32_t plk_binning_count(const pluck_tune_binning *binning)
{
    uint32_t n = binning->n == 0 ? 15 : binning->n;
    return n <= PLUCK_TUNE_MAX_BINS ? n : 0;
}

bool plk_calibration_open(plk_calibration *c, const pluck_tune_binning *binning, uint64_t rows,
                          const pluck_allocator *allocator)
{
    *c = (plk_calibration){.allocator = *allocator,
                           .n_bins = plk_binning_count(binning),
                           .closed_left = binning->closed_left};
    c->bins = plk_alloc_zero(allocator, c->n_bins, sizeof *c->bins);
    if (binning->equal_mass && rows <= SIZE_MAX)
        c->confidences = plk_alloc(allocator, (size_t)rows, sizeof *c->confidences);
    if (!c->bins || (binning->equal_mass && !c->confidences))
        return false;
    for (uint32_t b = 0; b < c->n_bins; b++) {
        c->bins[b].low = (double)b / c->n_bins;
        c->bins[b].high = (double)(b + 1) / c->n_bins;
    }
    return true;
}

void plk_calibration_close(plk_calibration *c)
{
    plk_free(&c->allocator, c->bins);
    plk_free(&c->allocator, c->confidences);
    *c = (plk_calibration){0};
}

static uint32_t bin_of(const plk_calibration *c, double confidence)
{
    uint32_t b = (uint32_t)(confidence * c->n_bins);
    b = b < c->n_bins ? b : c->n_bins - 1;
    if (c->closed_left) {
        while (b > 0 && confidence < c->bins[b].low)
            b--;
        while (b + 1 < c->n_bins && confidence >= c->bins[b].high)
            b++;
    } else {
        while (b > 0 && confidence <= c->bins[b].low)
            b--;
        while (b + 1 < c->n_bins && confidence > c->bins[b].high)
            b++;
    }
    return b;
}

static void put(pluck_tune_bin *bin, double confidence, bool is_correct)
{
    bin->rows++;
    bin->confidence += confidence;
    bin->accuracy += is_correct;
}

void plk_calibration_add(plk_calibration *c, double confidence, bool is_correct)
{
    if (c->confidences)
        c->confidences[c->n_rows] = is_correct ? confidence : -confidence;
    else
        put(&c->bins[bin_of(c, confidence)], confidence, is_correct);
    c->n_rows++;
}

static int by_confidence(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    if (fabs(a) != fabs(b))
        return fabs(a) < fabs(b) ? -1 : 1;
    return (a > b) - (a < b);
}

static void fill_equal_mass(plk_calibration *c)
{
    qsort(c->confidences, (size_t)c->n_rows, sizeof *c->confidences, by_confidence);
    const double *next = c->confidences;
    for (uint32_t b = 0; b < c->n_bins; b++) {
        pluck_tune_bin *bin = &c->bins[b];
        uint64_t n = c->n_rows / c->n_bins + (b < c->n_rows % c->n_bins);
        bin->low = n > 0 ? fabs(next[0]) : bin->low;
        bin->high = n > 0 ? fabs(next[n - 1]) : bin->high;
        for (uint64_t i = 0; i < n; i++)
            put(bin, fabs(next[i]), next[i] > 0);
        next += n;
    }
}

double plk_calibration_finish(plk_calibration *c)
{
    if (c->confidences)
        fill_equal_mass(c);
    double error = 0;
    for (uint32_t b = 0; b < c->n_bins; b++) {
        pluck_tune_bin *bin = &c->bins[b];
        if (bin->rows == 0)
            continue;
        error += fabs(bin->accuracy - bin->confidence);
        bin->confidence /= (double)bin->rows;
        bin->accuracy /= (double)bin->rows;
    }
    return c->n_rows > 0 ? error / (double)c->n_rows : 0;
}
