/*
 * One job over many processes. A function that reads many rows (tuning, training) does so in
 * passes. A pass is over items, numbered from 0: rows, for example. Each process, a rank, does some
 * of the items, and what it finds out is a tally. The tallies of all ranks are merged, and every
 * rank goes on with the merged one, so that all of them return the same results.
 *
 * Merging is exact, and its order does not matter: results have the same bits however the items
 * were divided among ranks, and the same bits as without ranks.
 *
 * pluck has no transport. The functions of a pluck_ranks are the program's, over MPI, files or
 * threads. All ranks call the same functions of the library with the same arguments, which have the
 * same passes in the same order; only the functions of the pluck_ranks differ.
 */
#ifndef PLUCK_RANKS_H
#define PLUCK_RANKS_H

#include <pluck/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a pass found out about some of its items. The library makes it, and a pluck_ranks may use it
 * only until its function returns. */
typedef struct pluck_tally pluck_tally;

/*
 * Who shares the items of a pass. All functions are called from the calling thread, and all must be
 * set. One that fails ends the call: it returns that status, and *err as the function left it.
 *
 * An item can fail, a row with a NaN for example. That is not a failure of these functions: the
 * tally carries the failure of the lowest item, so that every rank returns it after the pass. But a
 * rank that has no memory to begin a pass returns without calling anything: a program whose other
 * ranks would wait for it must end them.
 */
typedef struct pluck_ranks {
    size_t struct_size; /* PLUCK_INIT(pluck_ranks) */

    /* Called first in every pass, with the tally of no items. If the result of the pass is known,
     * from an earlier run for example, merges it into the tally and sets *is_known, which is false
     * at first. Then this rank does no item of the pass, and next and combine are not called. */
    pluck_status (*begin)(void *user, uint64_t n_items, pluck_tally *tally, bool *is_known,
                          pluck_error *err);

    /* Gives this rank its next items, *first to *end - 1, which come after those of earlier calls;
     * *first == *end means that none are left. Over all ranks each item is given once. Not called
     * again once an item of this rank has failed. */
    pluck_status (*next)(void *user, uint64_t *first, uint64_t *end, pluck_error *err);

    /* Called last, when this rank has done its items. Leaves in the tally what all ranks found. */
    pluck_status (*combine)(void *user, pluck_tally *tally, pluck_error *err);

    void *user; /* passed to the functions */

    /* The number of this rank, from 0 to n_ranks - 1. Only training asks for it: it divides the
     * nodes of a tree among the ranks by itself, in passes in which next is not called. */
    uint32_t rank, n_ranks;

    /* true: a pass costs far more than its work, for example because the program is run again for
     * each, over files. Then every rank of a training does by itself what would take a pass in each
     * step, asking the teacher, and only learning is shared. All ranks must agree. */
    bool avoids_passes;
} pluck_ranks;

/*
 * Writes the tally as bytes. Equal tallies are equal bytes, on every machine.
 *
 * *needed_bytes becomes their number. The call with (NULL, 0) asks for that number and returns
 * PLUCK_OK. PLUCK_ERR_SPACE if capacity_bytes is smaller; then only *needed_bytes is written.
 * Nothing is allocated through the allocator of the call.
 */
PLUCK_API pluck_status pluck_tally_put(const pluck_tally *tally, void *bytes, size_t capacity_bytes,
                                       size_t *needed_bytes, pluck_error *err);

/* Adds what another rank found in the same pass: bytes of pluck_tally_put(), which may be damaged
 * or come from anywhere. PLUCK_ERR_FORMAT if they cannot be a tally of this pass, and then, or if
 * memory is short, the tally is unchanged. */
PLUCK_API pluck_status pluck_tally_merge(pluck_tally *tally, const void *bytes, size_t n_bytes,
                                         pluck_error *err);

/* Empties the tally: it is that of no items. */
PLUCK_API void pluck_tally_clear(pluck_tally *tally);

#ifdef __cplusplus
}
#endif

#endif
