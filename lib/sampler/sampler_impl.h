/*
 * The inside of a sampler: its chain of stages, the workspace that it may share, and the steps of a
 * draw.
 */
#ifndef PLK_SAMPLER_IMPL_H
#define PLK_SAMPLER_IMPL_H

#include "select/view.h"
#include "stages/stage_impl.h"
#include "thread/thread.h"

#include <pluck/config.h>
#include <pluck/rng.h>
#include <pluck/sampler.h>

/*
 * A chain: the stages of one sampler, in order, each with its parameters and state. The draw is the
 * last of them. Stages whose parameters make them the identity are left out.
 */

typedef struct plk_link {
    const plk_stage *stage;
    void *params;
    void *state;  /* NULL if the stage has none */
    bool is_lent; /* the state belongs to another chain */
} plk_link;

typedef struct plk_chain {
    pluck_allocator allocator;
    plk_link *links; /* [n]; their parameters follow in the same allocation */
    size_t n;
    size_t params_bytes;
    bool is_lent; /* links and parameters are in memory of somebody else's */
} plk_chain;

/* Stages and parameters, copied from the configuration; then the states, except those that are
 * lent. After a failure the chain is fit to be destroyed. */
pluck_status plk_chain_create(plk_chain *chain, const pluck_config *config, uint32_t n_vocab,
                              const pluck_allocator *allocator, pluck_error *err);
pluck_status plk_chain_create_states(plk_chain *chain, const plk_stage_setup *setup,
                                     pluck_error *err);

/* A copy in memory of the caller's, plk_chain_bytes() aligned for any type; states are allocated.
 * After a failure it is fit to be destroyed. */
size_t plk_chain_bytes(const plk_chain *chain);
pluck_status plk_chain_clone(plk_chain *out, const plk_chain *chain, void *memory,
                             pluck_error *err);
void plk_chain_destroy(plk_chain *chain);
void plk_chain_reset(plk_chain *chain);

/* One chain in the place of another: a chain without states borrows those of the other's stages
 * that are equal, by the stage, their number among the links of this stage, and the parameters. The
 * states that are then created anew catch up with the history. At last the chain keeps what it has
 * borrowed, and the other one is to be destroyed. */
void plk_chain_borrow_states(plk_chain *chain, const plk_chain *from);
pluck_status plk_chain_replay(plk_chain *chain, const plk_history *history, pluck_error *err);
void plk_chain_keep_states(plk_chain *chain, plk_chain *from);

/* Whether both have the same draw with the same parameters. */
bool plk_chain_same_draw(const plk_chain *a, const plk_chain *b);

/* The longest window of all stages (SIZE_MAX: the whole history), and the sum of their edits as
 * long as the sequence has at most n_tokens. */
size_t plk_chain_window(const plk_chain *chain);
size_t plk_chain_max_edits(const plk_chain *chain, uint64_t n_tokens, uint32_t n_vocab);

/* The three steps of accepting and the one of rewinding, as stage_impl.h describes them. */
pluck_status plk_chain_reserve(plk_chain *chain, const pluck_token *tokens, size_t n,
                               pluck_error *err);
void plk_chain_accept(plk_chain *chain, const plk_history *history, const plk_accepted *accepted);
void plk_chain_rewind(plk_chain *chain, const plk_history *history);

/* Whether some link is this stage, and whether the first one is. */
bool plk_chain_has(const plk_chain *chain, const char *name);
bool plk_chain_begins_with(const plk_chain *chain, const char *name);

/* Whether some stage takes random numbers. */
bool plk_chain_is_random(const plk_chain *chain);

/* Whether the draw wants to know about the token that was picked, and what it says of it, on the
 * final view. */
bool plk_chain_observes(const plk_chain *chain);
double plk_chain_observe(const plk_chain *chain, const plk_view *view, uint32_t token);

/* Which stages with which parameters: chains give the same bytes exactly if they do the same. */
void plk_chain_put_identity(const plk_chain *chain, plk_byte_writer *out);

