/*
 * The exchanges of pluck/shard.h over MPI. This is a library of its own, libpluck-mpi, built for
 * the MPI that Meson finds; libpluck itself knows nothing of MPI.
 *
 *     pluck_mpi_sample(MPI_COMM_WORLD, shard, sampler, model_slice(), &draw, &err);
 *     pluck_sampler_accept(sampler, draw.token, &err);
 *
 * All ranks of the communicator call a function together, with shards and samplers that were made
 * as pluck/shard.h asks; rank r of the communicator has the shard of rank r. Every rank gets the
 * same result, errors included: what is wrong on one rank, such as a NULL, another configuration or
 * memory that is short, is returned on all ("rank 2: ..."), and they can go on in step. One rank
 * alone may be told that MPI is not initialised, that the communicator is MPI_COMM_NULL or an
 * intercommunicator, or that MPI failed (PLUCK_ERR_IO). After an error of MPI the communicator
 * should not be used any more.
 *
 * Each exchange is one MPI_Allgather on a duplicate of the communicator. Its size is that of the
 * exchange in the call before. If the ranks need more, because the configuration is another or
 * there are more rows, they learn that from the gather and repeat it with the size that they need.
 *
 * The first call makes the duplicate, as an attribute of the communicator, with which it is freed.
 * So is the buffer, which grows to the largest exchange; after that no call allocates. Errors of
 * MPI are returned and do not end the program, except where the communicator's own error handler
 * ends it while the duplicate is made.
 *
 * Threads: one thread at a time, the one that may call MPI (MPI_THREAD_FUNNELED is enough).
 */
#ifndef PLUCK_MPI_H
#define PLUCK_MPI_H

#include <pluck/shard.h>

#include <mpi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Draws the token of one row at the current position of the sampler: pluck_shard_begin(), then
 * exchanges until pluck_shard_merge() is done. slice is borrowed for the call. */
PLUCK_API pluck_status pluck_mpi_sample(MPI_Comm communicator, pluck_shard *shard,
                                        pluck_sampler *sampler, pluck_logits slice,
                                        pluck_draw *draw, pluck_error *err);

/*
 * Draws the tokens of the n rows of slices together: row i with shards[i], which are all different,
 * and samplers[i]. The records of all rows that are not done yet go into one exchange. If
 * samplers[i] is NULL, on all ranks, row i is skipped: its draw is {PLUCK_NO_TOKEN, NAN, 0}.
 *
 * A row that fails does not stop the others; its draw is that of a skipped row. statuses, if not
 * NULL, has the status of each row. If rows failed, the result is the status of the one with the
 * lowest number, and its message begins with that number: "row 17: ". If a rank cannot take part,
 * the call fails for all rows, and so do statuses and draws.
 */
PLUCK_API pluck_status pluck_mpi_sample_batch(MPI_Comm communicator, pluck_shard *const *shards,
                                              pluck_sampler *const *samplers,
                                              const pluck_matrix *slices, pluck_draw *draws,
                                              pluck_status *statuses, pluck_error *err);

#ifdef __cplusplus
}
#endif

#endif
