/*
 * Stages of applications, and the registries that hold them. Such a stage becomes a plk_stage whose
 * functions call the application's. A plk_stage function is not told which stage it is of, so each
 * link has a state that points to the table, whether the application's stage has a state or not.
 * pluck_view (select/custom_view.c) and pluck_context are plk_view and plk_stage_context under
 * another name.
 */
#include <pluck/stage.h>

#include "base/error.h"
#include "stages/stage_impl.h"

#include <string.h>

enum { MAX_PARAMS = 64 };

/* What the registry keeps of a stage; inner is what the library sees. */
typedef struct custom_entry {
    plk_stage inner;
    pluck_custom_stage custom;
} custom_entry;

struct pluck_registry {
    pluck_allocator allocator;
    custom_entry **entries;
    size_t n, capacity;
};

typedef struct custom_state {
    const pluck_custom_stage *custom;
    pluck_allocator allocator;
    uint32_t n_vocab;
    size_t max_edits;
    size_t window;
    void *user; /* NULL if the application's stage has none */
} custom_state;

static void destroy(void *state)
{
    custom_state *s = state;
    pluck_allocator allocator = s->allocator;
    if (s->user)
        s->custom->destroy(s->user);
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
    const custom_entry *entry = (const custom_entry *)(const void *)setup->stage;
    custom_state *s = plk_alloc_zero(setup->allocator, 1, sizeof *s);
    if (!s)
        return plk_fail_nomem(err, sizeof *s);
    *s = (custom_state){
        .custom = &entry->custom, .allocator = *setup->allocator, .n_vocab = setup->n_vocab};
    if (s->custom->window)
        s->window = s->custom->window(params);
    if (s->custom->max_edits)
        s->max_edits = s->custom->max_edits(params, setup->n_vocab);
    s->max_edits = s->max_edits < setup->n_vocab ? s->max_edits : setup->n_vocab;
    pluck_error inner = {.message = ""};
    pluck_status status = PLUCK_OK;
    if (s->custom->create)
        status = s->custom->create(&s->user, params, setup->n_vocab, setup->max_rewind, &inner);
    if (status != PLUCK_OK) {
        plk_free(setup->allocator, s);
        return passed_on(status, &inner, err);
    }
    *state = s;
    return PLUCK_OK;
}

static pluck_status clone(void **out, const void *state, pluck_error *err)
{
    const custom_state *from = state;
    custom_state *copy = plk_alloc(&from->allocator, 1, sizeof *copy);
    if (!copy)
        return plk_fail_nomem(err, sizeof *copy);
    *copy = *from;
    pluck_error inner = {.message = ""};
    pluck_status status = PLUCK_OK;
    if (from->user)
        status = from->custom->clone(&copy->user, from->user, &inner);
    if (status != PLUCK_OK) {
        plk_free(&from->allocator, copy);
        return passed_on(status, &inner, err);
    }
    *out = copy;
    return PLUCK_OK;
}

static void reset(void *state)
{
    custom_state *s = state;
    if (s->user)
        s->custom->reset(s->user);
}

static size_t max_edits(const void *params, const void *state, uint64_t n_tokens, uint32_t n_vocab)
{
    (void)params;
    (void)n_tokens;
    (void)n_vocab;
    return ((const custom_state *)state)->max_edits;
}

static pluck_status apply(const void *params, void *state, plk_view *view,
                          const plk_stage_context *context, pluck_error *err)
{
    const custom_state *s = state;
    view->edits_left = s->max_edits;
    plk_stage_context own = *context;
    own.n_visible = s->window;
    pluck_error inner = {.message = ""};
    pluck_status status =
        s->custom->apply(params, s->user, (pluck_view *)view, (const pluck_context *)&own, &inner);
    return passed_on(status, &inner, err);
}

/* The window before a token was accepted, and this token. */
static plk_stage_context context_of_change(const custom_state *s, const plk_history *history)
{
    size_t n_visible = s->window < SIZE_MAX ? s->window + 1 : SIZE_MAX;
    return (plk_stage_context){.history = history, .n_visible = n_visible, .n_vocab = s->n_vocab};
}

static void accept(const void *params, void *state, const plk_history *history,
                   const plk_accepted *accepted)
{
    (void)accepted;
    const custom_state *s = state;
    plk_stage_context context = context_of_change(s, history);
    s->custom->accept(params, s->user, (const pluck_context *)&context);
}

static void rewind_one(const void *params, void *state, const plk_history *history)
{
    const custom_state *s = state;
    plk_stage_context context = context_of_change(s, history);
    s->custom->rewind(params, s->user, (const pluck_context *)&context);
}

static void save(const void *params, const void *state, const plk_history *history,
                 plk_byte_writer *out)
{
    (void)history;
    const custom_state *s = state;
    size_t room = out->n_bytes < out->capacity_bytes ? out->capacity_bytes - out->n_bytes : 0;
    plk_put_made(
        out, s->custom->save(params, s->user, room != 0 ? out->bytes + out->n_bytes : NULL, room));
}

