/* The processes of a run of pluck: one. See pluck-mpi for more. */
#include "run_ranks.h"

#include <stdio.h>

bool peers_are_alone(void)
{
    return true;
}

const char *peers_name(void)
{
    return "one process";
}

bool peers_write(void)
{
    return true;
}

const pluck_ranks *peers_get(void)
{
    return NULL;
}

int peers_pass(const row_pass *pass)
{
    return pass->rows(pass->user, pass->first, pass->end);
}

/* The part that comes next. */
static uint64_t next_part;

int peers_begin_pass(uint64_t check)
{
    (void)check;
    next_part = 0;
    return EXIT_DONE;
}

bool peers_take(uint64_t n, uint64_t *i)
{
    *i = next_part;
    return next_part < n && next_part++ < n;
}

void peers_stop(uint64_t i)
{
    (void)i;
    next_part = UINT64_MAX;
}

int peers_settle(int code, uint64_t order, const char *message)
{
    (void)order;
    if (code != EXIT_DONE && message)
        fputs(message, stderr);
    return code;
}

pluck_status peers_combine(pluck_tally *tally, pluck_error *err)
{
    (void)tally;
    (void)err;
    return PLUCK_OK;
}

void peers_number(uint32_t *process, uint32_t *n_processes)
{
    *process = 0;
    *n_processes = 1;
}

const char *peers_version(void)
{
    return NULL;
}

bool peers_have_terminal(void)
{
    return true;
}

int peers_begin(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    return EXIT_DONE;
}

bool peers_start(bool is_shared)
{
    (void)is_shared;
    return true;
}

int peers_agree(const unsigned char *digest)
{
    (void)digest;
    return EXIT_DONE;
}

int peers_share(void *bytes, size_t n)
{
    (void)bytes;
    (void)n;
    return EXIT_DONE;
}

void peers_note_progress(uint64_t done)
{
    (void)done;
}

uint64_t peers_progress(uint64_t done)
{
    return done;
}

int peers_end(int code)
{
    return code;
}
