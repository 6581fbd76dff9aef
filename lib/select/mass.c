/*
 * Block sums come from the kernels in one fixed order, with a relative error of 2 * 2^-24 beyond
 * that of the exponentials, and are rounded to integers: 2^-40 off at most. The largest exponential
 * is 1, so the relative error of a mass stays below 4 * 2^-24 + 2^-40 per block, 2^-29 for 131,072
 * tokens. A block whose sum is below 2^-40 has no mass: its tokens have probabilities, but the
 * normaliser does not count them.
 *
 * A pass over all exponentials is what costs most, and several askers may want the sums of the
 * logits as they came: a stage, the nucleus, the log-probabilities. So the scratch memory notes
 * them, from the opening of a view on; the numbers are those that the pass would give again. Edits
 * change few blocks: as long as the maximum is the same, the sums of all others stay.
 *
 * Entropy: with d = logit - max, Z = sum of e^d, D = sum of d e^d: H = ln Z - D / Z. No unit fits
 * all D, because d is as small as temperatures are high. So D is added in double over groups of 16
 * blocks, and exactly over groups.
 */
#include "select/mass.h"

#include "base/scalar_math.h"
#include "select/share.h"

#include <float.h>
#include <math.h>
#include <string.h>

/*
 * How exponentials are taken. The kernels are right for nearly every view. Two kinds need something
 * else.
 *   EXTREME  The kernels take x - origin as a float, which may overflow: with a scale of 2^-118 and
 *            above the exponential is then zero anyway, below it need not be. And they cap the
 *            scale at 1e38, which matters between subnormal logits. Such temperatures are served
 *            one value at a time, in double.
 *   TINY     All logits near the maximum are so small that their differences are subnormal, which
 *            processors compute a hundred times slower. Taking every logit below 2^-100 as 0
 *            changes no exponential at a scale up to 2^60, and goes back to full speed.
 */
typedef enum regime { USUAL, TINY, EXTREME } regime;

static const float tiny = 0x1p-100f;

static regime regime_of(const plk_view *view)
{
    if (view->scale < 0x1p-118 || view->scale > 1e38)
        return EXTREME;
    return fabsf(view->max) < tiny && view->scale <= 0x1p60 ? TINY : USUAL;
}

static plk_exponent exponent_of(const plk_view *view, regime how)
{
    return plk_exponent_make(how == TINY ? 0.0f : view->max, view->scale);
}

/* The next blocks for a kernel: of at most PLK_RUN_BLOCKS if they have to be made. Values below the
 * threshold become -inf in those that are made. */
static const float *tame(const float *x, float threshold, uint32_t *n_blocks, float *buffer)
{
    if (*n_blocks > PLK_RUN_BLOCKS)
        *n_blocks = PLK_RUN_BLOCKS;
    memcpy(buffer, x, *n_blocks * PLK_BLOCK * sizeof *buffer); /* x has any alignment */
    for (uint32_t i = 0; i < *n_blocks * PLK_BLOCK; i++) {
        float value = fabsf(buffer[i]) < tiny ? 0.0f : buffer[i];
        buffer[i] = buffer[i] >= threshold ? value : -INFINITY;
    }
    return buffer;
}

static double exp_one(const plk_view *view, float stored)
{
    return plk_exp(plk_view_below_max(view, stored));
}

void plk_view_exp_values(const plk_view *view, const float *x, uint32_t n_blocks, float *e)
{
    regime how = regime_of(view);
    plk_exponent exponent = exponent_of(view, how);
    float buffer[PLK_RUN_BLOCKS * PLK_BLOCK];
    if (how == USUAL)
        view->kernels->exp_values(x, n_blocks, exponent, e);
    for (uint32_t b = 0, n; how == TINY && b < n_blocks; b += n) {
        n = n_blocks - b;
        const float *tamed = tame(x + (size_t)b * PLK_BLOCK, -FLT_MAX, &n, buffer);
        view->kernels->exp_values(tamed, n, exponent, e + (size_t)b * PLK_BLOCK);
    }
    for (uint32_t i = 0; how == EXTREME && i < n_blocks * PLK_BLOCK; i++)
        e[i] = (float)exp_one(view, plk_float_at(x, i));
}

