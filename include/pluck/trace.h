/*
 * Why this token? A trace runs a sampler on one row of logits and records what every stage did, how
 * the token was drawn, and what became of tokens of your choice.
 *
 * A trace changes nothing: it gives the token that pluck_sampler_sample() gives at this position,
 * and does not count as having drawn it (a draw that learns does not learn from it). It costs
 * several passes over the vocabulary a stage. Results are the same bits on every instruction set.
 *
 *     pluck_trace *trace = NULL;
 *     pluck_trace_create(&trace, sampler, NULL, &err);
 *     pluck_trace_run(sampler, logits, tokens, n_tokens, trace, &err);
 *     for (size_t i = 0; i < pluck_trace_stage_count(trace); i++)
 *         show(pluck_trace_stage_at(trace, i));
 *     pluck_trace_destroy(&trace);
 *
 * Words: "before" and "after" are the distribution before and after a stage; a logit is in the
 * units of the stage's formula, so that temperatures passed are applied; "better" means larger
 * logit, or equal and lower token. Stages that change nothing with their parameters are left out.
 */
#ifndef PLUCK_TRACE_H
#define PLUCK_TRACE_H

#include <pluck/sampler.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The memory of one trace at a time: 16 bytes a token of the vocabulary and some kilobytes. */
typedef struct pluck_trace pluck_trace;

/* All zero is a good default. */
typedef struct pluck_trace_options {
    size_t max_tokens; /* tokens that can be followed at once; 0: PLUCK_TRACE_TOKENS */
    size_t max_edits;  /* edits listed of each stage; 0: PLUCK_TRACE_EDITS           */
} pluck_trace_options;

#define PLUCK_TRACE_TOKENS 64u
#define PLUCK_TRACE_EDITS  64u

/* For traces of this sampler, its clones, and others of the same vocabulary with no more stages.
 * Nothing is allocated after this. options may be NULL. The memory is the sampler's allocator's,
 * which must outlive the trace; the sampler need not. On failure *out is NULL. */
PLUCK_API pluck_status pluck_trace_create(pluck_trace **out, const pluck_sampler *sampler,
                                          const pluck_trace_options *options, pluck_error *err);

PLUCK_API void pluck_trace_destroy(pluck_trace **trace);

/*
 * Fills in the trace, for the sampler's current position. tokens: those to follow, n_tokens of them
 * (NULL if 0), at most max_tokens. PLUCK_ERR_INVALID for a token outside the vocabulary or a trace
 * that is too small for the sampler. Fails as pluck_sampler_sample() does on logits that cannot be
 * sampled. On failure the trace is empty: no stages, no tokens.
 */
PLUCK_API pluck_status pluck_trace_run(pluck_sampler *sampler, pluck_logits logits,
                                       const pluck_token *tokens, size_t n_tokens,
                                       pluck_trace *trace, pluck_error *err);

/* A token with its logit and probability in some distribution. token = -1: there is none. */
typedef struct pluck_place {
    pluck_token token;
    double logit;
    double prob;
} pluck_place;

/* A logit that a stage changed, or banned: after = -inf. */
typedef struct pluck_trace_edit {
    pluck_token token;
    double before, after;
} pluck_trace_edit;

/* A number that a stage worked with: the temperature that followed the entropy, mirostat's mu. */
typedef struct pluck_trace_value {
    const char *name; /* static storage */
    double value;
} pluck_trace_value;

/* What divides the tokens that a stage keeps from those that it removes. */
typedef enum pluck_bound {
    PLUCK_BOUND_NONE = 0,       /* nothing was removed, or single tokens wherever they stood */
    PLUCK_BOUND_FORMULA = 1,    /* the stage's own threshold; it keeps what reaches it       */
    PLUCK_BOUND_WORST_KEPT = 2, /* a prefix of the order was kept: its last token            */
    PLUCK_BOUND_BEST_KEPT = 3,  /* the best tokens were removed: the best one kept (xtc)     */
    PLUCK_BOUND_BAND = 4        /* both ends were: worst_kept and best_kept (typical)        */
} pluck_bound;

#define PLUCK_TRACE_VALUES 4  /* values of a stage, at most */
#define PLUCK_TRACE_WORDS  16 /* random numbers of a stage that are recorded */

