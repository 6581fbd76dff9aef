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
 * Both functions accept the token that they return, and both give the same tokens. The second is
 * faster: for a chain, llama.cpp builds an array of candidates before any sampler runs, and pluck
 * copies the logits from that array. Building it takes about 100 microseconds for 128,256 tokens.
 *
 * In a chain the sampler should come last. Samplers before it may have removed candidates. Samplers
 * after it see only the survivors if there are at most 4,096 of them, and otherwise all candidates:
 * see below.
 *
 * llama.cpp accepts the tokens of prompts and generated tokens by one and the same function. Here,
 * tokens that are accepted after init, wrap or reset and before the next draw are the prompt:
 * stages that count generated tokens (min_tokens, exp_decay_length, penalties with "ignore_prompt")
 * begin to count after the last of these tokens. The application gives a later prompt, such as the
 * next turn of a chat, to pluck_sampler_prompt(), with the sampler of pluck_llama_sampler_get().
 *
 * A sampler of llama.cpp cannot report a failure. After a failure in a chain the candidates are
 * unchanged and selected is -1, at which llama_sampler_sample() aborts the program.
 * pluck_llama_sample() returns -1, which is LLAMA_TOKEN_NULL. pluck_llama_sampler_error() gives the
 * reason.
 *
 * One thread at a time may use a sampler.
 *
 * llama.h has no version number, but its table of the functions of a sampler has grown. If your
 * llama.h is not the newest one, define PLUCK_LLAMA_HEADER, before you include this header, as the
 * date of your llama.h:
 *
 *     202502     February to December 2025: six functions
 *     202601     January to July 2026: ten functions, four of them for sampling in the backend
 *     202608     build b10416 of August 2026 and later, v0.5.0 too: twelve functions (default)
 *
 * With a wrong date the program does not compile, and the message of the compiler names the dates.
 * All files of a program need the same date, because they share one table of functions: in C and in
 * C++ it is a weak symbol, of which the linker keeps one. llama_sampler_copy() aborts the program
 * if its two samplers have different tables.
 */
#ifndef PLUCK_LLAMA_H
#define PLUCK_LLAMA_H

#include <pluck/sampler.h>

#include <llama.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PLUCK_LLAMA_HEADER
#    define PLUCK_LLAMA_HEADER 202608
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Makes a sampler of llama.cpp from a configuration. The caller frees it with llama_sampler_free(),
 * unless a chain owns it. Returns NULL if the configuration or n_vocab is wrong, or if memory runs
 * out; to get the reason, make a pluck_sampler and wrap it. With "seed": "random" each reset draws
 * a new seed, as in llama.cpp's own samplers. */
static inline struct llama_sampler *pluck_llama_sampler_init(const char *json, int32_t n_vocab);

/* Makes a sampler of llama.cpp from a pluck_sampler, for example from one with options (stream,
 * workspace, max_rewind). The new sampler owns *sampler, and *sampler becomes NULL. On failure the
 * function returns NULL, and the caller still owns *sampler. A reset does not change the seed, even
 * a random one. */
static inline struct llama_sampler *pluck_llama_sampler_wrap(pluck_sampler **sampler,
                                                             pluck_error *err);

/* Returns the pluck_sampler inside smpl, which smpl still owns: use it to give the prompt of a
 * later turn, to rewind, or to ask for the seed. The pointer is valid until smpl is reset, freed,
 * or overwritten by llama_sampler_copy(). Returns NULL if smpl was not made by this header, for
 * example if it is a chain. */
static inline pluck_sampler *pluck_llama_sampler_get(const struct llama_sampler *smpl);

/* Does what llama_sampler_sample() does, for a sampler of this header only: samples from the logits
 * of output number idx, accepts the token, and returns it. Returns -1 on failure. Results of
 * samplers in llama.cpp's backend (llama_set_sampler) are ignored. */
static inline llama_token pluck_llama_sample(struct llama_sampler *smpl, struct llama_context *ctx,
                                             int32_t idx);

