/*
 * What sampling from slices costs: exchanges and bytes per token, and work for valgrind to count.
 * The ranks are in this process. bench/shard_table.py makes a table of it.
 *
 *     bench_shard DUMP RANKS CHAIN N_TOKENS [whole]
 *
 * CHAIN is a configuration as JSON. Prints the usual number of exchanges, or "row" if the ranks
 * gather the row; then the mean and the largest number of exchanges, and the mean and the largest
 * number of bytes that a rank sends, per token. Each record counts as large as its bound, since
 * that is what an exchange of fixed size moves. What rank 0 does is in the function work_of_rank();
 * with "whole", one sampler does the same in work_of_sampler().
 */
#include <pluck/dump.h>
#include <pluck/shard.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RANKS = 64, MAX_ROWS = 64 };

static void require(bool holds, const char *what, const pluck_error *err)
{
    if (holds)
        return;
    fprintf(stderr, "bench_shard: %s: %s\n", what, err->message);
    exit(EXIT_FAILURE);
}

typedef struct ranks {
    uint32_t n, first_token[MAX_RANKS + 1];
    pluck_shard *shards[MAX_RANKS];
    pluck_sampler *samplers[MAX_RANKS];
    unsigned char *records[MAX_RANKS];
    size_t n_bytes[MAX_RANKS];
} ranks;

typedef struct costs {
    unsigned long n, n_most;
    size_t n_bytes, n_most_bytes;
} costs;

typedef enum step { BEGIN, RECORD, MERGE } step;

typedef struct rank_call {
    step step;
    pluck_logits slice;
    bool is_done;
    pluck_draw draw;
} rank_call;

static void call_rank(ranks *all, uint32_t r, rank_call *call)
{
    pluck_error err = {PLUCK_OK, ""};
    pluck_shard *shard = all->shards[r];
    if (call->step == BEGIN)
        require(pluck_shard_begin(shard, all->samplers[r], call->slice, &err) == PLUCK_OK, "begin",
                &err);
    else if (call->step == RECORD)
        require(pluck_shard_record(shard, all->records[r], pluck_shard_record_bytes(shard),
                                   &all->n_bytes[r], &err) == PLUCK_OK,
                "record", &err);
    else
        require(pluck_shard_merge(shard, (const void *const *)all->records, all->n_bytes,
                                  &call->is_done, &call->draw, &err) == PLUCK_OK,
                "merge", &err);
}

/* External, for the sake of their names. */
void work_of_rank(ranks *all, rank_call *call);
pluck_token work_of_sampler(pluck_sampler *sampler, pluck_logits row);

__attribute__((noipa)) void work_of_rank(ranks *all, rank_call *call)
{
    call_rank(all, 0, call);
}

__attribute__((noipa)) pluck_token work_of_sampler(pluck_sampler *sampler, pluck_logits row)
{
    pluck_draw draw;
    pluck_error err = {PLUCK_OK, ""};
    require(pluck_sampler_draw(sampler, row, &draw, &err) == PLUCK_OK, "draw", &err);
    return draw.token;
}

static pluck_logits slice_of(const ranks *all, pluck_logits row, uint32_t r)
{
    size_t value_bytes = pluck_dtype_size_bytes(row.dtype);
    return (pluck_logits){(const char *)row.data + all->first_token[r] * value_bytes, row.dtype,
                          all->first_token[r + 1] - all->first_token[r]};
}

static pluck_token sample(ranks *all, pluck_logits row, costs *sum)
{
    rank_call call = {.step = BEGIN};
    unsigned long n = 0;
    size_t n_bytes = 0;
    for (uint32_t r = 0; r < all->n; r++) {
        call.slice = slice_of(all, row, r);
        if (r == 0)
            work_of_rank(all, &call);
        else
            call_rank(all, r, &call);
    }
    for (call.is_done = false; !call.is_done; n++) {
        n_bytes += pluck_shard_record_bytes(all->shards[0]);
        for (int next = RECORD; next <= MERGE; next++) {
            call.step = (step)next;
            for (uint32_t r = all->n; r-- > 0;) {
                if (r == 0)
                    work_of_rank(all, &call);
                else
                    call_rank(all, r, &call);
            }
        }
    }
    sum->n += n;
    sum->n_bytes += n_bytes;
    sum->n_most = n > sum->n_most ? n : sum->n_most;
    sum->n_most_bytes = n_bytes > sum->n_most_bytes ? n_bytes : sum->n_most_bytes;
    return call.draw.token;
}

