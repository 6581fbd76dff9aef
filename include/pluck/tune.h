/*
 * Temperature from data: given rows of logits and, if known, the tokens that really followed, the
 * functions here find the temperature that fits them, measure how well it is calibrated, and say
 * what truncations would do.
 *
 * With p = softmax(z / T) and y the token that followed (the target), a row has
 *   NLL         -ln p_y (perplexity: exp of the mean)
 *   Brier       the sum over i of (p_i - [i = y])^2
 *   confidence  the largest p (correct: y is the lowest token that has it)
 *   entropy     H = -sum of p ln p, in nats (effective number of tokens: exp(H))
 * and all results are means over rows. The expected calibration error (ECE; Guo et al. 2017) puts
 * rows into bins by confidence: it is the sum over bins of (rows of the bin / rows) *
 * abs(mean correct - mean confidence).
 *
 * Rows are read from front to back, several times where a function says so, on the threads of
 * data.parallel. Results do not depend on the number of threads. Memory does not grow with the
 * rows, except where a function says so. Sums over a row are in double, over exponentials in float,
 * so that means are within 3e-7 of exact ones. Results are the same bits on every instruction set.
 *
 * If there are targets, rows whose target is PLUCK_NO_TOKEN are left out. Errors name the row:
 * PLUCK_ERR_NAN and PLUCK_ERR_EMPTY as from a sampler; PLUCK_ERR_INVALID for a target that is not a
 * token or has a logit of -inf. PLUCK_ERR_INVALID is also returned if no row is left, if the
 * numbers of rows and targets differ, and for a dump that is streamed, because it can be read only
 * once.
 */
#ifndef PLUCK_TUNE_H
#define PLUCK_TUNE_H

#include <pluck/base.h>
#include <pluck/dump.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The rows, their targets, and who reads them. Everything is borrowed for the call. */
typedef struct pluck_tune_data {
    size_t struct_size; /* PLUCK_INIT(pluck_tune_data) */
    pluck_dump *dump;
    pluck_targets *targets; /* one for each row of the dump; NULL: those in the dump, if any */
    uint64_t first, end;    /* rows first to end - 1, at least one; both 0: all rows */
    const pluck_parallel *parallel; /* NULL: the calling thread alone */
    pluck_isa isa;

    /* Called from the calling thread after each group of rows, with the number of rows done and
     * the total over all passes. The total is an estimate, because the number of passes is not
     * known at the start. NULL: not called. */
    void (*progress)(void *user, uint64_t done, uint64_t total);
    void *user;

    /* For the memory of the call, used on the calling thread only. NULL: malloc and free. */
    const pluck_allocator *allocator;
} pluck_tune_data;

/* How rows are put into bins by confidence. With all fields zero there are 15 bins of equal width
 * on (0, 1]; each contains its upper end but not its lower end. */
typedef struct pluck_tune_binning {
    uint32_t n;       /* 0: 15; at most PLUCK_TUNE_MAX_BINS */
    bool closed_left; /* [low, high), the last [low, 1] */

    /* The same number of rows in each bin (adaptive ECE; Nixon et al. 2019), by ascending
     * confidence; the first (rows mod n) bins have one more. Takes 8 bytes per row and
     * temperature. */
    bool equal_mass;
} pluck_tune_binning;

#define PLUCK_TUNE_MAX_BINS 1000u

typedef struct pluck_tune_bin {
    double low, high; /* equal mass: smallest and largest confidence in the bin */
    uint64_t rows;
    double confidence, accuracy; /* means; 0 if rows is 0 */
} pluck_tune_bin;

/* Means over rows at one temperature. nll, brier, ece and accuracy are NaN without targets. */
typedef struct pluck_tune_stats {
    double temperature;
    uint64_t rows;
    double entropy, effective, confidence;
    double nll, brier, ece, accuracy;
} pluck_tune_stats;

/* One row at one temperature. Without targets nll and brier are NaN and is_correct is false. */
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
    pluck_tune_stats *stats; /* [n] results; NULL: not wanted */
    pluck_tune_bin *bins;    /* [n times the number of bins] results; NULL: not wanted */

    /* Called from the calling thread for each row, in order, with its n measurements. NULL: not
     * called. */
    void (*row)(void *user, uint64_t row, const pluck_tune_row *measured);
    void *user;
} pluck_tune_request;

