/*
 * What tune found out about a dump, and its notations.
 */
#ifndef CLI_TUNING_H
#define CLI_TUNING_H

#include "input.h"
#include "setup.h"

#include <pluck/tune.h>

/* What tune and report ask for. */
typedef struct tuning_flags {
    call call;
    input_flags input;
    config_flags config;
    const char *rows, *targets, *isa, *objective;
    uint64_t threads, bins, bootstrap;
    double keep;
    int bin_edges, truncate;
    bool equal_mass, cross_validate, no_curves;
} tuning_flags;

enum { TUNING_PARTS = 10, TUNING_CUTS = 32, TUNING_WARNINGS = 8 };

typedef struct tuning {
    const tuning_flags *flags;
    const char *name; /* of the dump, in messages */
    source src;
    targets truth;
    pluck_tune_data data;
    pluck_pool *pool; /* of data.parallel */
    pluck_config *config;
    progress bar;

    pluck_tune_options options;
    double keep;

    bool has_targets;
    pluck_tune_fit fit;
    pluck_tune_stats stats[2]; /* T = 1, the fitted one */
    pluck_tune_bin *bins;      /* of both, one after the other; then the held-out ones */
    uint32_t n_bins;           /* of one */
    pluck_tune_stats parts[TUNING_PARTS][2]; /* over consecutive rows, at the same temperatures */
    size_t n_parts;

    bool has_folds; /* fold h: fitted to the rows of half h + 1, measured on the others */
    pluck_tune_fit folds[2];
    pluck_tune_stats held_out[2]; /* means of both folds: T = 1, the fitted ones */

    bool has_cuts;
    pluck_tune_cut cuts[TUNING_CUTS];
    double needed[PLUCK_TUNE_N_CUT_KINDS]; /* with targets */

    /* false: the fit ended at an end of its range, or --truncate would cut nothing off. */
    bool has_answer;
    char warnings[TUNING_WARNINGS][DOUBT_BYTES];
    size_t n_warnings;
} tuning;

/* Opens what the arguments name and checks them, reads the dump, closes. tuning_close() is due
 * after the others even if they failed. */
int tuning_open(tuning *t, const tuning_flags *flags, const char *path);
int tuning_run(tuning *t);
void tuning_close(tuning *t);

/* Decides has_answer, and warns of what is doubtful about the rows, when they have been opened, and
 * about the answer, when there is one: on standard error, and in the list of warnings. */
void tuning_doubt_rows(tuning *t);
void tuning_doubt_answer(tuning *t);

/* The first row of part i of n_parts; of part n_parts, the end of the rows. */
uint64_t tuning_part_first(const tuning *t, size_t n_parts, size_t i);

/* Whether this setting keeps every token. */
bool tuning_is_off(const tuning *t, pluck_tune_cut_kind kind, double setting);

void tuning_print_text(const tuning *t, output *out);
void tuning_print_json(const tuning *t, output *out);
void tuning_print_csv(const tuning *t, output *out);
void tuning_print_svg(const tuning *t, output *out);

/* What charts call the fitted temperature: it is written into text or constant. */
enum { TUNING_NAME_BYTES = 32 };
const char *tuning_fitted_name(const tuning *t, char text[TUNING_NAME_BYTES]);

/* The charts of --svg; the chart of reliability refers to the points. */
typedef struct tuning_points {
    double x[2 * PLUCK_TUNE_MAX_BINS], y[2 * PLUCK_TUNE_MAX_BINS];
    uint64_t rows[2 * PLUCK_TUNE_MAX_BINS];
    char name[TUNING_NAME_BYTES];
} tuning_points;

chart tuning_chart_of_curve(const tuning *t);
chart tuning_chart_of_reliability(const tuning *t, tuning_points *points);

#endif
