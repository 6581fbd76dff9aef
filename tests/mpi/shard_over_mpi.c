/*
 * Why: over MPI a mistake on one rank must become the same error on every rank, and neither leave
 * the others waiting nor end the program; afterwards all must be in step. test_tensor_parallel.py
 * starts this program; it prints what does not hold, and its exit status is the number of such
 * things. The linker redirects malloc, calloc and free of libpluck and libpluck-mpi, and
 * MPI_Allgather, so that they can be counted and made to fail.
 */
#include <pluck/mpi.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_VOCAB = 8192, N_ROWS = 4 };

static unsigned long n_allocations, n_gathers;
static long n_living;
static bool memory_is_short, gather_fails;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void __real_free(void *memory);
int __real_MPI_Allgather(const void *send, int n_send, MPI_Datatype send_type, void *to, int n_to,
                         MPI_Datatype type, MPI_Comm communicator);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void __wrap_free(void *memory);
int __wrap_MPI_Allgather(const void *send, int n_send, MPI_Datatype send_type, void *to, int n_to,
                         MPI_Datatype type, MPI_Comm communicator);

void *__wrap_malloc(size_t size)
{
    n_allocations++;
    n_living += !memory_is_short;
    return memory_is_short ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    n_allocations++;
    n_living += !memory_is_short;
    return memory_is_short ? NULL : __real_calloc(n, size);
}

void __wrap_free(void *memory)
{
    n_living -= memory != NULL;
    __real_free(memory);
}

int __wrap_MPI_Allgather(const void *send, int n_send, MPI_Datatype send_type, void *to, int n_to,
                         MPI_Datatype type, MPI_Comm communicator)
{
    n_gathers++;
    return gather_fails
               ? MPI_ERR_COUNT
               : __real_MPI_Allgather(send, n_send, send_type, to, n_to, type, communicator);
}

static int rank, n_ranks, n_failed;
static float rows[N_ROWS][N_VOCAB];
static uint32_t first_token[9];

static void expect(bool holds, const char *what, const pluck_error *err)
{
    if (holds)
        return;
    n_failed++;
    printf("rank %d of %d: does not hold: %s (%s)\n", rank, n_ranks, what, err->message);
}

static pluck_sampler *make_sampler(const char *json)
{
    pluck_sampler *sampler = NULL;
    if (pluck_sampler_from_json(&sampler, json, strlen(json), N_VOCAB, NULL) != PLUCK_OK)
        abort();
    return sampler;
}

static pluck_shard *make_shard(int n)
{
    pluck_shard *shard = NULL;
    pluck_shard_options options = PLUCK_INIT(pluck_shard_options);
    options.n_vocab = N_VOCAB;
    options.rank = (uint32_t)rank;
    options.n_ranks = (uint32_t)n;
    options.first_token = first_token;
    if (pluck_shard_create(&shard, &options, NULL) != PLUCK_OK)
        abort();
    return shard;
}

static pluck_logits slice(int row)
{
    return (pluck_logits){rows[row] + first_token[rank], PLUCK_F32,
                          first_token[rank + 1] - first_token[rank]};
}

typedef enum mistake {
    NONE,
    OTHER_CONFIGURATION,
    MORE_BYTES,
    FEWER_BYTES,
    OTHER_SEED,
    OTHER_VOCABULARY,
    FEWER_ROWS,
    NO_ROWS,
    NO_SAMPLER,
    OTHER_ROW_SKIPPED,
    OTHER_TYPE,
    NO_SHARD,
    SHARD_TWICE,
    SHARD_OF_MORE_RANKS,
    NO_DRAWS,
    NO_DATA,
    SHORT_SLICE,
    NO_MEMORY,
} mistake;

