/*
 * pluck completions: scripts for bash, zsh and fish. All three look at the words typed so far: the
 * command first, then its flags, the words of a choice, or files.
 */
#include "setup.h"

#include <ctype.h>
#include <string.h>

/* What a flag or the words of a command can be, where that is a list. */
typedef enum word_list {
    WORDS_ANY,
    WORDS_CHOICES, /* those of the flag's value, or of its words */
    WORDS_ORDER,   /* stages, separated by commas */
    WORDS_PRESETS,
    WORDS_DRAWS,
    WORDS_ISAS,
    WORDS_STAGES,
    WORDS_SHELLS,
    WORDS_COMMANDS
} word_list;

typedef void (*flag_printer)(output *out, const command *c, const flag *f);

static bool each_flag(output *out, const command *c, flag_printer print)
{
    flag_set set;
    if (!flag_set_create(&set, c, 0))
        return false;
    for (size_t i = 0; i < set.n; i++)
        if (set.flags[i].kind != FLAG_HEADING)
            print(out, c, &set.flags[i]);
    flag_set_destroy(&set);
    return true;
}

static bool is_choice(const char *value_name)
{
    bool has_capital = false;
    for (const char *c = value_name; *c != '\0'; c++)
        has_capital |= isupper((unsigned char)*c) != 0;
    return strchr(value_name, '|') && !has_capital;
}

static word_list words_of_flag(const flag *f)
{
    if (f->kind == FLAG_SWITCH)
        return WORDS_ANY;
    if (f->words || is_choice(f->value))
        return WORDS_CHOICES;
    return strcmp(f->name, "order") == 0    ? WORDS_ORDER
           : strcmp(f->name, "preset") == 0 ? WORDS_PRESETS
           : strcmp(f->name, "draw") == 0   ? WORDS_DRAWS
           : strcmp(f->name, "isa") == 0    ? WORDS_ISAS
                                            : WORDS_ANY;
}

static word_list words_of_command(const command *c)
{
    return strcmp(c->name, "stages") == 0        ? WORDS_STAGES
           : strcmp(c->name, "completions") == 0 ? WORDS_SHELLS
           : strcmp(c->name, "config init") == 0 ? WORDS_PRESETS
           : strcmp(c->name, "help") == 0        ? WORDS_COMMANDS
                                                 : WORDS_ANY;
}

/* The index-th word of a list and its length; NULL beyond. *n = 0: left out. */
static const char *word_at(word_list list, const flag *f, int index, size_t *n)
{
    static const char shells[] = "bash|zsh|fish";
    const char *word = NULL;
    if (list == WORDS_CHOICES || list == WORDS_SHELLS)
        return choice_at(list == WORDS_SHELLS ? shells : f->words ? f->words : f->value, index, n);
    if (list == WORDS_PRESETS)
        word = presets[index].name;
    if (list == WORDS_ISAS)
        word = pluck_isa_name((pluck_isa)index);
    if (list == WORDS_COMMANDS)
        word = commands[index] ? commands[index]->name : NULL;
    bool is_stage = list == WORDS_STAGES || list == WORDS_DRAWS || list == WORDS_ORDER;
    const pluck_stage *stage = is_stage ? pluck_stage_at((size_t)index) : NULL;
    if (stage)
        word = stage->name;
    bool is_wanted = !stage || list == WORDS_STAGES ||
                     (stage->kind == PLUCK_STAGE_DRAW) == (list == WORDS_DRAWS);
    /* Of a command of two words the group is enough. */
    *n = word && is_wanted ? strcspn(word, " ") : 0;
    if (list == WORDS_COMMANDS && index > 0 && word &&
        strncmp(commands[index - 1]->name, word, *n + 1) == 0)
        *n = 0;
    return word;
}

static void print_words(output *out, word_list list, const flag *f, const char *separator)
{
    size_t n = 0;
    const char *word;
    bool is_first = true;
    for (int i = 0; (word = word_at(list, f, i, &n)); i++) {
        if (n == 0)
            continue;
        output_text(out, is_first ? "" : separator);
        output_write(out, word, n);
        is_first = false;
    }
}

