/*
 * The parser: --flag VALUE, --flag=VALUE, -o VALUE, -oVALUE; "--" ends the flags, "-" is a word. A
 * flag given twice counts the last time. A long flag may be cut short as long as it means one.
 */
#include "flags.h"

#include "help.h"
#include "run_files.h"
#include "run_ranks.h"

#include "base/text.h"
#include "json/json.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_ITEM(name) &name##_command,
const command *const commands[] = {COMMANDS(COMMAND_ITEM) NULL};

const flag map_group[] = {
    FLAG_TITLE("Input"),
    {FLAG(SWITCH, "no-map", input_flags, no_map), .share = SHARE_NOT,
     .help = "read dumps and models whole into memory instead of mapping them, which takes more "
             "memory: for files that may change during the run, and for slow networks"},
    FLAG_END,
};

const flag input_group[] = {
    FLAG_TITLE("Input"),
    {FLAG(TEXT, "tensor", input_flags, tensor), .value = "NAME",
     .help = "name of the tensor that holds the logits, in npz, safetensors and torch files "
             "(default: 'logits', or the only one)"},
    {FLAG(COUNT, "vocab-size", input_flags, vocab_size), .min = 1, .max = PLUCK_MAX_VOCAB,
     .help = "number of values per row, for raw files and for rows that name only some tokens"},
    {FLAG(CHOICE, "dtype", input_flags, dtype), .value = "f32|f16|bf16",
     .help = "type of the values of raw files, and of 16-bit integers in other files (default: "
             "f32)"},
    {FLAG(CHOICE, "input-format", input_flags, format),
     .value = "auto|npy|safetensors|raw|npz|llama-kl|jsonl|torch|text|json",
     .help = "format of the dump (default: auto, by its content)"},
    FLAG_GROUP(map_group, input_flags, tensor),
    FLAG_END,
};

const flag vocab_group[] = {
    FLAG_TITLE("Vocabulary"),
    {FLAG(INPUT, "vocab", vocab_flags, file),
     .help = "texts of the tokens: one per line, JSON (a list, a map, a tokenizer.json), "
             "tiktoken, a SentencePiece .model or a GGUF model; each may be packed by gzip"},
    {FLAG(INPUT, "added-tokens", vocab_flags, added),
     .help = "tokens that are not in --vocab: added_tokens.json or tokenizer_config.json"},
    {FLAG(CHOICE, "vocab-encoding", vocab_flags, encoding),
     .value = "auto|plain|gpt2|sentencepiece|wordpiece",
     .help = "how the vocabulary spells bytes (default: auto, by its tokens)"},
    {FLAG(SWITCH, "short-vocab", vocab_flags, is_short),
     .help = "allow a vocabulary that is shorter than the rows: the last tokens have no text"},
    FLAG_END,
};

const flag config_group[] = {
    FLAG_TITLE("Configuration"),
    {FLAG(INPUT, "config", config_flags, file), .letter = 'c', .share = SHARE_KEYS,
     .help = "read the configuration from a JSON file; - is standard input"},
    {FLAG(TEXT, "preset", config_flags, preset), .value = "NAME", .share = SHARE_KEYS,
     .help = "start from a built-in configuration; pluck config init --list lists them"},
    {.kind = FLAG_KEYS, .at = offsetof(config_flags, keys)},
    FLAG_END,
};

const flag rows_flag[] = {
    {FLAG_SHARED(TEXT, "rows"), .letter = 'r', .value = "A:B",
     .help = "use rows A up to but not including B (also A:, :B or A); negative numbers count "
             "from the end (default: all)"},
    FLAG_END,
};

const flag threads_flag[] = {
    {FLAG_SHARED(COUNT, "threads"), .value = "N", .max = 1024, .share = SHARE_NOT,
     .help = "number of threads, 0: one per processor; the output does not depend on it "
             "(default: 1)"},
    FLAG_END,
};

const flag isa_flag[] = {
    {FLAG_SHARED(TEXT, "isa"), .value = "NAME", .share = SHARE_NOT,
     .help = "instruction set: best, scalar, avx2, avx512, neon, sse2, wasm or vector; only the "
             "speed depends on it (default: best)"},
    FLAG_END,
};

