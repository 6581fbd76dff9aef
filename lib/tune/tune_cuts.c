/*
 * A row is sorted once, and every cut is then a prefix of it. The sort is a radix sort of the
 * logits as integers in the order of floats, three passes of 11 bits; tokens are not carried along,
 * because equal logits weigh the same and which of them is in a prefix matters for the target
 * alone, whose place is counted. Prefix sums of the exponentials are in double.
 *
 * When a target survives:
 *   top_p p        the mass before it is below p
 *   min_p p        its probability is at least p times the largest
 *   top_n_sigma n  it is at most n deviations below the best logit
 *   top_k k        fewer than k tokens come before it
 * So each row needs one number per kind, and larger numbers are harder. The tightest setting with
 * which a fraction of the targets survives is a quantile of them near the upper end, so the largest
 * few are kept.
 */
#include "tune/tune_impl.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"
#include "select/rules.h"

#include <math.h>
#include <string.h>

enum { N_KINDS = PLUCK_TUNE_N_CUT_KINDS, DIGIT_BITS = 11, N_DIGITS = 1 << DIGIT_BITS };

/* What a cut keeps of a row. */
typedef struct survivors {
    uint64_t tokens;
    double mass;
} survivors;

/* What a row says. */
typedef struct cut_result {
    double needed[N_KINDS]; /* larger: harder to keep; min_p: ln of the quotient, negated */
    survivors kept[];       /* [n] */
} cut_result;

typedef struct cutter {
    double beta;
    const pluck_tune_cut *cuts;
    size_t n;
    bool has_targets;
    uint64_t *rows;                  /* 1, in front of: */
    uint64_t *targets, *tokens;      /* [n] kept */
    plk_exact_sum *masses;           /* [n] kept */
    plk_tally_list hardest[N_KINDS]; /* the largest needs; wanted if limit is not 0 */
    pluck_tally tally;
} cutter;

/* Integers in descending order of floats; -0 and +0 are one. */
static uint32_t key_of(float x)
{
    uint32_t bits;
    float positive_zero = x + 0.0f;
    memcpy(&bits, &positive_zero, sizeof bits);
    return bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
}

