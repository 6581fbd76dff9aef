/*
 * Thresholds are far from what honest data gives: a row of logits that lies in [0, 1] and adds up
 * to 1 is an accident that does not happen 32 times, and a model whose best token follows less
 * than half as often as it claims, by more than four standard errors, is worth a sentence even if
 * it is only overconfident.
 */
#include "input.h"
#include "setup.h"

#include "base/scalar_math.h"
#include "file/array_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_LOOKED_AT = 32, ROWS_SHIFTED = 256 };

typedef enum row_kind { ROW_LOGITS, ROW_PROBS, ROW_LOGPROBS, ROW_NEGATED_LOGPROBS } row_kind;

static row_kind kind_of(const double *z, uint32_t n, double tolerance)
{
    double sum = 0, low = (double)INFINITY, high = -(double)INFINITY, exp_sum = 0, negated_sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        low = fmin(low, z[i]);
        high = fmax(high, z[i]);
        sum += z[i];
        exp_sum += plk_exp(z[i]);
        negated_sum += plk_exp(-z[i]);
    }
    if (n < 2)
        return ROW_LOGITS;
    if (low >= 0 && high <= 1 && fabs(sum - 1) <= tolerance)
        return ROW_PROBS;
    if (high <= tolerance && fabs(exp_sum - 1) <= tolerance)
        return ROW_LOGPROBS;
    if (low >= -tolerance && fabs(negated_sum - 1) <= tolerance)
        return ROW_NEGATED_LOGPROBS;
    return ROW_LOGITS;
}

/* The row as doubles, and its target as the dump has it. */
static bool read_row(const source *src, uint64_t row, double *z, pluck_dump_row *read)
{
    if (pluck_dump_read(src->dump, row, src->scratch, read, NULL) != PLUCK_OK)
        return false;
    plk_widen_double(read->logits.data, read->logits.dtype, read->logits.n_vocab, z);
    return true;
}

/* The kind of all rows that are looked at; ROW_LOGITS if they differ or cannot be read: who uses
 * them reports that. */
static row_kind kind_of_rows(const source *src, uint64_t first, uint64_t end)
{
    if (src->info.streamed || first >= end)
        return ROW_LOGITS;
    double *z = malloc(src->info.n_vocab * sizeof *z);
    uint64_t n = end - first < ROWS_LOOKED_AT ? end - first : ROWS_LOOKED_AT;
    double tolerance = src->info.dtype == PLUCK_F32 ? 1e-3 : 2e-2;
    row_kind kind = ROW_LOGITS;
    for (uint64_t i = 0; z && i < n; i++) {
        pluck_dump_row read = PLUCK_INIT(pluck_dump_row);
        uint64_t row = first + (uint64_t)((double)(end - first) * (double)i / (double)n);
        row_kind here = ROW_LOGITS;
        if (read_row(src, row, z, &read))
            here = kind_of(z, src->info.n_vocab, tolerance);
        if (here == ROW_LOGITS || (i > 0 && here != kind)) {
            kind = ROW_LOGITS;
            break;
        }
        kind = here;
    }
    free(z);
    return kind;
}

/* A repetition penalty divides logits above 0 and multiplies those below. */
static bool looks_at_signs(const pluck_config *config)
{
    size_t n = config ? setup_config_info(config).n_stages : 0;
    for (size_t i = 0; i < n; i++) {
        pluck_config_stage part = setup_config_stage(config, i);
        if (strcmp(part.stage->name, "penalties") == 0 && !part.is_neutral)
            return true;
    }
    return false;
}

bool doubt_rows(const source *src, const pluck_config *config, uint64_t first, uint64_t end,
                char text[DOUBT_BYTES])
{
    row_kind kind = kind_of_rows(src, first, end);
    if (kind == ROW_PROBS)
        snprintf(text, DOUBT_BYTES,
                 "the rows look like probabilities (each between 0 and 1, with the sum 1), not "
                 "like logits; save their logarithms instead");
    if (kind == ROW_NEGATED_LOGPROBS)
        snprintf(text, DOUBT_BYTES,
                 "the rows look like negated log-probabilities (-ln p, none below 0), not like "
                 "logits; save them with the other sign");
    bool has_signs = kind == ROW_LOGPROBS && looks_at_signs(config);
    if (has_signs)
        snprintf(text, DOUBT_BYTES,
                 "the rows look like log-probabilities, which are all below 0: penalties act "
                 "differently on them than on the logits that they were made from");
    return kind == ROW_PROBS || kind == ROW_NEGATED_LOGPROBS || has_signs;
}