const flag prompt_flag[] = {
    {FLAG_SHARED(TEXT, "prompt-tokens"), .value = "IDS",
     .help = "token ids of the prompt, separated by commas: penalties count them, but they do "
             "not count as generated"},
    FLAG_END,
};

const flag targets_flag[] = {
    {FLAG_SHARED(INPUT, "targets"), .value = "FILE",
     .help = "the tokens that really followed, one per row: .npy of integers, or text (default: "
             "those in the dump)"},
    FLAG_END,
};

const flag quiet_flag[] = {
    {FLAG(SWITCH, "quiet", call, is_quiet), .letter = 'q', .share = SHARE_NOT,
     .help = "print no progress bar and no notes"},
    FLAG_END,
};

const flag output_flag[] = {
    FLAG_TITLE("Output"),
    {FLAG_SHARED(OUTPUT, "output"), .letter = 'o', .value = "FILE",
     .help = "write to FILE instead of standard output; FILE appears only when it is complete"},
    FLAG_END,
};

const flag format_flag[] = {
    {FLAG_SHARED(CHOICE, "format"), .letter = 'f', .value = "text|json",
     .help = "output format (default: text)"},
    FLAG_END,
};

const flag table_format_flag[] = {
    {FLAG_SHARED(CHOICE, "format"), .letter = 'f', .value = "text|json|csv",
     .help = "output format (default: text)"},
    FLAG_END,
};

const flag shard_group[] = {
    FLAG_TITLE("Many processes"),
    {FLAG(TEXT, "shard", shard_flags, shard), .value = "I/N", .words = "slurm", .share = SHARE_NOT,
     .help = "do only part I of N of the rows, counted from 0, for pluck merge; slurm: the part "
             "that belongs to this task of a job array"},
    {FLAG(OUTPUT, "partial", shard_flags, partial), .share = SHARE_NOT,
     .help = "with --shard: write what pluck merge needs of this part to FILE"},
    {FLAG(INPUT, "plan", shard_flags, plan),
     .help = "with --shard: go on from FILE, which pluck merge has written with --plan-out"},
    {FLAG(TEXT, "partials", shard_flags, partials), .value = "FOLDER", .share = SHARE_NOT,
     .help = "keep the results of each shard in FOLDER while the run goes on, and take those that "
             "are there already from it: a run that was killed is started again with the same "
             "command"},
    {FLAG(COUNT, "shards", shard_flags, n_shards), .min = 1, .max = 1000000, .share = SHARE_NOT,
     .help = "with --partials: number of shards (default: 64)"},
    FLAG_END,
};

static const flag help_group[] = {
    FLAG_TITLE("Help"),
    {FLAG_SHARED(SWITCH, "help"), .letter = 'h',
     .help = "print one page; --help=all explains every option"},
    FLAG_END,
};

bool number_json(const char *typed, char *json, size_t capacity)
{
    static const char digits[] = "0123456789";
    const char *sign = *typed == '-' ? "-" : "";
    typed += *typed == '-' || *typed == '+';
    size_t n_whole = strspn(typed, digits);
    bool has_point = typed[n_whole] == '.';
    const char *fraction = typed + n_whole + has_point;
    size_t n_fraction = has_point ? strspn(fraction, digits) : 0;
    const char *exponent = fraction + n_fraction;
    bool has_exponent = *exponent == 'e' || *exponent == 'E';
    const char *power = exponent + has_exponent;
    power += has_exponent && (*power == '-' || *power == '+');
    if (n_whole + n_fraction == 0 || (has_exponent && *power == '\0') ||
        power[has_exponent ? strspn(power, digits) : 0] != '\0')
        return false;
    for (; n_whole > 1 && *typed == '0'; n_whole--)
        typed++;
    int n = snprintf(json, capacity, "%s%s%.*s%s%.*s%s", sign, n_whole == 0 ? "0" : "",
                     (int)n_whole, typed, has_point ? "." : "", (int)n_fraction, fraction,
                     has_point && n_fraction == 0 ? "0" : "");
    return (size_t)n + strlen(exponent) < capacity && strcat(json, exponent);
}

