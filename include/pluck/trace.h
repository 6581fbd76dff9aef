/*
 * Explains a draw. A trace runs a sampler on one row of logits and records what each stage did, how
 * the token was drawn, and which stage removed each of the tokens that the caller wants to follow.
 *
 *     pluck_trace *trace = NULL;
 *     pluck_trace_create(&trace, sampler, NULL, &err);
 *     if (pluck_trace_run(trace, sampler, logits, tokens, n_tokens, &err) == PLUCK_OK) {
 *         const pluck_trace_report *report = pluck_trace_get_report(trace);
 *         for (size_t i = 0; i < report->n_stages; i++)
 *             show(report->stages[i]);
 *     }
 *     pluck_trace_destroy(&trace);
 *
 * A trace does not change the sampler. It gives the token that pluck_sampler_sample() gives at this
 * position, and does not count as a draw: a draw that learns does not learn from it. Each stage
 * costs several passes over the vocabulary. Results have the same bits on every instruction set.
 *
 * In the comments below, "before" and "after" mean in the distribution before and after a stage.
 * Logits are those that the stage works on: earlier temperatures are applied. "Better" means a
 * larger logit, or an equal logit and a lower token. Stages whose parameters make them change
 * nothing do not appear in a trace.
 */
#ifndef PLUCK_TRACE_H
#define PLUCK_TRACE_H

#include <pluck/sampler.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Holds one trace at a time: 16 bytes per token of the vocabulary, and some kilobytes. */
typedef struct pluck_trace pluck_trace;

typedef struct pluck_trace_options {
    size_t struct_size;
    size_t max_tokens; /* most tokens to follow in one run; 0: PLUCK_TRACE_TOKENS */
    size_t max_edits;  /* most edits to list per stage; 0: PLUCK_TRACE_EDITS */
} pluck_trace_options;

#define PLUCK_TRACE_TOKENS 64u
#define PLUCK_TRACE_EDITS  64u

/* Makes a trace for this sampler, its clones, and any other sampler that has the same n_vocab and
 * at most the same number of stages. All memory is allocated here, with the allocator of the
 * sampler, which must outlive the trace; the sampler need not. options may be NULL. On failure *out
 * is NULL. */
PLUCK_API pluck_status pluck_trace_create(pluck_trace **out, const pluck_sampler *sampler,
                                          const pluck_trace_options *options, pluck_error *err);

PLUCK_API void pluck_trace_destroy(pluck_trace **trace);

/*
 * Traces the draw of the sampler's current position. tokens has the n_tokens tokens to follow, at
 * most max_tokens; it may be NULL if n_tokens is 0. PLUCK_ERR_INVALID for a token outside the
 * vocabulary, or for a trace that is too small for the sampler. Fails as pluck_sampler_sample()
 * does for logits that cannot be sampled. On failure the trace has no report.
 */
PLUCK_API pluck_status pluck_trace_run(pluck_trace *trace, pluck_sampler *sampler,
                                       pluck_logits logits, const pluck_token *tokens,
                                       size_t n_tokens, pluck_error *err);

/* A token with its logit and its probability in a distribution. token is PLUCK_NO_TOKEN if there is
 * no token to name. */
typedef struct pluck_place {
    pluck_token token;
    double logit;
    double prob;
} pluck_place;

/* A logit that a stage changed. after is -INFINITY if the stage banned the token. */
typedef struct pluck_trace_edit {
    pluck_token token;
    double before, after;
} pluck_trace_edit;

/* A number that a stage computed, for example mirostat's mu. */
typedef struct pluck_trace_value {
    const char *name; /* static storage */
    double value;
} pluck_trace_value;

/* What divides the tokens that a stage keeps from those that it removes. */
typedef enum pluck_bound {
    PLUCK_BOUND_NONE = 0,       /* nothing: no token was removed, or single tokens were banned */
    PLUCK_BOUND_FORMULA = 1,    /* the stage's own threshold: tokens that reach it are kept */
    PLUCK_BOUND_WORST_KEPT = 2, /* the worst token that was kept; all better ones were kept too */
    PLUCK_BOUND_BEST_KEPT = 3,  /* the best token that was kept; all better ones fell (xtc) */
    PLUCK_BOUND_BAND = 4        /* both worst_kept and best_kept: a band was kept (typical) */
} pluck_bound;

#define PLUCK_TRACE_VALUES 4  /* most values that one stage reports */
#define PLUCK_TRACE_WORDS  16 /* most random numbers that are recorded per stage */

