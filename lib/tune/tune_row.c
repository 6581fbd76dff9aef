/*
 * The exponentials e = exp(beta d) come from the kernels, in float; sums over them are in double.
 * The kernels round d = z - max z to float; where many logits are equal those roundings do not
 * average out, so the exact moments multiply e by 1 + beta (d - float(d)), d in double.
 *
 * A block whose largest exponential is below e^-45 is left out: all such blocks together weigh
 * less than PLUCK_MAX_VOCAB e^-45 < 5e-13 of the whole.
 */
#include "tune/tune_impl.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/scalar_math.h"

#include <math.h>
#include <string.h>

enum { CHUNK_BLOCKS = 16, N_LANES = 8 };

static const double negligible = -45;

static void widen(plk_tune_logits *row, pluck_logits logits)
{
    row->n_vocab = logits.n_vocab;
    row->n_blocks = (logits.n_vocab + PLK_BLOCK - 1) / PLK_BLOCK;
    if (logits.dtype == PLUCK_F16)
        row->kernels->widen_f16(logits.data, logits.n_vocab, row->x);
    else if (logits.dtype == PLUCK_BF16)
        row->kernels->widen_bf16(logits.data, logits.n_vocab, row->x);
    else
        memcpy(row->x, logits.data, logits.n_vocab * sizeof *row->x);
    for (size_t i = logits.n_vocab; i < (size_t)row->n_blocks * PLK_BLOCK; i++)
        row->x[i] = -INFINITY;
}

pluck_status plk_tune_logits_read(plk_tune_logits *row, pluck_logits logits, uint64_t index,
                                  pluck_error *err)
{
    widen(row, logits);
    if (row->kernels->scan_f32(row->x, row->n_blocks, row->block_max)) {
        uint32_t i = 0;
        while (row->x[i] < INFINITY)
            i++;
        return plk_fail(err, PLUCK_ERR_NAN,
                        "row %llu: the logit of token %u is %s; logits must be finite or -inf",
                        (unsigned long long)index, i, isnan(row->x[i]) ? "NaN" : "+inf");
    }
    row->max = -INFINITY;
    uint32_t best = 0;
    for (uint32_t b = 0; b < row->n_blocks; b++) {
        if (row->block_max[b] > row->max) {
            row->max = row->block_max[b];
            best = b * PLK_BLOCK;
        }
    }
    if (row->max == -INFINITY)
        return plk_fail(err, PLUCK_ERR_EMPTY, "row %llu: every logit is -inf",
                        (unsigned long long)index);
    while (row->x[best] != row->max)
        best++;
    row->best = best;
    return PLUCK_OK;
}

/* Sums over the entries in N_LANES partial sums, a fixed order that compilers can vectorise. */
typedef struct lane_sums {
    double e[N_LANES], ed[N_LANES], edd[N_LANES], ee[N_LANES], eed[N_LANES], eedd[N_LANES];
} lane_sums;

/* A block's exponentials, corrected, and differences. */
typedef struct block_terms {
    double e[PLK_BLOCK], d[PLK_BLOCK];
} block_terms;

static void find_terms(const float *x, const float *e, double max, double beta, block_terms *terms)
{
    for (size_t i = 0; i < PLK_BLOCK; i++) {
        double difference = (double)x[i] - max;
        double lost = difference - (double)(float)difference;
        /* An exponential of 0 may come from d = -inf. */
        terms->d[i] = e[i] > 0 ? difference : 0;
        terms->e[i] = e[i] > 0 ? (double)e[i] * (1 + beta * lost) : 0;
    }
}

static void add_terms(const block_terms *terms, lane_sums *sums)
{
    for (size_t i = 0; i < PLK_BLOCK; i += N_LANES) {
        for (size_t k = 0; k < N_LANES; k++) {
            double e = terms->e[i + k], ed = e * terms->d[i + k];
            sums->e[k] += e;
            sums->ed[k] += ed;
            sums->edd[k] += ed * terms->d[i + k];
        }
    }
}

static void add_squares(const block_terms *terms, lane_sums *sums)
{
    for (size_t i = 0; i < PLK_BLOCK; i += N_LANES) {
        for (size_t k = 0; k < N_LANES; k++) {
            double e = terms->e[i + k], ed = e * terms->d[i + k];
            sums->ee[k] += e * e;
            sums->eed[k] += e * ed;
            sums->eedd[k] += ed * ed;
        }
    }
}

static double total(const double *lanes)
{
    double sum = 0;
    for (size_t k = 0; k < N_LANES; k++)
        sum += lanes[k];
    return sum;
}

static bool matters(const plk_tune_logits *row, uint32_t block, double beta)
{
    return beta * ((double)row->block_max[block] - (double)row->max) > negligible;
}

