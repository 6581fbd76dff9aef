/*
 * Life cycle and sequence. A sampler is created whole or not at all; cloning goes the same way with
 * the state copied. Accepting first makes sure of all memory, then changes everything at once, so
 * that a failed accept leaves no stage ahead of another.
 */
#include "sampler/sampler_impl.h"

#include "base/error.h"
#include "simd/fp_state.h"

#include <stddef.h>

static pluck_status fail_null(const char *names, pluck_error *err)
{
    return plk_fail(err, PLUCK_ERR_INVALID, "%s must not be NULL", names);
}

static void seek(pluck_sampler *sampler, uint64_t stream, uint64_t position)
{
    sampler->stream = stream;
    sampler->position = position;
    sampler->drawn.any = false;
    pluck_pcg64_seed(&sampler->rng, sampler->seed, stream, position);
}

/* The tokens that are there after the longest rewind, if n are to be left. */
static size_t before_rewinding(const pluck_sampler *sampler, uint64_t n)
{
    return n > SIZE_MAX - sampler->max_rewind ? SIZE_MAX : (size_t)n + sampler->max_rewind;
}

size_t plk_sampler_n_kept(const pluck_sampler *sampler)
{
    uint64_t n = sampler->window;
    n = n > sampler->keep_history ? n : sampler->keep_history;
    return plk_history_limit(before_rewinding(sampler, n));
}

pluck_status plk_sampler_create_history(const pluck_sampler *sampler, plk_history *history,
                                        pluck_error *err)
{
    return plk_history_create(history, before_rewinding(sampler, sampler->window),
                              plk_sampler_n_kept(sampler), &sampler->allocator, err);
}

pluck_status plk_sampler_widen_history(pluck_sampler *sampler, size_t window, pluck_error *err)
{
    uint64_t n = window > sampler->keep_history ? window : sampler->keep_history;
    return plk_history_widen(&sampler->history, before_rewinding(sampler, window),
                             before_rewinding(sampler, n), err);
}

pluck_status plk_sampler_reserve_edits(pluck_sampler *sampler, size_t n, pluck_error *err)
{
    if (n <= sampler->max_edits)
        return PLUCK_OK;
    plk_edit *edits = plk_alloc(&sampler->allocator, n, sizeof *edits);
    if (!edits)
        return plk_fail_nomem(err, n * sizeof *edits);
    plk_free(&sampler->allocator, sampler->edits);
    sampler->edits = edits;
    sampler->max_edits = n;
    return PLUCK_OK;
}

/* The first scratch memory of the workspace that the sampler borrows, or its own. */
static pluck_status attach_scratch(pluck_sampler *sampler, pluck_error *err)
{
    if (!sampler->workspace)
        return plk_scratch_create(&sampler->scratch, sampler->n_vocab, &sampler->allocator, err);
    sampler->scratch = sampler->workspace->scratches[0];
    return PLUCK_OK;
}

plk_stage_setup plk_sampler_setup(const pluck_sampler *sampler)
{
    return (plk_stage_setup){.allocator = &sampler->allocator,
                             .n_vocab = sampler->n_vocab,
                             .max_rewind = sampler->max_rewind,
                             .texts = sampler->texts};
}

void plk_sampler_note_chain(pluck_sampler *sampler)
{
    plk_byte_writer identity = plk_byte_writer_make(NULL, 0);
    plk_put_u32(&identity, (uint32_t)sampler->on_nan);
    plk_chain_put_identity(&sampler->chain, &identity);
    sampler->identity = identity.hash;
    sampler->window = plk_chain_window(&sampler->chain);
    sampler->masks_in_chain = plk_chain_has(&sampler->chain, "mask");
    sampler->masks_first = plk_chain_begins_with(&sampler->chain, "mask");
}

static pluck_status create_parts(pluck_sampler *sampler, const pluck_config *config,
                                 pluck_error *err)
{
    plk_stage_setup setup = plk_sampler_setup(sampler);
    pluck_status status =
        plk_chain_create(&sampler->chain, config, sampler->n_vocab, &sampler->allocator, err);
    if (status == PLUCK_OK)
        status = plk_chain_create_states(&sampler->chain, &setup, err);
    if (status != PLUCK_OK)
        return status;
    plk_sampler_note_chain(sampler);
    status = plk_sampler_create_history(sampler, &sampler->history, err);
    if (status == PLUCK_OK)
        status = plk_sampler_reserve_edits(
            sampler, plk_chain_max_edits(&sampler->chain, 0, sampler->n_vocab), err);
    if (status != PLUCK_OK)
        return status;
    return attach_scratch(sampler, err);
}

