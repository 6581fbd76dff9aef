/*
 * Everything a chain does is a loop over its links that calls the function of the stage's table, if
 * it has one. The functions of stages run in the library's floating-point environment: apply, which
 * samplers call in it, and the others, which enter it here.
 */
#include "sampler/sampler_impl.h"

#include "base/error.h"
#include "select/keep.h"
#include "simd/fp_state.h"

#include <stddef.h>
#include <string.h>

void plk_chain_destroy(plk_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++) {
        plk_link *link = chain->links + i;
        if (link->state && !link->is_lent)
            link->stage->destroy(link->state);
    }
    if (!chain->is_lent)
        plk_free(&chain->allocator, chain->links);
    chain->links = NULL;
    chain->n = 0;
}

/* The links and, after them, their parameters are one allocation. */
static size_t links_bytes(size_t n)
{
    size_t alignment = _Alignof(max_align_t);
    return (n * sizeof(plk_link) + alignment - 1) / alignment * alignment;
}

/* Memory for n links and params_bytes of parameters; no link is there yet. On failure *chain holds
 * nothing. */
static pluck_status allocate(plk_chain *chain, size_t n, size_t params_bytes,
                             const pluck_allocator *allocator, unsigned char **room,
                             pluck_error *err)
{
    *chain = (plk_chain){.allocator = *allocator, .params_bytes = params_bytes};
    unsigned char *memory = plk_alloc(allocator, 1, links_bytes(n) + params_bytes);
    if (!memory)
        return plk_fail_nomem(err, links_bytes(n) + params_bytes);
    chain->links = (plk_link *)(void *)memory;
    *room = memory + links_bytes(n);
    return PLUCK_OK;
}

/* Appends a link without a state. */
static void add_link(plk_chain *chain, const plk_stage *stage, const void *params,
                     unsigned char **room)
{
    void *copy = plk_params_pack(&stage->info, params, room);
    chain->links[chain->n++] = (plk_link){.stage = stage, .params = copy};
}

/* The index-th stage of the configuration; *stage is NULL if it is neutral. */
static pluck_status stage_at(const pluck_config *config, size_t index, const plk_stage **stage,
                             const void **params, pluck_error *err)
{
    pluck_config_stage part = PLUCK_INIT(pluck_config_stage);
    pluck_status status = pluck_config_get_stage(config, index, &part, err);
    *stage = status == PLUCK_OK && !part.is_neutral ? plk_stage_of(part.stage) : NULL;
    *params = part.params;
    return status;
}

pluck_status plk_chain_create(plk_chain *chain, const pluck_config *config, uint32_t n_vocab,
                              const pluck_allocator *allocator, pluck_error *err)
{
    *chain = (plk_chain){.allocator = *allocator};
    const plk_stage *stage = NULL;
    const void *params = NULL;
    size_t n = 0, params_bytes = 0;
    pluck_config_info info = PLUCK_INIT(pluck_config_info);
    plk_fp_state fp = plk_fp_enter();
    pluck_status status = pluck_config_get_info(config, &info, err);
    for (size_t i = 0; i < info.n_stages && status == PLUCK_OK; i++) {
        status = stage_at(config, i, &stage, &params, err);
        if (!stage)
            continue;
        if (stage->check)
            status = stage->check(params, n_vocab, err);
        params_bytes += plk_params_packed_bytes(&stage->info, params);
        n++;
    }
    unsigned char *room = NULL;
    if (status == PLUCK_OK)
        status = allocate(chain, n, params_bytes, allocator, &room, err);
    for (size_t i = 0; i < info.n_stages && status == PLUCK_OK; i++) {
        status = stage_at(config, i, &stage, &params, err);
        if (stage)
            add_link(chain, stage, params, &room);
    }
    plk_fp_leave(fp);
    return status;
}

pluck_status plk_chain_create_states(plk_chain *chain, const plk_stage_setup *setup,
                                     pluck_error *err)
{
    plk_fp_state fp = plk_fp_enter();
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < chain->n && status == PLUCK_OK; i++) {
        plk_link *link = chain->links + i;
        plk_stage_setup own_setup = *setup;
        own_setup.stage = link->stage;
        if (link->stage->create && !link->is_lent)
            status = link->stage->create(&link->state, link->params, &own_setup, err);
    }
    plk_fp_leave(fp);
    return status;
}

size_t plk_chain_bytes(const plk_chain *chain)
{
    return links_bytes(chain->n) + chain->params_bytes;
}

