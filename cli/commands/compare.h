/*
 * What compare finds out about many rows: statistics of each measure, and the worst rows.
 */
#ifndef CLI_COMPARISON_H
#define CLI_COMPARISON_H

#include "input.h"
#include "setup.h"

#include <pluck/dump.h>
#include <pluck/tune.h>

typedef struct compare_flags {
    call call;
    input_flags input;
    vocab_flags vocab;
    const char *config_a, *config_b, *rows, *targets, *isa, *output;
    uint64_t worst;
    double max_kl; /* NaN: not given */
    int format;
} compare_flags;

typedef enum measure {
    MEASURE_KL_AB,
    MEASURE_KL_BA,
    MEASURE_VARIATION,
    MEASURE_RANKS,
    MEASURE_TARGET, /* change of the target's probability, b less a */
    MEASURE_KEPT_A, /* the mass of a on tokens that b allows */
    MEASURE_KEPT_B,
    N_MEASURES
} measure;

/* The values of one measure, in the order of the rows until they are sorted. */
typedef struct series {
    double *values;
    size_t n, capacity;
    size_t n_infinite;
    double mean,
        error; /* of all values: infinite if one is; error: the standard error of the mean */
    double root_mean_square;
} series;

typedef struct worst_row {
    uint64_t row;
    pluck_token target;
    pluck_comparison c;
} worst_row;

typedef struct comparison {
    const compare_flags *flags;
    const char *name_a, *name_b;
    uint32_t n_vocab;
    uint64_t n_rows, n_same_top;
    series measures[N_MEASURES];
    series nll_a, nll_b, nll_change; /* of the rows with a target; change: b less a */
    double nll_correlation;
    double top_probs[2];       /* sums over these rows of the largest probability, of a and of b */
    uint64_t n_correct[2];     /* of these rows, those whose target has it */
    char warning[DOUBT_BYTES]; /* empty: none */
    worst_row *worst;          /* the largest KL(a || b) first */
    size_t n_worst;
    token_texts texts;
} comparison;

#define N_QUANTILES 8
extern const double quantile_levels[N_QUANTILES];

/* Takes in a row. false: memory ran out. */
bool comparison_add(comparison *all, uint64_t row, pluck_token target, const pluck_comparison *c);

/* After the last row. */
void comparison_finish(comparison *all);

void comparison_free(comparison *all);

/* The value that a part of the values is not above, by linear interpolation; level in [0, 1], the
 * series sorted and not empty. */
double series_quantile(const series *s, double level);

/* The summary. */
void compare_print_text(const comparison *all, output *out);
void compare_print_json(const comparison *all, output *out);

/* CSV with one line per row: the heading, and one row. */
table compare_print_csv_heading(const comparison *all, output *out);
void compare_print_csv_row(const comparison *all, table *t, uint64_t row, pluck_token target,
                           const pluck_comparison *c);

#endif