double plk_view_exp_block(const plk_view *view, const float *x, uint32_t n, float *e)
{
    regime how = regime_of(view);
    float padded[PLK_BLOCK];
    double sum;
    if (how == USUAL)
        return view->kernels->exp_block(x, n, exponent_of(view, how), e);
    for (uint32_t i = 0; i < PLK_BLOCK; i++)
        padded[i] = i < n ? plk_float_at(x, i) : -INFINITY;
    plk_view_exp_values(view, padded, 1, e);
    plk_view_exp_sums(view, padded, 1, &sum);
    return sum;
}

/* Block sums over the values >= threshold; -FLT_MAX: over all. */
static void exp_sums(const plk_view *view, const float *x, uint32_t n_blocks, float threshold,
                     double *sums)
{
    regime how = regime_of(view);
    plk_exponent exponent = exponent_of(view, how);
    float buffer[PLK_RUN_BLOCKS * PLK_BLOCK];
    if (how == USUAL && threshold == -FLT_MAX)
        view->kernels->exp_sums(x, n_blocks, exponent, sums);
    else if (how == USUAL)
        view->kernels->exp_sums_from(x, n_blocks, exponent, threshold, sums);
    for (uint32_t b = 0, n; how == TINY && b < n_blocks; b += n) {
        n = n_blocks - b;
        const float *tamed = tame(x + (size_t)b * PLK_BLOCK, threshold, &n, buffer);
        view->kernels->exp_sums(tamed, n, exponent, sums + b);
    }
    for (uint32_t b = 0; how == EXTREME && b < n_blocks; b++) {
        sums[b] = 0.0;
        for (uint32_t i = b * PLK_BLOCK; i < (b + 1) * PLK_BLOCK; i++) {
            float stored = plk_float_at(x, i);
            sums[b] += stored >= threshold ? exp_one(view, stored) : 0.0;
        }
    }
}

void plk_view_exp_sums(const plk_view *view, const float *x, uint32_t n_blocks, double *sums)
{
    exp_sums(view, x, n_blocks, -FLT_MAX, sums);
}

/* dots: of the exponentials with stored logit - max. */
static void exp_dots(const plk_view *view, const float *x, uint32_t n_blocks, double *sums,
                     double *dots)
{
    regime how = regime_of(view);
    plk_exponent exponent = exponent_of(view, how);
    float buffer[PLK_RUN_BLOCKS * PLK_BLOCK];
    if (how == USUAL)
        view->kernels->exp_dots(x, n_blocks, exponent, sums, dots);
    for (uint32_t b = 0, n; how == TINY && b < n_blocks; b += n) {
        n = n_blocks - b;
        const float *tamed = tame(x + (size_t)b * PLK_BLOCK, -FLT_MAX, &n, buffer);
        view->kernels->exp_dots(tamed, n, exponent, sums + b, dots + b);
    }
    for (uint32_t b = 0; how == EXTREME && b < n_blocks; b++) {
        sums[b] = dots[b] = 0.0;
        for (uint32_t i = b * PLK_BLOCK; i < (b + 1) * PLK_BLOCK; i++) {
            float stored = plk_float_at(x, i);
            double e = exp_one(view, stored);
            sums[b] += e;
            dots[b] += e > 0.0 ? e * ((double)stored - (double)view->max) : 0.0;
        }
    }
}

bool plk_view_is_only_edited(const plk_view *view)
{
    return !view->compact && !view->masked && !view->bent;
}

/* Whether the view still is the logits as they came, except for the scale. */
static bool is_as_it_came(const plk_view *view)
{
    return plk_view_is_only_edited(view) && view->n_edits == 0;
}