static void make_ranks(ranks *all, const char *json, uint32_t n_vocab)
{
    pluck_error err = {PLUCK_OK, ""};
    pluck_shard_options options = PLUCK_INIT(pluck_shard_options);
    uint32_t n_steps = (n_vocab + 2 * PLUCK_SHARD_STEP - 1) / (2 * PLUCK_SHARD_STEP);
    for (uint32_t r = 0; r < all->n; r++)
        all->first_token[r] = n_steps * r / all->n * 2 * PLUCK_SHARD_STEP;
    all->first_token[all->n] = n_vocab;
    options.n_vocab = n_vocab;
    options.n_ranks = all->n;
    options.first_token = all->first_token;
    for (uint32_t r = 0; r < all->n; r++) {
        options.rank = r;
        require(pluck_shard_create(&all->shards[r], &options, &err) == PLUCK_OK, "shard", &err);
        require(pluck_sampler_from_json(&all->samplers[r], json, strlen(json), n_vocab, &err) ==
                    PLUCK_OK,
                json, &err);
        all->records[r] = malloc(pluck_shard_max_record_bytes(all->shards[r]));
        require(all->records[r] != NULL, "memory", &err);
    }
}

static void accept_all(ranks *all, pluck_token token)
{
    pluck_error err = {PLUCK_OK, ""};
    for (uint32_t r = 0; r < all->n; r++)
        require(pluck_sampler_accept(all->samplers[r], token, &err) == PLUCK_OK, "accept", &err);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: bench_shard DUMP RANKS CHAIN N_TOKENS [whole]\n");
        return 2;
    }
    static ranks all;
    pluck_dump *dump = NULL;
    pluck_error err = {PLUCK_OK, ""};
    pluck_dump_info info = PLUCK_INIT(pluck_dump_info);
    unsigned long n_tokens = strtoul(argv[4], NULL, 10);
    costs sum = {0};
    all.n = (uint32_t)strtoul(argv[2], NULL, 10);
    require(all.n >= 1 && all.n <= MAX_RANKS, "RANKS", &err);
    require(pluck_dump_open(&dump, argv[1], NULL, &err) == PLUCK_OK, argv[1], &err);
    require(pluck_dump_get_info(dump, &info, &err) == PLUCK_OK, argv[1], &err);
    make_ranks(&all, argv[3], info.n_vocab);
    for (unsigned long i = 0; i < n_tokens; i++) {
        pluck_dump_row row = PLUCK_INIT(pluck_dump_row);
        require(pluck_dump_read(dump, i % info.n_rows, NULL, &row, &err) == PLUCK_OK, argv[1],
                &err);
        pluck_token token = argc > 5 ? work_of_sampler(all.samplers[0], row.logits)
                                     : sample(&all, row.logits, &sum);
        accept_all(&all, token);
    }
    const char *gathers;
    uint32_t n_usual = pluck_shard_exchanges(all.shards[0], all.samplers[0], &gathers);
    if (gathers)
        printf("row");
    else
        printf("%u", n_usual);
    printf(" %.2f %lu %.0f %zu\n", (double)sum.n / (double)n_tokens, sum.n_most,
           (double)sum.n_bytes / (double)n_tokens, sum.n_most_bytes);
    for (uint32_t r = 0; r < all.n; r++) {
        pluck_shard_destroy(&all.shards[r]);
        pluck_sampler_destroy(&all.samplers[r]);
        free(all.records[r]);
    }
    pluck_dump_destroy(&dump);
    return 0;
}