/*
 * pluck_llama_sample() for n outputs of one decode: tokens[i] comes from output idxs[i] with
 * samplers[i]. Each sampler may be listed once. If samplers[i] is NULL, tokens[i] is -1. If
 * workspace is not NULL, all samplers must borrow it (pluck_sampler_options,
 * pluck_llama_sampler_wrap), and its threads share the work; the tokens are the same as without a
 * workspace. Returns true if no sampler failed. If a sampler failed, its token is -1,
 * pluck_llama_sampler_error() gives the reason, and the other samplers are not affected.
 */
static inline bool pluck_llama_sample_batch(pluck_workspace *workspace,
                                            struct llama_sampler *const *samplers,
                                            struct llama_context *ctx, const int32_t *idxs,
                                            size_t n, llama_token *tokens);

/* Returns and forgets the first failure of apply, accept, reset, a copy or a draw since the last
 * call of this function. Returns PLUCK_OK if there was none; then *err is not written. */
static inline pluck_status pluck_llama_sampler_error(struct llama_sampler *smpl, pluck_error *err);

/*
 * apply sets selected to the index of the candidate that is drawn. If at most 4,096 tokens survive
 * the stages of the configuration, the array becomes the survivors, most probable first, and sorted
 * is true; p is the final probability of a token, and logit the natural logarithm of p. If more
 * tokens survive, the array stays as it is. The candidates may be the whole vocabulary or a part of
 * it, in any order, each token once; other tokens count as banned. apply copies the logits before
 * it samples, which is fastest if candidate i is token i. For this copy a sampler has 4 bytes per
 * token of the vocabulary besides the memory of its pluck_sampler, allocated when it is made.
 *
 * clone copies the whole state, and returns NULL if memory runs out. llama_sampler_copy() makes dst
 * equal to a clone of src; after a failure dst is unchanged. llama.cpp's backend, which runs
 * samplers on a device, does not run this one.
 *
 * What follows, pluck_llama_impl_*, is not part of the interface.
 */
#define PLUCK_LLAMA_IMPL_SURVIVORS 4096u
#define PLUCK_LLAMA_IMPL_BATCH     ((size_t)128)