pluck_status plk_chain_clone(plk_chain *out, const plk_chain *chain, void *memory, pluck_error *err)
{
    plk_fp_state fp = plk_fp_enter();
    unsigned char *room = (unsigned char *)memory + links_bytes(chain->n);
    pluck_status status = PLUCK_OK;
    *out = (plk_chain){.allocator = chain->allocator,
                       .links = memory,
                       .params_bytes = chain->params_bytes,
                       .is_lent = true};
    for (size_t i = 0; i < chain->n && status == PLUCK_OK; i++) {
        const plk_link *from = chain->links + i;
        add_link(out, from->stage, from->params, &room);
        if (from->state)
            status = from->stage->clone(&out->links[i].state, from->state, err);
    }
    plk_fp_leave(fp);
    return status;
}

/* The link of the same stage with the same parameters that has the same place among links of this
 * stage; NULL if there is none. */
static plk_link *counterpart(const plk_chain *chain, const plk_link *link, size_t ordinal)
{
    for (size_t i = 0; i < chain->n; i++) {
        plk_link *other = chain->links + i;
        if (other->stage != link->stage)
            continue;
        if (ordinal-- == 0)
            return plk_params_equal(&link->stage->info, link->params, other->params) ? other : NULL;
    }
    return NULL;
}

static size_t ordinal_of(const plk_chain *chain, size_t index)
{
    size_t ordinal = 0;
    for (size_t i = 0; i < index; i++)
        ordinal += chain->links[i].stage == chain->links[index].stage;
    return ordinal;
}

void plk_chain_borrow_states(plk_chain *chain, const plk_chain *from)
{
    for (size_t i = 0; i < chain->n; i++) {
        plk_link *link = chain->links + i;
        const plk_link *other = counterpart(from, link, ordinal_of(chain, i));
        link->state = other ? other->state : NULL;
        link->is_lent = link->state != NULL;
    }
}

void plk_chain_keep_states(plk_chain *chain, plk_chain *from)
{
    for (size_t i = 0; i < chain->n; i++) {
        plk_link *link = chain->links + i;
        for (size_t k = 0; link->is_lent && k < from->n; k++)
            if (from->links[k].state == link->state)
                from->links[k].is_lent = true;
        link->is_lent = false;
    }
}

bool plk_chain_same_draw(const plk_chain *a, const plk_chain *b)
{
    const plk_link *x = a->links + a->n - 1, *y = b->links + b->n - 1;
    return x->stage == y->stage && plk_params_equal(&x->stage->info, x->params, y->params);
}

/* A state that was just created, as after accepting the history. What a draw learnt from its tokens
 * is not in a history. */
static pluck_status replay(const plk_link *link, const plk_history *history, pluck_error *err)
{
    const plk_stage *stage = link->stage;
    if (stage->observe)
        return PLUCK_OK;
    if (stage->load && !stage->save) {
        plk_byte_reader nothing = {NULL, 0, false};
        return stage->load(link->params, link->state, history, &nothing, err);
    }
    for (uint64_t at = history->oldest; stage->accept && at < history->position; at++) {
        plk_history past = plk_history_until(history, at + 1);
        plk_accepted accepted = {.token = plk_history_at(&past, 0)};
        stage->accept(link->params, link->state, &past, &accepted);
    }
    return PLUCK_OK;
}

pluck_status plk_chain_replay(plk_chain *chain, const plk_history *history, pluck_error *err)
{
    plk_fp_state fp = plk_fp_enter();
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < chain->n && status == PLUCK_OK; i++)
        if (chain->links[i].state && !chain->links[i].is_lent)
            status = replay(chain->links + i, history, err);
    plk_fp_leave(fp);
    return status;
}

void plk_chain_reset(plk_chain *chain)
{
    plk_fp_state fp = plk_fp_enter();
    for (size_t i = 0; i < chain->n; i++)
        if (chain->links[i].stage->reset)
            chain->links[i].stage->reset(chain->links[i].state);
    plk_fp_leave(fp);
}

size_t plk_chain_window(const plk_chain *chain)
{
    size_t longest = 0;
    for (size_t i = 0; i < chain->n; i++) {
        const plk_link *link = chain->links + i;
        size_t window = link->stage->window ? link->stage->window(link->params) : 0;
        longest = window > longest ? window : longest;
    }
    return longest;
}

size_t plk_chain_max_edits(const plk_chain *chain, uint64_t n_tokens, uint32_t n_vocab)
{
    size_t sum = 0;
    for (size_t i = 0; i < chain->n; i++) {
        const plk_link *link = chain->links + i;
        if (link->stage->max_edits)
            sum += link->stage->max_edits(link->params, link->state, n_tokens, n_vocab);
    }
    return sum;
}

pluck_status plk_chain_reserve(plk_chain *chain, const pluck_token *tokens, size_t n,
                               pluck_error *err)
{
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < chain->n && status == PLUCK_OK; i++)
        if (chain->links[i].stage->reserve)
            status = chain->links[i].stage->reserve(chain->links[i].state, tokens, n, err);
    return status;
}