/* What the last rank does wrong, and how the message begins on all ranks. */
static const struct spoiled {
    const char *name;
    mistake mistake;
    pluck_status status;
    const char *said; /* %d: the last rank */
} cases[] = {
    {"no mistake", NONE, PLUCK_OK, ""},
    /* Before the buffers are allocated. */
    {"no memory", NO_MEMORY, PLUCK_ERR_NOMEM, "rank %d: no memory for the records"},
    {"another configuration", OTHER_CONFIGURATION, PLUCK_ERR_INVALID, "rank %d: not in step"},
    {"a configuration that gathers", MORE_BYTES, PLUCK_ERR_INVALID, "rank %d: not in step"},
    {"one that gathers on the others", FEWER_BYTES, PLUCK_ERR_INVALID, "rank %d: not in step"},
    {"another seed", OTHER_SEED, PLUCK_ERR_INVALID, "row 1: rank %d: not in step"},
    {"another vocabulary", OTHER_VOCABULARY, PLUCK_ERR_INVALID, "rank %d: not in step"},
    {"fewer rows", FEWER_ROWS, PLUCK_ERR_INVALID, "rank %d: not in step"},
    {"no rows", NO_ROWS, PLUCK_ERR_INVALID, "rank %d: not in step"},
    {"no sampler", NO_SAMPLER, PLUCK_ERR_INVALID, "rank %d: not in step"},
    {"another row skipped", OTHER_ROW_SKIPPED, PLUCK_ERR_INVALID, "rank %d: not in step"},
    {"another type", OTHER_TYPE, PLUCK_ERR_INVALID, "row 0: rank %d: not in step"},
    {"no shard", NO_SHARD, PLUCK_ERR_INVALID, "rank %d: the shard of row 1 is NULL"},
    {"a shard twice", SHARD_TWICE, PLUCK_ERR_INVALID, "rank %d: rows 0 and 1 have the same shard"},
    {"a shard of more ranks", SHARD_OF_MORE_RANKS, PLUCK_ERR_INVALID,
     "rank %d: the shard of row 1 is for another number of ranks"},
    {"no draws", NO_DRAWS, PLUCK_ERR_INVALID, "rank %d: pluck_mpi_sample_batch: shards"},
    {"no data", NO_DATA, PLUCK_ERR_INVALID, "row 1: rank %d: slice.data must not be NULL"},
    {"a short slice", SHORT_SLICE, PLUCK_ERR_INVALID, "row 0: rank %d: the slice has"},
};
enum { N_CASES = sizeof cases / sizeof *cases, N_BATCH = 3 };

/* Every rank has got the same status and message, which begins with what is said. */
static void expect_everywhere(const char *name, pluck_status status, pluck_status wanted,
                              const char *said, const pluck_error *err)
{
    char text[sizeof err->message];
    pluck_error first = *err;
    snprintf(text, sizeof text, said, n_ranks - 1);
    MPI_Bcast(&first, sizeof first, MPI_BYTE, 0, MPI_COMM_WORLD);
    expect(status == wanted && err->status == wanted, name, err);
    expect(strcmp(first.message, err->message) == 0, name, &first);
    expect(strncmp(err->message, text, strlen(text)) == 0, name, err);
}

/* Samples three rows, of which row 2 is skipped, with a mistake on the last rank. */
static void sample_spoiled(MPI_Comm communicator, const struct spoiled *c, pluck_sampler **own,
                           pluck_shard **shards)
{
    bool is_last = rank == n_ranks - 1;
    mistake does = is_last ? c->mistake : NONE;
    pluck_sampler *samplers[N_BATCH] = {own[0], own[1], NULL};
    pluck_shard *of_rows[N_BATCH] = {shards[0], shards[1], shards[2]};
    pluck_matrix slices = {.dtype = PLUCK_F32, .n_cols = slice(0).n_vocab, .n_rows = N_BATCH};
    const void *data[N_BATCH] = {slice(0).data, slice(1).data, slice(2).data};
    pluck_draw draws[N_BATCH];
    pluck_status statuses[N_BATCH];
    pluck_error err = {PLUCK_OK, ""};
    slices.rows = data;
    if (c->mistake == NO_MEMORY || does == MORE_BYTES || (c->mistake == FEWER_BYTES && !is_last))
        samplers[1] = own[3];
    if (does == OTHER_CONFIGURATION)
        samplers[1] = own[2];
    if (does == OTHER_VOCABULARY)
        samplers[1] = own[4];
    if (does == OTHER_SEED)
        pluck_sampler_start(samplers[1], 4, 0, NULL);
    slices.n_rows -= does == FEWER_ROWS ? 2 : does == NO_ROWS ? N_BATCH : 0;
    if (does == NO_SAMPLER || does == OTHER_ROW_SKIPPED)
        samplers[1] = NULL;
    if (does == OTHER_ROW_SKIPPED)
        samplers[2] = own[1];
    if (does == OTHER_TYPE)
        slices.dtype = PLUCK_BF16;
    of_rows[1] = does == NO_SHARD              ? NULL
                 : does == SHARD_TWICE         ? shards[0]
                 : does == SHARD_OF_MORE_RANKS ? shards[3]
                                               : shards[1];
    data[1] = does == NO_DATA ? NULL : data[1];
    slices.n_cols -= does == SHORT_SLICE;
    memory_is_short = does == NO_MEMORY;
    pluck_status status = pluck_mpi_sample_batch(communicator, of_rows, samplers, &slices,
                                                 does == NO_DRAWS ? NULL : draws, statuses, &err);
    memory_is_short = false;
    expect_everywhere(c->name, status, c->status, c->said, &err);
    for (size_t i = 0; i < slices.n_rows && does != NO_DRAWS && status != PLUCK_OK; i++)
        expect(statuses[i] == PLUCK_OK || draws[i].token == PLUCK_NO_TOKEN, c->name, &err);
    if (does == OTHER_SEED)
        pluck_sampler_start(samplers[1], 3, 0, NULL);
}