/* Whether c is the first of its group: "config check" of those that begin with "config". */
static bool begins_group(const command *const *c)
{
    size_t n = strcspn((*c)->name, " ");
    return (*c)->name[n] == ' ' && (c == commands || strncmp(c[-1]->name, (*c)->name, n + 1) != 0);
}

/* The second words of the group of *c, which it begins. */
static void print_second_words(output *out, const command *const *c)
{
    size_t n = strcspn((*c)->name, " ") + 1;
    for (const command *const *d = c; (*d) && strncmp((*d)->name, (*c)->name, n) == 0; d++)
        output_printf(out, "%s%s", d > c ? " " : "", (*d)->name + n);
}

/* Of the first word of its name. */
static int first_length(const command *c)
{
    return (int)strcspn(c->name, " ");
}

/* Whether the first word of *c has not been there before it. */
static bool is_new_word(const command *const *c)
{
    return !strchr((*c)->name, ' ') || begins_group(c);
}

static const char *group_summary(const command *c)
{
    return strncmp(c->name, "config ", 7) == 0 ? "check, show and start configurations"
                                               : "code trees and heads: predict, fit, measure";
}

static void bash_flag(output *out, const command *c, const flag *f)
{
    (void)c;
    output_printf(out, " --%s", f->name);
}

static void bash_values(output *out, const command *c, const flag *f)
{
    word_list list = words_of_flag(f);
    if (list != WORDS_ANY) {
        output_printf(out, "    '%s --%s'", c->name, f->name);
        if (f->letter != 0)
            output_printf(out, "|'%s -%c'", c->name, f->letter);
        output_text(out, ") words='");
        print_words(out, list, f, " ");
        output_text(out, list == WORDS_ORDER ? "' comma=, ;;\n" : "' ;;\n");
    } else if (f->kind != FLAG_SWITCH && !flag_is_file(f)) {
        output_printf(out, "    '%s --%s') return ;;\n", c->name, f->name);
    } else if (flag_is_file(f)) {
        output_printf(out, "    '%s --%s') words= ;;\n", c->name, f->name);
    }
}

static bool print_bash(output *out)
{
    output_text(out,
                "_pluck() {\n"
                "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}"
                "\n  local command=${COMP_WORDS[1]} words= comma= before=\n"
                "  # --flag=value is one word, or three where '=' breaks words\n"
                "  if [[ $current == --*=* ]]; then\n"
                "    previous=${current%%=*} before=$previous= current=${current#*=}\n"
                "  elif [[ $current == '=' ]]; then\n"
                "    current=\n"
                "  elif [[ $previous == '=' ]]; then\n"
                "    previous=${COMP_WORDS[COMP_CWORD-2]}\n"
                "  fi\n"
                "  case $command in\n");
    for (const command *const *c = commands; (*c); c++) {
        if (begins_group(c))
            output_printf(out, "    %.*s) command+=\" ${COMP_WORDS[2]}\" ;;\n", first_length(*c),
                          (*c)->name);
    }
    output_text(out, "  esac\n  COMPREPLY=()\n  if ((COMP_CWORD == 1)); then\n    words='");
    for (const command *const *c = commands; (*c); c++) {
        if (is_new_word(c))
            output_printf(out, "%.*s ", first_length(*c), (*c)->name);
    }
    output_text(out, "--help --version'\n");
    for (const command *const *c = commands; (*c); c++) {
        if (!begins_group(c))
            continue;
        output_printf(
            out, "  elif ((COMP_CWORD == 2)) && [[ ${COMP_WORDS[1]} == %.*s ]]; then\n    words='",
            first_length(*c), (*c)->name);
        print_second_words(out, c);
        output_text(out, "'\n");
    }
    output_text(out, "  elif [[ $current == -* ]]; then\n    case $command in\n");
    bool ok = true;
    for (const command *const *c = commands; ok && (*c); c++) {
        output_printf(out, "    '%s') words='", (*c)->name);
        ok = each_flag(out, *c, bash_flag);
        output_text(out, "' ;;\n");
    }
    output_text(out, "    esac\n  else\n    case \"$command $previous\" in\n");
    for (const command *const *c = commands; ok && (*c); c++) {
        ok = each_flag(out, *c, bash_values);
        if (words_of_command(*c) == WORDS_ANY)
            continue;
        const char *space = strchr((*c)->name, ' ');
        output_printf(out, "    '%s %s') words='", (*c)->name, space ? space + 1 : (*c)->name);
        print_words(out, words_of_command(*c), NULL, " ");
        output_text(out, "' ;;\n");
    }
    output_text(out, "    esac\n  fi\n"
                     "  if [[ -n $comma && $current == *,* ]]; then\n"
                     "    before+=${current%,*}, current=${current##*,}\n"
                     "  fi\n"
                     "  [[ -n $words ]] && mapfile -t COMPREPLY < <(compgen -P \"$before\" -W "
                     "\"$words\" -- \"$current\")\n"
                     "  if [[ -n $comma || ${COMPREPLY[0]} == *= ]]; then\n"
                     "    compopt -o nospace 2> /dev/null\n  fi\n"
                     "  return 0\n}\n"
                     "complete -o default -F _pluck pluck\n");
    return ok;
}

