/*
 * Saving writes twice, first to measure. Loading builds everything that depends on the bytes (the
 * history, and the chain with its states) anew next to the sampler, and swaps it in when the last
 * byte was right: a failure leaves no trace, and a stage never sees a half-loaded history.
 */
#include "sampler/sampler_impl.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

static const char magic[8] = {'P', 'L', 'U', 'C', 'K', 'S', 'M', 'P'};
enum { VERSION = 1, CHECKSUM_BYTES = 8, MIN_BYTES = 128 };

/* All bytes, the checksum included. */
static void put_state(const pluck_sampler *sampler, size_t size_bytes, plk_byte_writer *out)
{
    const plk_drawn *drawn = &sampler->drawn;
    plk_put_bytes(out, magic, sizeof magic);
    plk_put_u32(out, VERSION);
    plk_put_u32(out, sampler->n_vocab);
    plk_put_u64(out, size_bytes);
    plk_put_u64(out, sampler->identity);
    plk_put_u32(out, sampler->max_rewind);
    plk_put_u32(out, drawn->any);
    plk_put_u64(out, sampler->seed);
    plk_put_u64(out, sampler->stream);
    plk_put_u64(out, sampler->position);
    plk_put_u64(out, sampler->furthest);
    plk_put_u32(out, drawn->any ? (uint32_t)drawn->token : 0);
    plk_put_u32(out, (uint32_t)sampler->chain.n);
    plk_put_f64(out, drawn->any ? drawn->observed : 0.0);
    plk_history_save(&sampler->history, plk_sampler_n_kept(sampler), out);
    plk_chain_save(&sampler->chain, &sampler->history, out);
    plk_put_u64(out, out->hash);
}

pluck_status pluck_sampler_save(const pluck_sampler *sampler, void *bytes, size_t capacity_bytes,
                                size_t *needed_bytes, pluck_error *err)
{
    if (!sampler || !needed_bytes || (!bytes && capacity_bytes > 0))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_sampler_save: sampler and needed_bytes must not be NULL, nor bytes "
                        "if capacity_bytes is above 0");
    for (size_t i = 0; i < sampler->chain.n; i++)
        if (sampler->chain.links[i].stage->is_unsaveable)
            return plk_fail(err, PLUCK_ERR_INVALID, "the stage '%s' cannot save its state",
                            sampler->chain.links[i].stage->info.name);
    plk_byte_writer measured = plk_byte_writer_make(NULL, 0);
    put_state(sampler, 0, &measured);
    *needed_bytes = measured.n_bytes;
    if (!bytes)
        return PLUCK_OK;
    if (measured.n_bytes > capacity_bytes)
        return plk_fail(
            err, PLUCK_ERR_SPACE,
            "the state has %zu bytes, but capacity_bytes is %zu; call again with *needed_bytes",
            measured.n_bytes, capacity_bytes);
    plk_byte_writer out = plk_byte_writer_make(bytes, capacity_bytes);
    put_state(sampler, measured.n_bytes, &out);
    if (out.n_bytes != measured.n_bytes)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "the state has %zu bytes, but %zu when it was measured: a stage saves "
                        "different bytes each time",
                        out.n_bytes, measured.n_bytes);
    return PLUCK_OK;
}

/* Magic, version, size and checksum: whether these are whole bytes of a state. */
static pluck_status check_frame(const unsigned char *bytes, size_t size_bytes, pluck_error *err)
{
    if (size_bytes < MIN_BYTES || memcmp(bytes, magic, sizeof magic) != 0)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "not the state of a sampler (%zu bytes): expected at least %d bytes, "
                        "\"PLUCKSMP\" first",
                        size_bytes, MIN_BYTES);
    plk_byte_reader in = {bytes + sizeof magic, size_bytes - sizeof magic, false};
    uint32_t version = plk_take_u32(&in);
    if (version != VERSION)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "the state has format version %u; this library reads version %d", version,
                        VERSION);
    (void)plk_take_u32(&in);
    uint64_t said_bytes = plk_take_u64(&in);
    if (said_bytes != size_bytes)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "the state is damaged: it has %zu bytes, expected %llu", size_bytes,
                        (unsigned long long)said_bytes);
    plk_byte_reader end = {bytes + size_bytes - CHECKSUM_BYTES, CHECKSUM_BYTES, false};
    if (plk_take_u64(&end) != plk_fnv1a(bytes, size_bytes - CHECKSUM_BYTES))
        return plk_fail(err, PLUCK_ERR_FORMAT, "the state is damaged: its checksum is wrong");
    return PLUCK_OK;
}

