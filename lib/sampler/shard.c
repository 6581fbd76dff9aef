/*
 * A row in slices. The chain runs on the view of the slice, stage by stage, until a stage asks
 * something that only all ranks together know (select/share.h). Then each rank writes a record of
 * its part, takes the records of all ranks, and goes on with that stage. What follows from the
 * records depends on them and on what all ranks have in common, so that no rank can come to another
 * result.
 *
 * A stage that cannot work on a slice makes the ranks gather the row: the record is the slice, and
 * every rank draws from the row as an ordinary sampler does. So do rows with a logit that is NaN or
 * +inf and rows without a token, since that draw has the right error.
 *
 * A record, its numbers little-endian:
 *     u32 version, u32 bytes of the record, u32 rank, u32 check, u32 exchange from 0, u32 status,
 *     u32 flags (1: the row must be gathered)
 *     then, by the status:
 *     PLUCK_OK    what is asked: the part of the share, or the values of the slice, as they are in
 *                 memory; nothing if the flag is set
 *     any other   why the rank could not begin: the text of an error, cut to what is left
 *
 * The check is a hash of everything that must be equal on all ranks and that the result depends on.
 * Of the history only the last tokens are hashed: an earlier difference was among the last ones in
 * an earlier exchange.
 */
#include <pluck/shard.h>

#include "sampler/sampler_impl.h"

#include "base/error.h"
#include "base/scalar_math.h"
#include "select/keep.h"
#include "select/mass.h"
#include "select/pick.h"
#include "select/share.h"
#include "simd/fp_state.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum {
    VERSION = 1,
    HEAD_BYTES = 28,
    MIN_BYTES = 128, /* of the bound of a record: room for the text of an error */
    N_HASHED = 16,   /* tokens of the history */
    MOST_A_LINK = 8, /* exchanges; more than any stage needs */
    GATHER_FLAG = 1
};

struct pluck_shard {
    pluck_allocator allocator;
    plk_arrays arrays;
    uint32_t n_vocab, rank, n_ranks;
    uint32_t *first_token; /* [n_ranks + 1] */
    bool token_only;
    bool has_whole_groups; /* no cut goes through a group of blocks for the deviation */
    uint32_t layout_hash;
    plk_scratch *scratch;
    void *memory;           /* the tokens of the share, or the row */
    plk_byte_reader *parts; /* [n_ranks] what the records have for the share or the row */

    /* The row that has been begun. */
    bool has_begun;
    pluck_error failure; /* why it could not begin; PLUCK_OK: it could */
    pluck_sampler *sampler;
    pluck_logits slice;
    uint32_t check;
    uint32_t exchange;
    bool must_gather; /* this rank says so */
    plk_share share;  /* asks something while the row has begun */
    plk_view view;    /* before the link */
    size_t link;
    pluck_pcg64 rng;
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
    shard->arrays = (plk_arrays){.allocator = allocator};
    shard->first_token = plk_arrays_add(&shard->arrays, n_cuts, sizeof *shard->first_token);
    shard->parts = plk_arrays_add(&shard->arrays, known.n_ranks, sizeof *shard->parts);
    shard->memory = plk_arrays_add(&shard->arrays, plk_share_bytes(known.n_vocab), 1);
    status = plk_arrays_check(&shard->arrays, err);
    if (status == PLUCK_OK)
        status = plk_scratch_create(&shard->scratch, known.n_vocab, &allocator, err);
    if (status != PLUCK_OK) {
        pluck_shard_destroy(&shard);
        return status;
    }
    memcpy(shard->first_token, known.first_token, n_cuts * sizeof *shard->first_token);
    shard->layout_hash = hash_layout(shard);
    shard->has_whole_groups = true;
    for (uint32_t r = 1; r < shard->n_ranks; r++)
        shard->has_whole_groups &= shard->first_token[r] % (PLK_MOMENTS_BLOCKS * PLK_BLOCK) == 0;
    *out = shard;
    return PLUCK_OK;
}

