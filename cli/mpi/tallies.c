/*
 * The passes of the library (pluck/ranks.h) over MPI.
 *
 * Combining: the bytes of the tallies go up a binary tree, in which rank r merges those of r + 1, r
 * + 2, r + 4, ... as far as they are below it, and hands on the result; what rank 0 has at last
 * goes to all, unless rank 0 alone needs it. So every rank receives and merges about log2(size)
 * tallies, and the merged bytes are the same for all of them by construction.
 */
#include "mpi/tallies.h"
#include "mpi/deal.h"
#include "mpi/world.h"

#include "output.h"

#include "base/error.h"
#include "base/tally.h"

#include <stdio.h>
#include <stdlib.h>

enum { TAG_TALLY = 4 };

static uint64_t items_of_pass;

static pluck_status begin(void *user, uint64_t n_items, pluck_tally *tally, bool *is_known,
                          pluck_error *err)
{
    (void)user;
    (void)is_known;
    items_of_pass = n_items;
    deal_begin();
    if (world_meet(WORLD_PASS, n_items ^ tally->about.hash, EXIT_DONE, NULL) == EXIT_DONE)
        return PLUCK_OK;
    return plk_fail(err, PLUCK_ERR_INVALID, "another rank failed");
}

static pluck_status next(void *user, uint64_t *first, uint64_t *end, pluck_error *err)
{
    (void)user;
    (void)err;
    deal_items(items_of_pass, first, end);
    return PLUCK_OK;
}

/* The bytes of a tally in memory of malloc(). */
static char *put(const pluck_tally *tally, uint64_t *n_bytes)
{
    size_t n = 0;
    (void)pluck_tally_put(tally, NULL, 0, &n, NULL);
    char *bytes = world_memory(n);
    (void)pluck_tally_put(tally, bytes, n, &n, NULL);
    *n_bytes = n;
    return bytes;
}

static void send(const pluck_tally *tally, int rank)
{
    uint64_t n = 0;
    char *bytes = put(tally, &n);
    world_send(rank, TAG_TALLY, &n, sizeof n);
    world_send(rank, TAG_TALLY, bytes, n);
    free(bytes);
}

static pluck_status receive(pluck_tally *tally, int rank, pluck_error *err)
{
    uint64_t n = 0;
    world_receive(rank, TAG_TALLY, &n, sizeof n);
    char *bytes = world_memory(n);
    world_receive(rank, TAG_TALLY, bytes, n);
    pluck_status status = pluck_tally_merge(tally, bytes, (size_t)n, err);
    free(bytes);
    return status;
}

static pluck_status share(pluck_tally *tally, pluck_error *err)
{
    uint64_t n = 0;
    char *bytes = the_world.rank == 0 ? put(tally, &n) : NULL;
    world_broadcast(&n, sizeof n);
    bytes = bytes ? bytes : world_memory(n);
    world_broadcast(bytes, n);
    pluck_status status = PLUCK_OK;
    if (the_world.rank > 0) {
        pluck_tally_clear(tally);
        status = pluck_tally_merge(tally, bytes, (size_t)n, err);
    }
    free(bytes);
    return status;
}

pluck_status tallies_combine(pluck_tally *tally, bool for_all, pluck_error *err)
{
    int rank = the_world.rank, size = the_world.size;
    pluck_error failure = {0};
    pluck_status status = PLUCK_OK;
    if (tally->failure.status != PLUCK_OK)
        deal_stop(tally->failed_item);
    for (int step = 1; step < size; step *= 2) {
        if (rank & step) {
            send(tally, rank - step);
            break;
        }
        /* A rank that failed to merge goes on, since others wait for it. */
        if (rank + step < size) {
            pluck_status received = receive(tally, rank + step, &failure);
            status = received != PLUCK_OK ? received : status;
        }
    }
    if (for_all) {
        pluck_status shared = share(tally, &failure);
        status = shared != PLUCK_OK ? shared : status;
    } else if (rank > 0) {
        pluck_tally_clear(tally);
    }
    char line[sizeof failure.message + 128] = "";
    if (status != PLUCK_OK)
        snprintf(line, sizeof line, "%s: %s\n", message_who(), failure.message);
    int code = world_meet(WORLD_MERGED, 0, exit_code_of(status), line);
    return code == EXIT_DONE ? PLUCK_OK : plk_fail(err, PLUCK_ERR_INVALID, "a rank failed");
}

static pluck_status combine(void *user, pluck_tally *tally, pluck_error *err)
{
    (void)user;
    return tallies_combine(tally, true, err);
}

const pluck_ranks *tallies_ranks(void)
{
    static pluck_ranks ranks = {
        .struct_size = sizeof ranks, .begin = begin, .next = next, .combine = combine};
    ranks.rank = (uint32_t)the_world.rank;
    ranks.n_ranks = (uint32_t)the_world.size;
    return &ranks;
}
