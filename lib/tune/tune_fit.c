/*
 * With beta = 1/T, z the logits, y the target, E and Var under softmax(beta z):
 *   NLL         ln sum exp(beta z) - beta z_y   is convex, with slope E z - z_y and curvature Var z
 *   entropy     has the slope -beta Var z, exp(entropy) that times itself
 *   Brier       has the slope 2 (sum p^2 z - E z sum p^2 - p_y (z_y - E z))
 * so that each objective but ECE is a root of a mean over rows of some g, which rises with beta
 * (for Brier: where the minimum is). Reading the rows is what costs, so few passes with many points
 * each find the root:
 *   1. a grid of quick sums brackets it;
 *   2. exact points in the bracket, with slopes: the root of the cubic that has the values and
 *      slopes of g at the two points around it is within about 1e-7 of the root (h^4 / 384 of the
 *      fourth derivative; h, the distance of the points in ln beta, is about 0.15);
 *   3. an exact point there, from which one step of Newton's method leaves the square of that, and
 *      the nodes of the bootstrap in the same pass. Should the step be long, 3 is done again.
 * All sums over rows are exact (base/exact_sum.h), or integers: they do not depend on who added
 * which rows, and every rank goes on with the same ones (base/tally.h). ECE is a step function of T
 * and has no slope: the best point of a grid, and of two finer ones around it.
 */
#include "tune/tune_impl.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"

#include <pluck/rng.h>

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { GRID = PLUCK_TUNE_GRID, MAX_ROOT_POINTS = 9, MAX_STEPS = 60, ECE_GRIDS = 3, N_PASSES = 3 };

/*
 * How much the solution of mean g(beta) = 0 varies with the rows that happened to be there. A
 * bootstrap over rows draws each of n rows a Binomial(n, 1/n) number of times, which tends to
 * Poisson(1); independent Poisson counts need no second look at the rows and no memory for them
 * (Hanley, MacGibbon: Creating non-parametric bootstrap samples using Poisson frequencies, 2006).
 * The root of each resample is interpolated between the betas where its sum changes sign; g rises
 * smoothly, and the nodes are about a standard error apart.
 */

#define RESAMPLE_NODES 9

/* The largest weight of a row: above it the probability is below 2^-32. */
#define MAX_WEIGHT 12

/*
 * Weighted sums of g at a few betas in each resample, in constant memory. They are integers, in
 * units of 2^-n_unit_bits, so that they too do not depend on the order of the rows. With s the root
 * of the mean square of g, the sum of |g| over n rows is at most n s; the unit is about s 2^-52 n,
 * which leaves a sum 2^11 of room, and its rounding is below 2^-30 of the standard error.
 *
 * Whether a sum left its room is judged by the sum of the largest magnitude of each row: that does
 * not depend on the order of the rows either, as an overflow on the way would.
 */
typedef struct bootstrap {
    uint32_t n;
    uint64_t seed;
    int n_unit_bits;
    uint64_t magnitude; /* the sum over rows of the largest magnitude at a node */
    int64_t *sums;      /* [n, RESAMPLE_NODES], modulo 2^64 */
} bootstrap;

