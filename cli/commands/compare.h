/*
 * What compare finds out about many rows: statistics of each measure, and the worst rows.
 */
#ifndef CLI_COMPARISON_H
#define CLI_COMPARISON_H

#include "input.h"
#include "setup.h"

#include "base/tally.h"

#include <pluck/dump.h>
#include <pluck/tune.h>

typedef struct compare_flags {
    call call;
    input_flags input;
    vocab_flags vocab;
    const char *config_a, *config_b, *rows, *targets, *isa, *output;
    uint64_t worst, threads;
    double max_kl; /* NaN: not given */
    int format;
} compare_flags;

/* What the summary needs of a row: an item of a tally, so that all of it are words. */
typedef struct compared_row {
    uint64_t row;
    double kl_ab, kl_ba, total_variation, rank_correlation;
    double kept_a, kept_b, nll_a, nll_b, top_prob_a, top_prob_b;
    int64_t top_a, top_b, target;
} compared_row;

typedef enum measure {
    MEASURE_KL_AB,
    MEASURE_KL_BA,
    MEASURE_VARIATION,
    MEASURE_RANKS,
    MEASURE_TARGET, /* change of the target's probability, b less a */
    MEASURE_KEPT_A, /* the mass of a on tokens that b allows */
    MEASURE_KEPT_B,
    N_LISTED, /* those above are lines of the summary */
    MEASURE_NLL_A = N_LISTED,
    MEASURE_NLL_B,
    MEASURE_NLL_CHANGE, /* b less a */
    N_MEASURES
} measure;

enum { N_QUANTILES = 8 };

/* The values of one measure: of the rows that have one. The mean is infinite if a value is; error
 * is its standard error. */
typedef struct series {
    uint64_t n, n_infinite;
    double mean, error, root_mean_square;
    double quantiles[N_QUANTILES]; /* as quantile_levels says; not set if n is 0 */
} series;

typedef struct comparison {
    const compare_flags *flags;
    const char *name_a, *name_b;
    uint32_t n_vocab;
    pluck_tally tally;   /* has the rows */
    plk_tally_list rows; /* of compared_row, see comparison_row() */
    token_texts texts;

    /* What comparison_finish() finds out. */
    uint64_t n_same_top;
    series measures[N_MEASURES];
    double nll_correlation;
    double confidence[2], accuracy[2]; /* of a and of b: means over the rows with a target */
    size_t n_worst;                    /* of the first rows, which are those that differ most */
    char warning[DOUBT_BYTES];         /* empty: none */
} comparison;

/* Of no rows. */
void comparison_open(comparison *all);

/* Row number i of those that were taken in, or after comparison_finish() of those that differ
 * most. */
compared_row comparison_row(const comparison *all, size_t i);

/* Takes in a row. false: memory ran out. */
bool comparison_add(comparison *all, uint64_t row, pluck_token target, const pluck_comparison *c);

/* After the last row. false: memory ran out. */
bool comparison_finish(comparison *all);

void comparison_free(comparison *all);

/* The summary. */
void compare_print_text(const comparison *all, output *out);
void compare_print_json(const comparison *all, output *out);

/* CSV with one line per row: the heading, and one row. */
table compare_print_csv_heading(const comparison *all, output *out);
void compare_print_csv_row(const comparison *all, table *t, uint64_t row, pluck_token target,
                           const pluck_comparison *c);

#endif
