/*
 * Help on the terminal, wrapped at the width of the screen or 100 columns: of a command one page
 * with its usual flags, or everything that its table says.
 */
#include "help.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

enum {
    MOST_COLUMNS = 100,
    NAME_COLUMN = 28, /* where summaries of flags start, and on a narrow screen */
    NARROW_COLUMN = 8,
    NARROW_SCREEN = 64,
    PAGE_EXAMPLES = 2,
    PAGE_FLAGS = 12 /* a command with up to this number shows all of them */
};

static unsigned help_width(const output *out)
{
    unsigned width = output_width(out, MOST_COLUMNS);
    return width < MOST_COLUMNS ? width : MOST_COLUMNS;
}

const help_fact help_exit_statuses[] = {
    {"0", "done"},
    {"1", "a negative answer: a comparison differs, a key of an import is refused"},
    {"2", "the command line cannot be understood"},
    {"3", "bad input data or configuration, on the command line too"},
    {"4", "the system failed: files, memory, a full disk"},
    {NULL, NULL}};

const help_fact help_variables[] = {
    {"PLUCK_ISA", "an instruction set, as --isa"},
    {"NO_COLOR", "no colour, if set and not empty"},
    {"COLUMNS", "the width of the screen: tables and help are wrapped there"},
    {NULL, NULL}};

const help_fact help_files[] = {
    {"-", "as an input, standard input; as an output, standard output"},
    {".FILE.XXXXXXXX", "an output that is not complete yet: it gets its name when it is"},
    {NULL, NULL}};

/* How much of a word goes on a line of its own: all of it, or up to a '|' where it is too long. */
static size_t fitting(const char *word, size_t n, size_t columns)
{
    if (n <= columns || columns == 0)
        return n;
    for (size_t i = columns; i > 0; i--)
        if (word[i - 1] == '|' || word[i - 1] == ',' || word[i - 1] == '/')
            return i;
    return columns;
}

/* Writes text with line breaks between words, from column on; continued lines start at indent. '\n'
 * in the text starts a new line. */
