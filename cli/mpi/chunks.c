/*
 * Every rank takes chunks (mpi/deal.h) and posts their pieces to rank 0: a header, then the bytes.
 * Rank 0 does chunks too, and looks for pieces between them. It keeps what comes early and writes
 * the pieces of chunk w, the first one that is not complete, as soon as it has them.
 *
 * Memory. A rank has at most MOST_POSTS pieces posted, and waits before it posts another one. They
 * are sent synchronously, so that they do not pile up within MPI either. Rank 0 keeps HELD_BYTES of
 * early pieces. Beyond that it accepts only pieces of chunk w, and takes no other chunk than w
 * itself; the bytes of all others stay with their ranks. So the memory of a rank does not depend on
 * the number of rows or ranks. It grows with the output of a chunk only if a piece cannot be cut.
 *
 * Nobody waits for ever. Look at chunk w. If a rank has it, then what this rank posted before was
 * of this chunk or of earlier ones, because each rank takes chunks in ascending order. Rank 0
 * accepts these at any time, and so the rank can go on posting until the chunk is complete. If
 * nobody has it, then no rank of its node has a later one, since chunks are taken in ascending
 * order within a node as well. So each rank of that node is at work on an earlier chunk, all of
 * which are written, or about to take w: other ranks than 0 take a chunk without waiting, and rank
 * 0 takes w whatever it keeps. A rank that has no chunk left posts an end, and rank 0 waits for an
 * end of each.
 *
 * A failure. Chunks behind the first that failed are not written. The ranks of the node see in
 * shared memory that they need not take any more. Those of other nodes get a message when rank 0
 * comes to the failed chunk. What was posted in between is accepted and dropped.
 */
#include "mpi/chunks.h"
#include "mpi/deal.h"
#include "mpi/world.h"

#include "output.h"

#include <stdlib.h>

enum { TAG_HEADER = 1, TAG_BYTES, TAG_STOP };
enum { MOST_POSTS = 4 };
#define HELD_BYTES ((uint64_t)64 << 20)

/* Of a piece. An end has the chunk UINT64_MAX. */
typedef struct header {
    uint64_t chunk, n_bytes, code, is_last;
} header;

enum { HEADER_WORDS = sizeof(header) / sizeof(uint64_t) };

typedef struct piece {
    header about;
    char *bytes;
    struct piece *next;
} piece;

/* What a rank has posted and rank 0 has not taken. */
typedef struct post {
    header about;
    char *bytes; /* NULL: free */
    MPI_Request requests[2];
} post;

/* Pieces of a rank in the order of posting: those that are here, then those that were only
 * announced. */
typedef struct inbox {
    piece *first, *last;
    piece *announced;    /* the first of them */
    MPI_Request request; /* of the bytes of that one, unless MPI_REQUEST_NULL */
    bool has_ended;
} inbox;

typedef struct chunk_run {
    const chunk_pass *pass;
    uint64_t chunk; /* that is running */
    post posts[MOST_POSTS];
    unsigned next_post;

    /* Of rank 0. */
    inbox *inboxes; /* [size] */
    uint64_t wanted;
    uint64_t held_bytes;
    int n_ended;
    int code;
    bool is_over;       /* nothing more is written */
    bool has_stopped;   /* and all ranks were told; another rank: it has been told */
    MPI_Request *stops; /* [size] */
} chunk_run;

/* Of this process: chunks_put() is called from deep within a row. */
static chunk_run *running;

/* Other ranks: posting. */

static void finish_post(post *p)
{
    if (!p->bytes)
        return;
    world_wait(&p->requests[0]);
    world_wait(&p->requests[1]);
    free(p->bytes);
    p->bytes = NULL;
}

static void send_piece(chunk_run *run, header about, char *bytes)
{
    post *p = &run->posts[run->next_post];
    run->next_post = (run->next_post + 1) % MOST_POSTS;
    finish_post(p);
    *p = (post){about, bytes, {MPI_REQUEST_NULL, MPI_REQUEST_NULL}};
    MPI_Isend(&p->about, HEADER_WORDS, MPI_UINT64_T, 0, TAG_HEADER, the_world.all, &p->requests[0]);
    if (about.n_bytes > 0)
        MPI_Issend(bytes, (int)about.n_bytes, MPI_BYTE, 0, TAG_BYTES, the_world.all,
                   &p->requests[1]);
}

