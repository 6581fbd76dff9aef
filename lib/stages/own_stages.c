/*
 * An application's stage becomes a plk_stage whose functions call the application's. A plk_stage
 * function is not told which stage it is of, so each link has a state that points to the table,
 * whether the application's stage has a state or not. pluck_view and pluck_context are
 * plk_view and plk_stage_context under another name.
 */
#include <pluck/stage.h>

#include "base/error.h"
#include "select/keep.h"
#include "select/mass.h"
#include "simd/scalar_math.h"
#include "stages/stage_impl.h"

#include <math.h>
#include <string.h>

enum { MAX_PARAMS = 64 };

/* What the registry keeps of a stage; inner is what the library sees. */
typedef struct own_entry {
    plk_stage inner;
    pluck_custom_stage own;
} own_entry;

struct pluck_registry {
    pluck_allocator allocator;
    own_entry **entries;
    size_t n, capacity;
};

typedef struct own_state {
    const pluck_custom_stage *own;
    pluck_allocator allocator;
    uint32_t n_vocab;
    void *user; /* NULL if the application's stage has none */
} own_state;

static void destroy(void *state)
{
    own_state *s = state;
    pluck_allocator allocator = s->allocator;
    if (s->user)
        s->own->destroy(s->user);
    plk_free(&allocator, s);
}

/* A status of the application's with a message in any case. */
static pluck_status passed_on(pluck_status status, const pluck_error *inner, pluck_error *err)
{
    if (status == PLUCK_OK)
        return PLUCK_OK;
    return plk_fail(err, status, "%s", inner->message[0] != '\0' ? inner->message : "failed");
}

static pluck_status create(void **state, const void *params, const plk_stage_setup *setup,
                           pluck_error *err)
{
    const own_entry *entry = (const own_entry *)(const void *)setup->stage;
    own_state *s = plk_alloc_zero(setup->allocator, 1, sizeof *s);
    if (!s)
        return plk_fail_nomem(err, sizeof *s);
    *s = (own_state){.own = &entry->own, .allocator = *setup->allocator, .n_vocab = setup->n_vocab};
    pluck_error inner = {.message = ""};
    pluck_status status = PLUCK_OK;
    if (s->own->create)
        status = s->own->create(&s->user, params, setup->n_vocab, setup->max_rewind, &inner);
    if (status != PLUCK_OK) {
        plk_free(setup->allocator, s);
        return passed_on(status, &inner, err);
    }
    *state = s;
    return PLUCK_OK;
}

static pluck_status clone(void **out, const void *state, pluck_error *err)
{
    const own_state *from = state;
    own_state *copy = plk_alloc(&from->allocator, 1, sizeof *copy);
    if (!copy)
        return plk_fail_nomem(err, sizeof *copy);
    *copy = *from;
    pluck_error inner = {.message = ""};
    pluck_status status = PLUCK_OK;
    if (from->user)
        status = from->own->clone(&copy->user, from->user, &inner);
    if (status != PLUCK_OK) {
        plk_free(&from->allocator, copy);
        return passed_on(status, &inner, err);
    }
    *out = copy;
    return PLUCK_OK;
}

static void reset(void *state)
{
    own_state *s = state;
    if (s->user)
        s->own->reset(s->user);
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    const own_state *s = state;
    pluck_error inner = {.message = ""};
    pluck_status status =
        s->own->apply(params, s->user, (pluck_view *)view, (const pluck_context *)context, &inner);
    return passed_on(status, &inner, err);
}

static void accept(const void *params, void *state, const plk_history *history,
                   const plk_accepted *accepted)
{
    (void)accepted;
    const own_state *s = state;
    plk_stage_context context = {history, s->n_vocab, NULL};
    s->own->accept(params, s->user, (const pluck_context *)&context);
}

static void rewind_one(const void *params, void *state, const plk_history *history)
{
    const own_state *s = state;
    plk_stage_context context = {history, s->n_vocab, NULL};
    s->own->rewind(params, s->user, (const pluck_context *)&context);
}

