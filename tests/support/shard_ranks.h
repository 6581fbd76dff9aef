/*
 * The ranks of a row in slices, in one process: each has a sampler and a shard, and records go from
 * one array to the other. Every record is checked against its bound, and every rank against the
 * first one.
 */
#ifndef SHARD_RANKS_H
#define SHARD_RANKS_H

#include <pluck/shard.h>

enum { SHARD_RANKS_MAX = 8 };

typedef struct shard_ranks {
    uint32_t n_ranks, n_vocab;
    uint32_t first_token[SHARD_RANKS_MAX + 1];
    pluck_shard *shards[SHARD_RANKS_MAX];
    pluck_sampler *samplers[SHARD_RANKS_MAX];
    unsigned n_exchanges; /* of the last row */
    size_t n_bytes;       /* of the last row: the largest that a rank wrote */
    const char *problem;  /* what a rank did that it must not; NULL: nothing */
} shard_ranks;

/* Makes ranks with clones of the sampler; first_token has n_ranks + 1 entries. Ends the program if
 * that fails. */
shard_ranks shard_ranks_make(const pluck_sampler *sampler, uint32_t n_ranks,
                             const uint32_t *first_token, bool token_only);
void shard_ranks_destroy(shard_ranks *ranks);

/* The token of a whole row, of which each rank sees its slice. */
pluck_status shard_ranks_draw(shard_ranks *ranks, pluck_logits row, pluck_draw *draw,
                              pluck_error *err);

/* All ranks accept it. */
void shard_ranks_accept(shard_ranks *ranks, pluck_token token);

#endif
