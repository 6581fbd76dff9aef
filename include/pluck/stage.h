/*
 * What stages there are. A stage narrows or reweights a distribution; a draw is the last stage,
 * which leaves the final distribution from which the token is taken. Each is described by one
 * constant table, from which come configuration parsing, the JSON Schema, `pluck stages`, `--help`
 * and the tests.
 *
 * Everything here is constant data with static storage: readable by any thread, never freed.
 */
#ifndef PLUCK_STAGE_H
#define PLUCK_STAGE_H

#include <pluck/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pluck_stage_kind {
    PLUCK_STAGE_REWEIGHT = 0, /* changes logits, keeps the set of tokens   */
    PLUCK_STAGE_TRUNCATE = 1, /* removes tokens, never the last one        */
    PLUCK_STAGE_DRAW = 2      /* the end of a chain: which token is chosen */
} pluck_stage_kind;

typedef enum pluck_param_type {
    PLUCK_PARAM_NUMBER = 0,   /* a finite number */
    PLUCK_PARAM_INTEGER = 1,  /* a whole number */
    PLUCK_PARAM_BIAS_MAP = 2, /* an object from token id to bias; false or null bans the token */
    PLUCK_PARAM_BOOLEAN = 3,  /* true or false */
    PLUCK_PARAM_TOKENS = 4,   /* an array of token ids, each once */
    PLUCK_PARAM_SEQUENCES = 5 /* an array of arrays of token ids, none of them empty */
} pluck_param_type;

/* Bits of pluck_param.flags. */
enum {
    PLUCK_PARAM_MIN_OPEN = 1, /* min itself is not allowed */
    PLUCK_PARAM_MAX_OPEN = 2, /* max itself is not allowed */
    PLUCK_PARAM_BORROWED =
        4 /* the flat key is another stage's: it sets this parameter too, but does
                               * not make this stage run */
};

typedef struct pluck_param {
    const char *name;     /* key in the explicit form, inside its stage: "k" */
    const char *flat_key; /* key in the flat form: "top_k"; stages may share one (min_keep) */
    pluck_param_type type;
    unsigned flags;
    double min, max;      /* of numbers: allowed range, ends included unless flags say otherwise */
    double default_value; /* when the key is absent; maps and lists start empty; 1 is true */
    double neutral;       /* the value at which this parameter has no effect; NaN if none has */
    const char *summary;  /* one line, no full stop */
    size_t
        offset_bytes; /* inside the stage's parameters, of a double, int64_t, pluck_bias_map, bool,
                           * pluck_token_set or pluck_sequences */
} pluck_param;

typedef struct pluck_bias {
    pluck_token token;
    double bias; /* added to the logit; -INFINITY bans */
} pluck_bias;

/* The value of a PLUCK_PARAM_BIAS_MAP: ascending by token, each token once. */
typedef struct pluck_bias_map {
    pluck_bias *items;
    size_t n;
} pluck_bias_map;

/* The value of a PLUCK_PARAM_TOKENS: ascending, each token once. */
typedef struct pluck_token_set {
    pluck_token *items;
    size_t n;
} pluck_token_set;

/* The value of a PLUCK_PARAM_SEQUENCES, in the order given: sequence i is tokens[ends[i - 1]] …
 * tokens[ends[i] - 1], the first from tokens[0] on. */
typedef struct pluck_sequences {
    pluck_token *tokens;
    size_t *ends;
    size_t n;
} pluck_sequences;

typedef struct pluck_stage {
    const char *name; /* "top_k": the "type" in the explicit form */
    pluck_stage_kind kind;
    const char *summary; /* one line, no full stop                   */
    const char *formula; /* what it keeps, or the new logit, in one line */
    const char *source;  /* where the definition comes from          */
    const pluck_param *params;
    size_t n_params;
    size_t params_size_bytes; /* of the block that pluck_param.offset_bytes points into */
    const char *cost;         /* of one token, beyond the scan, in a few words; NULL: not told */
} pluck_stage;

/* The index-th stage in the order in which the flat form runs them, draws last; NULL past the end,
 * which ends a loop over all of them. */
