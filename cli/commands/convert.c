/*
 * pluck convert: the rows of a dump, as they are, into a file of another format or type. One row is
 * in memory at a time. Of processes that share the rows one writes them all: a record is the target
 * and the values of a row, little-endian and of the type that is written. But if rows have places
 * in the file, each rank of pluck-mpi writes its own into the one unfinished file.
 */
#include "input.h"
#include "run_files.h"
#include "run_ranks.h"
#include "setup.h"

#include "base/bytes.h"
#include "base/platform_file.h"
#include "base/platform_program.h"

#include <pluck/dump.h>

#include <stdlib.h>
#include <string.h>

typedef struct convert_flags {
    call call;
    input_flags input;
    const char *rows, *targets, *targets_out, *output;
    int to, to_dtype;
} convert_flags;

#define RELEASE_INTERVAL 64 /* rows after which pages of the dump are given back */

enum { TO_AUTO, TO_NPY, TO_SAFETENSORS, TO_JSONL };
enum { TO_DTYPE_SAME, TO_DTYPE_F32, TO_DTYPE_F16, TO_DTYPE_BF16 };

typedef struct conversion {
    const convert_flags *flags;
    const char *name; /* of the dump, in messages */
    source src;
    targets known;
    uint64_t first, end; /* a stream may end before */
    uint64_t n_copied;
    pluck_dtype dtype;   /* of the values that are written */
    unsigned char *made; /* a record */
    float *taken;        /* the values of one */
    pluck_dump_writer *writer;
    bool is_direct; /* every process writes its rows */
    int unfinished[2];
    progress bar;
} conversion;

enum { TARGET_BYTES = 4, PATH_BYTES = 4096 };

/* What the process that has made the files tells the others. */
typedef struct unfinished_paths {
    bool is_direct, has_targets;
    char rows[PATH_BYTES], targets[PATH_BYTES];
} unfinished_paths;

static int choose_format(const convert_flags *flags, pluck_dump_format *format)
{
    static const pluck_dump_format formats[] = {PLUCK_DUMP_AUTO, PLUCK_DUMP_NPY,
                                                PLUCK_DUMP_SAFETENSORS, PLUCK_DUMP_JSONL};
    static const char *const endings[] = {NULL, ".npy", ".safetensors", ".jsonl"};
    int chosen = flags->to;
    const char *ending = strrchr(flags->output, '.');
    for (int i = TO_NPY; chosen == TO_AUTO && ending && i <= TO_JSONL; i++)
        if (strcmp(ending, endings[i]) == 0)
            chosen = i;
    if (chosen == TO_AUTO)
        return complain(
            EXIT_USAGE,
            "-o %s: does not end in .npy, .safetensors or .jsonl; --to says what to write",
            flags->output);
    *format = formats[chosen];
    return EXIT_DONE;
}

/* A descriptor of a pipe, which has a reader then; else -1. */
static int open_door(const char *path)
{
    plk_file_info info;
    int door = -1;
    if (path && plk_path_info(path, &info) == 0 && info.kind == PLK_FILE_PIPE)
        (void)plk_file_open(path, PLK_OPEN_WRITE, &door);
    return door;
}

/* The files of the writer, if rows have places in them. */
static void find_paths(conversion *c, unfinished_paths *paths)
{
    const char *paths_of[] = {pluck_dump_writer_temporary(c->writer, 0),
                              pluck_dump_writer_temporary(c->writer, 1)};
    char *const to[] = {paths->rows, paths->targets};
    paths->has_targets = paths_of[1] != NULL;
    paths->is_direct = paths_of[0] && pluck_dump_writer_seek(c->writer, 0, NULL) == PLUCK_OK;
    for (size_t i = 0; i < 2 && paths->is_direct && paths_of[i]; i++) {
        size_t n = strlen(paths_of[i]);
        paths->is_direct = n < PATH_BYTES;
        memcpy(to[i], paths_of[i], n < PATH_BYTES ? n + 1 : 0);
    }
}