void plk_tune_moments_exact(const plk_tune_logits *row, double beta, bool with_squares,
                            plk_tune_moments *moments)
{
    plk_exponent exponent = plk_exponent_make(row->max, beta);
    lane_sums sums = {{0}, {0}, {0}, {0}, {0}, {0}};
    block_terms terms;
    float e[PLK_BLOCK];
    for (uint32_t b = 0; b < row->n_blocks; b++) {
        if (!matters(row, b, beta))
            continue;
        const float *x = row->x + (size_t)b * PLK_BLOCK;
        row->kernels->exp_values(x, 1, exponent, e);
        find_terms(x, e, (double)row->max, beta, &terms);
        add_terms(&terms, &sums);
        if (with_squares)
            add_squares(&terms, &sums);
    }
    double z = total(sums.e);
    double mean = total(sums.ed) / z;
    moments->beta = beta;
    moments->log_z = plk_log(z);
    moments->mean = mean;
    moments->variance = fmax(total(sums.edd) / z - mean * mean, 0);
    /* 0 without squares, which nobody then looks at. */
    moments->square = total(sums.ee) / (z * z);
    moments->square_dot = total(sums.eed) / (z * z);
    moments->square_dot2 = total(sums.eedd) / (z * z);
}

/* The sums of e and e d over the row. */
static void quick_sums(const plk_tune_logits *row, double beta, double *sum, double *dot)
{
    plk_exponent exponent = plk_exponent_make(row->max, beta);
    double sums[CHUNK_BLOCKS], dots[CHUNK_BLOCKS];
    *sum = *dot = 0;
    for (uint32_t first = 0; first < row->n_blocks;) {
        uint32_t n = 0;
        while (n < CHUNK_BLOCKS && first + n < row->n_blocks && matters(row, first + n, beta))
            n++;
        if (n > 0)
            row->kernels->exp_dots(row->x + (size_t)first * PLK_BLOCK, n, exponent, sums, dots);
        for (uint32_t b = 0; b < n; b++) {
            *sum += sums[b];
            *dot += dots[b];
        }
        first += n > 0 ? n : 1;
    }
}

void plk_tune_moments_quick(const plk_tune_logits *row, double beta, bool with_squares,
                            plk_tune_moments *moments)
{
    double z, dot, z2 = (double)NAN, dot2 = (double)NAN;
    quick_sums(row, beta, &z, &dot);
    if (with_squares)
        quick_sums(row, 2 * beta, &z2, &dot2);
    moments->beta = beta;
    moments->log_z = plk_log(z);
    moments->mean = dot / z;
    moments->variance = (double)NAN;
    moments->square = z2 / (z * z);
    moments->square_dot = dot2 / (z * z);
    moments->square_dot2 = (double)NAN;
}

void plk_tune_moments_target(const plk_tune_logits *row, pluck_token target,
                             plk_tune_moments *moments)
{
    moments->target_d = target >= 0 ? (double)row->x[target] - (double)row->max : (double)NAN;
    moments->is_correct = target >= 0 && (uint32_t)target == row->best;
}

double plk_tune_nll(const plk_tune_moments *moments)
{
    return moments->log_z - moments->beta * moments->target_d;
}

double plk_tune_entropy(const plk_tune_moments *moments)
{
    return fmax(moments->log_z - moments->beta * moments->mean, 0);
}

double plk_tune_brier(const plk_tune_moments *moments)
{
    return moments->square - 2 * plk_exp(-plk_tune_nll(moments)) + 1;
}

/*
 * Equal width: bin b is (b/n, (b+1)/n], with edges as the division in double gives them; the
 * product with n only guesses the bin, and comparisons with the edges decide. Equal mass: all
 * confidences are kept and sorted, wrong before right among equals, so that the bins do not depend
 * on the order of rows.
 */
uint32_t plk_binning_count(const pluck_tune_binning *binning)
{
    uint32_t n = binning->n == 0 ? 15 : binning->n;
    return n <= PLUCK_TUNE_MAX_BINS ? n : 0;
}

