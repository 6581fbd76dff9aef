/* Help on the terminal, wrapped at 100 columns. */
#include "help.h"

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

void help_option_name(const option *o, char *text, size_t capacity)
{
    char letter[8] = "";
    if (o->letter != 0)
        snprintf(letter, sizeof letter, "-%c, ", o->letter);
    snprintf(text, capacity, "%s--%s%s%s", letter, o->name, o->value_name ? " " : "",
             o->value_name ? o->value_name : "");
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

static void print_table(output *out, const option_table *table)
{
    output_printf(out, "\n%s:\n", table->title);
    for (size_t i = 0; i < table->n; i++) {
        char name[128];
        help_option_name(&table->options[i], name, sizeof name);
        help_entry(out, name, table->options[i].summary, NAME_COLUMN);
    }
}

void help_command(output *out, const command *about, const option_set *set)
{
    output_printf(out, "Usage: pluck %s%s%s\n\n", about->name, *about->synopsis != '\0' ? " " : "",
                  about->synopsis);
    print_wrapped(out, about->about, 0, 0);
    for (size_t i = 0; i < set->n; i++)
        print_table(out, set->tables[i]);
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

void help_overview(output *out)
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