static void print_wrapped(output *out, const char *text, size_t column, size_t indent)
{
    size_t width = help_width(out);
    bool is_first = true;
    while (*text != '\0') {
        size_t n = fitting(text, strcspn(text, " \n"), width > indent ? width - indent : 0);
        bool is_cut = text[n] != ' ' && text[n] != '\n' && text[n] != '\0';
        if (!is_first && column + 1 + n > width) {
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
        if (is_cut) {
            output_printf(out, "\n%*s", (int)indent, "");
            column = indent;
            is_first = true;
        } else {
            text += *text != '\0';
        }
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
    size_t at = help_width(out) < NARROW_SCREEN ? NARROW_COLUMN : summary_column;
    output_text(out, "  ");
    if (n + 2 > at) {
        print_wrapped(out, name, 2, at);
        n = 0;
    } else {
        output_text(out, name);
    }
    output_printf(out, "%*s", (int)(at - n), "");
    print_wrapped(out, summary, at, at);
}

static void print_flag(output *out, const flag *f)
{
    char name[128];
    help_flag_name(f, name, sizeof name);
    help_entry(out, name, f->help, NAME_COLUMN);
}

static void print_flags(output *out, const flag_set *set)
{
    const char *title = NULL;
    for (size_t i = 0; i < set->n; i++) {
        const flag *f = &set->flags[i];
        if (f->kind != FLAG_HEADING) {
            print_flag(out, f);
            continue;
        }
        if (!title || strcmp(title, f->name) != 0) {
            char line[128];
            snprintf(line, sizeof line, "%s:", f->name);
            output_char(out, '\n');
            print_wrapped(out, line, 0, 2);
        }
        title = f->name;
    }
}

/* Whether the name is one of the words of list. */
static bool is_listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (; *list != '\0'; list += strspn(list, " ")) {
        size_t length = strcspn(list, " ");
        if (length == n && memcmp(list, name, n) == 0)
            return true;
        list += length;
    }
    return false;
}

/* The usual flags, in the order of the list. */
static void print_usual(output *out, const char *list, const flag_set *set)
{
    output_text(out, "\nOptions:\n");
    for (; *list != '\0'; list += strspn(list, " ")) {
        size_t length = strcspn(list, " ");
        for (size_t i = 0; i < set->n; i++)
            if (set->flags[i].kind != FLAG_HEADING && strlen(set->flags[i].name) == length &&
                memcmp(set->flags[i].name, list, length) == 0)
                print_flag(out, &set->flags[i]);
        list += length;
    }
}

/* The names of the rest, a paragraph for each heading; keys are too many. */
static void print_names(output *out, const char *usual, const flag_set *set)
{
    char names[1024] = "";
    const char *title = "";
    bool has_keys = false;
    output_text(out, "\nMore options:\n");
    for (size_t i = 0; i <= set->n; i++) {
        const flag *f = i < set->n ? &set->flags[i] : NULL;
        if (f && f->kind == FLAG_HEADING && strcmp(f->name, title) == 0)
            continue;
        title = f && f->kind == FLAG_HEADING ? f->name : title;
        if ((!f || f->kind == FLAG_HEADING) && *names != '\0') {
            output_text(out, "  ");
            print_wrapped(out, names, 2, 4);
            *names = '\0';
        }
        if (!f || f->kind == FLAG_HEADING || is_listed(usual, f->name) ||
            f->at == offsetof(call, help))
            continue;
        has_keys |= f->kind == FLAG_KEY;
        size_t used = strlen(names);
        if (f->kind != FLAG_KEY)
            snprintf(names + used, sizeof names - used, "%s--%s", used > 0 ? " " : "", f->name);
    }
    if (has_keys)
        print_wrapped(out, "  and a flag for each configuration key (pluck stages)", 0, 4);
}

void help_print(output *out, const command *about, const flag_set *set, help_kind kind)
{
    char usage[160], summary[128];
    size_t n_flags = 0;
    for (size_t i = 0; i < set->n; i++)
        n_flags += set->flags[i].kind != FLAG_HEADING;
    bool is_short = kind == HELP_PAGE && about->usual && n_flags > PAGE_FLAGS;
    snprintf(usage, sizeof usage, "Usage: pluck %s %s", about->name, about->synopsis);
    print_wrapped(out, usage, 0, 4);
    output_char(out, '\n');
    snprintf(summary, sizeof summary, "%s.", about->summary);
    if (summary[0] >= 'a' && summary[0] <= 'z')
        summary[0] = (char)(summary[0] - 'a' + 'A');
    print_wrapped(out, kind == HELP_PAGE ? summary : about->about, 0, 0);
    if (is_short)
        print_usual(out, about->usual, set);
    else
        print_flags(out, set);
    output_text(out, "\nExamples:\n");
    size_t n = 0;
    for (const char *const *e = about->examples; *e && (kind == HELP_ALL || n < PAGE_EXAMPLES);
         e++, n++) {
        output_text(out, "  $ ");
        print_wrapped(out, *e, 4, 6);
    }
    if (is_short)
        print_names(out, about->usual, set);
    if (kind == HELP_PAGE) {
        snprintf(usage, sizeof usage, "pluck %s --help=all explains everything.", about->name);
        output_char(out, '\n');
        print_wrapped(out, usage, 0, 0);
    }
}

void help_short(output *out)
{
    output_text(out, "Usage: pluck COMMAND [arguments]\n\nCommands:\n");
    for (const command *const *c = commands; *c; c++)
        help_entry(out, (*c)->name, (*c)->summary, 18);
    output_char(out, '\n');
    print_wrapped(
        out, "\"pluck help COMMAND\" explains one; \"pluck --version\" says which this is.", 0, 0);
}

static void print_overview(output *out)
{
    print_wrapped(out, "pluck turns a language model's logits into tokens.", 0, 0);
    output_char(out, '\n');
    help_short(out);
    output_text(out, "\nExit status:\n");
    for (size_t i = 0; help_exit_statuses[i].name; i++)
        help_entry(out, help_exit_statuses[i].name, help_exit_statuses[i].text, 18);
    output_text(out, "\nEnvironment:\n");
    for (size_t i = 0; help_variables[i].name; i++)
        help_entry(out, help_variables[i].name, help_variables[i].text, 18);
    output_char(out, '\n');
    print_wrapped(out, "Results go to standard output, everything else to standard error.", 0, 0);
}

/* "config" is only a prefix: lists the commands that start with it. */
static size_t print_group(output *out, const char *word)
{
    size_t n = strlen(word);
    size_t n_found = 0;
    for (const command *const *c = commands; *c; c++) {
        char name[64];
        if (strncmp((*c)->name, word, n) != 0 || (*c)->name[n] != ' ')
            continue;
        if (n_found++ == 0)
            output_printf(out, "Usage: pluck %s COMMAND\n\n", word);
        snprintf(name, sizeof name, "pluck %s", (*c)->name);
        help_entry(out, name, (*c)->summary, 24);
    }
    if (n_found > 0)
        output_printf(out, "\n\"pluck help %s COMMAND\" explains one.\n", word);
    return n_found;
}

int command_unknown(const char *first, const char *second)
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
        return complain(EXIT_USAGE, "'%s' needs a second word; see pluck help %s", first, first);
    const char *best = nearest_both.best || takes_second ? nearest_both.best : nearest.best;
    const char *gap = takes_second ? " " : "", *rest = takes_second ? second : "";
    if (best)
        return complain(EXIT_USAGE, "unknown command '%s%s%s'; did you mean 'pluck %s'?", first,
                        gap, rest, best);
    return complain(EXIT_USAGE, "unknown command '%s%s%s'; see pluck help%s%s", first, gap, rest,
                    gap, takes_second ? first : "");
}