/* Text inside single quotes, for both zsh and fish. */
static void quoted(output *out, const char *text, const char *escaped)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            output_text(out, "'\\''");
        else if (strchr(escaped, *text))
            output_printf(out, "\\%c", *text);
        else
            output_char(out, *text);
    }
}

/* spelling: "--top-k=" or "-n+". */
static void zsh_spec(output *out, const flag *f, const char *dashes, const char *name,
                     const char *joint)
{
    word_list list = words_of_flag(f);
    output_printf(out, "      '%s%s%s[", dashes, name, f->kind == FLAG_SWITCH ? "" : joint);
    quoted(out, f->help, "[]:\\");
    output_char(out, ']');
    if (flag_is_file(f)) {
        output_text(out, ":file:_files");
    } else if (list == WORDS_ORDER) {
        output_text(out, ":value:_values -s , stage ");
        print_words(out, list, f, " ");
    } else if (list != WORDS_ANY) {
        output_text(out, ":value:(");
        print_words(out, list, f, " ");
        output_char(out, ')');
    } else if (f->kind != FLAG_SWITCH) {
        output_text(out, ":value: ");
    }
    output_text(out, "' \\\n");
}

static void zsh_flag(output *out, const command *c, const flag *f)
{
    (void)c;
    const char letter[] = {f->letter, '\0'};
    zsh_spec(out, f, "--", f->name, "=");
    if (f->letter != 0)
        zsh_spec(out, f, "-", letter, "+");
}

static bool print_zsh(output *out)
{
    output_text(out, "#compdef pluck\n_pluck() {\n  local command=$words[2]\n"
                     "  if ((CURRENT == 2)); then\n    _values command");
    for (const command *const *c = commands; (*c); c++) {
        if (!is_new_word(c))
            continue;
        output_printf(out, " '%.*s[", first_length(*c), (*c)->name);
        quoted(out, begins_group(c) ? group_summary(*c) : (*c)->summary, "[]:\\");
        output_text(out, "]'");
    }
    output_text(out, "\n    return\n  fi\n");
    for (const command *const *c = commands; (*c); c++) {
        if (!begins_group(c))
            continue;
        output_printf(out,
                      "  if [[ $command == %.*s ]]; then\n    if ((CURRENT == 3)); then\n"
                      "      _values command ",
                      first_length(*c), (*c)->name);
        print_second_words(out, c);
        output_text(out, "\n      return\n    fi\n    command+=\" $words[3]\"\n    shift words\n"
                         "    ((CURRENT--))\n  fi\n");
    }
    output_text(out, "  shift words\n  ((CURRENT--))\n  case $command in\n");
    bool ok = true;
    for (const command *const *c = commands; ok && (*c); c++) {
        output_printf(out, "    '%s') _arguments \\\n", (*c)->name);
        ok = each_flag(out, *c, zsh_flag);
        if (words_of_command(*c) == WORDS_ANY) {
            output_text(out, "      '*:file:_files' ;;\n");
            continue;
        }
        output_text(out, "      '*:word:(");
        print_words(out, words_of_command(*c), NULL, " ");
        output_text(out, ")' ;;\n");
    }
    output_text(out, "  esac\n}\n_pluck \"$@\"\n");
    return ok;
}