/* What is known of the mass already; 0: nothing. */
static plk_mass known_mass(const plk_view *view)
{
    const plk_scratch *w = view->scratch;
    if (!is_as_it_came(view))
        return 0;
    if (w->sums_scale == view->scale && w->sums_max == view->max)
        return w->sums_mass;
    return view->scale == 1.0 && w->unit_max == view->max ? w->unit_mass : 0;
}

static void note_mass(const plk_view *view, plk_mass mass)
{
    if (!is_as_it_came(view) || view->scale != 1.0)
        return;
    view->scratch->unit_mass = mass;
    view->scratch->unit_max = view->max;
}

static plk_mass add_up(const double *sums, size_t n)
{
    plk_mass mass = 0;
    for (size_t b = 0; b < n; b++)
        mass += plk_mass_make(sums[b]); /* vectorised by the compiler: no chain of additions */
    return mass;
}

plk_mass plk_view_mass_of(const plk_view *view, const float *x, uint32_t n_blocks, float threshold)
{
    enum { STEP = 64 };
    double sums[STEP];
    plk_mass mass = 0;
    for (uint32_t first = 0; first < n_blocks; first += STEP) {
        uint32_t n = n_blocks - first < STEP ? n_blocks - first : STEP;
        exp_sums(view, x + (size_t)first * PLK_BLOCK, n, threshold, sums);
        mass += add_up(sums, n);
    }
    return mass;
}

plk_mass plk_view_mass_of_one(const plk_view *view, float stored)
{
    float alone[PLK_BLOCK] = {stored};
    for (uint32_t i = 1; i < PLK_BLOCK; i++)
        alone[i] = -INFINITY;
    return plk_view_mass_of(view, alone, 1, -FLT_MAX);
}

static uint32_t first_block(const plk_view *view)
{
    return view->compact ? 0 : view->first_block;
}

/* Where the first blocks of a masked view end that can be read where they lie by kernels that take
 * the mask: making copies of them would cost a third of an exponential pass. */
static uint32_t masked_in_place(const plk_view *view)
{
    bool in_place = view->masked && !view->bent && !view->compact && view->n_edits == 0 &&
                    view->logits.dtype == PLUCK_F32 && regime_of(view) == USUAL;
    uint32_t whole = view->logits.n_vocab / PLK_BLOCK;
    if (!in_place)
        return first_block(view);
    return view->end_block < whole ? view->end_block : whole;
}

/* sums[b] of blocks first + b, which are in place. */
static void exp_sums_in_place(const plk_view *view, uint32_t first, uint32_t n_blocks, double *sums)
{
    const float *x = view->logits.data;
    view->kernels->exp_sums_masked(x + (size_t)first * PLK_BLOCK,
                                   view->mask + (size_t)first * (PLK_BLOCK / 32), n_blocks,
                                   exponent_of(view, USUAL), sums);
}

plk_mass plk_view_block_sums(const plk_view *view)
{
    plk_scratch *w = view->scratch;
    if (is_as_it_came(view) && w->sums_scale == view->scale && w->sums_max == view->max)
        return w->sums_mass;
    uint32_t first = first_block(view), n_in_place = masked_in_place(view) - first;
    if (n_in_place > 0)
        exp_sums_in_place(view, first, n_in_place, w->block_sums + first);
    plk_mass mass = add_up(w->block_sums + first, n_in_place);
    plk_run run;
    plk_run_init_at(&run, view, first + n_in_place);
    while (plk_run_next(&run)) {
        double *run_sums = w->block_sums + run.first_block;
        exp_sums(view, run.x, run.n_blocks, -FLT_MAX, run_sums);
        mass += add_up(run_sums, run.n_blocks);
    }
    w->sums_scale = is_as_it_came(view) ? view->scale : 0.0;
    w->sums_mass = mass;
    w->sums_max = view->max;
    note_mass(view, mass);
    return mass;
}

