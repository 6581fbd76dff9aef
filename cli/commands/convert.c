/*
 * pluck convert: the rows of a dump, as they are, into a file of another format or type. One row is
 * in memory at a time.
 */
#include "commands.h"
#include "output.h"
#include "progress.h"
#include "row_targets.h"
#include "rows.h"
#include "setup.h"
#include "unfinished.h"

#include <pluck/dump.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RELEASE_INTERVAL 64 /* rows after which pages of the dump are given back */

enum { TO_AUTO, TO_NPY, TO_SAFETENSORS, TO_JSONL };
enum { TO_DTYPE_SAME, TO_DTYPE_F32, TO_DTYPE_F16, TO_DTYPE_BF16 };

typedef struct conversion {
    const arguments *args;
    const char *name; /* of the dump, in messages */
    source src;
    targets known;
    uint64_t first, end;
    pluck_dump_writer *writer;
    int unfinished[2];
    progress bar;
} conversion;

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

static int choose_format(const arguments *args, pluck_dump_format *format)
{
    static const pluck_dump_format formats[] = {PLUCK_DUMP_AUTO, PLUCK_DUMP_NPY,
                                                PLUCK_DUMP_SAFETENSORS, PLUCK_DUMP_JSONL};
    static const char *const endings[] = {NULL, ".npy", ".safetensors", ".jsonl"};
    int chosen = args->to;
    for (int i = TO_NPY; chosen == TO_AUTO && i <= TO_JSONL; i++)
        if (ends_with(args->output, endings[i]))
            chosen = i;
    if (chosen == TO_AUTO)
        return complain(args->who, EXIT_USAGE,
                        "-o %s: ends in none of .npy, .safetensors and .jsonl; --to says what to "
                        "write",
                        args->output);
    *format = formats[chosen];
    return EXIT_DONE;
}

static int check_arguments(const arguments *args)
{
    return args->output ? EXIT_DONE
                        : complain(args->who, EXIT_USAGE,
                                   "-o FILE is missing: where to write; - is standard output");
}

/* A descriptor of a pipe, which has a reader then; else -1. */
static int open_door(const char *path)
{
    struct stat info;
    return path && stat(path, &info) == 0 && S_ISFIFO(info.st_mode)
               ? open(path, O_WRONLY | O_CLOEXEC)
               : -1;
}

static int open_writer(conversion *c, pluck_dump_format format)
{
    const arguments *args = c->args;
    bool is_known = c->end != PLUCK_DUMP_ROWS_UNKNOWN;
    bool is_whole = c->src.info.n_axes > 1 && c->first == 0 && c->end == c->src.info.n_rows;
    const pluck_dtype dtypes[] = {c->src.info.dtype, PLUCK_F32, PLUCK_F16, PLUCK_BF16};
    pluck_dump_writer_options options = {
        .format = format,
        .dtype = dtypes[args->to_dtype],
        .n_vocab = c->src.info.n_vocab,
        .n_rows = is_known && c->src.info.n_rows != PLUCK_DUMP_ROWS_UNKNOWN
                      ? c->end - c->first
                      : PLUCK_DUMP_ROWS_UNKNOWN,
        .row_axes = is_whole ? c->src.info.axes : NULL,
        .n_row_axes = is_whole ? c->src.info.n_axes - 1 : 0,
        .tensor = args->tensor,
        .targets_path = args->targets_out,
    };
    pluck_error err;
    if (is_known && c->end == c->first)
        return complain(args->who, EXIT_DATA, "%s: --rows %s names none of its rows", c->name,
                        args->rows);
    if (args->targets_out && !c->known.is_known)
        return complain(args->who, EXIT_DATA,
                        "%s: has no targets to write to %s; --targets gives some", c->name,
                        args->targets_out);
    /* Opening a pipe waits for its reader, perhaps for ever: not while signals wait. */
    const int doors[2] = {open_door(args->output), open_door(args->targets_out)};
    unfinished_hold_signals(true);
    pluck_status status = pluck_dump_writer_create(&c->writer, args->output, &options, &err);
    for (unsigned i = 0; i < 2 && status == PLUCK_OK; i++) {
        const char *path = pluck_dump_writer_temporary(c->writer, i);
        c->unfinished[i] = path ? unfinished_add(path) : -1;
    }
    unfinished_hold_signals(false);
    for (size_t i = 0; i < 2; i++)
        if (doors[i] >= 0)
            close(doors[i]);
    if (status != PLUCK_OK)
        return complain(args->who, exit_code_of(status), "%s", err.message);
    return EXIT_DONE;
}

