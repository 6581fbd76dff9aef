/* The passes of the library, shared by the ranks. */
#ifndef CLI_MPI_TALLIES_H
#define CLI_MPI_TALLIES_H

#include <pluck/ranks.h>

const pluck_ranks *tallies_ranks(void);

/* Merges the tallies of all ranks, which call it together, into that of each; if not for_all, into
 * that of rank 0, and empties the others. If a rank fails, it fails on all, and the message has
 * been printed. */
pluck_status tallies_combine(pluck_tally *tally, bool for_all, pluck_error *err);

#endif
