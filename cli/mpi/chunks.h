/*
 * A pass whose results are put in order: chunks of rows are done by any rank, and what they print
 * is written by rank 0.
 */
#ifndef CLI_MPI_CHUNKS_H
#define CLI_MPI_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

typedef struct chunk_pass {
    uint64_t n_chunks;

    /* Does a chunk and calls chunks_put() for what there is to write. Returns an exit code; after
     * another one than EXIT_DONE no later chunk is written. */
    int (*run)(void *user, uint64_t chunk);

    /* Rank 0: writes a piece, in the order of the chunks, and those of one chunk in the order of
     * chunks_put(). Another exit code than EXIT_DONE ends the pass. */
    int (*write)(void *user, const char *bytes, size_t n);
    void *user;
} chunk_pass;

/* Called by all ranks, which have met at the beginning of the pass. All return the exit code of the
 * first chunk that failed, or of write. */
int chunks_run(const chunk_pass *pass);

/* Hands on a piece of the chunk that is running: memory of malloc(), which is freed when it has
 * been written. Larger than CHUNK_PIECE_BYTES only if it cannot be cut. May wait until earlier
 * pieces are written, so that memory is bounded. */
void chunks_put(char *bytes, size_t n);

enum { CHUNK_PIECE_BYTES = 8 << 20 };

#endif
