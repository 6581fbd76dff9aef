/*
 * Temperature from data. The functions here take rows of logits and, if known, the tokens that
 * really followed. They find the temperature that fits these data, measure how well the
 * probabilities at a temperature are calibrated, and say what truncations would do.
 *
 * With p = softmax(z / T) and y the token that followed (the target), a row has
 *   NLL         -ln p_y (perplexity: exp of the mean)
 *   Brier       the sum over i of (p_i - [i = y])^2
 *   confidence  the largest p (correct: y is the lowest token that has it)
 *   entropy     H = -sum of p ln p, in nats (effective number of tokens: exp(H))
 * and results are means of these over rows, unless said otherwise. For the expected calibration
 * error (ECE; Guo et al. 2017), rows are put into bins by confidence. ECE is the sum over bins of
 * (rows in the bin / all rows) * abs(fraction of correct rows in the bin - mean confidence in the
 * bin).
 *
 * Rows are read from front to back, several times where a function says so, on the threads of
 * data.parallel and by the processes of data.ranks. Results do not depend on the number of either.
 * Memory does not grow with the rows, except where a function says so. The exponentials of a row
 * are floats, and are summed in double, so that means have an error of at most 3e-7. Results have
 * the same bits on every instruction set.
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
#include <pluck/ranks.h>

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
    pluck_isa isa;                  /* the instruction set; 0: the best that is supported */

    /* Called from the calling thread after each group of rows. done counts the rows that this
     * process has read, total those that all processes will read, over all passes; total is an
     * estimate, because the number of passes is not known at the start. NULL: not called. */
    void (*progress)(void *user, uint64_t done, uint64_t total);
    void *user; /* passed to progress */

    /* For the memory of the call, used on the calling thread only. NULL: malloc and free. */
    const pluck_allocator *allocator;

    /* The processes that share the rows; every one gets the same results. The items of a pass are
     * the rows that it reads. NULL: this process alone. */
    const pluck_ranks *ranks;
} pluck_tune_data;

/* How rows are put into bins by confidence. With all fields zero there are 15 bins of equal width
 * on (0, 1]; each contains its upper end but not its lower end. */
typedef struct pluck_tune_binning {
    uint32_t n;       /* number of bins, at most PLUCK_TUNE_MAX_BINS; 0: 15 */
    bool closed_left; /* true: bins are [low, high), and the last one is [low, 1] */

    /* true: rows are sorted by ascending confidence, and each bin gets the same number of rows
     * (adaptive ECE; Nixon et al. 2019); the first (rows mod n) bins get one more. Takes 8 bytes
     * for each row at each temperature. */
    bool equal_mass;
} pluck_tune_binning;

#define PLUCK_TUNE_MAX_BINS 1000u

typedef struct pluck_tune_bin {
    double low, high; /* ends of the bin; equal_mass: least and largest confidence in it */
    uint64_t rows;
    double confidence, accuracy; /* mean, and fraction of correct rows; 0 if rows is 0 */
} pluck_tune_bin;

/* Results at one temperature: means over rows, and ece. effective is the mean of exp(entropy),
 * accuracy the fraction of correct rows. nll, brier, ece and accuracy are NaN without targets. */
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
    const double *temperatures; /* [n] each in [1e-3, 1e3] */
    size_t n;                   /* number of temperatures, at least 1 */
    pluck_tune_binning binning;
    pluck_tune_stats *stats; /* [n] results; NULL: not wanted */
    pluck_tune_bin *bins;    /* [n, number of bins] results; NULL: not wanted */

    /* Called from the calling thread for each row that this process reads, in order, with its n
     * measurements. NULL: not called. */
    void (*row)(void *user, uint64_t row, const pluck_tune_row *measured);
    void *user;

    /* [n] the temperatures of the rows with an odd number, as in pluck_tune_half: for
     * cross-validation, those that were fitted to the even rows. NULL: the same for all rows. */
    const double *odd_temperatures;

    /* Results over n_parts parts of consecutive rows, up to PLUCK_TUNE_MAX_PARTS: of N rows, part i
     * begins with row data.first + floor(N i / n_parts). A part whose rows have no target has rows
     * 0, and NaN for all means. ece is NaN. */
    size_t n_parts;          /* 0: not wanted */
    pluck_tune_stats *parts; /* [n_parts, n] results */
} pluck_tune_request;

