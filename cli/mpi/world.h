/*
 * The processes that run one command together, the ranks, and what they do together: meet, share
 * bytes, and divide the items of a pass.
 *
 * Whoever waits here looks again and again, with pauses that grow to a millisecond, because the
 * waiting functions of MPI keep a processor busy. Other functions than those of MPI 3.1 are not
 * used, and only the main thread calls them.
 */
#ifndef CLI_MPI_WORLD_H
#define CLI_MPI_WORLD_H

#include <mpi.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the ranks of a node have in common, in shared memory. */
typedef struct node_state {
    _Atomic uint64_t next;   /* the first item that nobody has taken */
    _Atomic uint64_t limit;  /* items from here on need not be done: one before failed */
    _Atomic uint64_t done[]; /* by each rank of the node, of whatever its progress counts */
} node_state;

typedef struct world {
    int rank, size;
    MPI_Comm all;
    bool has_launcher; /* this process was started by one, whose standard output is a pipe */

    MPI_Comm node;
    int node_rank, node_size;
    const int *node_ranks; /* [node_size] their numbers in the world, ascending */
    int n_before;          /* ranks of the nodes before this one */
    MPI_Win window;
    node_state *state;

    /* A rank has failed, all ranks know it, and its message has been printed: no further one is. */
    bool has_failed;
    int code;
} world;

/* The ranks of this process; not of a thread. */
extern world the_world;

/* Starts MPI. Returns an exit code; fails with a message if this process was started by the
 * launcher of another MPI and is therefore alone. */
int world_start(int *argc, char ***argv);

/* "Open MPI v4.1.4" */
const char *world_version(void);

/* Ends MPI. */
void world_end(void);

/* Where a rank can be when it meets the others. */
typedef enum world_place {
    WORLD_START,  /* before the command runs */
    WORLD_PASS,   /* before a pass */
    WORLD_MERGED, /* after it */
    WORLD_SETTLE, /* the same, without a tally */
    WORLD_SHARE,  /* before rank 0 shares something */
    WORLD_END     /* at the end of the command */
} world_place;

/*
 * Every rank comes here with its exit code and waits for the others. EXIT_DONE if all came to the
 * same place, with EXIT_DONE and the same check, a number that they must agree on. Else the code of
 * the lowest rank that failed, on all ranks. Then rank 0 has printed the message of that rank, a
 * whole line, which is NULL if it was printed before; and all further meetings fail in the same way
 * at once.
 */
int world_meet(world_place place, uint64_t check, int code, const char *message);

/* The same after parts of a pass: of the ranks that failed, the one with the lowest order
 * counts. */
int world_settle(int code, uint64_t order, const char *message);

/* Sends the bytes of rank 0 to all; all ranks call it with the same number. */
void world_broadcast(void *bytes, uint64_t n_bytes);

/* Between two ranks, any number of bytes, which the receiver knows. */
void world_send(int rank, int tag, const void *bytes, uint64_t n_bytes);
void world_receive(int rank, int tag, void *bytes, uint64_t n_bytes);

/* Records how much this rank has done. The sum over all ranks assumes that the ranks of other nodes
 * have done as much as those of this one. */
void world_note_progress(uint64_t done);
uint64_t world_progress(void);

/* Waits until the request is done. */
void world_wait(MPI_Request *request);

/* One step of a loop that waits for something else: a pause that grows with *n_steps, at first
 * 0. */
void world_pause(unsigned *n_steps);

/* Allocates memory. If it is short, ends all ranks, because the others would wait for this one. */
void *world_memory(uint64_t n_bytes);

#endif
