/*
 * Everything a chain does is a loop over its links that calls the function of the stage's table, if
 * it has one. The functions of stages run in the library's floating-point environment: apply, which
 * samplers call in it, and the others, which enter it here.
 */
#include "sampler/chain.h"

#include "base/error.h"
#include "select/nucleus.h"
#include "simd/fp_state.h"
#include "stages/params.h"

#include <string.h>

static void destroy_link(const pl_chain *chain, pl_link *link)
{
    if (link->state)
        link->stage->destroy(link->state);
    pl_params_destroy(&link->stage->info, link->params, &chain->allocator);
}

void pl_chain_destroy(pl_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++)
        destroy_link(chain, chain->links + i);
    pl_free(&chain->allocator, chain->links);
    chain->links = NULL;
    chain->n = 0;
}

/* Room for capacity links; none is there yet. */
static pluck_status reserve_links(pl_chain *chain, size_t capacity,
                                  const pluck_allocator *allocator, pluck_error *err)
{
    *chain = (pl_chain){.allocator = *allocator};
    chain->links = pl_alloc(allocator, capacity, sizeof *chain->links);
    return chain->links ? PLUCK_OK : pl_fail_nomem(err, capacity * sizeof *chain->links);
}

static pluck_status add_link(pl_chain *chain, const pl_stage *stage, const void *params,
                             const pl_stage_setup *setup, pluck_error *err)
{
    pl_link link = {.stage = stage};
    pluck_status status = PLUCK_OK;
    if (stage->check)
        status = stage->check(params, setup->n_vocab, err);
    if (status == PLUCK_OK)
        status = pl_params_clone(&link.params, &stage->info, params, &chain->allocator, err);
    pl_stage_setup own_setup = *setup;
    own_setup.stage = stage;
    if (status == PLUCK_OK && stage->create)
        status = stage->create(&link.state, link.params, &own_setup, err);
    if (status == PLUCK_OK)
        chain->links[chain->n++] = link;
    else
        pl_params_destroy(&stage->info, link.params, &chain->allocator);
    return status;
}

pluck_status pl_chain_create(pl_chain *chain, const pluck_config *config,
                             const pl_stage_setup *setup, pluck_error *err)
{
    pl_fp_state fp = pl_fp_enter();
    size_t n = pluck_config_stage_count(config);
    pluck_status status = reserve_links(chain, n, setup->allocator, err);
    for (size_t i = 0; i < n && status == PLUCK_OK; i++) {
        const pl_stage *stage = pl_stage_of(pluck_config_stage_at(config, i));
        if (!pluck_config_neutral_at(config, i))
            status = add_link(chain, stage, pluck_config_params_at(config, i), setup, err);
    }
    if (status != PLUCK_OK)
        pl_chain_destroy(chain);
    pl_fp_leave(fp);
    return status;
}

pluck_status pl_chain_clone(pl_chain *out, const pl_chain *chain, pluck_error *err)
{
    pl_fp_state fp = pl_fp_enter();
    pluck_status status = reserve_links(out, chain->n, &chain->allocator, err);
    for (size_t i = 0; i < chain->n && status == PLUCK_OK; i++) {
        const pl_link *from = chain->links + i;
        const pl_stage *stage = from->stage;
        pl_link link = {.stage = stage};
        status = pl_params_clone(&link.params, &stage->info, from->params, &chain->allocator, err);
        if (status == PLUCK_OK && from->state)
            status = stage->clone(&link.state, from->state, err);
        if (status == PLUCK_OK)
            out->links[out->n++] = link;
        else
            pl_params_destroy(&stage->info, link.params, &chain->allocator);
    }
    if (status != PLUCK_OK)
        pl_chain_destroy(out);
    pl_fp_leave(fp);
    return status;
}

void pl_chain_reset(pl_chain *chain)
{
    pl_fp_state fp = pl_fp_enter();
    for (size_t i = 0; i < chain->n; i++)
        if (chain->links[i].stage->reset)
            chain->links[i].stage->reset(chain->links[i].state);
    pl_fp_leave(fp);
}

size_t pl_chain_window(const pl_chain *chain)
{
    size_t longest = 0;
    for (size_t i = 0; i < chain->n; i++) {
        const pl_link *link = chain->links + i;
        size_t window = link->stage->window ? link->stage->window(link->params) : 0;
        longest = window > longest ? window : longest;
    }
    return longest;
}

size_t pl_chain_max_edits(const pl_chain *chain, uint32_t n_vocab)
{
    size_t sum = 0;
    for (size_t i = 0; i < chain->n; i++) {
        const pl_link *link = chain->links + i;
        sum += link->stage->max_edits ? link->stage->max_edits(link->params, n_vocab) : 0;
    }
    return sum;
}

