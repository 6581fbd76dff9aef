/*
 * The records of the rows that are not done lie one after the other, each in a place of the size
 * that no rank's record exceeds, so that one MPI_Allgather of fixed size moves them all. Counts are
 * of 8 bytes: MPI 3 counts in int.
 *
 * Uses what anybody can use: pluck's public headers and MPI.
 */
#include <pluck/mpi.h>

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a communicator has as an attribute. */
typedef struct attached {
    MPI_Comm duplicate;
    int n_ranks, rank;
    unsigned char *bytes; /* of all ranks, one after the other */
    size_t capacity_bytes;
    const void **records; /* [n_ranks] */
    size_t *n_bytes;      /* [n_ranks] */
} attached;

/* A place for an attribute in this process. MPI has no other way to find one again. */
static int keyval = MPI_KEYVAL_INVALID;

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
    free(a->bytes);
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

static pluck_status duplicate(MPI_Comm communicator, attached *a, pluck_error *err)
{
    pluck_status status = check(MPI_Comm_dup(communicator, &a->duplicate), err);
    if (status == PLUCK_OK)
        status = check(MPI_Comm_set_errhandler(a->duplicate, MPI_ERRORS_RETURN), err);
    if (status == PLUCK_OK)
        status = check(MPI_Comm_size(a->duplicate, &a->n_ranks), err);
    if (status == PLUCK_OK)
        status = check(MPI_Comm_rank(a->duplicate, &a->rank), err);
    if (status != PLUCK_OK)
        return status;
    a->records = malloc((size_t)a->n_ranks * sizeof *a->records);
    a->n_bytes = malloc((size_t)a->n_ranks * sizeof *a->n_bytes);
    if (!a->records || !a->n_bytes)
        return fail(err, PLUCK_ERR_NOMEM, "out of memory");
    return check(MPI_Comm_set_attr(communicator, keyval, a), err);
}

static pluck_status attach(MPI_Comm communicator, attached **out, pluck_error *err)
{
    int is_there = 0;
    pluck_status status = PLUCK_OK;
    if (keyval == MPI_KEYVAL_INVALID)
        status =
            check(MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, free_with, &keyval, NULL), err);
    if (status == PLUCK_OK)
        status = check(MPI_Comm_get_attr(communicator, keyval, out, &is_there), err);
    if (status != PLUCK_OK || is_there)
        return status;
    attached *a = calloc(1, sizeof *a);
    if (!a)
        return fail(err, PLUCK_ERR_NOMEM, "out of memory");
    a->duplicate = MPI_COMM_NULL;
    status = duplicate(communicator, a, err);
    if (status == PLUCK_OK) {
        *out = a;
        return PLUCK_OK;
    }
    if (a->duplicate != MPI_COMM_NULL)
        MPI_Comm_free(&a->duplicate);
    free_attached(a);
    return status;
}