/* All processes write into the files that one of them has made. */
static int join_writer(conversion *c, const pluck_dump_writer_options *options)
{
    unfinished_paths paths = {.is_direct = false};
    pluck_error err;
    if (c->writer)
        find_paths(c, &paths);
    int code = peers_share(&paths, sizeof paths);
    c->is_direct = paths.is_direct;
    if (code != EXIT_DONE || !c->is_direct || c->writer)
        return code;
    const char *const temporary[] = {paths.rows, paths.has_targets ? paths.targets : NULL};
    pluck_status status =
        pluck_dump_writer_join(&c->writer, c->flags->output, temporary, options, &err);
    return complain_error(status, &err);
}

static int create_writer(conversion *c, const pluck_dump_writer_options *options)
{
    const convert_flags *flags = c->flags;
    pluck_error err;
    /* Opening a pipe waits for its reader, perhaps for ever: not while signals wait. */
    const int doors[2] = {open_door(flags->output), open_door(flags->targets_out)};
    plk_signals_hold(true);
    pluck_status status = pluck_dump_writer_create(&c->writer, flags->output, options, &err);
    for (unsigned i = 0; i < 2 && status == PLUCK_OK; i++) {
        const char *path = pluck_dump_writer_temporary(c->writer, i);
        c->unfinished[i] = path ? unfinished_add(path) : -1;
    }
    plk_signals_hold(false);
    for (size_t i = 0; i < 2; i++)
        if (doors[i] >= 0)
            (void)plk_file_close(doors[i]);
    return complain_error(status, &err);
}

static int open_writer(conversion *c, pluck_dump_format format)
{
    const convert_flags *flags = c->flags;
    bool is_known = c->end != PLUCK_DUMP_ROWS_UNKNOWN;
    bool is_whole = c->src.info.n_axes > 1 && c->first == 0 && c->end == c->src.info.n_rows;
    pluck_dump_writer_options options = {
        .struct_size = sizeof options,
        .format = format,
        .dtype = c->dtype,
        .n_vocab = c->src.info.n_vocab,
        .n_rows = is_known && c->src.info.n_rows != PLUCK_DUMP_ROWS_UNKNOWN
                      ? c->end - c->first
                      : PLUCK_DUMP_ROWS_UNKNOWN,
        .row_axes = is_whole ? c->src.info.axes : NULL,
        .n_row_axes = is_whole ? c->src.info.n_axes - 1 : 0,
        .tensor = flags->input.tensor,
        .targets_path = flags->targets_out,
    };
    if (is_known && c->end == c->first)
        return complain(EXIT_DATA, "%s: --rows %s names none of its rows", c->name, flags->rows);
    if (flags->targets_out && !c->known.is_known)
        return complain(EXIT_DATA, "%s: has no targets to write to %s; give them with --targets",
                        c->name, flags->targets_out);
    int code = ranks_writes() ? create_writer(c, &options) : EXIT_DONE;
    return code == EXIT_DONE && ranks_write_together() ? join_writer(c, &options) : code;
}

static int write_row(conversion *c, const pluck_dump_row *row)
{
    pluck_error err;
    pluck_status status = pluck_dump_writer_write(c->writer, row, &err);
    if (status != PLUCK_OK)
        progress_clear(&c->bar);
    return complain_error(status, &err);
}

static size_t record_bytes(const conversion *c)
{
    return TARGET_BYTES + c->src.info.n_vocab * pluck_dtype_size_bytes(c->dtype);
}

static int hand_on_row(conversion *c, const pluck_dump_row *row)
{
    plk_byte_writer made = plk_byte_writer_make(c->made, TARGET_BYTES);
    plk_put_u32(&made, (uint32_t)row->target);
    plk_store(row->logits.data, row->logits.dtype, row->logits.n_vocab, c->dtype,
              c->made + TARGET_BYTES);
    return ranks_record(c->made, record_bytes(c));
}

