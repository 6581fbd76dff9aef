/*
 * The scratch memory of sampling one row: everything whose size depends on the vocabulary. Nothing
 * in it outlives a call, so that it can serve any number of samplers, one at a time.
 */
#ifndef PLK_SCRATCH_H
#define PLK_SCRATCH_H

#include "base/alloc.h"
#include "select/order.h"
#include "simd/kernels.h"

enum { PLK_PICKS_ARRAYS = 11 };

/* A sum of exponentials as an integer, in units of 2^-39: see select/mass.h. */
typedef uint64_t plk_mass;

typedef struct plk_scratch {
    pluck_allocator allocator;
    uint32_t n_vocab;
    uint32_t n_blocks; /* of 64 tokens, the last one perhaps partial */

    float *block_max;    /* [n_blocks, padded with -inf to whole groups of 64, for good] */
    float *weights;      /* [as block_max] see pick.c */
    double *group_sums;  /* [number of such groups] */
    double *block_sums;  /* [n_blocks] */
    double sums_scale;   /* block_sums are those of the logits as they came at this scale; 0: not */
    plk_mass sums_mass;  /* then their mass */
    float sums_max;      /* and what they are relative to */
    plk_mass unit_mass;  /* that of the logits as they came at scale 1; 0: not known */
    float unit_max;      /* and what it is relative to */
    uint32_t *block_ids; /* [n_blocks + PLK_SLACK] blocks that a selection visits */
    float *block_spare;  /* [n_blocks + PLK_SLACK, to a whole block] */
    double *picks;       /* [PLK_PICKS_ARRAYS * as block_max] see pick_many.c */

    uint32_t *ids;    /* [padded n_vocab + PLK_SLACK] candidates of a compact view */
    float *values;    /* [the same] their stored logits */
    plk_key *keys;    /* [the same] */
    plk_key *spare;   /* [the same] */
    float *ordered;   /* [the same] a copy of values, in the first half of the memory of keys */
    uint32_t *places; /* [the same] ids that a gather writes, in the second half */
} plk_scratch;

pluck_status plk_scratch_create(plk_scratch **out, uint32_t n_vocab,
                                const pluck_allocator *allocator, pluck_error *err);
void plk_scratch_destroy(plk_scratch **scratch);

#endif
