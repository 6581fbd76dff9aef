/*
 * Temperature from data: rows of logits, with or without the tokens that really followed, in;
 * the temperature that fits them, how well calibrated it is, and what truncations would do, out.
 *
 * With p = softmax(z / T) and y the token that followed (the target), a row has
 *   NLL         -ln p_y                                   perplexity: exp of the mean
 *   Brier       sum over i of (p_i - [i = y])^2
 *   confidence  the largest p;  correct: y is the lowest token that has it
 *   entropy     H = -sum of p ln p, in nats;  effective: exp(H), how many equally likely tokens
 *               would be as uncertain
 * and everything below is a mean over rows. The expected calibration error (ECE; Guo et al. 2017)
 * puts rows into bins by confidence: the sum over bins of (rows of the bin / rows) *
 * abs(mean correct - mean confidence).
 *
 * Functions here read the rows of a dump from front to back, several times where said, on the
 * threads that data.parallel gives; results do not depend on how many. Memory does not grow with
 * the rows, except where said. Sums over a row are in double, over exponentials in float: means are
 * within 3e-7 of exact ones. Results are the same bits on every instruction set.
 *
 * A row is left out if there are targets, but none for it (PLUCK_NO_TOKEN). If no row is left:
 * PLUCK_ERR_INVALID. Errors name the row: PLUCK_ERR_NAN and PLUCK_ERR_EMPTY as a sampler gives
 * them, PLUCK_ERR_INVALID for a target that is no token or whose logit is -inf, for a number of
 * targets that is not the number of rows, and for a dump that is a stream (read only once).
 */
#ifndef PLUCK_TUNE_H
#define PLUCK_TUNE_H

#include <pluck/base.h>
#include <pluck/dump.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is read. All is borrowed for the call. */
typedef struct pluck_tune_data {
    size_t struct_size; /* PLUCK_INIT(pluck_tune_data) */
    pluck_dump *dump;
    pluck_targets *targets; /* one for each row of the dump; NULL: those that the dump holds */
    uint64_t first, end;    /* rows first .. end - 1; both 0: all; at least one */
    const pluck_parallel *parallel; /* NULL: the calling thread alone */
    pluck_isa isa;

    /* Called now and then from the calling thread with how many rows of how many the call has done;
     * the number of passes, and so the total, is an estimate. NULL: not called. */
    void (*progress)(void *user, uint64_t done, uint64_t total);
    void *user;

    /* Of the call's own memory, asked from the calling thread alone. NULL: malloc and free. */
    const pluck_allocator *allocator;
} pluck_tune_data;

/* How rows are put into bins by confidence. All zero: 15 equal parts of (0, 1], as (low, high]. */
typedef struct pluck_tune_binning {
    uint32_t n;       /* 0: 15; at most PLUCK_TUNE_MAX_BINS */
    bool closed_left; /* [low, high), the last [low, 1] */

    /* Equally many rows a bin (adaptive ECE; Nixon et al. 2019): by ascending confidence, and the
     * first (rows mod n) bins have one more. Takes 8 bytes a row and temperature. */
    bool equal_mass;
} pluck_tune_binning;

#define PLUCK_TUNE_MAX_BINS 1000u

typedef struct pluck_tune_bin {
    double low, high; /* equal mass: the smallest and largest confidence in it */
    uint64_t rows;
    double confidence, accuracy; /* means; 0 if rows is 0 */
} pluck_tune_bin;

/* Means over the rows at one temperature. Without targets the second half is NaN. */
typedef struct pluck_tune_stats {
    double temperature;
    uint64_t rows;
    double entropy, effective, confidence;
    double nll, brier, ece, accuracy;
} pluck_tune_stats;

/* One row at one temperature. Without targets the second half is NaN or false. */
typedef struct pluck_tune_row {
    double entropy, confidence;
    double nll, brier;
    bool is_correct;
} pluck_tune_row;

/* What pluck_tune_measure() computes. */
typedef struct pluck_tune_request {
    size_t struct_size;         /* PLUCK_INIT(pluck_tune_request) */
    const double *temperatures; /* n of them, each in [1e-3, 1e3] */
    size_t n;                   /* at least 1 */
    pluck_tune_binning binning;
    pluck_tune_stats *stats; /* out: n; NULL: not wanted */
    pluck_tune_bin *bins;    /* out: n times the number of bins; NULL: not wanted */

    /* Called from the calling thread for each row in order with its n measurements. NULL: not. */
    void (*row)(void *user, uint64_t row, const pluck_tune_row *measured);
    void *user;
} pluck_tune_request;