bool parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    char json[PLK_NUMBER_MAX_TEXT + 1];
    bool is_negative = false;
    uint64_t count = 0;
    if (*text == '-' || *text == '+' || !number_json(text, json, sizeof json) ||
        plk_number_whole(json, strlen(json), &is_negative, &count) != PLK_WHOLE || count < min ||
        count > max)
        return false;
    *value = count;
    return true;
}

bool parse_number(const char *text, double min, double max, double *value)
{
    char json[PLK_NUMBER_MAX_TEXT + 1];
    if (!number_json(text, json, sizeof json))
        return false;
    double number = plk_number_read(json, strlen(json));
    if (!(number >= min && number <= max))
        return false;
    *value = number;
    return true;
}

const char *number_hint(const char *text)
{
    const char *comma = strchr(text, ',');
    char point[64], json[80];
    if (!comma || strlen(text) >= sizeof point)
        return "";
    memcpy(point, text, strlen(text) + 1);
    point[comma - text] = '.';
    return number_json(point, json, sizeof json) ? "; the decimal point is '.'" : "";
}

const char *choice_at(const char *choices, int index, size_t *n)
{
    for (; index > 0; index--) {
        choices = strchr(choices, '|');
        if (!choices)
            return NULL;
        choices++;
    }
    *n = strcspn(choices, "|");
    return choices;
}

/* How many flags a table has, its groups resolved. */
static size_t count_flags(const flag *entries)
{
    size_t n = 0;
    for (const flag *f = entries; f && f->kind != FLAG_LAST; f++) {
        if (f->kind == FLAG_TABLE)
            n += count_flags(f->group);
        else
            n += f->kind == FLAG_KEYS ? 1 + flag_count_keys() : 1;
    }
    return n;
}

static const char *const value_names[FLAG_KEY + 1] = {
    [FLAG_INPUT] = "FILE", [FLAG_OUTPUT] = "FILE", [FLAG_COUNT] = "N", [FLAG_NUMBER] = "X"};

static bool add_table(flag_set *set, const flag *entries, size_t at)
{
    for (const flag *f = entries; f && f->kind != FLAG_LAST; f++) {
        if (f->kind == FLAG_TABLE) {
            if (!add_table(set, f->group, at + f->at))
                return false;
        } else if (f->kind == FLAG_KEYS) {
            if (!flag_set_add_keys(set, at + f->at))
                return false;
        } else {
            flag *added = &set->flags[set->n++];
            *added = *f;
            added->at += at;
            added->value = f->value ? f->value : value_names[f->kind];
        }
    }
    return true;
}

bool flag_set_create(flag_set *set, const command *c, size_t n_words)
{
    *set = (flag_set){.n = 0};
    set->flags = calloc(count_flags(c->flags) + count_flags(help_group), sizeof *set->flags);
    set->key_values = calloc(n_words + 1, sizeof *set->key_values);
    if (set->flags && set->key_values && add_table(set, c->flags, 0) &&
        add_table(set, help_group, offsetof(call, help)))
        return true;
    flag_set_destroy(set);
    return false;
}

void flag_set_destroy(flag_set *set)
{
    free(set->flags);
    free(set->key_texts);
    free(set->key_values);
    *set = (flag_set){.n = 0};
}

const command *command_find(const char *const *words, size_t n_words, size_t *n_used)
{
    for (const command *const *c = commands; (*c); c++) {
        const char *space = strchr((*c)->name, ' ');
        size_t first = !space ? strlen((*c)->name) : (size_t)(space - (*c)->name);
        if (n_words == 0 || strlen(words[0]) != first || memcmp(words[0], (*c)->name, first) != 0)
            continue;
        *n_used = !space ? 1 : 2;
        if (!space || (n_words > 1 && strcmp(words[1], space + 1) == 0))
            return *c;
    }
    return NULL;
}