void plk_chain_accept(plk_chain *chain, const plk_history *history, const plk_accepted *accepted)
{
    plk_fp_state fp = plk_fp_enter();
    for (size_t i = 0; i < chain->n; i++) {
        const plk_link *link = chain->links + i;
        if (link->stage->accept)
            link->stage->accept(link->params, link->state, history, accepted);
    }
    plk_fp_leave(fp);
}

void plk_chain_rewind(plk_chain *chain, const plk_history *history)
{
    plk_fp_state fp = plk_fp_enter();
    for (size_t i = chain->n; i-- > 0;) {
        const plk_link *link = chain->links + i;
        if (link->stage->rewind)
            link->stage->rewind(link->params, link->state, history);
    }
    plk_fp_leave(fp);
}

bool plk_chain_has(const plk_chain *chain, const char *name)
{
    for (size_t i = 0; i < chain->n; i++)
        if (strcmp(chain->links[i].stage->info.name, name) == 0)
            return true;
    return false;
}

bool plk_chain_begins_with(const plk_chain *chain, const char *name)
{
    return strcmp(chain->links[0].stage->info.name, name) == 0; /* the draw at least is there */
}

bool plk_chain_is_random(const plk_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++) {
        const plk_link *link = chain->links + i;
        if (link->stage->is_random && link->stage->is_random(link->params))
            return true;
    }
    return false;
}

/* The draw is the last link, and never neutral. */
static const plk_link *draw_of(const plk_chain *chain)
{
    return chain->links + chain->n - 1;
}

bool plk_chain_observes(const plk_chain *chain)
{
    return draw_of(chain)->stage->observe != NULL;
}

double plk_chain_observe(const plk_chain *chain, const plk_view *view, uint32_t token)
{
    const plk_link *draw = draw_of(chain);
    return draw->stage->observe(draw->params, draw->state, view, token);
}

pluck_status plk_chain_apply(const plk_chain *chain, size_t index, plk_view *view,
                             const plk_stage_context *context, pluck_error *err)
{
    const plk_link *link = chain->links + index;
    if (!link->stage->apply)
        return PLUCK_OK;
    if (!link->stage->only_scales || !link->stage->only_scales(link->params))
        plk_view_settle(view);
    pluck_error inner;
    pluck_status status = link->stage->apply(link->params, link->state, view, context, &inner);
    if (status != PLUCK_OK)
        return plk_fail(err, status, "%s: %s", link->stage->info.name, inner.message);
    return PLUCK_OK;
}

void plk_chain_put_identity(const plk_chain *chain, plk_byte_writer *out)
{
    for (size_t i = 0; i < chain->n; i++) {
        const pluck_stage *info = &chain->links[i].stage->info;
        plk_put_bytes(out, info->name, strlen(info->name) + 1);
        plk_params_put(info, chain->links[i].params, out);
        plk_put_u32(out, 0); /* no parameter has an empty name: the next stage begins */
    }
}

/* The size comes first, so that what is written is measured before. */
static void save_link(const plk_link *link, const plk_history *history, plk_byte_writer *out)
{
    plk_byte_writer measured = plk_byte_writer_make(NULL, 0);
    if (link->stage->save)
        link->stage->save(link->params, link->state, history, &measured);
    plk_put_u64(out, measured.n_bytes);
    if (link->stage->save)
        link->stage->save(link->params, link->state, history, out);
}

void plk_chain_save(const plk_chain *chain, const plk_history *history, plk_byte_writer *out)
{
    plk_fp_state fp = plk_fp_enter();
    for (size_t i = 0; i < chain->n; i++)
        save_link(chain->links + i, history, out);
    plk_fp_leave(fp);
}

static pluck_status load_link(const plk_link *link, const plk_history *history, plk_byte_reader *in,
                              pluck_error *err)
{
    uint64_t size_bytes = plk_take_u64(in);
    plk_byte_reader part = plk_take_part(in, size_bytes < SIZE_MAX ? (size_t)size_bytes : SIZE_MAX);
    pluck_error inner = {.message = "bytes are missing or left over"};
    pluck_status status = PLUCK_OK;
    if (link->stage->load)
        status = link->stage->load(link->params, link->state, history, &part, &inner);
    if (status == PLUCK_OK && !plk_is_read_up(&part))
        status = PLUCK_ERR_FORMAT;
    if (status != PLUCK_OK)
        return plk_fail(err, status, "state of %s: %s", link->stage->info.name, inner.message);
    return PLUCK_OK;
}

pluck_status plk_chain_load(plk_chain *chain, const plk_history *history, plk_byte_reader *in,
                            pluck_error *err)
{
    plk_fp_state fp = plk_fp_enter();
    pluck_status status = PLUCK_OK;
    for (size_t i = 0; i < chain->n && status == PLUCK_OK; i++)
        status = load_link(chain->links + i, history, in, err);
    plk_fp_leave(fp);
    return status;
}
