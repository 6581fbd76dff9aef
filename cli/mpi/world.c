/*
 * Meetings. Between two passes every rank runs the command by itself, and any of them may fail
 * there: a file may be missing on one node. So each rank comes to every meeting with what it knows,
 * and all of them decide by the same rule from the same table (an allgather of a few words per
 * rank). A rank that failed early comes to the next meeting from the end of the command, while the
 * others come from the beginning of a pass; the table shows that too.
 *
 * Shared memory. The items of a pass are dealt within a node by a counter in a window that its
 * ranks share, advanced by atomic operations of C11. They need no progress of another rank, as
 * one-sided communication may. MPI 3.1, 11.2.3 and 11.4: with MPI_Win_allocate_shared loads and
 * stores of all ranks go to one copy. Only lock-free atomics work across processes.
 */
#include "mpi/world.h"

#include "output.h"

#include "base/platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "atomics in shared memory must be free of locks");

enum { SPINS = 200, MAX_PAUSE_NS = 1000000 };

/* Counts of MPI 3.1 are ints. */
#define PIECE_BYTES ((uint64_t)1 << 30)

world the_world = {.size = 1};

void world_pause(unsigned *n_steps)
{
    unsigned n = ++*n_steps;
    if (n < SPINS)
        return;
    plk_sleep_ns(n - SPINS < 10 ? (uint64_t)1000 << (n - SPINS) : MAX_PAUSE_NS);
}

void world_wait(MPI_Request *request)
{
    unsigned n_steps = 0;
    for (int is_done = 0; !is_done; world_pause(&n_steps))
        MPI_Test(request, &is_done, MPI_STATUS_IGNORE);
}

void *world_memory(uint64_t n_bytes)
{
    void *memory = n_bytes <= SIZE_MAX ? malloc(n_bytes > 0 ? (size_t)n_bytes : 1) : NULL;
    if (!memory) {
        fprintf(stderr, "%s: rank %d is out of memory\n", message_who(), the_world.rank);
        MPI_Abort(MPI_COMM_WORLD, EXIT_SYSTEM);
    }
    return memory;
}

static int piece_of(uint64_t n_bytes)
{
    return (int)(n_bytes < PIECE_BYTES ? n_bytes : PIECE_BYTES);
}

void world_broadcast(void *bytes, uint64_t n_bytes)
{
    for (uint64_t at = 0; at < n_bytes; at += PIECE_BYTES) {
        MPI_Request request;
        MPI_Ibcast((char *)bytes + at, piece_of(n_bytes - at), MPI_BYTE, 0, the_world.all,
                   &request);
        world_wait(&request);
    }
}

void world_send(int rank, int tag, const void *bytes, uint64_t n_bytes)
{
    for (uint64_t at = 0; at < n_bytes; at += PIECE_BYTES) {
        MPI_Request request;
        MPI_Isend((const char *)bytes + at, piece_of(n_bytes - at), MPI_BYTE, rank, tag,
                  the_world.all, &request);
        world_wait(&request);
    }
}

void world_receive(int rank, int tag, void *bytes, uint64_t n_bytes)
{
    for (uint64_t at = 0; at < n_bytes; at += PIECE_BYTES) {
        MPI_Request request;
        MPI_Irecv((char *)bytes + at, piece_of(n_bytes - at), MPI_BYTE, rank, tag, the_world.all,
                  &request);
        world_wait(&request);
    }
}

/* What a launcher says in the environment about the number of processes. */
typedef struct launcher {
    const char *size, *rank; /* variables */
    const char *name;
} launcher;

static const launcher launchers[] = {
    {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "mpirun of Open MPI"},
    {"PMI_SIZE", "PMI_RANK", "a launcher of MPICH, Intel MPI or another MPI with PMI"},
    {"SLURM_NTASKS", "SLURM_PROCID", "Slurm"},
};

static long variable(const char *name)
{
    const char *text = getenv(name);
    return text ? strtol(text, NULL, 10) : -1;
}

