/*
 * Why: over MPI a mistake on one rank must become the same error on every rank, and neither leave
 * the others waiting nor end the program. test_tensor_parallel.py starts this program; it prints
 * what does not hold, and its exit status is the number of such things.
 */
#include <pluck/mpi.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_VOCAB = 8192, N_ROWS = 4 };

static int rank, n_ranks, n_failed;
static float rows[N_ROWS][N_VOCAB];
static uint32_t first_token[9];

static void expect(bool holds, const char *what, const pluck_error *err)
{
    if (holds)
        return;
    n_failed++;
    printf("rank %d of %d: not so: %s (%s)\n", rank, n_ranks, what, err->message);
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

static void one_bad_slice_fails_everywhere(void)
{
    pluck_sampler *sampler = make_sampler("{\"top_k\": 40}");
    pluck_shard *shard = make_shard(n_ranks);
    pluck_draw draw;
    pluck_error err = {PLUCK_OK, ""};
    pluck_logits own = slice(0);
    own.n_vocab -= rank == n_ranks - 1;
    pluck_status status = pluck_mpi_sample(MPI_COMM_WORLD, shard, sampler, own, &draw, &err);
    char expected[64];
    snprintf(expected, sizeof expected, "rank %d: the slice has", n_ranks - 1);
    expect(status == PLUCK_ERR_INVALID && strstr(err.message, expected), "a bad slice is told",
           &err);
    status = pluck_mpi_sample(MPI_COMM_WORLD, shard, sampler, slice(0), &draw, &err);
    expect(status == PLUCK_OK, "the next row is sampled", &err);
    pluck_sampler_destroy(&sampler);
    pluck_shard_destroy(&shard);
}

static void a_rank_that_is_not_in_step_is_named(void)
{
    pluck_sampler *sampler = make_sampler("{\"seed\": 3}");
    pluck_shard *shard = make_shard(n_ranks);
    pluck_draw draw;
    pluck_error err = {PLUCK_OK, ""};
    if (rank == 1)
        pluck_sampler_start(sampler, 4, 0, NULL);
    pluck_status status = pluck_mpi_sample(MPI_COMM_WORLD, shard, sampler, slice(0), &draw, &err);
    expect(status == (n_ranks > 1 ? PLUCK_ERR_INVALID : PLUCK_OK) &&
               (n_ranks == 1 || strstr(err.message, "rank 1: not in step")),
           "another seed is told", &err);
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

/* Noticed before anything is exchanged. */
static void wrong_arguments_are_told(void)
{
    pluck_sampler *sampler = make_sampler("{}");
    uint32_t cuts[9];
    pluck_draw draw;
    pluck_error err = {PLUCK_OK, ""};
    memcpy(cuts, first_token, sizeof cuts);
    for (int r = 0; r <= n_ranks + 1; r++)
        first_token[r] = r <= n_ranks ? (uint32_t)r * 1024 : N_VOCAB;
    pluck_shard *shard = make_shard(n_ranks + 1);
    memcpy(first_token, cuts, sizeof cuts);
    expect(pluck_mpi_sample(MPI_COMM_WORLD, shard, sampler, slice(0), &draw, &err) ==
                   PLUCK_ERR_INVALID &&
               strstr(err.message, "number of ranks"),
           "a shard for more ranks is told", &err);
    expect(pluck_mpi_sample(MPI_COMM_WORLD, NULL, sampler, slice(0), &draw, &err) ==
               PLUCK_ERR_INVALID,
           "NULL is told", &err);
    pluck_sampler_destroy(&sampler);
    pluck_shard_destroy(&shard);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    for (int i = 0; i < N_ROWS * N_VOCAB; i++)
        rows[i / N_VOCAB][i % N_VOCAB] = (float)(i * 7919L % 9973) * 1e-3f;
    for (int r = 0; r <= n_ranks; r++)
        first_token[r] = r < n_ranks ? (uint32_t)r * 1024 : N_VOCAB;
    MPI_Comm own;
    MPI_Comm_dup(MPI_COMM_WORLD, &own);
    one_bad_slice_fails_everywhere();
    a_rank_that_is_not_in_step_is_named();
    rows_of_a_batch_do_not_depend_on_each_other(own);
    rows_of_a_batch_do_not_depend_on_each_other(own);
    MPI_Comm_free(&own);
    rows_of_a_batch_do_not_depend_on_each_other(MPI_COMM_WORLD);
    wrong_arguments_are_told();
    MPI_Finalize();
    return n_failed;
}
