/* The processes of a run of pluck: one. See pluck-mpi for more. */
#include "run_ranks.h"

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

int peers_end(int code)
{
    return code;
}