/* The fields before the history, into *loaded; it must be the state of such a sampler. */
static pluck_status read_head(const pluck_sampler *sampler, plk_byte_reader *in,
                              pluck_sampler *loaded, pluck_error *err)
{
    (void)plk_take_part(in, sizeof magic + 4);
    uint32_t n_vocab = plk_take_u32(in);
    (void)plk_take_u64(in);
    uint64_t identity = plk_take_u64(in);
    uint32_t max_rewind = plk_take_u32(in), any_drawn = plk_take_u32(in);
    loaded->seed = plk_take_u64(in);
    loaded->stream = plk_take_u64(in);
    loaded->position = plk_take_u64(in);
    loaded->furthest = plk_take_u64(in);
    uint32_t token = plk_take_u32(in), n_stages = plk_take_u32(in);
    loaded->drawn = (plk_drawn){any_drawn != 0, (pluck_token)token, plk_take_f64(in)};
    if (n_vocab != sampler->n_vocab || max_rewind != sampler->max_rewind)
        return plk_fail(
            err, PLUCK_ERR_CONFIG,
            "the state is of a sampler for %u tokens with max_rewind %u; this sampler is for %u "
            "tokens with max_rewind %u",
            n_vocab, max_rewind, sampler->n_vocab, sampler->max_rewind);
    if (identity != sampler->identity || n_stages != sampler->chain.n)
        return plk_fail(err, PLUCK_ERR_CONFIG,
                        "the state is of a sampler with different stages, parameters or on_nan");
    if (any_drawn > 1 || token >= n_vocab || !isfinite(loaded->drawn.observed))
        return plk_fail(err, PLUCK_ERR_FORMAT, "the state is damaged: its last draw is impossible");
    return PLUCK_OK;
}

static pluck_status read_parts(pluck_sampler *loaded, plk_byte_reader *in, pluck_error *err)
{
    pluck_status status =
        plk_history_load(&loaded->history, loaded->window, loaded->n_vocab, in, err);
    if (status != PLUCK_OK)
        return status;
    if (loaded->furthest < loaded->history.position ||
        loaded->furthest - loaded->history.position > loaded->max_rewind)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "the state is damaged: its largest position is impossible");
    plk_chain_reset(&loaded->chain);
    status = plk_chain_load(&loaded->chain, &loaded->history, in, err);
    if (status == PLUCK_OK && !plk_is_read_up(in))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "the state is damaged: bytes are missing or left over");
    return status;
}

pluck_status pluck_sampler_restore(pluck_sampler *sampler, const void *bytes, size_t size_bytes,
                                   pluck_error *err)
{
    if (!sampler || !bytes)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_sampler_restore: sampler and bytes must not be NULL");
    pluck_status status = check_frame(bytes, size_bytes, err);
    if (status != PLUCK_OK)
        return status;
    plk_byte_reader in = {bytes, size_bytes - CHECKSUM_BYTES, false};
    pluck_sampler loaded = *sampler;
    status = read_head(sampler, &in, &loaded, err);
    if (status != PLUCK_OK)
        return status;
    loaded.history = (plk_history){.allocator = sampler->allocator};
    size_t chain_bytes = plk_chain_bytes(&sampler->chain);
    void *memory = plk_alloc(&sampler->allocator, 1, chain_bytes);
    if (!memory)
        return plk_fail_nomem(err, chain_bytes);
    status = plk_chain_clone(&loaded.chain, &sampler->chain, memory, err);
    loaded.chain.is_lent = false;
    if (status == PLUCK_OK)
        status = plk_sampler_create_history(sampler, &loaded.history, err);
    if (status == PLUCK_OK)
        status = read_parts(&loaded, &in, err);
    if (status == PLUCK_OK)
        status = plk_sampler_reserve_edits(
            sampler, plk_chain_max_edits(&loaded.chain, loaded.history.position, loaded.n_vocab),
            err);
    loaded.edits = sampler->edits;
    loaded.max_edits = sampler->max_edits;
    pluck_sampler spent = status == PLUCK_OK ? *sampler : loaded;
    if (status == PLUCK_OK) {
        loaded.mask = NULL;
        pluck_pcg64_seed(&loaded.rng, loaded.seed, loaded.stream, loaded.position);
        *sampler = loaded;
    }
    plk_chain_destroy(&spent.chain);
    plk_history_destroy(&spent.history);
    return status;
}
