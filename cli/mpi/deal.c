/*
 * Items without order. A node has the same part of the items as it has of the ranks, in one piece,
 * since a file system reads ahead. In it a rank takes a third of its share of what is left (guided
 * self-scheduling, Polychronopoulos and Kuck 1987, with a smaller share): large pieces while there
 * is much, small ones at the end, so that all ranks end at about the same time.
 *
 * Chunks in order. Chunk c belongs to the node of rank c mod size, whichever of its ranks takes it.
 */
#include "mpi/deal.h"

#include "mpi/world.h"

#include "base/tally.h"

enum { SHARES = 3, LEAST_ITEMS = 64, LEAST_TURNS = 16 };

void deal_begin(void)
{
    const world *w = &the_world;
    if (w->node_rank == 0) {
        atomic_store(&w->state->next, 0);
        atomic_store(&w->state->limit, UINT64_MAX);
    }
    MPI_Win_sync(w->window);
}

void deal_items(uint64_t n_items, uint64_t *first, uint64_t *end)
{
    const world *w = &the_world;
    uint64_t size = (uint64_t)w->size, before = (uint64_t)w->n_before,
             ranks = (uint64_t)w->node_size;
    uint64_t begin = plk_share_first(n_items, before, size);
    uint64_t n = plk_share_first(n_items, before + ranks, size) - begin;
    uint64_t least = n_items / (LEAST_TURNS * size);
    least = least < LEAST_ITEMS ? least : LEAST_ITEMS;
    uint64_t at = atomic_load(&w->state->next), take = 0;
    do {
        *first = *end = begin + at;
        if (at >= n || *first >= atomic_load(&w->state->limit)) {
            *first = *end = begin + n;
            return;
        }
        take = (n - at) / (SHARES * ranks);
        take = take > least ? take : least;
        take = take > 0 ? take : 1;
        take = take < n - at ? take : n - at;
        *end = *first + take;
    } while (!atomic_compare_exchange_weak(&w->state->next, &at, at + take));
}

/* The chunk that is taken by the turn-th call within this node. */
static uint64_t chunk_of(uint64_t turn, uint64_t n_chunks)
{
    const world *w = &the_world;
    uint64_t ranks = (uint64_t)w->node_size;
    uint64_t chunk = turn / ranks * (uint64_t)w->size + (uint64_t)w->node_ranks[turn % ranks];
    return chunk < n_chunks && chunk < atomic_load(&w->state->limit) ? chunk : UINT64_MAX;
}

bool deal_chunk(uint64_t n_chunks, uint64_t *chunk)
{
    *chunk = chunk_of(atomic_fetch_add(&the_world.state->next, 1), n_chunks);
    return *chunk != UINT64_MAX;
}

uint64_t deal_peek(uint64_t n_chunks)
{
    return chunk_of(atomic_load(&the_world.state->next), n_chunks);
}

void deal_stop(uint64_t item)
{
    _Atomic uint64_t *limit = &the_world.state->limit;
    uint64_t known = atomic_load(limit);
    while (item < known && !atomic_compare_exchange_weak(limit, &known, item))
        continue;
}
