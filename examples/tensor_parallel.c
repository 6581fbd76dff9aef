/*
 * Sampling in an engine whose LM head is split over ranks: each rank has the logits of a part of
 * the vocabulary, and all come to the same token. Rows of a file stand for the model's output.
 *
 *     mpicc -std=c11 -O2 tensor_parallel.c $(pkg-config --cflags --libs pluck-mpi) \
 *         -o tensor_parallel
 *     mpirun -n 4 ./tensor_parallel gpt2bpe50k.npy '{"temperature": 0.8, "top_k": 40}'
 *
 * Rank 0 prints the tokens. Every rank draws from the whole rows too, as one process would, and the
 * program fails if a token, a log-probability or a number of survivors differs.
 */
#include <pluck/dump.h>
#include <pluck/mpi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROWS = 16 };

static int rank, n_ranks;

static void require(pluck_status status, const char *what, const pluck_error *err)
{
    if (status == PLUCK_OK)
        return;
    fprintf(stderr, "rank %d: %s: %s\n", rank, what, err->message);
    MPI_Abort(MPI_COMM_WORLD, 1);
}

/* About equal slices, which begin at multiples of PLUCK_SHARD_STEP. */
static void cut(uint32_t n_vocab, uint32_t *first_token)
{
    uint32_t n_steps = (n_vocab + PLUCK_SHARD_STEP - 1) / PLUCK_SHARD_STEP;
    for (int r = 0; r < n_ranks; r++)
        first_token[r] = n_steps * (uint32_t)r / (uint32_t)n_ranks * PLUCK_SHARD_STEP;
    first_token[n_ranks] = n_vocab;
}

/* What the head of this rank computes. */
static pluck_logits slice_of(pluck_logits row, const uint32_t *first_token)
{
    size_t value_bytes = pluck_dtype_size_bytes(row.dtype);
    return (pluck_logits){(const char *)row.data + first_token[rank] * value_bytes, row.dtype,
                          first_token[rank + 1] - first_token[rank]};
}

