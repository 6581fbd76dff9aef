/*
 * What a stage is inside the library: its public table and the functions that do the work. One file
 * under lib/stages/ defines one const pl_stage, and registry.c lists it: that is all that a new
 * stage needs. docs/adding-a-stage.md walks through one.
 */
#ifndef PL_STAGE_IMPL_H
#define PL_STAGE_IMPL_H

#include "history/history.h"
#include "select/view.h"

#include <pluck/stage.h>

/* What a stage may look at beside the view. */
typedef struct pl_stage_context {
    const pl_history *history;
    uint32_t n_vocab;
} pl_stage_context;

/* Functions that are NULL have nothing to do. params is the block that the public table describes;
 * state is the stage's own, NULL if create is NULL. */
typedef struct pl_stage {
    pluck_stage info;

    /* True when these parameters make the stage the identity: a sampler leaves it out. */
    bool (*is_neutral)(const void *params);

    /* True if all that apply does is pl_view_scale(): it then also takes a view with a deferred
     * nucleus, which any other stage finds settled. */
    bool (*only_scales)(const void *params);

    /* Changes the view. On failure the view may be half changed: sampling stops there. */
    pluck_status (*apply)(const void *params, void *state, pl_view *view,
                          const pl_stage_context *context, pluck_error *err);

    /* How many of the last accepted tokens it looks back on; SIZE_MAX: all. */
    size_t (*window)(const void *params);

    /* How many tokens at most it gives to pl_view_edit. */
    size_t (*max_edits)(const void *params, uint32_t n_vocab);

    /* Beyond ranges of single parameters: PLUCK_ERR_CONFIG, or PLUCK_ERR_INVALID for a token >=
     * n_vocab. */
    pluck_status (*check)(const void *params, uint32_t n_vocab, pluck_error *err);

    pluck_status (*create)(void **state, const void *params, const pluck_allocator *allocator,
                           pluck_error *err);
    void (*destroy)(void *state);
    pluck_status (*clone)(void **out, const void *state, pluck_error *err);
    void (*reset)(void *state);

    /* A token is accepted in three steps: every stage reserves (may fail, changes nothing visible),
     * the history takes the token, every stage accepts (cannot fail; the token is the last of the
     * history). */
    pluck_status (*reserve)(void *state, pluck_error *err);
    void (*accept)(const void *params, void *state, const pl_history *history);

    /* Undoes the last accept; called before the history drops the token. */
    void (*rewind)(const void *params, void *state, const pl_history *history);
} pl_stage;

/* The min_keep parameter of truncating stages, for their tables; the block has an int64_t
 * min_keep. */
#define PL_MIN_KEEP_PARAM(params_type)                                                             \
    {                                                                                              \
        .name = "min_keep", .flat_key = "min_keep", .type = PLUCK_PARAM_INTEGER, .min = 1,         \
        .max = PLUCK_MAX_VOCAB, .default_value = 1, .neutral = 1,                                  \
        .summary = "keeps at least this many tokens",                                              \
        .offset_bytes = offsetof(params_type, min_keep)                                            \
    }

/* The registry: NULL-terminated, in the order of the flat form, draws last. */
extern const pl_stage *const pl_stages[];

/* The stage with this name, or NULL. */
const pl_stage *pl_stage_find(const char *name);

/* The table of which info is part. */
const pl_stage *pl_stage_of(const pluck_stage *info);

#endif