pluck_status plk_calibrations_open(plk_calibrations *c, size_t n, const pluck_tune_binning *binning,
                                   uint64_t rows, plk_arrays *memory, pluck_tally *tally,
                                   pluck_error *err)
{
    size_t n_bins = plk_binning_count(binning), n_all = n * n_bins;
    *c = (plk_calibrations){.n_bins = (uint32_t)n_bins,
                            .closed_left = binning->closed_left,
                            .rows = plk_arrays_add_zero(memory, n_all, sizeof *c->rows),
                            .correct = plk_arrays_add_zero(memory, n_all, sizeof *c->correct),
                            .sums = plk_arrays_add_zero(memory, n_all, sizeof *c->sums)};
    if (binning->equal_mass)
        c->lists = plk_arrays_add_zero(memory, n, sizeof *c->lists);
    pluck_status status = plk_arrays_check(memory, err);
    if (status != PLUCK_OK)
        return status;
    plk_put_u32(&tally->about, c->n_bins);
    plk_put_u32(&tally->about, c->closed_left);
    if (!binning->equal_mass) {
        plk_tally_section_add(tally, PLK_TALLY_COUNTS, c->rows, n_all);
        plk_tally_section_add(tally, PLK_TALLY_COUNTS, c->correct, n_all);
        plk_tally_section_add(tally, PLK_TALLY_SUMS, c->sums, n_all);
        return PLUCK_OK;
    }
    for (size_t i = 0; i < n; i++)
        c->lists[i].n_words = 1;
    plk_tally_section_add(tally, PLK_TALLY_LISTS, c->lists, n);
    for (size_t i = 0; i < n && status == PLUCK_OK; i++)
        status = plk_tally_list_reserve(tally, &c->lists[i], rows, err);
    return status;
}

static double low_of(const plk_calibrations *c, uint32_t bin)
{
    return (double)bin / c->n_bins;
}

static uint32_t bin_of(const plk_calibrations *c, double confidence)
{
    uint32_t b = (uint32_t)(confidence * c->n_bins);
    b = b < c->n_bins ? b : c->n_bins - 1;
    if (c->closed_left) {
        while (b > 0 && confidence < low_of(c, b))
            b--;
        while (b + 1 < c->n_bins && confidence >= low_of(c, b + 1))
            b++;
    } else {
        while (b > 0 && confidence <= low_of(c, b))
            b--;
        while (b + 1 < c->n_bins && confidence > low_of(c, b + 1))
            b++;
    }
    return b;
}

static void put(plk_calibrations *c, size_t place, double confidence, bool is_correct)
{
    c->rows[place]++;
    c->correct[place] += is_correct;
    plk_exact_sum_add(&c->sums[place], confidence);
}

/* A confidence and whether it is of a correct row as a word: positive doubles are in the order of
 * their bits, of which the sign is not needed. */
static uint64_t word_of(double confidence, bool is_correct)
{
    uint64_t bits;
    memcpy(&bits, &confidence, sizeof bits);
    return bits << 1 | is_correct;
}

static double confidence_of(uint64_t word)
{
    uint64_t bits = word >> 1;
    double confidence;
    memcpy(&confidence, &bits, sizeof confidence);
    return confidence;
}

void plk_calibrations_add(plk_calibrations *c, pluck_tally *tally, size_t i, double confidence,
                          bool is_correct)
{
    uint64_t word = word_of(confidence, is_correct);
    if (c->lists)
        plk_tally_list_add(tally, &c->lists[i], &word);
    else
        put(c, i * c->n_bins + bin_of(c, confidence), confidence, is_correct);
}

/* The rows of bin b, in order. */
static const uint64_t *equal_mass_bin(const plk_tally_list *list, uint32_t b, uint32_t n_bins,
                                      size_t *n)
{
    size_t more = list->n % n_bins, first = list->n / n_bins * b + (b < more ? b : more);
    *n = list->n / n_bins + (b < more);
    return list->words + first;
}

static void fill_equal_mass(plk_calibrations *c, size_t i)
{
    plk_tally_list_sort(&c->lists[i]);
    for (uint32_t b = 0; b < c->n_bins; b++) {
        size_t n;
        const uint64_t *words = equal_mass_bin(&c->lists[i], b, c->n_bins, &n);
        for (size_t k = 0; k < n; k++)
            put(c, i * c->n_bins + b, confidence_of(words[k]), words[k] & 1);
    }
}

double plk_calibrations_finish(plk_calibrations *c, size_t i, pluck_tune_bin *bins)
{
    double error = 0;
    uint64_t n_rows = 0;
    if (c->lists)
        fill_equal_mass(c, i);
    for (uint32_t b = 0; b < c->n_bins; b++) {
        size_t place = i * c->n_bins + b, n = 0;
        double confidence = plk_exact_sum_value(&c->sums[place]);
        double correct = (double)c->correct[place], rows = (double)c->rows[place];
        pluck_tune_bin bin = {
            .low = low_of(c, b), .high = low_of(c, b + 1), .rows = c->rows[place]};
        n_rows += bin.rows;
        if (bin.rows > 0) {
            error += fabs(correct - confidence);
            bin.confidence = confidence / rows;
            bin.accuracy = correct / rows;
        }
        if (c->lists && bin.rows > 0) {
            const uint64_t *words = equal_mass_bin(&c->lists[i], b, c->n_bins, &n);
            bin.low = confidence_of(words[0]);
            bin.high = confidence_of(words[n - 1]);
        }
        if (bins)
            bins[b] = bin;
    }
    return n_rows > 0 ? error / (double)n_rows : 0;
}