static void save(const void *params, const void *state, const plk_history *history,
                 plk_byte_writer *out)
{
    (void)history;
    const own_state *s = state;
    size_t room = out->n_bytes < out->capacity_bytes ? out->capacity_bytes - out->n_bytes : 0;
    plk_put_made(out,
                 s->own->save(params, s->user, room != 0 ? out->bytes + out->n_bytes : NULL, room));
}

static pluck_status load(const void *params, void *state, const plk_history *history,
                         plk_byte_reader *in, pluck_error *err)
{
    (void)history;
    const own_state *s = state;
    plk_byte_reader all = plk_take_part(in, in->n_bytes);
    pluck_error inner = {.message = ""};
    return passed_on(s->own->load(params, s->user, all.bytes, all.n_bytes, &inner), &inner, err);
}

pluck_status pluck_registry_create(pluck_registry **out, const pluck_allocator *allocator,
                                   pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "a required pointer is NULL");
    pluck_allocator own = plk_allocator_or_default(allocator);
    *out = plk_alloc_zero(&own, 1, sizeof **out);
    if (!*out)
        return plk_fail_nomem(err, sizeof **out);
    (*out)->allocator = own;
    return PLUCK_OK;
}

void pluck_registry_destroy(pluck_registry **registry)
{
    if (!registry || !*registry)
        return;
    pluck_registry *r = *registry;
    pluck_allocator allocator = r->allocator;
    for (size_t i = 0; i < r->n; i++)
        plk_free(&allocator, r->entries[i]);
    plk_free(&allocator, r->entries);
    plk_free(&allocator, r);
    *registry = NULL;
}

const plk_stage *plk_registry_at(const pluck_registry *registry, size_t index)
{
    return registry && index < registry->n ? &registry->entries[index]->inner : NULL;
}

const plk_stage *plk_registry_find(const pluck_registry *registry, const char *name)
{
    for (size_t i = 0; registry && i < registry->n; i++)
        if (strcmp(registry->entries[i]->inner.info.name, name) == 0)
            return &registry->entries[i]->inner;
    return plk_stage_find(name);
}

/* What is wrong with the parameters of a table; NULL: nothing. */
static const char *fault_of_params(const pluck_stage *info)
{
    if (info->n_params > MAX_PARAMS)
        return "more than 64 parameters";
    if (info->n_params > 0 && !info->params)
        return "params is NULL";
    for (size_t i = 0; i < info->n_params; i++) {
        const pluck_param *param = &info->params[i];
        if (!param->name || param->name[0] == '\0' || strcmp(param->name, "type") == 0)
            return "a parameter without a name, or with the name \"type\"";
        if (param->flat_key)
            return "a flat_key: stages of the registry belong to the explicit form";
        if ((unsigned)param->type > PLUCK_PARAM_SEQUENCES)
            return "a type that is no pluck_param_type";
        if (param->offset_bytes >= info->params_size_bytes)
            return "an offset_bytes beyond params_size_bytes";
    }
    return NULL;
}

static const char *fault_of(const pluck_custom_stage *own)
{
    int n_life = (own->create != NULL) + (own->destroy != NULL) + (own->clone != NULL) +
                 (own->reset != NULL);
    if (own->info.kind != PLUCK_STAGE_REWEIGHT && own->info.kind != PLUCK_STAGE_TRUNCATE)
        return "a kind that is neither PLUCK_STAGE_REWEIGHT nor PLUCK_STAGE_TRUNCATE";
    if (!own->apply)
        return "no apply";
    if (n_life != 0 && n_life != 4)
        return "some of create, destroy, clone and reset without the others";
    if (!own->accept != !own->rewind)
        return "accept without rewind, or rewind without accept";
    if (!own->save != !own->load)
        return "save without load, or load without save";
    return fault_of_params(&own->info);
}

static pluck_status make_room(pluck_registry *registry, pluck_error *err)
{
    if (registry->n < registry->capacity)
        return PLUCK_OK;
    size_t capacity = registry->capacity != 0 ? 2 * registry->capacity : 4;
    own_entry **entries = plk_alloc(&registry->allocator, capacity, sizeof(own_entry *));
    if (!entries)
        return plk_fail_nomem(err, capacity * sizeof(own_entry *));
    if (registry->n > 0)
        memcpy(entries, registry->entries, registry->n * sizeof(own_entry *));
    plk_free(&registry->allocator, registry->entries);
    registry->entries = entries;
    registry->capacity = capacity;
    return PLUCK_OK;
}

