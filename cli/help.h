/*
 * Texts generated from the tables of flags: help and the manual page.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "flags.h"

/* The list of commands: "pluck help"; or with group those of a group ("config"). */
int help_topic(const char *group);

/* The few lines that "pluck" alone prints. */
void help_short(output *out);

/* One page about a command: its usual flags and two examples; or everything. */
void help_print(output *out, const command *about, const flag_set *set, help_kind kind);

/* The manual page of a command, or that of pluck for NULL, in roff's man macros. false: memory ran
 * out. */
bool help_manual(output *out, const command *c);

/* What holds for every command; ends with a NULL name. */
typedef struct help_fact {
    const char *name, *text;
} help_fact;
extern const help_fact help_exit_statuses[], help_variables[], help_files[];

/* A name, and next to it a summary, wrapped from column on. */
void help_entry(output *out, const char *name, const char *summary, size_t column);

/* "-o, --output FILE" */
void help_flag_name(const flag *f, char *text, size_t capacity);

/*
 * Configuration keys as flags, and the parameters of stages for people.
 */

/* What people read about a type of parameters, by pluck_param_type. */
typedef struct type_text {
    const char *name;
    const char *value; /* of its flag */
    const char *shape; /* NULL: it has a range */
} type_text;
extern const type_text type_texts[];

/* Whether the stage runs only if this flat key is there, and the default of the parameter would
 * have an effect: then the key has no default, it is off. */
bool is_switch_of_stage(const pluck_stage *stage, const pluck_param *param);

/* The range of a parameter for people: "(0, 1]", "[0, inf)". */
void describe_range(const pluck_param *param, char *text, size_t capacity);

/* Whether a parameter's value is a number, with a range and a default. */
bool is_number(const pluck_param *param);

/* "k = 40, min_keep = 1", or {"k":40,"min_keep":1}; params is laid out as the stage's table
 * says. */
void print_params(output *out, const pluck_stage *stage, const void *params, bool is_json);

#endif
