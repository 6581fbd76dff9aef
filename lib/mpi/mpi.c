/*
 * Exchanges of records by MPI_Allgather.
 *
 * MPI demands that all ranks give the same count, and may hang or crash if they do not. A rank that
 * is not in step could need another size than the others, and one that fails could not come at all.
 * So the count of a gather never depends on what one rank knows. It is the size of the last
 * exchange, in which all ranks were in step, and the block that a rank sends begins with a head:
 * how many bytes it needs, or why it cannot go on. After the gather every rank has the heads of
 * all, and all decide the same: to fail, to take the records, or, if all need the same larger size,
 * to gather again with that size. A rank makes room before it asks for it, so that nothing can fail
 * afterwards.
 *
 * After the head, the records of the rows that are not done lie one after the other, each in a
 * place of the size that no rank's record exceeds; or, if the status is not PLUCK_OK, TEXT_BYTES
 * that say why. Counts are of 8 bytes: MPI 3 counts in int.
 *
 * Uses what anybody can use: pluck's public headers and MPI.
 */
#include <pluck/mpi.h>

#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a block begins with. Two ranks may need the same number of bytes for different rows, so
 * places has a hash of which rows they are, and of the size of the place of each. */
typedef struct head {
    uint64_t n_bytes, places, status;
} head;

#define TEXT_BYTES  sizeof(((pluck_error *)NULL)->message)
#define LEAST_BYTES (sizeof(head) + TEXT_BYTES) /* of a block */
_Static_assert(LEAST_BYTES % 8 == 0, "counts are of 8 bytes");

/* What a communicator has as an attribute. */
typedef struct attached {
    MPI_Comm duplicate;
    int n_ranks, rank;
    size_t block_bytes[2]; /* of the first exchange of the last call, and of its later ones */
    unsigned char *blocks; /* of all ranks, one after the other */
    size_t capacity_bytes;
    const void **records; /* [n_ranks] */
    size_t *n_bytes;      /* [n_ranks] */
} attached;

/* The key of the attribute in this process, by which MPI finds it again. */
static _Atomic int keyval = MPI_KEYVAL_INVALID;

static pluck_status fail(pluck_error *err, pluck_status status, const char *message)
{
    if (err) {
        size_t n = strlen(message);
        n = n < sizeof err->message ? n : sizeof err->message - 1;
        err->status = status;
        memcpy(err->message, message, n);
        err->message[n] = '\0';
    }
    return status;
}

/* PLUCK_OK for MPI_SUCCESS. */
static pluck_status check(int code, pluck_error *err)
{
    char text[MPI_MAX_ERROR_STRING + 8] = "MPI: ";
    int n = 0;
    if (code == MPI_SUCCESS)
        return PLUCK_OK;
    if (MPI_Error_string(code, text + 5, &n) != MPI_SUCCESS)
        snprintf(text, sizeof text, "MPI: error %d", code);
    return fail(err, PLUCK_ERR_IO, text);
}

static void free_attached(attached *a)
{
    if (!a)
        return;
    free(a->blocks);
    free(a->records);
    free(a->n_bytes);
    free(a);
}

/* For MPI, when the communicator is freed. */
static int free_with(MPI_Comm communicator, int key, void *value, void *extra)
{
    (void)communicator;
    (void)key;
    (void)extra;
    attached *a = value;
    int code = MPI_Comm_free(&a->duplicate);
    free_attached(a);
    return code;
}

/* Threads may come here at the same time; one of their keys stays. */
static pluck_status find_key(int *key, pluck_error *err)
{
    *key = atomic_load(&keyval);
    if (*key != MPI_KEYVAL_INVALID)
        return PLUCK_OK;
    int is_ready = 0, made = MPI_KEYVAL_INVALID;
    pluck_status status = check(MPI_Initialized(&is_ready), err);
    if (status == PLUCK_OK && !is_ready)
        return fail(err, PLUCK_ERR_INVALID, "MPI is not initialised; call MPI_Init() first");
    if (status == PLUCK_OK)
        status = check(MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, free_with, &made, NULL), err);
    if (status != PLUCK_OK)
        return status;
    if (atomic_compare_exchange_strong(&keyval, key, made))
        *key = made;
    else
        (void)MPI_Comm_free_keyval(&made);
    return PLUCK_OK;
}

/* The memory that no exchange can do without; NULL if it is short. */
static attached *make_attached(MPI_Comm duplicate, int rank, int n_ranks)
{
    size_t n = (size_t)n_ranks;
    attached *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    *a = (attached){.duplicate = duplicate,
                    .n_ranks = n_ranks,
                    .rank = rank,
                    .block_bytes = {LEAST_BYTES, LEAST_BYTES},
                    .capacity_bytes = n * LEAST_BYTES};
    a->blocks = calloc(n, LEAST_BYTES);
    a->records = calloc(n, sizeof *a->records);
    a->n_bytes = calloc(n, sizeof *a->n_bytes);
    if (a->blocks && a->records && a->n_bytes)
        return a;
    free_attached(a);
    return NULL;
}

