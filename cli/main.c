/* pluck: finds the command, parses what follows its name, runs it. */
#include "help.h"
#include "run_files.h"
#include "run_ranks.h"

#include <pluck/base.h>

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int print_version(void)
{
    output out;
    int code = output_open(&out, NULL);
    if (code != EXIT_DONE)
        return code;
    output_printf(&out, "pluck %s\ninstruction sets:", pluck_version());
    for (pluck_isa isa = PLUCK_ISA_SCALAR; pluck_isa_name(isa); isa++)
        if (pluck_isa_supported(isa))
            output_printf(&out, " %s", pluck_isa_name(isa));
    output_char(&out, '\n');
    if (peers_version())
        output_printf(&out, "MPI: %s\n", peers_version());
    return output_close(&out, true);
}

/* Makes sure that no file gets the number of a standard stream that the parent closed, where
 * messages or results would be written into it. The replacement is opened the wrong way round, so
 * that using it is still an error. */
static void reserve_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(EXIT_SYSTEM);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        output out;
        if (output_open_error(&out) == EXIT_DONE) {
            help_short(&out);
            (void)output_close(&out, true);
        }
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return print_version();
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help_topic(NULL);

    size_t n_used = 0;
    const command *c = command_find((const char *const *)(argv + 1), (size_t)argc - 1, &n_used);
    if (!c && argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))
        return help_topic(argv[1]);
    if (!c)
        return command_unknown(argv[1], argc > 2 ? argv[2] : NULL);
    return command_run(c, argc - 1 - (int)n_used, argv + 1 + n_used);
}

int main(int argc, char **argv)
{
    reserve_standard_streams();
    /* Character types only: numbers keep their dots. */
    setlocale(LC_CTYPE, "");
    int code = peers_begin(&argc, &argv);
    unfinished_watch_signals();
    shortened_watch_signal();
    return peers_end(code == EXIT_DONE ? run(argc, argv) : code);
}
