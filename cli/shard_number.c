/* Which shard a process does: what --shard says, or the variables of a job array. */
#include "run_ranks.h"

#include <stdlib.h>
#include <string.h>

static int read_variable(const char *name, uint64_t *value)
{
    const char *text = getenv(name);
    if (!text)
        return complain(EXIT_USAGE,
                        "--shard slurm: the variable %s is not set; start the command in a job "
                        "array, such as sbatch --array=0-63",
                        name);
    if (parse_count(text, 0, UINT32_MAX - 1, value))
        return EXIT_DONE;
    return complain(EXIT_USAGE, "--shard slurm: %s is '%s', which is not a whole number", name,
                    text);
}

/* The task of a job array whose numbers have no gaps. */
static int read_slurm(uint32_t *shard, uint32_t *n_shards)
{
    uint64_t id = 0, min = 0, max = 0, count = 0;
    int code = read_variable("SLURM_ARRAY_TASK_ID", &id);
    if (code == EXIT_DONE)
        code = read_variable("SLURM_ARRAY_TASK_MIN", &min);
    if (code == EXIT_DONE)
        code = read_variable("SLURM_ARRAY_TASK_MAX", &max);
    if (code == EXIT_DONE)
        code = read_variable("SLURM_ARRAY_TASK_COUNT", &count);
    if (code != EXIT_DONE)
        return code;
    if (max < min || max - min + 1 != count)
        return complain(EXIT_USAGE,
                        "--shard slurm: the job array has %llu tasks from %llu to %llu; expected "
                        "one without gaps and steps, such as --array=0-63. To run single shards "
                        "again, name them: --shard I/N",
                        (unsigned long long)count, (unsigned long long)min,
                        (unsigned long long)max);
    if (id < min || id > max)
        return complain(EXIT_USAGE, "--shard slurm: the task %llu is not from %llu to %llu",
                        (unsigned long long)id, (unsigned long long)min, (unsigned long long)max);
    *shard = (uint32_t)(id - min);
    *n_shards = (uint32_t)count;
    return EXIT_DONE;
}

int ranks_read_shard(const char *text, uint32_t *shard, uint32_t *n_shards)
{
    char first[24] = "";
    uint64_t number = 0, count = 0;
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : sizeof first;
    if (strcmp(text, "slurm") == 0)
        return read_slurm(shard, n_shards);
    if (n < sizeof first) {
        memcpy(first, text, n);
        if (parse_count(slash + 1, 1, UINT32_MAX, &count) &&
            parse_count(first, 0, count - 1, &number)) {
            *shard = (uint32_t)number;
            *n_shards = (uint32_t)count;
            return EXIT_DONE;
        }
    }
    return complain(EXIT_USAGE,
                    "--shard: '%s' is not a shard; expected I/N, such as 0/4 to 3/4, or slurm",
                    text);
}
