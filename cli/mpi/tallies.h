/* The passes of the library, shared by the ranks. */
#ifndef CLI_MPI_TALLIES_H
#define CLI_MPI_TALLIES_H

#include <pluck/ranks.h>

const pluck_ranks *tallies_ranks(void);

/* Merges the tallies of all ranks, which call it together, into that of each. If a rank fails, it
 * fails on all, and the user has been told. */
pluck_status tallies_combine(pluck_tally *tally, pluck_error *err);

#endif
