/*
 * A row in slices. Each rank writes a record of what the others must know, and takes the records of
 * all ranks. What follows from them depends on the records and on what all ranks have in common, so
 * that no rank can come to another result.
 *
 * A record, little-endian:
 *     u32 version, u32 bytes of the record, u32 rank, u32 check, u32 exchange from 0, u32 status
 *     then, by the status:
 *     PLUCK_OK    the values of the slice, as they are in memory
 *     any other   why the rank could not begin: the text of an error, cut to what is left
 *
 * The check is a hash of everything that must be equal on all ranks and that the result depends on.
 * Of the history only the last tokens are hashed: an earlier difference was among the last ones in
 * an earlier exchange.
 */
#include <pluck/shard.h>

#include "sampler/sampler_impl.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

enum {
    VERSION = 1,
    HEAD_BYTES = 24,
    MIN_BYTES = 128, /* of the bound of a record: room for the text of an error */
    N_HASHED = 16    /* tokens of the history */
};

struct pluck_shard {
    pluck_allocator allocator;
    uint32_t n_vocab, rank, n_ranks;
    uint32_t *first_token; /* [n_ranks + 1] */
    bool token_only;
    uint32_t layout_hash;
    plk_scratch *scratch;
    void *row; /* [n_vocab] values of any type of logits: where the row is gathered */

    /* The row that has been begun. */
    bool has_begun;
    pluck_error failure; /* why it could not begin; PLUCK_OK: it could */
    pluck_sampler *sampler;
    pluck_logits slice;
    uint32_t check;
    uint32_t exchange;
    size_t record_bytes;
};

/*
 * Life.
 */

static pluck_status check_cuts(const pluck_shard_options *options, pluck_error *err)
{
    const uint32_t *first = options->first_token;
    for (uint32_t r = 1; r < options->n_ranks; r++) {
        uint32_t below = first[r] - first[r] % PLUCK_SHARD_STEP;
        if (first[r] != below)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "first_token[%u] is %u; slices begin at multiples of %u, and the "
                            "nearest ones are %u and %llu",
                            r, first[r], PLUCK_SHARD_STEP, below,
                            (unsigned long long)below + PLUCK_SHARD_STEP);
    }
    for (uint32_t r = 0; r < options->n_ranks; r++)
        if (first[r] >= first[r + 1])
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "first_token[%u] is %u, and first_token[%u] is %u; each rank must have "
                            "at least one token",
                            r, first[r], r + 1, first[r + 1]);
    if (first[0] != 0 || first[options->n_ranks] != options->n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "the slices are of tokens %u to %u; expected 0 to n_vocab = %u", first[0],
                        first[options->n_ranks], options->n_vocab);
    return PLUCK_OK;
}

static pluck_status check_options(const pluck_shard_options *options, pluck_error *err)
{
    uint32_t n_vocab = options->n_vocab;
    if (n_vocab < 1 || n_vocab > PLUCK_MAX_VOCAB)
        return plk_fail(err, PLUCK_ERR_INVALID, "n_vocab = %u is outside [1, %u]", n_vocab,
                        PLUCK_MAX_VOCAB);
    uint32_t most = (n_vocab - 1) / PLUCK_SHARD_STEP + 1;
    if (options->n_ranks < 1 || options->n_ranks > most)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "n_ranks = %u is outside [1, %u]: %u tokens have only %u slices that begin "
                        "at multiples of %u",
                        options->n_ranks, most, n_vocab, most, PLUCK_SHARD_STEP);
    if (options->rank >= options->n_ranks)
        return plk_fail(err, PLUCK_ERR_INVALID, "rank = %u is outside [0, %u]", options->rank,
                        options->n_ranks - 1);
    if (!options->first_token)
        return plk_fail(err, PLUCK_ERR_INVALID, "options.first_token must not be NULL");
    return check_cuts(options, err);
}

static uint32_t fold(uint64_t hash)
{
    return (uint32_t)(hash ^ hash >> 32);
}

static uint32_t hash_layout(const pluck_shard *shard)
{
    plk_byte_writer hash = plk_byte_writer_make(NULL, 0);
    plk_put_u32(&hash, shard->token_only);
    for (uint32_t r = 0; r <= shard->n_ranks; r++)
        plk_put_u32(&hash, shard->first_token[r]);
    return fold(hash.hash);
}