typedef struct help_flags {
    call call;
    bool man, all;
} help_flags;

static int print_topic(output *out, const char *const *words, size_t n_words, help_kind kind)
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
                   : command_unknown(words[0], n_words > 1 ? words[1] : NULL);
    flag_set set;
    if (!flag_set_create(&set, about, 0))
        return complain_memory();
    help_print(out, about, &set, kind);
    flag_set_destroy(&set);
    return EXIT_DONE;
}

int help_topic(const char *group)
{
    message_start("help", false);
    output out;
    int code = output_open(&out, NULL);
    if (code != EXIT_DONE)
        return code;
    return output_finish(&out, print_topic(&out, &group, group != NULL, HELP_PAGE));
}

static int run(const void *given)
{
    const help_flags *flags = given;
    output out;
    int code = output_open(&out, NULL);
    if (code != EXIT_DONE)
        return code;
    size_t n_used = 0;
    const command *c = command_find(flags->call.words, flags->call.n_words, &n_used);
    if (flags->man && (c || flags->call.n_words == 0))
        code = help_manual(&out, c) ? EXIT_DONE : complain_memory();
    else
        code = print_topic(&out, flags->call.words, flags->call.n_words,
                           flags->all ? HELP_ALL : HELP_PAGE);
    return output_finish(&out, code);
}

static const flag flags[] = {
    FLAG_TITLE("Manual"),
    {FLAG(SWITCH, "all", help_flags, all),
     .help = "print everything about COMMAND, as COMMAND --help=all does"},
    {FLAG(SWITCH, "man", help_flags, man),
     .help = "print the manual page of pluck, or of COMMAND, for man(1)"},
    FLAG_END,
};

const command help_command = {
    .name = "help",
    .synopsis = "[COMMAND]",
    .summary = "explain a command",
    .about = "Without COMMAND: the list of commands.",
    COMMAND_FLAGS(flags, help_flags),
    .examples = {"pluck help sample", "pluck help --man > pluck.1"},
    COMMAND_WORDS(0, 2, "COMMAND"),
    .run = run,
};
