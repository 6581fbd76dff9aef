/*
 * Stages: those of the library, and how to write your own. A stage changes the logits of tokens or
 * removes tokens. The stages of a configuration, in the order in which they run, are a chain. A
 * draw is the last stage of a chain, and chooses the token. Each stage has a constant table that
 * describes it. From these tables the library reads configurations and makes the JSON Schema, and
 * the command makes `pluck stages` and its flags.
 *
 * The tables of the library are constant data: any thread may read them, and nobody frees them.
 */
#ifndef PLUCK_STAGE_H
#define PLUCK_STAGE_H

#include <pluck/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum pluck_stage_kind {
    PLUCK_STAGE_REWEIGHT = 0, /* changes logits */
    PLUCK_STAGE_TRUNCATE = 1, /* removes tokens, but never all */
    PLUCK_STAGE_DRAW = 2      /* chooses the token, at the end of a chain */
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
    /* The flat key belongs to another stage. The key sets this parameter too, but does not make
     * this stage run. */
    PLUCK_PARAM_BORROWED = 4
};

typedef struct pluck_param {
    const char *name;     /* the key inside the stage in the explicit form: "k" */
    const char *flat_key; /* the key in the flat form: "top_k"; stages may share it (min_keep) */
    pluck_param_type type;
    unsigned flags;
    double min, max;      /* range of numbers, including both ends unless flags say otherwise */
    double default_value; /* when the key is absent: 1 is true; maps and lists are empty */
    double neutral;       /* the value at which the parameter has no effect; NaN: none */
    const char *summary;  /* one line, no full stop */
    /* The offset of the value in the block of the stage's parameters. By type, the value is a
     * double, int64_t, pluck_bias_map, bool, pluck_token_set or pluck_sequences. */
    size_t offset_bytes;
} pluck_param;

