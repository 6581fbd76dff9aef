/*
 * pluck completions: scripts for bash, zsh and fish. All three look at the words typed so far: the
 * command first, then its flags, the words of a choice, or files.
 */
#include "commands.h"
#include "output.h"

#include <string.h>

typedef void (*option_printer)(output *out, const command *c, const option *o);

static bool each_option(output *out, const command *c, option_printer print)
{
    option_set set;
    if (!option_set_create(&set, c))
        return false;
    for (size_t t = 0; t < set.n; t++)
        for (size_t i = 0; i < set.tables[t]->n; i++)
            print(out, c, &set.tables[t]->options[i]);
    option_set_destroy(&set);
    return true;
}

static void print_choices(output *out, const option *o, const char *separator)
{
    size_t n = 0;
    const char *word;
    for (int i = 0; (word = choice_at(o->value_name, i, &n)) != NULL; i++) {
        output_text(out, i > 0 ? separator : "");
        output_write(out, word, n);
    }
}

static bool has_words(const option *o)
{
    return o->type == OPTION_CHOICE || strcmp(o->name, "on-nan") == 0;
}

static void bash_flag(output *out, const command *c, const option *o)
{
    (void)c;
    output_printf(out, " --%s", o->name);
}

static void bash_values(output *out, const command *c, const option *o)
{
    if (has_words(o)) {
        output_printf(out, "    '%s --%s') words='", c->name, o->name);
        print_choices(out, o, " ");
        output_text(out, "' ;;\n");
    } else if (o->type != OPTION_SWITCH && o->type != OPTION_FILE) {
        output_printf(out, "    '%s --%s') return ;;\n", c->name, o->name);
    } else if (o->type == OPTION_FILE) {
        output_printf(out, "    '%s --%s') words= ;;\n", c->name, o->name);
    }
}

/* Whether c is the first of its group: "config check" of those that begin with "config". */
static bool begins_group(const command *const *c)
{
    const size_t n = strcspn((*c)->name, " ");
    if ((*c)->name[n] != ' ')
        return false;
    return c == commands || strncmp(c[-1]->name, (*c)->name, n + 1) != 0;
}

/* The second words of the group of *c, separated by spaces. */
static void print_group(output *out, const command *const *c)
{
    const size_t n = strcspn((*c)->name, " ") + 1;
    for (const command *const *d = c; *d != NULL && strncmp((*d)->name, (*c)->name, n) == 0; d++)
        output_printf(out, "%s%s", d > c ? " " : "", (*d)->name + n);
}

static void print_word(output *out, const command *c)
{
    output_write(out, c->name, strcspn(c->name, " "));
}

/* Every word that a command line can begin with, between two texts. */
static void print_first_words(output *out, const char *before, const char *after)
{
    for (const command *const *c = commands; *c != NULL; c++) {
        if (strchr((*c)->name, ' ') != NULL && !begins_group(c))
            continue;
        output_text(out, before);
        print_word(out, *c);
        output_text(out, after);
    }
}

static void bash_groups(output *out)
{
    for (const command *const *c = commands; *c != NULL; c++) {
        if (!begins_group(c))
            continue;
        output_text(out, "  elif ((COMP_CWORD == 2)) && [[ ${COMP_WORDS[1]} == ");
        print_word(out, *c);
        output_text(out, " ]]; then\n    words='");
        print_group(out, c);
        output_text(out, "'\n");
    }
}

static bool print_bash(output *out)
{
    output_text(out,
                "_pluck() {\n"
                "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}"
                "\n  local command=${COMP_WORDS[1]} words=\n"
                "  case $command in\n");
    for (const command *const *c = commands; *c != NULL; c++) {
        if (!begins_group(c))
            continue;
        output_text(out, "    ");
        print_word(out, *c);
        output_text(out, ") command+=\" ${COMP_WORDS[2]}\" ;;\n");
    }
    output_text(out, "  esac\n  COMPREPLY=()\n  if ((COMP_CWORD == 1)); then\n    words='");
    print_first_words(out, "", " ");
    output_text(out, "--help --version'\n");
    bash_groups(out);
    output_text(out, "  elif [[ $current == -* ]]; then\n    case $command in\n");
    bool ok = true;
    for (const command *const *c = commands; ok && *c != NULL; c++) {
        output_printf(out, "    '%s') words='", (*c)->name);
        ok = each_option(out, *c, bash_flag);
        output_text(out, "' ;;\n");
    }
    output_text(out, "    esac\n  else\n    case \"$command $previous\" in\n");
    for (const command *const *c = commands; ok && *c != NULL; c++)
        ok = each_option(out, *c, bash_values);
    output_text(out, "    esac\n  fi\n"
                     "  [[ -n $words ]] && mapfile -t COMPREPLY < <(compgen -W \"$words\" -- "
                     "\"$current\")\n}\n"
                     "complete -o default -F _pluck pluck\n");
    return ok;
}

