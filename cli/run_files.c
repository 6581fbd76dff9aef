/*
 * Two paths are the same file if the system says so, or, of files that are not there yet, if the
 * directory and the name are equal. Terminals, /dev/null and other character devices, and sockets,
 * hold nothing that could be lost: they may be named more than once.
 */
#include "run_files.h"

#include "base/alloc.h"
#include "file/file.h"

#include <stdlib.h>
#include <string.h>

typedef struct written {
    const char *path;
    plk_place place;
} written;

/* More files that are read, see run_files_also_read(). */
static const char *const *also_read;
static size_t n_also_read;

void run_files_also_read(const char *const *paths, size_t n)
{
    also_read = paths;
    n_also_read = n;
}

typedef struct run_files {
    const call *call;
    const char **inputs;
    size_t n_inputs, n_stdin; /* n_stdin of them are "-" and not in the list */
    written *outputs;
    size_t n_outputs;
} run_files;

/* The struct of the command begins with its call. */
static const char *value_of(const call *c, const flag *f)
{
    return *(const char *const *)(const void *)((const char *)c + f->at);
}

static bool holds_something(const plk_file_info *info)
{
    return info->kind != PLK_FILE_CHARACTERS && info->kind != PLK_FILE_SOCKET;
}

static int refuse_directory(const written *w)
{
    char *end = w->place.target + w->place.directory_bytes;
    char kept = *end;
    *end = '\0';
    const char *directory = w->place.directory_bytes > 0 ? w->place.target : ".";
    int error_code = plk_path_check_writable(directory, true);
    *end = kept;
    return error_code == 0
               ? EXIT_DONE
               : complain_system(w->path, "a file next to it cannot be created", error_code);
}

static int add_output(run_files *files, const char *path)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    written *w = &files->outputs[files->n_outputs];
    pluck_error err;
    *w = (written){.path = path};
    pluck_status status = plk_place_find(&w->place, path, &allocator, &err);
    if (status != PLUCK_OK)
        return complain_error(status, &err);
    files->n_outputs++;
    return w->place.kind == PLK_PLACE_FILE ? refuse_directory(w) : EXIT_DONE;
}

static void add_input(run_files *files, const char *path)
{
    if (strcmp(path, "-") == 0)
        files->n_stdin++;
    else
        files->inputs[files->n_inputs++] = path;
}

static int collect(run_files *files, const char *more)
{
    const call *c = files->call;
    size_t n = c->set->n + c->n_words + n_also_read + 1;
    int code = EXIT_DONE;
    files->inputs = calloc(n, sizeof *files->inputs);
    files->outputs = calloc(n, sizeof *files->outputs);
    if (!files->inputs || !files->outputs)
        return complain_memory();
    for (size_t i = 0; i < c->n_words && c->command->words_are_inputs; i++)
        add_input(files, c->words[i]);
    for (size_t i = 0; i < n_also_read; i++)
        add_input(files, also_read[i]);
    for (size_t i = 0; i < c->set->n && code == EXIT_DONE; i++) {
        const flag *f = &c->set->flags[i];
        const char *path = flag_is_file(f) ? value_of(c, f) : NULL;
        if (path && f->kind == FLAG_INPUT)
            add_input(files, path);
        else if (path)
            code = add_output(files, path);
    }
    return code == EXIT_DONE && more ? add_output(files, more) : code;
}

/* An output that is a standard stream already, when its path does not say so. */
static int refuse_stream(const written *w)
{
    static const char *const names[] = {"input", "output", "error"};
    for (int fd = PLK_STDIN; fd <= PLK_STDERR; fd++) {
        plk_file_info info;
        bool may_be = w->place.kind == PLK_PLACE_DESCRIPTOR && fd != PLK_STDIN;
        if (may_be || plk_descriptor_info(fd, &info) != 0 || !holds_something(&info) ||
            !plk_place_is_file(&w->place, &info))
            continue;
        if (fd == PLK_STDOUT)
            return complain(EXIT_USAGE, "%s: is standard output too; - writes there", w->path);
        return complain(EXIT_USAGE, "%s: is standard %s too; write to another file", w->path,
                        names[fd]);
    }
    return EXIT_DONE;
}

