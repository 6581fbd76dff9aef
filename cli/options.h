/*
 * The option table: one const description of every command and every flag. From it come the parser,
 * --help, the manual page and the shell completions.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "message.h"

#include <pluck/stage.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum option_type {
    OPTION_SWITCH, /* bool, no value                                        */
    OPTION_TEXT,   /* const char *                                          */
    OPTION_INPUT,  /* const char *: a file that is read                     */
    OPTION_OUTPUT, /* const char *: a file that is written, see run_files.h */
    OPTION_COUNT,  /* uint64_t in [min, max]                                */
    OPTION_NUMBER, /* double in [min, max]                                  */
    OPTION_CHOICE, /* int: which of the words in value_name, "text|json"    */
    OPTION_KEY     /* a configuration key: appended to arguments.assignments */
} option_type;

typedef struct option {
    const char *name; /* "top-k", without the dashes */
    char letter;      /* 'o' for -o, or 0            */
    option_type type;
    const char *value_name; /* "FILE"; the words of a choice; NULL for a switch */
    const char *summary;    /* no full stop */
    size_t offset;          /* of the value in arguments */
    uint64_t min, max;
    const char *key; /* OPTION_KEY: the configuration key */
} option;

static inline bool option_is_file(const option *o)
{
    return o->type == OPTION_INPUT || o->type == OPTION_OUTPUT;
}

typedef struct option_table {
    const char *title; /* "Options" */
    const option *options;
    size_t n;
} option_table;

/* A configuration key that a flag sets. */
typedef struct assignment {
    const option *option;
    const char *value; /* as typed */
} assignment;

enum { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };
enum { AXES_NONE, AXES_STEP_BATCH, AXES_BATCH_STEP };
enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

typedef struct command command;

/* What a command line says; all zero is what an empty one says, apart from the counts that
 * arguments_parse() sets. Everything points into argv. */
typedef struct arguments {
    const command *command;
    const char *who; /* "pluck sample", for messages */

    const char **words; /* what is not a flag */
    size_t n_words;
    assignment *assignments; /* in the order of the command line */
    size_t n_assignments;

    const char *config, *preset, *isa, *tensor, *vocab, *added_tokens, *output, *rows, *row,
        *prompt_tokens, *follow, *temperature, *beta, *base, *entmax, *target, *gumbel, *targets,
        *targets_out, *config_a, *config_b, *max_kl, *objective, *keep, *svg, *csv, *label_prefix,
        *counts, *bias, *vectors, *start, *validation, *validation_targets, *checkpoint;
    uint64_t vocab_size, draws, stream, top, threads, seconds, worst, bins, bootstrap, explore,
        n_labels, seed, epochs;
    int axes;
    int dtype, input_format, vocab_encoding, format, color, from, to, to_dtype, bin_edges, truncate,
        tree;
    bool no_map, sequence, skip_bad, trace, explain, quiet, short_vocab, list, help, man, log,
        sparsemax, lse, entropy, argmax, gradient, lines, equal_mass, cross_validate, no_curves,
        sample, compat, no_bias, resume, overwrite, keep_zero_counts;
    double draw_temperature, threshold, rate, l2;
} arguments;

struct command {
    const char *name;                  /* "config show"              */
    const char *synopsis;              /* "DUMP... [options]"        */
    const char *summary;               /* one line, no full stop     */
    const char *about;                 /* paragraphs, '\n' between   */
    const option_table *const *tables; /* NULL-terminated */
    bool takes_keys;                   /* configuration keys are flags too */
    const char *const *examples;       /* command lines, NULL-terminated */
    size_t min_words, max_words;
    const char *word_name; /* "DUMP" */
    int (*run)(const arguments *args);
    bool words_are_inputs; /* the words are files that are read */
};

/* NULL-terminated. */
extern const command *const commands[];

/* All tables of one command: its own and the one generated from the stage tables. */
typedef struct option_set {
    const option_table **tables;
    size_t n;
    option_table keys;
    struct key_option *key_options;
    option *key_table;
} option_set;

/* Returns false when memory ran out; then nothing is held. */
bool option_set_create(option_set *set, const command *about);
void option_set_destroy(option_set *set);

/* The command whose name is the first one or two of the words, and in *n_used how many; NULL if
 * none. */
const command *command_find(const char *const *words, size_t n_words, size_t *n_used);

/* Complains that no command is called first, or first and second (or NULL), and names the nearest.
 * Returns EXIT_USAGE. */
int command_unknown(const char *who, const char *first, const char *second);

/* Parses what follows the command's name. Returns an exit code, after complain() if it is not
 * EXIT_DONE. args->command and args->who are set by the caller. */
int arguments_parse(arguments *args, const option_set *set, int n_words, char **words);
void arguments_destroy(arguments *args);

/* A whole number in [min, max]: decimal digits, or a number as below that is whole (1e3). */
bool parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* A finite decimal number in [min, max]. */
bool parse_number(const char *text, double min, double max, double *value);

/* Whether the stage runs only if this flat key is there, and the default of the parameter would
 * have an effect: then the key has no default, it is off. */
bool is_switch_of_stage(const pluck_stage *stage, const pluck_param *param);

/* What to add to the message about a text that is not a number: "", or about a decimal comma. */
const char *number_hint(const char *text);

/* Whether it sets a boolean key: then its value may be left out, which is true. */
bool is_boolean_key(const option *o);

/* The index-th of "a|b|c": its start, and its length in *n; NULL after the last. */
const char *choice_at(const char *choices, int index, size_t *n);

/* The range of a parameter for people: "(0, 1]", "[0, inf)". */
void describe_range(const pluck_param *param, char *text, size_t capacity);

/* Whether a parameter's value is a number, with a range and a default. */
bool is_number(const pluck_param *param);

#endif
