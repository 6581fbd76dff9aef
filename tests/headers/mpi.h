/*
 * The part of MPI's mpi.h that pluck/mpi.h needs, so that tests of headers need no MPI.
 */
#ifndef MPI_STAND_IN_H
#define MPI_STAND_IN_H

typedef struct mpi_communicator *MPI_Comm;
extern MPI_Comm MPI_COMM_WORLD;

#endif
