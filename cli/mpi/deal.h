/*
 * Which rank does which items of a pass. Within a node the ranks take them from a counter, so that
 * a slow rank does fewer; between nodes they are divided beforehand, because a counter over the
 * network waits for its owner.
 */
#ifndef CLI_MPI_DEAL_H
#define CLI_MPI_DEAL_H

#include <stdbool.h>
#include <stdint.h>

/* Before the meeting at the beginning of a pass. All ranks have taken their last items before. */
void deal_begin(void);

/* The next items of n_items for this rank, where order does not matter: *first to *end - 1; if they
 * are equal, none are left. The items of a node are neighbours, and each call gives items after
 * those of the call before. */
void deal_items(uint64_t n_items, uint64_t *first, uint64_t *end);

/* The next of n_chunks that are to be put in order: the nodes take turns, so that the chunk that is
 * wanted next is never far behind. Each rank gets ascending numbers, and within a node they ascend
 * in the order of the calls. Returns false if none are left. */
bool deal_chunk(uint64_t n_chunks, uint64_t *chunk);

/* The chunk that deal_chunk() would give now. UINT64_MAX: none. */
uint64_t deal_peek(uint64_t n_chunks);

/* No item or chunk from this one on needs to be done. */
void deal_stop(uint64_t item);

#endif