/* The launcher that started this process; NULL: none that is known. Slurm sets its variables in a
 * batch script too, in which another launcher may be called. */
static const launcher *find_launcher(void)
{
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers; i++)
        if (variable(launchers[i].size) > 0)
            return &launchers[i];
    return NULL;
}

/* The beginning of what the library says; MPICH's is a table. */
const char *world_version(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    static const char heading[] = "MPICH Version:\t";
    int n = 0;
    MPI_Get_library_version(text, &n);
    text[strcspn(text, ",\n")] = '\0';
    if (strncmp(text, heading, strlen(heading)) == 0) {
        size_t name = strlen("MPICH "), rest = strlen(heading);
        memmove(text + name, text + rest, strlen(text + rest) + 1);
    }
    return text;
}

/* A program of one MPI under the launcher of another runs as that many processes that do not know
 * of each other and would all write the same files. One of them says so. */
static int check_launcher(const launcher *by)
{
    const char *version = world_version();
    long size = by ? variable(by->size) : 1;
    if (the_world.size > 1 || size <= 1)
        return EXIT_DONE;
    if (variable(by->rank) > 0)
        return EXIT_USAGE;
    return complain(EXIT_USAGE,
                    "this program is linked with %s, but was started by %s (%s=%ld), so that each "
                    "process is alone; use the launcher of %s",
                    version, by->name, by->size, size, version);
}

/* The ranks of a node that this program treats as one: for tests, so that one machine can stand for
 * several. */
static void split_nodes(world *w)
{
    long most = variable("PLUCK_MPI_NODE_RANKS");
    MPI_Comm_split_type(w->all, MPI_COMM_TYPE_SHARED, w->rank, MPI_INFO_NULL, &w->node);
    MPI_Comm_rank(w->node, &w->node_rank);
    if (most > 0) {
        MPI_Comm part;
        MPI_Comm_split(w->node, (int)(w->node_rank / most), w->rank, &part);
        MPI_Comm_free(&w->node);
        w->node = part;
        MPI_Comm_rank(w->node, &w->node_rank);
    }
    MPI_Comm_size(w->node, &w->node_size);
}

static void find_node(world *w)
{
    split_nodes(w);
    int *ranks = world_memory((uint64_t)w->node_size * sizeof *ranks);
    int *firsts = world_memory((uint64_t)w->size * sizeof *firsts);
    MPI_Allgather(&w->rank, 1, MPI_INT, ranks, 1, MPI_INT, w->node);
    MPI_Allgather(ranks, 1, MPI_INT, firsts, 1, MPI_INT, w->all);
    /* A node is known by its lowest rank. */
    for (int i = 0; i < w->size; i++)
        w->n_before += firsts[i] < ranks[0];
    free(firsts);
    w->node_ranks = ranks;

    MPI_Aint bytes = (MPI_Aint)(sizeof(node_state) + (size_t)w->node_size * sizeof(uint64_t));
    void *own = NULL;
    int unit = 0;
    MPI_Win_allocate_shared(w->node_rank == 0 ? bytes : 0, 1, MPI_INFO_NULL, w->node, &own,
                            &w->window);
    MPI_Win_shared_query(w->window, 0, &bytes, &unit, &w->state);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, w->window);
    atomic_init(&w->state->done[w->node_rank], 0);
}

int world_start(int *argc, char ***argv)
{
    int level = MPI_THREAD_SINGLE;
    MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &level);
    world *w = &the_world;
    *w = (world){.all = MPI_COMM_NULL};
    MPI_Comm_dup(MPI_COMM_WORLD, &w->all);
    MPI_Comm_rank(w->all, &w->rank);
    MPI_Comm_size(w->all, &w->size);
    const launcher *by = find_launcher();
    w->has_launcher = by != NULL;
    find_node(w);
    int code = check_launcher(by);
    if (code == EXIT_DONE && level < MPI_THREAD_FUNNELED)
        code = complain(EXIT_SYSTEM, "this MPI library does not allow threads; expected "
                                     "MPI_THREAD_FUNNELED");
    return code;
}

