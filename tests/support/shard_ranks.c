/*
 * Records lie at the end of memory of their own, so that reading beyond one is noticed.
 */
#include "support/shard_ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(pluck_status status, const pluck_error *err)
{
    if (status == PLUCK_OK)
        return;
    fprintf(stderr, "shard_ranks: %s\n", err->message);
    exit(EXIT_FAILURE);
}

shard_ranks shard_ranks_make(const pluck_sampler *sampler, uint32_t n_ranks,
                             const uint32_t *first_token, bool token_only)
{
    shard_ranks ranks = {.n_ranks = n_ranks, .n_vocab = first_token[n_ranks]};
    pluck_shard_options options = PLUCK_INIT(pluck_shard_options);
    pluck_error err = {.status = PLUCK_OK};
    memcpy(ranks.first_token, first_token, (n_ranks + 1) * sizeof *first_token);
    options.n_vocab = ranks.n_vocab;
    options.n_ranks = n_ranks;
    options.first_token = first_token;
    options.token_only = token_only;
    for (uint32_t r = 0; r < n_ranks; r++) {
        options.rank = r;
        require(pluck_sampler_clone(ranks.samplers + r, sampler, &err), &err);
        require(pluck_shard_create(ranks.shards + r, &options, &err), &err);
    }
    return ranks;
}

void shard_ranks_destroy(shard_ranks *ranks)
{
    for (uint32_t r = 0; r < ranks->n_ranks; r++) {
        pluck_shard_destroy(ranks->shards + r);
        pluck_sampler_destroy(ranks->samplers + r);
    }
}

static pluck_logits slice_of(const shard_ranks *ranks, pluck_logits row, uint32_t r)
{
    uint32_t first = ranks->first_token[r];
    const unsigned char *data = row.data;
    data += first * pluck_dtype_size_bytes(row.dtype);
    return (pluck_logits){data, row.dtype, ranks->first_token[r + 1] - first};
}

/* The record of a rank, in memory of its size. */
static void *record_of(shard_ranks *ranks, uint32_t r, size_t *n_bytes)
{
    pluck_shard *shard = ranks->shards[r];
    size_t bound = pluck_shard_record_bytes(shard);
    pluck_error err;
    require(pluck_shard_record(shard, NULL, 0, n_bytes, &err), &err);
    void *record = malloc(*n_bytes);
    if (!record)
        abort();
    require(pluck_shard_record(shard, record, *n_bytes, n_bytes, &err), &err);
    if (*n_bytes > bound)
        ranks->problem = "a record is larger than its bound";
    if (bound != pluck_shard_record_bytes(ranks->shards[0]))
        ranks->problem = "ranks have different bounds";
    return record;
}

/* One exchange: whether all ranks come to the same. */
static pluck_status exchange(shard_ranks *ranks, bool *is_done, pluck_draw *draw, pluck_error *err)
{
    void *records[SHARD_RANKS_MAX];
    const void *seen[SHARD_RANKS_MAX];
    size_t n_bytes[SHARD_RANKS_MAX], largest = 0;
    pluck_status status = PLUCK_OK;
    for (uint32_t r = 0; r < ranks->n_ranks; r++) {
        seen[r] = records[r] = record_of(ranks, r, n_bytes + r);
        largest = n_bytes[r] > largest ? n_bytes[r] : largest;
    }
    for (uint32_t r = 0; r < ranks->n_ranks; r++) {
        pluck_draw own = {.token = -7};
        pluck_error own_err = {.status = PLUCK_OK};
        bool own_done = false;
        pluck_status own_status =
            pluck_shard_merge(ranks->shards[r], seen, n_bytes, &own_done, &own, &own_err);
        if (r == 0) {
            status = own_status;
            *draw = own;
            *err = own_err;
            *is_done = own_done;
        }
        if (own_status != status || own_done != *is_done || memcmp(&own, draw, sizeof own) != 0 ||
            strcmp(own_err.message, err->message) != 0)
            ranks->problem = "ranks come to different results";
    }
    for (uint32_t r = 0; r < ranks->n_ranks; r++)
        free(records[r]);
    ranks->n_exchanges++;
    ranks->n_bytes += largest;
    return status;
}

pluck_status shard_ranks_draw(shard_ranks *ranks, pluck_logits row, pluck_draw *draw,
                              pluck_error *err)
{
    bool is_done = false;
    pluck_status status = PLUCK_OK;
    ranks->n_exchanges = 0;
    ranks->n_bytes = 0;
    for (uint32_t r = 0; r < ranks->n_ranks; r++)
        require(
            pluck_shard_begin(ranks->shards[r], ranks->samplers[r], slice_of(ranks, row, r), err),
            err);
    memset(err, 0, sizeof *err);
    while (status == PLUCK_OK && !is_done && !ranks->problem)
        status = exchange(ranks, &is_done, draw, err);
    return status;
}

void shard_ranks_accept(shard_ranks *ranks, pluck_token token)
{
    pluck_error err = {.status = PLUCK_OK};
    for (uint32_t r = 0; r < ranks->n_ranks; r++)
        require(pluck_sampler_accept(ranks->samplers[r], token, &err), &err);
}
