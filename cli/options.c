/*
 * The parser: --flag VALUE, --flag=VALUE, -o VALUE, -oVALUE; "--" ends the flags, "-" is a word. A
 * flag given twice counts the last time. Every value goes to the place in arguments that the table
 * names, so that a new flag is one line in the table.
 */
#include "options.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static const char digits[] = "0123456789";

static bool parse_digits(const char *text, uint64_t *value)
{
    uint64_t sum = 0;
    for (; *text != '\0'; text++) {
        uint64_t digit = (uint64_t)(*text - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

/* Whether a decimal number is whole, which its nearest double does not tell: 1e-400 is not. */
static bool is_whole(const char *text)
{
    long n = 0, n_before_point = -1, last = 0; /* digits, up to the last that is not 0 */
    for (; *text != '\0' && *text != 'e' && *text != 'E'; text++) {
        if (*text == '.') {
            n_before_point = n;
            continue;
        }
        n++;
        if (*text != '0')
            last = n;
    }
    if (n_before_point < 0)
        n_before_point = n;
    long exponent = *text != '\0' ? strtol(text + 1, NULL, 10) : 0;
    return last == 0 || exponent >= last - n_before_point;
}

bool parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    double exact = 9007199254740992.0; /* 2^53: whole numbers up to here are doubles */
    uint64_t count = 0;
    double number = 0;
    if (*text == '\0')
        return false;
    if (text[strspn(text, digits)] == '\0') {
        if (!parse_digits(text, &count))
            return false;
    } else {
        /* 1e3 is a whole number too. */
        if (*text == '-' || *text == '+' || !parse_number(text, 0, exact, &number) ||
            !is_whole(text))
            return false;
        count = (uint64_t)number;
    }
    if (count < min || count > max)
        return false;
    *value = count;
    return true;
}

/* Decimal digits, with a point, a sign and an exponent where they may be. */
static bool is_decimal(const char *text)
{
    text += *text == '-' || *text == '+';
    size_t n = strspn(text, digits);
    text += n;
    if (*text == '.') {
        size_t n_fraction = strspn(text + 1, digits);
        n += n_fraction;
        text += 1 + n_fraction;
    }
    if (n > 0 && (*text == 'e' || *text == 'E')) {
        text += 1 + (text[1] == '-' || text[1] == '+');
        n = strspn(text, digits);
        text += n;
    }
    return n > 0 && *text == '\0';
}

bool parse_number(const char *text, double min, double max, double *value)
{
    /* strtod() also takes spaces, hexadecimal digits, "inf" and "nan". */
    if (!is_decimal(text))
        return false;
    double number = strtod(text, NULL);
    if (!(number >= min && number <= max))
        return false;
    *value = number;
    return true;
}

const char *number_hint(const char *text)
{
    const char *comma = strchr(text, ',');
    char point[64];
    if (!comma || strlen(text) >= sizeof point)
        return "";
    memcpy(point, text, strlen(text) + 1);
    point[comma - text] = '.';
    return is_decimal(point) ? "; the decimal point is '.'" : "";
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

static const option *find_option(const option_set *set, const char *name, size_t n, char letter)
{
    for (size_t t = 0; t < set->n; t++) {
        for (size_t i = 0; i < set->tables[t]->n; i++) {
            const option *o = &set->tables[t]->options[i];
            if (letter != 0 ? o->letter == letter
                            : strlen(o->name) == n && memcmp(o->name, name, n) == 0)
                return o;
        }
    }
    return NULL;
}

/* Other names that a command understands, if it has the option that they mean. */
static const option *find_alias(const option_set *set, const char *name, size_t n)
{
    static const char *const aliases[][2] = {
        {"row", "rows"}, {"rows", "row"}, {"temp", "temperature"}};
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strlen(aliases[i][0]) == n && memcmp(aliases[i][0], name, n) == 0)
            return find_option(set, aliases[i][1], strlen(aliases[i][1]), 0);
    return NULL;
}

static int unknown_option(const arguments *args, const option_set *set, const char *flag)
{
    char name[64] = "";
    strncat(name, flag + strspn(flag, "-"), sizeof name - 1);
    name[strcspn(name, "=")] = '\0';
    plk_suggestion nearest = plk_suggest(name);
    for (size_t t = 0; t < set->n; t++)
        for (size_t i = 0; i < set->tables[t]->n; i++)
            plk_suggest_offer(&nearest, set->tables[t]->options[i].name, NULL);
    int n = (int)strcspn(flag, "=");
    if (!nearest.best)
        return complain(args->who, EXIT_USAGE, "unknown option '%.*s'; see %s --help", n, flag,
                        args->who);
    return complain(args->who, EXIT_USAGE, "unknown option '%.*s'; did you mean '--%s'?", n, flag,
                    nearest.best);
}

static int take_choice(const arguments *args, const option *o, const char *value, int *place)
{
    size_t n = 0;
    int index = 0;
    for (const char *c; (c = choice_at(o->value_name, index, &n)); index++) {
        if (strlen(value) == n && memcmp(value, c, n) == 0) {
            *place = index;
            return EXIT_DONE;
        }
    }
    return complain(args->who, EXIT_USAGE, "--%s: '%s' is not one of %s", o->name, value,
                    o->value_name);
}

static int take(arguments *args, const option *o, const char *value)
{
    char *place = (char *)args + o->offset;
    switch (o->type) {
    case OPTION_SWITCH:
        *(bool *)place = true;
        break;
    case OPTION_TEXT:
    case OPTION_INPUT:
    case OPTION_OUTPUT:
        *(const char **)place = value;
        break;
    case OPTION_COUNT:
        if (!parse_count(value, o->min, o->max, (uint64_t *)place))
            return complain(args->who, EXIT_USAGE,
                            "--%s: '%s' is not a whole number from %llu to %llu%s", o->name, value,
                            (unsigned long long)o->min, (unsigned long long)o->max,
                            number_hint(value));
        break;
    case OPTION_NUMBER:
        if (!parse_number(value, (double)o->min, (double)o->max, (double *)place))
            return complain(args->who, EXIT_USAGE, "--%s: '%s' is not a number from %llu to %llu%s",
                            o->name, value, (unsigned long long)o->min, (unsigned long long)o->max,
                            number_hint(value));
        break;
    case OPTION_CHOICE:
        return take_choice(args, o, value, (int *)place);
    case OPTION_KEY:
        args->assignments[args->n_assignments++] = (assignment){o, value};
        break;
    }
    return EXIT_DONE;
}

bool is_boolean_key(const option *o)
{
    return o->type == OPTION_KEY && strcmp(o->value_name, "true|false") == 0;
}

/* One flag at words[*at]; moves *at over its value. */
static int parse_flag(arguments *args, const option_set *set, int n_words, char **words, int *at)
{
    const char *flag = words[*at];
    bool is_long = flag[1] == '-';
    const char *name = flag + (is_long ? 2 : 1);
    size_t n = is_long ? strcspn(name, "=") : 1;
    const option *o = find_option(set, name, n, is_long ? 0 : name[0]);
    if (!o && is_long)
        o = find_alias(set, name, n);
    if (!o || n == 0)
        return unknown_option(args, set, flag);

    const char *value = NULL;
    if (name[n] != '\0')
        value = is_long ? name + n + 1 : name + n;
    if (o->type == OPTION_SWITCH) {
        if (value)
            return complain(args->who, EXIT_USAGE, "--%s takes no value", o->name);
    } else if (!value && is_boolean_key(o)) {
        const char *next = *at + 1 < n_words ? words[*at + 1] : "";
        bool is_value = strcmp(next, "true") == 0 || strcmp(next, "false") == 0;
        value = is_value ? words[++*at] : "true";
    } else if (!value) {
        if (*at + 1 >= n_words || strncmp(words[*at + 1], "--", 2) == 0)
            return complain(args->who, EXIT_USAGE, "--%s needs a value: %s", o->name,
                            o->value_name);
        value = words[++*at];
    }
    return take(args, o, value);
}

static int check_words(const arguments *args)
{
    const command *c = args->command;
    if (args->help || args->man || args->list)
        return EXIT_DONE;
    if (args->n_words < c->min_words)
        return complain(args->who, EXIT_USAGE, "needs a %s; see %s --help", c->word_name,
                        args->who);
    if (args->n_words > c->max_words) {
        if (c->max_words == 0)
            return complain(args->who, EXIT_USAGE, "unexpected '%s'; see %s --help", args->words[0],
                            args->who);
        return complain(args->who, EXIT_USAGE, "takes only %llu %s; '%s' is too much",
                        (unsigned long long)c->max_words, c->word_name, args->words[c->max_words]);
    }
    return EXIT_DONE;
}

/* -1, -.5 or -inf, for a command whose words are numbers. */
static bool is_negative_number(const command *c, const char *word)
{
    char *end;
    (void)strtod(word, &end);
    return strcmp(c->word_name, "NUMBER") == 0 && *word == '-' && end > word && *end == '\0';
}

int arguments_parse(arguments *args, const option_set *set, int n_words, char **words)
{
    args->words = calloc((size_t)n_words + 1, sizeof *args->words);
    args->assignments = calloc((size_t)n_words + 1, sizeof *args->assignments);
    if (!args->words || !args->assignments)
        return complain_memory(args->who);
    args->draws = 1;
    args->worst = 5;
    args->top = 20;
    args->threads = 1;
    args->seconds = 2;
    args->bootstrap = 1000;
    args->explore = 12;
    args->n_labels = 1;
    args->draw_temperature = 1;

    bool flags_ended = false;
    for (int i = 0; i < n_words; i++) {
        if (flags_ended || words[i][0] != '-' || words[i][1] == '\0' ||
            is_negative_number(args->command, words[i])) {
            args->words[args->n_words++] = words[i];
        } else if (strcmp(words[i], "--") == 0) {
            flags_ended = true;
        } else {
            int code = parse_flag(args, set, n_words, words, &i);
            if (code != EXIT_DONE)
                return code;
        }
    }
    return check_words(args);
}

void arguments_destroy(arguments *args)
{
    free(args->words);
    free(args->assignments);
    args->words = NULL;
    args->assignments = NULL;
}