PLUCK_API const pluck_stage *pluck_stage_at(size_t index);

/* The stage with this name, or NULL. */
PLUCK_API const pluck_stage *pluck_stage_find(const char *name);

/* The stage name nearest to a misspelt one, or NULL when none is near: for "did you mean". */
PLUCK_API const char *pluck_stage_nearest(const char *name);

/*
 * Stages of your own: an application describes one in a table, as the library describes its own,
 * puts it into a registry, and names it in the "stages" of a configuration that is read with that
 * registry:
 *
 *     pluck_registry_create(&registry, NULL, &err);
 *     pluck_registry_add(registry, &my_stage, &err);
 *     pluck_config_options options = PLUCK_INIT(pluck_config_options);
 *     options.registry = registry;
 *     pluck_config_from_json(&config, json, size, &options, &err);
 *     pluck_sampler_create(&sampler, config, n_vocab, NULL, &err);
 *
 * {"stages": [{"type": "top_k", "k": 50}, {"type": "my_stage", "strength": 2}]}. The flat form has
 * the library's stages only. examples/custom_stage.c is a whole program.
 *
 * A registry is an object, not hidden state of the process: two libraries in one program cannot get
 * in each other's way. It must outlive the configurations read with it and their samplers. They
 * only read it, so that any number of threads may use them, but nothing may be added meanwhile.
 */

/* What apply works on: the tokens that are left, with their logits. Valid during the call. */
typedef struct pluck_view pluck_view;

/* What a stage may look at beside the view. Valid during the call. */
typedef struct pluck_context pluck_context;

/*
 * A stage. info describes it and its parameters: kind is not PLUCK_STAGE_DRAW; every flat_key is
 * NULL; offset_bytes point into a block of params_size_bytes that the library makes, fills in from
 * JSON and passes as params. Functions that are NULL have nothing to do; apply must be there. The
 * table and all it points to must outlive the registry.
 *
 * Rules, on which rewinding, batches and reproducibility stand: apply changes the view, never the
 * state, and draws its random numbers from the context; accept changes the state, and rewind undoes
 * the last accept exactly; nothing else is looked at. The functions of one sampler are called by
 * one thread at a time, in the floating-point environment of the library: round to nearest, no
 * flush to zero.
 */
typedef struct pluck_custom_stage {
    size_t struct_size; /* PLUCK_INIT(pluck_custom_stage) */
    pluck_stage info;

    /* True when these parameters make the stage the identity: samplers leave it out. */
    bool (*is_neutral)(const void *params);

    /* True if apply takes random numbers. */
    bool (*is_random)(const void *params);

    /* How many of the last accepted tokens it looks back on; SIZE_MAX: all. */
    size_t (*window)(const void *params);

    /* How many tokens at most it gives to pluck_view_edit: memory for them makes edits cheap. */
    size_t (*max_edits)(const void *params, uint32_t n_vocab);

    /* What ranges of single parameters do not say, when a sampler is created: PLUCK_OK, or a status
     * and err->message. */
    pluck_status (*check)(const void *params, uint32_t n_vocab, pluck_error *err);

    /* On failure sampling stops with this status; err, never NULL, has the message. */
    pluck_status (*apply)(const void *params, void *state, pluck_view *view,
                          const pluck_context *context, pluck_error *err);

    /* The state: all four, or none. reset makes it as just created. clone gives an independent
     * copy. */
    pluck_status (*create)(void **state, const void *params, uint32_t n_vocab, uint32_t max_rewind,
                           pluck_error *err);
    void (*destroy)(void *state);
    pluck_status (*clone)(void **out, const void *state, pluck_error *err);
    void (*reset)(void *state);

    /* A token was accepted: it is the last of the history, pluck_context_token(context, 0). Both,
     * or none: rewind is called before the history drops that token. */
    void (*accept)(const void *params, void *state, const pluck_context *context);
    void (*rewind)(const void *params, void *state, const pluck_context *context);

    /* For pluck_sampler_save() and pluck_sampler_restore(); both, or none: then a sampler with
     * this stage, if it has a state, cannot be saved. save writes at most capacity_bytes and
     * returns how many bytes there are, the same each time. load makes the state out of them,
     * which may come from anywhere, in one as just created: PLUCK_ERR_FORMAT if they are wrong. */
    size_t (*save)(const void *params, const void *state, void *bytes, size_t capacity_bytes);
    pluck_status (*load)(const void *params, void *state, const void *bytes, size_t size_bytes,
                         pluck_error *err);
} pluck_custom_stage;

