/*
 * With beta = 1/T, z the logits, y the target, E and Var under softmax(beta z):
 *   NLL         ln sum exp(beta z) - beta z_y   is convex, with slope E z - z_y and curvature Var z
 *   entropy     has the slope -beta Var z, exp(entropy) that times itself
 *   Brier       has the slope 2 (sum p^2 z - E z sum p^2 - p_y (z_y - E z))
 * so that each objective but ECE is a root of a mean over rows of some g, which rises with beta
 * (for Brier: where the minimum is). The grid brackets the root; Newton's step is taken if it stays
 * inside the bracket, else the bracket is halved. ECE is a step function of T and has no slope:
 * the best point of a grid, and of two finer ones around it.
 */
#include "tune/tune_impl.h"

#include "base/alloc.h"
#include "base/error.h"
#include "simd/scalar_math.h"

#include <pluck/rng.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GRID = PLUCK_TUNE_GRID, MAX_STEPS = 60, ECE_GRIDS = 3, PASSES_EXPECTED = 6 };

/*
 * How much the solution of mean g(beta) = 0 varies with the rows that happened to be there. A
 * bootstrap over rows draws each of n rows a Binomial(n, 1/n) number of times, which tends to
 * Poisson(1); independent Poisson counts need no second look at the rows and no memory for them
 * (Hanley, MacGibbon: Creating non-parametric bootstrap samples using Poisson frequencies, 2006).
 * The root of each resample is interpolated between the betas where its sum changes sign; g rises
 * smoothly, and the nodes are about a standard error apart.
 */

#define RESAMPLE_NODES 9

/* Weighted sums of g at a few betas in each resample, in constant memory. */
typedef struct bootstrap {
    uint32_t n;
    uint64_t seed;
    double *g; /* RESAMPLE_NODES a resample */
} bootstrap;

/* A Poisson(1) number from 32 uniform bits, by inversion: above 12 the probability is below
 * 2^-32. */
static double poisson(uint32_t bits)
{
    double u = ((double)bits + 0.5) * 0x1p-32;
    double term = 0x1.78b56362cef38p-2, sum = term; /* e^-1 */
    int k = 0;
    while (u > sum && k < 12) {
        k++;
        term /= k;
        sum += term;
    }
    return k;
}

/* A row with its g at each node, counted a Poisson(1) number of times in each resample: what it
 * counts depends on (seed, row, resample) alone. */
static void resamples_add(bootstrap *r, uint64_t row, const double *g)
{
    pluck_pcg64 rng;
    uint64_t bits = 0;
    pluck_pcg64_seed(&rng, r->seed, row, 0);
    for (uint32_t i = 0; i < r->n; i++) {
        bits = i % 2 == 0 ? pluck_pcg64_next(&rng) : bits >> 32;
        double weight = poisson((uint32_t)bits);
        for (size_t k = 0; k < RESAMPLE_NODES; k++)
            r->g[(size_t)i * RESAMPLE_NODES + k] += weight * g[k];
    }
}