/* Measures all temperatures in one pass. On failure stats and bins are unchanged; request->row may
 * have been called. */
PLUCK_API pluck_status pluck_tune_measure(const pluck_tune_data *data,
                                          const pluck_tune_request *request, pluck_error *err);

/* What a fit looks for: the temperature at which a mean is smallest (nll, ece, brier), or the one
 * at which a quantity has a given value (entropy, perplexity, diversity). */
typedef enum pluck_tune_objective {
    PLUCK_TUNE_NLL = 0, /* minimises the mean NLL: maximum likelihood, convex in 1/T */
    /* Minimises ECE. ECE is not continuous in T, so three grids are searched, each finer than the
     * last. */
    PLUCK_TUNE_ECE = 1,
    PLUCK_TUNE_BRIER = 2,      /* minimises the mean Brier score */
    PLUCK_TUNE_ENTROPY = 3,    /* mean entropy = value, in nats */
    PLUCK_TUNE_PERPLEXITY = 4, /* exp(mean entropy) = value */
    PLUCK_TUNE_DIVERSITY = 5   /* mean of exp(entropy) = value, the effective number of tokens */
} pluck_tune_objective;

/* "nll", "ece", "brier", "entropy", "perplexity" or "diversity"; NULL outside the enumeration. */
PLUCK_API const char *pluck_tune_objective_name(pluck_tune_objective objective);

/* Which rows a fit uses, counted from data.first. */
typedef enum pluck_tune_half {
    PLUCK_TUNE_ALL = 0,
    PLUCK_TUNE_EVEN = 1,
    PLUCK_TUNE_ODD = 2
} pluck_tune_half;

typedef struct pluck_tune_options {
    size_t struct_size; /* PLUCK_INIT(pluck_tune_options) */
    pluck_tune_objective objective;
    double value;         /* the value to reach: entropy >= 0, perplexity and diversity >= 1 */
    double min_t, max_t;  /* range of T, within [1e-3, 1e3]; 0: 0.05 and 20 */
    pluck_tune_half half; /* for cross-validation: fit to one half, measure the other */
    pluck_tune_binning binning;
    uint32_t n_bootstrap; /* resamples for the interval, up to 100000; 0: no interval */
    double level;         /* of the interval; 0: 0.95 */
    uint64_t seed;        /* of the resamples */
} pluck_tune_options;

/* Whether the best temperature is inside the range. */
typedef enum pluck_tune_limit {
    PLUCK_TUNE_INSIDE = 0,
    PLUCK_TUNE_AT_MIN = 1, /* a lower T would be better; nll: the targets are separable */
    PLUCK_TUNE_AT_MAX = 2  /* a higher T would be better; nll: the logits are worse than chance */
} pluck_tune_limit;

#define PLUCK_TUNE_GRID      33   /* temperatures of the first pass */
#define PLUCK_TUNE_GRID_ROWS 4096 /* rows that it uses at most, evenly spread; ece: all rows */

typedef struct pluck_tune_fit {
    size_t struct_size; /* PLUCK_INIT(pluck_tune_fit) */
    double temperature;
    pluck_tune_limit limit; /* not INSIDE: temperature is min_t or max_t */
    double standard_error;  /* of temperature; NaN at a limit and for ece */
    double low, high;       /* the interval; NaN at a limit, for ece and without resamples */
    uint64_t rows;          /* rows that the fit used */
    uint32_t n_passes;      /* number of times that they were read */
    double grid_t[PLUCK_TUNE_GRID];     /* ascending, logarithmically even from min_t to max_t */
    double grid_value[PLUCK_TUNE_GRID]; /* nll, ece, brier, or the quantity that meets value */
} pluck_tune_fit;

/*
 * Finds the temperature that serves the objective best. One pass over a grid of temperatures, which
 * uses a part of the rows of a large dump, says where to look. A second pass, over all rows at some
 * temperatures there, finds the answer to about 1e-7, and a third one, at that temperature, to
 * 1e-10. Only if the first pass was misled are there more. For ece all passes are grids.
 *
 * The standard error is the sandwich estimate. The interval is made of percentiles of the solutions
 * for resamples of the rows, in which each row counts a Poisson(1) number of times (Hanley,
 * MacGibbon 2006); they are computed in the third pass. Both treat rows as independent, which
 * positions of one text are only approximately. options may be NULL. On failure *fit is unchanged.
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

/* The name of the stage, which is also its flat key: "top_p", "min_p", "top_k" or "top_n_sigma".
 * NULL outside the enumeration. */
