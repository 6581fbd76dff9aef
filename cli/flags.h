/*
 * Commands and their flags: constant tables, from which come the parser, the help, the manual pages
 * and the completions. A command declares its flags next to its code. What several commands
 * share is a group, declared once in flags.c. Every value goes to its place in a struct of the
 * command, which begins with a call.
 */
#ifndef CLI_FLAGS_H
#define CLI_FLAGS_H

#include "output.h"

#include <pluck/stage.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum flag_kind {
    FLAG_LAST,    /* the end of a table                                   */
    FLAG_HEADING, /* name: what the flags after it are about              */
    FLAG_TABLE,   /* the flags of group, whose struct is at `at`          */
    FLAG_KEYS,    /* every configuration key, appended to a key_list      */
    FLAG_SWITCH,  /* bool, no value                                       */
    FLAG_TEXT,    /* const char *                                         */
    FLAG_INPUT,   /* const char *: a file that is read                    */
    FLAG_OUTPUT,  /* const char *: a file that is written, see run_files.h */
    FLAG_COUNT,   /* uint64_t in [min, max]                               */
    FLAG_NUMBER,  /* double in [low, high]; finite if both are 0          */
    FLAG_CHOICE,  /* int: which of the words in value, "text|json"        */
    FLAG_KEY      /* one of FLAG_KEYS                                     */
} flag_kind;

/* What a flag is to the identity of a run that is shared among processes, see facts.h. */
typedef enum flag_share {
    SHARE_VALUE, /* its value belongs to it; of a file that is read, the content */
    SHARE_KEYS,  /* setup_seed() adds the configuration that comes of it */
    SHARE_NOT    /* of this process alone: results do not depend on it */
} flag_share;

typedef struct flag {
    const char *name; /* "top-k", without the dashes */
    char letter;      /* 'o' for -o, or 0            */
    flag_kind kind;
    const char *value; /* "A:B", or the words of a choice; NULL: see flag_set_create() */
    const char *help;  /* no full stop */
    size_t at;         /* of the value in the struct */
    uint64_t min, max;
    double low, high;
    bool is_low_open;  /* FLAG_NUMBER: low itself is not allowed */
    const char *words; /* the words that completions offer where value does not list them */
    const char *key;   /* FLAG_KEY: the configuration key */
    flag_share share;
    const struct flag *group;
} flag;

/* The beginning of a flag, and of one whose value goes to a member of a struct. */
#define FLAG_SHARED(of_kind, of_name) .name = (of_name), .kind = FLAG_##of_kind
#define FLAG(of_kind, of_name, type, member)                                                       \
    FLAG_SHARED(of_kind, of_name), .at = offsetof(type, member)
#define FLAG_GROUP(table, type, member)                                                            \
    {                                                                                              \
        .kind = FLAG_TABLE, .group = (table), .at = offsetof(type, member)                         \
    }
#define FLAG_TITLE(text)                                                                           \
    {                                                                                              \
        .kind = FLAG_HEADING, .name = (text)                                                       \
    }
#define FLAG_END                                                                                   \
    {                                                                                              \
        .kind = FLAG_LAST                                                                          \
    }

static inline bool flag_is_file(const flag *f)
{
    return f->kind == FLAG_INPUT || f->kind == FLAG_OUTPUT;
}

/* A configuration key that a flag sets. */
typedef struct key_value {
    const flag *flag;
    const char *value; /* as typed */
} key_value;

typedef struct key_list {
    key_value *items; /* in the order of the command line */
    size_t n;
} key_list;

typedef enum help_kind { HELP_NONE, HELP_PAGE, HELP_ALL } help_kind;

/* Which shard of its rows a run does, see run_ranks.h. */
typedef struct shard_flags {
    const char *shard, *partial, *plan, *partials;
    uint64_t n_shards;
} shard_flags;
extern const flag shard_group[];

/* What every command line says. */
typedef struct call {
    const struct command *command;
    const struct flag_set *set;
    const char **words; /* what is not a flag; points into argv */
    size_t n_words;
    const char **line; /* the words after the name of the command, without flags of SHARE_NOT */
    size_t n_line;
    help_kind help;
    bool is_quiet; /* --quiet */
    shard_flags shard;
} call;