/* After each mistake all ranks are in step again. */
static void a_mistake_on_one_rank_is_told_on_all(MPI_Comm communicator)
{
    static const char *const configurations[] = {
        "{\"seed\": 3, \"top_k\": 40}", "{\"seed\": 3, \"top_k\": 40}",
        "{\"seed\": 3, \"temperature\": 0}", "{\"seed\": 3, \"typical_p\": 0.7}"};
    pluck_sampler *samplers[5] = {NULL};
    pluck_shard *shards[4];
    uint32_t cuts[sizeof first_token / sizeof *first_token];
    for (int i = 0; i < 4; i++)
        samplers[i] = make_sampler(configurations[i]);
    if (pluck_sampler_from_json(samplers + 4, "{\"seed\": 3}", 11, 2 * N_VOCAB, NULL) != PLUCK_OK)
        abort();
    for (int i = 0; i < 3; i++)
        shards[i] = make_shard(n_ranks);
    memcpy(cuts, first_token, sizeof cuts);
    for (int r = 0; r <= n_ranks + 1; r++)
        first_token[r] = r <= n_ranks ? (uint32_t)r * 1024 : N_VOCAB;
    shards[3] = make_shard(n_ranks + 1);
    memcpy(first_token, cuts, sizeof cuts);
    for (int i = 0; i < N_CASES; i++) {
        if (n_ranks == 1 && strstr(cases[i].said, "in step"))
            continue;
        sample_spoiled(communicator, cases + i, samplers, shards);
        sample_spoiled(communicator, cases, samplers, shards);
    }
    for (int i = 0; i < 5; i++)
        pluck_sampler_destroy(samplers + i);
    for (int i = 0; i < 4; i++)
        pluck_shard_destroy(shards + i);
}

static void calls_for_one_row_are_told_too(MPI_Comm communicator)
{
    pluck_sampler *sampler = make_sampler("{\"seed\": 3, \"top_k\": 40}");
    pluck_shard *shard = make_shard(n_ranks);
    pluck_draw draw = {.token = 77};
    pluck_error err = {PLUCK_OK, ""};
    bool is_last = rank == n_ranks - 1;
    pluck_logits own = slice(0);
    own.n_vocab -= is_last;
    pluck_status status =
        pluck_mpi_sample(communicator, shard, is_last ? NULL : sampler, slice(0), &draw, &err);
    expect_everywhere("no sampler for one row", status, PLUCK_ERR_INVALID,
                      "rank %d: pluck_mpi_sample: shard, sampler and draw", &err);
    status = pluck_mpi_sample(communicator, shard, sampler, own, &draw, &err);
    expect_everywhere("a short slice of one row", status, PLUCK_ERR_INVALID,
                      "rank %d: the slice has", &err);
    gather_fails = true;
    status = pluck_mpi_sample(communicator, shard, sampler, slice(0), &draw, &err);
    gather_fails = false;
    expect_everywhere("an error of MPI", status, PLUCK_ERR_IO, "MPI: ", &err);
    expect(draw.token == 77, "a draw that failed is unchanged", &err);
    status = pluck_mpi_sample(MPI_COMM_NULL, shard, sampler, slice(0), &draw, &err);
    expect(status == PLUCK_ERR_INVALID, "MPI_COMM_NULL is told", &err);
    for (int pass = 0; pass < 2; pass++) {
        unsigned long n = n_allocations, n_before = n_gathers;
        status = pluck_mpi_sample(communicator, shard, sampler, slice(0), &draw, &err);
        expect(status == PLUCK_OK, "the next row is sampled", &err);
        expect(pass == 0 || n_allocations == n, "a warm call allocates nothing", &err);
        expect(pass == 0 || n_gathers == n_before + 1, "a warm call gathers once", &err);
    }
    pluck_sampler_destroy(&sampler);
    pluck_shard_destroy(&shard);
}

/* Freeing a communicator frees everything that was made for it, even if one rank could make
 * nothing. */