/* What one stage did. */
typedef struct pluck_stage_report {
    const char *stage;       /* its name, static storage; "logits" for the first report */
    const pluck_stage *info; /* its table; NULL for the first report */
    const void *params; /* laid out as info says; valid until the sampler is destroyed, reconfigured
                              * or restored */
    uint32_t n_survivors;  /* tokens with p > 0 after the stage */
    uint32_t n_removed;    /* tokens above -inf before the stage and at -inf after it */
    double mass;           /* total probability, before, of the tokens kept; in [0, 1] */
    double entropy_before; /* in nats, before; in the first report the same as entropy */
    double entropy;        /* in nats, after */
    double temperature;    /* the number that all logits were divided by; 1 for most stages */

    /* What the bound is, and where it is, as a logit and as a probability before the stage. For
     * PLUCK_BOUND_BAND these are of the lower end; for PLUCK_BOUND_NONE they are NaN. If min_keep
     * kept more tokens than the formula, bound is PLUCK_BOUND_WORST_KEPT. */
    pluck_bound bound;
    double bound_logit, bound_prob;
    pluck_place worst_kept, best_kept, best_removed; /* places before the stage */

    size_t n_values;
    pluck_trace_value values[PLUCK_TRACE_VALUES];

    /* n_edits is the number of tokens whose logit the stage changed other than by the temperature.
     * A ban is an edit only in stages that treat single tokens; other stages only count removed
     * tokens, in n_removed. edits lists the n_listed edits with the lowest tokens, in ascending
     * order: all of them, but at most max_edits. */
    uint32_t n_edits;
    uint32_t n_listed;
    const pluck_trace_edit *edits;

    /* n_words is the number of 64-bit random numbers of this position that the stage took. words
     * has these numbers in order; if there are more than PLUCK_TRACE_WORDS, only the first
     * PLUCK_TRACE_WORDS. */
    size_t n_words;
    uint64_t words[PLUCK_TRACE_WORDS];
} pluck_stage_report;

#define PLUCK_TRACE_DRAW_WORDS 512 /* most random numbers of a draw that are recorded */

/*
 * How the token was drawn from the final distribution.
 *
 * If the probabilities of all tokens are laid side by side on [0, 1), in ascending order of tokens,
 * the interval of the drawn token is [low, high), and high - low is its probability. words are the
 * numbers of pcg64 that the draw took: those of (seed, stream, position) that follow the numbers
 * that random stages took (rng.h). How these numbers give the token depends on the shape of the
 * distribution (docs/numerics.md): one number does by inverse transform, or several do by
 * rejection. In both cases they correspond to one number, at, with low <= at < high, which over all
 * possible random numbers is uniform on [0, 1). If inverse is true and all n_words numbers are
 * recorded, at is (words[n_words - 1] >> 11) * 2^-53, up to the rounding of probabilities.
 *
 * low, high and at are doubles made from the float exponentials that the draw uses; high - low
 * agrees with exp(logprob) within the bound of docs/numerics.md. If the draw takes no number (a
 * greedy draw, or only one token is left), at is low. The draw gumbel takes no numbers of pcg64
 * either. The values in the report of its stage are the score of the drawn token, the token with
 * the next lower score (runner_up), and by how much that score is lower (runner_up_behind).
 */
typedef struct pluck_trace_draw {
    pluck_draw drawn; /* what pluck_sampler_draw() gives, bit for bit */
    double low, high;
    double at;
    bool inverse; /* the last of the n_words numbers alone chose the token */

    /* n_words is the number of 64-bit random numbers that the draw took. words has these numbers in
     * order; if there are more than PLUCK_TRACE_DRAW_WORDS, only the first
     * PLUCK_TRACE_DRAW_WORDS. */
    size_t n_words;
    uint64_t words[PLUCK_TRACE_DRAW_WORDS];
} pluck_trace_draw;

/* What a followed token was after one stage. Once the token is removed, logit is -INFINITY and the
 * other fields are 0. */
typedef struct pluck_token_step {
    double logit;
    double prob;
    uint32_t rank; /* 1 for the best token */
    double above;  /* the total probability of all better tokens */
} pluck_token_step;

#define PLUCK_TRACE_SURVIVED SIZE_MAX

/* What happened to one followed token. */
typedef struct pluck_token_fate {
    pluck_token token;
    const pluck_token_step *steps; /* [n_stages] steps[i] is after the stage of report i */
    size_t removed_by; /* index of the report of the stage that removed it; 0: its logit was -inf
                        * at the start; PLUCK_TRACE_SURVIVED: no stage removed it */

    /* The bound of the stage that removed the token, minus the token's own value before that stage,
     * as a logit and as a probability. Positive: the token was too improbable. Negative: it was too
     * probable (xtc, typical). 0: it lost a tie against a lower token, or it was banned
     * (PLUCK_BOUND_NONE). Its rank before that stage, and the probability above it, are in
     * steps[removed_by - 1]. */
    double lacked_logit, lacked_prob;
} pluck_token_fate;

/* Everything that a run recorded. */
typedef struct pluck_trace_report {
    size_t n_stages;                         /* 1 + the number of stages that ran */
    const pluck_stage_report *const *stages; /* the logits as they came, then the stages in order;
                                              * the last one is the draw */
    const pluck_trace_draw *draw;
    size_t n_tokens;
    const pluck_token_fate *const *tokens; /* the followed tokens, in the order given */
} pluck_trace_report;

/* The report of the last run; NULL if that run failed, or if the trace has not run yet. Valid until
 * the trace is used again. */
PLUCK_API const pluck_trace_report *pluck_trace_get_report(const pluck_trace *trace);

#ifdef __cplusplus
}
#endif

#endif
