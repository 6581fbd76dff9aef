/*
 * A chain: the stages of one sampler, in order, each with its parameters and state. The draw is the
 * last of them. Stages whose parameters make them the identity are left out.
 */
#ifndef PLK_CHAIN_H
#define PLK_CHAIN_H

#include "stages/stage_impl.h"

#include <pluck/config.h>

typedef struct plk_link {
    const plk_stage *stage;
    void *params;
    void *state; /* NULL if the stage has none */
} plk_link;

typedef struct plk_chain {
    pluck_allocator allocator;
    plk_link *links;
    size_t n;
} plk_chain;

/* Copies what it needs of the configuration. On failure *chain holds nothing. */
pluck_status plk_chain_create(plk_chain *chain, const pluck_config *config,
                              const plk_stage_setup *setup, pluck_error *err);
pluck_status plk_chain_clone(plk_chain *out, const plk_chain *chain, pluck_error *err);
void plk_chain_destroy(plk_chain *chain);
void plk_chain_reset(plk_chain *chain);

/* The longest window of all stages (SIZE_MAX: the whole history), and the sum of their edits. */
size_t plk_chain_window(const plk_chain *chain);
size_t plk_chain_max_edits(const plk_chain *chain, uint32_t n_vocab);

/* The three steps of accepting and the one of rewinding, as stage_impl.h describes them. */
pluck_status plk_chain_reserve(plk_chain *chain, pluck_error *err);
void plk_chain_accept(plk_chain *chain, const plk_history *history, const plk_accepted *accepted);
void plk_chain_rewind(plk_chain *chain, const plk_history *history);

/* Whether some link is this stage. */
bool plk_chain_has(const plk_chain *chain, const char *name);

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

#endif