pluck_status pluck_shard_create(pluck_shard **out, const pluck_shard_options *options,
                                pluck_error *err)
{
    if (!out || !options)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_shard_create: out and options must not be NULL");
    *out = NULL;
    pluck_shard_options known;
    pluck_status status = PLK_READ_STRUCT(&known, options, "options", pluck_shard_options, err);
    if (status == PLUCK_OK)
        status = check_options(&known, err);
    if (status != PLUCK_OK)
        return status;
    pluck_allocator allocator = plk_allocator_or_default(known.allocator);
    pluck_shard *shard = plk_alloc_zero(&allocator, 1, sizeof *shard);
    if (!shard)
        return plk_fail_nomem(err, sizeof *shard);
    shard->allocator = allocator;
    shard->n_vocab = known.n_vocab;
    shard->rank = known.rank;
    shard->n_ranks = known.n_ranks;
    shard->token_only = known.token_only;
    size_t n_cuts = (size_t)known.n_ranks + 1;
    shard->first_token = plk_alloc(&allocator, n_cuts, sizeof *shard->first_token);
    shard->row = plk_alloc(&allocator, known.n_vocab, sizeof(float));
    if (!shard->first_token || !shard->row)
        status = plk_fail_nomem(err, shard->first_token ? known.n_vocab * sizeof(float)
                                                        : n_cuts * sizeof *shard->first_token);
    else
        status = plk_scratch_create(&shard->scratch, known.n_vocab, &allocator, err);
    if (status != PLUCK_OK) {
        pluck_shard_destroy(&shard);
        return status;
    }
    memcpy(shard->first_token, known.first_token, n_cuts * sizeof *shard->first_token);
    shard->layout_hash = hash_layout(shard);
    *out = shard;
    return PLUCK_OK;
}

void pluck_shard_destroy(pluck_shard **shard)
{
    if (!shard || !*shard)
        return;
    pluck_allocator allocator = (*shard)->allocator;
    plk_scratch_destroy(&(*shard)->scratch);
    plk_free(&allocator, (*shard)->row);
    plk_free(&allocator, (*shard)->first_token);
    plk_free(&allocator, *shard);
    *shard = NULL;
}

/*
 * What exchanges cost.
 */

static uint32_t n_tokens_of(const pluck_shard *shard, uint32_t rank)
{
    return shard->first_token[rank + 1] - shard->first_token[rank];
}

/* Bytes of a record with the largest slice. */
static size_t slice_record_bytes(const pluck_shard *shard, pluck_dtype dtype)
{
    uint32_t most = 0;
    for (uint32_t r = 0; r < shard->n_ranks; r++)
        most = n_tokens_of(shard, r) > most ? n_tokens_of(shard, r) : most;
    size_t n_bytes = HEAD_BYTES + most * pluck_dtype_size_bytes(dtype);
    return n_bytes > MIN_BYTES ? n_bytes : MIN_BYTES;
}

uint32_t pluck_shard_exchanges(const pluck_shard *shard, const pluck_sampler *sampler,
                               const char **gathers)
{
    if (gathers)
        *gathers = shard && sampler ? sampler->chain.links[0].stage->info.name : NULL;
    return shard && sampler ? 1 : 0;
}

size_t pluck_shard_max_record_bytes(const pluck_shard *shard, const pluck_sampler *sampler,
                                    pluck_dtype dtype, uint32_t index)
{
    return shard && sampler && index == 0 ? slice_record_bytes(shard, dtype) : 0;
}

size_t pluck_shard_record_bytes(const pluck_shard *shard)
{
    return shard && shard->has_begun ? shard->record_bytes : 0;
}

/*
 * A row.
 */

static pluck_status check_slice(const pluck_shard *shard, const pluck_sampler *sampler,
                                pluck_logits slice, pluck_error *err)
{
    if (sampler->n_vocab != shard->n_vocab)
        return plk_fail(err, PLUCK_ERR_INVALID, "the sampler is for %u tokens, the shard for %u",
                        sampler->n_vocab, shard->n_vocab);
    if (!slice.data)
        return plk_fail(err, PLUCK_ERR_INVALID, "slice.data must not be NULL");
    if (slice.n_vocab != n_tokens_of(shard, shard->rank))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "the slice has %u logits; rank %u has the %u tokens from %u on",
                        slice.n_vocab, shard->rank, n_tokens_of(shard, shard->rank),
                        shard->first_token[shard->rank]);
    if (!plk_is_logit_dtype(slice.dtype))
        return plk_fail(err, PLUCK_ERR_INVALID, "dtype %d is not a pluck_dtype of logits",
                        (int)slice.dtype);
    return PLUCK_OK;
}