void warn_of_rows(const char *name, const source *src, const pluck_config *config, uint64_t first,
                  uint64_t end)
{
    char text[DOUBT_BYTES];
    if (doubt_rows(src, config, first, end, text))
        complain(EXIT_DONE, "warning: %s: %s", name, text);
}

bool doubt_targets(const target_facts *facts, char text[DOUBT_BYTES])
{
    double n = (double)facts->rows, chance = plk_log((double)facts->n_vocab);
    double error = sqrt(facts->accuracy * (1 - facts->accuracy) / n) + 1 / n;
    if (facts->rows == 0 || facts->n_vocab < 2)
        return false;
    if (facts->accuracy < facts->confidence / 2 &&
        facts->confidence - facts->accuracy > 4 * error) {
        snprintf(text, DOUBT_BYTES,
                 "the most probable token followed in %.4g%% of the rows, but its probabilities "
                 "predict %.4g%%: are the targets shifted, or of another text?",
                 100 * facts->accuracy, 100 * facts->confidence);
        return true;
    }
    double rounding = 1e-6;
    if (facts->nll > chance * (1 + rounding)) {
        snprintf(text, DOUBT_BYTES,
                 "the nll of the targets at T = 1, %.4g, is above ln(%u tokens) = %.4g, that of "
                 "chance: are the targets shifted, or of another text?",
                 facts->nll, (unsigned)facts->n_vocab, chance);
        return true;
    }
    return false;
}

void warn_of_loss(const char *name, uint64_t rows, uint32_t n_vocab, double loss)
{
    char text[DOUBT_BYTES];
    target_facts facts = {.rows = rows,
                          .n_vocab = n_vocab,
                          .nll = loss,
                          .confidence = (double)NAN,
                          .accuracy = (double)NAN};
    if (doubt_targets(&facts, text))
        complain(EXIT_DONE, "warning: %s: %s", name, text);
}

/* Sums over rows of p(target of row + shift), for the shifts 0, 1 and -1. */
typedef struct shifts {
    double p[3];
    uint64_t n;
} shifts;

static const int shift_of[3] = {0, 1, -1};

static void add_shifts(const source *src, const targets *truth, uint64_t row, double *z,
                       shifts *sums)
{
    pluck_dump_row read = PLUCK_INIT(pluck_dump_row);
    pluck_token token[3];
    double max = -(double)INFINITY, sum = 0;
    for (int k = 2; k >= 0; k--) {
        uint64_t other = row + (uint64_t)(int64_t)shift_of[k];
        if (!read_row(src, other, z, &read) ||
            targets_get(truth, other, &read, &token[k], NULL) != PLUCK_OK ||
            token[k] == PLUCK_NO_TOKEN || (uint32_t)token[k] >= src->info.n_vocab)
            return;
    }
    for (uint32_t i = 0; i < src->info.n_vocab; i++)
        max = fmax(max, z[i]);
    for (uint32_t i = 0; i < src->info.n_vocab; i++)
        sum += plk_exp(z[i] - max);
    for (int k = 0; k < 3; k++)
        sums->p[k] += plk_exp(z[token[k]] - max) / sum;
    sums->n++;
}

void doubt_add_shift(const source *src, const targets *truth, uint64_t first, uint64_t end,
                     char text[DOUBT_BYTES])
{
    size_t length = strlen(text);
    shifts sums = {{0}, 0};
    if (src->info.streamed || end - first < 3)
        return;
    double *z = malloc(src->info.n_vocab * sizeof *z);
    uint64_t inner = end - first - 2, n = inner < ROWS_SHIFTED ? inner : ROWS_SHIFTED;
    for (uint64_t i = 0; z && i < n; i++)
        add_shifts(src, truth, first + 1 + (uint64_t)((double)inner * (double)i / (double)n), z,
                   &sums);
    free(z);
    if (sums.n == 0)
        return;
    int best = sums.p[1] >= sums.p[2] ? 1 : 2;
    double chance = (double)sums.n / (double)src->info.n_vocab;
    if (sums.p[best] > 2 * sums.p[0] && sums.p[best] > 4 * chance)
        snprintf(text + length, DOUBT_BYTES - length,
                 " Row r fits the target of row r %c 1 better: its mean probability is %.4g, that "
                 "of the target of row r is %.4g",
                 best == 1 ? '+' : '-', sums.p[best] / (double)sums.n, sums.p[0] / (double)sums.n);
    else
        snprintf(text + length, DOUBT_BYTES - length, " A shift by one row does not fit better");
}
