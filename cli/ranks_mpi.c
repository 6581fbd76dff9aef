/*
 * The processes of a run of pluck-mpi: the ranks of an MPI job. Every rank runs the whole command
 * and does a part of the rows of each pass. Rank 0 alone prints, writes files and speaks.
 *
 * A rank that comes to the end of the command early, because something failed there, meets the
 * others there (mpi/world.h), so that all return the same exit code. Of the messages of other ranks
 * outside of rows only the last one is kept. Rank 0 prints it if it is the reason why all ranks
 * end. Usually rank 0 has found the same.
 *
 * What the rows of a chunk print goes to rank 0 as frames: the number of the stream, the number of
 * bytes, the bytes. Messages come last, as they would after the output that was written before
 * them.
 */
#include "run_ranks.h"

#include "mpi/chunks.h"
#include "mpi/deal.h"
#include "mpi/tallies.h"
#include "mpi/world.h"

#include "base/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_MESSAGE (RANKS_RECORD - 1)
#define CHUNK_BYTES    ((uint64_t)16 << 20)
enum { CHUNKS_PER_RANK = 8 };

/* An array of bytes that grows. */
typedef struct buffer {
    char *bytes;
    size_t n, capacity;
} buffer;

static struct {
    bool is_solo; /* the command does not share its rows: rank 0 runs it alone */
    char complaint[MESSAGE_LINE_BYTES]; /* of a rank other than 0, outside of rows; "": none */
    const row_pass *pass;
    uint64_t chunk_rows;
    buffer frames, messages; /* of the chunk that is running */
} run;

bool peers_are_alone(void)
{
    return the_world.size == 1 || run.is_solo;
}

const char *peers_name(void)
{
    return "more than one rank";
}

bool peers_write(void)
{
    return the_world.rank == 0;
}

bool peers_have_terminal(void)
{
    return !the_world.has_launcher;
}

const char *peers_version(void)
{
    return world_version();
}

bool peers_start(bool is_shared)
{
    run.is_solo = !is_shared;
    return is_shared || the_world.rank == 0;
}

void peers_note_progress(uint64_t done)
{
    world_note_progress(done);
}

uint64_t peers_progress(uint64_t done)
{
    return peers_are_alone() ? done : world_progress();
}

int peers_agree(const unsigned char *digest)
{
    uint64_t check = 0;
    memcpy(&check, digest, sizeof check);
    return world_meet(WORLD_START, check, EXIT_DONE, NULL);
}

const pluck_ranks *peers_get(void)
{
    return peers_are_alone() ? NULL : tallies_ranks();
}

/* A message, with its newline, outside of rows. */
static void keep_complaint(void *user, const char *line, bool is_complaint)
{
    (void)user;
    if (the_world.rank == 0 && !the_world.has_failed)
        fputs(line, stderr);
    else if (is_complaint)
        snprintf(run.complaint, sizeof run.complaint, "%s", line);
}

static void add(buffer *to, const void *bytes, size_t n)
{
    if (n > to->capacity - to->n) {
        size_t capacity = 2 * (to->n + n);
        char *larger = world_memory(capacity);
        if (to->n > 0)
            memcpy(larger, to->bytes, to->n);
        free(to->bytes);
        *to = (buffer){larger, to->n, capacity};
    }
    if (n > 0)
        memcpy(to->bytes + to->n, bytes, n);
    to->n += n;
}

static void add_frame(buffer *to, uint32_t stream, const char *bytes, size_t n)
{
    const uint64_t head[2] = {stream, n};
    add(to, head, sizeof head);
    add(to, bytes, n);
}

static void put_frames(buffer *frames)
{
    chunks_put(frames->bytes, frames->n);
    *frames = (buffer){NULL, 0, 0};
}

static bool take_piece(void *user, uint32_t stream, const char *bytes, size_t n)
{
    (void)user;
    add_frame(&run.frames, stream, bytes, n);
    if (run.frames.n >= CHUNK_PIECE_BYTES)
        put_frames(&run.frames);
    return true;
}

static void take_message(void *user, const char *line, bool is_complaint)
{
    (void)user;
    (void)is_complaint;
    add_frame(&run.messages, STREAM_MESSAGE, line, strlen(line));
}

static int run_chunk(void *user, uint64_t chunk)
{
    const row_pass *pass = user;
    uint64_t first = pass->first + chunk * run.chunk_rows;
    uint64_t end = pass->end - first < run.chunk_rows ? pass->end : first + run.chunk_rows;
    message_sink old = message_divert((message_sink){.take = take_message});
    int code = ranks_capture(pass, first, end, &(ranks_sink){.take = take_piece});
    (void)message_divert(old);
    if (run.frames.n > 0)
        put_frames(&run.frames);
    if (run.messages.n > 0)
        put_frames(&run.messages);
    return code;
}