static float float_of(uint32_t key)
{
    uint32_t bits = key & 0x80000000u ? key : ~key & 0x7fffffffu;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Sorts n keys ascending; the result is in one of the two buffers. */
static uint32_t *sort_keys(uint32_t *keys, uint32_t *spare, size_t n)
{
    for (unsigned shift = 0; shift < 32; shift += DIGIT_BITS) {
        uint32_t places[N_DIGITS] = {0};
        for (size_t i = 0; i < n; i++)
            places[keys[i] >> shift & (N_DIGITS - 1)]++;
        if (places[keys[0] >> shift & (N_DIGITS - 1)] == n)
            continue;
        for (uint32_t d = 0, sum = 0; d < N_DIGITS; d++) {
            uint32_t count = places[d];
            places[d] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++)
            spare[places[keys[i] >> shift & (N_DIGITS - 1)]++] = keys[i];
        uint32_t *sorted = spare;
        spare = keys;
        keys = sorted;
    }
    return keys;
}

/* A row in descending order: x[0 .. n - 1] above -inf, mass[i] of the first i + 1. */
typedef struct sorted_row {
    const float *x;
    const double *mass;
    size_t n;
    double max, deviation;
} sorted_row;

static double deviation_of(const float *x, size_t n)
{
    double sum = 0, square = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        square += ((double)x[i] - mean) * ((double)x[i] - mean);
    return sqrt(square / (double)n);
}

/* scratch: two buffers of keys, then n doubles. */
static sorted_row sort_row(const plk_tune_logits *row, double beta, uint32_t *scratch)
{
    size_t n_padded = (size_t)row->n_blocks * PLK_BLOCK;
    double *mass = (double *)(void *)scratch;
    uint32_t *keys = scratch + 2 * n_padded;
    sorted_row sorted = {.mass = mass, .max = (double)row->max};
    for (size_t i = 0; i < row->n_vocab; i++)
        if (row->x[i] > -INFINITY)
            keys[sorted.n++] = key_of(row->x[i]);
    keys = sort_keys(keys, keys + n_padded, sorted.n);
    float *x = (float *)(void *)keys;
    for (size_t i = 0; i < sorted.n; i++)
        x[i] = float_of(keys[i]);
    sorted.x = x;
    plk_exponent exponent = plk_exponent_make(row->max, beta);
    double sum = 0;
    for (size_t first = 0; first < sorted.n; first += PLK_BLOCK) {
        float e[PLK_BLOCK], padded[PLK_BLOCK];
        size_t left = sorted.n - first, n = left < PLK_BLOCK ? left : PLK_BLOCK;
        for (size_t i = 0; i < PLK_BLOCK; i++)
            padded[i] = i < n ? x[first + i] : -INFINITY;
        row->kernels->exp_values(padded, 1, exponent, e);
        for (size_t i = 0; i < n; i++) {
            sum += (double)e[i];
            mass[first + i] = sum;
        }
    }
    for (size_t i = 0; i < sorted.n; i++)
        mass[i] /= sum;
    sorted.deviation = deviation_of(x, sorted.n);
    return sorted;
}

/* How many of the logits are at least threshold. */
static size_t count_from(const sorted_row *row, double threshold)
{
    size_t low = 0, high = row->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((double)row->x[middle] >= threshold)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How many tokens top_p keeps. */
static size_t count_top_p(const sorted_row *row, double p)
{
    size_t low = 0, high = row->n - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (plk_top_p_reached(row->mass[middle], p, 1.0, 0.0))
            high = middle;
        else
            low = middle + 1;
    }
    return low + 1;
}

static size_t count_kept(const sorted_row *row, const pluck_tune_cut *cut, double beta)
{
    double setting = cut->setting;
    switch (cut->kind) {
    case PLUCK_TUNE_TOP_P:
        return setting >= 1 ? row->n : count_top_p(row, setting);
    case PLUCK_TUNE_MIN_P:
        return count_from(row, row->max + plk_min_p_offset(setting) / beta);
    case PLUCK_TUNE_TOP_K:
        return setting < 1 || setting >= (double)row->n ? row->n : (size_t)setting;
    default:
        return setting <= 0 ? row->n : count_from(row, row->max - setting * row->deviation);
    }
}

static void work(const void *user, uint64_t index, const plk_tune_logits *logits,
                 pluck_token target, uint32_t *scratch, void *result)
{
    const cutter *c = user;
    cut_result *r = result;
    (void)index;
    sorted_row row = sort_row(logits, c->beta, scratch);
    if (target >= 0) {
        float x = logits->x[target];
        double distance = row.max - (double)x;
        size_t rank = 0;
        for (size_t i = 0; i < logits->n_vocab; i++)
            rank += plk_is_better((double)logits->x[i], (uint32_t)i, (double)x, (uint32_t)target);
        r->needed[PLUCK_TUNE_TOP_P] = rank > 0 ? row.mass[rank - 1] : 0;
        r->needed[PLUCK_TUNE_MIN_P] = c->beta * distance;
        r->needed[PLUCK_TUNE_TOP_K] = (double)(rank + 1);
        r->needed[PLUCK_TUNE_TOP_N_SIGMA] = distance > 0 ? distance / row.deviation : 0;
    }
    for (size_t i = 0; i < c->n; i++) {
        size_t kept = count_kept(&row, &c->cuts[i], c->beta);
        r->kept[i].tokens = kept;
        r->kept[i].mass = row.mass[kept - 1];
    }
}

static bool keeps_target(const pluck_tune_cut *cut, const double *needed)
{
    double need = needed[cut->kind], setting = cut->setting;
    switch (cut->kind) {
    case PLUCK_TUNE_TOP_P:
        return setting >= 1 || !plk_top_p_reached(need, setting, 1.0, 0.0) || need == 0;
    case PLUCK_TUNE_MIN_P:
        return need <= -plk_min_p_offset(setting);
    case PLUCK_TUNE_TOP_K:
        return setting < 1 || need <= setting;
    default:
        return setting <= 0 || need <= setting;
    }
}

static void take(void *user, uint64_t row, const void *result)
{
    cutter *c = user;
    const cut_result *r = result;
    (void)row;
    c->rows[0]++;
    for (int kind = 0; kind < N_KINDS && c->hardest[kind].limit > 0; kind++) {
        uint64_t descending = ~plk_tally_word(r->needed[kind]);
        plk_tally_list_add(&c->tally, &c->hardest[kind], &descending);
    }
    for (size_t i = 0; i < c->n; i++) {
        c->targets[i] += c->has_targets && keeps_target(&c->cuts[i], r->needed);
        c->tokens[i] += r->kept[i].tokens;
        plk_exact_sum_add(&c->masses[i], r->kept[i].mass);
    }
}

/* The number of rows that may be lost. */
static uint64_t losable(uint64_t rows, double keep)
{
    return rows - (uint64_t)ceil(keep * (double)rows - 1e-9);
}

static void answer(cutter *c, double keep, double *needed)
{
    size_t at = (size_t)losable(c->rows[0], keep);
    for (int kind = 0; kind < N_KINDS; kind++) {
        plk_tally_list_sort(&c->hardest[kind]);
        needed[kind] = plk_tally_double(~c->hardest[kind].words[at]);
    }
    needed[PLUCK_TUNE_TOP_P] = fmin(ceil((needed[PLUCK_TUNE_TOP_P] + 5e-7) * 1e6) / 1e6, 1);
    needed[PLUCK_TUNE_TOP_N_SIGMA] = ceil((needed[PLUCK_TUNE_TOP_N_SIGMA] + 5e-7) * 1e6) / 1e6;
    needed[PLUCK_TUNE_MIN_P] = plk_exp(-needed[PLUCK_TUNE_MIN_P]) * (1 - 1e-6);
}

static pluck_status check(double temperature, const pluck_tune_cut *cuts, size_t n, double keep,
                          bool needs_targets, bool has_targets, pluck_error *err)
{
    if (!(temperature >= 1e-3 && temperature <= 1e3))
        return plk_fail(err, PLUCK_ERR_INVALID, "temperature %g is outside [0.001, 1000]",
                        temperature);
    if (n > 0 && !cuts)
        return plk_fail(err, PLUCK_ERR_INVALID, "cuts must not be NULL");
    for (size_t i = 0; i < n; i++)
        if (!pluck_tune_cut_name(cuts[i].kind) || !isfinite(cuts[i].setting))
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "cuts[%zu]: kind %d with the setting %g; expected a "
                            "pluck_tune_cut_kind and a finite setting",
                            i, (int)cuts[i].kind, cuts[i].setting);
    if (needs_targets && !(keep > 0 && keep <= 1))
        return plk_fail(err, PLUCK_ERR_INVALID, "keep = %g is outside (0, 1]", keep);
    if (needs_targets && !has_targets)
        return plk_fail(err, PLUCK_ERR_INVALID, "needed must be NULL without targets");
    return PLUCK_OK;
}