/* What one stage did. */
typedef struct pluck_stage_report {
    const char *stage;       /* its name, static storage; "logits" for what came in, entry 0 */
    const pluck_stage *info; /* its table; NULL of entry 0 */
    const void *params;      /* laid out as info says; valid while the sampler lives */
    uint32_t n_survivors;    /* tokens with p > 0 after it */
    uint32_t n_removed;      /* tokens above -inf before it that are at -inf after it */
    double mass;             /* before, the probability of the tokens that it kept: in [0, 1] */
    double entropy_before;   /* in nats; of entry 0 the same as entropy */
    double entropy;          /* after, in nats */
    double temperature;      /* what it divided all logits by; 1 for most */

    /* The bound, in the distribution before. Of BAND the lower end; NaN if bound is NONE. Where
     * min_keep kept more than the formula, bound is WORST_KEPT. */
    pluck_bound bound;
    double bound_logit, bound_prob;
    pluck_place worst_kept, best_kept, best_removed; /* before it */

    size_t n_values;
    pluck_trace_value values[PLUCK_TRACE_VALUES];

    /* Tokens whose logit it changed other than by the temperature. A ban is an edit where the stage
     * looks at single tokens; else what it removed is only counted. Listed are the first max_edits,
     * ascending by token. */
    uint32_t n_edits;
    uint32_t n_listed;
    const pluck_trace_edit *edits;

    /* The 64-bit numbers that it took from the generator of this position: n_words, of which the
     * first PLUCK_TRACE_WORDS are recorded. */
    size_t n_words;
    uint64_t words[PLUCK_TRACE_WORDS];
} pluck_stage_report;

/* How many reports there are: 1 + the stages that ran, the draw last; 0 for an empty trace. */
PLUCK_API size_t pluck_trace_stage_count(const pluck_trace *trace);

/* The index-th, 0 being the logits that came in; NULL beyond. Valid until the trace is used
 * again. */
PLUCK_API const pluck_stage_report *pluck_trace_stage_at(const pluck_trace *trace, size_t index);

#define PLUCK_TRACE_DRAW_WORDS 512 /* random numbers of a draw that are recorded */

/*
 * How the token was drawn from the final distribution.
 *
 * Lay the probabilities side by side on [0, 1), ascending by token: the token's interval is [low,
 * high), and high - low is its probability. words are the numbers of pcg64 that the draw consumed:
 * those of (seed, stream, position) that follow what random stages took (rng.h). How they make the
 * token (docs/numerics.md) depends on the shape of the distribution: inverse transform with one of
 * them, or rejection with as many as it takes. Either way they amount to one uniform number, at:
 * low <= at < high, and at is uniform on [0, 1) over the random numbers. If inverse is true, at is
 * (words[n_words - 1] >> 11) * 2^-53 up to the rounding of probabilities.
 *
 * low, high and at are doubles made of the float exponentials that the draw uses: high - low agrees
 * with exp(logprob) as docs/numerics.md says of probabilities. Without words (greedy, one token
 * left) at = low.
 */
typedef struct pluck_trace_draw {
    pluck_draw drawn; /* what pluck_sampler_draw() gives, the same bits */
    double low, high;
    double at;
    bool inverse;   /* the last number alone chose the token */
    size_t n_words; /* numbers that the draw took; the first of them are recorded */
    uint64_t words[PLUCK_TRACE_DRAW_WORDS];
} pluck_trace_draw;

/* NULL for an empty trace. Valid until the trace is used again. */
PLUCK_API const pluck_trace_draw *pluck_trace_draw_of(const pluck_trace *trace);

/* A followed token after one stage; logit = -inf once it is removed, and then all else is 0. */
typedef struct pluck_token_step {
    double logit;
    double prob;
    uint32_t rank; /* 1 for the best token */
    double above;  /* the probability of all better tokens */
} pluck_token_step;

#define PLUCK_TRACE_SURVIVED SIZE_MAX

/* What became of a followed token. */
typedef struct pluck_token_fate {
    pluck_token token;
    const pluck_token_step *steps; /* one a report: after the stage of that index */
    size_t removed_by;             /* index of the report, 0: it came as -inf; or SURVIVED */

    /* Where it was removed, what its logit and its probability lacked to reach the bound, in the
     * distribution before: positive if it was too improbable, negative if it was too probable (xtc,
     * typical), 0 at a tie, which goes to lower tokens, or if it was banned as such (bound NONE).
     * steps[removed_by - 1] has its rank and the probability above it there. */
    double lacked_logit, lacked_prob;
} pluck_token_fate;

PLUCK_API size_t pluck_trace_token_count(const pluck_trace *trace);

/* The index-th of the tokens that were to be followed; NULL beyond. Valid until the trace is used
 * again. */
PLUCK_API const pluck_token_fate *pluck_trace_token_at(const pluck_trace *trace, size_t index);

#ifdef __cplusplus
}
#endif

#endif