void world_end(void)
{
    world *w = &the_world;
    MPI_Win_unlock_all(w->window);
    MPI_Win_free(&w->window);
    free((void *)w->node_ranks);
    MPI_Comm_free(&w->node);
    MPI_Comm_free(&w->all);
    MPI_Finalize();
}

void world_note_progress(uint64_t done)
{
    const world *w = &the_world;
    atomic_store_explicit(&w->state->done[w->node_rank], done, memory_order_relaxed);
}

uint64_t world_progress(void)
{
    const world *w = &the_world;
    uint64_t sum = 0;
    for (int i = 0; i < w->node_size; i++)
        sum += atomic_load_explicit(&w->state->done[i], memory_order_relaxed);
    return sum * (uint64_t)w->size / (uint64_t)w->node_size;
}

enum { PLACE, CHECK, CODE, ORDER, HAS_MESSAGE, N_WORDS };

/* Rank 0 prints the message of a rank. */
static void say_message(int from, const char *message)
{
    world *w = &the_world;
    char text[MESSAGE_LINE_BYTES] = "";
    if (w->rank == from && message)
        snprintf(text, sizeof text, "%s", message);
    if (from != 0 && w->rank == from)
        world_send(0, 0, text, sizeof text);
    if (from != 0 && w->rank == 0)
        world_receive(from, 0, text, sizeof text);
    if (w->rank == 0)
        fputs(text, stderr);
}

/* The lowest rank whose words differ from those of rank 0, which have no failure. */
static int find_other(const uint64_t *known)
{
    for (int i = 1; i < the_world.size; i++) {
        const uint64_t *words = known + (size_t)i * N_WORDS;
        if (words[PLACE] != known[PLACE] || words[CHECK] != known[CHECK])
            return i;
    }
    return 0;
}

/* The rank whose failure counts, or -1. */
static int find_failed(const uint64_t *known)
{
    int failed = -1;
    for (int i = 0; i < the_world.size; i++) {
        const uint64_t *words = known + (size_t)i * N_WORDS;
        if (words[CODE] != EXIT_DONE &&
            (failed < 0 || words[ORDER] < known[(size_t)failed * N_WORDS + ORDER]))
            failed = i;
    }
    return failed;
}

static int judge(const uint64_t *known, const char *message)
{
    int failed = find_failed(known), other = failed < 0 ? find_other(known) : 0;
    if (failed >= 0) {
        const uint64_t *words = known + (size_t)failed * N_WORDS;
        if (words[HAS_MESSAGE] != 0)
            say_message(failed, message);
        return (int)words[CODE];
    }
    if (other > 0 && the_world.rank == 0)
        complain(EXIT_DATA,
                 "rank %d does not have the same work as rank 0; all of them must see the same "
                 "files",
                 other);
    return other > 0 ? EXIT_DATA : EXIT_DONE;
}

static int meet(const uint64_t *words, const char *message)
{
    world *w = &the_world;
    if (w->has_failed)
        return w->code;
    uint64_t *known = world_memory((uint64_t)w->size * N_WORDS * sizeof *known);
    MPI_Request request;
    MPI_Iallgather(words, N_WORDS, MPI_UINT64_T, known, N_WORDS, MPI_UINT64_T, w->all, &request);
    world_wait(&request);
    w->code = judge(known, message);
    free(known);
    w->has_failed = w->code != EXIT_DONE;
    return w->code;
}

int world_meet(world_place place, uint64_t check, int code, const char *message)
{
    const uint64_t words[N_WORDS] = {[PLACE] = place,
                                     [CHECK] = check,
                                     [CODE] = (uint64_t)code,
                                     [HAS_MESSAGE] = code != EXIT_DONE && message};
    return meet(words, message);
}

int world_settle(int code, uint64_t order, const char *message)
{
    const uint64_t words[N_WORDS] = {[PLACE] = WORLD_SETTLE,
                                     [CODE] = (uint64_t)code,
                                     [ORDER] = order,
                                     [HAS_MESSAGE] = code != EXIT_DONE && message};
    return meet(words, message);
}