typedef struct pluck_bias {
    pluck_token token;
    double bias; /* added to the logit; -INFINITY bans the token */
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

/* The value of a PLUCK_PARAM_SEQUENCES: n sequences, none of them empty. Sequence 0 is tokens[0] to
 * tokens[ends[0] - 1], and sequence i is tokens[ends[i - 1]] to tokens[ends[i] - 1]. */
typedef struct pluck_sequences {
    pluck_token *tokens;
    size_t *ends;
    size_t n;
} pluck_sequences;

typedef struct pluck_stage {
    const char *name; /* "top_k": the "type" in the explicit form */
    pluck_stage_kind kind;
    const char *summary; /* one line, no full stop */
    const char *formula; /* which tokens it keeps, or the new logit, in one line */
    const char *source;  /* where the definition comes from */
    const pluck_param *params;
    size_t n_params;
    size_t params_size_bytes; /* the size of the block that has the values of the parameters */
    const char *cost; /* per token, besides reading the logits, in a few words; may be NULL */
} pluck_stage;

/* Returns stage number index, in the order in which the flat form runs stages; the draws are last.
 * Returns NULL past the end, so that a loop over all stages needs no count. */
PLUCK_API const pluck_stage *pluck_stage_at(size_t index);

/* The stage or draw with this name; NULL if there is none. */
PLUCK_API const pluck_stage *pluck_stage_find(const char *name);

/* Returns the name of a stage that is nearest to a misspelt name, for "did you mean"; NULL if none
 * is near. */
PLUCK_API const char *pluck_stage_nearest(const char *name);

/*
 * Stages of your own. An application describes a stage in a struct, adds it to a registry, and
 * names it in the "stages" of a configuration that is read with that registry:
 *
 *     pluck_registry_create(&registry, NULL, &err);
 *     pluck_registry_add(registry, &my_stage, &err);
 *     pluck_config_options options = PLUCK_INIT(pluck_config_options);
 *     options.registry = registry;
 *     pluck_config_from_json(&config, json, size, &options, &err);
 *     pluck_sampler_create(&sampler, config, n_vocab, NULL, &err);
 *
 * The JSON is {"stages": [{"type": "top_k", "k": 50}, {"type": "my_stage", "strength": 2}]}. The
 * flat form has the stages of the library only. examples/custom_stage.c is a whole program.
 *
 * There is no registry of the process: two libraries in one program cannot get in each other's way.
 * The registry must outlive the configurations that are read with it, and their samplers.
 * Configurations and samplers only read the registry, so several threads may use them at once, but
 * not while a stage is added.
 */

/* The tokens that are left, and their logits: apply reads and changes them. Valid during the
 * call. */
typedef struct pluck_view pluck_view;

/* The vocabulary, the history and the random numbers that a stage may use besides its view. Valid
 * during the call. */
typedef struct pluck_context pluck_context;

/*
 * A custom stage. info.kind is not PLUCK_STAGE_DRAW, and each flat_key is NULL. The library makes a
 * block of info.params_size_bytes, fills it in from JSON according to info.params, and passes it to
 * the functions as params. apply is required; any other function may be NULL if it has nothing to
 * do.
 *
 * Rewinding, batches and reproducible tokens rely on these rules:
 *
 * - apply changes the view and never the state.
 * - apply draws its random numbers from the context.
 * - accept changes the state, and rewind undoes the last accept exactly.
 * - No function reads anything but its arguments.
 *
 * One thread at a time calls the functions for one sampler. They run in the floating-point
 * environment of the library: rounding to nearest, subnormal numbers kept.
 */
typedef struct pluck_custom_stage {
    size_t struct_size; /* PLUCK_INIT(pluck_custom_stage) */
    pluck_stage info;

    /* Returns whether the stage changes nothing with these parameters. If so, samplers leave it
     * out. NULL: never. */
    bool (*is_neutral)(const void *params);

    /* Returns whether apply draws random numbers. NULL: never. */
    bool (*is_random)(const void *params);

    /* Returns the number of accepted tokens that the stage looks back on; SIZE_MAX: all. NULL:
     * 0. */
    size_t (*window)(const void *params);

    /* Returns the largest number of tokens that apply gives to pluck_view_edit(). The sampler
     * reserves memory for them, which makes edits cheap. */
    size_t (*max_edits)(const void *params, uint32_t n_vocab);

    /* Called when a sampler is created, to check what the ranges of single parameters cannot
     * express. Returns PLUCK_OK, or another status after it has written err->message. */
    pluck_status (*check)(const void *params, uint32_t n_vocab, pluck_error *err);

    /* Does the work of the stage. If it does not return PLUCK_OK, sampling fails with that status.
     * err is not NULL; a failure writes err->message. */
    pluck_status (*apply)(const void *params, void *state, pluck_view *view,
                          const pluck_context *context, pluck_error *err);

    /* The state of the stage in one sampler: set all four functions, or none. clone makes an
     * independent copy; reset makes the state as it was when it was created. */
    pluck_status (*create)(void **state, const void *params, uint32_t n_vocab, uint32_t max_rewind,
                           pluck_error *err);
    void (*destroy)(void *state);
    pluck_status (*clone)(void **out, const void *state, pluck_error *err);
    void (*reset)(void *state);

    /* Set both functions, or none. accept is called after a token was accepted:
     * pluck_context_token(context, 0) is the token. rewind is called before that token is dropped
     * from the history. When pluck_sampler_reconfigure() brings the stage into a sequence, accept
     * gets each token that the sampler still holds. */
    void (*accept)(const void *params, void *state, const pluck_context *context);
    void (*rewind)(const void *params, void *state, const pluck_context *context);

    /* Set both functions, or none. If the stage has a state and no save, a sampler with this stage
     * cannot be saved. save writes at most capacity_bytes and returns the size in bytes of the
     * whole saved state, which does not depend on capacity_bytes. load fills in a state that was
     * just created; the bytes may come from an untrusted source, and load returns PLUCK_ERR_FORMAT
     * for wrong ones. */
    size_t (*save)(const void *params, const void *state, void *bytes, size_t capacity_bytes);
    pluck_status (*load)(const void *params, void *state, const void *bytes, size_t size_bytes,
                         pluck_error *err);
} pluck_custom_stage;

typedef struct pluck_registry pluck_registry;

/* Makes an empty registry. allocator may be NULL; an allocator must outlive the registry. On
 * failure *out is NULL. */
PLUCK_API pluck_status pluck_registry_create(pluck_registry **out, const pluck_allocator *allocator,
                                             pluck_error *err);

/* registry may be NULL or point to NULL. Sets *registry to NULL. */
PLUCK_API void pluck_registry_destroy(pluck_registry **registry);

/* Adds a stage. The struct is copied. What it points to (names, the table of parameters) is
 * borrowed until the registry is destroyed. PLUCK_ERR_INVALID, with the reason, for a stage that
 * breaks one of the rules above, and for a name that the library or the registry has already. */
PLUCK_API pluck_status pluck_registry_add(pluck_registry *registry, const pluck_custom_stage *stage,
                                          pluck_error *err);

/* The number of accepted tokens that pluck_context_token() can return: the window, or fewer if
 * fewer were accepted. In accept and rewind it is one more: age 0 is the token that enters or
 * leaves the history, and the window before that token follows. */
PLUCK_API size_t pluck_context_n_history(const pluck_context *context);

/* The token that was accepted age tokens before the last one; age 0 is the last one. age is below
 * pluck_context_n_history(). */
PLUCK_API pluck_token pluck_context_token(const pluck_context *context, size_t age);

/* The next random number of this position, uniform in [0, 1). Only for apply; in other functions it
 * is 0. */
PLUCK_API double pluck_context_uniform(const pluck_context *context);

PLUCK_API uint32_t pluck_context_n_vocab(const pluck_context *context);

/*
 * The view has the logits as the earlier stages left them, with their temperatures applied. As long
 * as no token was removed, functions that count or sum, pluck_view_edit_all() and
 * pluck_view_keep_if() read the whole vocabulary. Afterwards the cost of a call grows with the
 * number of tokens that are left.
 */

/* The number of tokens that are left. */
PLUCK_API uint32_t pluck_view_count(const pluck_view *view);

/* The logit of a token in [0, n_vocab), which is -INFINITY if the token was removed; and the
 * largest logit of all tokens. */
PLUCK_API double pluck_view_logit(const pluck_view *view, pluck_token token);
PLUCK_API double pluck_view_max_logit(const pluck_view *view);

/* ln of the sum of exp(logit - largest logit) over the tokens that are left. The probability of a
 * token is exp(logit - largest logit - log normaliser). */
PLUCK_API double pluck_view_log_normaliser(const pluck_view *view);

/* The entropy of the distribution of the tokens that are left, in nats. */
PLUCK_API double pluck_view_entropy(const pluck_view *view);

/* Multiplies all logits by factor > 0, which is 1 / temperature. Costs nothing. */
PLUCK_API void pluck_view_scale(pluck_view *view, double factor);

/* Returns the new logit of a token. -INFINITY bans the token. If it returns NaN or +inf, the call
 * that uses it fails with PLUCK_ERR_NAN. */
typedef double (*pluck_new_logit)(void *user, pluck_token token, double logit);

/* pluck_view_edit() changes the logits of n tokens, which are in ascending order and each listed
 * once; pluck_view_edit_all() changes the logits of all tokens that are left. Tokens that were
 * removed before stay removed. If no token is left afterwards, the result is PLUCK_ERR_EMPTY, which
 * apply must return in turn. */
PLUCK_API pluck_status pluck_view_edit(pluck_view *view, const pluck_token *tokens, size_t n,
                                       pluck_new_logit new_logit, void *user, pluck_error *err);
PLUCK_API pluck_status pluck_view_edit_all(pluck_view *view, pluck_new_logit new_logit, void *user,
                                           pluck_error *err);

/* Keeps the k >= 1 tokens with the largest logits; of tokens with equal logits, the lower ones are
 * kept. */
PLUCK_API void pluck_view_keep_top_k(pluck_view *view, uint32_t k);

/* Keeps the tokens whose logit is at least logit, and the token with the largest logit in any
 * case. */
PLUCK_API void pluck_view_keep_above(pluck_view *view, double logit);

/* Keeps at least one token: the most probable tokens, as few as have probabilities that add up to
 * at least p. 0 <= p < 1. */
PLUCK_API void pluck_view_keep_top_p(pluck_view *view, double p);

/* Returns whether a token stays. */
typedef bool (*pluck_keep)(void *user, pluck_token token, double logit);

/* Keeps the tokens for which keep returns true. If no token is left, the result is PLUCK_ERR_EMPTY,
 * which apply must return in turn. */
PLUCK_API pluck_status pluck_view_keep_if(pluck_view *view, pluck_keep keep, void *user,
                                          pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