/* name[0 .. n - 1], or the letter if it is not 0. */
static const flag *find_flag(const flag_set *set, const char *name, size_t n, char letter)
{
    for (size_t i = 0; i < set->n; i++) {
        const flag *f = &set->flags[i];
        if (f->kind != FLAG_HEADING &&
            (letter != 0 ? f->letter == letter
                         : strlen(f->name) == n && memcmp(f->name, name, n) == 0))
            return f;
    }
    return NULL;
}

/* Other names that a command understands, if it has the flag that they mean. */
static const flag *find_alias(const flag_set *set, const char *name, size_t n)
{
    static const char *const aliases[][2] = {
        {"row", "rows"}, {"rows", "row"}, {"temp", "temperature"}};
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strlen(aliases[i][0]) == n && memcmp(aliases[i][0], name, n) == 0)
            return find_flag(set, aliases[i][1], strlen(aliases[i][1]), 0);
    return NULL;
}

/* The flag of this name, or else the only one that begins so. If there are several: their list. */
static const flag *find_long(const flag_set *set, const char *name, size_t n, char *list,
                             size_t capacity)
{
    const flag *found = find_flag(set, name, n, 0);
    if (!found)
        found = find_alias(set, name, n);
    if (found)
        return found;
    size_t n_found = 0;
    *list = '\0';
    for (size_t i = 0; i < set->n; i++) {
        const flag *f = &set->flags[i];
        if (f->kind == FLAG_HEADING || strncmp(f->name, name, n) != 0)
            continue;
        size_t used = strlen(list);
        snprintf(list + used, capacity - used, "%s--%s", n_found++ > 0 ? ", " : "", f->name);
        found = f;
    }
    return n_found == 1 ? found : NULL;
}

static int unknown_flag(const flag_set *set, const char *typed)
{
    char name[64] = "";
    strncat(name, typed + strspn(typed, "-"), sizeof name - 1);
    name[strcspn(name, "=")] = '\0';
    plk_suggestion nearest = plk_suggest(name);
    for (size_t i = 0; i < set->n; i++)
        if (set->flags[i].kind != FLAG_HEADING)
            plk_suggest_offer(&nearest, set->flags[i].name, NULL);
    int n = (int)strcspn(typed, "=");
    if (!nearest.best)
        return complain(EXIT_USAGE, "unknown option '%.*s'; see %s --help", n, typed,
                        message_who());
    return complain(EXIT_USAGE, "unknown option '%.*s'; did you mean '--%s'?", n, typed,
                    nearest.best);
}

static int take_choice(const flag *f, const char *value, int *place)
{
    size_t n = 0;
    int index = 0;
    for (const char *word; (word = choice_at(f->value, index, &n)); index++) {
        if (strlen(value) == n && memcmp(value, word, n) == 0) {
            *place = index;
            return EXIT_DONE;
        }
    }
    return complain(EXIT_USAGE, "--%s: '%s' is not one of %s", f->name, value, f->value);
}

static int take_number(const flag *f, const char *value, double *place)
{
    bool is_any = f->low == 0 && f->high == 0;
    double number = 0, low = is_any ? -DBL_MAX : f->low, high = is_any ? DBL_MAX : f->high;
    if (parse_number(value, low, high, &number) && !(f->is_low_open && number == f->low)) {
        *place = number;
        return EXIT_DONE;
    }
    if (is_any)
        return complain(EXIT_USAGE, "--%s: '%s' is not a finite number%s", f->name, value,
                        number_hint(value));
    if (f->is_low_open)
        return complain(EXIT_USAGE, "--%s: '%s' is not a number in (%g, %g]%s", f->name, value, low,
                        high, number_hint(value));
    if (high == DBL_MAX)
        return complain(EXIT_USAGE, "--%s: '%s' is not a number of %g or more%s", f->name, value,
                        low, number_hint(value));
    return complain(EXIT_USAGE, "--%s: '%s' is not a number from %.0f to %.0f%s", f->name, value,
                    low, high, number_hint(value));
}