#define PLUCK_TUNE_MAX_PARTS 1000u

/* Measures all temperatures in one pass. On failure stats, bins and parts are unchanged, but
 * request->row may have been called for some rows. */
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

/* Which rows a fit uses: all, or those with an even or odd number, where row data.first has number
 * 0. */
typedef enum pluck_tune_half {
    PLUCK_TUNE_ALL = 0,
    PLUCK_TUNE_EVEN = 1,
    PLUCK_TUNE_ODD = 2
} pluck_tune_half;

typedef struct pluck_tune_options {
    size_t struct_size; /* PLUCK_INIT(pluck_tune_options) */
    pluck_tune_objective objective;
    double value;         /* the value to reach: entropy >= 0, perplexity and diversity >= 1 */
    double min_t, max_t;  /* range of T, within [1e-3, 1e3]; 0: min_t is 0.05, max_t is 20 */
    pluck_tune_half half; /* for cross-validation: fit to one half, measure the other */
    pluck_tune_binning binning;
    uint32_t n_bootstrap; /* resamples for the interval, up to 100000; 0: no interval */
    double level;         /* confidence level of the interval, in (0, 1); 0: 0.95 */
    uint64_t seed;        /* for the random numbers of the resamples */
} pluck_tune_options;

/* Whether the best temperature is inside the range. */
typedef enum pluck_tune_limit {
    PLUCK_TUNE_INSIDE = 0,
    PLUCK_TUNE_AT_MIN = 1, /* a lower T would be better; nll: the targets are separable */
    PLUCK_TUNE_AT_MAX = 2  /* a higher T would be better; nll: the logits are worse than chance */
} pluck_tune_limit;

#define PLUCK_TUNE_GRID      33   /* number of temperatures in the first pass */
#define PLUCK_TUNE_GRID_ROWS 4096 /* most rows in the first pass, evenly spread; ece: all rows */

typedef struct pluck_tune_fit {
    size_t struct_size; /* PLUCK_INIT(pluck_tune_fit) */
    double temperature;
    pluck_tune_limit limit; /* at a limit, temperature is min_t or max_t */
    double standard_error;  /* of temperature; NaN at a limit and for ece */
    double low, high;       /* the interval; NaN at a limit, for ece and without resamples */
    uint64_t rows;          /* number of rows that the fit used */
    uint32_t n_passes;      /* number of passes over rows */
    double grid_t[PLUCK_TUNE_GRID];     /* ascending, logarithmically even from min_t to max_t */
    double grid_value[PLUCK_TUNE_GRID]; /* nll, ece, brier, or what is to reach value */
} pluck_tune_fit;

/*
 * Finds the temperature that serves the objective best. A first pass computes the objective on a
 * grid of temperatures, from a part of the rows if the dump is large, and so brackets the answer. A
 * second pass, over all rows at some temperatures in the bracket, finds ln T with an error of about
 * 1e-7; a third one, at that temperature, reduces the error to 1e-10. There are more passes only if
 * the bracket of the first one was wrong. For ece all passes are grids.
 *
 * The standard error is the sandwich estimate. The ends of the interval are percentiles of the
 * temperatures that n_bootstrap resamples of the rows give. In a resample each row counts a
 * Poisson(1) number of times (Hanley, MacGibbon 2006). Resamples are computed in the third pass.
 * Standard error and interval treat rows as independent, which positions of one text are only
 * approximately. options may be NULL. On failure *fit is unchanged.
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

/* A truncation with a setting, and what it would do if it were used alone. */
typedef struct pluck_tune_cut {
    pluck_tune_cut_kind kind;
    double setting;     /* given by the caller: the parameter of the stage */
    double target_kept; /* result: fraction of rows whose target survives; NaN without targets */
    double tokens_kept; /* result: mean number of tokens that survive */
    double mass_kept;   /* result: mean total probability, before, of the tokens that survive */
} pluck_tune_cut;