static pluck_sampler *make_sampler(const char *json, uint32_t n_vocab)
{
    pluck_sampler *sampler = NULL;
    pluck_error err;
    pluck_sampler_info info = PLUCK_INIT(pluck_sampler_info);
    require(pluck_sampler_from_json(&sampler, json, strlen(json), n_vocab, &err), json, &err);
    /* A random seed is drawn once, for all ranks. */
    require(pluck_sampler_get_info(sampler, &info, &err), "info", &err);
    MPI_Bcast(&info.seed, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    require(pluck_sampler_start(sampler, info.seed, 0, &err), "start", &err);
    return sampler;
}

static pluck_shard *make_shard(uint32_t n_vocab, const uint32_t *first_token)
{
    pluck_shard *shard = NULL;
    pluck_error err;
    pluck_shard_options options = PLUCK_INIT(pluck_shard_options);
    options.n_vocab = n_vocab;
    options.rank = (uint32_t)rank;
    options.n_ranks = (uint32_t)n_ranks;
    options.first_token = first_token;
    require(pluck_shard_create(&shard, &options, &err), "shard", &err);
    return shard;
}

/* Whether the draw is the one from the whole row. */
static int differs(pluck_sampler *sampler, pluck_logits row, const pluck_draw *draw)
{
    pluck_draw whole;
    pluck_error err;
    require(pluck_sampler_draw(sampler, row, &whole, &err), "whole row", &err);
    return memcmp(&whole, draw, sizeof whole) != 0;
}

/* A sequence: the row of each position gives one token. */
static int run_sequence(const char *json, const pluck_logits *rows, size_t n,
                        const uint32_t *first_token)
{
    pluck_error err;
    pluck_sampler *sampler = make_sampler(json, rows->n_vocab), *alone = NULL;
    pluck_shard *shard = make_shard(rows->n_vocab, first_token);
    int n_different = 0;
    const char *gathers;
    uint32_t n_exchanges = pluck_shard_exchanges(shard, sampler, &gathers);
    require(pluck_sampler_clone(&alone, sampler, &err), "clone", &err);
    if (rank == 0 && gathers)
        printf("the ranks gather the row, for %s\n", gathers);
    else if (rank == 0)
        printf("usually %u exchange%s per token\n", n_exchanges, n_exchanges == 1 ? "" : "s");
    for (size_t i = 0; i < n; i++) {
        pluck_draw draw;
        require(pluck_mpi_sample(MPI_COMM_WORLD, shard, sampler, slice_of(rows[i], first_token),
                                 &draw, &err),
                "sample", &err);
        if (rank == 0)
            printf("row %zu: token %d, logprob %.6f, %u survivors\n", i, (int)draw.token,
                   (double)draw.logprob, draw.n_survivors);
        n_different += differs(alone, rows[i], &draw);
        require(pluck_sampler_accept(sampler, draw.token, &err), "accept", &err);
        require(pluck_sampler_accept(alone, draw.token, &err), "accept", &err);
    }
    pluck_sampler_destroy(&alone);
    pluck_sampler_destroy(&sampler);
    pluck_shard_destroy(&shard);
    return n_different;
}

/* A batch: each row belongs to a sequence of its own, at its first position. */
static int run_batch(const char *json, const pluck_logits *rows, size_t n,
                     const uint32_t *first_token)
{
    pluck_error err;
    pluck_sampler *samplers[MAX_ROWS];
    pluck_shard *shards[MAX_ROWS];
    const void *slices[MAX_ROWS];
    pluck_draw draws[MAX_ROWS];
    int n_different = 0;
    for (size_t i = 0; i < n; i++) {
        samplers[i] = make_sampler(json, rows->n_vocab);
        shards[i] = make_shard(rows->n_vocab, first_token);
        slices[i] = slice_of(rows[i], first_token).data;
    }
    pluck_matrix matrix = {.rows = slices,
                           .dtype = rows->dtype,
                           .n_cols = first_token[rank + 1] - first_token[rank],
                           .n_rows = n};
    require(pluck_mpi_sample_batch(MPI_COMM_WORLD, shards, samplers, &matrix, draws, NULL, &err),
            "batch", &err);
    if (rank == 0)
        printf("batch:");
    for (size_t i = 0; i < n; i++) {
        if (rank == 0)
            printf(" %d", (int)draws[i].token);
        n_different += differs(samplers[i], rows[i], draws + i);
        pluck_sampler_destroy(&samplers[i]);
        pluck_shard_destroy(&shards[i]);
    }
    if (rank == 0)
        printf("\n");
    return n_different;
}

/* Reads up to MAX_ROWS rows of the file; returns how many. */
static size_t read_rows(const char *path, pluck_dump **dump, pluck_logits *rows)
{
    pluck_error err;
    pluck_dump_info info = PLUCK_INIT(pluck_dump_info);
    require(pluck_dump_open(dump, path, NULL, &err), path, &err);
    require(pluck_dump_get_info(*dump, &info, &err), path, &err);
    size_t n = info.n_rows < MAX_ROWS ? (size_t)info.n_rows : MAX_ROWS;
    for (size_t i = 0; i < n; i++) {
        pluck_dump_row row = PLUCK_INIT(pluck_dump_row);
        require(pluck_dump_read(*dump, i, NULL, &row, &err), path, &err);
        rows[i] = row.logits;
    }
    return n;
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    if (argc != 3) {
        fprintf(stderr, "usage: mpirun -n RANKS tensor_parallel DUMP CONFIGURATION\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    pluck_dump *dump = NULL;
    pluck_logits rows[MAX_ROWS];
    size_t n = read_rows(argv[1], &dump, rows);
    uint32_t *first_token = malloc(((size_t)n_ranks + 1) * sizeof *first_token);
    if (n == 0 || !first_token)
        MPI_Abort(MPI_COMM_WORLD, 1);
    cut(rows->n_vocab, first_token);
    int n_different = run_sequence(argv[2], rows, n, first_token);
    n_different += run_batch(argv[2], rows, n, first_token);
    if (n_different > 0)
        fprintf(stderr, "rank %d: %d draws differ from those of the whole row\n", rank,
                n_different);
    free(first_token);
    pluck_dump_destroy(&dump);
    MPI_Finalize();
    return n_different > 0;
}