/* Rank 0: the pieces of all ranks. */

static void add_piece(inbox *in, header about, char *bytes)
{
    piece *p = world_memory(sizeof *p);
    *p = (piece){about, bytes, NULL};
    if (in->last)
        in->last->next = p;
    else
        in->first = p;
    in->last = p;
    if (!bytes && !in->announced)
        in->announced = p;
}

static bool take_headers(chunk_run *run)
{
    bool has_come = false;
    for (;;) {
        MPI_Status status;
        header about;
        int is_there = 0;
        MPI_Iprobe(MPI_ANY_SOURCE, TAG_HEADER, the_world.all, &is_there, &status);
        if (!is_there)
            return has_come;
        MPI_Recv(&about, HEADER_WORDS, MPI_UINT64_T, status.MPI_SOURCE, TAG_HEADER, the_world.all,
                 MPI_STATUS_IGNORE);
        has_come = true;
        inbox *in = &run->inboxes[status.MPI_SOURCE];
        if (about.chunk == UINT64_MAX) {
            in->has_ended = true;
            run->n_ended++;
        } else {
            add_piece(in, about, NULL);
        }
    }
}

/* Begins to receive the bytes of the next announced piece, if there is room. */
static bool take_bytes(chunk_run *run, inbox *in, int rank)
{
    piece *p = in->announced;
    if (!p)
        return false;
    header about = p->about;
    if (!p->bytes) {
        bool is_wanted = about.chunk <= run->wanted || run->is_over;
        if (!is_wanted && run->held_bytes + about.n_bytes + sizeof *p > HELD_BYTES)
            return false;
        p->bytes = world_memory(about.n_bytes);
        run->held_bytes += about.n_bytes + sizeof *p;
        in->request = MPI_REQUEST_NULL;
        if (about.n_bytes > 0)
            MPI_Irecv(p->bytes, (int)about.n_bytes, MPI_BYTE, rank, TAG_BYTES, the_world.all,
                      &in->request);
    }
    int is_here = 0;
    MPI_Test(&in->request, &is_here, MPI_STATUS_IGNORE);
    if (is_here)
        in->announced = p->next;
    return is_here != 0;
}

/* Nothing more is written. Tells all ranks, which look for this message before they take a
 * chunk. */
static void stop(chunk_run *run, int code)
{
    run->is_over = true;
    run->code = code;
    deal_stop(0);
    run->has_stopped = true;
    for (int i = 1; i < the_world.size; i++)
        MPI_Isend(NULL, 0, MPI_BYTE, i, TAG_STOP, the_world.all, &run->stops[i]);
}

static void write_piece(chunk_run *run, const piece *p)
{
    if (run->is_over)
        return;
    int code = p->about.n_bytes > 0
                   ? run->pass->write(run->pass->user, p->bytes, (size_t)p->about.n_bytes)
                   : EXIT_DONE;
    if (code == EXIT_DONE && p->about.is_last != 0)
        code = (int)p->about.code;
    run->wanted += p->about.is_last != 0;
    if (code != EXIT_DONE)
        stop(run, code);
}

/* The pieces at the front of an inbox that are next in order. */
static bool write_inbox(chunk_run *run, inbox *in)
{
    bool has_written = false;
    while (in->first && in->first != in->announced &&
           (run->is_over || in->first->about.chunk == run->wanted)) {
        piece *p = in->first;
        write_piece(run, p);
        run->held_bytes -= p->about.n_bytes + sizeof *p;
        in->first = p->next;
        in->last = in->first ? in->last : NULL;
        free(p->bytes);
        free(p);
        has_written = true;
    }
    return has_written;
}

/* Takes what has come, and writes what is next; does not wait. Whether there was anything. */
static bool collect(chunk_run *run)
{
    bool has_moved = take_headers(run), has_written = true;
    for (int i = 1; i < the_world.size; i++)
        has_moved = take_bytes(run, &run->inboxes[i], i) || has_moved;
    while (has_written) {
        has_written = false;
        for (int i = 0; i < the_world.size; i++)
            has_written = write_inbox(run, &run->inboxes[i]) || has_written;
        has_moved = has_moved || has_written;
    }
    return has_moved;
}