/* All temperatures in one pass. On failure the outputs are unchanged; rows may have been called. */
PLUCK_API pluck_status pluck_tune_measure(const pluck_tune_data *data,
                                          const pluck_tune_request *request, pluck_error *err);

/* What is made small, or met. */
typedef enum pluck_tune_objective {
    PLUCK_TUNE_NLL = 0,        /* least mean NLL: maximum likelihood; convex in 1/T */
    PLUCK_TUNE_ECE = 1,        /* least ECE: the best of three ever finer grids, for ECE jumps */
    PLUCK_TUNE_BRIER = 2,      /* least mean Brier score */
    PLUCK_TUNE_ENTROPY = 3,    /* mean entropy = value, in nats */
    PLUCK_TUNE_PERPLEXITY = 4, /* exp(mean entropy) = value */
    PLUCK_TUNE_DIVERSITY = 5   /* mean of exp(entropy) = value: so many tokens to choose from */
} pluck_tune_objective;

/* "nll", "ece", "brier", "entropy", "perplexity", "diversity"; NULL outside the enumeration. */
PLUCK_API const char *pluck_tune_objective_name(pluck_tune_objective objective);

/* Which rows a fit looks at, counted from data.first. */
typedef enum pluck_tune_half {
    PLUCK_TUNE_ALL = 0,
    PLUCK_TUNE_EVEN = 1,
    PLUCK_TUNE_ODD = 2
} pluck_tune_half;

typedef struct pluck_tune_options {
    size_t struct_size; /* PLUCK_INIT(pluck_tune_options) */
    pluck_tune_objective objective;
    double value;         /* of entropy (>= 0), perplexity and diversity (>= 1) */
    double min_t, max_t;  /* where T is looked for, within [1e-3, 1e3]; 0: 0.05 and 20 */
    pluck_tune_half half; /* for cross-validation: fit on one, measure the other */
    pluck_tune_binning binning;
    uint32_t n_bootstrap; /* resamples for the interval; 0: no interval; at most 100000 */
    double level;         /* of the interval; 0: 0.95 */
    uint64_t seed;        /* of the resamples */
} pluck_tune_options;

typedef enum pluck_tune_limit {
    PLUCK_TUNE_INSIDE = 0,
    PLUCK_TUNE_AT_MIN =
        1,                /* a lower T would be better still: with nll, the targets are separable */
    PLUCK_TUNE_AT_MAX = 2 /* a higher one would: with nll, the logits are worse than chance */
} pluck_tune_limit;

#define PLUCK_TUNE_GRID      33   /* temperatures of the first pass */
#define PLUCK_TUNE_GRID_ROWS 4096 /* of at most so many rows, evenly spread; ece: of all */

typedef struct pluck_tune_fit {
    size_t struct_size; /* PLUCK_INIT(pluck_tune_fit) */
    double temperature;
    pluck_tune_limit limit; /* other than INSIDE: temperature is min_t or max_t */
    double standard_error;  /* of temperature; NaN at a limit and for ece */
    double low, high;       /* the interval; NaN at a limit, for ece and without resamples */
    uint64_t rows;          /* that the fit looked at */
    uint32_t n_passes;      /* how often they were read */
    double grid_t[PLUCK_TUNE_GRID];     /* ascending, logarithmically even from min_t to max_t */
    double grid_value[PLUCK_TUNE_GRID]; /* nll, ece, brier, or what is to meet value */
} pluck_tune_fit;

/*
 * The temperature that serves the objective best. A grid in one pass, over some of the rows of a
 * large dump, says where to look; a safeguarded Newton iteration on 1/T, each step an exact pass
 * over all rows, ends when a step is below 1e-8 of it.
 *
 * The standard error is the sandwich estimate. The interval takes the percentiles of the solutions
 * of resamples of the rows, each row counted a Poisson(1) number of times (Hanley, MacGibbon 2006),
 * in one more pass. Both treat rows as independent, which positions of one text are not
 * quite. On failure *fit is unchanged. options may be NULL.
 */