/* Rank 0: what the outputs have goes out before a message that ends the run. */
static int say_line(const row_pass *pass, const char *line, size_t n)
{
    for (size_t i = 0; i < pass->n_outs; i++)
        output_flush(&pass->outs[i]);
    fwrite(line, 1, n, stderr);
    return EXIT_DONE;
}

static int play_frames(const row_pass *pass, const char *bytes, size_t n)
{
    uint64_t head[2];
    for (size_t at = 0; at < n;) {
        memcpy(head, bytes + at, sizeof head);
        at += sizeof head;
        int code = head[0] == STREAM_MESSAGE
                       ? say_line(pass, bytes + at, (size_t)head[1])
                       : ranks_play(pass, (uint32_t)head[0], bytes + at, (size_t)head[1]);
        if (code != EXIT_DONE)
            return code;
        at += (size_t)head[1];
    }
    for (size_t i = 0; i < pass->n_outs; i++)
        if (pass->outs[i].error != 0)
            return EXIT_SYSTEM;
    return EXIT_DONE;
}

/* Also called in the middle of a chunk, while the messages of that chunk are collected. */
static int write_frames(void *user, const char *bytes, size_t n)
{
    message_sink old = message_divert((message_sink){.take = keep_complaint});
    int code = play_frames(user, bytes, n);
    (void)message_divert(old);
    return code;
}

static uint64_t choose_chunk_rows(const row_pass *pass)
{
    uint64_t n = pass->end - pass->first, chunks = CHUNKS_PER_RANK * (uint64_t)the_world.size;
    uint64_t rows = (n + chunks - 1) / chunks;
    uint64_t most = pass->bytes_per_row > 0 ? CHUNK_BYTES / pass->bytes_per_row : rows;
    rows = rows < most ? rows : most;
    return rows > 0 ? rows : 1;
}

void peers_number(uint32_t *process, uint32_t *n_processes)
{
    *process = (uint32_t)the_world.rank;
    *n_processes = (uint32_t)the_world.size;
}

int peers_begin_pass(uint64_t check)
{
    deal_begin();
    return world_meet(WORLD_PASS, check, EXIT_DONE, NULL);
}

bool peers_take(uint64_t n, uint64_t *i)
{
    return deal_chunk(n, i);
}

void peers_stop(uint64_t i)
{
    deal_stop(i + 1);
}

int peers_settle(int code, uint64_t order, const char *message)
{
    bool is_kept = !message && the_world.rank > 0;
    return world_settle(code, order, is_kept ? run.complaint : message);
}

pluck_status peers_combine(pluck_tally *tally, pluck_error *err)
{
    return tallies_combine(tally, true, err);
}

int peers_pass(const row_pass *pass)
{
    if (peers_are_alone())
        return pass->rows(pass->user, pass->first, pass->end);
    uint64_t n = pass->end - pass->first;
    int code = peers_begin_pass(pass->first ^ pass->end << 1);
    if (code != EXIT_DONE)
        return code;
    run.pass = pass;
    run.chunk_rows = choose_chunk_rows(pass);
    code = chunks_run(&(chunk_pass){.n_chunks = (n + run.chunk_rows - 1) / run.chunk_rows,
                                    .run = run_chunk,
                                    .write = write_frames,
                                    .user = (void *)(uintptr_t)pass});
    if (code != EXIT_DONE || !pass->tally)
        return code;
    pluck_error err;
    return exit_code_of(tallies_combine(pass->tally, !pass->writer_has_tally, &err));
}

int peers_share(void *bytes, size_t n)
{
    int code = peers_are_alone() ? EXIT_DONE : world_meet(WORLD_SHARE, n, EXIT_DONE, NULL);
    if (code == EXIT_DONE)
        world_broadcast(bytes, n);
    return code;
}

int peers_begin(int *argc, char ***argv)
{
    int code = world_start(argc, argv);
    if (code == EXIT_DONE && the_world.size > 1)
        (void)message_divert((message_sink){.take = keep_complaint});
    return code;
}

int peers_end(int code)
{
    const char *message = the_world.rank > 0 && run.complaint[0] != '\0' ? run.complaint : NULL;
    if (the_world.size > 1)
        code = world_meet(WORLD_END, 0, code, message);
    world_end();
    return code;
}