typedef struct pluck_registry pluck_registry;

/* An empty one. On failure *out is NULL. */
PLUCK_API pluck_status pluck_registry_create(pluck_registry **out, const pluck_allocator *allocator,
                                             pluck_error *err);
PLUCK_API void pluck_registry_destroy(pluck_registry **registry);

/* PLUCK_ERR_INVALID, with the reason, for a table that breaks one of the rules above, or a name
 * that the library or the registry has already. */
PLUCK_API pluck_status pluck_registry_add(pluck_registry *registry, const pluck_custom_stage *stage,
                                          pluck_error *err);

/* Tokens of the history that can be looked at: at least the window, as far as there are as many. */
PLUCK_API size_t pluck_context_n_history(const pluck_context *context);

/* The token accepted age tokens ago, 0 the last; age < pluck_context_n_history(). */
PLUCK_API pluck_token pluck_context_token(const pluck_context *context, size_t age);

/* The next random number of the position, uniform in [0, 1). In apply only; else 0. */
PLUCK_API double pluck_context_uniform(const pluck_context *context);

PLUCK_API uint32_t pluck_context_n_vocab(const pluck_context *context);

/*
 * The view. Logits are those that the stages before left, temperatures included. Until something is
 * removed, counting, sums, pluck_view_edit_all and pluck_view_keep_if cost a pass over the
 * vocabulary; afterwards everything follows the tokens left.
 */

/* Tokens left. */
PLUCK_API uint32_t pluck_view_count(const pluck_view *view);

/* Of a token, -INFINITY if it is not left (token < n_vocab); and the largest. */
PLUCK_API double pluck_view_logit(const pluck_view *view, pluck_token token);
PLUCK_API double pluck_view_max_logit(const pluck_view *view);

/* ln of the sum of exp(logit - largest logit): the probability of a token is exp(logit - largest
 * logit - this). */
PLUCK_API double pluck_view_log_normaliser(const pluck_view *view);

/* Of the distribution, in nats. */
PLUCK_API double pluck_view_entropy(const pluck_view *view);

/* Multiplies all logits by factor > 0: 1 / temperature. Costs nothing. */
PLUCK_API void pluck_view_scale(pluck_view *view, double factor);

/* The new logit of a token; -INFINITY bans it; NaN and +inf make the call fail with
 * PLUCK_ERR_NAN. */
typedef double (*pluck_new_logit)(void *user, pluck_token token, double logit);

/* Changes the logits of n tokens, ascending, each once; those that are not left stay so. Or of all
 * that are left. PLUCK_ERR_EMPTY if then none is: return it from apply. */
PLUCK_API pluck_status pluck_view_edit(pluck_view *view, const pluck_token *tokens, size_t n,
                                       pluck_new_logit new_logit, void *user, pluck_error *err);
PLUCK_API pluck_status pluck_view_edit_all(pluck_view *view, pluck_new_logit new_logit, void *user,
                                           pluck_error *err);

/* Keeps the k >= 1 best, ties by lower token. */
PLUCK_API void pluck_view_keep_top_k(pluck_view *view, uint32_t k);

/* Keeps those with a logit of at least this; the best stays in any case. */
PLUCK_API void pluck_view_keep_above(pluck_view *view, double logit);

/* Keeps the shortest prefix, best first, with a probability of at least p, 0 <= p < 1. */
PLUCK_API void pluck_view_keep_top_p(pluck_view *view, double p);

/* Whether a token stays. */
typedef bool (*pluck_keep)(void *user, pluck_token token, double logit);

/* Keeps those for which keep says true. PLUCK_ERR_EMPTY if it says so of none. */
PLUCK_API pluck_status pluck_view_keep_if(pluck_view *view, pluck_keep keep, void *user,
                                          pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
