/*
 * A sampler of this library inside llama.cpp, for programs that have llama.h (of February 2025 or
 * later) on their include path. Everything is in this header: pluck.h does not include it, and the
 * library does not depend on llama.cpp. Link with libllama, libpluck and libm.
 *
 * In a chain, which then owns the sampler:
 *
 *     struct llama_sampler *smpl = pluck_llama_sampler_init("{\"top_p\": 0.9, \"seed\": 42}",
 *                                                           llama_vocab_n_tokens(vocab));
 *     llama_sampler_chain_add(chain, smpl);
 *     token = llama_sampler_sample(chain, ctx, -1);
 *
 * or alone, straight from the logits, without an array of candidates:
 *
 *     token = pluck_llama_sample(smpl, ctx, -1);
 *
 * Both accept the token that they return, and both give the same tokens.
 *
 * llama.cpp has one accept for the tokens of prompts and for generated tokens. Here the tokens that
 * are accepted before the first draw after init, wrap or reset are the prompt: stages that count
 * generated tokens (min_tokens, exp_decay_length, penalties with "ignore_prompt") count from the
 * last of them. The application gives a later prompt, such as the next turn of a chat, to
 * pluck_sampler_prompt(), with the sampler of pluck_llama_sampler_get().
 *
 * A sampler of llama.cpp cannot report a failure. After a failure here the candidates are as they
 * were, with selected = -1, on which llama_sampler_sample() aborts the program.
 * pluck_llama_sample() returns -1, which is LLAMA_TOKEN_NULL. pluck_llama_sampler_error() gives the
 * reason.
 *
 * One thread at a time may use a sampler.
 */
#ifndef PLUCK_LLAMA_H
#define PLUCK_LLAMA_H

#include <pluck/sampler.h>

#include <llama.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a sampler of llama.cpp from a configuration. The caller frees it with llama_sampler_free(),
 * unless a chain owns it. NULL if the configuration or n_vocab is wrong, or if memory runs out; to
 * know which, make a pluck_sampler and wrap it. With "seed": "random" each reset draws a new
 * seed, as llama.cpp's own samplers do. */
static inline struct llama_sampler *pluck_llama_sampler_init(const char *json, int32_t n_vocab);

/* Makes one from a pluck_sampler, for example one with options (stream, workspace, max_rewind). It
 * takes *sampler over, and sets it to NULL. On failure it returns NULL, and the caller still owns
 * *sampler. The seed stays what it is, a random one too. */
static inline struct llama_sampler *pluck_llama_sampler_wrap(pluck_sampler **sampler,
                                                             pluck_error *err);

/* The sampler inside, which smpl still owns: to give it the prompt of a later turn, to rewind
 * it, or to ask for its seed. Valid until smpl is reset or freed. NULL if smpl was not made by
 * this header, a chain for example. */
static inline pluck_sampler *pluck_llama_sampler_get(const struct llama_sampler *smpl);

/* What llama_sampler_sample() does, for a sampler of this header only: samples from the logits of
 * output number idx, accepts the token, and returns it; -1 on failure. Samplers that ran in
 * llama.cpp's backend (llama_set_sampler) are not asked. */
static inline llama_token pluck_llama_sample(struct llama_sampler *smpl, struct llama_context *ctx,
                                             int32_t idx);

/* The first failure of apply, accept, reset or pluck_llama_sample() since the last call of this
 * function, which then forgets it. PLUCK_OK if there was none; then err is untouched. */
static inline pluck_status pluck_llama_sampler_error(struct llama_sampler *smpl, pluck_error *err);

/*
 * apply turns the candidates into those that survive the configuration, most probable first (sorted
 * is true), with p their final probability and logit its logarithm; selected is the one drawn. The
 * candidates may be the whole vocabulary or a part of it, in any order, each token once; other
 * tokens count as banned. The memory is 12 bytes per token of the vocabulary besides the sampler's
 * own, allocated at the start. Writing the survivors back costs a second run of the stages and a
 * sort, which pluck_llama_sample() does not need.
 *
 * clone copies the whole state, and gives NULL if memory runs out. What follows,
 * pluck_llama_impl_*, is not part of the interface.
 */