static uint32_t check_of(const pluck_shard *shard, const pluck_sampler *sampler, pluck_dtype dtype)
{
    const plk_history *history = &sampler->history;
    size_t n_kept = plk_history_length(history);
    plk_byte_writer hash = plk_byte_writer_make(NULL, 0);
    plk_put_u32(&hash, shard->layout_hash);
    plk_put_u32(&hash, (uint32_t)dtype);
    plk_put_u64(&hash, sampler->identity);
    plk_put_u64(&hash, sampler->seed);
    plk_put_u64(&hash, sampler->stream);
    plk_put_u64(&hash, sampler->position);
    plk_put_u64(&hash, history->position);
    plk_put_u32(&hash, history->n_generated);
    for (size_t i = 0; i < n_kept && i < N_HASHED; i++)
        plk_put_u32(&hash, (uint32_t)plk_history_at(history, i));
    return fold(hash.hash);
}

pluck_status pluck_shard_begin(pluck_shard *shard, pluck_sampler *sampler, pluck_logits slice,
                               pluck_error *err)
{
    if (!shard || !sampler)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_shard_begin: shard and sampler must not be NULL");
    shard->has_begun = true;
    shard->sampler = sampler;
    shard->slice = slice;
    shard->exchange = 0;
    shard->check = check_of(shard, sampler, slice.dtype);
    shard->record_bytes = pluck_shard_max_record_bytes(shard, sampler, slice.dtype, 0);
    shard->failure.status = check_slice(shard, sampler, slice, &shard->failure);
    if (shard->failure.status != PLUCK_OK)
        return plk_fail(err, shard->failure.status, "%s", shard->failure.message);
    return PLUCK_OK;
}

/* What follows the head of the next record. */
static const void *body_of(const pluck_shard *shard, size_t *n_bytes)
{
    if (shard->failure.status == PLUCK_OK) {
        *n_bytes = shard->slice.n_vocab * pluck_dtype_size_bytes(shard->slice.dtype);
        return shard->slice.data;
    }
    size_t n = strlen(shard->failure.message), most = shard->record_bytes - HEAD_BYTES;
    *n_bytes = n < most ? n : most;
    return shard->failure.message;
}

pluck_status pluck_shard_record(pluck_shard *shard, void *bytes, size_t capacity_bytes,
                                size_t *needed_bytes, pluck_error *err)
{
    if (!shard || !needed_bytes || (!bytes && capacity_bytes > 0))
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_shard_record: shard and needed_bytes must not be NULL, nor bytes if "
                        "capacity_bytes is above 0");
    if (!shard->has_begun)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_shard_record: no row has been begun; call pluck_shard_begin()");
    size_t body_bytes;
    const void *body = body_of(shard, &body_bytes);
    *needed_bytes = HEAD_BYTES + body_bytes;
    if (!bytes)
        return PLUCK_OK;
    if (*needed_bytes > capacity_bytes)
        return plk_fail(err, PLUCK_ERR_SPACE, "the record has %zu bytes, but capacity_bytes is %zu",
                        *needed_bytes, capacity_bytes);
    plk_byte_writer head = plk_byte_writer_make(bytes, HEAD_BYTES);
    plk_put_u32(&head, VERSION);
    plk_put_u32(&head, (uint32_t)*needed_bytes);
    plk_put_u32(&head, shard->rank);
    plk_put_u32(&head, shard->check);
    plk_put_u32(&head, shard->exchange);
    plk_put_u32(&head, (uint32_t)shard->failure.status);
    memcpy((unsigned char *)bytes + HEAD_BYTES, body, body_bytes);
    return PLUCK_OK;
}

/* What is common to all records. */
typedef struct record_head {
    uint32_t rank, check, exchange;
    pluck_status status;
    plk_byte_reader body;
} record_head;

static pluck_status read_head(uint32_t rank, const void *bytes, size_t n_bytes, record_head *head,
                              pluck_error *err)
{
    plk_byte_reader in = {bytes, n_bytes, false};
    uint32_t version = plk_take_u32(&in), said_bytes = plk_take_u32(&in);
    head->rank = plk_take_u32(&in);
    head->check = plk_take_u32(&in);
    head->exchange = plk_take_u32(&in);
    uint32_t status = plk_take_u32(&in);
    if (in.is_short || said_bytes < HEAD_BYTES || said_bytes > n_bytes)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "record of rank %u: it is cut off; its size is said to be %u bytes, and "
                        "%zu are there",
                        rank, in.is_short ? 0 : said_bytes, n_bytes);
    if (version != VERSION)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "record of rank %u: its version is %u; this library reads version %d", rank,
                        version, VERSION);
    if (head->rank != rank)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "record of rank %u: it was written by rank %u; records are in the order of "
                        "ranks",
                        rank, head->rank);
    if (status > PLUCK_ERR_SPACE)
        return plk_fail(err, PLUCK_ERR_FORMAT, "record of rank %u: %u is not a status", rank,
                        status);
    head->status = (pluck_status)status;
    head->body = plk_take_part(&in, said_bytes - HEAD_BYTES);
    return PLUCK_OK;
}