PLUCK_API const char *pluck_tune_cut_name(pluck_tune_cut_kind kind);

/* What one truncation, used alone with one setting, would do: means over rows. */
typedef struct pluck_tune_cut {
    pluck_tune_cut_kind kind;
    double setting;     /* given: the parameter of the stage */
    double target_kept; /* result: fraction of rows whose target survives; NaN without targets */
    double tokens_kept; /* result: number of tokens that survive */
    double mass_kept;   /* result: their probability before the truncation */
} pluck_tune_cut;

/*
 * Fills in the results of n cuts, n >= 0, at one temperature and, unless needed is NULL, finds for
 * each kind the tightest setting with which the target survives in at least the fraction keep of
 * the rows, 0 < keep <= 1. needed has PLUCK_TUNE_N_CUT_KINDS entries, indexed by kind, and requires
 * targets. The tightest setting is the smallest one for top_p, top_k and top_n_sigma, and the
 * largest one for min_p. It is computed from the rows whose targets are hardest to keep. Except for
 * top_k it is moved by about 1e-6 to the safe side, because at the exact number rounding would
 * decide. The function takes one pass, which sorts each row, and 32 (1 - keep) bytes per row. On
 * failure the outputs are unchanged.
 */
PLUCK_API pluck_status pluck_tune_cuts(const pluck_tune_data *data, double temperature,
                                       pluck_tune_cut *cuts, size_t n, double keep, double *needed,
                                       pluck_error *err);

/*
 * Comparing two distributions over the same tokens: of two models, of a model and its quantised
 * form, or of one model under two configurations.
 */

/* The number of tokens whose ranks pluck_comparison.rank_correlation compares. */
#define PLUCK_COMPARE_RANKS 100

/* p = softmax(a), q = softmax(b); natural logarithms. */
typedef struct pluck_comparison {
    size_t struct_size; /* PLUCK_INIT(pluck_comparison) */

    /* Kullback-Leibler divergences KL(p || q) = sum of p ln(p / q), and KL(q || p). INFINITY if a
     * token that one distribution allows is banned (-inf) in the other. Tokens with p = 0 add 0. */
    double kl_ab, kl_ba;
    double total_variation; /* sum of |p - q| / 2, in [0, 1] */
    double entropy_a, entropy_b;

    /* Spearman's rank correlation over the PLUCK_COMPARE_RANKS most probable tokens of a (among
     * equal ones the lower ids; all allowed tokens if there are fewer). They are ranked among
     * themselves in a and in b; tied tokens share their mean rank. NAN for fewer than two tokens,
     * and if all of them are tied in a or in b. */
    double rank_correlation;

    pluck_token top_a, top_b; /* most probable tokens; among equal ones the lowest id */
    double top_prob_a, top_prob_b;
    uint32_t n_only_a, n_only_b; /* number of tokens that only a, or only b, allows */

    /* -ln p and -ln q of the target; NAN without a target, INFINITY where it is banned. */
    double nll_a, nll_b;

    /* kept_a is the total probability, in a, of the tokens that b allows; kept_b that, in b, of the
     * tokens that a allows. Exactly 1 if all are allowed. If b is a truncation of a, the divergence
     * is infinite, and kept_a says how much of a the truncation keeps. */
    double kept_a, kept_b;
} pluck_comparison;

/*
 * Compares two rows of the same n_vocab and any types. target is the token that really followed; a
 * negative number means none. Sums are in double, in blocks: if the divergence is finite, the
 * result is within 1e-12, plus 1e-12 relative, of the exact one for the stored values.
 * PLUCK_ERR_NAN for NaN and +inf, PLUCK_ERR_EMPTY for a row that allows no token. On failure
 * *result is unchanged. Allocates nothing. Many threads may call it at once.
 */
PLUCK_API pluck_status pluck_compare_rows(pluck_logits a, pluck_logits b, pluck_token target,
                                          pluck_comparison *result, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