/* The state of every stage, after its size. */
void plk_chain_save(const plk_chain *chain, const plk_history *history, plk_byte_writer *out);

/* The same, into a chain that was just reset. On failure fit to be destroyed. */
pluck_status plk_chain_load(plk_chain *chain, const plk_history *history, plk_byte_reader *in,
                            pluck_error *err);

/* Runs link number index on the view. An error names the stage. */
pluck_status plk_chain_apply(const plk_chain *chain, size_t index, plk_view *view,
                             const plk_stage_context *context, pluck_error *err);

/*
 * Rows in slices (pluck/shard.h).
 */

/* What a link does with the view of a slice. has_whole_groups: no cut goes through a group of
 * blocks that the deviation is added up in. */
plk_slice_use plk_slice_use_of(const plk_link *link, bool has_whole_groups);

/* What a row takes. */
typedef struct plk_slice_plan {
    uint32_t n_exchanges; /* usually */
    const char *gathers;  /* the stage for which the row is gathered; NULL: none */
    bool reads_raw;       /* it is gathered at once: see PLK_SLICE_RAW */
} plk_slice_plan;

plk_slice_plan plk_slice_plan_make(const plk_chain *chain, bool has_whole_groups, bool token_only);

/*
 * A workspace: threads, and the scratch memory of one row for each worker. Single calls use that of
 * worker 0.
 */

struct pluck_workspace {
    pluck_allocator allocator;
    uint32_t n_vocab;
    uint32_t n_workers;
    plk_scratch **scratches; /* [n_workers] */
    pluck_parallel parallel; /* run NULL: the calling thread alone */
};

/*
 * The sampler.
 */

/* The last token that was drawn at the current position. */
typedef struct plk_drawn {
    bool any;
    pluck_token token;
    double observed; /* by the draw; see plk_stage.observe */
} plk_drawn;

struct pluck_sampler {
    pluck_allocator allocator;
    const plk_kernels *kernels;
    uint32_t n_vocab;
    uint32_t max_rewind;
    pluck_on_nan on_nan;
    uint64_t seed;
    uint64_t stream;
    uint64_t position;
    pluck_pcg64 rng;       /* at the first number of the position */
    uint64_t keep_history; /* tokens kept even if no stage looks back on them */
    size_t window;         /* how far the chain looks back */
    uint64_t identity;     /* hash of what two samplers must have in common to do the same */
    uint64_t furthest;     /* the largest position of the history since the sequence began */
    plk_drawn drawn;
    plk_drawn drawn_before; /* what plk_sampler_fill() replaced */
    const int32_t *mask;    /* the caller's for this position, or NULL */
    bool masks_in_chain;    /* a stage applies it; otherwise it acts before all stages */
    bool masks_first;       /* the first stage does */
    plk_token_texts texts;  /* the caller's */
    plk_chain chain;
    plk_history history;
    plk_edit *edits; /* [max_edits] memory that its views borrow */
    size_t max_edits;
    pluck_workspace *workspace; /* what it borrows; NULL: scratch is its own */
    plk_scratch *scratch;
};

/* What the stages of this sampler are created with. */
plk_stage_setup plk_sampler_setup(const pluck_sampler *sampler);

/* Sets what follows from the chain and on_nan. */
void plk_sampler_note_chain(pluck_sampler *sampler);

/* Room for what this sampler's history has to keep if its chain looks back on window tokens. */
pluck_status plk_sampler_widen_history(pluck_sampler *sampler, size_t window, pluck_error *err);

/* A history as this sampler needs it: everything that a stage looks back on after the longest
 * rewind, and in the course of time keep_history tokens. */
pluck_status plk_sampler_create_history(const pluck_sampler *sampler, plk_history *history,
                                        pluck_error *err);

/* How many tokens its history keeps; SIZE_MAX: all. */
size_t plk_sampler_n_kept(const pluck_sampler *sampler);