typedef struct pluck_llama_impl_state {
    pluck_sampler *sampler;
    uint32_t n_vocab, n_top;
    float *row;         /* n_vocab of them */
    pluck_logprob *top; /* n_top of them */
    pluck_error failure;
    bool has_drawn;       /* since init, wrap or reset */
    bool is_wide;         /* whether more than n_top tokens survived the last time */
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

/*
 * Draws a token from the logits in the row, and counts the survivors; lists them unless they are
 * too many. Whether they are is not known before. A chain nearly always leaves few at each token or
 * nearly always many, so the list is asked for if it was short the last time. Once it was too long,
 * the survivors are only counted, until they are few: then a second run lists them.
 */
static inline pluck_status pluck_llama_impl_draw(pluck_llama_impl_state *state, pluck_token *token,
                                                 uint32_t *n_survivors, pluck_error *err)
{
    pluck_logits logits = {state->row, PLUCK_F32, state->n_vocab};
    bool is_listed = false;
    do {
        pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
        is_listed = !state->is_wide;
        outputs.tokens = token;
        outputs.n_survivors = n_survivors;
        outputs.n_top = state->n_top;
        outputs.top_kind = PLUCK_LOGPROB_FINAL;
        outputs.top = is_listed ? state->top : NULL;
        pluck_status status = pluck_sampler_run(state->sampler, logits, &outputs, err);
        if (status != PLUCK_OK)
            return status;
        state->is_wide = *n_survivors > state->n_top;
    } while (!state->is_wide && !is_listed);
    return PLUCK_OK;
}

/* Writes the n survivors over the candidates. */
static inline void pluck_llama_impl_write(const pluck_llama_impl_state *state, uint32_t n,
                                          pluck_token token, llama_token_data_array *candidates)
{
    for (uint32_t i = 0; i < n; i++) {
        llama_token_data *to = candidates->data + i;
        to->id = state->top[i].token;
        to->logit = state->top[i].logprob;
        to->p = expf(to->logit);
        if (to->id == token)
            candidates->selected = (int64_t)i;
    }
    candidates->size = n;
    candidates->sorted = true;
}

/* The candidate that has the token: one has. */
static inline int64_t pluck_llama_impl_find(const llama_token_data_array *candidates,
                                            pluck_token token)
{
    size_t i = (size_t)token;
    if (i < candidates->size && candidates->data[i].id == token)
        return (int64_t)i;
    for (i = 0; i < candidates->size && candidates->data[i].id != token;)
        i++;
    return (int64_t)i;
}

static inline void pluck_llama_impl_apply(struct llama_sampler *smpl,
                                          llama_token_data_array *candidates)
{
    pluck_llama_impl_state *state = pluck_llama_impl_state_of(smpl);
    pluck_error err;
    pluck_token token = -1;
    uint32_t n_survivors = 0;
    candidates->selected = -1;
    pluck_status status = pluck_logits_from_items(
        candidates->data, sizeof(llama_token_data), offsetof(llama_token_data, id),
        offsetof(llama_token_data, logit), candidates->size, state->row, state->n_vocab, &err);
    if (status == PLUCK_OK)
        status = pluck_llama_impl_draw(state, &token, &n_survivors, &err);
    pluck_llama_impl_note(state, status, &err);
    if (status != PLUCK_OK)
        return;
    state->has_drawn = true;
    if (state->is_wide)
        candidates->selected = pluck_llama_impl_find(candidates, token);
    else
        pluck_llama_impl_write(state, n_survivors, token, candidates);
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
    free(state->top);
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
    state->n_top = n_vocab < PLUCK_LLAMA_IMPL_SURVIVORS ? n_vocab : PLUCK_LLAMA_IMPL_SURVIVORS;
    state->row = (float *)malloc(n_vocab * sizeof *state->row);
    state->top = (pluck_logprob *)malloc(state->n_top * sizeof *state->top);
    if (!state->row || !state->top) {
        pluck_llama_impl_state_destroy(state);
        return NULL;
    }
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
        copy->is_wide = state->is_wide;
        out = llama_sampler_init(smpl->iface, copy);
    }
    if (!out)
        pluck_llama_impl_state_destroy(copy);
    return out;
}

#if PLUCK_LLAMA_HEADER >= 202608
/* Both are of this header: llama_sampler_copy() has compared their tables. */
static inline void pluck_llama_impl_copy_state(const struct llama_sampler *src,
                                               struct llama_sampler *dst)
{
    const pluck_llama_impl_state *from = pluck_llama_impl_state_of(src);
    pluck_llama_impl_state *to = pluck_llama_impl_state_of(dst);
    pluck_sampler *sampler = NULL;
    pluck_config *random = NULL;
    pluck_error err;
    pluck_status status = PLUCK_OK;
    if (from->n_vocab != to->n_vocab)
        status = pluck_llama_impl_fail(&err, PLUCK_ERR_INVALID,
                                       "a sampler for another vocabulary cannot be copied");
    if (status == PLUCK_OK && from->random)
        status = pluck_config_clone(&random, from->random, &err);
    if (status == PLUCK_OK)
        status = pluck_sampler_clone(&sampler, from->sampler, &err);
    if (status == PLUCK_OK) {
        pluck_sampler_destroy(&to->sampler);
        pluck_config_destroy(&to->random);
        to->sampler = sampler;
        to->random = random;
        to->failure = from->failure;
        to->has_drawn = from->has_drawn;
        to->is_wide = from->is_wide;
        return;
    }
    pluck_config_destroy(&random);
    pluck_llama_impl_note(to, status, &err);
}

/* No graph of the backend holds anything of this sampler. */
static inline void pluck_llama_impl_backend_reset(struct llama_sampler *smpl)
{
    (void)smpl;
}