pluck_status pl_chain_reserve(pl_chain *chain, pluck_error *err)
{
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < chain->n && status == PLUCK_OK; i++)
        if (chain->links[i].stage->reserve)
            status = chain->links[i].stage->reserve(chain->links[i].state, err);
    return status;
}

void pl_chain_accept(pl_chain *chain, const pl_history *history, const pl_accepted *accepted)
{
    pl_fp_state fp = pl_fp_enter();
    for (size_t i = 0; i < chain->n; i++) {
        const pl_link *link = chain->links + i;
        if (link->stage->accept)
            link->stage->accept(link->params, link->state, history, accepted);
    }
    pl_fp_leave(fp);
}

void pl_chain_rewind(pl_chain *chain, const pl_history *history)
{
    pl_fp_state fp = pl_fp_enter();
    for (size_t i = chain->n; i-- > 0;) {
        const pl_link *link = chain->links + i;
        if (link->stage->rewind)
            link->stage->rewind(link->params, link->state, history);
    }
    pl_fp_leave(fp);
}

bool pl_chain_has(const pl_chain *chain, const char *name)
{
    for (size_t i = 0; i < chain->n; i++)
        if (strcmp(chain->links[i].stage->info.name, name) == 0)
            return true;
    return false;
}

bool pl_chain_is_random(const pl_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++) {
        const pl_link *link = chain->links + i;
        if (link->stage->is_random && link->stage->is_random(link->params))
            return true;
    }
    return false;
}

/* The draw is the last link, and never neutral. */
static const pl_link *draw_of(const pl_chain *chain)
{
    return chain->links + chain->n - 1;
}

bool pl_chain_observes(const pl_chain *chain)
{
    return draw_of(chain)->stage->observe != NULL;
}

double pl_chain_observe(const pl_chain *chain, const pl_view *view, uint32_t token)
{
    const pl_link *draw = draw_of(chain);
    return draw->stage->observe(draw->params, draw->state, view, token);
}

pluck_status pl_chain_apply(const pl_chain *chain, size_t index, pl_view *view,
                            const pl_stage_context *context, pluck_error *err)
{
    const pl_link *link = chain->links + index;
    if (!link->stage->apply)
        return PLUCK_OK;
    if (!link->stage->only_scales || !link->stage->only_scales(link->params))
        pl_view_settle(view);
    pluck_error inner;
    pluck_status status = link->stage->apply(link->params, link->state, view, context, &inner);
    if (status != PLUCK_OK)
        return pl_fail(err, status, "%s: %s", link->stage->info.name, inner.message);
    return PLUCK_OK;
}

void pl_chain_put_identity(const pl_chain *chain, pl_byte_writer *out)
{
    for (size_t i = 0; i < chain->n; i++) {
        const pluck_stage *info = &chain->links[i].stage->info;
        pl_put_bytes(out, info->name, strlen(info->name) + 1);
        pl_params_put(info, chain->links[i].params, out);
        pl_put_u32(out, 0); /* no parameter has an empty name: the next stage begins */
    }
}

/* The size comes first, so that what is written is measured before. */
static void save_link(const pl_link *link, const pl_history *history, pl_byte_writer *out)
{
    pl_byte_writer measured = pl_byte_writer_make(NULL, 0);
    if (link->stage->save)
        link->stage->save(link->params, link->state, history, &measured);
    pl_put_u64(out, measured.n_bytes);
    if (link->stage->save)
        link->stage->save(link->params, link->state, history, out);
}

void pl_chain_save(const pl_chain *chain, const pl_history *history, pl_byte_writer *out)
{
    pl_fp_state fp = pl_fp_enter();
    for (size_t i = 0; i < chain->n; i++)
        save_link(chain->links + i, history, out);
    pl_fp_leave(fp);
}

static pluck_status load_link(const pl_link *link, const pl_history *history, pl_byte_reader *in,
                              pluck_error *err)
{
    uint64_t size_bytes = pl_take_u64(in);
    pl_byte_reader part = pl_take_part(in, size_bytes < SIZE_MAX ? (size_t)size_bytes : SIZE_MAX);
    pluck_error inner = {.message = "bytes are missing or left over"};
    pluck_status status = PLUCK_OK;
    if (link->stage->load)
        status = link->stage->load(link->params, link->state, history, &part, &inner);
    if (status == PLUCK_OK && !pl_is_read_up(&part))
        status = PLUCK_ERR_FORMAT;
    if (status != PLUCK_OK)
        return pl_fail(err, status, "state of %s: %s", link->stage->info.name, inner.message);
    return PLUCK_OK;
}

pluck_status pl_chain_load(pl_chain *chain, const pl_history *history, pl_byte_reader *in,
                           pluck_error *err)
{
    pl_fp_state fp = pl_fp_enter();
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < chain->n && status == PLUCK_OK; i++)
        status = load_link(chain->links + i, history, in, err);
    pl_fp_leave(fp);
    return status;
}