/* The first rank that failed, as an error. */
static pluck_status fail_as(const record_head *head, pluck_error *err)
{
    char text[sizeof err->message];
    size_t n = head->body.n_bytes < sizeof text - 1 ? head->body.n_bytes : sizeof text - 1;
    if (n > 0)
        memcpy(text, head->body.bytes, n);
    text[n] = '\0';
    return plk_fail(err, head->status, "rank %u: %s", head->rank, text);
}

/* Reads the heads of all records: whether all ranks are in step. */
static pluck_status check_heads(const pluck_shard *shard, const void *const *records,
                                const size_t *n_bytes, pluck_error *err)
{
    record_head first = {0}, head;
    pluck_status status = PLUCK_OK;
    for (uint32_t r = 0; r < shard->n_ranks && status == PLUCK_OK; r++) {
        status = read_head(r, records[r], n_bytes[r], &head, err);
        if (status != PLUCK_OK)
            return status;
        if (head.status != PLUCK_OK)
            return fail_as(&head, err);
        if (r == 0)
            first = head;
        if (head.check != first.check || head.exchange != first.exchange)
            return plk_fail(err, PLUCK_ERR_INVALID,
                            "rank %u: not in step with rank 0; all ranks need the same "
                            "configuration, cuts, type of logits, seed, stream and accepted tokens",
                            r);
    }
    if (first.check != shard->check || first.exchange != shard->exchange)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "records: these are of a different row or exchange than the one that this "
                        "rank is in");
    return PLUCK_OK;
}

/* Copies the slices into the row. */
static pluck_status gather_row(pluck_shard *shard, const void *const *records,
                               const size_t *n_bytes, pluck_error *err)
{
    size_t value_bytes = pluck_dtype_size_bytes(shard->slice.dtype);
    for (uint32_t r = 0; r < shard->n_ranks; r++) {
        record_head head;
        pluck_status status = read_head(r, records[r], n_bytes[r], &head, err);
        if (status != PLUCK_OK)
            return status;
        size_t expected = n_tokens_of(shard, r) * value_bytes;
        if (head.body.n_bytes != expected)
            return plk_fail(err, PLUCK_ERR_FORMAT,
                            "record of rank %u: it has %zu bytes of logits; expected %zu", r,
                            head.body.n_bytes, expected);
        memcpy((unsigned char *)shard->row + shard->first_token[r] * value_bytes, head.body.bytes,
               expected);
    }
    return PLUCK_OK;
}

/* The ordinary draw from the gathered row, with the scratch memory of the shard. */
static pluck_status draw_from_row(pluck_shard *shard, pluck_draw *draw, pluck_error *err)
{
    pluck_sampler *sampler = shard->sampler;
    plk_scratch *scratch = sampler->scratch;
    pluck_logits row = {shard->row, shard->slice.dtype, shard->n_vocab};
    sampler->scratch = shard->scratch;
    pluck_status status = PLUCK_OK;
    if (shard->token_only) {
        *draw = (pluck_draw){.logprob = NAN};
        status = pluck_sampler_sample(sampler, row, &draw->token, err);
    } else {
        status = pluck_sampler_draw(sampler, row, draw, err);
    }
    sampler->scratch = scratch;
    return status;
}

pluck_status pluck_shard_merge(pluck_shard *shard, const void *const *records,
                               const size_t *n_bytes, bool *is_done, pluck_draw *draw,
                               pluck_error *err)
{
    if (!shard || !records || !n_bytes || !is_done || !draw)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_shard_merge: no argument but err may be NULL");
    if (!shard->has_begun)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_shard_merge: no row has been begun; call pluck_shard_begin()");
    for (uint32_t r = 0; r < shard->n_ranks; r++)
        if (!records[r])
            return plk_fail(err, PLUCK_ERR_INVALID, "records[%u] must not be NULL", r);
    shard->has_begun = false;
    if (check_of(shard, shard->sampler, shard->slice.dtype) != shard->check)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "pluck_shard_merge: the sampler was changed since pluck_shard_begin()");
    pluck_status status = check_heads(shard, records, n_bytes, err);
    if (status == PLUCK_OK)
        status = gather_row(shard, records, n_bytes, err);
    pluck_draw drawn = {.token = PLUCK_NO_TOKEN};
    if (status == PLUCK_OK)
        status = draw_from_row(shard, &drawn, err);
    if (status != PLUCK_OK)
        return status;
    *is_done = true;
    *draw = drawn;
    return PLUCK_OK;
}