static void nothing_stays_of_a_communicator(void)
{
    pluck_sampler *sampler = make_sampler("{\"seed\": 3, \"typical_p\": 0.7}");
    pluck_shard *shard = make_shard(n_ranks);
    pluck_draw draw;
    pluck_error err = {PLUCK_OK, ""};
    long n_before = n_living;
    MPI_Comm communicator;
    MPI_Comm_dup(MPI_COMM_WORLD, &communicator);
    memory_is_short = rank == n_ranks - 1;
    pluck_status status = pluck_mpi_sample(communicator, shard, sampler, slice(0), &draw, &err);
    memory_is_short = false;
    expect_everywhere("no memory in the first call", status, PLUCK_ERR_NOMEM,
                      "a rank has no memory for the buffers", &err);
    expect(n_living == n_before, "a call that failed keeps nothing", &err);
    status = pluck_mpi_sample(communicator, shard, sampler, slice(0), &draw, &err);
    expect(status == PLUCK_OK && n_living > n_before, "the buffers stay", &err);
    MPI_Comm_free(&communicator);
    expect(n_living == n_before, "the buffers are freed", &err);
    pluck_sampler_destroy(&sampler);
    pluck_shard_destroy(&shard);
}

/* Rows of different configurations, one without a sampler, one with a NaN. */
static void rows_of_a_batch_do_not_depend_on_each_other(MPI_Comm communicator)
{
    static const char *const configurations[N_ROWS] = {"{\"temperature\": 0}", NULL,
                                                       "{\"min_p\": 0.01}", "{\"top_p\": 0.9}"};
    pluck_sampler *samplers[N_ROWS] = {NULL};
    pluck_shard *shards[N_ROWS];
    const void *slices[N_ROWS];
    pluck_draw draws[N_ROWS], whole;
    pluck_status statuses[N_ROWS];
    pluck_error err = {PLUCK_OK, ""};
    float old = rows[2][5];
    rows[2][5] = NAN;
    for (int i = 0; i < N_ROWS; i++) {
        if (configurations[i])
            samplers[i] = make_sampler(configurations[i]);
        shards[i] = make_shard(n_ranks);
        slices[i] = slice(i).data;
    }
    pluck_matrix matrix = {
        .rows = slices, .dtype = PLUCK_F32, .n_cols = slice(0).n_vocab, .n_rows = N_ROWS};
    pluck_status status =
        pluck_mpi_sample_batch(communicator, shards, samplers, &matrix, draws, statuses, &err);
    expect(status == PLUCK_ERR_NAN && strstr(err.message, "row 2: the logit of token 5 is NaN"),
           "the bad row is told", &err);
    expect(statuses[2] == PLUCK_ERR_NAN && draws[2].token == PLUCK_NO_TOKEN, "it has no token",
           &err);
    expect(statuses[1] == PLUCK_OK && draws[1].token == PLUCK_NO_TOKEN, "a row is skipped", &err);
    for (int i = 0; i < N_ROWS; i += 3) {
        pluck_logits row = {rows[i], PLUCK_F32, N_VOCAB};
        expect(statuses[i] == PLUCK_OK &&
                   pluck_sampler_draw(samplers[i], row, &whole, &err) == PLUCK_OK &&
                   memcmp(&whole, draws + i, sizeof whole) == 0,
               "the other rows have their tokens", &err);
    }
    for (int i = 0; i < N_ROWS; i++) {
        pluck_sampler_destroy(&samplers[i]);
        pluck_shard_destroy(&shards[i]);
    }
    rows[2][5] = old;
}

int main(int argc, char **argv)
{
    pluck_error err = {PLUCK_OK, ""};
    pluck_draw draw;
    expect(pluck_mpi_sample(MPI_COMM_WORLD, NULL, NULL, slice(0), &draw, &err) ==
                   PLUCK_ERR_INVALID &&
               strstr(err.message, "MPI_Init()"),
           "MPI that is not initialised is told", &err);
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    for (int i = 0; i < N_ROWS * N_VOCAB; i++)
        rows[i / N_VOCAB][i % N_VOCAB] = (float)(i * 7919L % 9973) * 1e-3f;
    for (int r = 0; r <= n_ranks; r++)
        first_token[r] = r < n_ranks ? (uint32_t)r * 1024 : N_VOCAB;
    MPI_Comm own;
    MPI_Comm_dup(MPI_COMM_WORLD, &own);
    a_mistake_on_one_rank_is_told_on_all(own);
    rows_of_a_batch_do_not_depend_on_each_other(own);
    rows_of_a_batch_do_not_depend_on_each_other(own);
    MPI_Comm_free(&own);
    rows_of_a_batch_do_not_depend_on_each_other(MPI_COMM_WORLD);
    calls_for_one_row_are_told_too(MPI_COMM_WORLD);
    nothing_stays_of_a_communicator();
    MPI_Finalize();
    return n_failed;
}