/*
 * Fills in the results of n >= 0 cuts at one temperature. Unless needed is NULL, it also finds for
 * each kind the tightest setting with which the target survives in at least the fraction keep of
 * the rows, 0 < keep <= 1. needed gets PLUCK_TUNE_N_CUT_KINDS settings, indexed by kind, and
 * requires targets. The tightest setting is the smallest one for top_p, top_k and top_n_sigma, and
 * the largest one for min_p. Except for top_k, the setting is then made looser by about 1e-6,
 * because at the exact number rounding would decide which targets survive. The function takes one
 * pass, which sorts each row, and 64 (1 - keep) bytes of memory per row. On failure the outputs are
 * unchanged.
 */
PLUCK_API pluck_status pluck_tune_cuts(const pluck_tune_data *data, double temperature,
                                       pluck_tune_cut *cuts, size_t n, double keep, double *needed,
                                       pluck_error *err);

/*
 * Comparing two distributions over the same tokens, for example those of two models, of a model and
 * its quantised form, or of one model under two configurations.
 */

/* The number of tokens whose ranks pluck_comparison.rank_correlation compares. */
#define PLUCK_COMPARE_RANKS 100

/* How two rows a and b compare, with p = softmax(a) and q = softmax(b). Divergences, entropies and
 * NLLs are in nats. */
typedef struct pluck_comparison {
    size_t struct_size; /* PLUCK_INIT(pluck_comparison) */

    /* Kullback-Leibler divergences KL(p || q) = sum of p ln(p / q), and KL(q || p). kl_ab is
     * INFINITY if b bans (-inf) a token that a allows, and kl_ba if a bans a token that b allows.
     * Tokens that the first distribution bans add 0. */
    double kl_ab, kl_ba;
    double total_variation; /* sum of |p - q| / 2, in [0, 1] */
    double entropy_a, entropy_b;

    /* Spearman's rank correlation over the PLUCK_COMPARE_RANKS most probable tokens of a, or over
     * all tokens that a allows if these are fewer; of tokens with equal probability, the lower ids
     * are taken. These tokens are ranked among themselves in a and in b; tied tokens share their
     * mean rank. NAN for fewer than two tokens, and if all of them are tied in a or in b. */
    double rank_correlation;

    pluck_token top_a, top_b; /* most probable token of each; of equal ones the lowest id */
    double top_prob_a, top_prob_b;
    uint32_t n_only_a, n_only_b; /* number of tokens that only a, or only b, allows */

    /* -ln p and -ln q of the target. NAN without a target; INFINITY if the row bans the target. */
    double nll_a, nll_b;

    /* kept_a is the total probability, in a, of the tokens that b allows; kept_b is the total
     * probability, in b, of the tokens that a allows. Each is exactly 1 if no token is lost. If b
     * is a truncation of a, kl_ab is infinite, and kept_a says how much of a the truncation
     * keeps. */
    double kept_a, kept_b;
} pluck_comparison;

/*
 * Compares two rows of the same n_vocab and any types. target is the token that really followed; a
 * negative number means none. Sums are in double. A finite divergence has an error of at most 1e-12
 * plus 1e-12 times its exact value for the stored logits. PLUCK_ERR_NAN for NaN and +inf,
 * PLUCK_ERR_EMPTY for a row that allows no token. On failure *result is unchanged. Allocates
 * nothing. Many threads may call it at once.
 */
PLUCK_API pluck_status pluck_compare_rows(pluck_logits a, pluck_logits b, pluck_token target,
                                          pluck_comparison *result, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