/* values: the struct of the command. */
static int take(flag_set *set, void *values, const flag *f, const char *value)
{
    char *place = (char *)values + f->at;
    key_list *list = (key_list *)(void *)place;
    switch (f->kind) {
    case FLAG_SWITCH:
        *(bool *)place = true;
        return EXIT_DONE;
    case FLAG_TEXT:
    case FLAG_INPUT:
    case FLAG_OUTPUT:
        *(const char **)(void *)place = value;
        return EXIT_DONE;
    case FLAG_COUNT:
        if (parse_count(value, f->min, f->max, (uint64_t *)(void *)place))
            return EXIT_DONE;
        return complain(EXIT_USAGE, "--%s: '%s' is not a whole number from %llu to %llu%s", f->name,
                        value, (unsigned long long)f->min, (unsigned long long)f->max,
                        number_hint(value));
    case FLAG_NUMBER:
        return take_number(f, value, (double *)(void *)place);
    case FLAG_CHOICE:
        return take_choice(f, value, (int *)(void *)place);
    default:
        list->items = set->key_values;
        list->items[list->n++] = (key_value){f, value};
        return EXIT_DONE;
    }
}

bool is_boolean_key(const flag *f)
{
    return f->kind == FLAG_KEY && strcmp(f->value, "true|false") == 0;
}

/* The flag that a word names, and the value in the same word, or NULL. */
static int read_flag(const flag_set *set, const char *typed, const flag **f, const char **value)
{
    bool is_long = typed[1] == '-';
    const char *name = typed + 1 + is_long;
    size_t n = is_long ? strcspn(name, "=") : 1;
    char list[512] = "";
    *f = n == 0    ? NULL
         : is_long ? find_long(set, name, n, list, sizeof list)
                   : find_flag(set, "", 0, name[0]);
    if (!*f && *list != '\0')
        return complain(EXIT_USAGE, "option '%.*s' is ambiguous; it could be %s", (int)n + 2, typed,
                        list);
    if (!*f)
        return unknown_flag(set, typed);
    *value = name[n] != '\0' ? name + n + is_long : NULL;
    return EXIT_DONE;
}

/* The value of a flag, if it takes one: the next word, unless it is in the same word. */
static int read_value(const flag *f, int n_words, char **words, int *at, const char **value)
{
    const char *next = *at + 1 < n_words ? words[*at + 1] : "--";
    bool is_value = strncmp(next, "--", 2) != 0;
    if (f->kind == FLAG_SWITCH && *value)
        return complain(EXIT_USAGE, "--%s takes no value", f->name);
    if (f->kind == FLAG_SWITCH || *value)
        return EXIT_DONE;
    if (is_boolean_key(f))
        is_value = strcmp(next, "true") == 0 || strcmp(next, "false") == 0;
    else if (!is_value)
        return complain(EXIT_USAGE, "--%s needs a value: %s", f->name, f->value);
    *value = is_value ? next : "true";
    *at += is_value;
    return EXIT_DONE;
}

/* One flag at words[*at]; moves *at over its value. */
static int parse_flag(call *c, flag_set *set, void *values, int n_words, char **words, int *at)
{
    const flag *f = NULL;
    const char *value = NULL;
    int first = *at, code = read_flag(set, words[*at], &f, &value);
    if (code != EXIT_DONE)
        return code;
    if (f->at == offsetof(call, help) && f->kind == FLAG_SWITCH) {
        c->help = value ? HELP_ALL : HELP_PAGE;
        if (value && strcmp(value, "all") != 0)
            return complain(EXIT_USAGE, "--help: '%s' is not 'all'", value);
        return EXIT_DONE;
    }
    code = read_value(f, n_words, words, at, &value);
    for (int i = first; i <= *at && f->share != SHARE_NOT; i++)
        c->line[c->n_line++] = words[i];
    return code == EXIT_DONE ? take(set, values, f, value) : code;
}

