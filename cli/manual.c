/*
 * The manual pages, in the man macros of roff (man(7)): one for pluck, one for each command. Text
 * is escaped so that nothing in it is taken for a request: a backslash, a hyphen that is to be
 * copied, and a dot or quote at the start of a line.
 */
#include "help.h"

#include <pluck/base.h>
#include <string.h>

static void escape(output *out, const char *text)
{
    bool is_line_start = true;
    for (; *text != '\0'; text++) {
        if (is_line_start && (*text == '.' || *text == '\''))
            output_text(out, "\\&");
        if (*text == '\\')
            output_text(out, "\\e");
        else if (*text == '-')
            output_text(out, "\\-");
        else if (*text == '\n')
            output_text(out, "\n.PP\n");
        else
            output_char(out, *text);
        is_line_start = *text == '\n';
    }
}

/* "pluck-config-show" */
static void print_page_name(output *out, const command *c)
{
    output_text(out, "pluck\\-");
    for (const char *name = c->name; *name != '\0'; name++)
        output_text(out, *name == ' ' ? "\\-" : (const char[]){*name, '\0'});
}

static void print_entry(output *out, const char *name, const char *text)
{
    output_text(out, ".TP\n.B ");
    escape(out, name);
    output_char(out, '\n');
    escape(out, text);
    output_text(out, ".\n");
}

static bool print_options(output *out, const command *c)
{
    flag_set set;
    const char *title = "";
    if (!flag_set_create(&set, c, 0))
        return false;
    output_text(out, ".SH OPTIONS\n");
    for (size_t i = 0; i < set.n; i++) {
        const flag *f = &set.flags[i];
        char name[128];
        if (f->kind == FLAG_HEADING) {
            if (strcmp(f->name, title) != 0)
                output_printf(out, ".SS %s\n", f->name);
            title = f->name;
            continue;
        }
        help_flag_name(f, name, sizeof name);
        print_entry(out, name, f->help);
    }
    flag_set_destroy(&set);
    return true;
}

/* What holds for every command. */
static void print_common(output *out)
{
    output_text(out, ".SH EXIT STATUS\n");
    for (size_t i = 0; help_exit_statuses[i].name; i++)
        print_entry(out, help_exit_statuses[i].name, help_exit_statuses[i].text);
    output_text(out,
                ".PP\nA closed pipe ends the command quietly by SIGPIPE, which a shell shows as "
                "141.\n.SH ENVIRONMENT\n");
    for (size_t i = 0; help_variables[i].name; i++)
        print_entry(out, help_variables[i].name, help_variables[i].text);
    output_text(out, ".SH FILES\n");
    for (size_t i = 0; help_files[i].name; i++)
        print_entry(out, help_files[i].name, help_files[i].text);
}

static void print_head(output *out, const command *c)
{
    output_text(out, ".TH ");
    if (c)
        print_page_name(out, c);
    else
        output_text(out, "PLUCK");
    output_printf(out, " 1 \"\" \"pluck %s\" \"User Commands\"\n.SH NAME\n", pluck_version());
}

static bool print_command(output *out, const command *c)
{
    print_head(out, c);
    print_page_name(out, c);
    output_text(out, " \\- ");
    escape(out, c->summary);
    output_text(out, "\n.SH SYNOPSIS\n.B pluck ");
    escape(out, c->name);
    output_char(out, '\n');
    escape(out, c->synopsis);
    output_text(out, "\n.SH DESCRIPTION\n");
    escape(out, c->about);
    output_char(out, '\n');
    if (!print_options(out, c))
        return false;
    output_text(out, ".SH EXAMPLES\n.nf\n");
    for (const char *const *e = c->examples; *e; e++) {
        escape(out, *e);
        output_char(out, '\n');
    }
    output_text(out, ".fi\n");
    print_common(out);
    output_text(out, ".SH SEE ALSO\n.BR pluck (1)");
    for (const command *const *other = commands; *other; other++) {
        size_t n = strcspn(c->name, " ");
        if (*other == c || c->name[n] == '\0' || strncmp((*other)->name, c->name, n + 1) != 0)
            continue;
        output_text(out, ",\n.BR ");
        print_page_name(out, *other);
        output_text(out, " (1)");
    }
    output_char(out, '\n');
    return true;
}

static void print_all(output *out)
{
    print_head(out, NULL);
    output_text(out,
                "pluck \\- turn a language model's logits into tokens\n"
                ".SH SYNOPSIS\n.B pluck\n.I COMMAND\n[arguments]\n.br\n.B pluck \\-\\-version\n"
                ".SH DESCRIPTION\nEach command has a manual page of its own. Long options may "
                "be cut short as long as they mean one. Results go to standard output, "
                "everything else to standard error.\n.SH COMMANDS\n");
    for (const command *const *c = commands; *c; c++)
        print_entry(out, (*c)->name, (*c)->summary);
    print_common(out);
    output_text(out, ".SH SEE ALSO\n");
    for (const command *const *c = commands; *c; c++) {
        output_text(out, ".BR ");
        print_page_name(out, *c);
        output_text(out, c[1] ? " (1),\n" : " (1)\n");
    }
}

bool help_manual(output *out, const command *c)
{
    if (c)
        return print_command(out, c);
    print_all(out);
    return true;
}