typedef struct pluck_llama_impl_state {
    pluck_sampler *sampler;
    uint32_t n_vocab;
    float *row;        /* -inf everywhere between two calls */
    pluck_prob *probs; /* n_vocab of them */
    pluck_error failure;
    bool has_drawn;       /* since init, wrap or reset */
    pluck_config *random; /* the configuration, if each reset draws a seed; else NULL */
} pluck_llama_impl_state;

static inline pluck_llama_impl_state *pluck_llama_impl_state_of(const struct llama_sampler *smpl)
{
    return (pluck_llama_impl_state *)smpl->ctx;
}

static inline const char *pluck_llama_impl_name(const struct llama_sampler *smpl)
{
    (void)smpl;
    return "pluck";
}

/* Notes a failure unless an earlier one waits to be read. */
static inline void pluck_llama_impl_note(pluck_llama_impl_state *state, pluck_status status,
                                         const pluck_error *err)
{
    if (status != PLUCK_OK && state->failure.status == PLUCK_OK)
        state->failure = *err;
}

/* err may be NULL. */
static inline pluck_status pluck_llama_impl_fail(pluck_error *err, pluck_status status,
                                                 const char *what)
{
    if (err) {
        err->status = status;
        snprintf(err->message, sizeof err->message, "%s", what);
    }
    return status;
}

static inline void pluck_llama_impl_accept(struct llama_sampler *smpl, llama_token token)
{
    pluck_llama_impl_state *state = pluck_llama_impl_state_of(smpl);
    pluck_error err;
    pluck_status status = state->has_drawn ? pluck_sampler_accept(state->sampler, token, &err)
                                           : pluck_sampler_prompt(state->sampler, &token, 1, &err);
    pluck_llama_impl_note(state, status, &err);
}

/* Puts the candidates' logits into the row; *n says how many of them, on failure too. */
static inline pluck_status pluck_llama_impl_scatter(pluck_llama_impl_state *state,
                                                    const llama_token_data_array *candidates,
                                                    size_t *n, pluck_error *err)
{
    const llama_token_data *data = candidates->data;
    for (*n = 0; *n < candidates->size; ++*n) {
        const llama_token id = data[*n].id;
        if (id < 0 || (uint32_t)id >= state->n_vocab)
            return pluck_llama_impl_fail(err, PLUCK_ERR_INVALID,
                                         "a candidate is outside the sampler's vocabulary");
        state->row[id] = data[*n].logit;
    }
    return PLUCK_OK;
}

/* Writes the n most probable tokens over the candidates. */
static inline void pluck_llama_impl_gather(const pluck_llama_impl_state *state, uint32_t n,
                                           pluck_token token, llama_token_data_array *candidates)
{
    for (uint32_t i = 0; i < n; i++) {
        llama_token_data *to = candidates->data + i;
        to->id = state->probs[i].token;
        to->p = state->probs[i].prob;
        to->logit = logf(to->p);
        if (to->id == token)
            candidates->selected = (int64_t)i;
    }
    candidates->size = n;
    candidates->sorted = true;
}

static inline void pluck_llama_impl_apply(struct llama_sampler *smpl,
                                          llama_token_data_array *candidates)
{
    pluck_llama_impl_state *state = pluck_llama_impl_state_of(smpl);
    const pluck_logits logits = {state->row, PLUCK_F32, state->n_vocab};
    pluck_error err;
    pluck_token token = -1;
    size_t n_written = 0;
    uint32_t n = 0;
    candidates->selected = -1;
    pluck_status status = pluck_llama_impl_scatter(state, candidates, &n_written, &err);
    if (status == PLUCK_OK)
        status = pluck_sampler_sample(state->sampler, logits, &token, &err);
    if (status == PLUCK_OK)
        status = pluck_sampler_distribution(state->sampler, logits, state->probs, state->n_vocab,
                                            &n, &err);
    for (size_t i = 0; i < n_written; i++)
        state->row[candidates->data[i].id] = -INFINITY;
    if (status == PLUCK_OK && n > candidates->size)
        status = pluck_llama_impl_fail(&err, PLUCK_ERR_INVALID, "a candidate comes twice");
    if (status == PLUCK_OK) {
        pluck_llama_impl_gather(state, n, token, candidates);
        state->has_drawn = true;
    }
    pluck_llama_impl_note(state, status, &err);
}