pluck_status pluck_registry_add(pluck_registry *registry, const pluck_custom_stage *stage,
                                pluck_error *err)
{
    if (!registry || !stage || !stage->info.name || stage->info.name[0] == '\0')
        return plk_fail(err, PLUCK_ERR_INVALID, "a required pointer is NULL, or a name is empty");
    const char *fault = fault_of(stage);
    if (fault)
        return plk_fail(err, PLUCK_ERR_INVALID, "stage '%s' has %s", stage->info.name, fault);
    if (plk_registry_find(registry, stage->info.name))
        return plk_fail(err, PLUCK_ERR_INVALID, "there is a stage '%s' already", stage->info.name);
    pluck_status status = make_room(registry, err);
    if (status != PLUCK_OK)
        return status;
    own_entry *entry = plk_alloc_zero(&registry->allocator, 1, sizeof *entry);
    if (!entry)
        return plk_fail_nomem(err, sizeof *entry);
    entry->own = *stage;
    entry->inner = (plk_stage){
        .info = stage->info,
        .is_neutral = stage->is_neutral,
        .is_random = stage->is_random,
        .window = stage->window,
        .max_edits = stage->max_edits,
        .check = stage->check,
        .create = create,
        .destroy = destroy,
        .clone = clone,
        .reset = reset,
        .apply = apply,
        .accept = stage->accept ? accept : NULL,
        .rewind = stage->rewind ? rewind_one : NULL,
        .save = stage->save ? save : NULL,
        .load = stage->load ? load : NULL,
        .is_unsaveable = stage->create && !stage->save,
    };
    registry->entries[registry->n++] = entry;
    return PLUCK_OK;
}

static const plk_stage_context *context_of(const pluck_context *context)
{
    return (const plk_stage_context *)context;
}

size_t pluck_context_n_history(const pluck_context *context)
{
    return context ? plk_history_length(context_of(context)->history) : 0;
}

pluck_token pluck_context_token(const pluck_context *context, size_t age)
{
    return context ? plk_history_at(context_of(context)->history, age) : 0;
}

double pluck_context_uniform(const pluck_context *context)
{
    pluck_pcg64 *rng = context ? context_of(context)->rng : NULL;
    return rng ? pluck_pcg64_uniform(rng) : 0.0;
}

uint32_t pluck_context_n_vocab(const pluck_context *context)
{
    return context ? context_of(context)->n_vocab : 0;
}

static plk_view *inner_of(pluck_view *view)
{
    plk_view *inner = (plk_view *)view;
    plk_view_settle(inner);
    return inner;
}

/* Looking at a view settles it, which changes nothing that can be seen. */
static const plk_view *settled(const pluck_view *view)
{
    return inner_of((pluck_view *)(uintptr_t)view);
}

uint32_t pluck_view_count(const pluck_view *view)
{
    return view ? plk_view_n_candidates(settled(view)) : 0;
}

double pluck_view_logit(const pluck_view *view, uint32_t token)
{
    if (!view)
        return 0.0;
    const plk_view *inner = settled(view);
    return inner->scale * (double)plk_view_stored(inner, token);
}

double pluck_view_max_logit(const pluck_view *view)
{
    if (!view)
        return 0.0;
    const plk_view *inner = settled(view);
    return inner->scale * (double)inner->max;
}

double pluck_view_log_normaliser(const pluck_view *view)
{
    return view ? plk_log(plk_view_normaliser(settled(view))) : 0.0;
}

double pluck_view_entropy(const pluck_view *view)
{
    if (!view)
        return 0.0;
    double normaliser;
    return plk_view_entropy(settled(view), &normaliser);
}

void pluck_view_scale(pluck_view *view, double factor)
{
    if (view && factor > 0.0)
        plk_view_scale(inner_of(view), factor);
}