static int copy_row(conversion *c, uint64_t row, bool *has_ended)
{
    pluck_dump_row read;
    pluck_error err;
    pluck_status status = pluck_dump_read_row(c->src.dump, row, c->src.scratch, &read, &err);
    *has_ended = status == PLUCK_OK && !read.logits.data;
    if (status == PLUCK_OK && !*has_ended) {
        int code = targets_get(&c->known, row, &read, &read.target);
        if (code != EXIT_DONE)
            return code;
        status = pluck_dump_writer_write(c->writer, &read, &err);
    }
    if (status == PLUCK_OK)
        return EXIT_DONE;
    progress_clear(&c->bar);
    return complain(c->args->who, exit_code_of(status), "%s", err.message);
}

static int copy_rows(conversion *c)
{
    output nowhere = {.is_terminal = false};
    bool is_known = c->end != PLUCK_DUMP_ROWS_UNKNOWN;
    bool has_ended = false;
    int code = EXIT_DONE;
    progress_start(&c->bar, is_known ? c->end - c->first : 0, c->args->quiet, &nowhere);
    c->bar.unit = "rows";
    uint64_t row = c->first;
    for (; code == EXIT_DONE && !has_ended && row < c->end; row += !has_ended) {
        code = copy_row(c, row, &has_ended);
        if (row % RELEASE_INTERVAL == 0)
            pluck_dump_release(c->src.dump, row);
        progress_update(&c->bar, row - c->first + 1);
    }
    progress_clear(&c->bar);
    if (code == EXIT_DONE && row == c->first)
        code = complain(c->args->who, EXIT_DATA, "%s: ended before row %llu", c->name,
                        (unsigned long long)c->first);
    return code;
}

static int convert(conversion *c, pluck_dump_format format)
{
    const arguments *args = c->args;
    row_range range;
    pluck_error err;
    if (!rows_parse(args->rows, &range))
        return complain(args->who, EXIT_USAGE, "--rows: '%s' is not a range; 3, 3:7, 3: and :7 are",
                        args->rows);
    int code = source_open(args, args->words[0], &c->src);
    if (code == EXIT_DONE)
        code = targets_open(&c->known, args, &c->src, c->name);
    if (code == EXIT_DONE)
        code = rows_resolve(&range, c->src.info.n_rows, args->who, c->name, &c->first, &c->end);
    if (code == EXIT_DONE)
        code = open_writer(c, format);
    if (code == EXIT_DONE)
        code = copy_rows(c);
    if (code != EXIT_DONE)
        return code;
    pluck_status status = pluck_dump_writer_finish(c->writer, &err);
    return status == PLUCK_OK ? EXIT_DONE
                              : complain(args->who, exit_code_of(status), "%s", err.message);
}

int cmd_convert(const arguments *args)
{
    conversion c = {.args = args, .name = source_name(args->words[0]), .unfinished = {-1, -1}};
    pluck_dump_format format = PLUCK_DUMP_AUTO;
    int code = check_arguments(args);
    if (code == EXIT_DONE)
        code = choose_format(args, &format);
    if (code == EXIT_DONE)
        code = convert(&c, format);
    pluck_dump_writer_destroy(&c.writer);
    for (size_t i = 0; i < 2; i++)
        unfinished_remove(c.unfinished[i]);
    targets_close(&c.known);
    source_close(&c.src);
    return code;
}