static inline void pluck_llama_impl_reset(struct llama_sampler *smpl)
{
    pluck_llama_impl_state *state = pluck_llama_impl_state_of(smpl);
    pluck_sampler *fresh = NULL;
    pluck_error err;
    state->has_drawn = false;
    pluck_status status = pluck_sampler_reset(state->sampler, &err);
    if (status == PLUCK_OK && state->random)
        status = pluck_sampler_create(&fresh, state->random, state->n_vocab, NULL, &err);
    if (fresh) {
        pluck_sampler_destroy(&state->sampler);
        state->sampler = fresh;
    }
    pluck_llama_impl_note(state, status, &err);
}

/* Takes half-made states too. */
static inline void pluck_llama_impl_state_destroy(pluck_llama_impl_state *state)
{
    if (!state)
        return;
    pluck_sampler_destroy(&state->sampler);
    pluck_config_destroy(&state->random);
    free(state->row);
    free(state->probs);
    free(state);
}

static inline void pluck_llama_impl_free(struct llama_sampler *smpl)
{
    pluck_llama_impl_state_destroy(pluck_llama_impl_state_of(smpl));
}

/* Without a sampler yet; NULL if memory runs out. */
static inline pluck_llama_impl_state *pluck_llama_impl_state_create(uint32_t n_vocab)
{
    pluck_llama_impl_state *state = (pluck_llama_impl_state *)calloc(1, sizeof *state);
    if (!state)
        return NULL;
    state->n_vocab = n_vocab;
    state->row = (float *)malloc(n_vocab * sizeof *state->row);
    state->probs = (pluck_prob *)malloc(n_vocab * sizeof *state->probs);
    if (!state->row || !state->probs) {
        pluck_llama_impl_state_destroy(state);
        return NULL;
    }
    for (uint32_t i = 0; i < n_vocab; i++)
        state->row[i] = -INFINITY;
    return state;
}

static inline struct llama_sampler *pluck_llama_impl_clone(const struct llama_sampler *smpl)
{
    const pluck_llama_impl_state *state = pluck_llama_impl_state_of(smpl);
    pluck_llama_impl_state *copy = pluck_llama_impl_state_create(state->n_vocab);
    struct llama_sampler *out = NULL;
    if (copy && pluck_sampler_clone(&copy->sampler, state->sampler, NULL) == PLUCK_OK &&
        (!state->random || pluck_config_clone(&copy->random, state->random, NULL) == PLUCK_OK)) {
        copy->failure = state->failure;
        copy->has_drawn = state->has_drawn;
        out = llama_sampler_init(smpl->iface, copy);
    }
    if (!out)
        pluck_llama_impl_state_destroy(copy);
    return out;
}

/* llama.h took a pointer to a const table once and does not any more, and the table has grown: what
 * is not named stays NULL, which llama.cpp takes as "not provided". */
static inline struct llama_sampler_i *pluck_llama_impl_interface(void)
{
#ifdef __cplusplus
    static struct llama_sampler_i table = [] {
        struct llama_sampler_i made = {};
        made.name = pluck_llama_impl_name;
        made.accept = pluck_llama_impl_accept;
        made.apply = pluck_llama_impl_apply;
        made.reset = pluck_llama_impl_reset;
        made.clone = pluck_llama_impl_clone;
        made.free = pluck_llama_impl_free;
        return made;
    }();
#else
    static struct llama_sampler_i table = {.name = pluck_llama_impl_name,
                                           .accept = pluck_llama_impl_accept,
                                           .apply = pluck_llama_impl_apply,
                                           .reset = pluck_llama_impl_reset,
                                           .clone = pluck_llama_impl_clone,
                                           .free = pluck_llama_impl_free};
#endif
    return &table;
}