static pluck_status load(const void *params, void *state, const plk_history *history,
                         plk_byte_reader *in, pluck_error *err)
{
    (void)history;
    const custom_state *s = state;
    plk_byte_reader all = plk_take_part(in, in->n_bytes);
    pluck_error inner = {.message = ""};
    return passed_on(s->custom->load(params, s->user, all.bytes, all.n_bytes, &inner), &inner, err);
}

pluck_status pluck_registry_create(pluck_registry **out, const pluck_allocator *allocator,
                                   pluck_error *err)
{
    if (!out)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_registry_create: out must not be NULL");
    pluck_allocator memory = plk_allocator_or_default(allocator);
    *out = plk_alloc_zero(&memory, 1, sizeof **out);
    if (!*out)
        return plk_fail_nomem(err, sizeof **out);
    (*out)->allocator = memory;
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
        return "a number of parameters, but params is NULL";
    for (size_t i = 0; i < info->n_params; i++) {
        const pluck_param *param = &info->params[i];
        if (!param->name || param->name[0] == '\0' || strcmp(param->name, "type") == 0)
            return "a parameter without a name, or with the name \"type\", which is reserved";
        if (param->flat_key)
            return "a parameter with a flat_key; it must be NULL, because only built-in stages "
                   "have flat keys";
        if ((unsigned)param->type > PLUCK_PARAM_SEQUENCES)
            return "a type that is not a pluck_param_type";
        if (param->offset_bytes >= info->params_size_bytes)
            return "an offset_bytes beyond params_size_bytes";
    }
    return NULL;
}

static const char *fault_of(const pluck_custom_stage *stage)
{
    int n_life = (stage->create != NULL) + (stage->destroy != NULL) + (stage->clone != NULL) +
                 (stage->reset != NULL);
    if (stage->info.kind != PLUCK_STAGE_REWEIGHT && stage->info.kind != PLUCK_STAGE_TRUNCATE)
        return "a kind that is neither PLUCK_STAGE_REWEIGHT nor PLUCK_STAGE_TRUNCATE";
    if (!stage->apply)
        return "no function apply, which every stage needs";
    if (n_life != 0 && n_life != 4)
        return "only some of create, destroy, clone and reset; set all four or none";
    if (!stage->accept != !stage->rewind)
        return "only one of accept and rewind; set both or neither";
    if (!stage->save != !stage->load)
        return "only one of save and load; set both or neither";
    return fault_of_params(&stage->info);
}

static pluck_status make_room(pluck_registry *registry, pluck_error *err)
{
    return plk_grow(&registry->allocator, &registry->entries, &registry->capacity, registry->n + 1,
                    sizeof(custom_entry *), err);
}

static void fill_in(custom_entry *entry, const pluck_custom_stage *stage)
{
    entry->custom = *stage;
    entry->inner = (plk_stage){
        .info = stage->info,
        .is_neutral = stage->is_neutral,
        .is_random = stage->is_random,
        .window = stage->window,
        .max_edits = stage->max_edits ? max_edits : NULL,
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
}

pluck_status pluck_registry_add(pluck_registry *registry, const pluck_custom_stage *stage,
                                pluck_error *err)
{
    pluck_custom_stage known;
    if (!registry || !stage)
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_registry_add: %s is NULL",
                        registry ? "stage" : "registry");
    pluck_status status = PLK_READ_STRUCT(&known, stage, "stage", pluck_custom_stage, err);
    if (status != PLUCK_OK)
        return status;
    if (!known.info.name || known.info.name[0] == '\0')
        return plk_fail(err, PLUCK_ERR_INVALID, "pluck_registry_add: the stage has no name");
    const char *fault = fault_of(&known);
    if (fault)
        return plk_fail(err, PLUCK_ERR_INVALID, "stage '%s' has %s", known.info.name, fault);
    if (plk_registry_find(registry, known.info.name))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "a stage named '%s' exists already; choose another name", known.info.name);
    status = make_room(registry, err);
    if (status != PLUCK_OK)
        return status;
    custom_entry *entry = plk_alloc_zero(&registry->allocator, 1, sizeof *entry);
    if (!entry)
        return plk_fail_nomem(err, sizeof *entry);
    fill_in(entry, &known);
    registry->entries[registry->n++] = entry;
    return PLUCK_OK;
}

static const plk_stage_context *context_of(const pluck_context *context)
{
    return (const plk_stage_context *)context;
}

size_t pluck_context_n_history(const pluck_context *context)
{
    if (!context)
        return 0;
    size_t n_visible = context_of(context)->n_visible;
    size_t n = plk_history_length(context_of(context)->history);
    return n < n_visible ? n : n_visible;
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
