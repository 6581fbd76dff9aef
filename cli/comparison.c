/* Every value is kept, 8 bytes a measure and row, since quantiles need them all. */
#include "commands/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const double quantile_levels[N_QUANTILES] = {0.0, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999, 1.0};

static bool append(series *s, double value)
{
    if (s->n == s->capacity) {
        size_t capacity = s->capacity == 0 ? 256 : 2 * s->capacity;
        double *larger = realloc(s->values, capacity * sizeof *larger);
        if (!larger)
            return false;
        s->values = larger;
        s->capacity = capacity;
    }
    s->values[s->n++] = value;
    s->n_infinite += isinf(value) != 0;
    return true;
}

/* Whether x comes before y: the larger divergence, then the larger variation, then the first row.
 * */
static bool is_worse(const worst_row *x, const worst_row *y)
{
    if (x->c.kl_ab != y->c.kl_ab)
        return x->c.kl_ab > y->c.kl_ab;
    if (x->c.total_variation != y->c.total_variation)
        return x->c.total_variation > y->c.total_variation;
    return x->row < y->row;
}

static bool add_worst(comparison *all, const worst_row *row)
{
    size_t most = (size_t)all->flags->worst;
    if (most == 0)
        return true;
    if (!all->worst)
        all->worst = calloc(most + 1, sizeof *all->worst);
    if (!all->worst)
        return false;
    size_t at = all->n_worst;
    for (; at > 0 && is_worse(row, &all->worst[at - 1]); at--)
        all->worst[at] = all->worst[at - 1];
    all->worst[at] = *row;
    all->n_worst += all->n_worst < most;
    return true;
}

bool comparison_add(comparison *all, uint64_t row, pluck_token target, const pluck_comparison *c)
{
    worst_row candidate = {row, target, *c};
    bool added =
        append(&all->measures[MEASURE_KL_AB], c->kl_ab) &&
        append(&all->measures[MEASURE_KL_BA], c->kl_ba) &&
        append(&all->measures[MEASURE_VARIATION], c->total_variation) &&
        append(&all->measures[MEASURE_KEPT_A], c->kept_a) &&
        append(&all->measures[MEASURE_KEPT_B], c->kept_b) &&
        (isnan(c->rank_correlation) || append(&all->measures[MEASURE_RANKS], c->rank_correlation));
    if (added && target != PLUCK_NO_TOKEN)
        added = append(&all->measures[MEASURE_TARGET], exp(-c->nll_b) - exp(-c->nll_a)) &&
                append(&all->nll_a, c->nll_a) && append(&all->nll_b, c->nll_b) &&
                append(&all->nll_change,
                       isinf(c->nll_a) && isinf(c->nll_b) ? 0.0 : c->nll_b - c->nll_a);
    if (target != PLUCK_NO_TOKEN) {
        all->top_probs[0] += c->top_prob_a;
        all->top_probs[1] += c->top_prob_b;
        all->n_correct[0] += c->top_a == target;
        all->n_correct[1] += c->top_b == target;
    }
    all->n_rows++;
    all->n_same_top += c->top_a == c->top_b;
    return added && add_worst(all, &candidate);
}

/* Two passes: the mean first, then squares of what differs from it. */
static void find_moments(series *s)
{
    double sum = 0.0, squares = 0.0, around = 0.0;
    double n = (double)s->n;
    for (size_t i = 0; i < s->n; i++) {
        sum += s->values[i];
        squares += s->values[i] * s->values[i];
    }
    s->mean = s->n > 0 ? sum / n : (double)NAN;
    s->root_mean_square = s->n > 0 ? sqrt(squares / n) : (double)NAN;
    for (size_t i = 0; i < s->n; i++)
        around += (s->values[i] - s->mean) * (s->values[i] - s->mean);
    s->error = s->n > 1 ? sqrt(around / (n * (n - 1.0))) : (double)NAN;
}

static double correlation(const series *x, const series *y)
{
    double xx = 0.0, yy = 0.0, xy = 0.0;
    for (size_t i = 0; i < x->n; i++) {
        double dx = x->values[i] - x->mean, dy = y->values[i] - y->mean;
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    return xx > 0.0 && yy > 0.0 ? xy / sqrt(xx * yy) : (double)NAN;
}

static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void comparison_finish(comparison *all)
{
    find_moments(&all->nll_a);
    find_moments(&all->nll_b);
    find_moments(&all->nll_change);
    all->nll_correlation = correlation(&all->nll_a, &all->nll_b);
    for (size_t i = 0; i < N_MEASURES; i++) {
        find_moments(&all->measures[i]);
        if (all->measures[i].n > 0)
            qsort(all->measures[i].values, all->measures[i].n, sizeof(double), compare_values);
    }
}

void comparison_free(comparison *all)
{
    for (size_t i = 0; i < N_MEASURES; i++)
        free(all->measures[i].values);
    free(all->nll_a.values);
    free(all->nll_b.values);
    free(all->nll_change.values);
    free(all->worst);
    texts_close(&all->texts);
}

double series_quantile(const series *s, double level)
{
    double place = level * (double)(s->n - 1);
    size_t below = (size_t)place, above = below + 1 < s->n ? below + 1 : below;
    double part = place - (double)below, low = s->values[below], high = s->values[above];
    return part == 0.0 || low == high ? low : low + part * (high - low);
}