/* Text inside single quotes, for both zsh and fish. */
static void quoted(output *out, const char *text, const char *escaped)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            output_text(out, "'\\''");
        else if (strchr(escaped, *text) != NULL)
            output_printf(out, "\\%c", *text);
        else
            output_char(out, *text);
    }
}

static void zsh_flag(output *out, const command *c, const option *o)
{
    (void)c;
    output_printf(out, "      '--%s%s[", o->name, o->type == OPTION_SWITCH ? "" : "=");
    quoted(out, o->summary, "[]:\\");
    output_char(out, ']');
    if (o->type == OPTION_FILE) {
        output_text(out, ":file:_files");
    } else if (has_words(o)) {
        output_text(out, ":value:(");
        print_choices(out, o, " ");
        output_char(out, ')');
    } else if (o->type != OPTION_SWITCH) {
        output_text(out, ":value: ");
    }
    output_text(out, "' \\\n");
}

static bool print_zsh(output *out)
{
    output_text(out, "#compdef pluck\n_pluck() {\n  local command=$words[2]\n"
                     "  if ((CURRENT == 2)); then\n    _values command");
    print_first_words(out, " '", "'");
    output_text(out, "\n    return\n  fi\n");
    for (const command *const *c = commands; *c != NULL; c++) {
        if (!begins_group(c))
            continue;
        output_text(out, "  if [[ $command == ");
        print_word(out, *c);
        output_text(out, " ]]; then\n    if ((CURRENT == 3)); then\n      _values command ");
        print_group(out, c);
        output_text(out, "\n      return\n    fi\n    command+=\" $words[3]\"\n    shift words\n"
                         "    ((CURRENT--))\n  fi\n");
    }
    output_text(out, "  shift words\n  ((CURRENT--))\n  case $command in\n");
    bool ok = true;
    for (const command *const *c = commands; ok && *c != NULL; c++) {
        output_printf(out, "    '%s') _arguments \\\n", (*c)->name);
        ok = each_option(out, *c, zsh_flag);
        output_text(out, "      '*:file:_files' ;;\n");
    }
    output_text(out, "  esac\n}\n_pluck \"$@\"\n");
    return ok;
}

static void fish_flag(output *out, const command *c, const option *o)
{
    const char *const space = strchr(c->name, ' ');
    output_text(out, "complete -c pluck -n '__fish_seen_subcommand_from ");
    output_text(out, space == NULL ? c->name : space + 1);
    output_printf(out, "' -l %s", o->name);
    if (o->letter != 0)
        output_printf(out, " -s %c", o->letter);
    if (has_words(o)) {
        output_text(out, " -x -a '");
        print_choices(out, o, " ");
        output_char(out, '\'');
    } else if (o->type != OPTION_SWITCH) {
        output_text(out, o->type == OPTION_FILE ? " -r -F" : " -x");
    }
    output_text(out, " -d '");
    quoted(out, o->summary, "");
    output_text(out, "'\n");
}

static bool print_fish(output *out)
{
    bool ok = true;
    for (const command *const *c = commands; ok && *c != NULL; c++) {
        const char *const space = strchr((*c)->name, ' ');
        output_text(out, "complete -c pluck -f -n ");
        if (space == NULL)
            output_printf(out, "__fish_use_subcommand -a %s", (*c)->name);
        else
            output_printf(out, "'__fish_seen_subcommand_from %.*s' -a %s",
                          (int)(space - (*c)->name), (*c)->name, space + 1);
        output_printf(out, " -d '%s'\n", (*c)->summary);
        ok = each_option(out, *c, fish_flag);
    }
    for (const command *const *c = commands; *c != NULL; c++) {
        if (!begins_group(c))
            continue;
        output_text(out, "complete -c pluck -f -n __fish_use_subcommand -a ");
        print_word(out, *c);
        output_text(out, " -d '");
        print_group(out, c);
        output_text(out, "'\n");
    }
    output_text(out, "complete -c pluck -F -n '__fish_seen_subcommand_from sample inspect check "
                     "show predict stats fit distill eval'\n");
    return ok;
}

int cmd_completions(const arguments *args)
{
    static const struct {
        const char *name;
        bool (*print)(output *out);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    output out;
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(shells[i].name, args->words[0]) != 0)
            continue;
        const int code = output_open(&out, args->who, NULL, NULL, 0);
        if (code != EXIT_DONE)
            return code;
        const bool ok = shells[i].print(&out);
        const int close_code = output_close(&out, true);
        return ok ? close_code : complain_memory(args->who);
    }
    return complain(args->who, EXIT_USAGE, "unknown shell '%s'; bash, zsh and fish are known",
                    args->words[0]);
}