static pluck_status check_create(uint32_t n_vocab, const pluck_sampler_options *options,
                                 pluck_error *err)
{
    if (n_vocab < 1 || n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_INVALID, "n_vocab = %u is outside [1, %u]", n_vocab,
                        PLUCK_MAX_VOCAB);
    if (!pluck_isa_supported(options->isa)) {
        const char *name = pluck_isa_name(options->isa);
        return plk_fail(err, PLUCK_ERR_INVALID, "instruction set %s is not supported here",
                        name ? name : "(unknown)");
    }
    if (options->workspace && options->workspace->n_vocab != n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "the workspace is for %u tokens, the sampler for %u",
                        options->workspace->n_vocab, n_vocab);
    return PLUCK_OK;
}

pluck_status pluck_sampler_create(pluck_sampler **out, const pluck_config *config, uint32_t n_vocab,
                                  const pluck_sampler_options *options, pluck_error *err)
{
    if (!out)
        return fail_null("pluck_sampler_create: out", err);
    *out = NULL;
    if (!config)
        return fail_null("pluck_sampler_create: config", err);
    pluck_sampler_options known;
    pluck_status status = PLK_READ_STRUCT(&known, options, "options", pluck_sampler_options, err);
    if (status == PLUCK_OK)
        status = check_create(n_vocab, &known, err);
    if (status != PLUCK_OK)
        return status;
    pluck_allocator allocator = plk_allocator_or_default(known.allocator);
    pluck_sampler *sampler = plk_alloc_zero(&allocator, 1, sizeof *sampler);
    if (!sampler)
        return plk_fail_nomem(err, sizeof *sampler);
    sampler->allocator = allocator;
    sampler->kernels = plk_kernels_get(known.isa);
    sampler->n_vocab = n_vocab;
    sampler->max_rewind = known.max_rewind != 0 ? known.max_rewind : PLUCK_DEFAULT_MAX_REWIND;
    sampler->keep_history = known.keep_history;
    sampler->workspace = known.workspace;
    sampler->texts = (plk_token_texts){known.token_text, known.token_text_user};
    pluck_config_info info = PLUCK_INIT(pluck_config_info);
    status = pluck_config_get_info(config, &info, err);
    sampler->on_nan = info.on_nan;
    sampler->seed = info.seed;
    if (status == PLUCK_OK && info.seed_is_random)
        status = pluck_random_seed(&sampler->seed, err);
    plk_fp_state fp = plk_fp_enter();
    if (status == PLUCK_OK)
        status = create_parts(sampler, config, err);
    plk_fp_leave(fp);
    if (status != PLUCK_OK) {
        pluck_sampler_destroy(&sampler);
        return status;
    }
    seek(sampler, known.stream, 0);
    *out = sampler;
    return PLUCK_OK;
}

pluck_status pluck_sampler_from_json(pluck_sampler **out, const char *json, size_t json_size_bytes,
                                     uint32_t n_vocab, pluck_error *err)
{
    if (!out)
        return fail_null("pluck_sampler_from_json: out", err);
    *out = NULL;
    pluck_config *config = NULL;
    pluck_status status = pluck_config_from_json(&config, json, json_size_bytes, NULL, err);
    if (status == PLUCK_OK)
        status = pluck_sampler_create(out, config, n_vocab, NULL, err);
    pluck_config_destroy(&config);
    return status;
}

void pluck_sampler_destroy(pluck_sampler **sampler)
{
    if (!sampler || !*sampler)
        return;
    pluck_sampler *s = *sampler;
    pluck_allocator allocator = s->allocator;
    plk_chain_destroy(&s->chain);
    plk_history_destroy(&s->history);
    plk_free(&allocator, s->edits);
    if (!s->workspace)
        plk_scratch_destroy(&s->scratch);
    plk_free(&allocator, s);
    *sampler = NULL;
}

