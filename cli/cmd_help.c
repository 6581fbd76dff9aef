/* pluck help: the overview, one command, a group of commands, or the manual page. */
#include "commands.h"
#include "help.h"
#include "suggest.h"

#include <string.h>

/* "config" is no command but starts the names of some: lists them. */
static size_t print_group(output *out, const char *word)
{
    const size_t n = strlen(word);
    size_t n_found = 0;
    for (const command *const *c = commands; *c != NULL; c++) {
        if (strncmp((*c)->name, word, n) != 0 || (*c)->name[n] != ' ')
            continue;
        if (n_found++ == 0)
            output_printf(out, "Usage: pluck %s COMMAND\n\n", word);
        output_printf(out, "  pluck %-15s %s\n", (*c)->name, (*c)->summary);
    }
    if (n_found > 0)
        output_printf(out, "\n\"pluck help %s COMMAND\" explains one.\n", word);
    return n_found;
}

static int unknown_topic(const char *word)
{
    suggestion nearest = {word, NULL, 0};
    for (const command *const *c = commands; *c != NULL; c++)
        suggest_consider(&nearest, (*c)->name);
    if (nearest.best != NULL)
        return complain("pluck help", EXIT_USAGE, "unknown command '%s'; did you mean '%s'?", word,
                        nearest.best);
    return complain("pluck help", EXIT_USAGE, "unknown command '%s'", word);
}

static int print_topic(output *out, const arguments *args)
{
    size_t n_used = 0;
    const command *const about = command_find(args->words, args->n_words, &n_used);
    if (args->man)
        return help_manual(out) ? EXIT_DONE : complain_memory(args->who);
    if (args->n_words == 0) {
        help_overview(out);
        return EXIT_DONE;
    }
    if (about == NULL || n_used < args->n_words)
        return args->n_words == 1 && print_group(out, args->words[0]) > 0
                   ? EXIT_DONE
                   : unknown_topic(args->words[args->n_words - 1]);
    option_set set;
    if (!option_set_create(&set, about))
        return complain_memory(args->who);
    help_command(out, about, &set);
    option_set_destroy(&set);
    return EXIT_DONE;
}

int cmd_help(const arguments *args)
{
    output out;
    int code = output_open(&out, args->who, NULL);
    if (code != EXIT_DONE)
        return code;
    code = print_topic(&out, args);
    const int close_code = output_close(&out, code == EXIT_DONE);
    return code != EXIT_DONE ? code : close_code;
}