/* A row that was handed on. */
static int take_row(void *user, const char *bytes, size_t n)
{
    conversion *c = user;
    pluck_dump_row row = PLUCK_INIT(pluck_dump_row);
    plk_byte_reader in = {(const unsigned char *)bytes, n, false};
    if (n != record_bytes(c))
        return complain(EXIT_DATA, "a row of %zu bytes was handed on; expected %zu", n,
                        record_bytes(c));
    row.target = (pluck_token)plk_take_u32(&in);
    row.logits = (pluck_logits){c->taken, c->dtype, c->src.info.n_vocab};
    plk_convert(in.bytes, pluck_dtype_size_bytes(c->dtype), row.logits.n_vocab,
                (plk_stored_type)c->dtype, plk_is_swapped(true), c->taken);
    return write_row(c, &row);
}

static int copy_row(conversion *c, uint64_t row, bool *has_ended)
{
    pluck_dump_row read = PLUCK_INIT(pluck_dump_row);
    pluck_error err;
    pluck_status status = pluck_dump_read(c->src.dump, row, c->src.scratch, &read, &err);
    *has_ended = status == PLUCK_OK && !read.logits.data;
    if (status == PLUCK_OK && !*has_ended)
        status = targets_get(&c->known, row, &read, &read.target, &err);
    if (status != PLUCK_OK) {
        progress_clear(&c->bar);
        return complain_error(status, &err);
    }
    if (*has_ended)
        return EXIT_DONE;
    return ranks_hand_on() && !c->is_direct ? hand_on_row(c, &read) : write_row(c, &read);
}

static int copy_rows(void *user, uint64_t first, uint64_t end)
{
    conversion *c = user;
    pluck_error err;
    bool has_ended = false;
    int code = EXIT_DONE;
    if (c->is_direct)
        code = complain_error(pluck_dump_writer_seek(c->writer, first - c->first, &err), &err);
    for (uint64_t row = first; code == EXIT_DONE && !has_ended && row < end; row++) {
        code = copy_row(c, row, &has_ended);
        c->n_copied += !has_ended;
        if (row % RELEASE_INTERVAL == 0)
            pluck_dump_release(c->src.dump, row);
        progress_update(&c->bar, c->n_copied);
    }
    return code;
}

/* The rows, all or those of this process. */
static int share_rows(conversion *c)
{
    bool is_known = c->end != PLUCK_DUMP_ROWS_UNKNOWN;
    size_t value_bytes = pluck_dtype_size_bytes(c->src.info.dtype);
    row_pass pass = {.first = c->first,
                     .end = c->end,
                     .bytes_per_row = c->src.info.n_vocab * value_bytes,
                     .rows = copy_rows,
                     .record = take_row,
                     .user = c};
    c->made = malloc(record_bytes(c));
    c->taken = malloc(c->src.info.n_vocab * sizeof *c->taken);
    if (!c->made || !c->taken)
        return complain_memory();
    progress_start(&c->bar, is_known ? ranks_count(c->end - c->first) : 0, NULL);
    c->bar.unit = "rows";
    int code = ranks_pass(&pass);
    progress_clear(&c->bar);
    if (code == EXIT_DONE && ranks_are_alone() && c->n_copied == 0)
        code =
            complain(EXIT_DATA, "%s: ended before row %llu", c->name, (unsigned long long)c->first);
    return code;
}

