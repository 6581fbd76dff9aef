/*
 * Before a signal ends the process, the unfinished files are removed. A signal handler may call
 * nothing that allocates: for that the process keeps the paths in static storage.
 *
 * The system says where in memory a file cannot be read, but not which file. The one that is
 * shorter now than before it was opened is the one.
 */
#include "run_files.h"

#include "base/platform_program.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILES = 8, PATH_BYTES = 4096 };

static char paths[MAX_FILES][PATH_BYTES];
static volatile sig_atomic_t is_used[MAX_FILES];

static void unlink_unfinished(void)
{
    for (size_t i = 0; i < MAX_FILES; i++)
        if (is_used[i] != 0)
            (void)plk_file_remove(paths[i]);
}

int unfinished_add(const char *path)
{
    size_t size = strlen(path) + 1;
    for (int i = 0; i < MAX_FILES && size <= PATH_BYTES; i++) {
        if (is_used[i] != 0)
            continue;
        memcpy(paths[i], path, size);
        is_used[i] = 1;
        return i;
    }
    return -1;
}

void unfinished_remove(int number)
{
    if (number >= 0)
        is_used[number] = 0;
}

typedef struct watched {
    const char *path;
    uint64_t size_bytes;
} watched;

static watched *files;
static size_t n_files;

/* A line that is put together without memory from the system; what does not fit is cut. */
typedef struct line {
    char text[1024];
    size_t n;
} line;

static bool acts_on_terminals(const unsigned char *c)
{
    if (c[0] < 0x20 || c[0] == 0x7f)
        return true;
    /* U+0080-9F, and the marks of direction U+202A-E, U+2066-9. */
    return (c[0] == 0xc2 && c[1] < 0xa0) ||
           (c[0] == 0xe2 && ((c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae) ||
                             (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9)));
}

static void add(line *l, const char *text)
{
    for (const char *c = text; *c != '\0' && l->n < sizeof l->text; c++)
        l->text[l->n++] = acts_on_terminals((const unsigned char *)c) ? '?' : *c;
}

static const char *shortened_file(void)
{
    for (size_t i = 0; i < n_files; i++) {
        plk_file_info info;
        if (plk_path_info(files[i].path, &info) == 0 && info.size_bytes < files[i].size_bytes)
            return files[i].path;
    }
    return NULL;
}

static void report_shortened(void)
{
    unlink_unfinished();
    /* The control sequence takes a progress bar away. */
    line l = {.text = "\r\033[K", .n = plk_is_terminal(PLK_STDERR) ? 4 : 0};
    const char *path = shortened_file();
    add(&l, message_who());
    add(&l, ": ");
    add(&l, path ? path : "an input file");
    add(&l,
        path ? ": became shorter while it was read; " : ": a part of it can no longer be read; ");
    add(&l, "--no-map reads files whole before their first use");
    if (l.n == sizeof l.text)
        l.n--;
    l.text[l.n++] = '\n';
    plk_error_write(l.text, l.n);
    plk_program_exit(EXIT_DATA);
}

void signals_watch(void)
{
    plk_signals_watch(unlink_unfinished);
    plk_map_fault_watch(report_shortened);
}

void shortened_watch_files(const char *const *inputs, size_t n)
{
    watched *old = files;
    n_files = 0;
    files = malloc((n > 0 ? n : 1) * sizeof *files);
    for (size_t i = 0; i < n && files; i++) {
        plk_file_info info;
        if (plk_path_info(inputs[i], &info) == 0 && info.kind == PLK_FILE_REGULAR)
            files[n_files++] = (watched){inputs[i], info.size_bytes};
    }
    free(old);
}
