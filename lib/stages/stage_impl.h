/*
 * What a stage is inside the library: its public table and the functions that do the work. One file
 * under lib/stages/ defines one const plk_stage, and registry.c lists it: the library and the
 * command need no more. docs/adding-a-stage.md walks through one, and says which tests want more.
 */
#ifndef PLK_STAGE_IMPL_H
#define PLK_STAGE_IMPL_H

#include "base/alloc.h"
#include "base/bytes.h"
#include "history/history.h"
#include "select/view.h"

#include <pluck/rng.h>
#include <pluck/stage.h>

/* The texts of tokens, as pluck_sampler_options gives them; get is NULL if there are none. */
typedef struct plk_token_texts {
    const char *(*get)(void *user, pluck_token token, size_t *size_bytes);
    void *user;
} plk_token_texts;

/* What a stage may look at besides the view. */
typedef struct plk_stage_context {
    const plk_history *history;
    size_t n_visible; /* how many tokens of the history a stage of the application is shown */
    uint32_t n_vocab;
    pluck_pcg64 *rng; /* this position's numbers; what a stage takes, the pick does not see again */
    plk_token_texts texts;
    uint64_t seed, stream, position; /* for noise that belongs to tokens (simd/philox.h) */
} plk_stage_context;

typedef struct plk_stage plk_stage;

/* What create is told. */
typedef struct plk_stage_setup {
    const plk_stage *stage; /* whose create it is */
    const pluck_allocator *allocator;
    uint32_t n_vocab;
    uint32_t max_rewind; /* this many accepts must be undone exactly */
    plk_token_texts texts;
} plk_stage_setup;

/* What a stage tells a trace besides what comparing the view before and after shows. */
enum { PLK_MAX_VALUES = 4 };
typedef struct plk_explanation {
    bool has_threshold; /* it keeps the logits >= max + offset */
    double offset;
    bool from_above; /* it removes the best tokens */
    size_t n_values;
    const char *names[PLK_MAX_VALUES]; /* static storage */
    double values[PLK_MAX_VALUES];
} plk_explanation;

static inline void plk_explain_threshold(plk_explanation *out, double offset)
{
    out->has_threshold = true;
    out->offset = offset;
}

static inline void plk_explain_value(plk_explanation *out, const char *name, double value)
{
    if (out->n_values == PLK_MAX_VALUES)
        return;
    out->names[out->n_values] = name;
    out->values[out->n_values++] = value;
}

/* What apply does with the view of a slice (select/share.h), whose row lies on several ranks. */
typedef enum plk_slice_use {
    PLK_SLICE_ROW,     /* nothing: unless the view is compact, the ranks gather the row */
    PLK_SLICE_RAW,     /* nothing: it reads logits as they came, of tokens that were removed too */
    PLK_SLICE_OWN,     /* changes each token by itself: no rank needs another one */
    PLK_SLICE_BEST,    /* keeps best tokens */
    PLK_SLICE_SPREAD,  /* the same, after asking for the deviation */
    PLK_SLICE_MASS,    /* the same, after asking for sums over all tokens */
    PLK_SLICE_NUCLEUS, /* the same; a draw may come before it (plk_deferred_nucleus) */
    PLK_SLICE_SUMS,    /* asks for sums, and may leave the view dense */
    PLK_SLICE_MAX,     /* needs view->max, and may leave the view dense */
    PLK_SLICE_PICK,    /* a draw from block sums */
    PLK_SLICE_RACE     /* a draw by noise that belongs to tokens */
} plk_slice_use;

/* Functions that are NULL have nothing to do. params is the block that the public table describes;
 * state is the stage's own, NULL if create is NULL. */
struct plk_stage {
    pluck_stage info; /* first: plk_stage_of() relies on it */

    /* In the flat form: the name of a stage that this one stands in for when it is configured, at
     * its place in "order" too; NULL: none. */
    const char *replaces;

    /* True when these parameters make the stage the identity: a sampler leaves it out. */
    bool (*is_neutral)(const void *params);

    /* True if apply does nothing with the tokens, at most plk_view_scale(): it then also takes a
     * view with a deferred nucleus, which any other stage finds settled. */
    bool (*only_scales)(const void *params);

    plk_slice_use on_slice; /* PLK_SLICE_OWN where only_scales(params) */

    /* True if apply takes numbers from the context's rng: then it runs anew for every position. */
    bool (*is_random)(const void *params);

