/*
 * Ranks inside one process, for tests of jobs over many: the items of each pass are divided at
 * random, and tallies are merged in random order.
 */
#ifndef FAKE_RANKS_H
#define FAKE_RANKS_H

#include <pluck/ranks.h>

enum { TEST_MAX_RANKS = 8 };

/* A call of the library that is the same on all ranks; what it gives, in result. */
typedef pluck_status test_rank_job(const void *user, const pluck_ranks *ranks, void *result,
                                   pluck_error *err);

/*
 * As over files: the ranks run one after the other, each up to the first pass that is not known
 * yet, until all are; result is then that of one more run. *n_rounds becomes the number of passes.
 */
pluck_status test_ranks_replay(unsigned n_ranks, uint64_t seed, test_rank_job *job,
                               const void *user, void *result, unsigned *n_rounds,
                               pluck_error *err);

/*
 * As over MPI: each rank is a thread, and takes its next items when it is done with those before.
 * All ranks must give the same status, message and result_bytes of result, which may be at most
 * 64 KiB.
 */
pluck_status test_ranks_threads(unsigned n_ranks, uint64_t seed, test_rank_job *job,
                                const void *user, void *result, size_t result_bytes,
                                pluck_error *err);

#endif