/* Waits until what is held leaves room for another chunk, or the chunk that is wanted is this
 * rank's to take. */
static void make_room(chunk_run *run)
{
    unsigned n_steps = 0;
    while (run->held_bytes >= HELD_BYTES && deal_peek(run->pass->n_chunks) != run->wanted) {
        if (collect(run))
            n_steps = 0;
        world_pause(&n_steps);
    }
}

static void put(chunk_run *run, header about, char *bytes)
{
    about.chunk = run->chunk;
    if (the_world.rank > 0) {
        send_piece(run, about, bytes);
        return;
    }
    unsigned n_steps = 0;
    add_piece(&run->inboxes[0], about, bytes);
    run->held_bytes += about.n_bytes + sizeof(piece);
    collect(run);
    /* A later piece waits until what is held leaves room, or until this chunk is the next to be
     * written. */
    while (about.is_last == 0 && !run->is_over && run->held_bytes >= HELD_BYTES &&
           run->wanted < run->chunk) {
        if (collect(run))
            n_steps = 0;
        world_pause(&n_steps);
    }
}

void chunks_put(char *bytes, size_t n)
{
    put(running, (header){.n_bytes = n}, bytes);
}

static void take_stop(chunk_run *run)
{
    MPI_Recv(NULL, 0, MPI_BYTE, 0, TAG_STOP, the_world.all, MPI_STATUS_IGNORE);
    run->has_stopped = true;
}

/* Whether rank 0 says that there is nothing more to do. */
static bool is_told(chunk_run *run)
{
    int is_there = 0;
    if (the_world.rank == 0 || run->has_stopped)
        return run->has_stopped;
    MPI_Iprobe(0, TAG_STOP, the_world.all, &is_there, MPI_STATUS_IGNORE);
    if (is_there) {
        take_stop(run);
        deal_stop(0);
    }
    return is_there != 0;
}

static void run_chunks(chunk_run *run)
{
    const chunk_pass *pass = run->pass;
    for (;;) {
        if (the_world.rank == 0)
            make_room(run);
        if (is_told(run) || !deal_chunk(pass->n_chunks, &run->chunk))
            return;
        int code = pass->run(pass->user, run->chunk);
        if (code != EXIT_DONE)
            deal_stop(run->chunk + 1);
        put(run, (header){.code = (uint64_t)code, .is_last = 1}, world_memory(0));
        if (code != EXIT_DONE)
            return;
    }
}

static void end_of_writer(chunk_run *run)
{
    unsigned n_steps = 0;
    bool is_empty = false;
    while (!is_empty) {
        if (collect(run))
            n_steps = 0;
        is_empty = run->n_ended == the_world.size - 1;
        for (int i = 0; i < the_world.size && is_empty; i++)
            is_empty = !run->inboxes[i].first;
        if (!is_empty)
            world_pause(&n_steps);
    }
}

static void end_of_others(chunk_run *run)
{
    const header end = {.chunk = UINT64_MAX};
    send_piece(run, end, world_memory(0));
    for (size_t i = 0; i < MOST_POSTS; i++)
        finish_post(&run->posts[i]);
}

int chunks_run(const chunk_pass *pass)
{
    size_t size = (size_t)the_world.size;
    chunk_run run = {.pass = pass};
    run.inboxes = world_memory(size * sizeof *run.inboxes);
    run.stops = world_memory(size * sizeof *run.stops);
    for (size_t i = 0; i < size; i++) {
        run.inboxes[i] = (inbox){.request = MPI_REQUEST_NULL};
        run.stops[i] = MPI_REQUEST_NULL;
    }
    running = &run;
    run_chunks(&run);
    if (the_world.rank == 0)
        end_of_writer(&run);
    else
        end_of_others(&run);
    running = NULL;
    uint64_t result[2] = {(uint64_t)run.code, run.has_stopped};
    world_broadcast(result, sizeof result);
    if (result[1] != 0 && !run.has_stopped)
        take_stop(&run);
    for (size_t i = 1; i < size; i++)
        world_wait(&run.stops[i]);
    free(run.stops);
    free(run.inboxes);
    return (int)result[0];
}
