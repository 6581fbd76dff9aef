/* pluck: finds the command, parses what follows its name, runs it. */
#include "help.h"
#include "run_files.h"
#include "run_ranks.h"

#include "base/platform_program.h"

#include <pluck/base.h>

#include <locale.h>
#include <stdio.h>
#include <string.h>

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
    if (!plk_program_start(&argc, &argv))
        return EXIT_SYSTEM;
    /* Character types only: numbers keep their dots. */
    setlocale(LC_CTYPE, "");
    int code = peers_begin(&argc, &argv);
    signals_watch();
    return peers_end(code == EXIT_DONE ? run(argc, argv) : code);
}