static void fish_flag(output *out, const command *c, const flag *f)
{
    const char *space = strchr(c->name, ' ');
    output_text(out, "complete -c pluck -n '__fish_seen_subcommand_from ");
    output_text(out, !space ? c->name : space + 1);
    output_printf(out, "' -l %s", f->name);
    if (f->letter != 0)
        output_printf(out, " -s %c", f->letter);
    if (words_of_flag(f) != WORDS_ANY) {
        bool is_order = words_of_flag(f) == WORDS_ORDER;
        output_text(out, is_order ? " -x -a '(__fish_append , " : " -x -a '");
        print_words(out, words_of_flag(f), f, " ");
        output_text(out, is_order ? ")'" : "'");
    } else if (f->kind != FLAG_SWITCH) {
        output_text(out, flag_is_file(f) ? " -r -F" : " -x");
    }
    output_text(out, " -d '");
    quoted(out, f->help, "");
    output_text(out, "'\n");
}

/* What follows the command: words of a list, files, or nothing. */
static void fish_words(output *out, const command *c)
{
    const char *space = strchr(c->name, ' ');
    word_list list = words_of_command(c);
    const char *files = c->max_words == 0 ? "-f" : list == WORDS_ANY ? "-F" : "-f -a '";
    output_printf(out, "complete -c pluck -n '__fish_seen_subcommand_from %s' %s",
                  !space ? c->name : space + 1, files);
    if (list != WORDS_ANY) {
        print_words(out, list, NULL, " ");
        output_char(out, '\'');
    }
    output_char(out, '\n');
}

static bool print_fish(output *out)
{
    bool ok = true;
    const command *const *group = commands;
    for (const command *const *c = commands; ok && (*c); c++) {
        const char *space = strchr((*c)->name, ' ');
        if (begins_group(c)) {
            group = c;
            output_printf(out, "complete -c pluck -f -n __fish_use_subcommand -a %.*s -d '%s'\n",
                          first_length(*c), (*c)->name, group_summary(*c));
        }
        output_text(out, "complete -c pluck -f -n ");
        if (!space) {
            output_printf(out, "__fish_use_subcommand -a %s", (*c)->name);
        } else {
            output_printf(out,
                          "'__fish_seen_subcommand_from %.*s; and not "
                          "__fish_seen_subcommand_from ",
                          first_length(*c), (*c)->name);
            print_second_words(out, group);
            output_printf(out, "' -a %s", space + 1);
        }
        output_printf(out, " -d '%s'\n", (*c)->summary);
        ok = each_flag(out, *c, fish_flag);
        fish_words(out, *c);
    }
    return ok;
}

static int run(const void *given)
{
    const call *c = given;
    static const struct {
        const char *name;
        bool (*print)(output *out);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    output out;
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(shells[i].name, c->words[0]) != 0)
            continue;
        int code = output_open(&out, NULL);
        if (code != EXIT_DONE)
            return code;
        bool ok = shells[i].print(&out);
        int close_code = output_close(&out, true);
        return ok ? close_code : complain_memory();
    }
    return complain(EXIT_USAGE, "unknown shell '%s'; bash, zsh and fish are known", c->words[0]);
}

const command completions_command = {
    .name = "completions",
    .synopsis = "bash|zsh|fish",
    .summary = "print completions for a shell",
    .about = "Prints a script to be read by the shell: for bash, put it into "
             "~/.local/share/bash-completion/completions/pluck. For zsh, put it into a "
             "directory of $fpath as _pluck, and for fish into "
             "~/.config/fish/completions/pluck.fish.",
    .examples = {"pluck completions bash > pluck.bash"},
    COMMAND_WORDS(1, 1, "SHELL"),
    .run = run,
};