static inline struct llama_sampler *pluck_llama_sampler_wrap(pluck_sampler **sampler,
                                                             pluck_error *err)
{
    pluck_llama_impl_state *state = NULL;
    struct llama_sampler *out = NULL;
    pluck_sampler_info info = PLUCK_INIT(pluck_sampler_info);
    if (!sampler || !*sampler) {
        pluck_llama_impl_fail(err, PLUCK_ERR_INVALID, "the sampler to wrap is NULL");
        return NULL;
    }
    pluck_sampler_get_info(*sampler, &info, NULL);
    state = pluck_llama_impl_state_create(info.n_vocab);
    if (state)
        out = llama_sampler_init(pluck_llama_impl_interface(), state);
    if (!out) {
        pluck_llama_impl_state_destroy(state);
        pluck_llama_impl_fail(err, PLUCK_ERR_NOMEM, "out of memory");
        return NULL;
    }
    state->sampler = *sampler;
    *sampler = NULL;
    return out;
}

static inline struct llama_sampler *pluck_llama_sampler_init(const char *json, int32_t n_vocab)
{
    pluck_config *config = NULL;
    pluck_sampler *sampler = NULL;
    struct llama_sampler *out = NULL;
    pluck_config_info info = PLUCK_INIT(pluck_config_info);
    if (!json || n_vocab < 1)
        return NULL;
    if (pluck_config_from_json(&config, json, strlen(json), NULL, NULL) == PLUCK_OK &&
        pluck_sampler_create(&sampler, config, (uint32_t)n_vocab, NULL, NULL) == PLUCK_OK)
        out = pluck_llama_sampler_wrap(&sampler, NULL);
    if (out && pluck_config_get_info(config, &info, NULL) == PLUCK_OK && info.seed_is_random) {
        pluck_llama_impl_state_of(out)->random = config;
        config = NULL;
    }
    pluck_sampler_destroy(&sampler);
    pluck_config_destroy(&config);
    return out;
}

/* By name: every file that includes this header has a table of its own. */
static inline bool pluck_llama_impl_is_ours(const struct llama_sampler *smpl)
{
    return smpl && smpl->ctx && smpl->iface && smpl->iface->name &&
           strcmp(smpl->iface->name(smpl), pluck_llama_impl_name(smpl)) == 0;
}

static inline pluck_sampler *pluck_llama_sampler_get(const struct llama_sampler *smpl)
{
    return pluck_llama_impl_is_ours(smpl) ? pluck_llama_impl_state_of(smpl)->sampler : NULL;
}

static inline pluck_status pluck_llama_sampler_error(struct llama_sampler *smpl, pluck_error *err)
{
    pluck_llama_impl_state *state = NULL;
    pluck_status status = PLUCK_OK;
    if (!pluck_llama_impl_is_ours(smpl))
        return pluck_llama_impl_fail(err, PLUCK_ERR_INVALID,
                                     "this llama_sampler is not one of pluck's");
    state = pluck_llama_impl_state_of(smpl);
    status = state->failure.status;
    if (status != PLUCK_OK && err)
        *err = state->failure;
    state->failure.status = PLUCK_OK;
    return status;
}

static inline llama_token pluck_llama_sample(struct llama_sampler *smpl, struct llama_context *ctx,
                                             int32_t idx)
{
    pluck_llama_impl_state *state = NULL;
    pluck_status status = PLUCK_OK;
    pluck_error err;
    pluck_token token = -1;
    if (!pluck_llama_impl_is_ours(smpl) || !ctx)
        return -1;
    state = pluck_llama_impl_state_of(smpl);
    const float *values = llama_get_logits_ith(ctx, idx);
    const struct llama_vocab *vocab = llama_model_get_vocab(llama_get_model(ctx));
    const pluck_logits logits = {values, PLUCK_F32, (uint32_t)llama_vocab_n_tokens(vocab)};
    if (!values)
        status = pluck_llama_impl_fail(&err, PLUCK_ERR_INVALID, "this output has no logits");
    else
        status = pluck_sampler_next(state->sampler, logits, &token, &err);
    if (status == PLUCK_OK)
        state->has_drawn = true;
    pluck_llama_impl_note(state, status, &err);
    return status == PLUCK_OK ? token : -1;
}

#ifdef __cplusplus
}
#endif

#endif
