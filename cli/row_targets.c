/* A file comes before what a dump holds: who names one wants it. */
#include "row_targets.h"

#include <string.h>

static int check_count(const targets *t, const source *src, const char *dump_name)
{
    uint64_t n = pluck_targets_count(t->file);
    if (src->info.n_rows == PLUCK_DUMP_ROWS_UNKNOWN || src->info.n_rows == n) {
        const uint64_t *axes = NULL;
        plk_shape of_targets = {.n_axes = pluck_targets_axes(t->file, &axes)};
        plk_shape of_rows = source_shape(&src->info);
        memcpy(of_targets.axes, axes, of_targets.n_axes * sizeof *axes);
        return source_check_shape(t->args, dump_name, &of_rows, t->name, &of_targets);
    }
    return complain(t->args->who, EXIT_DATA, "%s: has %llu targets, but %s has %llu rows", t->name,
                    (unsigned long long)n, dump_name, (unsigned long long)src->info.n_rows);
}

int targets_open(targets *t, const arguments *args, const source *src, const char *dump_name)
{
    memset(t, 0, sizeof *t);
    t->args = args;
    t->n_vocab = src->info.n_vocab;
    t->is_known = args->targets || src->info.has_targets;
    t->name = dump_name;
    if (!args->targets && src->info.has_targets && src->info.n_tensors > 0 && !args->quiet)
        complain(args->who, EXIT_DONE, "%s: the targets are those in the file", dump_name);
    if (!args->targets)
        return EXIT_DONE;
    t->name = source_name(args->targets);
    pluck_error err;
    pluck_status status = pluck_targets_open(&t->file, args->targets, NULL, &err);
    if (status != PLUCK_OK)
        return complain(args->who, exit_code_of(status), "%s", err.message);
    int code = check_count(t, src, dump_name);
    if (code != EXIT_DONE)
        targets_close(t);
    return code;
}

void targets_close(targets *t)
{
    pluck_targets_destroy(&t->file);
}

int targets_get(const targets *t, uint64_t row, const pluck_dump_row *read, pluck_token *token)
{
    pluck_error err;
    *token = read->target;
    if (!t->file)
        return EXIT_DONE;
    if (row >= pluck_targets_count(t->file))
        return complain(t->args->who, EXIT_DATA, "%s: ends after %llu targets; row %llu has none",
                        t->name, (unsigned long long)pluck_targets_count(t->file),
                        (unsigned long long)row);
    pluck_status status = pluck_targets_read(t->file, row, 1, token, &err);
    if (status != PLUCK_OK)
        return complain(t->args->who, exit_code_of(status), "%s", err.message);
    if (*token != PLUCK_NO_TOKEN && (uint32_t)*token >= t->n_vocab)
        return complain(t->args->who, EXIT_DATA,
                        "%s: target %llu is %d, outside the vocabulary of %u tokens", t->name,
                        (unsigned long long)row, (int)*token, (unsigned)t->n_vocab);
    return EXIT_DONE;
}