/* Gives the communicator its attribute, on all ranks or on none. */
static pluck_status attach(MPI_Comm communicator, int key, attached **out, pluck_error *err)
{
    int is_inter = 0, rank = 0, n_ranks = 0, has_memory = 0, all_have = 0;
    MPI_Comm own = MPI_COMM_NULL;
    attached *a = NULL;
    pluck_status status = check(MPI_Comm_test_inter(communicator, &is_inter), err);
    if (status == PLUCK_OK && is_inter)
        return fail(err, PLUCK_ERR_INVALID, "communicator must not be an intercommunicator");
    if (status == PLUCK_OK)
        status = check(MPI_Comm_dup(communicator, &own), err);
    if (status != PLUCK_OK)
        return status;
    status = check(MPI_Comm_set_errhandler(own, MPI_ERRORS_RETURN), err);
    if (status == PLUCK_OK)
        status = check(MPI_Comm_rank(own, &rank), err);
    if (status == PLUCK_OK)
        status = check(MPI_Comm_size(own, &n_ranks), err);
    if (status == PLUCK_OK) {
        a = make_attached(own, rank, n_ranks);
        has_memory = a != NULL;
        status = check(MPI_Allreduce(&has_memory, &all_have, 1, MPI_INT, MPI_MIN, own), err);
    }
    if (status == PLUCK_OK && !all_have)
        status = fail(err, PLUCK_ERR_NOMEM, "a rank has no memory for the buffers of its exchange");
    if (status == PLUCK_OK)
        status = check(MPI_Comm_set_attr(communicator, key, a), err);
    if (status == PLUCK_OK) {
        *out = a;
        return PLUCK_OK;
    }
    free_attached(a);
    (void)MPI_Comm_free(&own);
    return status;
}

static pluck_status find_attached(MPI_Comm communicator, attached **out, pluck_error *err)
{
    int key = MPI_KEYVAL_INVALID, is_there = 0;
    if (communicator == MPI_COMM_NULL)
        return fail(err, PLUCK_ERR_INVALID, "communicator must not be MPI_COMM_NULL");
    pluck_status status = find_key(&key, err);
    if (status == PLUCK_OK)
        status = check(MPI_Comm_get_attr(communicator, key, out, &is_there), err);
    if (status != PLUCK_OK || is_there)
        return status;
    return attach(communicator, key, out, err);
}

/*
 * What a rank knows before an exchange.
 */

/* The rows of a call. */
typedef struct batch {
    attached *to;
    pluck_shard *const *shards;
    pluck_sampler *const *samplers;
    const pluck_matrix *slices;
    pluck_draw *draws;
    pluck_status *statuses; /* or NULL */
    pluck_error own;        /* why this rank cannot go on */
    pluck_error first;      /* the failure of the row with the lowest number */
    size_t first_row;
} batch;

static pluck_logits slice_at(const pluck_matrix *slices, size_t row)
{
    pluck_logits slice = {.dtype = slices->dtype, .n_vocab = slices->n_cols};
    size_t stride = slices->row_stride_bytes;
    if (stride == 0)
        stride = slices->n_cols * pluck_dtype_size_bytes(slices->dtype);
    const unsigned char *data = slices->data;
    slice.data = slices->rows ? slices->rows[row] : data ? data + row * stride : NULL;
    return slice;
}

/* The size of a row's place, a multiple of 8; 0 if the row is done. */
static size_t place_bytes(const pluck_shard *shard)
{
    return (pluck_shard_record_bytes(shard) + 7) / 8 * 8;
}

static bool takes_part(const batch *b, size_t row)
{
    return b->samplers[row] && pluck_shard_record_bytes(b->shards[row]) > 0;
}

static void check_rows(batch *b)
{
    char text[TEXT_BYTES] = "";
    for (size_t i = 0; i < b->slices->n_rows && text[0] == '\0'; i++) {
        if (!b->samplers[i])
            continue;
        if (!b->shards[i])
            snprintf(text, sizeof text, "the shard of row %zu is NULL", i);
        else if (pluck_shard_n_ranks(b->shards[i]) != (uint32_t)b->to->n_ranks)
            snprintf(text, sizeof text,
                     "the shard of row %zu is for another number of ranks than the communicator "
                     "has: %u, not %d",
                     i, pluck_shard_n_ranks(b->shards[i]), b->to->n_ranks);
        for (size_t k = 0; k < i && b->shards[i]; k++)
            if (b->samplers[k] && b->shards[k] == b->shards[i])
                snprintf(text, sizeof text, "rows %zu and %zu have the same shard", k, i);
    }
    if (text[0] != '\0')
        (void)fail(&b->own, PLUCK_ERR_INVALID, text);
}