/* Not in the backend. */
static inline bool pluck_llama_impl_backend_init(struct llama_sampler *smpl,
                                                 ggml_backend_buffer_type_t buffer_type,
                                                 uint32_t n_outputs)
{
    (void)smpl;
    (void)buffer_type;
    (void)n_outputs;
    return false;
}
#elif PLUCK_LLAMA_HEADER >= 202601
static inline bool pluck_llama_impl_backend_init(struct llama_sampler *smpl,
                                                 ggml_backend_buffer_type_t buffer_type)
{
    (void)smpl;
    (void)buffer_type;
    return false;
}
#endif

/* A later header may have more functions than the newest that is known here. */
#if PLUCK_LLAMA_HEADER >= 202608
#    define PLUCK_LLAMA_IMPL_FITS(n) ((n) >= 12)
#elif PLUCK_LLAMA_HEADER >= 202601
#    define PLUCK_LLAMA_IMPL_FITS(n) ((n) == 10)
#else
#    define PLUCK_LLAMA_IMPL_FITS(n) ((n) == 6)
#endif
#ifdef __cplusplus
#    define PLUCK_LLAMA_IMPL_ASSERT static_assert
#else
#    define PLUCK_LLAMA_IMPL_ASSERT _Static_assert
#endif
PLUCK_LLAMA_IMPL_ASSERT(
    PLUCK_LLAMA_IMPL_FITS(sizeof(struct llama_sampler_i) / sizeof(void (*)(void))),
    "this llama.h is of another date: define PLUCK_LLAMA_HEADER as 202502, 202601 or 202608");

/* By position, because C++17 has no other way. What is not named stays NULL, which llama.cpp takes
 * as "not provided". */
#if defined(_WIN32)
#    define PLUCK_LLAMA_IMPL_ONE __declspec(selectany)
#else
#    define PLUCK_LLAMA_IMPL_ONE __attribute__((weak, visibility("default")))
#endif
extern struct llama_sampler_i pluck_llama_impl_table;
PLUCK_LLAMA_IMPL_ONE struct llama_sampler_i pluck_llama_impl_table = {
    pluck_llama_impl_name,
    pluck_llama_impl_accept,
    pluck_llama_impl_apply,
    pluck_llama_impl_reset,
    pluck_llama_impl_clone,
    pluck_llama_impl_free,
#if PLUCK_LLAMA_HEADER >= 202601
    pluck_llama_impl_backend_init,
    NULL, /* backend_accept */
    NULL, /* backend_apply */
    NULL, /* backend_set_input */
#endif
#if PLUCK_LLAMA_HEADER >= 202608
    pluck_llama_impl_backend_reset,
    pluck_llama_impl_copy_state,
#endif
};

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
        out = llama_sampler_init(&pluck_llama_impl_table, state);
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

