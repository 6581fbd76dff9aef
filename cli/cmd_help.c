/* pluck help: the overview, one command, a group of commands, or the manual page. */
#include "commands.h"
#include "help.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

/* "config" is only a prefix: lists the commands that start with it. */
static size_t print_group(output *out, const char *word)
{
    size_t n = strlen(word);
    size_t n_found = 0;
    for (const command *const *c = commands; (*c); c++) {
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

int command_unknown(const char *who, const char *first, const char *second)
{
    char both[64];
    snprintf(both, sizeof both, "%s%s%s", first, second ? " " : "", second ? second : "");
    plk_suggestion nearest = plk_suggest(first), nearest_both = plk_suggest(both);
    bool takes_second = false;
    for (const command *const *c = commands; (*c); c++) {
        size_t n = strlen(first);
        plk_suggest_offer(&nearest, (*c)->name, NULL);
        plk_suggest_offer(&nearest_both, (*c)->name, NULL);
        takes_second |=
            strncmp((*c)->name, first, n) == 0 && ((*c)->name[n] == ' ' || (*c)->name[n] == '\0');
    }
    if (takes_second && !second)
        return complain(who, EXIT_USAGE, "'%s' needs a second word; see pluck help %s", first,
                        first);
    const char *best = nearest_both.best || takes_second ? nearest_both.best : nearest.best;
    const char *gap = takes_second ? " " : "", *rest = takes_second ? second : "";
    if (best)
        return complain(who, EXIT_USAGE, "unknown command '%s%s%s'; did you mean 'pluck %s'?",
                        first, gap, rest, best);
    return complain(who, EXIT_USAGE, "unknown command '%s%s%s'; see pluck help%s%s", first, gap,
                    rest, gap, takes_second ? first : "");
}

static int print_topic(output *out, const arguments *args)
{
    size_t n_used = 0;
    const command *about = command_find(args->words, args->n_words, &n_used);
    if (args->man)
        return help_manual(out) ? EXIT_DONE : complain_memory(args->who);
    if (args->n_words == 0) {
        help_overview(out);
        return EXIT_DONE;
    }
    if (!about || n_used < args->n_words)
        return args->n_words == 1 && print_group(out, args->words[0]) > 0
                   ? EXIT_DONE
                   : command_unknown(args->who, args->words[0],
                                     args->n_words > 1 ? args->words[1] : NULL);
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
    int close_code = output_close(&out, code == EXIT_DONE);
    return code != EXIT_DONE ? code : close_code;
}