/* Where g, given at the nodes, is 0; beyond them on the line through the last two. */
static double root_of(const double *betas, const double *g)
{
    size_t i = 0;
    while (i + 2 < RESAMPLE_NODES && g[i + 1] < 0)
        i++;
    double rise = g[i + 1] - g[i];
    return rise > 0 ? betas[i] - g[i] * (betas[i + 1] - betas[i]) / rise : betas[i];
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double quantile(const double *sorted, uint32_t n, double part)
{
    double at = part * (n - 1);
    uint32_t i = (uint32_t)at;
    uint32_t next = i + 1 < n ? i + 1 : i;
    return sorted[i] + (at - i) * (sorted[next] - sorted[i]);
}

/* Sums over rows at one beta. */
typedef struct point {
    double beta;
    double value;            /* of what the objective names */
    double g, slope, square; /* g, its slope, g^2 */
} point;

typedef struct fitter {
    const pluck_tune_data *data;
    pluck_allocator allocator;
    pluck_tune_options options;
    uint64_t rows_expected, rows; /* a pass; of the last one */
    uint64_t grid_stride;         /* the grid uses every grid_stride-th row */
    uint64_t all_rows;            /* of the last pass over all */
    uint32_t n_passes;

    /* The pass that runs: */
    point points[GRID];
    size_t n;
    bool is_quick;
    plk_calibration *calibrations; /* ECE: one a point */
    bootstrap *resamples;          /* NULL but in the last pass */
} fitter;

static bool is_spread(pluck_tune_objective objective)
{
    return objective >= PLUCK_TUNE_ENTROPY;
}

static void work(const void *user, const plk_tune_logits *row, pluck_token target,
                 uint32_t *scratch, void *result)
{
    const fitter *f = user;
    plk_tune_moments *moments = result;
    bool is_brier = f->options.objective == PLUCK_TUNE_BRIER;
    (void)scratch;
    for (size_t i = 0; i < f->n; i++) {
        if (f->is_quick)
            plk_tune_moments_quick(row, f->points[i].beta, is_brier, &moments[i]);
        else
            plk_tune_moments_exact(row, f->points[i].beta, is_brier, &moments[i]);
        plk_tune_moments_target(row, target, &moments[i]);
    }
}

/* With S_k = sum of p^2 d^k, mu = E d, q = p_y, t = d_y: the slope of the Brier score is 2 (S_1 -
 * mu S_0 - q (t - mu)), and its own slope follows from d' p = p (d - mu), mu' = Var d. */
static void brier_slopes(const plk_tune_moments *m, point *add)
{
    double q = plk_exp(-plk_tune_nll(m)), away = m->target_d - m->mean;
    double centred = m->square_dot - m->mean * m->square;
    double rise = 2 * (m->square_dot2 - m->mean * m->square_dot) - m->variance * m->square -
                  2 * m->mean * centred - q * (away * away - m->variance);
    add->g = 2 * (centred - q * away);
    add->slope = 2 * rise;
}

/* What a row adds. */
static void row_of(const fitter *f, const plk_tune_moments *m, point *add)
{
    double entropy = plk_tune_entropy(m);
    switch (f->options.objective) {
    case PLUCK_TUNE_NLL:
        add->value = plk_tune_nll(m);
        add->g = m->mean - m->target_d;
        add->slope = m->variance;
        break;
    case PLUCK_TUNE_BRIER:
        add->value = plk_tune_brier(m);
        brier_slopes(m, add);
        break;
    case PLUCK_TUNE_DIVERSITY:
        add->value = plk_exp(entropy);
        add->g = f->options.value - add->value;
        add->slope = m->beta * m->variance * add->value;
        break;
    case PLUCK_TUNE_PERPLEXITY:
        add->value = entropy;
        add->g = plk_log(f->options.value) - entropy;
        add->slope = m->beta * m->variance;
        break;
    default:
        add->value = entropy;
        add->g = f->options.value - entropy;
        add->slope = m->beta * m->variance;
    }
}

static void take(void *user, uint64_t row, const void *result)
{
    fitter *f = user;
    const plk_tune_moments *moments = result;
    double g[GRID];
    f->rows++;
    for (size_t i = 0; i < f->n; i++) {
        point *p = &f->points[i];
        point add = {0};
        if (f->options.objective == PLUCK_TUNE_ECE) {
            plk_calibration_add(&f->calibrations[i], plk_exp(-moments[i].log_z),
                                moments[i].is_correct);
            continue;
        }
        row_of(f, &moments[i], &add);
        p->value += add.value;
        p->g += add.g;
        p->slope += add.slope;
        p->square += add.g * add.g;
        g[i] = add.g;
    }
    if (f->resamples)
        resamples_add(f->resamples, row, g);
}

static pluck_status open_calibrations(fitter *f, pluck_error *err)
{
    f->calibrations = plk_alloc_zero(&f->allocator, f->n, sizeof *f->calibrations);
    if (!f->calibrations)
        return plk_fail_nomem(err, f->n * sizeof *f->calibrations);
    for (size_t i = 0; i < f->n; i++) {
        pluck_status status = plk_calibration_open(&f->calibrations[i], &f->options.binning,
                                                   f->rows_expected, &f->allocator, err);
        if (status != PLUCK_OK)
            return status;
    }
    return PLUCK_OK;
}

/* Reads all rows at the betas of the n points; then value is a mean (the ECE, exp of the mean), the
 * rest are sums. */
static pluck_status run_pass(fitter *f, pluck_error *err)
{
    bool is_ece = f->options.objective == PLUCK_TUNE_ECE;
    uint64_t done = f->n_passes * f->rows_expected, expected = PASSES_EXPECTED;
    plk_tune_pass pass = {.data = f->data,
                          .half = f->options.half,
                          .stride = f->n == GRID ? f->grid_stride : 1,
                          .work = work,
                          .result_bytes = f->n * sizeof(plk_tune_moments),
                          .take = take,
                          .user = f,
                          .done_before = done,
                          .total = (f->n_passes + 1 > expected ? f->n_passes + 1 : expected) *
                                   f->rows_expected};
    for (size_t i = 0; i < f->n; i++)
        f->points[i] = (point){.beta = f->points[i].beta};
    f->rows = 0;
    f->n_passes++;
    pluck_status status = is_ece ? open_calibrations(f, err) : PLUCK_OK;
    if (status == PLUCK_OK)
        status = plk_tune_pass_run(&pass, err);
    if (status == PLUCK_OK && f->rows == 0)
        status = plk_fail(err, PLUCK_ERR_INVALID, "no row to fit to");
    for (size_t i = 0; status == PLUCK_OK && i < f->n; i++) {
        point *p = &f->points[i];
        p->value =
            is_ece ? plk_calibration_finish(&f->calibrations[i]) : p->value / (double)f->rows;
        if (f->options.objective == PLUCK_TUNE_PERPLEXITY)
            p->value = plk_exp(p->value);
    }
    for (size_t i = 0; f->calibrations && i < f->n; i++)
        plk_calibration_close(&f->calibrations[i]);
    plk_free(&f->allocator, f->calibrations);
    f->calibrations = NULL;
    if (pass.stride == 1)
        f->all_rows = f->rows;
    return status;
}

/* A quick pass over temperatures that are even in logarithm, ascending. */
static pluck_status run_grid(fitter *f, double min_t, double max_t, pluck_error *err)
{
    double step = (plk_log(max_t) - plk_log(min_t)) / (GRID - 1);
    for (int i = 0; i < GRID; i++)
        f->points[i].beta = plk_exp(-(plk_log(min_t) + i * step));
    f->points[0].beta = 1 / min_t;
    f->points[GRID - 1].beta = 1 / max_t;
    f->n = GRID;
    f->is_quick = true;
    pluck_status status = run_pass(f, err);
    f->is_quick = false;
    return status;
}

static int least(const point *points)
{
    int best = 0;
    for (int i = 1; i < GRID; i++)
        if (points[i].value < points[best].value)
            best = i;
    return best;
}

static pluck_status fit_ece(fitter *f, pluck_tune_fit *fit, pluck_error *err)
{
    pluck_status status = PLUCK_OK;
    int best = least(f->points);
    int first_best = best;
    for (int i = 1; i < ECE_GRIDS && status == PLUCK_OK; i++) {
        int low = best > 0 ? best - 1 : 0, high = best < GRID - 1 ? best + 1 : GRID - 1;
        status = run_grid(f, 1 / f->points[low].beta, 1 / f->points[high].beta, err);
        best = least(f->points);
    }
    fit->temperature = 1 / f->points[best].beta;
    if (first_best == 0 && best == 0)
        fit->limit = PLUCK_TUNE_AT_MIN;
    else if (first_best == GRID - 1 && best == GRID - 1)
        fit->limit = PLUCK_TUNE_AT_MAX;
    return status;
}

/* The index of the first of two grid points between which g changes its sign, after looking at the
 * ends; GRID if the answer is known: then fit has it. */
static int bracket(const fitter *f, pluck_tune_fit *fit)
{
    const point *p = f->points;
    int i = f->options.objective == PLUCK_TUNE_BRIER ? least(p) : 0;
    bool is_first = i == 0, is_last = i == GRID - 1;
    bool is_brier = f->options.objective == PLUCK_TUNE_BRIER;
    if (p[0].g == 0 && p[GRID - 1].g == 0) {
        fit->temperature = fmin(fmax(1, 1 / p[0].beta), 1 / p[GRID - 1].beta);
        return GRID;
    }
    if (p[0].g <= 0 && is_first) {
        fit->temperature = 1 / p[0].beta;
        fit->limit = PLUCK_TUNE_AT_MIN;
        return GRID;
    }
    if (p[GRID - 1].g >= 0 && (is_last || !is_brier)) {
        fit->temperature = 1 / p[GRID - 1].beta;
        fit->limit = PLUCK_TUNE_AT_MAX;
        return GRID;
    }
    if (is_brier)
        return p[i].g > 0 && i < GRID - 1 ? i : i - 1;
    while (i + 2 < GRID && p[i + 1].g > 0)
        i++;
    return i;
}

/* Where to look for the root of g. */
typedef struct interval {
    double low, high; /* of beta */
    bool is_open;     /* the ends are a guess from some of the rows */
    double start;
} interval;

/* Between grid points i and i + 1, one point more on either side for the quick sums, which may have
 * the sign wrong right at a root, and two more for a sample of the rows. */
static interval interval_at(const fitter *f, int i)
{
    point near = f->points[i], far = f->points[i + 1];
    bool is_sampled = f->grid_stride > 1;
    int more = is_sampled ? 3 : 1;
    interval in = {.low = f->points[i + 1 + more < GRID ? i + 1 + more : GRID - 1].beta,
                   .high = f->points[i > more ? i - more : 0].beta,
                   .is_open = is_sampled};
    in.start = far.beta + (near.beta - far.beta) * (-far.g / (near.g - far.g));
    if (!(in.start > in.low && in.start < in.high))
        in.start = 0.5 * (in.low + in.high);
    return in;
}

/* *root = 0: it is not in the interval, whose ends were a guess. */
static pluck_status find_root(fitter *f, interval in, double *root, pluck_error *err)
{
    double beta = in.start;
    bool is_low_known = !in.is_open, is_high_known = !in.is_open;
    *root = 0;
    f->n = 1;
    for (int step = 0; step < MAX_STEPS; step++) {
        f->points[0].beta = beta;
        pluck_status status = run_pass(f, err);
        if (status != PLUCK_OK)
            return status;
        const point *p = &f->points[0];
        if (p->g > 0) {
            in.high = beta;
            is_high_known = true;
        } else {
            in.low = beta;
            is_low_known = true;
        }
        double next = p->g == 0 ? beta : beta - p->g / p->slope;
        if ((!(next >= in.low) && !is_low_known) || (!(next <= in.high) && !is_high_known))
            return PLUCK_OK;
        if (!(next >= in.low && next <= in.high))
            next = 0.5 * (in.low + in.high);
        double moved = fabs(next - beta);
        beta = next;
        if (moved <= 1e-8 * beta)
            break;
    }
    *root = beta;
    return PLUCK_OK;
}

/* The resamples' roots, from a quick pass over betas up to four standard errors around the
 * solution. */
static pluck_status resample(fitter *f, pluck_tune_fit *fit, pluck_error *err)
{
    enum { N = RESAMPLE_NODES };
    const pluck_tune_options *o = &f->options;
    double relative = fmin(fmax(fit->standard_error / fit->temperature, 1e-4), 0.5);
    double betas[N];
    bootstrap resamples = {.n = o->n_bootstrap, .seed = o->seed};
    pluck_status status = PLUCK_OK;
    f->n = N;
    for (int i = 0; i < N; i++) {
        betas[i] = plk_exp((i - N / 2) * relative) / fit->temperature;
        f->points[i].beta = betas[i];
    }
    resamples.g = plk_alloc_zero(&f->allocator, (size_t)o->n_bootstrap * N, sizeof *resamples.g);
    if (!resamples.g)
        status = plk_fail_nomem(err, o->n_bootstrap * N * sizeof(double));
    f->resamples = &resamples;
    f->is_quick = true;
    if (status == PLUCK_OK)
        status = run_pass(f, err);
    f->is_quick = false;
    f->resamples = NULL;
    if (status == PLUCK_OK) {
        /* The interval of the root with equal tails and this level, interpolated between
         * resamples. Each root takes the place of a sum that is no longer needed. */
        for (uint32_t i = 0; i < resamples.n; i++)
            resamples.g[i] = root_of(betas, resamples.g + (size_t)i * N);
        qsort(resamples.g, resamples.n, sizeof *resamples.g, ascending);
        double low = quantile(resamples.g, resamples.n, (1 - o->level) / 2);
        double high = quantile(resamples.g, resamples.n, (1 + o->level) / 2);
        fit->low = high * o->min_t < 1 ? 1 / high : o->min_t;
        fit->high = low * o->max_t > 1 ? 1 / low : o->max_t;
    }
    plk_free(&f->allocator, resamples.g);
    return status;
}

/* How well the rows determine the solution, near which the last pass was. */
static pluck_status spread(fitter *f, pluck_tune_fit *fit, pluck_error *err)
{
    point last = f->points[0];
    double t = fit->temperature;
    if (!(last.slope > 0))
        return PLUCK_OK;
    fit->standard_error = t * t * sqrt(last.square) / last.slope;
    return f->options.n_bootstrap > 0 ? resample(f, fit, err) : PLUCK_OK;
}

static pluck_status check(pluck_tune_options *o, bool has_targets, pluck_error *err)
{
    o->min_t = o->min_t == 0 ? 0.05 : o->min_t;
    o->max_t = o->max_t == 0 ? 20 : o->max_t;
    o->level = o->level == 0 ? 0.95 : o->level;
    if (!pluck_tune_objective_name(o->objective) || (unsigned)o->half > PLUCK_TUNE_ODD)
        return plk_fail(err, PLUCK_ERR_INVALID, "objective %d, half %d: not in the enumerations",
                        (int)o->objective, (int)o->half);
    if (!(o->min_t >= 1e-3 && o->min_t < o->max_t && o->max_t <= 1e3))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "temperatures from %g to %g: they must ascend within [0.001, 1000]",
                        o->min_t, o->max_t);
    double least_value = o->objective == PLUCK_TUNE_ENTROPY ? 0 : 1;
    if (is_spread(o->objective) && !(o->value >= least_value && isfinite(o->value)))
        return plk_fail(err, PLUCK_ERR_INVALID, "%s: %g is below %g",
                        pluck_tune_objective_name(o->objective), o->value, least_value);
    if (!is_spread(o->objective) && !has_targets)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s needs targets, the tokens that followed; entropy, perplexity and "
                        "diversity do not",
                        pluck_tune_objective_name(o->objective));
    if (plk_binning_count(&o->binning) == 0 || o->n_bootstrap > 100000)
        return plk_fail(err, PLUCK_ERR_INVALID, "%u bins, %u resamples: at most %u and 100000",
                        o->binning.n, o->n_bootstrap, PLUCK_TUNE_MAX_BINS);
    if (!(o->level > 0 && o->level < 1))
        return plk_fail(err, PLUCK_ERR_INVALID, "level %g is outside (0, 1)", o->level);
    return PLUCK_OK;
}