typedef struct command {
    const char *name;         /* "config show"              */
    const char *synopsis;     /* "DUMP... [options]"        */
    const char *summary;      /* one line, no full stop     */
    const char *about;        /* paragraphs, '\n' between   */
    const char *usual;        /* the flags of the first page of help, "rows draws"; NULL: all */
    const flag *flags;        /* NULL: none */
    size_t flags_bytes;       /* of the struct; 0: a call */
    const void *defaults;     /* such a struct; NULL: all zero */
    const char *examples[12]; /* command lines, then NULL */
    size_t min_words, max_words;
    const char *word_name; /* "DUMP" */
    bool words_are_inputs; /* the words are files that are read */
    int (*run)(const void *flags);
} command;

#define COMMAND_FLAGS(table, type) .flags = (table), .flags_bytes = sizeof(type)
#define COMMAND_WORDS(least, most, name)                                                           \
    .min_words = (least), .max_words = (most), .word_name = (name)

/* All commands, in the order of the help; each is where its code is. */
/* clang-format off */
#define COMMANDS(X) \
    X(sample) X(inspect) X(replay) X(tune) X(report) X(compare) X(convert) X(merge) X(bench) \
    X(softmax) X(stages) X(config_check) X(config_show) X(config_import) X(config_init) \
    X(config_schema) X(tree_predict) X(tree_stats) X(tree_fit) X(tree_distill) X(tree_eval) \
    X(completions) X(help)
/* clang-format on */
#define COMMAND_EXTERN(name) extern const command name##_command;
COMMANDS(COMMAND_EXTERN)

/* NULL-terminated. */
extern const command *const commands[];

/* All flags of one command, its groups and keys resolved: at counts from the beginning of its
 * struct. */
typedef struct flag_set {
    flag *flags;
    size_t n;
    struct key_text *key_texts;
    key_value *key_values; /* room for those of one command line */
} flag_set;

/* n_words is the limit of the flags that are given. A value without a name gets FILE, N or X by the
 * kind of the flag. false: memory ran out, and nothing is held. */
bool flag_set_create(flag_set *set, const command *c, size_t n_words);
void flag_set_destroy(flag_set *set);

/* Appends the flags of all configuration keys, at the place of their list. false: memory. */
bool flag_set_add_keys(flag_set *set, size_t at);
/* How many these are at most. */
size_t flag_count_keys(void);

/* The command whose name is the first one or two of the words, and in *n_used how many; NULL if
 * none. */
const command *command_find(const char *const *words, size_t n_words, size_t *n_used);

/* Complains that no command is called first, or first and second (or NULL), and names the nearest.
 * Returns EXIT_USAGE. */
int command_unknown(const char *first, const char *second);

/* Finds what the words after the command's name say, and runs it or prints its help. */
int command_run(const command *c, int n_words, char **words);

/* Runs the command line of shards, whose results are known; see run_ranks.h. The command has the
 * flag -o. */
typedef struct replay_files {
    const char *output;   /* in the place of what -o says; NULL: that */
    const char *plan_out; /* of the merge, which must not be a file of the command; NULL: none */
} replay_files;
int command_replay(const command *c, int n_words, char **words, const replay_files *files);

/* A number as JSON has it: people also type .8, 1., +1 and 007. false: not a number. */
bool number_json(const char *typed, char *json, size_t capacity);

/* A whole number in [min, max] without a sign; 1e3 is one too. */
bool parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* A decimal number in [min, max]. */
bool parse_number(const char *text, double min, double max, double *value);

/* What to add to the message about a text that is not a number: "", or about a decimal comma. */
const char *number_hint(const char *text);

/* Whether it sets a boolean key: then its value may be left out, which is true. */
bool is_boolean_key(const flag *f);

/* The index-th of "a|b|c": its start, and its length in *n; NULL after the last. */
const char *choice_at(const char *choices, int index, size_t *n);

/* Groups. Each has its struct, or a member of the type that its comment says. */

typedef struct input_flags {
    const char *tensor;
    uint64_t vocab_size;
    int dtype, format;
    bool no_map;
} input_flags;
extern const flag input_group[];
extern const flag map_group[]; /* --no-map alone */

typedef struct vocab_flags {
    const char *file, *added;
    int encoding;
    bool is_short;
} vocab_flags;
extern const flag vocab_group[];

typedef struct config_flags {
    const char *file, *preset;
    key_list keys;
} config_flags;
extern const flag config_group[];

extern const flag rows_flag[];    /* const char * */
extern const flag threads_flag[]; /* uint64_t */
extern const flag isa_flag[];     /* const char * */
extern const flag prompt_flag[];  /* const char * */
extern const flag targets_flag[]; /* const char * */
extern const flag quiet_flag[];   /* call */
extern const flag output_flag[];  /* const char * */

enum { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };
extern const flag format_flag[];       /* int: text or json */
extern const flag table_format_flag[]; /* int: text, json or csv */

#endif
