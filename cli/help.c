/* Help on the terminal, wrapped at 100 columns. */
#include "help.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define WIDTH       100
#define NAME_COLUMN 28 /* where summaries of options start */

static const char *const exit_statuses[] = {
    "0  done",
    "1  a negative answer (a comparison differs)",
    "2  the command line cannot be understood",
    "3  bad input data or configuration, on the command line too",
    "4  the system failed: files, memory, a full disk",
    "A closed pipe (| head) ends the command quietly with SIGPIPE, which a shell shows as 141.",
};

static const char *const variables[] = {
    "PLUCK_ISA  an instruction set, as --isa",
    "NO_COLOR   if set and not empty: no colour",
    "COLUMNS    the width of the terminal",
};

const char *help_exit_status(size_t index)
{
    size_t n = sizeof exit_statuses / sizeof *exit_statuses;
    return index < n ? exit_statuses[index] : NULL;
}

/* Writes text with line breaks between words, from column on; continued lines start at indent. '\n'
 * in the text starts a new line. */
static void print_wrapped(output *out, const char *text, size_t column, size_t indent)
{
    bool is_first = true;
    while (*text != '\0') {
        size_t n = strcspn(text, " \n");
        if (!is_first && column + 1 + n > WIDTH) {
            output_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!is_first) {
            output_char(out, ' ');
            column++;
        }
        output_write(out, text, n);
        column += n;
        text += n;
        is_first = false;
        if (*text == '\n') {
            output_printf(out, "\n\n%*s", (int)indent, "");
            column = indent;
            is_first = true;
        }
        text += *text != '\0';
    }
    output_char(out, '\n');
}

void help_flag_name(const flag *f, char *text, size_t capacity)
{
    char letter[8] = "";
    if (f->letter != 0)
        snprintf(letter, sizeof letter, "-%c, ", f->letter);
    snprintf(text, capacity, "%s--%s%s%s", letter, f->name, f->value ? " " : "",
             f->value ? f->value : "");
}

void help_entry(output *out, const char *name, const char *summary, size_t summary_column)
{
    size_t n = strlen(name) + 2;
    output_printf(out, "  %s", name);
    size_t column = n;
    if (n + 2 > summary_column) {
        output_char(out, '\n');
        column = 0;
    }
    output_printf(out, "%*s", (int)(summary_column - column), "");
    print_wrapped(out, summary, summary_column, summary_column);
}

static void print_flags(output *out, const flag_set *set)
{
    const char *title = NULL;
    for (size_t i = 0; i < set->n; i++) {
        const flag *f = &set->flags[i];
        char name[128];
        if (f->kind == FLAG_HEADING) {
            if (!title || strcmp(title, f->name) != 0)
                output_printf(out, "\n%s:\n", f->name);
            title = f->name;
            continue;
        }
        help_flag_name(f, name, sizeof name);
        help_entry(out, name, f->help, NAME_COLUMN);
    }
}

void help_print(output *out, const command *about, const flag_set *set)
{
    output_printf(out, "Usage: pluck %s%s%s\n\n", about->name, *about->synopsis != '\0' ? " " : "",
                  about->synopsis);
    print_wrapped(out, about->about, 0, 0);
    print_flags(out, set);
    output_text(out, "\nExamples:\n");
    for (const char *const *e = about->examples; (*e); e++)
        output_printf(out, "  $ %s\n", *e);
}

void help_short(output *out)
{
    output_text(out, "Usage: pluck COMMAND [arguments]\n\nCommands:\n");
    for (const command *const *c = commands; (*c); c++)
        help_entry(out, (*c)->name, (*c)->summary, 18);
    output_text(out, "\n\"pluck help COMMAND\" explains one; \"pluck --version\" says which this "
                     "is.\n");
}

static void print_overview(output *out)
{
    output_text(out, "pluck turns a language model's logits into tokens.\n\n");
    help_short(out);
    output_text(out, "\nExit status:\n");
    for (size_t i = 0; help_exit_status(i); i++)
        output_printf(out, "  %s\n", help_exit_status(i));
    output_text(out, "\nEnvironment:\n");
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        output_printf(out, "  %s\n", variables[i]);
    output_text(out, "\nResults go to standard output, everything else to standard error.\n");
}

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

typedef struct help_flags {
    call call;
    bool man;
} help_flags;

static int print_topic(output *out, const char *who, const char *const *words, size_t n_words)
{
    size_t n_used = 0;
    const command *about = command_find(words, n_words, &n_used);
    if (n_words == 0) {
        print_overview(out);
        return EXIT_DONE;
    }
    if (!about || n_used < n_words)
        return n_words == 1 && print_group(out, words[0]) > 0
                   ? EXIT_DONE
                   : command_unknown(who, words[0], n_words > 1 ? words[1] : NULL);
    flag_set set;
    if (!flag_set_create(&set, about, 0))
        return complain_memory(who);
    help_print(out, about, &set);
    flag_set_destroy(&set);
    return EXIT_DONE;
}

static int close_topic(output *out, int code)
{
    int close_code = output_close(out, code == EXIT_DONE);
    return code != EXIT_DONE ? code : close_code;
}

int help_topic(const char *group)
{
    static const char who[] = "pluck help";
    output out;
    int code = output_open(&out, who, NULL);
    if (code != EXIT_DONE)
        return code;
    return close_topic(&out, print_topic(&out, who, &group, group != NULL));
}

static int run(const void *given)
{
    const help_flags *flags = given;
    const char *who = flags->call.who;
    output out;
    int code = output_open(&out, who, NULL);
    if (code != EXIT_DONE)
        return code;
    if (flags->man)
        code = help_manual(&out) ? EXIT_DONE : complain_memory(who);
    else
        code = print_topic(&out, who, flags->call.words, flags->call.n_words);
    return close_topic(&out, code);
}

static const flag flags[] = {
    FLAG_TITLE("Manual"),
    {.name = "man",
     .kind = FLAG_SWITCH,
     .at = offsetof(help_flags, man),
     .help = "print the manual page, for man(1)"},
    FLAG_END,
};

static const char *const examples[] = {"pluck help sample", "pluck help --man > pluck.1", NULL};

const command help_command = {
    .name = "help",
    .synopsis = "[COMMAND]",
    .summary = "explain a command",
    .about = "Without COMMAND: the list of commands.",
    .flags = flags,
    .flags_bytes = sizeof(help_flags),
    .examples = examples,
    .max_words = 2,
    .word_name = "COMMAND",
    .run = run,
};