    /* Changes the view. On failure the view may be half changed: sampling stops there. */
    pluck_status (*apply)(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err);

    /* For traces: the threshold and other numbers that apply works with, on the view that apply
     * is about to get. Takes no random numbers; may use the scratch memory as functions on a
     * const view do. Where there is none, a trace finds the bound by comparing. */
    void (*explain)(const void *params, const void *state, const plk_view *view,
                    const plk_stage_context *context, plk_explanation *out);

    /* How many of the last accepted tokens it looks back on; SIZE_MAX: all. */
    size_t (*window)(const void *params);

    /* How many tokens at most one apply gives to plk_view_edit as long as the sequence has at most
     * n_tokens, which reserve has made room for. The sampler keeps memory for them. */
    size_t (*max_edits)(const void *params, const void *state, uint64_t n_tokens, uint32_t n_vocab);

    /* Beyond ranges of single parameters: PLUCK_ERR_CONFIG, or PLUCK_ERR_INVALID for a token >=
     * n_vocab. */
    pluck_status (*check)(const void *params, uint32_t n_vocab, pluck_error *err);

    /* For a draw that learns from its tokens: what accept will want to know about the one that was
     * just picked from the view that apply left. It goes to accept if that token is accepted. */
    double (*observe)(const void *params, const void *state, const plk_view *view, uint32_t token);

    pluck_status (*create)(void **state, const void *params, const plk_stage_setup *setup,
                           pluck_error *err);
    void (*destroy)(void *state);
    pluck_status (*clone)(void **out, const void *state, pluck_error *err);
    void (*reset)(void *state);

    /* Tokens are accepted in three steps: every stage reserves memory for these n (may fail,
     * changes nothing visible); then, token by token, the history takes one and every stage accepts
     * (cannot fail; the token is the last of the history). */
    pluck_status (*reserve)(void *state, const pluck_token *tokens, size_t n, pluck_error *err);
    void (*accept)(const void *params, void *state, const plk_history *history,
                   const plk_accepted *accepted);

    /* Undoes the last accept; called before the history drops the token. */
    void (*rewind)(const void *params, void *state, const plk_history *history);

    /* What load needs to make the state anew besides the history, which is there before it; NULL:
     * nothing. */
    void (*save)(const void *params, const void *state, const plk_history *history,
                 plk_byte_writer *out);

    /* The state as it was saved, into one as just created: the bytes may be anything, and what is
     * wrong with them is PLUCK_ERR_FORMAT. On failure the state is thrown away. Where save is NULL,
     * this also makes the state of a stage that a new configuration brings. A state with a save is
     * then made by accepting the tokens of the history again, unless it is that of a draw that
     * learns. */
    pluck_status (*load)(const void *params, void *state, const plk_history *history,
                         plk_byte_reader *in, pluck_error *err);

    bool is_unsaveable; /* has a state that cannot be saved */
};

/* The min_keep parameter of truncating stages, for their tables; the block has an int64_t
 * min_keep. */
#define PLK_MIN_KEEP_PARAM(params_type)                                                            \
    {                                                                                              \
        .name = "min_keep", .flat_key = "min_keep", .type = PLUCK_PARAM_INTEGER, .min = 1,         \
        .max = PLUCK_MAX_VOCAB, .default_value = 1, .neutral = 1,                                  \
        .summary = "smallest number of tokens to keep",                                            \
        .offset_bytes = offsetof(params_type, min_keep)                                            \
    }

/* The registry: NULL-terminated, in the order of the flat form, draws last. */
extern const plk_stage *const plk_stages[];

/* The stage with this name, or NULL. */
const plk_stage *plk_stage_find(const char *name);

/* A stage of the library or of a registry, which may be NULL; and the index-th of the registry, or
 * NULL. */
const plk_stage *plk_registry_find(const pluck_registry *registry, const char *name);
const plk_stage *plk_registry_at(const pluck_registry *registry, size_t index);

/* The table of which info is part. */
const plk_stage *plk_stage_of(const pluck_stage *info);

/*
 * Parameter blocks: the memory that a stage's table describes. Everything here follows the table,
 * so that a new stage needs no code, and a new parameter type one row in params.c.
 */

