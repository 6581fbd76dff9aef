/*
 * How the rows of a run are shared among processes: by --shard and pluck merge through files, by
 * pluck-mpi through messages. A command does not know how its rows are shared. It is a sequence of
 * passes over rows that depends only on its arguments and on the results of its passes, so that
 * every process can run it as it is:
 *
 *   alone       a pass does its rows
 *   --shard     the first pass whose result is not known does the rows of the shard, and what they
 *               gave becomes a partial; the command ends there
 *   pluck merge a pass gets its results from the partials; the command goes on to its end, or to a
 *               pass that is not known: what is known becomes a plan for the next round of shards
 *   pluck-mpi   the processes divide the rows of each pass
 *
 * There is one run per process: the functions have their own state.
 */
#ifndef CLI_RUN_RANKS_H
#define CLI_RUN_RANKS_H

#include "flags.h"

#include <pluck/ranks.h>

/* Whether this process does all rows by itself; and, if not, the name of the reason for messages:
 * "--shard", ... */
bool ranks_are_alone(void);
const char *ranks_name(void);

/* Whether this process prints results and writes outputs. If not, an output_open() opens nothing,
 * and what is written outside of passes is dropped. */
bool ranks_writes(void);

/* Whether the processes run at the same time, and can write into one file. */
bool ranks_write_together(void);

/* Whether a random seed can be the same for all processes of the run. */
bool ranks_share_seed(void);

/* For the passes of the library; NULL: alone. */
const pluck_ranks *ranks_get(void);

/* A pass of the command's own. One that prints comes after all passes whose results the command
 * needs, or goes together with the last one: nothing is printed before everything is known. */
typedef struct row_pass {
    uint64_t first, end; /* the rows; end may be PLUCK_DUMP_ROWS_UNKNOWN only if alone */

    /* Rows of the passes before and after this one that go together with it, because none of them
     * needs a result of another: their sum is what is divided into shards. */
    uint64_t n_before, n_after;

    uint64_t bytes_per_row; /* of the input; 0: not known */
    pluck_tally *tally;     /* empty; afterwards of all rows. NULL: the pass has no tally */
    bool writer_has_tally;  /* and only where ranks_writes(); elsewhere it may stay empty */
    output *outs;           /* [n_outs] what rows() prints to */
    size_t n_outs;

    /* Does rows first to end - 1, and prints in their order. Called for ascending parts of the
     * rows. */
    int (*rows)(void *user, uint64_t first, uint64_t end);

    /* Takes what rows() gives to ranks_record(), in the same order, where results are written.
     * NULL: rows() does not call it. */
    int (*record)(void *user, const char *bytes, size_t n);
    void *user;
} row_pass;

/* Does the pass, or finds its results. A pass over no rows does nothing. */
int ranks_pass(const row_pass *pass);

/* Within rows(): hands on n bytes for record(). Another code than EXIT_DONE ends the rows. */
int ranks_record(const void *bytes, size_t n);

/* Within rows(): whether what ranks_record() takes is kept or sent. If not, it calls record() at
 * once, and a command may as well do what record() does. */
bool ranks_hand_on(void);

/* How many of n rows this process does, for progress; 0: not known. */
uint64_t ranks_count(uint64_t n);

/* Adds to what this run is, before its first pass: bytes that its results depend on, and that are
 * neither the value of a flag nor the content of a file. */
int ranks_identify(const char *name, const void *bytes, size_t n);

/* Around the command: command_run() and command_replay() call these. code: of the command. Returns
 * the exit code of the process. */
int ranks_start(const call *c);
int ranks_start_replay(const call *c);
int ranks_end(int code);

/* Before a replay: the partials of all shards of one run, in their order, which must outlive the
 * replay, and where to write the plan of the next round, or NULL. */
struct partial;
void ranks_merge(struct partial *const *partials, size_t n, const char *plan_out);

/* What the value of --shard means. */
int ranks_read_shard(const char *text, uint32_t *shard, uint32_t *n_shards);

/*
 * For processes that hand their results to others.
 */

/* Takes what rows print, stream i from outs[i], or one whole record, stream RANKS_RECORD. Pieces of
 * text have up to 64 KiB. false: it failed, and is not called again. */
#define RANKS_RECORD UINT32_MAX
typedef struct ranks_sink {
    bool (*take)(void *user, uint32_t stream, const char *bytes, size_t n);
    void *user;
} ranks_sink;

/* The take of a sink that writes a partial; user is the partial_writer. */
bool ranks_put_piece(void *writer, uint32_t stream, const char *bytes, size_t n);

/* Does rows first to end - 1 of the pass, whose outputs and records go to the sink. EXIT_SYSTEM
 * without complain() if the sink failed. */
int ranks_capture(const row_pass *pass, uint64_t first, uint64_t end, const ranks_sink *sink);

/* Gives a piece to the output or record() of the pass that it is for. */
int ranks_play(const row_pass *pass, uint32_t stream, const char *bytes, size_t n);

/* Whether no output of the pass has failed. */
bool ranks_can_write(const row_pass *pass);

/* Ends the run with this exit code of the process. What the command writes or prints from then on
 * is dropped. Returns EXIT_SYSTEM, with which the command has to end. */
int ranks_end_run(int code);

/* The bytes of pluck_tally_put(), of malloc(). NULL: memory ran out. */
void *ranks_tally_bytes(const pluck_tally *tally, size_t *n);

/*
 * The processes of this run: ranks_one.c has one, and pluck-mpi another file in its place. Asked
 * unless there are shards.
 */
bool peers_are_alone(void);
const char *peers_name(void);
bool peers_write(void);
const pluck_ranks *peers_get(void);
int peers_pass(const row_pass *pass);

/*
 * For passes whose parts are dealt to the processes one by one. All processes begin the pass, with
 * a number that must be the same for all, and settle after it.
 */
int peers_begin_pass(uint64_t check);

/* Gives this process its next part of parts 0 to n - 1, in ascending order; returns false when all
 * parts have been given out, or when a part before the next one has failed. */
bool peers_take(uint64_t n, uint64_t *i);
void peers_stop(uint64_t i);

/* Waits for all processes. If any of them has failed (a code other than EXIT_DONE), all return the
 * code of the one with the lowest order, and its message, a line, is printed; NULL: it was printed
 * before. */
int peers_settle(int code, uint64_t order, const char *message);

/* Merges the tallies of all processes into that of each. */
pluck_status peers_combine(pluck_tally *tally, pluck_error *err);

/* The number of this process, and how many processes there are. */
void peers_number(uint32_t *process, uint32_t *n_processes);

/* "Open MPI v4.1.4"; NULL: there is only one process. */
const char *peers_version(void);

/* Whether a terminal at a standard stream is the one of the user. The launcher of MPI may give a
 * rank a terminal of its own. */
bool peers_have_terminal(void);

/* At the beginning and the end of the program, around everything else. code: of the program;
 * peers_end() returns the exit code of all processes. */
int peers_begin(int *argc, char ***argv);
int peers_end(int code);

/* Before a command runs: whether this process takes part. If the command does not share its rows,
 * only one does. */
bool peers_start(bool is_shared);

/* Whether the facts of the run (facts.h) have the same digest in all processes. */
int peers_agree(const unsigned char *digest);

/* Gives all processes the n bytes of one of them. */
int peers_share(void *bytes, size_t n);

/* How much this process has done, in the unit of the progress; and how much all processes have
 * done. */
void peers_note_progress(uint64_t done);
uint64_t peers_progress(uint64_t done);

#endif