void pluck_shard_destroy(pluck_shard **shard)
{
    if (!shard || !*shard)
        return;
    pluck_allocator allocator = (*shard)->allocator;
    plk_scratch_destroy(&(*shard)->scratch);
    plk_arrays_free(&(*shard)->arrays);
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

static uint32_t largest_slice(const pluck_shard *shard)
{
    uint32_t most = 0;
    for (uint32_t r = 0; r < shard->n_ranks; r++)
        most = n_tokens_of(shard, r) > most ? n_tokens_of(shard, r) : most;
    return most;
}

uint32_t pluck_shard_n_ranks(const pluck_shard *shard)
{
    return shard ? shard->n_ranks : 0;
}

uint32_t pluck_shard_exchanges(const pluck_shard *shard, const pluck_sampler *sampler,
                               const char **gathers)
{
    plk_slice_plan plan = {.n_exchanges = 0};
    if (shard && sampler)
        plan = plk_slice_plan_make(&sampler->chain, shard->has_whole_groups, shard->token_only);
    if (gathers)
        *gathers = plan.gathers;
    return plan.n_exchanges;
}

static size_t row_record_bytes(const pluck_shard *shard, pluck_dtype dtype)
{
    return HEAD_BYTES + largest_slice(shard) * pluck_dtype_size_bytes(dtype);
}

size_t pluck_shard_max_record_bytes(const pluck_shard *shard)
{
    if (!shard)
        return 0;
    size_t n_bytes = HEAD_BYTES + plk_share_most_bytes(NULL, largest_slice(shard));
    size_t n_row_bytes = row_record_bytes(shard, PLUCK_F32);
    n_bytes = n_bytes > n_row_bytes ? n_bytes : n_row_bytes;
    return n_bytes > MIN_BYTES ? n_bytes : MIN_BYTES;
}

size_t pluck_shard_record_bytes(const pluck_shard *shard)
{
    if (!shard || !shard->has_begun)
        return 0;
    size_t n_bytes = shard->share.asks == PLK_ASKS_ROW
                         ? row_record_bytes(shard, shard->slice.dtype)
                         : HEAD_BYTES + plk_share_most_bytes(&shard->share, largest_slice(shard));
    return n_bytes > MIN_BYTES ? n_bytes : MIN_BYTES;
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

/* The token from the final view, and what is reported of it, unless something is asked. */
static void draw_token(pluck_shard *shard, pluck_draw *draw)
{
    plk_view *view = &shard->view, dense = *view;
    bool has_nucleus = view->deferred.p > 0.0, is_pick = view->share && !view->is_race;
    if (is_pick && has_nucleus)
        (void)plk_share_ask(view, PLK_ASKS_BLOCKS); /* may give the mass for the nucleus too */
    else if (is_pick)
        plk_share_find_max(view, 1);
    plk_view_settle(view);
    uint32_t token = is_pick && has_nucleus ? plk_view_pick_nucleus(&dense, view, &shard->rng)
                                            : plk_view_pick(view, &shard->rng);
    *draw = (pluck_draw){.token = (pluck_token)token, .logprob = NAN};
    const plk_answer *report = NULL;
    if (view->share && !shard->token_only)
        report = plk_share_ask(view, PLK_ASKS_REPORT);
    if (shard->share.asks != PLK_ASKS_NOTHING)
        return;
    if (report) {
        double below = plk_view_below_max(view, plk_share_stored(&shard->share, token));
        draw->logprob = (float)(below - plk_log(plk_mass_value(report->mass)));
        draw->n_survivors = report->count;
    }
    if (report || shard->token_only)
        plk_sampler_remember(shard->sampler, view, draw->token);
    else
        plk_sampler_report(shard->sampler, view, draw);
}

/* One stage, or the draw after the last one. */
static pluck_status run_stage(pluck_shard *shard, pluck_draw *draw, pluck_error *err)
{
    const plk_chain *chain = &shard->sampler->chain;
    plk_stage_context context = plk_sampler_context(shard->sampler, &shard->rng);
    plk_view *view = &shard->view;
    bool is_draw = shard->link == chain->n;
    plk_slice_use use = PLK_SLICE_PICK;
    if (!is_draw)
        use = plk_slice_use_of(chain->links + shard->link, shard->has_whole_groups);
    if (view->few_allowed && use != PLK_SLICE_OWN && use != PLK_SLICE_BEST)
        plk_view_make_compact(view);
    if (is_draw && plk_chain_observes(chain))
        use = PLK_SLICE_ROW;
    if (view->share && use == PLK_SLICE_ROW)
        shard->share.asks = PLK_ASKS_ROW;
    if (view->share && use == PLK_SLICE_MAX)
        plk_share_find_max(view, 0);
    if (shard->share.asks != PLK_ASKS_NOTHING)
        return PLUCK_OK;
    if (!is_draw)
        return plk_chain_apply(chain, shard->link, view, &context, err);
    draw_token(shard, draw);
    return PLUCK_OK;
}

/* Runs the chain on the view from the link on, until something is asked or there is a token. */
static pluck_status run_chain(pluck_shard *shard, bool *is_done, pluck_draw *draw, pluck_error *err)
{
    for (; shard->link <= shard->sampler->chain.n; shard->link++) {
        plk_view view = shard->view;
        pluck_pcg64 rng = shard->rng;
        pluck_status status = run_stage(shard, draw, err);
        if (shard->share.asks != PLK_ASKS_NOTHING) {
            shard->view = view;
            shard->rng = rng;
            return PLUCK_OK;
        }
        if (status != PLUCK_OK)
            return status;
        plk_share_next_stage(&shard->share);
    }
    *is_done = true;
    return PLUCK_OK;
}

/* The same, with the scratch memory of the shard: the sampler's may be in use by a batch. */
static pluck_status run(pluck_shard *shard, bool *is_done, pluck_draw *draw, pluck_error *err)
{
    plk_scratch *scratch = shard->sampler->scratch;
    shard->sampler->scratch = shard->scratch;
    plk_fp_state fp = plk_fp_enter();
    pluck_status status = run_chain(shard, is_done, draw, err);
    plk_fp_leave(fp);
    shard->sampler->scratch = scratch;
    return status;
}

/* Opens the view of the slice, and runs the chain as far as it gets without the other ranks: until
 * it asks something. Where the slice cannot be used it is taken as empty, so that this rank asks
 * what the others ask. */
static void start(pluck_shard *shard, const plk_slice_plan *plan)
{
    pluck_sampler *sampler = shard->sampler;
    uint32_t first = shard->first_token[shard->rank];
    pluck_logits slice = shard->slice;
    shard->share.asks = PLK_ASKS_NOTHING;
    if (shard->failure.status != PLUCK_OK)
        slice = (pluck_logits){shard->memory, PLUCK_F32, 0};
    plk_scratch *scratch = sampler->scratch;
    sampler->scratch = shard->scratch;
    plk_fp_state fp = plk_fp_enter();
    shard->must_gather =
        !plk_sampler_open_slice(sampler, slice, first, &shard->share, &shard->view);
    plk_fp_leave(fp);
    sampler->scratch = scratch;
    bool is_done;
    pluck_draw draw;
    if (plan->gathers && !shard->view.few_allowed)
        shard->share.asks = PLK_ASKS_ROW;
    else
        (void)run(shard, &is_done, &draw, NULL);
    assert(shard->share.asks != PLK_ASKS_NOTHING);
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
    shard->share =
        plk_share_make(shard->first_token, shard->rank, shard->n_ranks,
                       largest_slice(shard) * pluck_dtype_size_bytes(slice.dtype), shard->memory);
    shard->link = 0;
    shard->rng = sampler->rng;
    shard->must_gather = false;
    shard->failure.status = check_slice(shard, sampler, slice, &shard->failure);
    shard->share.asks = PLK_ASKS_ROW;
    plk_slice_plan plan =
        plk_slice_plan_make(&sampler->chain, shard->has_whole_groups, shard->token_only);
    if (sampler->n_vocab == shard->n_vocab && !plan.reads_raw)
        start(shard, &plan);
    if (shard->failure.status != PLUCK_OK)
        return plk_fail(err, shard->failure.status, "%s", shard->failure.message);
    return PLUCK_OK;
}

/* Writes what follows the head of the next record, up to n_most bytes, unless bytes is NULL;
 * returns how many. */
static size_t put_body(const pluck_shard *shard, unsigned char *bytes, size_t n_most)
{
    const void *from = NULL;
    size_t n_bytes = 0;
    if (shard->failure.status != PLUCK_OK) {
        from = shard->failure.message;
        n_bytes = strlen(shard->failure.message);
        n_bytes = n_bytes < n_most ? n_bytes : n_most;
    } else if (shard->must_gather) {
        return 0;
    } else if (shard->share.asks == PLK_ASKS_ROW) {
        from = shard->slice.data;
        n_bytes = shard->slice.n_vocab * pluck_dtype_size_bytes(shard->slice.dtype);
    } else {
        n_bytes = plk_share_part_bytes(&shard->share);
    }
    if (bytes && from)
        memcpy(bytes, from, n_bytes);
    else if (bytes)
        plk_share_put(&shard->share, bytes);
    return n_bytes;
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
    size_t n_most = pluck_shard_record_bytes(shard) - HEAD_BYTES;
    *needed_bytes = HEAD_BYTES + put_body(shard, NULL, n_most);
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
    plk_put_u32(&head, shard->must_gather ? GATHER_FLAG : 0);
    (void)put_body(shard, (unsigned char *)bytes + HEAD_BYTES, n_most);
    return PLUCK_OK;
}

/* What is common to all records. */
typedef struct record_head {
    uint32_t rank, check, exchange;
    pluck_status status;
    bool must_gather;
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
    uint32_t status = plk_take_u32(&in), flags = plk_take_u32(&in);
    if (in.is_short || said_bytes < HEAD_BYTES || said_bytes > n_bytes)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "record of rank %u: it is cut off: its head says that it has %u bytes, but "
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
    if (status > PLUCK_ERR_SPACE || flags > GATHER_FLAG)
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "record of rank %u: status %u or flags %u are unknown", rank, status,
                        flags);
    head->must_gather = flags != 0;
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

/* Reads the heads of all records: PLUCK_OK if all ranks are in step. */
static pluck_status read_heads(pluck_shard *shard, const void *const *records,
                               const size_t *n_bytes, bool *must_gather, pluck_error *err)
{
    record_head first = {0}, head = {0};
    *must_gather = false;
    for (uint32_t r = 0; r < shard->n_ranks; r++) {
        pluck_status status = read_head(r, records[r], n_bytes[r], &head, err);
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
        shard->parts[r] = head.body;
        *must_gather |= head.must_gather;
    }
    if (first.check != shard->check || first.exchange != shard->exchange)
        return plk_fail(err, PLUCK_ERR_INVALID,
                        "records: these are of a different row or exchange than the one that this "
                        "rank is in");
    return PLUCK_OK;
}

/* Copies the slices into the row. */
static pluck_status gather_row(pluck_shard *shard, pluck_error *err)
{
    size_t value_bytes = pluck_dtype_size_bytes(shard->slice.dtype);
    for (uint32_t r = 0; r < shard->n_ranks; r++) {
        const plk_byte_reader *part = shard->parts + r;
        size_t expected = n_tokens_of(shard, r) * value_bytes;
        if (part->n_bytes != expected)
            return plk_fail(err, PLUCK_ERR_FORMAT,
                            "record of rank %u: it has %zu bytes of logits; expected %zu", r,
                            part->n_bytes, expected);
        memcpy((unsigned char *)shard->memory + shard->first_token[r] * value_bytes, part->bytes,
               expected);
    }
    return PLUCK_OK;
}

/* The ordinary draw from the gathered row, with the scratch memory of the shard. */
static pluck_status draw_from_row(pluck_shard *shard, pluck_draw *draw, pluck_error *err)
{
    pluck_sampler *sampler = shard->sampler;
    plk_scratch *scratch = sampler->scratch;
    pluck_logits row = {shard->memory, shard->slice.dtype, shard->n_vocab};
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

/* What the records of all ranks give: the token, or a question. */
static pluck_status take_records(pluck_shard *shard, bool must_gather, bool *is_done,
                                 pluck_draw *draw, pluck_error *err)
{
    plk_share *share = &shard->share;
    if (must_gather) {
        shard->must_gather = false;
        share->asks = PLK_ASKS_ROW;
        return PLUCK_OK;
    }
    if (share->asks == PLK_ASKS_ROW) {
        pluck_status status = gather_row(shard, err);
        *is_done = true;
        return status == PLUCK_OK ? draw_from_row(shard, draw, err) : status;
    }
    pluck_status status = plk_share_take(share, shard->parts, err);
    if (status != PLUCK_OK)
        return status;
    if (share->is_known && share->max == -INFINITY) {
        share->asks = PLK_ASKS_ROW;
        return PLUCK_OK;
    }
    shard->view.max = share->max;
    return run(shard, is_done, draw, err);
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
    bool must_gather, is_over = false;
    pluck_draw drawn = {.token = PLUCK_NO_TOKEN};
    pluck_status status = read_heads(shard, records, n_bytes, &must_gather, err);
    if (status == PLUCK_OK)
        status = take_records(shard, must_gather, &is_over, &drawn, err);
    if (status != PLUCK_OK)
        return status;
    if (!is_over && ++shard->exchange > MOST_A_LINK * (shard->sampler->chain.n + 1))
        return plk_fail(err, PLUCK_ERR_FORMAT,
                        "records: after %u exchanges they are not enough; they contradict each "
                        "other",
                        shard->exchange);
    shard->has_begun = !is_over;
    *is_done = is_over;
    if (is_over)
        *draw = drawn;
    return PLUCK_OK;
}