/* The mass of a view whose edits changed few blocks of those whose sums are noted. */
static plk_mass mass_with_edits(const plk_view *view)
{
    const plk_scratch *w = view->scratch;
    plk_mass mass = w->sums_mass;
    float buffer[PLK_BLOCK];
    for (uint32_t i = 0; i < view->n_edits;) {
        uint32_t block = view->edits[i].token / PLK_BLOCK;
        while (i < view->n_edits && view->edits[i].token / PLK_BLOCK == block)
            i++;
        mass -= plk_mass_make(w->block_sums[block]);
        mass += plk_view_mass_of(view, plk_view_block(view, block, buffer), 1, -FLT_MAX);
    }
    return mass;
}

/* Whether only edits tell the view from the logits whose sums are noted. */
static bool shares_sums(const plk_view *view)
{
    const plk_scratch *w = view->scratch;
    return plk_view_is_only_edited(view) && w->sums_scale == view->scale &&
           w->sums_max == view->max;
}

plk_mass plk_view_exp_all(const plk_view *view, float *e)
{
    const float *x = view->scratch->values;
    double *sums = view->scratch->block_sums;
    uint32_t n_blocks = plk_view_n_blocks(view);
    regime how = regime_of(view);
    if (how == USUAL) {
        view->kernels->exp_both(x, n_blocks, exponent_of(view, how), e, sums);
    } else {
        exp_sums(view, x, n_blocks, -FLT_MAX, sums);
        plk_view_exp_values(view, x, n_blocks, e);
    }
    view->scratch->sums_scale = 0.0;
    return add_up(sums, n_blocks);
}

plk_mass plk_view_mass_own(const plk_view *view)
{
    enum { STEP = 64 };
    double sums[STEP];
    plk_mass mass = known_mass(view);
    if (mass > 0)
        return mass;
    if (shares_sums(view))
        return mass_with_edits(view);
    uint32_t in_place_end = masked_in_place(view);
    for (uint32_t first = first_block(view); first < in_place_end; first += STEP) {
        uint32_t n = in_place_end - first < STEP ? in_place_end - first : STEP;
        exp_sums_in_place(view, first, n, sums);
        mass += add_up(sums, n);
    }
    plk_run run;
    plk_run_init_at(&run, view, in_place_end);
    while (plk_run_next(&run))
        mass += plk_view_mass_of(view, run.x, run.n_blocks, -FLT_MAX);
    note_mass(view, mass);
    return mass;
}

plk_mass plk_view_mass(const plk_view *view)
{
    return view->share ? plk_share_ask(view, PLK_ASKS_MASS)->mass : plk_view_mass_own(view);
}

double plk_view_normaliser(const plk_view *view)
{
    return plk_mass_value(plk_view_mass(view));
}

double plk_view_sum_from(const plk_view *view, const float *x, uint32_t n_blocks, float threshold)
{
    enum { STEP = 64 };
    double sums[STEP], total = 0.0;
    for (uint32_t first = 0; first < n_blocks; first += STEP) {
        uint32_t n = n_blocks - first < STEP ? n_blocks - first : STEP;
        exp_sums(view, x + (size_t)first * PLK_BLOCK, n, threshold, sums);
        for (uint32_t b = 0; b < n; b++)
            total += sums[b];
    }
    return total;
}

double plk_view_sum_of(const plk_view *view, const float *x, uint32_t n_blocks)
{
    return plk_view_sum_from(view, x, n_blocks, -FLT_MAX);
}