static int convert(conversion *c, pluck_dump_format format)
{
    const convert_flags *flags = c->flags;
    row_range range;
    pluck_error err;
    int code = rows_read(flags->rows, &range);
    if (code == EXIT_DONE)
        code = source_open(&flags->input, flags->call.words[0], &c->src);
    if (code == EXIT_DONE)
        code = targets_open(&c->known, flags->targets, &c->src, c->name);
    if (code == EXIT_DONE)
        code = rows_resolve(&range, c->src.info.n_rows, c->name, &c->first, &c->end);
    const pluck_dtype dtypes[] = {c->src.info.dtype, PLUCK_F32, PLUCK_F16, PLUCK_BF16};
    c->dtype = dtypes[flags->to_dtype];
    if (code == EXIT_DONE)
        code = open_writer(c, format);
    if (code == EXIT_DONE)
        code = share_rows(c);
    /* The others first: the file gets its name when all rows are on the disk. */
    if (code == EXIT_DONE && c->is_direct && !ranks_writes())
        code = complain_error(pluck_dump_writer_finish(c->writer, &err), &err);
    if (code == EXIT_DONE && c->is_direct)
        code = peers_settle(code, 0, NULL);
    if (code != EXIT_DONE || !ranks_writes())
        return code;
    return complain_error(pluck_dump_writer_finish(c->writer, &err), &err);
}

static int run(const void *given)
{
    const convert_flags *flags = given;
    conversion c = {
        .flags = flags, .name = source_name(flags->call.words[0]), .unfinished = {-1, -1}};
    pluck_dump_format format = PLUCK_DUMP_AUTO;
    int code = flags->output
                   ? choose_format(flags, &format)
                   : complain(EXIT_USAGE,
                              "-o FILE is missing: the file to write to; - is standard output");
    if (code == EXIT_DONE)
        code = convert(&c, format);
    pluck_dump_writer_destroy(&c.writer);
    for (size_t i = 0; i < 2; i++)
        unfinished_remove(c.unfinished[i]);
    targets_close(&c.known);
    source_close(&c.src);
    free(c.made);
    free(c.taken);
    return code;
}

static const flag flags[] = {
    FLAG_TITLE("Writing"),
    {FLAG(OUTPUT, "output", convert_flags, output), .letter = 'o',
     .help = "write to FILE, which appears only when it is complete; - is standard output"},
    {FLAG(CHOICE, "to", convert_flags, to), .value = "auto|npy|safetensors|jsonl",
     .help = "output format (default: auto, from the name of the output)"},
    {FLAG(CHOICE, "to-dtype", convert_flags, to_dtype), .value = "same|f32|f16|bf16",
     .help = "type of the values that are written (default: same, that of the dump)"},
    FLAG_GROUP(rows_flag, convert_flags, rows),
    {FLAG(OUTPUT, "targets-out", convert_flags, targets_out),
     .help = "also write the targets to FILE: .npy of int32, -1 where a row has none"},
    FLAG_GROUP(quiet_flag, convert_flags, call),
    FLAG_GROUP(shard_group, convert_flags, call.shard),
    FLAG_TITLE("Targets"),
    FLAG_GROUP(targets_flag, convert_flags, targets),
    FLAG_GROUP(input_group, convert_flags, input),
    FLAG_END,
};

const command convert_command = {
    .name = "convert",
    .synopsis = "DUMP -o FILE [options]",
    .summary = "write a dump in another format or type",
    .about = "Reads rows of any dump and writes them as .npy, .safetensors or JSON lines, in "
             "constant memory. Values of another type are rounded to the nearest; bfloat16 in "
             ".npy is stored as <V2. JSON lines hold the target of each row as well, and -inf as "
             "null.",
    .usual = "output to to-dtype rows targets-out",
    COMMAND_FLAGS(flags, convert_flags),
    .examples = {"pluck convert logits.npy -o small.npy --to-dtype f16",
                 "pluck convert logits.npy -o rows.jsonl --rows 0:4 --targets targets.npy",
                 "pluck convert logits.raw --vocab-size 512 -o logits.safetensors",
                 "pluck convert logits.npy --to jsonl --rows 0 -o - | pluck sample -"},
    COMMAND_WORDS(1, 1, "DUMP"),
    .words_are_inputs = true,
    .run = run,
};