/* *is_found = false: a grid of some of the rows did not lead to an answer of all. */
static pluck_status fit_from_grid(fitter *f, pluck_tune_fit *fit, bool *is_found, pluck_error *err)
{
    double beta = 0;
    *is_found = true;
    pluck_status status = run_grid(f, f->options.min_t, f->options.max_t, err);
    if (status != PLUCK_OK)
        return status;
    for (int i = 0; i < GRID; i++) {
        fit->grid_t[i] = 1 / f->points[i].beta;
        fit->grid_value[i] = f->points[i].value;
    }
    if (f->options.objective == PLUCK_TUNE_ECE)
        return fit_ece(f, fit, err);
    int i = bracket(f, fit);
    *is_found = i < GRID || f->grid_stride == 1;
    if (i == GRID)
        return PLUCK_OK;
    status = find_root(f, interval_at(f, i), &beta, err);
    *is_found = beta > 0;
    fit->temperature = 1 / beta;
    return status == PLUCK_OK && *is_found ? spread(f, fit, err) : status;
}

static pluck_status fit_temperature(fitter *f, pluck_tune_fit *fit, pluck_error *err)
{
    bool is_found = false;
    f->grid_stride = f->rows_expected / PLUCK_TUNE_GRID_ROWS + 1;
    if (f->options.objective == PLUCK_TUNE_ECE)
        f->grid_stride = 1;
    pluck_status status = fit_from_grid(f, fit, &is_found, err);
    if (status != PLUCK_OK || is_found)
        return status;
    f->grid_stride = 1;
    fit->limit = PLUCK_TUNE_INSIDE;
    return fit_from_grid(f, fit, &is_found, err);
}

pluck_status plk_tune_fit(const pluck_tune_data *data, const pluck_tune_options *options,
                          pluck_tune_fit *fit, pluck_error *err)
{
    fitter f = {.data = data, .options = *options};
    uint64_t rows = 0;
    pluck_status status = plk_tune_check(data, &rows, err);
    if (status == PLUCK_OK)
        status = check(&f.options, plk_tune_has_targets(data), err);
    if (status != PLUCK_OK)
        return status;
    f.allocator = plk_allocator_or_default(data->allocator);
    f.rows_expected = f.options.half == PLUCK_TUNE_ALL ? rows : (rows + 1) / 2;
    double unknown = (double)NAN;
    pluck_tune_fit found = {.standard_error = unknown, .low = unknown, .high = unknown};
    status = fit_temperature(&f, &found, err);
    if (status != PLUCK_OK)
        return status;
    found.rows = f.all_rows;
    found.n_passes = f.n_passes;
    *fit = found;
    return PLUCK_OK;
}