plk_mass plk_view_moment_own(const plk_view *view, plk_exact_sum *moment)
{
    enum { STEP = 64, GROUP = 16 };
    double sums[STEP], dots[STEP], of_group = 0.0;
    plk_mass mass = 0;
    plk_run run;
    plk_run_init(&run, view);
    while (plk_run_next(&run)) {
        for (uint32_t first = 0; first < run.n_blocks; first += STEP) {
            uint32_t n = run.n_blocks - first < STEP ? run.n_blocks - first : STEP;
            exp_dots(view, run.x + (size_t)first * PLK_BLOCK, n, sums, dots);
            mass += add_up(sums, n);
            for (uint32_t b = 0; b < n; b++) {
                of_group += dots[b];
                if ((run.first_block + first + b) % GROUP != GROUP - 1)
                    continue;
                plk_exact_sum_add(moment, of_group);
                of_group = 0.0;
            }
        }
    }
    plk_exact_sum_add(moment, of_group);
    note_mass(view, mass);
    return mass;
}

plk_mass plk_view_moment(const plk_view *view, plk_exact_sum *moment)
{
    if (!view->share)
        return plk_view_moment_own(view, moment);
    const plk_answer *known = plk_share_ask(view, PLK_ASKS_MOMENT);
    plk_exact_sum_merge(moment, &known->moment);
    return known->mass;
}

double plk_moment_mean(const plk_exact_sum *moment, plk_mass mass)
{
    return plk_exact_sum_value(moment) / plk_mass_value(mass);
}

double plk_moment_entropy(const plk_exact_sum *moment, plk_mass mass, double scale)
{
    double entropy = plk_log(plk_mass_value(mass)) - scale * plk_moment_mean(moment, mass);
    return entropy > 0.0 ? entropy : 0.0;
}

double plk_view_entropy(const plk_view *view, double *normaliser)
{
    plk_exact_sum moment = {.n_pending = 0};
    plk_mass mass = plk_view_moment(view, &moment);
    *normaliser = plk_mass_value(mass);
    return plk_moment_entropy(&moment, mass, view->scale);
}

double plk_view_logprob(const plk_view *view, uint32_t token)
{
    double below = plk_view_below_max(view, plk_view_stored(view, token));
    return below - plk_log(plk_view_normaliser(view));
}

/* How many stored logits are >= threshold. */
static uint32_t count_from(const plk_view *view, float threshold)
{
    uint32_t first = first_block(view), end = masked_in_place(view);
    const float *x = view->logits.data;
    size_t n = 0;
    if (end > first)
        n = view->kernels->count_masked(x + (size_t)first * PLK_BLOCK,
                                        view->mask + (size_t)first * (PLK_BLOCK / 32), end - first,
                                        threshold);
    plk_run run;
    plk_run_init_at(&run, view, end);
    while (plk_run_next(&run))
        n += view->kernels->count(run.x, run.n_blocks, threshold);
    return (uint32_t)n;
}

uint32_t plk_view_n_candidates_own(const plk_view *view)
{
    return view->compact ? view->n : count_from(view, -FLT_MAX);
}

uint32_t plk_view_n_candidates(const plk_view *view)
{
    return view->share ? plk_share_ask(view, PLK_ASKS_MOMENT)->count
                       : plk_view_n_candidates_own(view);
}

float plk_view_least(const plk_view *view)
{
    /* ln of half the smallest positive double: below it exp rounds to zero. */
    double least = -0x1.74910d52d3052p+9;
    double threshold = (double)view->max + least / view->scale;
    float at_least = threshold > -(double)FLT_MAX ? (float)threshold : -FLT_MAX;
    if ((double)at_least < threshold)
        at_least = nextafterf(at_least, INFINITY);
    return at_least;
}

uint32_t plk_view_count(const plk_view *view)
{
    float least = plk_view_least(view);
    if (!view->bent || view->n_edits > 0)
        return count_from(view, least);
    plk_view straight = *view;
    straight.bent = false;
    return count_from(&straight, plk_view_unbend(view, least));
}

double plk_view_below_max(const plk_view *view, float stored)
{
    return view->scale * ((double)stored - (double)view->max);
}

float plk_view_prob(const plk_view *view, float stored, double normaliser)
{
    double smallest = 0x1p-149;
    double p = plk_exp(plk_view_below_max(view, stored)) / normaliser;
    return (float)(p > smallest ? p : smallest);
}
