/*
 * A chain: the stages of one sampler, in order, each with its parameters and state. The draw is the
 * last of them. Stages whose parameters make them the identity are left out.
 */
#ifndef PL_CHAIN_H
#define PL_CHAIN_H

#include "stages/stage_impl.h"

#include <pluck/config.h>

typedef struct pl_link {
    const pl_stage *stage;
    void *params;
    void *state; /* NULL if the stage has none */
} pl_link;

typedef struct pl_chain {
    pluck_allocator allocator;
    pl_link *links;
    size_t n;
} pl_chain;

/* Copies what it needs of the configuration. On failure *chain holds nothing. */
pluck_status pl_chain_create(pl_chain *chain, const pluck_config *config,
                             const pl_stage_setup *setup, pluck_error *err);
pluck_status pl_chain_clone(pl_chain *out, const pl_chain *chain, pluck_error *err);
void pl_chain_destroy(pl_chain *chain);
void pl_chain_reset(pl_chain *chain);

/* The longest window of all stages (SIZE_MAX: the whole history), and the sum of their edits. */
size_t pl_chain_window(const pl_chain *chain);
size_t pl_chain_max_edits(const pl_chain *chain, uint32_t n_vocab);

/* The three steps of accepting and the one of rewinding, as stage_impl.h describes them. */
pluck_status pl_chain_reserve(pl_chain *chain, pluck_error *err);
void pl_chain_accept(pl_chain *chain, const pl_history *history, const pl_accepted *accepted);
void pl_chain_rewind(pl_chain *chain, const pl_history *history);

/* Whether some link is this stage. */
bool pl_chain_has(const pl_chain *chain, const char *name);

/* Whether some stage takes random numbers. */
bool pl_chain_is_random(const pl_chain *chain);

/* Whether the draw wants to know about the token that was picked, and what it says of it, on the
 * final view. */
bool pl_chain_observes(const pl_chain *chain);
double pl_chain_observe(const pl_chain *chain, const pl_view *view, uint32_t token);

/* Which stages with which parameters: chains give the same bytes exactly if they do the same. */
void pl_chain_put_identity(const pl_chain *chain, pl_byte_writer *out);

/* The state of every stage, after its size. */
void pl_chain_save(const pl_chain *chain, const pl_history *history, pl_byte_writer *out);

/* The same, into a chain that was just reset. On failure fit to be destroyed. */
pluck_status pl_chain_load(pl_chain *chain, const pl_history *history, pl_byte_reader *in,
                           pluck_error *err);

/* Runs link number index on the view. An error names the stage. */
pluck_status pl_chain_apply(const pl_chain *chain, size_t index, pl_view *view,
                            const pl_stage_context *context, pluck_error *err);

#endif