/* A Poisson(1) number from 32 uniform bits, by inversion. */
static int poisson(uint32_t bits)
{
    double u = ((double)bits + 0.5) * 0x1p-32;
    double term = 0x1.78b56362cef38p-2, sum = term; /* e^-1 */
    int k = 0;
    while (u > sum && k < MAX_WEIGHT) {
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
    uint64_t bits = 0, largest = 0, units[RESAMPLE_NODES];
    for (size_t k = 0; k < RESAMPLE_NODES; k++) {
        double scaled = nearbyint(ldexp(g[k], r->n_unit_bits));
        bool fits = fabs(scaled) <= 0x1p58;
        uint64_t magnitude = fits ? (uint64_t)fabs(scaled) : UINT64_MAX;
        largest = magnitude > largest ? magnitude : largest;
        units[k] = fits ? (uint64_t)(int64_t)scaled : 0;
    }
    plk_tally_count(&r->magnitude, largest);
    pluck_pcg64_seed(&rng, r->seed, row, 0);
    for (uint32_t i = 0; i < r->n; i++) {
        bits = i % 2 == 0 ? pluck_pcg64_next(&rng) : bits >> 32;
        uint64_t weight = (uint64_t)poisson((uint32_t)bits);
        int64_t *sums = r->sums + (size_t)i * RESAMPLE_NODES;
        for (size_t k = 0; k < RESAMPLE_NODES; k++)
            sums[k] = (int64_t)((uint64_t)sums[k] + weight * units[k]);
    }
}

/* Where g, given at the nodes, is 0; beyond them on the line through the last two. */
static double root_of(const double *betas, const int64_t *sums)
{
    double g[RESAMPLE_NODES];
    size_t i = 0;
    for (size_t k = 0; k < RESAMPLE_NODES; k++)
        g[k] = (double)sums[k];
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

/* What the rows give at one beta. */
typedef struct point {
    double beta;
    bool is_quick;
    double value;            /* of what the objective names */
    double g, slope, square; /* g, its slope, g^2 */
} point;

/* The sums of a point. */
enum { VALUE, G, SLOPE, SQUARE, N_SUMS };

typedef struct fitter {
    const pluck_tune_data *data;
    pluck_allocator allocator;
    pluck_tune_options options;
    uint64_t rows_expected, rows; /* expected in a pass; read in the last one */
    uint64_t grid_stride;         /* the grid uses every grid_stride-th row */
    uint64_t all_rows;            /* of the last pass over all */
    uint32_t n_passes;
    uint64_t n_done; /* rows that this process has read, in all passes */

    /* The pass that runs: */
    pluck_tally tally;
    point points[GRID];
    plk_exact_sum *sums; /* [GRID, N_SUMS] */
    size_t n;
    plk_calibrations calibrations; /* ECE */
    bootstrap *resamples; /* NULL except in a pass whose last points are the nodes of these */
} fitter;

static bool is_spread(pluck_tune_objective objective)
{
    return objective >= PLUCK_TUNE_ENTROPY;
}

static void work(const void *user, uint64_t row, const plk_tune_logits *logits, pluck_token target,
                 uint32_t *scratch, void *result)
{
    const fitter *f = user;
    plk_tune_moments *moments = result;
    bool is_brier = f->options.objective == PLUCK_TUNE_BRIER;
    (void)row;
    (void)scratch;
    for (size_t i = 0; i < f->n; i++) {
        if (f->points[i].is_quick)
            plk_tune_moments_quick(logits, f->points[i].beta, is_brier, &moments[i]);
        else
            plk_tune_moments_exact(logits, f->points[i].beta, is_brier, &moments[i]);
        plk_tune_moments_target(logits, target, &moments[i]);
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
        plk_exact_sum *sums = f->sums + i * N_SUMS;
        point add = {0};
        if (f->options.objective == PLUCK_TUNE_ECE) {
            plk_calibrations_add(&f->calibrations, &f->tally, i, plk_exp(-moments[i].log_z),
                                 moments[i].is_correct);
            continue;
        }
        row_of(f, &moments[i], &add);
        plk_exact_sum_add(&sums[VALUE], add.value);
        plk_exact_sum_add(&sums[G], add.g);
        plk_exact_sum_add(&sums[SLOPE], add.slope);
        plk_exact_sum_add(&sums[SQUARE], add.g * add.g);
        g[i] = add.g;
    }
    if (f->resamples)
        resamples_add(f->resamples, row, g + f->n - RESAMPLE_NODES);
}

/* The sections of the tally of a pass, and what the pass is about. */
static pluck_status open_tally(fitter *f, plk_arrays *memory, pluck_error *err)
{
    const pluck_tune_options *o = &f->options;
    bootstrap *r = f->resamples;
    plk_byte_writer *about = &f->tally.about;
    plk_tally_open(&f->tally, "fit", &f->allocator);
    plk_put_u32(about, o->objective);
    plk_put_f64(about, o->value);
    for (size_t i = 0; i < f->n; i++) {
        plk_put_f64(about, f->points[i].beta);
        plk_put_u32(about, f->points[i].is_quick);
    }
    f->rows = 0;
    plk_tally_section_add(&f->tally, PLK_TALLY_COUNTS, &f->rows, 1);
    if (o->objective == PLUCK_TUNE_ECE)
        return plk_calibrations_open(&f->calibrations, f->n, &o->binning, f->rows_expected, memory,
                                     &f->tally, err);
    memset(f->sums, 0, f->n * N_SUMS * sizeof *f->sums);
    plk_tally_section_add(&f->tally, PLK_TALLY_SUMS, f->sums, f->n * N_SUMS);
    if (!r)
        return PLUCK_OK;
    plk_put_u64(about, r->seed);
    plk_put_u32(about, (uint32_t)r->n_unit_bits);
    plk_tally_section_add(&f->tally, PLK_TALLY_COUNTS, &r->magnitude, 1);
    plk_tally_section_add(&f->tally, PLK_TALLY_INTEGERS, r->sums, (size_t)r->n * RESAMPLE_NODES);
    return PLUCK_OK;
}

/* What the sums of all rows say at point i. */
static void finish_point(fitter *f, size_t i)
{
    point *p = &f->points[i];
    const plk_exact_sum *sums = f->sums + i * N_SUMS;
    if (f->options.objective == PLUCK_TUNE_ECE) {
        p->value = plk_calibrations_finish(&f->calibrations, i, NULL);
        return;
    }
    p->value = plk_exact_sum_value(&sums[VALUE]) / (double)f->rows;
    p->g = plk_exact_sum_value(&sums[G]);
    p->slope = plk_exact_sum_value(&sums[SLOPE]);
    p->square = plk_exact_sum_value(&sums[SQUARE]);
    if (f->options.objective == PLUCK_TUNE_PERPLEXITY)
        p->value = plk_exp(p->value);
}

/* Reads all rows at the betas of the n points; then value is a mean (the ECE, exp of the mean), the
 * rest are sums. */
static pluck_status run_pass(fitter *f, pluck_error *err)
{
    plk_arrays memory = {.allocator = f->allocator};
    uint64_t expected = N_PASSES;
    f->n_passes++;
    plk_tune_pass pass = {.data = f->data,
                          .half = f->options.half,
                          .stride = f->n == GRID ? f->grid_stride : 1,
                          .work = work,
                          .result_bytes = f->n * sizeof(plk_tune_moments),
                          .take = take,
                          .user = f,
                          .tally = &f->tally,
                          .n_done = &f->n_done,
                          .total =
                              (f->n_passes > expected ? f->n_passes : expected) * f->rows_expected};
    pluck_status status = open_tally(f, &memory, err);
    if (status == PLUCK_OK)
        status = plk_tune_pass_run(&pass, err);
    if (status == PLUCK_OK && f->rows == 0)
        status = plk_fail(err, PLUCK_ERR_INVALID, "no row to fit to");
    for (size_t i = 0; status == PLUCK_OK && i < f->n; i++)
        finish_point(f, i);
    plk_tally_close(&f->tally);
    plk_arrays_free(&memory);
    if (pass.stride == 1)
        f->all_rows = f->rows;
    return status;
}

/* A quick pass over temperatures that are even in logarithm, ascending. */
static pluck_status run_grid(fitter *f, double min_t, double max_t, pluck_error *err)
{
    double step = (plk_log(max_t) - plk_log(min_t)) / (GRID - 1);
    for (int i = 0; i < GRID; i++)
        f->points[i] = (point){.beta = plk_exp(-(plk_log(min_t) + i * step)), .is_quick = true};
    f->points[0].beta = 1 / min_t;
    f->points[GRID - 1].beta = 1 / max_t;
    f->n = GRID;
    return run_pass(f, err);
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

/* The root between two points of the cubic in ln beta that has their values and slopes. */
static double cubic_root(const point *low, const point *high)
{
    double width = plk_log(high->beta) - plk_log(low->beta);
    double rise_low = width * low->beta * low->slope, rise_high = width * high->beta * high->slope;
    double left = 0, right = 1;
    for (int i = 0; i < 60; i++) {
        double s = 0.5 * (left + right), r = 1 - s;
        double value = r * r * ((1 + 2 * s) * low->g + s * rise_low) +
                       s * s * ((1 + 2 * r) * high->g - r * rise_high);
        if (value > 0)
            right = s;
        else
            left = s;
    }
    return low->beta * plk_exp(width * left);
}

/* A pass over exact points in the interval; *near is at the root then, with the sums of the point
 * next to it. near->beta = 0: the root is not in the interval, whose ends were a guess. */
static pluck_status approach_root(fitter *f, const interval *in, point *near, pluck_error *err)
{
    int n = in->is_open ? MAX_ROOT_POINTS : MAX_ROOT_POINTS / 2 + 1; /* it is twice as wide */
    double step = (plk_log(in->high) - plk_log(in->low)) / (n - 1);
    f->n = (size_t)n;
    for (int i = 0; i < n; i++)
        f->points[i] = (point){.beta = in->low * plk_exp(i * step)};
    pluck_status status = run_pass(f, err);
    if (status != PLUCK_OK)
        return status;
    const point *p = f->points;
    int best = -1;
    double nearest = (double)INFINITY;
    for (int i = 0; i + 1 < n; i++) {
        double away =
            fabs(plk_log(p[i].beta / in->start)) + fabs(plk_log(p[i + 1].beta / in->start));
        if (p[i].g <= 0 && p[i + 1].g > 0 && away < nearest) {
            nearest = away;
            best = i;
        }
    }
    if (best < 0) {
        *near = p[0].g > 0 ? p[0] : p[n - 1];
        near->beta = in->is_open ? 0 : near->beta;
        return PLUCK_OK;
    }
    double root = cubic_root(&p[best], &p[best + 1]);
    *near = root / p[best].beta < p[best + 1].beta / root ? p[best] : p[best + 1];
    near->beta = root;
    return PLUCK_OK;
}

/* The relative standard error of the root, from the sums near it; not above 0 if there is none. */
static double relative_error(const point *p)
{
    return p->slope > 0 ? sqrt(p->square) / (p->slope * p->beta) : 0;
}

static pluck_status open_resamples(const fitter *f, const point *near, bootstrap *resamples,
                                   pluck_error *err)
{
    const pluck_tune_options *o = &f->options;
    *resamples = (bootstrap){.n = o->n_bootstrap, .seed = o->seed};
    resamples->sums = plk_alloc_zero(&f->allocator, (size_t)o->n_bootstrap * RESAMPLE_NODES,
                                     sizeof *resamples->sums);
    if (!resamples->sums)
        return plk_fail_nomem(err, o->n_bootstrap * RESAMPLE_NODES * sizeof(int64_t));
    int n_square_bits = 0, n_row_bits = 0;
    (void)frexp(near->square / (double)f->rows, &n_square_bits);
    (void)frexp((double)f->rows, &n_row_bits);
    resamples->n_unit_bits = 52 - n_row_bits - n_square_bits / 2;
    return PLUCK_OK;
}

/* The interval of the root with equal tails and this level, interpolated between resamples. */
static pluck_status find_limits(const fitter *f, const bootstrap *resamples, pluck_tune_fit *fit,
                                pluck_error *err)
{
    const pluck_tune_options *o = &f->options;
    double betas[RESAMPLE_NODES];
    if (resamples->magnitude > INT64_MAX / MAX_WEIGHT)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "the losses of the rows differ by too many powers of ten for a confidence "
                        "interval; set n_bootstrap (--bootstrap) to 0");
    double *roots = plk_alloc(&f->allocator, resamples->n, sizeof *roots);
    if (!roots)
        return plk_fail_nomem(err, resamples->n * sizeof *roots);
    for (int k = 0; k < RESAMPLE_NODES; k++)
        betas[k] = f->points[1 + k].beta;
    for (uint32_t i = 0; i < resamples->n; i++)
        roots[i] = root_of(betas, resamples->sums + (size_t)i * RESAMPLE_NODES);
    qsort(roots, resamples->n, sizeof *roots, ascending);
    double low = quantile(roots, resamples->n, (1 - o->level) / 2);
    double high = quantile(roots, resamples->n, (1 + o->level) / 2);
    fit->low = high * o->min_t < 1 ? 1 / high : o->min_t;
    fit->high = low * o->max_t > 1 ? 1 / low : o->max_t;
    plk_free(&f->allocator, roots);
    return PLUCK_OK;
}

/* A pass over an exact point and, if resamples is not NULL, over nodes up to four standard errors
 * around it. *moved becomes the length of Newton's step, in ln beta. */
static pluck_status refine_root(fitter *f, const interval *in, bootstrap *resamples, point *near,
                                double *moved, pluck_error *err)
{
    double spacing = fmin(fmax(relative_error(near), 1e-4), 0.5);
    f->points[0] = (point){.beta = near->beta};
    f->n = resamples ? 1 + RESAMPLE_NODES : 1;
    for (int k = 0; k < RESAMPLE_NODES; k++) {
        double from_middle = (k - RESAMPLE_NODES / 2) * spacing;
        f->points[1 + k] = (point){.beta = near->beta * plk_exp(from_middle), .is_quick = true};
    }
    f->resamples = resamples;
    pluck_status status = run_pass(f, err);
    f->resamples = NULL;
    if (status != PLUCK_OK)
        return status;
    *near = f->points[0];
    double next = near->slope > 0 ? near->beta - near->g / near->slope : near->beta;
    if (!in->is_open)
        next = fmin(fmax(next, in->low), in->high);
    *moved = fabs(next / near->beta - 1);
    near->beta = next;
    return PLUCK_OK;
}

/* *is_found = false: it is not in the interval, whose ends were a guess. */
static pluck_status find_root(fitter *f, const interval *in, pluck_tune_fit *fit, bool *is_found,
                              pluck_error *err)
{
    point near = {0};
    bootstrap resamples = {0};
    pluck_status status = approach_root(f, in, &near, err);
    *is_found = near.beta > 0;
    if (status != PLUCK_OK || !*is_found)
        return status;
    double moved = 1;
    for (int step = 0; step < MAX_STEPS && moved > 1e-5 && status == PLUCK_OK; step++) {
        bool is_wanted = f->options.n_bootstrap > 0 && near.slope > 0;
        plk_free(&f->allocator, resamples.sums);
        resamples.sums = NULL;
        if (is_wanted)
            status = open_resamples(f, &near, &resamples, err);
        if (status == PLUCK_OK)
            status = refine_root(f, in, is_wanted ? &resamples : NULL, &near, &moved, err);
    }
    fit->temperature = 1 / near.beta;
    if (status == PLUCK_OK && near.slope > 0)
        fit->standard_error = fit->temperature * relative_error(&f->points[0]);
    if (status == PLUCK_OK && resamples.sums)
        status = find_limits(f, &resamples, fit, err);
    plk_free(&f->allocator, resamples.sums);
    return status;
}

static pluck_status check(pluck_tune_options *o, bool has_targets, pluck_error *err)
{
    o->min_t = o->min_t == 0 ? 0.05 : o->min_t;
    o->max_t = o->max_t == 0 ? 20 : o->max_t;
    o->level = o->level == 0 ? 0.95 : o->level;
    if (!pluck_tune_objective_name(o->objective) || (unsigned)o->half > PLUCK_TUNE_ODD)
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "objective %d with half %d; expected a pluck_tune_objective and a pluck_tune_half",
            (int)o->objective, (int)o->half);
    if (!(o->min_t >= 1e-3 && o->min_t < o->max_t && o->max_t <= 1e3))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "temperatures from %g to %g: they must ascend within [0.001, 1000]",
                        o->min_t, o->max_t);
    double least_value = o->objective == PLUCK_TUNE_ENTROPY ? 0 : 1;
    if (is_spread(o->objective) && !(o->value >= least_value && isfinite(o->value)))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s: the value to reach is %g; it must be finite and at least %g",
                        pluck_tune_objective_name(o->objective), o->value, least_value);
    if (!is_spread(o->objective) && !has_targets)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "%s needs targets, the tokens that followed; entropy, perplexity and "
                        "diversity do not",
                        pluck_tune_objective_name(o->objective));
    if (plk_binning_count(&o->binning) == 0 || o->n_bootstrap > 100000)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "binning.n is %u and n_bootstrap %u; they must be at most %u and 100000",
                        o->binning.n, o->n_bootstrap, PLUCK_TUNE_MAX_BINS);
    if (!(o->level > 0 && o->level < 1))
        return plk_fail(err, PLUCK_ERR_INVALID, "level %g is outside (0, 1)", o->level);
    return PLUCK_OK;
}

/* *is_found = false: a grid of some of the rows did not lead to an answer of all. */
static pluck_status fit_from_grid(fitter *f, pluck_tune_fit *fit, bool *is_found, pluck_error *err)
{
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
    interval in = interval_at(f, i);
    return find_root(f, &in, fit, is_found, err);
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
    f.sums = plk_alloc(&f.allocator, (size_t)GRID * N_SUMS, sizeof *f.sums);
    if (!f.sums)
        return plk_fail_nomem(err, GRID * N_SUMS * sizeof *f.sums);
    double unknown = (double)NAN;
    pluck_tune_fit found = {.standard_error = unknown, .low = unknown, .high = unknown};
    status = fit_temperature(&f, &found, err);
    plk_free(&f.allocator, f.sums);
    if (status != PLUCK_OK)
        return status;
    found.rows = f.all_rows;
    found.n_passes = f.n_passes;
    *fit = found;
    return PLUCK_OK;
}