pluck_status pluck_sampler_clone(pluck_sampler **out, const pluck_sampler *sampler,
                                 pluck_error *err)
{
    if (!out)
        return fail_null("pluck_sampler_clone: out", err);
    *out = NULL;
    if (!sampler)
        return fail_null("pluck_sampler_clone: sampler", err);
    /* One allocation for everything whose size stays: the sampler, its chain and its history. */
    size_t alignment = _Alignof(max_align_t);
    size_t own_bytes = (sizeof *sampler + alignment - 1) / alignment * alignment;
    size_t chain_bytes = plk_chain_bytes(&sampler->chain);
    size_t n_bytes = own_bytes + chain_bytes + plk_history_bytes(&sampler->history);
    unsigned char *memory = plk_alloc(&sampler->allocator, 1, n_bytes);
    if (!memory)
        return plk_fail_nomem(err, n_bytes);
    pluck_sampler *copy = (pluck_sampler *)(void *)memory;
    *copy = *sampler;
    copy->history = (plk_history){.allocator = sampler->allocator};
    copy->edits = NULL;
    copy->max_edits = 0;
    copy->scratch = NULL;
    pluck_status status = plk_chain_clone(&copy->chain, &sampler->chain, memory + own_bytes, err);
    if (status == PLUCK_OK)
        status = plk_history_clone(&copy->history, &sampler->history,
                                   memory + own_bytes + chain_bytes, err);
    if (status == PLUCK_OK)
        status = plk_sampler_reserve_edits(copy, sampler->max_edits, err);
    if (status == PLUCK_OK)
        status = attach_scratch(copy, err);
    if (status != PLUCK_OK) {
        pluck_sampler_destroy(&copy);
        return status;
    }
    *out = copy;
    return PLUCK_OK;
}

static void start_sequence(pluck_sampler *sampler)
{
    plk_chain_reset(&sampler->chain);
    plk_history_clear(&sampler->history);
    sampler->furthest = 0;
    sampler->mask = NULL;
    seek(sampler, sampler->stream, 0);
}

pluck_status pluck_sampler_reset(pluck_sampler *sampler, pluck_error *err)
{
    if (!sampler)
        return fail_null("pluck_sampler_reset: sampler", err);
    start_sequence(sampler);
    return PLUCK_OK;
}

pluck_status pluck_sampler_start(pluck_sampler *sampler, uint64_t seed, uint64_t stream,
                                 pluck_error *err)
{
    if (!sampler)
        return fail_null("pluck_sampler_start: sampler", err);
    sampler->seed = seed;
    sampler->stream = stream;
    start_sequence(sampler);
    return PLUCK_OK;
}

pluck_status pluck_sampler_set_position(pluck_sampler *sampler, uint64_t position, pluck_error *err)
{
    if (!sampler)
        return fail_null("pluck_sampler_set_position: sampler", err);
    seek(sampler, sampler->stream, position);
    return PLUCK_OK;
}

void plk_sampler_accept_reserved(pluck_sampler *sampler, pluck_token token, bool is_prompt)
{
    plk_accepted accepted = {.token = token};
    if (!is_prompt && sampler->drawn.any && sampler->drawn.token == token) {
        accepted.was_drawn = true;
        accepted.observed = sampler->drawn.observed;
    }
    plk_history_push(&sampler->history, token, is_prompt);
    plk_fp_state fp = plk_fp_enter();
    plk_chain_accept(&sampler->chain, &sampler->history, &accepted);
    plk_fp_leave(fp);
    if (sampler->history.position > sampler->furthest)
        sampler->furthest = sampler->history.position;
    sampler->drawn.any = false;
    sampler->mask = NULL;
    sampler->position++;
    pluck_pcg64_skip_positions(&sampler->rng, 1);
}

/* All of them or none. */
static pluck_status accept_all(pluck_sampler *sampler, const pluck_token *tokens, size_t n,
                               bool is_prompt, pluck_error *err)
{
    if (!sampler || (!tokens && n > 0))
        return fail_null("sampler and tokens", err);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= sampler->n_vocab)
            return plk_fail(err, PLUCK_ERR_INVALID, "token %d is outside [0, %u]", tokens[i],
                            sampler->n_vocab - 1);
    pluck_status status = plk_sampler_reserve(sampler, tokens, n, err);
    if (status != PLUCK_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        plk_sampler_accept_reserved(sampler, tokens[i], is_prompt);
    return PLUCK_OK;
}

pluck_status plk_sampler_reserve(pluck_sampler *sampler, const pluck_token *tokens, size_t n,
                                 pluck_error *err)
{
    pluck_status status = plk_history_reserve(&sampler->history, n, err);
    if (status == PLUCK_OK)
        status = plk_chain_reserve(&sampler->chain, tokens, n, err);
    if (status != PLUCK_OK)
        return status;
    uint64_t n_tokens = sampler->history.position + n;
    size_t max_edits = plk_chain_max_edits(&sampler->chain, n_tokens, sampler->n_vocab);
    return plk_sampler_reserve_edits(sampler, max_edits, err);
}

pluck_status pluck_sampler_accept(pluck_sampler *sampler, pluck_token token, pluck_error *err)
{
    return accept_all(sampler, &token, 1, false, err);
}