/* The rows of a call. */
typedef struct batch {
    attached *to;
    pluck_shard *const *shards;
    pluck_sampler *const *samplers;
    const pluck_matrix *slices;
    pluck_draw *draws;
    pluck_status *statuses; /* or NULL */
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

/* A row that cannot begin takes part all the same: its record says why. */
static void begin_rows(const batch *b)
{
    for (size_t i = 0; i < b->slices->n_rows; i++) {
        b->draws[i] = (pluck_draw){.token = PLUCK_NO_TOKEN, .logprob = NAN};
        if (b->statuses)
            b->statuses[i] = PLUCK_OK;
        if (b->samplers[i])
            (void)pluck_shard_begin(b->shards[i], b->samplers[i], slice_at(b->slices, i), NULL);
    }
}

static pluck_status reserve(attached *a, size_t n_bytes, pluck_error *err)
{
    if (n_bytes > SIZE_MAX / (size_t)a->n_ranks || n_bytes / 8 > INT_MAX)
        return fail(err, PLUCK_ERR_INVALID, "the records of one exchange are more than 16 GiB");
    if (n_bytes * (size_t)a->n_ranks <= a->capacity_bytes)
        return PLUCK_OK;
    unsigned char *bytes = realloc(a->bytes, n_bytes * (size_t)a->n_ranks);
    if (!bytes)
        return fail(err, PLUCK_ERR_NOMEM, "out of memory");
    a->bytes = bytes;
    a->capacity_bytes = n_bytes * (size_t)a->n_ranks;
    return PLUCK_OK;
}

/* Writes the records of this rank to their places; what is behind a record is 0. */
static pluck_status write_records(const batch *b, size_t n_bytes, pluck_error *err)
{
    unsigned char *at = b->to->bytes + (size_t)b->to->rank * n_bytes;
    for (size_t i = 0; i < b->slices->n_rows; i++) {
        if (!takes_part(b, i))
            continue;
        size_t place = place_bytes(b->shards[i]), n_written = 0;
        pluck_status status = pluck_shard_record(b->shards[i], at, place, &n_written, err);
        if (status != PLUCK_OK)
            return status;
        memset(at + n_written, 0, place - n_written);
        at += place;
    }
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

/* Gives every row the records that all ranks wrote in its place. */
static void merge_records(batch *b, size_t n_bytes)
{
    attached *a = b->to;
    size_t at = 0;
    for (size_t i = 0; i < b->slices->n_rows; i++) {
        if (!takes_part(b, i))
            continue;
        size_t place = place_bytes(b->shards[i]);
        for (int r = 0; r < a->n_ranks; r++) {
            a->records[r] = a->bytes + (size_t)r * n_bytes + at;
            a->n_bytes[r] = place;
        }
        bool is_done = false;
        pluck_error err;
        at += place;
        if (pluck_shard_merge(b->shards[i], a->records, a->n_bytes, &is_done, b->draws + i, &err) !=
            PLUCK_OK)
            note_failure(b, i, &err);
    }
}

static pluck_status sample(batch *b, pluck_error *err)
{
    begin_rows(b);
    for (;;) {
        size_t n_bytes = 0;
        for (size_t i = 0; i < b->slices->n_rows; i++)
            n_bytes += takes_part(b, i) ? place_bytes(b->shards[i]) : 0;
        if (n_bytes == 0)
            return PLUCK_OK;
        pluck_status status = reserve(b->to, n_bytes, err);
        if (status == PLUCK_OK)
            status = write_records(b, n_bytes, err);
        if (status == PLUCK_OK)
            status = check(MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, b->to->bytes,
                                         (int)(n_bytes / 8), MPI_UINT64_T, b->to->duplicate),
                           err);
        if (status != PLUCK_OK)
            return status;
        merge_records(b, n_bytes);
    }
}

static pluck_status check_shards(const attached *a, pluck_shard *const *shards,
                                 pluck_sampler *const *samplers, size_t n, pluck_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (samplers[i] && !shards[i])
            return fail(err, PLUCK_ERR_INVALID, "a shard is NULL");
        if (samplers[i] && pluck_shard_n_ranks(shards[i]) != (uint32_t)a->n_ranks)
            return fail(err, PLUCK_ERR_INVALID,
                        "a shard is for another number of ranks than the communicator has");
    }
    return PLUCK_OK;
}

pluck_status pluck_mpi_sample_batch(MPI_Comm communicator, pluck_shard *const *shards,
                                    pluck_sampler *const *samplers, const pluck_matrix *slices,
                                    pluck_draw *draws, pluck_status *statuses, pluck_error *err)
{
    if (!shards || !samplers || !slices || !draws)
        return fail(err, PLUCK_ERR_INVALID,
                    "pluck_mpi_sample_batch: shards, samplers, slices and draws must not be NULL");
    batch b = {.shards = shards,
               .samplers = samplers,
               .slices = slices,
               .draws = draws,
               .statuses = statuses};
    pluck_status status = attach(communicator, &b.to, err);
    if (status == PLUCK_OK)
        status = check_shards(b.to, shards, samplers, slices->n_rows, err);
    if (status == PLUCK_OK)
        status = sample(&b, err);
    if (status != PLUCK_OK || b.first.status == PLUCK_OK)
        return status;
    char text[sizeof b.first.message + 32];
    snprintf(text, sizeof text, "row %zu: %s", b.first_row, b.first.message);
    return fail(err, b.first.status, text);
}

pluck_status pluck_mpi_sample(MPI_Comm communicator, pluck_shard *shard, pluck_sampler *sampler,
                              pluck_logits slice, pluck_draw *draw, pluck_error *err)
{
    if (!shard || !sampler || !draw)
        return fail(err, PLUCK_ERR_INVALID,
                    "pluck_mpi_sample: shard, sampler and draw must not be NULL");
    pluck_draw drawn;
    pluck_matrix slices = {
        .data = slice.data, .dtype = slice.dtype, .n_cols = slice.n_vocab, .n_rows = 1};
    batch b = {.shards = &shard, .samplers = &sampler, .slices = &slices, .draws = &drawn};
    pluck_status status = attach(communicator, &b.to, err);
    if (status == PLUCK_OK)
        status = check_shards(b.to, &shard, &sampler, 1, err);
    if (status == PLUCK_OK)
        status = sample(&b, err);
    if (status != PLUCK_OK)
        return status;
    if (b.first.status != PLUCK_OK)
        return fail(err, b.first.status, b.first.message);
    *draw = drawn;
    return PLUCK_OK;
}