static void publish(const cutter *c, pluck_tune_cut *cuts)
{
    double rows = (double)c->rows[0];
    for (size_t i = 0; i < c->n; i++) {
        cuts[i].target_kept = c->has_targets ? (double)c->targets[i] / rows : (double)NAN;
        cuts[i].tokens_kept = (double)c->tokens[i] / rows;
        cuts[i].mass_kept = plk_exact_sum_value(&c->masses[i]) / rows;
    }
}

/* The arrays, and the sections of the tally, which is closed first. n_hardest 0: needed is not
 * wanted. */
static pluck_status cutter_open(cutter *c, uint64_t n_hardest, plk_arrays *memory, pluck_error *err)
{
    size_t n_counts = 1 + 2 * c->n;
    c->rows = plk_arrays_add_zero(memory, n_counts, sizeof *c->rows);
    c->masses = plk_arrays_add_zero(memory, c->n, sizeof *c->masses);
    pluck_status status = plk_arrays_check(memory, err);
    if (status != PLUCK_OK)
        return status;
    c->targets = c->rows + 1;
    c->tokens = c->targets + c->n;
    plk_put_f64(&c->tally.about, c->beta);
    for (size_t i = 0; i < c->n; i++) {
        plk_put_u32(&c->tally.about, c->cuts[i].kind);
        plk_put_f64(&c->tally.about, c->cuts[i].setting);
    }
    plk_tally_section_add(&c->tally, PLK_TALLY_COUNTS, c->rows, n_counts);
    plk_tally_section_add(&c->tally, PLK_TALLY_SUMS, c->masses, c->n);
    plk_tally_section_add(&c->tally, PLK_TALLY_LISTS, c->hardest, N_KINDS);
    for (int kind = 0; kind < N_KINDS && status == PLUCK_OK; kind++) {
        c->hardest[kind] = (plk_tally_list){.n_words = 1, .limit = (size_t)n_hardest};
        if (n_hardest > 0)
            status = plk_tally_list_reserve(&c->tally, &c->hardest[kind], 2 * n_hardest, err);
    }
    return status;
}

pluck_status plk_tune_cuts(const pluck_tune_data *data, double temperature, pluck_tune_cut *cuts,
                           size_t n, double keep, double *needed, pluck_error *err)
{
    uint64_t rows = 0, n_done = 0;
    pluck_status status = plk_tune_check(data, &rows, err);
    if (status != PLUCK_OK)
        return status;
    bool has_targets = plk_tune_has_targets(data);
    status = check(temperature, cuts, n, keep, needed != NULL, has_targets, err);
    if (status != PLUCK_OK)
        return status;
    plk_arrays memory = {.allocator = plk_allocator_or_default(data->allocator)};
    cutter c = {.beta = 1 / temperature, .cuts = cuts, .n = n, .has_targets = has_targets};
    plk_tune_pass pass = {.data = data,
                          .work = work,
                          .result_bytes = sizeof(cut_result) + n * sizeof(survivors),
                          .scratch_per_logit = 4,
                          .take = take,
                          .user = &c,
                          .tally = &c.tally,
                          .n_done = &n_done,
                          .total = rows};
    plk_tally_open(&c.tally, "cuts", &memory.allocator);
    /* Fewer rows than expected may be lost when some have no target: never more. */
    status = cutter_open(&c, needed ? losable(rows, keep) + 1 : 0, &memory, err);
    if (status == PLUCK_OK)
        status = plk_tune_pass_run(&pass, err);
    if (status == PLUCK_OK && c.rows[0] == 0)
        status = plk_fail(err, PLUCK_ERR_INVALID, "no row has a target; give at least one");
    if (status == PLUCK_OK)
        publish(&c, cuts);
    if (status == PLUCK_OK && needed)
        answer(&c, keep, needed);
    plk_tally_close(&c.tally);
    plk_arrays_free(&memory);
    return status;
}