static int refuse_input(const run_files *files, const written *w)
{
    for (size_t i = 0; i < files->n_inputs; i++) {
        plk_file_info info;
        if (plk_path_info(files->inputs[i], &info) == 0 && holds_something(&info) &&
            plk_place_is_file(&w->place, &info))
            return complain(EXIT_USAGE, "%s: is an input file too; write to another file", w->path);
    }
    return EXIT_DONE;
}

static bool is_one_file(const written *a, const written *b)
{
    if (a->place.kind == PLK_PLACE_DESCRIPTOR && b->place.kind == PLK_PLACE_DESCRIPTOR &&
        a->place.descriptor == b->place.descriptor)
        return true;
    return plk_place_is_same(&a->place, &b->place) &&
           (!a->place.exists || holds_something(&a->place.info));
}

static int refuse_output(const run_files *files, size_t index)
{
    const written *w = &files->outputs[index];
    for (size_t i = 0; i < index; i++)
        if (is_one_file(&files->outputs[i], w))
            return complain(EXIT_USAGE, "%s and %s are the same file; each output needs its own",
                            files->outputs[i].path, w->path);
    return EXIT_DONE;
}

/* What the shell has opened for the results and messages of this run: >> a.npy is refused, > a.npy
 * comes too late. */
static int refuse_streams(const run_files *files)
{
    plk_file_info input, stream;
    for (int fd = PLK_STDOUT; fd <= PLK_STDERR; fd++) {
        if (plk_descriptor_info(fd, &stream) != 0 || !holds_something(&stream))
            continue;
        for (size_t i = 0; i <= files->n_inputs; i++) {
            bool is_stdin = i == files->n_inputs;
            const char *name = is_stdin ? "standard input" : files->inputs[i];
            if ((is_stdin ? plk_descriptor_info(PLK_STDIN, &input) : plk_path_info(name, &input)) !=
                    0 ||
                !plk_file_is_same(&input, &stream))
                continue;
            /* A message would be written into the input. */
            if (fd == PLK_STDERR)
                return EXIT_USAGE;
            return complain(EXIT_USAGE,
                            "standard output: is the input %s too; write to another file", name);
        }
    }
    return EXIT_DONE;
}

int run_files_check(const call *c, const char *more)
{
    run_files files = {.call = c};
    int code = collect(&files, more);
    if (code == EXIT_DONE && files.n_stdin > 1)
        code = complain(EXIT_USAGE, "standard input (-) is named more than once");
    for (size_t i = 0; i < files.n_outputs && code == EXIT_DONE; i++) {
        code = refuse_input(&files, &files.outputs[i]);
        if (code == EXIT_DONE)
            code = refuse_output(&files, i);
        if (code == EXIT_DONE)
            code = refuse_stream(&files.outputs[i]);
    }
    if (code == EXIT_DONE)
        code = refuse_streams(&files);
    if (code == EXIT_DONE)
        shortened_watch_files(files.inputs, files.n_inputs);
    for (size_t i = 0; i < files.n_outputs; i++)
        plk_place_free(&files.outputs[i].place);
    free(files.inputs);
    free(files.outputs);
    return code;
}

static bool is_standard_output(const char *path)
{
    pluck_allocator allocator = plk_allocator_or_default(NULL);
    plk_place place;
    if (plk_place_find(&place, path, &allocator, NULL) != PLUCK_OK)
        return false;
    plk_place_free(&place);
    return place.kind == PLK_PLACE_DESCRIPTOR && place.descriptor == PLK_STDOUT;
}

int run_files_open_results(output *out, const call *c)
{
    for (size_t i = 0; i < c->set->n; i++) {
        const flag *f = &c->set->flags[i];
        const char *path = f->kind == FLAG_OUTPUT ? value_of(c, f) : NULL;
        if (path && is_standard_output(path))
            return output_open_error(out);
    }
    return output_open(out, NULL);
}