/* What can be done with a value of one pluck_param_type, given the address of the value. */
typedef struct plk_param_ops {
    size_t size_bytes;
    void (*init)(void *value, const pluck_param *param); /* the default */
    pluck_status (*clone)(void *out, const void *value, const pluck_allocator *allocator,
                          pluck_error *err);
    void (*free)(void *value, const pluck_allocator *allocator);
    bool (*equal)(const void *a, const void *b); /* bit for bit */
    void (*put)(const void *value, plk_byte_writer *out);
    /* NULL if a value owns no memory: how much that is, and a copy of it at *room. */
    size_t (*packed_bytes)(const void *value);
    void (*pack)(void *value, unsigned char **room);
} plk_param_ops;

/* A value of any type: where one is kept before it moves into a block. */
typedef union plk_param_value {
    double number;
    int64_t integer;
    pluck_bias_map bias_map;
    bool boolean;
    pluck_token_set tokens;
    pluck_sequences sequences;
} plk_param_value;

const plk_param_ops *plk_param_ops_of(pluck_param_type type);

/* Where a parameter is inside a block. */
void *plk_param_at(void *params, const pluck_param *param);
const void *plk_param_at_const(const void *params, const pluck_param *param);

/* A block with the defaults of every parameter. On failure *out is NULL. */
pluck_status plk_params_create(void **out, const pluck_stage *stage,
                               const pluck_allocator *allocator, pluck_error *err);

/* An independent copy. On failure *out is NULL. */
pluck_status plk_params_clone(void **out, const pluck_stage *stage, const void *params,
                              const pluck_allocator *allocator, pluck_error *err);

/* A copy in memory of the caller's, at *room, which moves on by plk_params_packed_bytes() and stays
 * aligned for any type. It is not destroyed. */
size_t plk_params_packed_bytes(const pluck_stage *stage, const void *params);
void *plk_params_pack(const pluck_stage *stage, const void *params, unsigned char **room);

/* params may be NULL. */
void plk_params_destroy(const pluck_stage *stage, void *params, const pluck_allocator *allocator);

/* Whether every parameter has the same bits: 0 and -0 differ. */
bool plk_params_equal(const pluck_stage *stage, const void *a, const void *b);

/* Name and value of every parameter that is not at its default: two blocks give the same bytes
 * exactly if they are equal, on every machine, and a parameter that a later version adds changes
 * none. */
void plk_params_put(const pluck_stage *stage, const void *params, plk_byte_writer *out);

/* Tokens outside the vocabulary: PLUCK_ERR_CONFIG, after the stage's name. */
pluck_status plk_check_token_set(const char *stage, const pluck_token_set *set, uint32_t n_vocab,
                                 pluck_error *err);
pluck_status plk_check_sequences(const char *stage, const pluck_sequences *sequences,
                                 uint32_t n_vocab, pluck_error *err);

/*
 * What both versions of mirostat share: mu, the surprise that they aim at, and how it follows the
 * tokens drawn. params of either begins with tau and eta.
 */

typedef struct plk_mirostat_params {
    double tau;
    double eta;
} plk_mirostat_params;

/* mu = 2 tau to begin with, in bits. */
double plk_mirostat_mu(const void *state);

/* Functions of the descriptor; the others are those of the undo ring. After a token of probability
 * p was drawn and accepted, mu -= eta (-log2 p - tau). */
pluck_status plk_mirostat_create(void **state, const void *params, const plk_stage_setup *setup,
                                 pluck_error *err);
double plk_mirostat_observe(const void *params, const void *state, const plk_view *view,
                            uint32_t token);
void plk_mirostat_accept(const void *params, void *state, const plk_history *history,
                         const plk_accepted *accepted);

/* tau and eta for the tables. */
#define PLK_MIROSTAT_PARAMS(params_type)                                                           \
    {.name = "tau",                                                                                \
     .flat_key = "mirostat_tau",                                                                   \
     .type = PLUCK_PARAM_NUMBER,                                                                   \
     .min = 0,                                                                                     \
     .max = 1000,                                                                                  \
     .default_value = 5,                                                                           \
     .neutral = (double)NAN,                                                                       \
     .summary = "target for the surprise, in bits",                                                \
     .offset_bytes = offsetof(params_type, common.tau)},                                           \
    {                                                                                              \
        .name = "eta", .flat_key = "mirostat_eta", .type = PLUCK_PARAM_NUMBER, .min = 0,           \
        .max = 1000, .default_value = 0.1, .neutral = (double)NAN,                                 \
        .summary = "learning rate: how far each token moves the threshold",                        \
        .offset_bytes = offsetof(params_type, common.eta)                                          \
    }

#endif