static int check_words(const call *c)
{
    const command *about = c->command;
    if (c->help != HELP_NONE)
        return EXIT_DONE;
    if (c->n_words < about->min_words)
        return complain(EXIT_USAGE, "needs a %s; see %s --help", about->word_name, message_who());
    if (c->n_words <= about->max_words)
        return EXIT_DONE;
    if (about->max_words == 0)
        return complain(EXIT_USAGE, "unexpected '%s'; see %s --help", c->words[0], message_who());
    return complain(EXIT_USAGE, "takes only %llu %s; '%s' is too much",
                    (unsigned long long)about->max_words, about->word_name,
                    c->words[about->max_words]);
}

/* -1, -.5 or -inf, for a command whose words are numbers. */
static bool is_negative_number(const command *c, const char *word)
{
    char json[PLK_NUMBER_MAX_TEXT + 1];
    size_t n = strlen(word);
    return strcmp(c->word_name, "NUMBER") == 0 && *word == '-' &&
           (number_json(word, json, sizeof json) || plk_is_word(word, n, "-inf") ||
            plk_is_word(word, n, "-infinity") || plk_is_word(word, n, "-nan"));
}

static int parse(call *c, flag_set *set, void *values, int n_words, char **words)
{
    bool flags_ended = false;
    for (int i = 0; i < n_words; i++) {
        bool is_end = !flags_ended && strcmp(words[i], "--") == 0;
        if (is_end) {
            flags_ended = true;
        } else if (flags_ended || words[i][0] != '-' || words[i][1] == '\0' ||
                   is_negative_number(c->command, words[i])) {
            c->words[c->n_words++] = words[i];
        } else {
            int code = parse_flag(c, set, values, n_words, words, &i);
            if (code != EXIT_DONE)
                return code;
            continue;
        }
        c->line[c->n_line++] = words[i];
    }
    return check_words(c);
}

static int print_help(const call *c)
{
    output out;
    int code = output_open(&out, NULL);
    if (code != EXIT_DONE)
        return code;
    help_print(&out, c->command, c->set, c->help);
    return output_finish(&out, code);
}

static int run(call *values)
{
    const command *c = values->command;
    message_start(c->name, values->is_quiet);
    if (!peers_start(find_flag(values->set, "shard", strlen("shard"), 0) != NULL))
        return EXIT_DONE;
    int code = run_files_check(values, NULL);
    if (code == EXIT_DONE)
        code = ranks_start(values);
    return code == EXIT_DONE ? ranks_end(c->run(values)) : code;
}

static int replay(call *values, const replay_files *files)
{
    const flag *place = find_flag(values->set, "output", strlen("output"), 0);
    if (files->output)
        *(const char **)(void *)((char *)values + place->at) = files->output;
    int code = run_files_check(values, files->plan_out);
    if (code == EXIT_DONE)
        code = ranks_start_replay(values);
    return code == EXIT_DONE ? ranks_end(values->command->run(values)) : code;
}

/* Parses and runs a command line; files: replays that of shards, or NULL. */
static int parse_and_run(const command *c, int n_words, char **words, const replay_files *files)
{
    flag_set set = {.n = 0};
    size_t bytes = c->flags_bytes > 0 ? c->flags_bytes : sizeof(call);
    /* The struct of every command begins with a call. */
    call *values = calloc(1, bytes);
    const char **typed = calloc(2 * ((size_t)n_words + 1), sizeof *typed);
    int code = EXIT_DONE;
    if (!values || !typed || !flag_set_create(&set, c, (size_t)n_words)) {
        code = complain_memory();
    } else {
        if (c->defaults)
            memcpy(values, c->defaults, bytes);
        *values =
            (call){.command = c, .set = &set, .words = typed, .line = typed + (size_t)n_words + 1};
        code = parse(values, &set, values, n_words, words);
        if (code == EXIT_DONE && values->help != HELP_NONE)
            code = print_help(values);
        else if (code == EXIT_DONE)
            code = files ? replay(values, files) : run(values);
    }
    flag_set_destroy(&set);
    free(typed);
    free(values);
    return code;
}

int command_run(const command *c, int n_words, char **words)
{
    message_start(c->name, false);
    return parse_and_run(c, n_words, words, NULL);
}

int command_replay(const command *c, int n_words, char **words, const replay_files *files)
{
    return parse_and_run(c, n_words, words, files);
}