typedef struct edit_context {
    pluck_new_logit new_logit;
    void *user;
    const uint32_t *tokens; /* by index */
    bool *is_bad;
} edit_context;

static double edit_one(const void *context, size_t index, double logit)
{
    const edit_context *c = context;
    double changed = c->new_logit(c->user, c->tokens[index], logit);
    if (changed < (double)INFINITY)
        return changed;
    *c->is_bad = true;
    return logit;
}

static pluck_status edited(pluck_status status, bool is_bad, pluck_error *err)
{
    if (status == PLUCK_OK && is_bad)
        return plk_fail(err, PLUCK_ERR_NAN,
                        "a new logit is NaN or +inf; it must be finite or -inf");
    return status;
}

static pluck_status check_tokens(const plk_view *view, const uint32_t *tokens, size_t n,
                                 pluck_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (tokens[i] >= view->logits.n_vocab || (i > 0 && tokens[i] <= tokens[i - 1]))
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "token %u to edit is not below %u, or not above the one before it",
                            tokens[i], view->logits.n_vocab);
    return PLUCK_OK;
}

pluck_status pluck_view_edit(pluck_view *view, const uint32_t *tokens, size_t n,
                             pluck_new_logit new_logit, void *user, pluck_error *err)
{
    if (!view || (!tokens && n > 0) || !new_logit)
        return plk_fail(err, PLUCK_ERR_INVALID, "a required pointer is NULL");
    plk_view *inner = inner_of(view);
    bool is_bad = false;
    edit_context context = {new_logit, user, tokens, &is_bad};
    pluck_status status = check_tokens(inner, tokens, n, err);
    if (status != PLUCK_OK)
        return status;
    /* More than there is memory for: then as candidates. */
    if (!inner->compact && n > inner->scratch->max_edits - inner->n_edits)
        plk_view_make_compact(inner);
    plk_token_list list = {tokens, sizeof *tokens, n};
    status = plk_view_edit(inner, list, edit_one, &context, err);
    return edited(status, is_bad, err);
}

pluck_status pluck_view_edit_all(pluck_view *view, pluck_new_logit new_logit, void *user,
                                 pluck_error *err)
{
    if (!view || !new_logit)
        return plk_fail(err, PLUCK_ERR_INVALID, "a required pointer is NULL");
    plk_view *inner = inner_of(view);
    bool is_bad = false;
    edit_context context = {new_logit, user, inner->scratch->ids, &is_bad};
    pluck_status status = plk_view_edit_all(inner, edit_one, &context, err);
    return edited(status, is_bad, err);
}

void pluck_view_keep_top_k(pluck_view *view, uint32_t k)
{
    if (view)
        plk_view_keep_top(inner_of(view), k > 0 ? k : 1);
}

void pluck_view_keep_above(pluck_view *view, double logit)
{
    if (!view)
        return;
    double offset = logit - pluck_view_max_logit(view);
    if (offset <= 0.0)
        plk_view_keep_near_max(inner_of(view), offset, 1);
    else
        plk_view_keep_top(inner_of(view), 1);
}

void pluck_view_keep_top_p(pluck_view *view, double p)
{
    if (view && p < 1.0)
        plk_view_keep_nucleus(inner_of(view), p > 0.0 ? p : 0.0, 1);
}

pluck_status pluck_view_keep_if(pluck_view *view,
                                bool (*keep)(void *user, uint32_t token, double logit), void *user,
                                pluck_error *err)
{
    if (!view || !keep)
        return plk_fail(err, PLUCK_ERR_INVALID, "a required pointer is NULL");
    plk_view *inner = inner_of(view);
    plk_view_make_compact(inner);
    plk_scratch *w = inner->scratch;
    uint32_t n = 0;
    for (uint32_t i = 0; i < inner->n; i++) {
        w->ids[n] = w->ids[i];
        w->values[n] = w->values[i];
        n += keep(user, w->ids[i], inner->scale * (double)w->values[i]);
    }
    if (n == 0)
        return plk_fail(err, PLUCK_ERR_EMPTY, "no token can be chosen: none was kept");
    plk_view_become_compact(inner, n);
    return PLUCK_OK;
}