/* No row has a token. */
static void clear_rows(const batch *b, pluck_status status)
{
    for (size_t i = 0; b->draws && b->slices && i < b->slices->n_rows; i++) {
        b->draws[i] = (pluck_draw){.token = PLUCK_NO_TOKEN, .logprob = NAN};
        if (b->statuses)
            b->statuses[i] = status;
    }
}

/* A row that cannot begin takes part all the same: its record says why. */
static void begin_rows(const batch *b)
{
    for (size_t i = 0; i < b->slices->n_rows; i++)
        if (b->samplers[i])
            (void)pluck_shard_begin(b->shards[i], b->samplers[i], slice_at(b->slices, i), NULL);
}

/* What this rank needs for the next exchange. */
static head measure(const batch *b)
{
    head h = {.n_bytes = sizeof h};
    for (size_t i = 0; i < b->slices->n_rows; i++) {
        if (!takes_part(b, i))
            continue;
        h.n_bytes += place_bytes(b->shards[i]);
        h.places = (h.places ^ i) * 0x9E3779B97F4A7C15u;
        h.places = (h.places ^ h.places >> 32 ^ place_bytes(b->shards[i])) * 0x9E3779B97F4A7C15u;
    }
    h.n_bytes = h.n_bytes > LEAST_BYTES ? h.n_bytes : LEAST_BYTES;
    return h;
}

/* Room for blocks of n_bytes of all ranks. */
static pluck_status make_room(attached *a, uint64_t n_bytes, pluck_error *err)
{
    size_t n_ranks = (size_t)a->n_ranks;
    if (n_bytes > SIZE_MAX / n_ranks || n_bytes / 8 > INT_MAX)
        return fail(err, PLUCK_ERR_INVALID,
                    "the records of one exchange are more than 16 GiB; use fewer rows per call");
    if (n_bytes <= a->capacity_bytes / n_ranks)
        return PLUCK_OK;
    unsigned char *blocks = calloc(n_ranks, (size_t)n_bytes);
    if (!blocks)
        return fail(err, PLUCK_ERR_NOMEM, "no memory for the records of all ranks");
    free(a->blocks);
    a->blocks = blocks;
    a->capacity_bytes = (size_t)n_bytes * n_ranks;
    return PLUCK_OK;
}

/*
 * Exchanges.
 */

/* Writes the records of this rank to their places. */
static pluck_status write_records(const batch *b, unsigned char *at, pluck_error *err)
{
    for (size_t i = 0; i < b->slices->n_rows; i++) {
        if (!takes_part(b, i))
            continue;
        size_t place = place_bytes(b->shards[i]), n_written = 0;
        pluck_status status = pluck_shard_record(b->shards[i], at, place, &n_written, err);
        if (status != PLUCK_OK)
            return status;
        at += place;
    }
    return PLUCK_OK;
}

/* PLUCK_OK if no rank has failed and all need the same places. */
static pluck_status compare_heads(const attached *a, size_t block_bytes, pluck_error *err)
{
    char text[TEXT_BYTES + 32];
    head first, h;
    for (int r = 0; r < a->n_ranks; r++) {
        const unsigned char *block = a->blocks + (size_t)r * block_bytes;
        memcpy(&h, block, sizeof h);
        if (h.status == PLUCK_OK)
            continue;
        snprintf(text, sizeof text, "rank %d: %.*s", r, (int)TEXT_BYTES - 1,
                 (const char *)block + sizeof h);
        return fail(err, (pluck_status)h.status, text);
    }
    memcpy(&first, a->blocks, sizeof first);
    for (int r = 1; r < a->n_ranks; r++) {
        memcpy(&h, a->blocks + (size_t)r * block_bytes, sizeof h);
        if (h.n_bytes == first.n_bytes && h.places == first.places)
            continue;
        snprintf(text, sizeof text,
                 "rank %d: not in step with rank 0: its records have other sizes; all ranks need "
                 "the same rows, configurations, cuts and types of logits",
                 r);
        return fail(err, PLUCK_ERR_INVALID, text);
    }
    return PLUCK_OK;
}

