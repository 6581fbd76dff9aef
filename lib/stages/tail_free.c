/*
 * tail_free: sorts the probabilities and cuts where their curve has become straight: the absolute
 * second differences, normalised to 1 and added up from the best token on, exceed z. The last token
 * falls in any case, as in the original. Exponentials are taken in double, since second differences
 * cancel.
 *
 * Only a head of the best tokens is sorted, as long as it decides. With p[0] >= p[1] >= ... >=
 * p[n - 1] and the gaps g[j] = p[j] - p[j + 1] >= 0, a second difference is abs(g[j] - g[j + 1]) <=
 * g[j] + g[j + 1], and gaps telescope:
 *
 *     sum over j = i .. n - 3 of abs(g[j] - g[j + 1]) <= p[i] + p[i + 1] <= 2 p[i].
 *
 * If S is the sum of the differences within the m best tokens, the whole sum lies in [S, S + 2
 * p[m - 2]]. The cut is the first token whose partial sum exceeds z times the whole. If it is the
 * same one for both ends of the interval, it is the cut; else the head becomes four times as long,
 * and in the end holds all tokens. At z = 0.95 some hundred to some thousand tokens of real rows
 * decide; when z comes nearer to 1 than 0.99, more and more rows are sorted whole.
 *
 * The answer is that of the whole sort, to the last bit. Partial sums are added in the same order,
 * adding a number >= 0 never lowers a rounded sum, and z times a sum rounds monotonically, so S is
 * a lower bound of the computed whole sum as it is. The upper one has to allow for roundings.
 * Exponentials are off by 2^-52 of themselves, so computed gaps by 2^-51 p[j], and all differences
 * beyond the head together by n 2^-50 p[m - 2] <= 2^-26 p[m - 2], as n <= 2^24; n additions change
 * the sum by a factor of at most (1 + 2^-53)^n < 1 + 2^-28. A factor 1 + 2^-20 covers everything,
 * and a summand of 2^-1000 the errors of subnormal exponentials.
 */
#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"
#include "stages/stage_impl.h"

#include <math.h>

typedef struct tail_free_params {
    double z;
} tail_free_params;

static bool is_neutral(const void *params)
{
    return ((const tail_free_params *)params)->z == 1.0;
}

/* Absolute second differences (up to a common factor) of the sorted keys, added up from the best
 * token on. */
typedef struct differences {
    const plk_view *view;
    double first, second; /* exponentials of tokens n_within and n_within + 1 */
    double sum;
    uint32_t n_within; /* how many were added before the sum exceeded the limit */
} differences;

static double exponential(const plk_view *view, uint32_t rank)
{
    return plk_exp(plk_view_below_max(view, plk_key_logit(view->scratch->keys[rank])));
}

static differences differences_make(const plk_view *view)
{
    return (differences){
        .view = view, .first = exponential(view, 0), .second = exponential(view, 1)};
}

/* Goes on over the first n keys until the sum exceeds limit. */
static void add_differences(differences *d, uint32_t n, double limit)
{
    for (; d->n_within + 2 < n; d->n_within++) {
        double third = exponential(d->view, d->n_within + 2);
        d->sum += fabs((third - d->second) - (d->second - d->first));
        if (d->sum > limit)
            break;
        d->first = d->second;
        d->second = third;
    }
}

/* An upper bound of the whole sum: head holds the differences of the tokens up to head->second. */
static double whole_at_most(const differences *head)
{
    double margin = 1.0 + 0x1p-20, subnormal = 0x1p-1000;
    return (head->sum + 2.0 * head->first * margin + subnormal) * margin;
}

/* How many differences are within z of the whole sum. */
static uint32_t find_cut(const plk_view *view, double z)
{
    enum { FIRST = 128, GROWTH = 4 };
    uint32_t n_vocab = view->scratch->n_vocab, n_sorted = FIRST;
    uint32_t n = plk_view_best(view, n_sorted);
    if (n <= 2)
        return 0;
    differences head = differences_make(view);
    for (;;) {
        add_differences(&head, n, (double)INFINITY);
        differences cut = differences_make(view);
        add_differences(&cut, n, z * head.sum);
        bool whole = n < n_sorted || n_sorted >= n_vocab;
        if (whole || cut.sum > z * whole_at_most(&head))
            return cut.n_within;
        n_sorted = n_sorted < n_vocab / GROWTH ? n_sorted * GROWTH : n_vocab;
        n = plk_view_best(view, n_sorted);
    }
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    (void)state;
    (void)context;
    (void)err;
    plk_view_keep_top(view, find_cut(view, ((const tail_free_params *)params)->z) + 1);
    return PLUCK_OK;
}

static const pluck_param params[] = {
    {
        .name = "z",
        .flat_key = "tfs_z",
        .type = PLUCK_PARAM_NUMBER,
        .min = 0,
        .max = 1,
        .default_value = 1,
        .neutral = 1,
        .summary = "share of the total curvature to keep; 1 keeps all tokens",
        .offset_bytes = offsetof(tail_free_params, z),
    },
};

const plk_stage plk_stage_tail_free = {
    .info =
        {.name = "tail_free",
         .kind = PLUCK_STAGE_TRUNCATE,
         .summary = "cuts the tail where the curve of sorted probabilities becomes straight",
         .formula = "token i + 1 stays while the sum of abs(p[j] - 2 p[j+1] + p[j+2]), j <= i, is "
                    "<= z of the whole",
         .source =
             "Phénix, Egan: Tail Free Sampling (2019); text-generation-webui, TailFreeLogitsWarper",
         .params = params,
         .n_params = sizeof params / sizeof *params,
         .params_size_bytes = sizeof(tail_free_params),
         .cost = "sorts the tokens that decide, exponentials in double; z near 1: all tokens"},
    .is_neutral = is_neutral,
    .apply = apply,
};