/* Makes room for n more tokens: accepting them then cannot fail. Changes nothing visible. */
pluck_status plk_sampler_reserve(pluck_sampler *sampler, const pluck_token *tokens, size_t n,
                                 pluck_error *err);

/* Room for n edits, if there is not. Changes nothing visible. */
pluck_status plk_sampler_reserve_edits(pluck_sampler *sampler, size_t n, pluck_error *err);
void plk_sampler_accept_reserved(pluck_sampler *sampler, pluck_token token, bool is_prompt);

/* The logits of a row. */
pluck_logits plk_logits_at(const pluck_matrix *rows, size_t row);

/* PLUCK_ERR_INVALID unless the logits are usable by this sampler. */
pluck_status plk_sampler_check(const pluck_sampler *sampler, pluck_logits logits, pluck_error *err);

/* What its stages see at the current position. */
plk_stage_context plk_sampler_context(const pluck_sampler *sampler, pluck_pcg64 *rng);

/* Opens a view on the logits as they came: no stage, no mask. */
pluck_status plk_sampler_open_raw(const pluck_sampler *sampler, pluck_logits logits, plk_view *view,
                                  pluck_error *err);

/* The same, under the mask unless a stage applies it. */
pluck_status plk_sampler_open_view(const pluck_sampler *sampler, pluck_logits logits,
                                   plk_view *view, pluck_error *err);

/* Puts the mask and the chain on a view of the logits as they came: it is then the final
 * distribution. Random stages take numbers from rng, which starts as that of a position; the pick
 * goes on with it. */
pluck_status plk_sampler_finish_view(const pluck_sampler *sampler, pluck_pcg64 *rng, plk_view *view,
                                     pluck_error *err);

/* Both: opens a view and makes it the final distribution. */
pluck_status plk_sampler_final_view(const pluck_sampler *sampler, pluck_logits logits,
                                    pluck_pcg64 *rng, plk_view *view, pluck_error *err);

/* Opens a view of a slice, under the mask unless a stage applies it. False if a logit is NaN or
 * +inf. */
bool plk_sampler_open_slice(const pluck_sampler *sampler, pluck_logits slice, uint32_t first_token,
                            plk_share *share, plk_view *view);

/* Notes draw->token as below, and fills in what is reported of it from the settled final view. */
void plk_sampler_report(pluck_sampler *sampler, plk_view *view, pluck_draw *draw);

/* Notes the token drawn at the current position from the final view, with what a draw that learns
 * needs to know of it. */
void plk_sampler_remember(pluck_sampler *sampler, plk_view *view, pluck_token token);

/*
 * The steps of pluck_sampler_run() and pluck_workspace_run().
 */

/* Reads the caller's struct into out, and checks it for n_rows rows. */
pluck_status plk_outputs_check(pluck_outputs *out, const pluck_outputs *given, uint32_t n_vocab,
                               size_t n_rows, pluck_error *err);

/* Everything about one row, with the memory that the sampler has at the moment. The *n_kept tokens
 * that the row keeps stay in it for plk_outputs_keep(). On failure the row is cleared. */
pluck_status plk_sampler_fill(pluck_sampler *sampler, pluck_logits logits, const pluck_outputs *out,
                              size_t row, uint32_t *n_kept, pluck_error *err);

/* The outputs of a row that failed, or that has no sampler. */
void plk_outputs_clear(const pluck_outputs *out, size_t row, uint32_t n_vocab, pluck_status status);

/* Appends what a row keeps; rows come in ascending order. Beyond the capacity it only counts. */
void plk_outputs_keep(const pluck_outputs *out, size_t row, uint32_t n_kept,
                      const plk_scratch *scratch);

/* After all rows: accepts, unless something did not fit or memory runs out; then nothing has been
 * drawn. samplers may hold NULL, and is NULL for rows without samplers, which accept nothing. */
pluck_status plk_outputs_finish(pluck_sampler *const *samplers, const pluck_outputs *out,
                                size_t n_rows, uint32_t n_vocab, pluck_error *err);

#endif