pluck_status pluck_sampler_accept_many(pluck_sampler *sampler, const pluck_token *tokens, size_t n,
                                       pluck_error *err)
{
    return accept_all(sampler, tokens, n, false, err);
}

pluck_status pluck_sampler_prompt(pluck_sampler *sampler, const pluck_token *tokens, size_t n,
                                  pluck_error *err)
{
    return accept_all(sampler, tokens, n, true, err);
}

pluck_status pluck_sampler_next(pluck_sampler *sampler, pluck_logits logits, pluck_token *token,
                                pluck_error *err)
{
    if (!sampler || !token)
        return fail_null("pluck_sampler_next: sampler and token", err);
    plk_drawn drawn = sampler->drawn;
    pluck_token next = PLUCK_NO_TOKEN;
    pluck_status status = pluck_sampler_sample(sampler, logits, &next, err);
    if (status != PLUCK_OK)
        return status;
    status = accept_all(sampler, &next, 1, false, err);
    if (status == PLUCK_OK)
        *token = next;
    else
        sampler->drawn = drawn;
    return status;
}

/* Whether history and stages still hold what they were before the last n tokens. What they keep to
 * undo an accept is overwritten max_rewind accepts later, even if those were undone since. */
static bool can_rewind(const pluck_sampler *sampler, uint32_t n)
{
    const plk_history *history = &sampler->history;
    if (n > history->position || n > sampler->position)
        return false;
    uint64_t left = history->position - n;
    if (sampler->furthest - left > sampler->max_rewind)
        return false;
    return history->oldest == 0 ||
           (left >= history->oldest && left - history->oldest >= sampler->window);
}

pluck_status pluck_sampler_rewind(pluck_sampler *sampler, uint32_t n, pluck_error *err)
{
    if (!sampler)
        return fail_null("pluck_sampler_rewind: sampler", err);
    if (!can_rewind(sampler, n))
        return plk_fail(
            err, PLUCK_ERR_INVALID,
            "cannot rewind %u tokens at position %llu: %llu were accepted, and at most %u in a row "
            "can be undone (max_rewind)",
            n, (unsigned long long)sampler->position, (unsigned long long)sampler->history.position,
            sampler->max_rewind);
    for (uint32_t i = 0; i < n; i++) {
        plk_chain_rewind(&sampler->chain, &sampler->history);
        plk_history_pop(&sampler->history);
    }
    if (n > 0)
        sampler->mask = NULL;
    seek(sampler, sampler->stream, sampler->position - n);
    return PLUCK_OK;
}

pluck_status pluck_sampler_set_mask(pluck_sampler *sampler, const int32_t *bits, size_t n_words,
                                    pluck_error *err)
{
    if (!sampler)
        return fail_null("pluck_sampler_set_mask: sampler", err);
    size_t wanted = bits ? plk_mask_words(sampler->n_vocab) : 0;
    if (n_words != wanted)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "the mask has %zu words, but %u tokens need %zu (pass NULL and 0 to remove "
                        "the mask)",
                        n_words, sampler->n_vocab, plk_mask_words(sampler->n_vocab));
    sampler->mask = bits;
    return PLUCK_OK;
}

uint64_t pluck_sampler_position(const pluck_sampler *sampler)
{
    return sampler ? sampler->position : 0;
}

size_t pluck_sampler_history(const pluck_sampler *sampler, pluck_token *tokens, size_t capacity)
{
    if (!sampler)
        return 0;
    size_t n_kept = plk_history_length(&sampler->history);
    size_t n = tokens ? capacity : 0;
    n = n < n_kept ? n : n_kept;
    for (size_t i = 0; i < n; i++)
        tokens[i] = plk_history_at(&sampler->history, n - 1 - i);
    return n_kept;
}

pluck_status pluck_sampler_get_info(const pluck_sampler *sampler, pluck_sampler_info *info,
                                    pluck_error *err)
{
    if (!sampler || !info)
        return fail_null("pluck_sampler_get_info: sampler and info", err);
    pluck_sampler_info known = {
        .n_vocab = sampler->n_vocab,
        .max_rewind = sampler->max_rewind,
        .seed = sampler->seed,
        .stream = sampler->stream,
        .position = sampler->position,
        .n_prompt = sampler->history.position - sampler->history.n_generated,
        .n_history = plk_history_length(&sampler->history),
        .isa = sampler->kernels->isa,
    };
    return PLK_WRITE_STRUCT(info, &known, "info", pluck_sampler_info, err);
}
