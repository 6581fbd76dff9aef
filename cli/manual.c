/*
 * The manual page, in the man macros of roff (man(7)): every command with its flags and examples in
 * one page. Text is escaped so that nothing in it is taken for a request: a backslash, a hyphen
 * that is to be copied, and a dot or quote at the start of a line.
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

static void flag_list(output *out, const flag_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        char name[128];
        if (set->flags[i].kind == FLAG_HEADING)
            continue;
        help_flag_name(&set->flags[i], name, sizeof name);
        output_text(out, ".TP\n.B ");
        escape(out, name);
        output_char(out, '\n');
        escape(out, set->flags[i].help);
        output_text(out, ".\n");
    }
}

static bool command_section(output *out, const command *about)
{
    flag_set set;
    if (!flag_set_create(&set, about, 0))
        return false;
    output_text(out, ".SS \"pluck ");
    escape(out, about->name);
    output_char(out, ' ');
    escape(out, about->synopsis);
    output_text(out, "\"\n");
    escape(out, about->about);
    output_char(out, '\n');
    flag_list(out, &set);
    output_text(out, ".PP\nExamples:\n.PP\n.nf\n.RS\n");
    for (const char *const *e = about->examples; (*e); e++) {
        escape(out, *e);
        output_char(out, '\n');
    }
    output_text(out, ".RE\n.fi\n");
    flag_set_destroy(&set);
    return true;
}

bool help_manual(output *out)
{
    output_printf(out, ".TH PLUCK 1 \"\" \"pluck %s\" \"User Commands\"\n", pluck_version());
    output_text(out, ".SH NAME\npluck \\- turn a language model's logits into tokens\n"
                     ".SH SYNOPSIS\n.B pluck\n.I COMMAND\n[arguments]\n.SH COMMANDS\n");
    for (const command *const *c = commands; (*c); c++)
        if (!command_section(out, *c))
            return false;
    output_text(out, ".SH EXIT STATUS\n.nf\n");
    for (size_t i = 0; help_exit_status(i); i++) {
        escape(out, help_exit_status(i));
        output_char(out, '\n');
    }
    output_text(out, ".fi\n");
    return true;
}
