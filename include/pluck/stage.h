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
    uint32_t token;
    double bias; /* added to the logit; -INFINITY bans */
} pluck_bias;

/* The value of a PLUCK_PARAM_BIAS_MAP: ascending by token, each token once. */
typedef struct pluck_bias_map {
    pluck_bias *items;
    size_t n;
} pluck_bias_map;

/* The value of a PLUCK_PARAM_TOKENS: ascending, each token once. */
typedef struct pluck_token_set {
    uint32_t *items;
    size_t n;
} pluck_token_set;

/* The value of a PLUCK_PARAM_SEQUENCES, in the order given: sequence i is tokens[ends[i - 1]] …
 * tokens[ends[i] - 1], the first from tokens[0] on. */
typedef struct pluck_sequences {
    uint32_t *tokens;
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

/* All stages in the order in which the flat form runs them, draws last. */
PLUCK_API size_t pluck_stage_count(void);

/* The index-th of them; NULL if index >= pluck_stage_count(). */
PLUCK_API const pluck_stage *pluck_stage_at(size_t index);

/* The stage with this name, or NULL. */
PLUCK_API const pluck_stage *pluck_stage_find(const char *name);

/* The stage name nearest to a misspelt one, or NULL when none is near: for "did you mean". */
PLUCK_API const char *pluck_stage_nearest(const char *name);

#ifdef __cplusplus
}
#endif

#endif