/* Gathers the blocks of all ranks, of *block_bytes each. last: the size of the last exchange. */
static pluck_status gather(batch *b, size_t *last, size_t *block_bytes, pluck_error *err)
{
    attached *a = b->to;
    pluck_error own = b->own;
    head h = {.n_bytes = LEAST_BYTES};
    if (own.status == PLUCK_OK) {
        h = measure(b);
        own.status = make_room(a, h.n_bytes, &own);
    }
    for (*block_bytes = *last;; *block_bytes = (size_t)h.n_bytes) {
        bool is_enough = h.n_bytes <= *block_bytes;
        unsigned char *at = a->blocks + (size_t)a->rank * *block_bytes;
        if (own.status == PLUCK_OK && is_enough)
            own.status = write_records(b, at + sizeof h, &own);
        if (own.status != PLUCK_OK)
            memcpy(at + sizeof h, own.message, TEXT_BYTES);
        h.status = (uint64_t)own.status;
        memcpy(at, &h, sizeof h);
        pluck_status status =
            check(MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, a->blocks,
                                (int)(*block_bytes / 8), MPI_UINT64_T, a->duplicate),
                  err);
        if (status == PLUCK_OK)
            status = compare_heads(a, *block_bytes, err);
        if (status != PLUCK_OK)
            return status;
        if (is_enough)
            break;
    }
    *last = (size_t)h.n_bytes;
    return PLUCK_OK;
}

static void note_failure(batch *b, size_t row, const pluck_error *err)
{
    if (b->statuses)
        b->statuses[row] = err->status;
    if (b->first.status == PLUCK_OK || row < b->first_row) {
        b->first = *err;
        b->first_row = row;
    }
}

/* Gives every row the records that all ranks wrote in its place; returns how many rows need another
 * exchange. */
static size_t merge_records(batch *b, size_t block_bytes)
{
    attached *a = b->to;
    size_t at = sizeof(head), n_open = 0;
    for (size_t i = 0; i < b->slices->n_rows; i++) {
        if (!takes_part(b, i))
            continue;
        size_t place = place_bytes(b->shards[i]);
        for (size_t r = 0; r < (size_t)a->n_ranks; r++) {
            a->records[r] = a->blocks + r * block_bytes + at;
            a->n_bytes[r] = place;
        }
        bool is_done = false;
        pluck_error err;
        at += place;
        if (pluck_shard_merge(b->shards[i], a->records, a->n_bytes, &is_done, b->draws + i, &err) !=
            PLUCK_OK)
            note_failure(b, i, &err);
        else
            n_open += !is_done;
    }
    return n_open;
}

/* Also on a rank that knows already that it cannot go on: the others wait for its block. */
static pluck_status sample(MPI_Comm communicator, batch *b, pluck_error *err)
{
    size_t block_bytes = 0, n_open = 0;
    pluck_status status = find_attached(communicator, &b->to, err);
    if (status == PLUCK_OK && b->own.status == PLUCK_OK)
        check_rows(b);
    if (status == PLUCK_OK && b->own.status == PLUCK_OK) {
        clear_rows(b, PLUCK_OK);
        begin_rows(b);
    }
    for (bool is_first = true; status == PLUCK_OK && (is_first || n_open > 0); is_first = false) {
        status = gather(b, &b->to->block_bytes[is_first ? 0 : 1], &block_bytes, err);
        if (status == PLUCK_OK)
            n_open = merge_records(b, block_bytes);
    }
    if (status != PLUCK_OK)
        clear_rows(b, status);
    return status;
}

pluck_status pluck_mpi_sample_batch(MPI_Comm communicator, pluck_shard *const *shards,
                                    pluck_sampler *const *samplers, const pluck_matrix *slices,
                                    pluck_draw *draws, pluck_status *statuses, pluck_error *err)
{
    batch b = {.shards = shards,
               .samplers = samplers,
               .slices = slices,
               .draws = draws,
               .statuses = statuses};
    if (!shards || !samplers || !slices || !draws)
        (void)fail(&b.own, PLUCK_ERR_INVALID,
                   "pluck_mpi_sample_batch: shards, samplers, slices and draws must not be NULL");
    pluck_status status = sample(communicator, &b, err);
    if (status != PLUCK_OK || b.first.status == PLUCK_OK)
        return status;
    char text[sizeof b.first.message + 32];
    snprintf(text, sizeof text, "row %zu: %s", b.first_row, b.first.message);
    return fail(err, b.first.status, text);
}

pluck_status pluck_mpi_sample(MPI_Comm communicator, pluck_shard *shard, pluck_sampler *sampler,
                              pluck_logits slice, pluck_draw *draw, pluck_error *err)
{
    pluck_draw drawn;
    pluck_matrix slices = {
        .data = slice.data, .dtype = slice.dtype, .n_cols = slice.n_vocab, .n_rows = 1};
    batch b = {.shards = &shard, .samplers = &sampler, .slices = &slices, .draws = &drawn};
    if (!shard || !sampler || !draw)
        (void)fail(&b.own, PLUCK_ERR_INVALID,
                   "pluck_mpi_sample: shard, sampler and draw must not be NULL");
    pluck_status status = sample(communicator, &b, err);
    if (status != PLUCK_OK)
        return status;
    if (b.first.status != PLUCK_OK)
        return fail(err, b.first.status, b.first.message);
    *draw = drawn;
    return PLUCK_OK;
}