PLUCK_API pluck_status pluck_tune_temperature(const pluck_tune_data *data,
                                              const pluck_tune_options *options,
                                              pluck_tune_fit *fit, pluck_error *err);

typedef enum pluck_tune_cut_kind {
    PLUCK_TUNE_TOP_P = 0,
    PLUCK_TUNE_MIN_P = 1,
    PLUCK_TUNE_TOP_K = 2,
    PLUCK_TUNE_TOP_N_SIGMA = 3
} pluck_tune_cut_kind;

#define PLUCK_TUNE_N_CUT_KINDS 4

/* "top_p" and so on: the stage's name and flat key; NULL outside the enumeration. */
PLUCK_API const char *pluck_tune_cut_name(pluck_tune_cut_kind kind);

/* A truncation on its own at one setting, and means over the rows of what it would do. */
typedef struct pluck_tune_cut {
    pluck_tune_cut_kind kind;
    double setting;     /* in: as the stage has it */
    double target_kept; /* out: the part of the rows whose target it keeps; NaN without targets */
    double tokens_kept; /* out: how many tokens it keeps */
    double mass_kept;   /* out: their probability before it */
} pluck_tune_cut;

/*
 * Fills in the n cuts at temperature (n may be 0), and, unless needed is NULL, the tightest setting
 * of each kind that keeps the target in at least the part keep, in (0, 1], of the rows: top_p and
 * top_n_sigma the smallest (exactly the mass before the target and its distance: a little more
 * keeps it; they are given rounded up by 1e-6), min_p the largest (rounded down alike), top_k the
 * smallest. needed has PLUCK_TUNE_N_CUT_KINDS entries and wants targets. One pass, which sorts each
 * row. Takes 32 (1 - keep) bytes a row. On failure the outputs are unchanged.
 */
PLUCK_API pluck_status pluck_tune_cuts(const pluck_tune_data *data, double temperature,
                                       pluck_tune_cut *cuts, size_t n, double keep, double *needed,
                                       pluck_error *err);

/*
 * How far apart two distributions over the same tokens are: of two models, of a model and its
 * quantised form, or of one model under two configurations.
 */

/* Of how many tokens pluck_comparison.rank_correlation looks at the ranks. */
#define PLUCK_COMPARE_RANKS 100

/* p = softmax(a), q = softmax(b); natural logarithms. */
typedef struct pluck_comparison {
    size_t struct_size; /* PLUCK_INIT(pluck_comparison) */

    /* Kullback-Leibler divergences KL(p || q) = sum p ln(p / q) and KL(q || p): INFINITY if a token
     * that one allows is banned (-inf) in the other. Tokens with p = 0 count 0. */
    double kl_ab, kl_ba;
    double total_variation; /* sum |p - q| / 2, in [0, 1] */
    double entropy_a, entropy_b;

    /* Spearman's correlation of the ranks of the PLUCK_COMPARE_RANKS tokens that are most probable
     * in a (ties: the lower ids; all allowed ones if there are fewer): their ranks among
     * themselves in a and in b, tied ones sharing their mean rank. NAN for fewer than two tokens,
     * and where all of them are tied in a or in b. */
    double rank_correlation;

    pluck_token top_a, top_b; /* the most probable tokens; ties: the lowest id */
    double top_prob_a, top_prob_b;
    uint32_t n_only_a, n_only_b; /* tokens that only a, only b allows */

    /* -ln p and -ln q of the target; NAN without one, INFINITY where it is banned. */
    double nll_a, nll_b;

    /* The probability in a of the tokens that b allows, and in b of those that a allows: exactly 1
     * where it allows all. What a truncation leaves, which its infinite divergence does not say. */
    double kept_a, kept_b;
} pluck_comparison;

/*
 * Compares two rows of the same n_vocab, of any types; target is the token that really followed, or
 * negative for none. All sums are of doubles, in blocks: for rows whose divergence is finite the
 * result is within 1e-12 of the exact one for the stored values, plus as much relative to it.
 * PLUCK_ERR_NAN for NaN and +inf, PLUCK_ERR_EMPTY for a row that allows no token. Allocates
 * nothing; many threads may call it at once.
 */
PLUCK_API pluck_status pluck_compare_rows(pluck_logits a, pluck_logits b, pluck_token target,
                                          pluck_comparison *result, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