static inline bool pluck_llama_impl_is_ours(const struct llama_sampler *smpl)
{
    return smpl && smpl->ctx && smpl->iface == &pluck_llama_impl_table;
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

/* The logits of an output; data is NULL if there are none. */
static inline pluck_logits pluck_llama_impl_logits(struct llama_context *ctx, int32_t idx)
{
    const struct llama_vocab *vocab = llama_model_get_vocab(llama_get_model(ctx));
    pluck_logits logits = {llama_get_logits_ith(ctx, idx), PLUCK_F32,
                           (uint32_t)llama_vocab_n_tokens(vocab)};
    return logits;
}

static inline llama_token pluck_llama_sample(struct llama_sampler *smpl, struct llama_context *ctx,
                                             int32_t idx)
{
    pluck_status status = PLUCK_OK;
    pluck_error err;
    pluck_token token = -1;
    if (!pluck_llama_impl_is_ours(smpl) || !ctx)
        return -1;
    pluck_llama_impl_state *state = pluck_llama_impl_state_of(smpl);
    pluck_logits logits = pluck_llama_impl_logits(ctx, idx);
    if (!logits.data)
        status = pluck_llama_impl_fail(&err, PLUCK_ERR_INVALID, "this output has no logits");
    else
        status = pluck_sampler_next(state->sampler, logits, &token, &err);
    if (status == PLUCK_OK)
        state->has_drawn = true;
    pluck_llama_impl_note(state, status, &err);
    return status == PLUCK_OK ? token : -1;
}

/* A row that failed in a batch has a status, but the message is that of the first one: drawing
 * again, which changes nothing, says why. */
static inline void pluck_llama_impl_note_row(pluck_llama_impl_state *state, pluck_logits logits,
                                             pluck_status status, const pluck_error *batch)
{
    pluck_error err;
    pluck_token token = -1;
    if (pluck_sampler_sample(state->sampler, logits, &token, &err) == status)
        pluck_llama_impl_note(state, status, &err);
    else
        pluck_llama_impl_note(state, status, batch);
}

/* At most PLUCK_LLAMA_IMPL_BATCH outputs in one call. */
static inline bool pluck_llama_impl_sample_some(pluck_workspace *workspace,
                                                struct llama_sampler *const *samplers,
                                                struct llama_context *ctx, const int32_t *idxs,
                                                size_t n, llama_token *tokens)
{
    pluck_sampler *inside[PLUCK_LLAMA_IMPL_BATCH];
    const void *rows[PLUCK_LLAMA_IMPL_BATCH];
    pluck_status statuses[PLUCK_LLAMA_IMPL_BATCH];
    pluck_logits logits = {NULL, PLUCK_F32, 0};
    pluck_matrix matrix;
    pluck_outputs outputs = PLUCK_INIT(pluck_outputs);
    pluck_error err;
    bool done = true;
    for (size_t i = 0; i < n; i++) {
        tokens[i] = -1;
        inside[i] = pluck_llama_sampler_get(samplers[i]);
        rows[i] = NULL;
        statuses[i] = PLUCK_ERR_INVALID;
        if (!inside[i]) {
            done = done && !samplers[i];
            continue;
        }
        logits = pluck_llama_impl_logits(ctx, idxs[i]);
        rows[i] = logits.data;
        if (logits.data)
            continue;
        inside[i] = NULL;
        done = false;
        pluck_llama_impl_fail(&err, PLUCK_ERR_INVALID, "this output has no logits");
        pluck_llama_impl_note(pluck_llama_impl_state_of(samplers[i]), PLUCK_ERR_INVALID, &err);
    }
    memset(&matrix, 0, sizeof matrix);
    matrix.rows = rows;
    matrix.dtype = PLUCK_F32;
    matrix.n_cols = logits.n_vocab;
    matrix.n_rows = n;
    outputs.accept = true;
    outputs.tokens = tokens;
    outputs.statuses = statuses;
    pluck_status status = logits.n_vocab > 0
                              ? pluck_workspace_run(workspace, inside, &matrix, &outputs, &err)
                              : PLUCK_OK;
    for (size_t i = 0; i < n; i++) {
        if (!inside[i])
            continue;
        pluck_llama_impl_state *state = pluck_llama_impl_state_of(samplers[i]);
        logits.data = rows[i];
        if (status == PLUCK_OK || statuses[i] == PLUCK_OK)
            state->has_drawn = true;
        else
            pluck_llama_impl_note_row(state, logits, statuses[i], &err);
    }
    return done && status == PLUCK_OK;
}

static inline bool pluck_llama_sample_batch(pluck_workspace *workspace,
                                            struct llama_sampler *const *samplers,
                                            struct llama_context *ctx, const int32_t *idxs,
                                            size_t n, llama_token *tokens)
{
    bool done = true;
    if (n > 0 && (!samplers || !ctx || !idxs || !tokens))
        return false;
    for (size_t i = 0; !workspace && i < n; i++) {
        tokens[i] = samplers[i] ? pluck_llama_sample(samplers[i], ctx, idxs[i]) : -1;
        done = done && (!samplers[i] || tokens[i] >= 0);
    }
    for (size_t i = 0; workspace && i < n; i += PLUCK_LLAMA_IMPL_BATCH) {
        size_t n_here = n - i < PLUCK_LLAMA_IMPL_BATCH ? n - i : PLUCK_LLAMA_IMPL_BATCH;
        done = pluck_llama_impl_sample_some(workspace, samplers + i, ctx, idxs + i, n_here,
                                            tokens + i) &&
               done;
    }
    return done;
}

#ifdef __cplusplus
}
#endif

#endif
